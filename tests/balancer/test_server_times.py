"""Whose time it is: the backend's runs while it is waited for, not while a client sends slowly or reads slowly."""

from __future__ import annotations

import asyncio

from lbcheck.spec.model import Timeouts
from tests.balancer.conftest import Run
from tests.balancer.standing import Message, ScriptedBackend, echo, read_message, standing

SIZE = 30_000_000
RESPONSE_S = 0.2
TIMES = Timeouts(response=RESPONSE_S)


def test_a_client_that_does_not_read_takes_no_time_of_the_backend(run: Run) -> None:
    async def answer(_: Message, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE + b"x" * SIZE)

    async def scene() -> None:
        async with standing(answer, timeouts=TIMES) as stand:
            reader, writer = await stand.connect(limit=1 << 16)
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            await asyncio.sleep(3 * RESPONSE_S)
            read = await read_message(reader)
            assert read is not None
            assert len(read.body) == SIZE

    run(scene())


def test_a_client_that_pauses_in_its_upload_takes_no_time_of_the_backend(run: Run) -> None:
    async def scene() -> None:
        async with standing(echo, timeouts=TIMES) as stand:
            for head in (b"Content-Length: 8\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n4\r\n"):
                reader, writer = await stand.connect()
                writer.write(b"POST / HTTP/1.1\r\nHost: a\r\n" + head + b"half")
                await asyncio.sleep(3 * RESPONSE_S)
                writer.write(b"half" if b"Length" in head else b"\r\n4\r\nhalf\r\n0\r\n\r\n")
                answer = await read_message(reader)
                assert answer is not None
                assert answer.status == 200

    run(scene())


async def deaf(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    await asyncio.sleep(60.0)


def test_a_backend_that_reads_nothing_more_of_an_upload_is_late(run: Run) -> None:
    async def scene() -> None:
        async with standing(ScriptedBackend(raw=deaf), timeouts=TIMES) as stand:
            assert (await stand.get("/", method="POST", body=b"x" * SIZE)).status == 504

    run(scene())


def test_a_backend_that_does_not_say_100_is_late(run: Run) -> None:
    async def scene() -> None:
        async with standing(ScriptedBackend(raw=deaf), timeouts=TIMES) as stand:
            reader, writer = await stand.connect()
            writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
            answer = await read_message(reader)
            assert answer is not None
            assert answer.status == 504

    run(scene())


def test_a_kept_connection_is_idle_until_the_next_request_begins(run: Run) -> None:
    """What is left of the idle time is not all that an upload has."""

    async def scene() -> None:
        async with standing(echo, listener={"idle_timeout": 0.4}) as stand:
            reader, writer = await stand.connect()
            await asyncio.sleep(0.25)
            writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\nhalf")
            await asyncio.sleep(0.25)
            writer.write(b"half")
            answer = await read_message(reader)
            assert answer is not None
            assert answer.status == 200

    run(scene())


def test_a_refused_head_request_is_answered_without_a_body(run: Run) -> None:
    async def scene() -> None:
        async with standing(echo) as stand:
            reader, writer = await stand.connect()
            writer.write(b"HEAD / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
            answer = await read_message(reader, bodiless=True)
            assert answer is not None
            assert answer.status == 400
            assert await reader.read() == b""

    run(scene())
