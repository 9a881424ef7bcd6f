"""Backends and pools in a check's hands: synchronous verbs, each in effect when it returns."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from lbcheck.backends.script import OK, Answer, Behaviour
from lbcheck.checks import Opening
from lbcheck.errors import HarnessFault, Unsupported
from lbcheck.history import FaultBegan, FaultEnded, History
from lbcheck.lab.base import BackendNode, Contained, bad_status, first_behaviour
from lbcheck.lab.presence import refuses, stands_still, swallows, unreachable
from lbcheck.spec.change import Change, Deregister, Drain, Register, Reweigh
from lbcheck.spec.model import Backend, Pool, Protocol

Do = Callable[[Awaitable[Any]], Any]
Note = Callable[[str, str, str], float]


class StagedBackend:
    """A backend in a check's hands. Every verb returns when it is in effect."""

    def __init__(
        self,
        spec: Backend,
        pool: Pool,
        node: BackendNode,
        do: Do,
        note: Note,
        sync: Callable[[], History],
        tell: Callable[[Change], None],
        opening: Opening = "settled",
    ) -> None:
        self.name: str = spec.name
        self.spec = spec
        self.address: str = spec.address or ""
        self.node = node
        self.expected_alive = True
        self._pool = pool.name
        self._check = pool.health_check
        self._do = do
        self._note = note
        self._sync = sync
        self._tell = tell
        self._away = False  # paused, or off the network
        self._usual = first_behaviour(pool)
        self._behaviour = first_behaviour(pool, opening)
        self._probes_before = 0  # probes seen when the sequence was set

    def answer(self, answer: Answer, *, id: str | None = None) -> None:
        """How requests are answered from now on; with `id`, that request only."""
        if id is None:
            self._behave(replace(self._current(), answer=answer))
        else:
            others = tuple(pair for pair in self._current().by_id if pair[0] != id)
            self._behave(replace(self._current(), by_id=(*others, (id, answer))))

    def answer_probes(self, *answers: Answer, then: Answer | None = None) -> None:
        """The next probes get these, in order; later ones `then` (default: as before)."""
        now = self._current()
        self._probes_before = self._probes_seen()
        self._behave(replace(now, probes=answers, probe=now.probe if then is None else then))

    def fail_probes(self) -> None:
        """From now on every probe gets a bad status; where there are TCP checks, refuses connections."""
        if self._check is not None and self._check.protocol is Protocol.HTTP:
            self.answer_probes(then=Answer(status=bad_status(self._check)))
        else:
            self.refuse()

    def pass_probes(self) -> None:
        """Ends `fail_probes`."""
        if self._check is not None and self._check.protocol is Protocol.HTTP:
            self.answer_probes(then=self._usual.probe)
        else:
            self.accept()

    def hold(self) -> None:
        """Requests from now on are read and held until released."""
        now = self._current()
        self._behave(replace(now, answer=replace(now.answer, hold=True)))

    def release(self, ids: Sequence[str] | None = None) -> None:
        """Lets held requests go on: those, or all, and then nothing more is held."""
        now = self._current()
        if ids is None and now.answer.hold:
            self._behave(replace(now, answer=replace(now.answer, hold=False)))
        self._do(self.node.release(ids))

    def refuse(self) -> None:
        """Closes the listening socket: new connections are refused, probes too."""
        began = self._note("refuse", self.name, "")
        self._behave(replace(self._current(), accepting=False))
        self._witness("refuse", began)

    def accept(self) -> None:
        """Listens again at the same address."""
        self._behave(replace(self._current(), accepting=True))
        self._sync().append(FaultEnded(self._note("accept", self.name, ""), "refuse", self.name))

    def vanish(self) -> None:
        """A blackhole: who connects, probes too, is neither taken nor refused; open connections are reset."""
        began = self._note("blackhole", self.name, "")
        self._behave(replace(self._current(), blackhole=True))
        self._witness("blackhole", began, swallows)

    def appear(self) -> None:
        """Ends `vanish`: it listens again at the same address."""
        self._behave(replace(self._current(), blackhole=False))
        self._sync().append(FaultEnded(self._note("appear", self.name, ""), "blackhole", self.name))

    def pause(self) -> None:
        """Its processes stand still: connections are accepted, and nobody reads. Unsupported without containers."""
        node, began = self._contained("paused"), self._note("pause", self.name, "")
        self._away = True
        self._do(node.pause())
        self._witness("pause", began, stands_still)

    def resume(self) -> None:
        """Ends `pause`: what it was sent meanwhile it reads now."""
        self._do(self._contained("resumed").resume())
        self._away = False
        self._sync().append(FaultEnded(self._note("resume", self.name, ""), "pause", self.name))

    def disconnect(self) -> None:
        """Off the network, address and all. Unsupported without containers."""
        node, began = self._contained("disconnected"), self._note("disconnect", self.name, "")
        self._do(node.disconnect())
        self._away = True
        self._witness("disconnect", began, unreachable)

    def connect(self) -> None:
        """Ends `disconnect`, at the same address."""
        self._do(self._contained("connected").reconnect())
        self._away = False
        self._sync().append(FaultEnded(self._note("connect", self.name, ""), "disconnect", self.name))

    def _contained(self, done: str) -> Contained:
        if isinstance(self.node, Contained):
            return self.node
        raise Unsupported(
            f"{self.name} cannot be {done}: it is in no container of its own",
            remedy="use the docker lab (--lb-lab=docker)",
        )

    def kill(self) -> None:
        """As SIGKILL: its connections end at once, later ones are refused."""
        self.expected_alive = False
        began = self._note("kill", self.name, "")
        self._do(self.node.kill())
        self._witness("kill", began)

    def restart(self) -> None:
        """A killed backend comes back at the same address, with the default behaviour."""
        self._do(self.node.restart())
        self.expected_alive = True
        self._behave(self._usual)
        self._sync().append(FaultEnded(self._note("restart", self.name, ""), "kill", self.name))

    # --- told to the target ------------------------------------------------------------------------------------------

    def drain(self) -> None:
        """The target is told: nothing new for this one."""
        self._tell(Drain(self._pool, self.name))

    def deregister(self) -> None:
        """The target is told: as `drain`, and gone from the pool."""
        self._tell(Deregister(self._pool, self.name))

    def register(self, *, weight: int | None = None) -> None:
        """The target is told: (again) a member of its pool, at its address, and at work."""
        weight = self.spec.weight if weight is None else weight
        self.spec = replace(self.spec, weight=weight, state="active")
        self._tell(Register(self._pool, self.spec))

    def reweigh(self, weight: int) -> None:
        self._tell(Reweigh(self._pool, self.name, weight))

    # --- asked directly ----------------------------------------------------------------------------------------------

    @property
    def reachable(self) -> bool:
        """Has it been left running and accepting?"""
        return self.expected_alive and not self._away and self._behaviour.accepting and not self._behaviour.blackhole

    def answer_well(self, ids: Sequence[str] | None = None) -> bool:
        """These requests (None: all) are answered well, whatever the script says; False where it says so already."""
        now = self._current()
        if now.answer == OK and not now.by_id:
            return False
        by_id = () if ids is None else (*now.by_id, *((asked, OK) for asked in ids))
        self._do(self.node.behave(replace(now, answer=OK if ids is None else now.answer, by_id=by_id)))
        return True

    def answer_as_before(self) -> None:
        self._behave(self._current())

    def _witness(self, fault: str, began: float, sees: Callable[[str, int], Awaitable[bool]] = refuses) -> None:
        """The fault is in the history, and seen from outside. HarnessFault where it is not."""
        seen = self._do(sees(self.node.host, self.node.port))
        self._sync().append(FaultBegan(began, fault, self.name, witnessed=seen))
        if not seen:
            raise HarnessFault(
                f"{self.name} was told to {fault}, and takes connections all the same",
                remedy="somebody else may listen at its address; nothing is said about the target",
            )

    # --- its script --------------------------------------------------------------------------------------------------

    def _behave(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self._do(self.node.behave(behaviour))

    def _current(self) -> Behaviour:
        """The script with the answers to probes that are still to come: those given are not given again."""
        if self._behaviour.probes:
            seen = self._probes_seen()
            given = seen - self._probes_before
            self._probes_before = seen
            self._behaviour = replace(self._behaviour, probes=self._behaviour.probes[given:])
        return self._behaviour

    def _probes_seen(self) -> int:
        return sum(probe.backend == self.name for probe in self._sync().probes)


class StagedPool:
    """A pool in a check's hands; `backends` in the order of the spec, also those that have left since.

    `spec` follows every change.
    """

    def __init__(
        self,
        spec: Pool,
        backends: tuple[StagedBackend, ...],
        register: Callable[[StagedPool, str, int], StagedBackend],
    ) -> None:
        self.name: str = spec.name
        self.spec = spec
        self.backends = backends
        self._register = register

    def register(self, name: str, *, weight: int = 1) -> StagedBackend:
        """A new backend starts, at an address of its own, and joins the pool; returns when the target has taken it."""
        return self._register(self, name, weight)

    def follow(self, spec: Pool) -> None:
        """Takes over what a change made of the pool."""
        self.spec = spec
        for declared in spec.backends:
            for backend in self.backends:
                if backend.name == declared.name:
                    backend.spec = declared

    def __getitem__(self, name: str) -> StagedBackend:
        for backend in self.backends:
            if backend.name == name:
                return backend
        raise KeyError(f"pool {self.name} has no backend {name!r}; it has {[b.name for b in self.backends]}")

    def __iter__(self) -> Iterator[StagedBackend]:
        return iter(self.backends)
