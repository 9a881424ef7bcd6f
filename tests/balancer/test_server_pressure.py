"""Who reads slowly makes the other side wait; nothing piles up in between."""

from __future__ import annotations

import asyncio

from lbcheck.balancer.http1 import Client
from lbcheck.spec.model import Respond
from tests.balancer.conftest import Run
from tests.balancer.standing import Message, ScriptedBackend, Stand, echo, read_message, standing, until

SIZE = 30_000_000
BOUND = 2_000_000  # far above every buffer on the way, far below what is sent
PIECE = b"x" * 100_000


def only_client(stand: Stand) -> Client:
    [client] = stand.balancer.frontends[0].clients
    return client


def test_a_slow_reader_holds_the_backend_and_still_gets_all(run: Run) -> None:
    sent = 0

    async def answer(_: Message, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE)
        while sent < SIZE:
            writer.write(PIECE)
            sent += len(PIECE)
            await writer.drain()

    async def scene() -> None:
        async with standing(answer) as stand:
            reader, writer = await stand.connect(limit=1 << 16)
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            before = -1
            while sent != before:  # until the backend is held
                before = sent
                await asyncio.sleep(0.1)
            assert sent < SIZE, "the backend must have been made to wait"
            assert only_client(stand).transport.get_write_buffer_size() < BOUND
            answer_read = await read_message(reader)
            assert answer_read is not None
            assert len(answer_read.body) == SIZE
            assert stand.in_flight() == 0
            assert (await stand.ask((reader, writer), method="HEAD")).status == 200, (
                "the connections are good as before"
            )

    run(scene())


def test_a_slow_backend_holds_the_client_and_still_reads_all(run: Run) -> None:
    go_on = asyncio.Event()

    async def raw(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await go_on.wait()
        read = 0
        while read < SIZE:
            read += len(await reader.read(1 << 20))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n%d" % read)

    async def scene() -> None:
        async with standing(ScriptedBackend(raw=raw)) as stand:
            reader, writer = await stand.connect()
            sent = 0
            writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % SIZE)

            async def upload() -> None:
                nonlocal sent
                while sent < SIZE:
                    writer.write(PIECE)
                    sent += len(PIECE)
                    await writer.drain()

            task = asyncio.ensure_future(upload())
            before = -1
            while sent != before:
                before = sent
                await asyncio.sleep(0.1)
            assert sent < SIZE, "the client must have been made to wait"
            exchange = only_client(stand).exchange
            assert exchange is not None
            assert exchange.upload is not None
            assert sum(map(len, exchange.upload.pieces)) < BOUND
            go_on.set()
            await task
            answer = await read_message(reader)
            assert answer is not None
            assert answer.body == b"%d" % SIZE

    run(scene())


def test_a_body_that_waits_for_a_backend_does_not_pile_up(run: Run) -> None:
    release = asyncio.Event()

    async def held(request: Message, writer: asyncio.StreamWriter) -> None:
        if request.target == "/held":
            await release.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n%08d" % len(request.body))

    async def scene() -> None:
        async with standing(held, max_connections=1) as stand:
            first = asyncio.ensure_future(stand.get("/held"))
            await until(lambda: stand.in_flight() == 1, "the backend is full")
            waits = asyncio.ensure_future(stand.get("/", method="PUT", body=b"x" * SIZE))
            await asyncio.sleep(0.3)
            [exchange] = [c.exchange for c in stand.balancer.frontends[0].clients if c.exchange and c.exchange.upload]
            assert exchange.upload is not None
            assert exchange.upload.size < BOUND
            release.set()
            await first
            assert int((await waits).body) == SIZE

    run(scene())


def test_requests_sent_ahead_do_not_pile_up(run: Run) -> None:
    release = asyncio.Event()

    async def held(_: Message, writer: asyncio.StreamWriter) -> None:
        await release.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async def scene() -> None:
        async with standing(held) as stand:
            reader, writer = await stand.connect()
            count = 2000
            request = b"GET / HTTP/1.1\r\nHost: a\r\nX-Filler: %b\r\n\r\n" % (b"y" * 1000)
            writer.write(request * count)
            await asyncio.sleep(0.2)
            assert len(only_client(stand)._ahead) < 1_000_000
            release.set()
            for _ in range(count):
                answer = await read_message(reader)
                assert answer is not None
                assert answer.status == 200
            assert len(stand.backends[0].requests) == count

    run(scene())


def test_own_answers_to_requests_sent_ahead_do_not_pile_up(run: Run) -> None:
    count = 3000

    async def scene() -> None:
        async with standing(echo, listener={"default": Respond(200, "z" * 20_000)}) as stand:
            reader, writer = await stand.connect(limit=1 << 16)
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * count)
            writer.write_eof()
            before = -1
            while (waiting := only_client(stand).transport.get_write_buffer_size()) != before:
                before = waiting
                await asyncio.sleep(0.1)
            assert 0 < waiting < BOUND
            for _ in range(count):
                answer = await read_message(reader)
                assert answer is not None
                assert len(answer.body) == 20_000
            assert await reader.read() == b""

    run(scene())
