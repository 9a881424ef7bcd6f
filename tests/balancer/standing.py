"""What the shell's tests stand on: loopback sockets, backends that do exactly as told, a client that reads strictly."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from lbcheck import clock
from lbcheck.balancer.decisions import Decisions
from lbcheck.balancer.server import Balancer
from lbcheck.spec.model import Backend, Forward, Listener, Pool, Spec
from tests.ports import free_port

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


# --- messages --------------------------------------------------------------------------------------------------------


@dataclass
class Message:
    """A request or an answer as read from the wire."""

    line: str
    headers: list[tuple[str, str]]
    body: bytes = b""
    trailers: list[tuple[str, str]] = field(default_factory=list)
    head: bytes = b""
    connection: int = 0  # of a request: which of the backend's connections, from 0

    @property
    def status(self) -> int:
        return int(self.line.split(" ")[1])

    @property
    def method(self) -> str:
        return self.line.split(" ")[0]

    @property
    def target(self) -> str:
        return self.line.split(" ")[1]

    def header(self, name: str) -> str | None:
        values = self.all(name)
        assert len(values) < 2, f"{name} came twice: {values}"
        return values[0] if values else None

    def all(self, name: str) -> list[str]:
        return [v for n, v in self.headers if n.lower() == name.lower()]


class Cut(Exception):  # noqa: N818
    """The connection ended inside a message."""


async def read_message(reader: asyncio.StreamReader, *, bodiless: bool = False) -> Message | None:
    """The next message, whole; None at the connection's end. Cut where it ends inside one."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise Cut from error
        return None
    line, *rest = head[:-4].decode("latin-1").split("\r\n")
    headers = [(n, v.strip()) for n, _, v in (x.partition(":") for x in rest)]
    message = Message(line, headers, head=head)
    request = not line.startswith("HTTP/")
    if bodiless or (not request and (message.status in (204, 304) or message.status < 200)):
        return message
    try:
        if message.header("transfer-encoding") == "chunked":
            message.body, message.trailers = await _read_chunks(reader)
        elif message.header("content-length") is not None:
            message.body = await reader.readexactly(int(message.header("content-length") or 0))
        elif not request:
            message.body = await reader.read()
    except asyncio.IncompleteReadError as error:
        raise Cut from error
    return message


async def _read_chunks(reader: asyncio.StreamReader) -> tuple[bytes, list[tuple[str, str]]]:
    body = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        body += await reader.readexactly(size)
        assert await reader.readexactly(2) == b"\r\n"
    trailers = []
    while (line := await reader.readuntil(b"\r\n")) != b"\r\n":
        name, _, value = line.decode("latin-1").strip().partition(":")
        trailers.append((name, value.strip()))
    return body, trailers


# --- backends --------------------------------------------------------------------------------------------------------

Answer = Callable[[Message, asyncio.StreamWriter], Awaitable[None]]
Raw = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def answering(data: bytes, *, close: bool = False) -> Answer:
    """Answers every request with these bytes."""

    async def answer(_: Message, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        if close:
            writer.close()

    return answer


async def echo(request: Message, writer: asyncio.StreamWriter) -> None:
    """200 with the request's body, or its line where it had none."""
    body = request.body or request.line.encode()
    length = b"" if request.method == "HEAD" else body
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), length))


async def hanging(_: Message, __: asyncio.StreamWriter) -> None:
    """Says nothing for longer than any test takes."""
    await asyncio.sleep(60)


class ScriptedBackend:
    """Reads whole requests and does with each as `answer` says; with `raw`, does that with each connection instead."""

    def __init__(self, answer: Answer = echo, *, raw: Raw | None = None) -> None:
        self.answer = answer
        self.raw = raw
        self.requests: list[Message] = []
        self.cut = 0  # requests whose end never came
        self.connections = 0
        self.writers: list[asyncio.StreamWriter] = []
        self.port = 0
        self._server: asyncio.AbstractServer | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, limit=1 << 22)
        self.port = self._server.sockets[0].getsockname()[1]

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number, self.connections = self.connections, self.connections + 1
        self.writers.append(writer)
        try:
            if self.raw is not None:
                await self.raw(reader, writer)
                return
            while (request := await read_message(reader)) is not None:
                request.connection = number
                self.requests.append(request)
                await self.answer(request, writer)
                await writer.drain()
        except Cut:
            self.cut += 1
        except OSError:
            pass
        finally:
            writer.close()

    def refuse(self) -> None:
        """Listens no more."""
        if self._server is not None:
            self._server.close()

    def kill(self) -> None:
        """Listens no more and resets what is open."""
        self.refuse()
        for writer in self.writers:
            abort(writer)

    async def stop(self) -> None:
        self.refuse()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self.writers:
            writer.transport.abort()


def abort(writer: asyncio.StreamWriter) -> None:
    """Ends a connection with RST."""
    sock = writer.get_extra_info("socket")
    if not writer.transport.is_closing():
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    writer.transport.abort()


# --- the balancer ----------------------------------------------------------------------------------------------------


@dataclass
class Stand:
    """A balancer before its backends, and clients of it."""

    balancer: Balancer
    backends: tuple[ScriptedBackend, ...]
    port: int
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def connect(self, *, limit: int = 1 << 22) -> Streams:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=limit)
        self.writers.append(writer)
        return reader, writer

    async def send(self, data: bytes, *, half_close: bool = False) -> list[Message]:
        """These bytes on a connection of their own; every final answer until the balancer ends it or falls silent."""
        reader, writer = await self.connect()
        writer.write(data)
        if half_close:
            writer.write_eof()
        answers = []
        try:
            async with asyncio.timeout(0.5):
                while (answer := await read_message(reader, bodiless=data.startswith(b"HEAD"))) is not None:
                    answers.append(answer)
        except TimeoutError:
            pass
        writer.close()
        return answers

    async def get(self, target: str = "/", *, method: str = "GET", head: str = "", body: bytes = b"") -> Message:
        """One request on a connection of its own, and its whole answer."""
        reader, writer = await self.connect()
        try:
            return await self.ask((reader, writer), target, method=method, head=head, body=body)
        finally:
            writer.close()

    async def ask(
        self, streams: Streams, target: str = "/", *, method: str = "GET", head: str = "", body: bytes = b""
    ) -> Message:
        reader, writer = streams
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        writer.write(f"{method} {target} HTTP/1.1\r\nHost: lb.test\r\n{head}{length}\r\n".encode() + body)
        answer = await read_message(reader, bodiless=method == "HEAD")
        while answer is not None and answer.status < 200:
            answer = await read_message(reader, bodiless=method == "HEAD")
        assert answer is not None, "the balancer ended the connection without an answer"
        return answer

    @property
    def pool(self) -> Any:
        return self.balancer.decisions.pools["web"]

    def in_flight(self) -> int:
        return sum(backend.in_flight for backend in self.pool.backends)


def spec_of(backends: tuple[ScriptedBackend, ...], port: int, listener: dict[str, Any], pool: dict[str, Any]) -> Spec:
    declared = tuple(Backend(chr(97 + i), f"127.0.0.1:{backend.port}") for i, backend in enumerate(backends))
    front = Listener("public", Forward((("web", 1),)), address="127.0.0.1", port=port)
    return Spec(listeners=(replace(front, **listener),), pools=(replace(Pool("web", declared), **pool),))


@asynccontextmanager
async def standing(
    *answers: Answer | ScriptedBackend,
    listener: dict[str, Any] | None = None,
    decisions: type[Decisions] = Decisions,
    **pool: Any,
) -> AsyncIterator[Stand]:
    """A balancer before one backend for each of `answers`; the rest are fields of the pool."""
    backends = tuple(a if isinstance(a, ScriptedBackend) else ScriptedBackend(a) for a in answers or (echo,))
    for backend in backends:
        await backend.start()
    port = free_port()
    spec = spec_of(backends, port, listener or {}, pool)
    balancer = Balancer(decisions(spec, random.Random(1), clock.now(), b"a secret of 32 bytes for a test."))
    await balancer.start()
    stand = Stand(balancer, backends, port)
    try:
        async with asyncio.timeout(20):
            yield stand
    finally:
        for writer in stand.writers:
            writer.close()
        await balancer.stop(0.0)
        for backend in backends:
            await backend.stop()


async def until(condition: Callable[[], bool], what: str) -> None:
    """Waits for something that must come about; the bound is far beyond what it takes."""
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError(f"never happened: {what}")
