"""The seam between checks and the world: what every lab offers, and the handles that a stage is built on."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Mapping, Sequence
from typing import Protocol, TypeVar

from lbcheck.backends.script import Behaviour
from lbcheck.history import History
from lbcheck.spec.model import Spec

T = TypeVar("T")


class BackendNode(Protocol):
    """A running instrumented backend. Every call returns when it is in effect (acknowledged by the backend)."""

    name: str
    pool: str
    host: str
    port: int

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


class TargetNode(Protocol):
    """A running balancer under test."""

    def alive(self) -> bool: ...
    def log(self) -> str:
        """Its last output, for evidence."""
        ...

    def files(self) -> Mapping[str, str]:
        """The rendered or given configuration: file name to text, for evidence."""
        ...


class Scene(Protocol):
    """One placed spec with its backends and target running; torn down by `close`."""

    spec: Spec  # placed: every listener and backend has its address
    history: History
    backends: Mapping[tuple[str, str], BackendNode]  # (pool, backend) -> node
    target: TargetNode

    async def sync(self) -> None:
        """Returns when every event that the backends had recorded before the call is in `history`."""
        ...

    async def close(self) -> None: ...


class Lab(Protocol):
    """Owns the loop and the clock; checks are synchronous, the lab runs what is asynchronous."""

    name: str
    loop: asyncio.AbstractEventLoop
    rng: random.Random

    def run(self, work: Awaitable[T]) -> T:
        """Runs to completion on the lab's loop; time passes only here."""
        ...

    def now(self) -> float: ...

    def slack(self) -> float:
        """p99.9 of timer lateness in seconds, as measured (`sim`: 0)."""
        ...

    async def open(self, spec: Spec, *, seed: int) -> Scene:
        """Places the spec, starts backends then the target, waits until every listener accepts.

        TargetNeverReady with the target's log if it does not; HarnessFault if a backend does not start.
        """
        ...

    def close(self) -> None:
        """Ends everything that the lab started; nothing stays behind."""
        ...
