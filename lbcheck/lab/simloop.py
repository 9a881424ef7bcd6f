"""A simulated asyncio loop: virtual time that jumps to the next timer, and an in-memory network.

What runs on it is ordinary asyncio code. Nothing here reads a clock, opens a socket or starts a thread, and callbacks
due at the same moment run in the order in which they were scheduled: one seed, one history.
"""

from __future__ import annotations

import asyncio
import heapq
import socket
from collections import deque
from collections.abc import Awaitable, Callable, Generator
from contextvars import Context
from typing import Any, NoReturn, TypeVar, TypeVarTuple, Unpack, cast

from lbcheck.backends.blackhole import Silence
from lbcheck.errors import HarnessFault
from lbcheck.lab.simnet import SimNetwork, SimServer

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

EPOCH_S = 1000.0  # virtual time begins here: a zero would hide code that takes "no time yet" for a time
STANDSTILL_CALLBACKS = 1_000_000  # callbacks without time passing: more is a livelock


class Deadlock(HarnessFault):
    """Nothing is ready and no timer is set, while something is still waited for."""


class SimLoop(asyncio.BaseEventLoop):
    """Runs callbacks in virtual time. `network` is the in-memory network that its transports live on."""

    simulated = True
    _ready: deque[asyncio.Handle]
    _stopping: bool

    def __init__(self, network: SimNetwork | None = None, *, horizon_s: float = 86_400.0) -> None:
        """`horizon_s`: virtual seconds after which a run is taken for endless and ended by a HarnessFault."""
        super().__init__()
        self.network = network or SimNetwork()
        self.horizon_s = horizon_s
        self._now = EPOCH_S
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._order = 0
        self._still = 0

    # --- time --------------------------------------------------------------------------------------------------------

    def time(self) -> float:
        return self._now

    def rewind(self) -> None:
        """Begins afresh at the epoch, with no timer, no listener and every port free."""
        for _, _, timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self._now, self._order, self._still = EPOCH_S, 0, 0
        self.network.reset()

    def call_at(
        self,
        when: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        self._order += 1
        heapq.heappush(self._timers, (when, self._order, timer))
        return timer

    def call_later(
        self,
        delay: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """A cancelled timer stays in the heap until it comes up; `_jump` passes over it without moving time."""

    def _run_once(self) -> None:
        ready = self._ready
        if not ready and not self._stopping:
            self._jump()
        timers, now = self._timers, self._now
        while timers and timers[0][0] <= now:
            ready.append(heapq.heappop(timers)[2])
        self._still += len(ready)
        if self._still > STANDSTILL_CALLBACKS:
            raise HarnessFault(
                f"{self._still} callbacks ran at one moment of virtual time ({now:.6f})",
                remedy="something reschedules itself with call_soon for ever: give it a delay",
            )
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle.cancelled():
                handle._run()

    def _jump(self) -> None:
        """Moves time to the next live timer."""
        timers = self._timers
        while timers and timers[0][2].cancelled():
            heapq.heappop(timers)
        if not timers:
            raise Deadlock(
                "the simulated loop has nothing ready and no timer set, but something is still waited for",
                remedy="look for a future that nobody completes; waiting for traffic needs a time limit",
            )
        if timers[0][0] > self._now:
            self._now = timers[0][0]
            self._still = 0
        if self._now - EPOCH_S > self.horizon_s:
            raise HarnessFault(
                f"the simulation passed its horizon of {self.horizon_s:g} virtual seconds",
                remedy="a wait without an end, or raise SimLoop(horizon_s=...)",
            )

    def run_until_complete(self, future: Generator[Any, None, T] | Awaitable[T]) -> T:
        """As asyncio's; after a deadlock or a passed horizon the work is cancelled, so that nothing stays pending."""
        task: asyncio.Future[T] = asyncio.ensure_future(cast(Awaitable[T], future), loop=self)
        try:
            return super().run_until_complete(task)
        except HarnessFault:
            if not task.done():
                self._give_up(task)
            raise

    def _give_up(self, task: asyncio.Future[Any]) -> None:
        task.cancel()
        for _ in range(100):
            if task.done():
                return
            self.call_soon(self.stop)
            self.run_forever()

    # --- network -----------------------------------------------------------------------------------------------------

    async def create_server(  # type: ignore[override]
        self,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        host: str | None = None,
        port: int | None = None,
        *,
        ssl: None = None,
        start_serving: bool = True,
        **_: object,
    ) -> SimServer:
        """Listens in memory; OSError(EADDRINUSE) where the address is taken. Port 0: the network's next free one."""
        _no_tls(ssl)
        server = SimServer(self, protocol_factory, self.network.free_address(host, port or 0))
        if start_serving:
            await server.start_serving()
        return server

    async def create_connection(  # type: ignore[override]
        self,
        protocol_factory: Callable[[], Any],
        host: str | None = None,
        port: int | None = None,
        *,
        ssl: None = None,
        local_addr: tuple[str, int] | None = None,
        **_: object,
    ) -> tuple[asyncio.Transport, Any]:
        """Connects in memory; ConnectionRefusedError where nobody listens, TimeoutError where nothing answers."""
        _no_tls(ssl)
        if host is None or port is None:
            raise ValueError("the simulated network needs a host and a port")
        return await self.network.connect(self, protocol_factory, (host, port), local_addr)

    def blackhole(self, host: str, port: int) -> Silence:
        """Attempts to connect get no answer until it is closed."""
        return self.network.blackhole((host, port))

    async def getaddrinfo(  # type: ignore[override]
        self, host: str, port: int, **_: int
    ) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        """Literal addresses only; names do not exist here."""
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", (host, port))]

    # --- what a simulation has not -----------------------------------------------------------------------------------

    def call_soon_threadsafe(
        self, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        return self.call_soon(callback, *args, context=context)

    def run_in_executor(self, *_: object) -> NoReturn:
        raise HarnessFault("a thread was asked for on the simulated loop", remedy="use plain asyncio calls only")


def _no_tls(ssl: object) -> None:
    if ssl:
        raise HarnessFault("the simulated network has no TLS", remedy="use --lb-lab=process for TLS")
