"""TLS under the raw client: what is handed over is exactly what the listener reads, and each end means what it says.

A close is close_notify and FIN at once, without waiting for the peer's (RFC 8446 section 6.1). RST stays RST. A peer
that closes without close_notify has cut the connection (RFC 9112 section 9.8): it ends as with RST.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from lbcheck.errors import Unsupported, UsageError

READ_SIZE = 256 * 1024
ALPN = ["http/1.1"]
NO_HALF_CLOSE = "TLS 1.2 has no half close: its peer answers close_notify by closing too (RFC 5246 section 7.2.1)"


@dataclass(frozen=True, slots=True)
class Tls:
    """How listeners are met over TLS: `name` is sent (SNI, where it is no address) and has to stand in the certificate.

    `cafile`: the certificates of a private CA, which alone is trusted then; None: those that this machine trusts.
    """

    name: str
    cafile: Path | None = None


@lru_cache
def context_of(cafile: Path | None) -> ssl.SSLContext:
    """Verifies always. UsageError where the file holds no certificate."""
    try:
        context = ssl.create_default_context(cafile=cafile)
    except OSError as error:
        why = "holds no certificate" if isinstance(error, ssl.SSLError) else error.strerror
        raise UsageError(f"--lb-cafile={cafile}: {why}", remedy="name a file of certificates in PEM") from None
    context.set_alpn_protocols(ALPN)
    return context


async def connect(loop: asyncio.AbstractEventLoop, protocol: asyncio.Protocol, tls: Tls | None, **how: Any) -> None:
    """`loop.create_connection`, then the handshake where there is one to be made; the protocol's transport is ready.

    OSError as the system has it; ssl.SSLError where the handshake fails, SSLEOFError where the peer closes in it.
    """
    if tls is None:
        await loop.create_connection(lambda: protocol, **how)
        return
    connection = TlsConnection(loop, protocol, tls)
    await loop.create_connection(lambda: connection, **how)
    try:
        await connection.shaken
    except BaseException:
        connection.give_up()
        raise


class TlsConnection(asyncio.Protocol, asyncio.Transport):
    """Between a TCP transport, whose protocol it is, and the client's protocol, whose transport it is."""

    def __init__(self, loop: asyncio.AbstractEventLoop, protocol: asyncio.Protocol, tls: Tls) -> None:
        super().__init__()
        self.shaken: asyncio.Future[None] = loop.create_future()
        self._protocol = protocol
        self._came, self._goes = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context_of(tls.cafile).wrap_bio(self._came, self._goes, server_hostname=tls.name)
        self._open = False  # is the handshake done?
        self._lost = False  # is it over, and does the client's protocol know?

    # --- the client's side -------------------------------------------------------------------------------------------

    def write(self, data: Any) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[self._tls.write(rest) :]  # a record at a time
        self._flush()

    def close(self) -> None:
        if not self.is_closing():
            self._notify()
            self._tcp.close()

    def abort(self) -> None:
        self._tcp.abort()

    def write_eof(self) -> None:
        raise Unsupported(NO_HALF_CLOSE)

    def can_write_eof(self) -> bool:
        return False

    def is_closing(self) -> bool:
        return self._tcp.is_closing()

    def pause_reading(self) -> None:
        self._tcp.pause_reading()

    def resume_reading(self) -> None:
        self._tcp.resume_reading()

    def get_write_buffer_size(self) -> int:
        return self._tcp.get_write_buffer_size()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._tls if name == "ssl_object" else self._tcp.get_extra_info(name, default)

    def give_up(self) -> None:
        """Leaves in the handshake; an alert that says why goes out before."""
        self._lost = True
        self._flush()
        self._tcp.close()

    # --- the network's side ------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._tcp = cast(asyncio.Transport, transport)
        self._shake()

    def data_received(self, data: bytes) -> None:
        self._came.write(data)
        if not self._open and not self.shaken.done():
            self._shake()
        if self._open and not self._lost:
            self._read()

    def eof_received(self) -> None:
        self._cut(ssl.SSLEOFError(ssl.SSL_ERROR_EOF, "the peer closed without close_notify"))

    def connection_lost(self, exc: Exception | None) -> None:
        self._cut(exc)

    # --- between them ------------------------------------------------------------------------------------------------

    def _shake(self) -> None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
        except ssl.SSLError as error:
            self._cut(error)
        else:
            self._flush()
            self._open = True
            self._protocol.connection_made(self)
            self.shaken.set_result(None)

    def _read(self) -> None:
        try:
            while not self.is_closing() and (data := self._tls.read(READ_SIZE)):
                self._protocol.data_received(data)
        except ssl.SSLWantReadError:
            self._flush()  # what TLS itself has to say, as to a new key
            return
        except ssl.SSLZeroReturnError:
            pass
        except ssl.SSLError as error:
            self._cut(error)
            self.abort()
            return
        if not self.is_closing():
            self._protocol.eof_received()
            self.close()

    def _cut(self, error: Exception | None) -> None:
        """The connection is over: for the handshake, or for the client's protocol."""
        if self._open and not self._lost:
            self._lost = True
            self._protocol.connection_lost(error)
        elif not self.shaken.done():
            self.shaken.set_exception(error or ConnectionResetError("the connection was lost in the handshake"))
            self.shaken.exception()  # seen, also where nobody waits any more

    def _notify(self) -> None:
        with contextlib.suppress(ssl.SSLError):  # it would wait for the peer's
            self._tls.unwrap()
        self._flush()

    def _flush(self) -> None:
        if self._goes.pending and not self.is_closing():
            self._tcp.write(self._goes.read())
