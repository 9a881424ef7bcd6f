"""The seam between checks and the world: what every lab offers, and the handles that a stage is built on."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Mapping, Sequence
from typing import Protocol, TypeVar, runtime_checkable

from lbcheck.backends.script import Answer, Behaviour, ProbeShape
from lbcheck.checks import Opening
from lbcheck.history import History
from lbcheck.lab.identity import Identity
from lbcheck.lab.placing import Ground
from lbcheck.spec.change import Change
from lbcheck.spec.model import HealthCheck, Pool, Spec
from lbcheck.spec.model import Protocol as Speaks

T = TypeVar("T")


class BackendNode(Protocol):
    """A running instrumented backend. Every call returns when it is in effect (acknowledged by the backend)."""

    name: str
    pool: str
    host: str
    port: int

    def alive(self) -> bool:
        """Does it run? One that was killed through here does not, and that is no surprise."""
        ...

    async def behave(self, behaviour: Behaviour) -> None: ...
    async def release(self, ids: Sequence[str] | None = None) -> None:
        """Lets held requests go on: those, or all."""
        ...

    async def kill(self) -> None:
        """As SIGKILL does: connections end at once, later ones are refused."""
        ...

    async def restart(self) -> None:
        """A killed backend comes back at the same address with the default behaviour."""
        ...


@runtime_checkable
class Contained(Protocol):
    """What can be done to a backend that is in a container of its own, besides."""

    async def pause(self) -> None:
        """It stands still: the kernel takes connections for it, and nobody answers."""
        ...

    async def resume(self) -> None: ...
    async def disconnect(self) -> None:
        """It is off the network, with its address: nothing is refused, nothing answers."""
        ...

    async def reconnect(self) -> None: ...


class TargetNode(Protocol):
    """A running balancer under test."""

    def alive(self) -> bool: ...
    def log(self) -> str:
        """Its last output, for evidence."""
        ...

    def files(self) -> Mapping[str, str]:
        """The rendered or given configuration: file name to text, for evidence."""
        ...

    def left_out(self) -> tuple[str, ...]:
        """ "path: reason" of what that configuration could not say."""
        ...

    async def change(self, change: Change, after: Spec) -> None:
        """Tells it, and returns when it has taken it; `after` is the placed spec that then holds.

        Unsupported where it takes no such change; HarnessFault where it cannot be told.
        """
        ...

    async def retire(self) -> None:
        """Tells it to finish what it has and then to exit; returns at once."""
        ...

    async def kill(self) -> None:
        """As SIGKILL does."""
        ...

    async def restart(self) -> None:
        """One that has exited or was killed starts again with the configuration it had; returns when it accepts."""
        ...


class Scene(Protocol):
    """One placed spec with its backends and target running; torn down by `close`."""

    spec: Spec  # placed: every listener and backend has its address
    history: History

    @property
    def backends(self) -> Mapping[tuple[str, str], BackendNode]:
        """(pool, backend) -> node."""
        ...

    @property
    def target(self) -> TargetNode: ...

    async def change(self, change: Change) -> None:
        """As `TargetNode.change`; `spec` is the changed one when it returns."""
        ...

    async def add_backend(self, pool: str, name: str) -> BackendNode:
        """A further backend that runs, and of which the target knows nothing. HarnessFault if it does not start."""
        ...

    async def sync(self) -> None:
        """Returns when every event that the backends had recorded before the call is in `history`."""
        ...

    async def close(self) -> None: ...


class Lab(Protocol):
    """Owns the loop and the clock; checks are synchronous, the lab runs what is asynchronous."""

    name: str
    target: str  # the target's name
    ground: Ground  # the addresses that this worker owns
    rng: random.Random
    limit_s: float  # seconds that one check may take on this lab's clock
    rate: int  # how many times as fast as this lab's clock the target's runs
    identity: Identity | None  # how answers name backends that are none of lbcheck's

    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...

    def run(self, work: Awaitable[T]) -> T:
        """Runs to completion on the lab's loop; time passes only here."""
        ...

    def now(self) -> float: ...

    def slack(self) -> float:
        """p99.9 of timer lateness in seconds, as measured (`sim`: the time of flight of one exchange)."""
        ...

    def worst(self) -> float:
        """The latest that a timer has been since the scene opened, in seconds."""
        ...

    async def measure(self) -> None:
        """Looks at the machine anew: what `slack` says later is from now on, not from before."""
        ...

    async def open(self, spec: Spec, *, seed: int, opening: Opening = "settled") -> Scene:
        """Places the spec, starts backends then the target, waits until every listener accepts.

        Backends of one name in several pools have names of their own in the scene (`Names`), not at the target.

        `opening` is how backends behave from their start (`first_behaviour`).

        TargetNeverReady with the target's log if it does not; HarnessFault if a backend does not start.
        """
        ...

    def close(self) -> None:
        """Ends everything that the lab started; nothing stays behind."""
        ...


def probe_shape(pool: Pool) -> ProbeShape | None:
    """How the pool's backends know a probe; None where no HTTP probe is declared."""
    check = pool.health_check
    if check is None or check.protocol is not Speaks.HTTP:
        return None
    return ProbeShape(check.method, check.path, check.port)


def first_behaviour(pool: Pool, opening: Opening = "settled") -> Behaviour:
    """What the pool's backends do unasked: answer well, and probes so that the check takes them for good.

    Where a stage opens otherwise, probes are good after three quarters of their timeout (`slow`), or bad (`failing`).
    """
    check = pool.health_check
    if check is None:
        return Behaviour()
    good = next(status for status in range(200, 600) if check.accepts(status))
    if opening == "failing":
        return Behaviour(probe=Answer(status=bad_status(check)))
    return Behaviour(probe=Answer(status=good, delay=0.75 * check.timeout if opening == "slow" else 0.0))


def bad_status(check: HealthCheck) -> int:
    """A status that the check does not take for good."""
    candidates: list[int] = [503, 500, 404, *range(400, 600)]
    return next(status for status in candidates if not check.accepts(status))
