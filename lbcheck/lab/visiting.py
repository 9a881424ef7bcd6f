"""A scene whose backends run by themselves: visited, heard, and left again when it ends."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from lbcheck.backends.remote import RemoteBackend
from lbcheck.history import Arrival, Connected, Event, History
from lbcheck.lab.base import BackendNode
from lbcheck.lab.control import CONTROL
from lbcheck.lab.placing import BackendKey

LOOK_S = 0.005  # how often what backends told is recorded while the loop runs


class Sieve:
    """Keeps back what the harness itself asked a backend directly: connections that begin with such a request.

    A connection is let through with the first that happens on it.
    """

    def __init__(self) -> None:
        self._begun: dict[tuple[str, int], Connected] = {}
        self._hidden: set[tuple[str, int]] = set()

    def __call__(self, event: Event) -> tuple[Event, ...]:
        key = (getattr(event, "backend", ""), getattr(event, "connection", 0))
        if isinstance(event, Connected):
            self._begun[key] = event
            return ()
        begun = self._begun.pop(key, None)
        if isinstance(event, Arrival) and (event.id or "").startswith(f"{CONTROL}-"):
            self._hidden.add(key)
        if key in self._hidden:
            return ()
        return (event,) if begun is None else (begun, event)


class VisitingScene:
    """`ending` holds what undoes it, last begun first."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.backends: dict[BackendKey, BackendNode] = {}
        self.ending = contextlib.AsyncExitStack()
        self._sieve = Sieve()
        self._heard: list[Event] = []
        self._visited: list[RemoteBackend] = []

    @property
    def hear(self) -> Callable[[Event], None]:
        """Takes what a backend tells, in any order."""
        return self._heard.append

    async def take(self, node: RemoteBackend) -> None:
        """It is this scene's until that ends. BackendUnreachable where it is not to be had."""
        self.ending.push_async_callback(node.leave)
        await node.visit()
        self._visited.append(node)
        self.backends[node.pool, node.name] = node

    @property
    def clock_error_s(self) -> float:
        """By how much events of backends may be early or late."""
        return max((node.clock_error_s for node in self._visited), default=0.0)

    # --- what they tell ----------------------------------------------------------------------------------------------

    def listen(self) -> None:
        """From now on what backends tell is recorded while the loop runs."""
        task = asyncio.get_running_loop().create_task(self._keep_recording())
        self.ending.callback(task.cancel)

    def record(self) -> None:
        heard, self._heard[:] = sorted(self._heard, key=lambda event: event.at), []
        for event in heard:
            for let in self._sieve(event):
                self.history.append(let)

    async def sync(self) -> None:
        await asyncio.gather(*(node.sync() for node in self._visited if node.connected))
        self.record()

    async def _keep_recording(self) -> None:
        while True:
            self.record()
            await asyncio.sleep(LOOK_S)

    async def close(self) -> None:
        await self.ending.aclose()
