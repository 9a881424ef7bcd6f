"""`lbcheck backend`: the instrumented backend as a program of its own, for a balancer that runs already.

    harness --- a greeting with the token, then orders ---> control: a TCP port, or a Unix socket
    harness <--- answers, and every event as it happens --- control

One harness at a time, and one visit for each check: it begins with fresh connections, a fresh script and no events of
what was before. Between visits the backend is a plain echo and remembers nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lbcheck.backends.control import (
    LINE_LIMIT,
    PROTOCOL,
    Greeting,
    greeting_from_json,
    line,
)
from lbcheck.backends.life import obey
from lbcheck.backends.script import Behaviour
from lbcheck.backends.server import BackendServer
from lbcheck.clock import now
from lbcheck.history import Event, to_json

GREETING_LIMIT = 64 * 1024  # bytes that a stranger may send
GREETING_WITHIN_S = 5.0
UNREAD_LIMIT = 256 * 1024 * 1024  # events that a harness has not read yet; one that never reads is left
KEEPALIVE = ((socket.TCP_KEEPIDLE, 10), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 3))  # seconds, seconds, times

Journal = Callable[[Event], None]


class _Refused(Exception):  # noqa: N818
    """Why a greeting is not taken."""


class Standalone:
    """A backend at `host`, called `name` by its user ("": as the harness calls it)."""

    def __init__(self, name: str, host: str, token: str) -> None:
        self.name = name
        self.host = host
        self.port = 0
        self._token = token
        self._lives = 0
        self._server: BackendServer | None = None  # None: killed, or not started yet
        self._visitor: asyncio.StreamWriter | None = None
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def start(self, port: int, control: int | Path) -> int:
        """Listens on both ports (0: the system chooses) and returns that of control (0: a Unix socket at this path).

        OSError where it can't.
        """
        self.port = port
        await self._plain()
        if isinstance(control, Path):
            self._control = await asyncio.start_unix_server(self._welcome, control, limit=LINE_LIMIT)
            return 0
        self._control = await asyncio.start_server(self._welcome, self.host, control, limit=LINE_LIMIT)
        return self._control.sockets[0].getsockname()[1]  # type: ignore[no-any-return]

    async def serve(self) -> None:
        """Until it is cancelled. OSError where it could not listen again after a visit."""
        await self._failed

    async def stop(self) -> None:
        self._control.close()
        if self._server is not None:
            await self._server.stop()

    # --- its lives ---------------------------------------------------------------------------------------------------

    async def _plain(self) -> None:
        """An echo that keeps no journal."""
        server = await self._live(Greeting("", self.name, ""), lambda _: None)
        server.name = self.name or f"backend-{self.port}"  # which the system may have chosen just now

    async def _live(self, greeting: Greeting, journal: Journal) -> BackendServer:
        """The next life takes the listening socket over; connections of the last one end in order."""
        old, self._server = self._server, None
        if old is not None:
            await old.behave(Behaviour(accepting=False))
        new = BackendServer(
            greeting.name, journal, greeting.probe, greeting.pool, generation=self._lives + greeting.generation
        )
        self._lives += 1
        await new.behave(greeting.behaviour)
        self.port = await new.start(self.host, self.port)
        self._server = new
        if old is not None:
            await old.stop()
        return new

    async def _kill(self) -> None:
        """As far as a peer can see, the process is gone."""
        if self._server is not None:
            self._server.kill()
            self._server = None
        await asyncio.sleep(0)  # a loop may close a listening socket in its next turn

    # --- visits ------------------------------------------------------------------------------------------------------

    async def _welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection to the control port, from its greeting to its end."""
        _keep_alive(writer)
        try:
            greeting = await self._greeted(reader)
        except _Refused as reason:
            writer.write(line({"failed": str(reason)}))
        else:
            await self._visit(greeting, reader, writer)
        with contextlib.suppress(ConnectionError):
            writer.close()
            await writer.wait_closed()

    async def _greeted(self, reader: asyncio.StreamReader) -> Greeting:
        try:
            async with asyncio.timeout(GREETING_WITHIN_S):
                said = await _first_line(reader)
            data = json.loads(said)
            if data["protocol"] != PROTOCOL:
                raise _Refused(f"expected protocol {PROTOCOL}, got {data['protocol']!r}: use one version of lbcheck")
            if not hmac.compare_digest(str(data["token"]).encode(), self._token.encode()):
                raise _Refused("the token is wrong")
            greeting = greeting_from_json(data)
        except (TimeoutError, ConnectionError, ValueError, LookupError, TypeError):
            raise _Refused("expected the greeting of a harness") from None
        if self._visitor is not None:
            raise _Refused("another harness has it in its hands")
        if self.name and greeting.name != self.name:
            raise _Refused(f"it is called {self.name!r}, not {greeting.name!r}")
        return greeting

    async def _visit(self, greeting: Greeting, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._visitor = writer
        journal = _journal_to(writer)
        try:
            await self._live(greeting, journal)
            writer.write(line({"ready": self.port, "now": now()}))
            while self._visitor is writer and (command := await reader.readline()):
                order = json.loads(command)
                writer.write(line({**await self._obey(order, greeting, journal), "n": order["n"]}))
        except (ConnectionError, ValueError, LookupError, TypeError):
            pass  # it went in the middle of a line, or says what is no order
        except OSError as error:
            writer.write(line({"failed": str(error)}))
        finally:
            if self._visitor is writer:
                await self._left()

    async def _obey(self, order: dict[str, Any], greeting: Greeting, journal: Journal) -> dict[str, Any]:
        """Carries out one order; the answer is sent when it is in effect, and after every event before it."""
        doing = order["do"]
        try:
            if doing == "kill":
                await self._kill()
            elif doing == "restart":
                await self._kill()
                again = Greeting("", greeting.name, greeting.pool, greeting.probe, generation=greeting.generation)
                await self._live(again, journal)
            elif doing == "leave":
                await self._left()
            elif doing != "sync":
                if self._server is None:
                    return {"failed": "it was killed"}
                return await obey(self._server, order)
        except OSError as error:
            return {"failed": str(error)}
        return {"done": doing}

    async def _left(self) -> None:
        """The harness went away, whatever it had scripted."""
        try:
            await self._plain()
        except OSError as error:
            if not self._failed.done():
                self._failed.set_exception(error)
        self._visitor = None


async def _first_line(reader: asyncio.StreamReader) -> bytes:
    data = b""
    while not data.endswith(b"\n"):
        if len(data) > GREETING_LIMIT or not (more := await reader.read(GREETING_LIMIT)):
            raise ValueError("no line")
        data += more
    return data


def _journal_to(writer: asyncio.StreamWriter) -> Journal:
    def journal(event: Event) -> None:
        if writer.is_closing():
            return
        writer.write(line({"event": to_json(event)}))
        if writer.transport.get_write_buffer_size() > UNREAD_LIMIT:
            writer.transport.abort()

    return journal


def _keep_alive(writer: asyncio.StreamWriter) -> None:
    """A harness whose machine is gone says nothing more; this is how it is noticed."""
    sock = writer.get_extra_info("socket")
    if sock.family == socket.AF_UNIX:
        return  # its other end is on this machine, and the kernel tells
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in KEEPALIVE:
        sock.setsockopt(socket.IPPROTO_TCP, option, value)
