"""Is the target still there? It accepts, and something of it reads what is sent."""

from __future__ import annotations

import asyncio
import errno
import ssl
from typing import cast

from lbcheck.client.http import Endpoint
from lbcheck.client.tls import connect
from lbcheck.lab.control import CONTROL

SILENT_S = 0.1  # over loopback and its like whoever answers does so at once
# No request at all: every HTTP server answers it with a 400 or closes, whatever its configuration and its backends.
NONSENSE = b"?\r\n\r\n"
ASKED = f"GET / HTTP/1.1\r\nHost: lbcheck\r\nLbcheck-Id: {CONTROL}-look\r\n\r\n".encode()  # no part of a history


class _Reaction(asyncio.Protocol):
    """`seen` is done when the peer has answered or closed; it holds what it ended with, where that was an error."""

    transport: asyncio.Transport

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.seen: asyncio.Future[Exception | None] = loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        del data
        self._see()

    def connection_lost(self, exc: Exception | None) -> None:
        self._see(None if isinstance(exc, ssl.SSLEOFError) else exc)

    async def to(self, said: bytes, within_s: float) -> Exception | None:
        """What it ended with, where that was an error; TimeoutError where nothing came."""
        self.transport.write(said)
        return await asyncio.wait_for(self.seen, within_s)

    def _see(self, error: Exception | None = None) -> None:
        if not self.seen.done():
            self.seen.set_result(error)


async def refuses(host: str, port: int) -> bool:
    """Is nobody there who takes a connection? The witness of a backend that was killed, or told to refuse."""
    try:
        transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, host, port)
    except OSError:
        return True
    transport.abort()
    return False


async def swallows(host: str, port: int) -> bool:
    """Is an attempt to connect neither taken nor refused? The witness of a blackhole."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(SILENT_S):
            transport, _ = await loop.create_connection(asyncio.Protocol, host, port)
    except TimeoutError:
        return True
    except OSError:
        return False
    transport.abort()
    return False


async def stands_still(host: str, port: int) -> bool:
    """Does the kernel take a connection that nobody reads from? The witness of a backend that was paused."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(SILENT_S):
            _, reaction = await loop.create_connection(lambda: _Reaction(loop), host, port)
    except (TimeoutError, OSError):
        return False
    try:
        await reaction.to(ASKED, SILENT_S)
    except TimeoutError:
        return True
    finally:
        reaction.transport.abort()
    return False


async def unreachable(host: str, port: int) -> bool:
    """Is nobody at the address, not even a kernel that refuses? The witness of a backend that is off the network."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(SILENT_S):
            transport, _ = await loop.create_connection(asyncio.Protocol, host, port)
    except TimeoutError:
        return True
    except OSError as error:
        return error.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH)
    transport.abort()
    return False


async def missing(listener: Endpoint, within_s: float, *, ask: bool) -> str:
    """Why nobody serves there, in words; "" where somebody does.

    A kernel completes handshakes for a process that hangs: `ask` sends what is no request and waits for any reaction.
    Over TLS that is asked for always, since a client is refused only after its own part of the handshake.
    """
    where = f"{listener.host}:{listener.port} ({listener.listener})"
    over_tls = " a client over TLS" if listener.tls else ""
    try:
        reaction = await _connected(listener, within_s)
    except TimeoutError:
        return f"{where} does not accept{over_tls} within {within_s:g} s"
    except ssl.SSLError as error:
        return f"{where} {trouble(error)}"
    except OSError as error:
        return f"{where} does not accept{over_tls}: {error.strerror or error}"
    try:
        refused = await reaction.to(NONSENSE, within_s) if ask or listener.tls else None
        if listener.tls and isinstance(refused, ConnectionResetError):
            refused = await _unasked(listener, within_s)
    except TimeoutError:
        return f"{where} accepts, but nobody reads: no answer and no close within {within_s:g} s"
    finally:
        reaction.transport.abort()
    return f"{where} {trouble(refused)}" if isinstance(refused, ssl.SSLError) else ""


async def _connected(listener: Endpoint, within_s: float) -> _Reaction:
    loop = asyncio.get_running_loop()
    reaction = _Reaction(loop)
    async with asyncio.timeout(within_s):
        await connect(loop, reaction, listener.tls, host=listener.host, port=listener.port)
    return reaction


async def _unasked(listener: Endpoint, within_s: float) -> Exception | None:
    """What a client is told that says nothing; None where that is nothing.

    Who closes before it has read all resets, and a reset discards the alert that came before (RFC 9293 section 3.5.3).
    """
    try:
        reaction = await _connected(listener, within_s)
    except (TimeoutError, OSError):
        return None  # gone since: the next look tells
    try:
        return await asyncio.wait_for(reaction.seen, within_s)
    except TimeoutError:
        return None
    finally:
        reaction.transport.abort()


NAME_MISMATCH = (62, 64)  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH
NO_RECORDS = ("WRONG_VERSION_NUMBER", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE")


def trouble(error: ssl.SSLError) -> str:
    """What came in place of a connection over TLS, and what to do (pure)."""
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code in NAME_MISMATCH:
            return f"shows another's certificate: {error.verify_message}; --lb-target takes a name that stands in it"
        return f"shows a certificate that does not verify: {error.verify_message}; --lb-cafile names a private CA"
    if isinstance(error, ssl.SSLEOFError):
        return "closes in the TLS handshake; a plain listener is met by http://"
    reason = (error.reason or str(error)).replace("_", " ").lower()
    if error.reason in NO_RECORDS:
        return f"speaks no TLS ({reason}); a plain listener is met by http://"
    return f"refuses a client over TLS: {reason}"
