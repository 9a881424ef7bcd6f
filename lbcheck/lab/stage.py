"""What a check stands on: synchronous verbs over a running scene."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from lbcheck.checks import Opening
from lbcheck.client.call import Call
from lbcheck.client.http import Endpoint, Kept
from lbcheck.client.outgoing import Pace
from lbcheck.client.traffic import SteadyTraffic as Traffic
from lbcheck.errors import HarnessFault, Unsupported
from lbcheck.history import Act, Event, Exchange, History
from lbcheck.lab.aiming import Aim, Destination, aim
from lbcheck.lab.base import BackendNode, Lab, Scene
from lbcheck.lab.control import CONTROL, Control
from lbcheck.lab.cookies import Jar
from lbcheck.lab.identity import Signatures
from lbcheck.lab.pending import Client, Pending
from lbcheck.lab.sender import Sender
from lbcheck.lab.settling import checked_pools, settle_within_s, unsettled
from lbcheck.lab.staged import StagedBackend, StagedPool
from lbcheck.lab.staged_target import StagedTarget
from lbcheck.spec.change import Change, Reload, on_backend
from lbcheck.spec.model import Backend, Pool, Spec
from lbcheck.spec.subject import Subject

__all__ = ["Client", "Pending", "Stage", "StagedBackend", "StagedPool", "Traffic", "open_stage"]

T = TypeVar("T")
LOST_AGAIN = 2  # what a machine is late by may be taken for a jump by who has a fast clock, and lost to it too
LINGER_S = 0.2  # a balancer that answers too much does so at once


class Stage:
    """One check's world.

    Verbs raise HarnessFault when a backend went without having been told, TargetDied when the target did, and
    HarnessFault when the check has used up its time.
    """

    def __init__(
        self,
        lab: Lab,
        scene: Scene,
        subject: Subject,
        seed: int,
        limit_s: float,
        opening: Opening = "settled",
        drift_s: float = 0.0,
    ) -> None:
        self.spec: Spec = scene.spec  # placed; follows every change
        self.history: History = scene.history
        self.rng = random.Random(f"check {seed}")
        self.lab: str = lab.name
        self.target = StagedTarget(lab.target, scene.target, self._do, self.note)
        self.subject: Subject = subject.within(scene.spec)
        self.waits: tuple[str, float] | None = None  # what for, and until when on the clock of events: for a terminal
        self._lab = lab
        self._scene = scene
        self._limit_s = limit_s
        self._drift_s = drift_s
        self._opening = opening
        self._ends = lab.now() + limit_s
        self._signatures = Signatures(lab.identity, scene.spec) if lab.identity is not None else None
        self._sender = Sender(self.spec, self.history, lab.ground, lab.now, self._signatures)
        self._pools = {pool.name: self._staged(pool) for pool in self.spec.pools}

    # --- what it knows -----------------------------------------------------------------------------------------------

    @property
    def slack(self) -> float:
        """Seconds to add to every bound in time; measured under the planned rate."""
        return self._lab.slack() * (LOST_AGAIN if self.rate > 1 else 1) + self._drift_s

    @property
    def rate(self) -> int:
        """Seconds of the target's clock in one of this stage's: what the target writes of time is in those."""
        return self._lab.rate

    @property
    def now(self) -> float:
        """The moment on the clock of all events."""
        return self._lab.now()

    def pool(self, name: str) -> StagedPool:
        return self._pools[name]

    def to(self, where: Destination) -> Aim:
        """(listener name, a request that reaches it): a pool's own rule or default, a rule's witness, a listener's `/`.

        Unsupported where no request can reach it.
        """
        return aim(self.spec, where, self.subject)

    # --- requests ----------------------------------------------------------------------------------------------------

    def send(
        self, to: Destination, *, n: int = 1, rounds: int | None = None, fresh: bool = True, **request: Any
    ) -> list[Exchange]:
        """`n` requests one after another (`rounds` of as many as the pool has backends).

        Each on a fresh connection, or all on one. `request`: method, target, host, headers, body, chunked, source,
        within ... as of `Sender.begin`.
        """
        listener, base = self.to(to)
        on = None if fresh else Kept()
        count = n if rounds is None else rounds * self._width(to)
        return self._do(self._one_after_another(count, lambda: self._sender.begin(listener, base, on=on, **request)))

    async def _one_after_another(self, count: int, begin: Callable[[], Call]) -> list[Exchange]:
        return [await begin().done for _ in range(count)]

    def one(self, to: Destination, **request: Any) -> Exchange:
        """`send` of one."""
        return self.send(to, **request)[0]

    def start(self, to: Destination, **request: Any) -> Pending:
        """Sends without waiting for the answer."""
        listener, base = self.to(to)

        async def begin() -> Pending:
            call = self._sender.begin(listener, base, **request)
            await asyncio.sleep(0)
            return Pending(call, self._do)

        return self._do(begin())

    def raw(
        self,
        to: Destination,
        data: bytes,
        *,
        source: str | None = None,
        within: float = 2.0,
        half_close: bool = False,
        pace: Pace | None = None,
        deaf_s: float = 0.0,
    ) -> list[Exchange]:
        """Sends these exact bytes on a fresh connection; reads answers until the peer closes or `within` passes.

        For `deaf_s` nothing is read. Once every request that a strict reader finds in the bytes has its whole answer,
        it reads on for a moment only: for what nobody asked for.
        """
        listener, _ = self.to(to)
        more: dict[str, Any] = {"source": source, "within": within, "half_close": half_close, "pace": pace}
        more |= {"deaf_s": deaf_s, "linger_s": LINGER_S + self._lab.slack()}  # no bound of a verdict
        return self._do(self._sender.raw(listener, data, **more))

    def client(self, *, source: str | None = None, cookies: bool = False, keep_alive: bool = False) -> Client:
        """One client with an address of its own, a cookie jar or a kept connection."""
        jar = Jar(self._sender.now, self.rate) if cookies else None
        return Client(self._sender, self._do, self.to, source=source, jar=jar, keep_alive=keep_alive)

    @contextmanager
    def traffic(self, to: Destination, *, rate: float, **request: Any) -> Iterator[Traffic]:
        """Steady open-loop traffic of `rate` requests a second while the block runs; time passes in its verbs alone."""
        listener, base = self.to(to)
        traffic = self._sender.steady(listener, base, rate, **request)
        self._do(_begun(traffic))
        try:
            yield traffic
        except BaseException:
            self._lab.run(self._abandon(traffic))
            raise
        self._do(traffic.stop())

    async def _abandon(self, traffic: Traffic) -> None:
        """Nobody waits for the answers any more."""
        stopping = asyncio.ensure_future(traffic.stop())
        await asyncio.sleep(0)
        await self._sender.close()
        await stopping

    # --- change ------------------------------------------------------------------------------------------------------

    def reload(self, spec: Spec | None = None) -> None:
        """The target reads its configuration again: the same one, or this (placed) one with the same listeners."""
        self._change(Reload(self.spec if spec is None else spec, again=spec is None))

    def _change(self, change: Change) -> None:
        """Returns when the target has taken it. Acts say when it was told and when it had taken it."""
        what, on = type(change).__name__.lower(), on_backend(change)
        self.note(what, on)
        self._do(self._scene.change(change))
        self.note(f"{what} taken", on)
        self.spec = self._sender.spec = self._scene.spec
        for pool in self.spec.pools:
            if pool.name in self._pools:
                self._pools[pool.name].follow(pool)

    def _register(self, pool: StagedPool, name: str, weight: int) -> StagedBackend:
        """A new backend starts and joins the pool."""
        node = self._do(self._scene.add_backend(pool.name, name))
        address = f"[{node.host}]:{node.port}" if ":" in node.host else f"{node.host}:{node.port}"
        backend = self._staged_backend(pool.spec, Backend(name, address, weight), node)
        pool.backends = (*pool.backends, backend)
        backend.register(weight=weight)
        return backend

    # --- time --------------------------------------------------------------------------------------------------------

    def wait(self, seconds: float) -> None:
        """Lets time pass."""
        with self._waiting("for time to pass", seconds):
            self._do(asyncio.sleep(seconds))

    def wait_for(self, condition: Callable[[History], bool], within: float) -> bool:
        """Waits until the condition holds; for readiness, never to make a property green.

        It is looked at after every event, and once more when `within` seconds are over.
        """
        with self._waiting("for a condition", within):
            return self._do(self._until(condition, within))

    @contextmanager
    def _waiting(self, what: str, within: float) -> Iterator[None]:
        before, self.waits = self.waits, (what, self.now + within)
        try:
            yield
        finally:
            self.waits = before

    def settle(self) -> bool:
        """Waits until every backend of every pool with an active check has had its `settle_probes` good probes.

        False, with an act in the history, where a target did not probe so in time; nothing to wait for where nobody
        tells of probes. HarnessFault where a backend does not answer when it is asked directly.
        """
        if self._signatures is not None:
            return True
        self._do(self._until(lambda h: not unsettled(self.spec, h), settle_within_s(self.spec) + self.slack))
        if list(checked_pools(self.spec)):
            self.wait(max(self.slack, 0.001))
        lacking = unsettled(self.spec, self.sync())
        self.note("unsettled" if lacking else "settled", detail=", ".join(lacking))
        if not self.control(1):
            raise HarnessFault("a backend does not answer when it is asked directly", remedy="see the history's end")
        return not lacking

    def control(self, n: int) -> bool:
        """Asks each backend that runs and accepts directly, `n` times, past the target: does all of it get answered?

        These requests are answered well whatever the script says of others, and leave nothing in the history.
        """
        asked = self._asked()
        ids = [f"{CONTROL}-{number}" for number in range(1, n * len(asked) + 1)]
        changed = [backend for backend in asked if backend.answer_well(ids)]
        answered = self._do(self._sender.control([Endpoint(b.name, b.node.host, b.node.port) for b in asked], n))
        for backend in changed:
            backend.answer_as_before()
        return answered

    def rehearse(self) -> Control:
        """The control run: all that this check has sent so far, at the same rate and mix, straight at the backends.

        Those that run and accept are asked, and answer well for its duration; a fault beyond their script stays. It
        leaves nothing in the history, and takes no time off the check's.
        """
        asked = self._asked()
        changed = [backend for backend in asked if backend.answer_well()]
        try:
            return self._lab.run(self._sender.rehearse([Endpoint(b.name, b.node.host, b.node.port) for b in asked]))
        finally:
            for backend in changed:
                backend.answer_as_before()

    def _asked(self) -> list[StagedBackend]:
        """The backends that may be asked directly. Unsupported where they are none of lbcheck's."""
        if self._signatures is not None:
            raise Unsupported("backends that are none of lbcheck's are not asked directly")
        return [backend for pool in self._pools.values() for backend in pool.backends if backend.reachable]

    def endpoint(self, listener: str) -> Endpoint:
        """Where clients meet it."""
        return self._sender.endpoint(listener)

    def departed(self, *, ask: bool) -> str:
        """As `StagedTarget.departed`: why the target is gone although nobody told it to go; "" where it serves."""
        listeners = [self._sender.endpoint(listener.name) for listener in self.spec.listeners]
        return self._lab.run(self.target.departed(listeners, self.slack, ask=ask))

    def sync(self) -> History:
        """The history with everything that backends have recorded up to now."""
        self._do(self._scene.sync())
        return self.history

    def note(self, what: str, on: str = "", detail: str = "") -> float:
        """Puts an `Act` into the history; the moment at which it stands there."""
        at = self.now
        self.history.append(Act(at, what, on, detail))
        return at

    # --- inside ------------------------------------------------------------------------------------------------------

    def _do(self, work: Awaitable[T]) -> T:
        """Runs work within the check's time, then looks whether everybody is still there.

        What backends recorded meanwhile is in the history when it returns: no judge sees an answer without its arrival.
        """
        result = self._lab.run(self._bounded(work))
        self._look()
        return result

    async def _bounded(self, work: Awaitable[T]) -> T:
        left = self._ends - self._lab.now()
        try:
            result = await asyncio.wait_for(work, max(left, 0.001))
            await self._scene.sync()
            return result
        except TimeoutError:
            if self._lab.now() < self._ends:
                raise
            raise HarnessFault(
                f"the check did not end within {self._limit_s:g} s",
                remedy="a hung backend or target, or a spec with long times: raise the check's limit",
            ) from None

    def _look(self) -> None:
        for pool in self._pools.values():
            for backend in pool.backends:
                if backend.expected_alive and not backend.node.alive():
                    raise HarnessFault(
                        f"backend {pool.name}/{backend.name} went without having been told",
                        remedy="the machine may be short of memory; nothing is said about the target",
                    )
        self.target.look()
        if self._signatures is not None:
            self._signatures.look()

    async def _until(self, condition: Callable[[History], bool], within: float) -> bool:
        changed = asyncio.Event()

        def hear(_: Event) -> None:
            changed.set()

        self.history.heard.append(hear)
        try:
            async with asyncio.timeout(within):
                while not condition(self.history):
                    changed.clear()
                    await changed.wait()
        except TimeoutError:
            await self._scene.sync()
        finally:
            self.history.heard.remove(hear)
        return condition(self.history)

    def _staged(self, pool: Pool) -> StagedPool:
        nodes = self._scene.backends
        staged = (self._staged_backend(pool, backend, nodes[pool.name, backend.name]) for backend in pool.backends)
        return StagedPool(pool, tuple(staged), self._register)

    def _staged_backend(self, pool: Pool, backend: Backend, node: BackendNode) -> StagedBackend:
        return StagedBackend(backend, pool, node, self._do, self.note, self.sync, self._change, self._opening)

    def _width(self, to: Destination) -> int:
        """How many requests are one round."""
        if isinstance(to, StagedPool | Pool):
            return len(to.backends)
        pools = self.spec.pools
        return len(pools[0].backends) if len(pools) == 1 else 1


async def _begun(traffic: Traffic) -> None:
    traffic.start()


@contextmanager
def open_stage(
    lab: Lab,
    spec: Any,
    subject: Subject,
    *,
    seed: int = 0,
    limit_s: float | None = None,
    opening: Opening = "settled",
    drift_s: float = 0.0,
) -> Iterator[Stage]:
    """Sets a spec (or a LoadedSpec) up in a lab, settles it where it is to open so, and takes it down again.

    `limit_s`: seconds on the lab's clock that the check may take (default: the lab's). `opening`: as on a check's card.
    `drift_s`: by how much times on the target's clock may be off, beside the lab's slack. Raises what the lab does.
    """
    scene = lab.run(lab.open(getattr(spec, "spec", spec), seed=seed, opening=opening))
    try:
        stage = Stage(lab, scene, subject, seed, limit_s or lab.limit_s, opening, drift_s)
        try:
            if opening == "settled":
                stage.settle()
            yield stage
        finally:
            lab.run(stage._sender.close())
    finally:
        lab.run(scene.close())
