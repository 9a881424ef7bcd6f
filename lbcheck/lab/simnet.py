"""The network of the simulator: listeners, connections and time of flight, all in memory.

Addresses are strings, ports integers; nothing is shared between two networks. Faults act here: an address in `dark`
swallows connection attempts, one in `refusing` answers them with RST.
"""

from __future__ import annotations

import asyncio
import errno
import os
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lbcheck.backends.blackhole import Silence
from lbcheck.lab.simsocket import Address, SimTransport, pair

if TYPE_CHECKING:
    from lbcheck.lab.simloop import SimLoop

HOP_S = 50e-6  # one way, about what loopback and a scheduler cost
CONNECT_S = 127.0  # Linux gives up after tcp_syn_retries = 6: 127 s (ip-sysctl.rst)
FIRST_PORT, LAST_PORT = 32768, 60999  # Linux's ip_local_port_range
ANY = "0.0.0.0"


class SimNetwork:
    """Who listens where, and how long a segment flies: `hop_s`, plus up to `jitter_s` drawn from `rng`."""

    def __init__(self, *, hop_s: float = HOP_S, jitter_s: float = 0.0, rng: random.Random | None = None) -> None:
        self.hop_s = hop_s
        self.jitter_s = jitter_s
        self.dark: set[str] = set()
        self.refusing: set[str] = set()
        self._rng = rng or random.Random(0)
        self._silent: set[Address] = set()
        self._listeners: dict[Address, SimServer] = {}
        self._next_port = FIRST_PORT

    def reset(self) -> None:
        """Nobody listens any more, every fault is healed, ports are counted from the first again."""
        self.dark.clear()
        self.refusing.clear()
        self._silent.clear()
        self._listeners.clear()
        self._next_port = FIRST_PORT

    def flight_s(self) -> float:
        """Seconds that the next segment is under way."""
        return self.hop_s + self._rng.random() * self.jitter_s if self.jitter_s else self.hop_s

    # --- addresses ---------------------------------------------------------------------------------------------------

    def free_address(self, host: str | None, port: int) -> Address:
        """The address to listen on; OSError(EADDRINUSE) where it is taken."""
        if port == 0:
            return (host or ANY, self._free_port(host or ANY))
        address = (host or ANY, port)
        if self.listener(address) is not None:
            raise OSError(errno.EADDRINUSE, f"{os.strerror(errno.EADDRINUSE)}: {address[0]}:{port}")
        return address

    def _free_port(self, host: str) -> int:
        for _ in range(LAST_PORT - FIRST_PORT + 1):
            port = self._next_port
            self._next_port = port + 1 if port < LAST_PORT else FIRST_PORT
            if self.listener((host, port)) is None:
                return port
        raise OSError(errno.EADDRNOTAVAIL, f"{os.strerror(errno.EADDRNOTAVAIL)}: {host}")

    def listener(self, address: Address) -> SimServer | None:
        return self._listeners.get(address) or self._listeners.get((ANY, address[1]))

    def listen(self, server: SimServer) -> None:
        self._listeners[server.address] = server

    def unlisten(self, server: SimServer) -> None:
        if self._listeners.get(server.address) is server:
            del self._listeners[server.address]

    def blackhole(self, address: Address) -> Silence:
        self._silent.add(address)
        return _SimSilence(self._silent, address)

    # --- connecting --------------------------------------------------------------------------------------------------

    async def connect(
        self, loop: SimLoop, factory: Callable[[], Any], to: Address, source: Address | None
    ) -> tuple[asyncio.Transport, Any]:
        """A connection after one round trip, as `loop.create_connection` has it."""
        answer: asyncio.Future[SimTransport] = loop.create_future()
        host, port = source or ("127.0.0.1" if to[0].startswith("127.") else to[0], 0)
        local = (host, port or self._free_port(host))
        loop.call_later(self.flight_s(), self._syn, loop, to, local, answer)
        limit = loop.call_later(CONNECT_S, _give_up, to, answer)
        try:
            transport = await answer
        except asyncio.CancelledError:
            if answer.done() and not answer.cancelled() and answer.exception() is None:
                answer.result().abort()
            raise
        finally:
            limit.cancel()
        protocol = factory()
        transport.begin(protocol)
        return transport, protocol

    def _syn(self, loop: SimLoop, to: Address, source: Address, answer: asyncio.Future[SimTransport]) -> None:
        """The attempt reaches the far side."""
        if answer.cancelled() or to[0] in self.dark or to in self._silent:
            return
        server = None if to[0] in self.refusing else self.listener(to)
        if server is None:
            loop.call_later(self.flight_s(), _refuse, to, answer)
            return
        near, far = pair(loop, source, to)
        loop.call_later(self.flight_s(), _accepted, answer, near)
        server.accept(far)


def _accepted(answer: asyncio.Future[SimTransport], transport: SimTransport) -> None:
    if answer.done():  # the attempt was given up while the far side accepted
        transport.abort()
    else:
        answer.set_result(transport)


def _refuse(to: Address, answer: asyncio.Future[SimTransport]) -> None:
    if not answer.done():
        text = f"Connect call failed {to!r}"
        answer.set_exception(ConnectionRefusedError(errno.ECONNREFUSED, text))


def _give_up(to: Address, answer: asyncio.Future[SimTransport]) -> None:
    if not answer.done():
        answer.set_exception(TimeoutError(errno.ETIMEDOUT, f"Connect call failed {to!r}"))


class _SimSilence:
    def __init__(self, silent: set[Address], address: Address) -> None:
        self._silent = silent
        self._address = address

    def close(self) -> None:
        self._silent.discard(self._address)


class ListeningSocket:
    """What `Server.sockets` is asked for: its name."""

    def __init__(self, address: Address) -> None:
        self._address = address

    def getsockname(self) -> Address:
        return self._address


class SimServer(asyncio.AbstractServer):
    """A listening address; `close` refuses later connections and leaves the established ones alone."""

    def __init__(self, loop: SimLoop, factory: Callable[[], asyncio.BaseProtocol], address: Address) -> None:
        self.address = address
        self._loop = loop
        self._factory = factory
        self._serving = False
        self._closed: asyncio.Future[None] = loop.create_future()

    @property
    def sockets(self) -> tuple[ListeningSocket, ...]:
        return (ListeningSocket(self.address),) if self._serving else ()

    def accept(self, transport: SimTransport) -> None:
        transport.begin(self._factory())

    def is_serving(self) -> bool:
        return self._serving

    def get_loop(self) -> SimLoop:
        return self._loop

    async def start_serving(self) -> None:
        if not self._serving and not self._closed.done():
            self._serving = True
            self._loop.network.listen(self)

    async def serve_forever(self) -> None:
        await self.start_serving()
        await asyncio.shield(self._closed)

    def close(self) -> None:
        self._serving = False
        self._loop.network.unlisten(self)
        if not self._closed.done() and not self._loop.is_closed():
            self._closed.set_result(None)

    async def wait_closed(self) -> None:
        await asyncio.shield(self._closed)
