"""The raw client: what is sent is exactly what was asked for, once, and everything that comes of it is recorded."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from lbcheck.client.call import Call
from lbcheck.client.connection import ClientConnection, hang_up
from lbcheck.client.ids import Ids
from lbcheck.client.outgoing import Outgoing, Pace, outgoing, requests_in
from lbcheck.client.raw import RawConversation, extra
from lbcheck.client.sending import Sending
from lbcheck.client.tls import NO_HALF_CLOSE, Tls, connect
from lbcheck.errors import HarnessFault, Unsupported
from lbcheck.history import Exchange
from lbcheck.spec.request import Request

LOOPBACK = "127.0.0.1"  # what the system takes by itself for loopback destinations
IP_BIND_ADDRESS_NO_PORT = 24  # Linux, ip(7): the port is chosen at connect, so TIME_WAIT does not use ports up
TWINS = ipaddress.IPv6Address("fd7f:6c62::")  # a unique local prefix (RFC 4193)


def twin(address: str) -> str:
    """The IPv6 address that stands for an IPv4 one where the other end has IPv6 (only a sealed lab has them)."""
    return str(TWINS + int(ipaddress.IPv4Address(address)))


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a listener can be reached; `listener` is its name in the spec (or a backend's, for a control run).

    `tls` None: by plain TCP.
    """

    listener: str
    host: str
    port: int
    tls: Tls | None = None


class HttpClient:
    """Sends requests from the running loop, a simulated one too; `record` hears of every exchange when it is over.

    A request is never sent twice and no answer is followed: what happened is what the history says. `within` bounds
    each call, from invocation to the last byte. HarnessFault where this machine can't send (source address, files).
    """

    def __init__(
        self,
        record: Callable[[Exchange], None],
        ids: Ids | None = None,
        sign: Callable[[Exchange], Exchange] | None = None,
    ) -> None:
        """`sign`: what is made of each exchange before anybody sees it."""
        self._sign = sign
        self.ids = ids or Ids()
        self.sendings: list[Sending] = []  # what `start` has sent so far
        self._record = record
        self._connections: dict[str, ClientConnection] = {}
        self._opening: dict[Call, asyncio.Task[None]] = {}

    def start(
        self,
        to: Endpoint,
        request: Request,
        *,
        body: bytes | None = None,
        chunked: bool = False,
        expect_continue: bool = False,
        pace: Pace | None = None,
        deaf_s: float = 0.0,
        within: float = 10.0,
        on: Kept | None = None,
        open_loop: bool = False,
    ) -> Call:
        """Sends on a fresh connection or a kept one (`on`) without waiting; `call.done` is the exchange to come.

        `deaf_s`: so long nothing of the answer is read.

        `open_loop` is noted in `sendings`: the request goes out because it is due.
        """
        loop = asyncio.get_running_loop()
        out = outgoing(request, self.ids(), body=body, chunked=chunked, expect_continue=expect_continue)
        call = Call(loop, self._record, to.listener, out, request.source, self._sign)
        size = None if body is None else len(body)
        self.sendings.append(Sending(call.invoked, request.method, size, chunked, on is not None, open_loop))
        call.timer = loop.call_later(within, call.end, "timeout")
        connection = on.idle() if on else None
        if connection is not None:
            connection.begin(call, pace, deaf_s)
            return call
        task = loop.create_task(self._open(to, call, pace, deaf_s, on))
        self._opening[call] = task
        call.leave = lambda _: _cancel(task)
        return call

    async def send(
        self,
        to: Endpoint,
        request: Request,
        *,
        body: bytes | None = None,
        chunked: bool = False,
        expect_continue: bool = False,
        pace: Pace | None = None,
        within: float = 10.0,
        on: Kept | None = None,
    ) -> Exchange:
        """`start`, and waits until it is over."""
        call = self.start(
            to,
            request,
            body=body,
            chunked=chunked,
            expect_continue=expect_continue,
            pace=pace,
            within=within,
            on=on,
        )
        return await call.done

    async def raw(
        self,
        to: Endpoint,
        data: bytes,
        *,
        source: str = LOOPBACK,
        within: float = 2.0,
        linger_s: float = 0.2,
        half_close: bool = False,
        pace: Pace | None = None,
        deaf_s: float = 0.0,
    ) -> list[Exchange]:
        """Sends these bytes on a fresh connection and reads answers until the peer closes, `within` passes, or all are
        there and nothing more came for `linger_s`. For `deaf_s` nothing is read.

        One exchange for each request that a strict reader finds in the bytes (one at least), in order, and one for each
        answer beyond these: it takes the next id that stands in the bytes, or the first id with `+n`.

        Unsupported for a half close over TLS.
        """
        if half_close and to.tls is not None:
            raise Unsupported(NO_HALF_CLOSE)
        loop = asyncio.get_running_loop()
        found, spare = requests_in(data, self.ids())

        def call_for(out: Outgoing) -> Call:
            return Call(loop, self._record, to.listener, out, source, self._sign)

        def further(number: int) -> Call:
            return call_for(extra(spare.pop(0) if spare else f"{found[0].id}+{number}"))

        talk = RawConversation(loop, self.ids.connection(), [call_for(out) for out in found], further, linger_s)
        timer = loop.call_later(within, talk.end, "timeout")
        begin = partial(talk.send, data, half_close=half_close, pace=pace, deaf_s=deaf_s)
        opening = loop.create_task(self._open_raw(to, source, talk, begin))
        try:
            await talk.done
        finally:
            timer.cancel()
            _cancel(opening)
            await asyncio.wait([opening])
        for call in talk.calls:
            call.done.exception()  # seen: `result` below raises it
        return [call.done.result() for call in talk.calls]

    async def close(self) -> None:
        """Ends every connection and what is still on its way (`aborted`)."""
        tasks = list(self._opening.values())
        for call in list(self._opening):
            call.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for connection in list(self._connections.values()):
            connection.quit()
        await asyncio.sleep(0)

    # --- opening -----------------------------------------------------------------------------------------------------

    async def _open(self, to: Endpoint, call: Call, pace: Pace | None, deaf_s: float, on: Kept | None) -> None:
        loop = asyncio.get_running_loop()
        connection = ClientConnection(loop, self.ids.connection(), kept=on is not None, gone=self._gone)
        try:
            await _connect(loop, connection, to, call.source)
        except OSError as error:
            _not_connected(call, to, error)
            return
        finally:
            self._opening.pop(call, None)
        self._connections[connection.name] = connection
        if on is not None:
            on.connections.append(connection)
        if call.over:
            connection.leave()
        else:
            connection.begin(call, pace, deaf_s)

    async def _open_raw(self, to: Endpoint, source: str, talk: RawConversation, begin: Callable[[], None]) -> None:
        try:
            await _connect(asyncio.get_running_loop(), talk, to, source)
        except OSError as error:
            for call in talk.calls:
                _not_connected(call, to, error)
            talk.end("refused")
            return
        try:
            begin()
            await talk.done
        finally:
            hang_up(talk.transport)

    def _gone(self, connection: ClientConnection) -> None:
        self._connections.pop(connection.name, None)


class Kept:
    """A client that keeps its connections: another is opened only when none is idle."""

    def __init__(self) -> None:
        self.connections: list[ClientConnection] = []

    def idle(self) -> ClientConnection | None:
        """The idle connection used last; one that the peer was seen to close is forgotten."""
        self.connections = [c for c in self.connections if c.open]
        return next((c for c in reversed(self.connections) if c.idle), None)

    def close(self) -> None:
        """Closes all; what is on its way ends as `aborted`."""
        for connection in self.connections:
            connection.quit()
        self.connections = []


def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()


async def _connect(loop: asyncio.AbstractEventLoop, protocol: asyncio.Protocol, to: Endpoint, source: str) -> None:
    """Connects from a source address, over TLS too. OSError as the system has it, or of the handshake."""
    if getattr(loop, "simulated", False):
        local = None if source == LOOPBACK else (source, 0)
        await connect(loop, protocol, to.tls, host=to.host, port=to.port, local_addr=local)
        return
    sock = socket.socket(socket.AF_INET6 if ":" in to.host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        if source != LOOPBACK:
            sock.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
            sock.bind((twin(source) if ":" in to.host and ":" not in source else source, 0))
        await loop.sock_connect(sock, (to.host, to.port))
        await connect(loop, protocol, to.tls, sock=sock)
    except BaseException:
        sock.close()
        raise


_UNREACHABLE = (errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH)


def _not_connected(call: Call, to: Endpoint, error: OSError) -> None:
    """No connection, so no request: the target's doing is recorded, this machine's is a fault of the harness."""
    if isinstance(error, ssl.SSLError):
        call.finish("closed" if isinstance(error, ssl.SSLEOFError) else "garbage")
    elif error.errno in _UNREACHABLE:
        call.finish("refused")
    elif isinstance(error, ConnectionError):
        call.finish("reset")
    elif isinstance(error, TimeoutError):
        call.finish("timeout")
    else:
        remedy = (
            "Check the source address and the limits on open files and local ports (ulimit -n, ip_local_port_range)."
        )
        fault = f"expected to connect from {call.source} to {to.host}:{to.port}; this machine says: {error}"
        call.fail(HarnessFault(fault, remedy=remedy))
