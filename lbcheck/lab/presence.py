"""Is the target still there? It accepts, and something of it reads what is sent."""

from __future__ import annotations

import asyncio

from lbcheck.client.http import Endpoint

# No request at all: every HTTP server answers it with a 400 or closes, whatever its configuration and its backends.
NONSENSE = b"?\r\n\r\n"


class _Reaction(asyncio.Protocol):
    """`seen` is done when the peer has answered or closed."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.seen: asyncio.Future[None] = loop.create_future()

    def data_received(self, data: bytes) -> None:
        del data
        self._see()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._see()

    def _see(self) -> None:
        if not self.seen.done():
            self.seen.set_result(None)


async def refuses(host: str, port: int) -> bool:
    """Is nobody there who takes a connection? The witness of a backend that was killed, or told to refuse."""
    try:
        transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, host, port)
    except OSError:
        return True
    transport.abort()
    return False


async def missing(listener: Endpoint, within_s: float, *, ask: bool) -> str:
    """Why nobody serves there, in words; "" where somebody does.

    A kernel completes handshakes for a process that hangs: `ask` sends what is no request and waits for any reaction.
    """
    loop = asyncio.get_running_loop()
    where = f"{listener.host}:{listener.port} ({listener.listener})"
    try:
        async with asyncio.timeout(within_s):
            transport, reaction = await loop.create_connection(lambda: _Reaction(loop), listener.host, listener.port)
    except TimeoutError:
        return f"{where} does not accept within {within_s:g} s"
    except OSError as error:
        return f"{where} does not accept: {error.strerror or error}"
    try:
        if ask:
            transport.write(NONSENSE)
            await asyncio.wait_for(reaction.seen, within_s)
        return ""
    except TimeoutError:
        return f"{where} accepts, but nobody reads: no answer and no close within {within_s:g} s"
    finally:
        transport.abort()
