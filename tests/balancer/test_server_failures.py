"""What goes wrong behind the balancer or before it: who is told what, what is repeated; counts come back to 0."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from lbcheck.spec.model import Retries, Stickiness, Timeouts
from tests.balancer.conftest import Run
from tests.balancer.standing import (
    Cut,
    Message,
    ScriptedBackend,
    abort,
    answering,
    echo,
    hanging,
    read_message,
    standing,
    until,
)

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def resetting(_: Message, writer: asyncio.StreamWriter) -> None:
    abort(writer)


def test_a_refused_connection_is_502(run: Run) -> None:
    async def scene() -> None:
        async with standing(echo) as stand:
            stand.backends[0].refuse()
            assert (await stand.get()).status == 502
            assert stand.in_flight() == 0

    run(scene())


def test_a_refused_connection_is_tried_elsewhere_even_for_a_post(run: Run) -> None:
    async def scene() -> None:
        async with standing(echo, echo, retries=Retries(1, ("connect",))) as stand:
            stand.backends[0].refuse()
            answers = [await stand.get("/", method="POST", body=b"x" * 100_000) for _ in range(4)]
            assert [a.body for a in answers] == [b"x" * 100_000] * 4
            assert len(stand.backends[1].requests) == 4

    run(scene())


def test_a_reset_get_is_tried_elsewhere_and_only_as_often_as_declared(run: Run) -> None:
    async def scene() -> None:
        async with standing(resetting, resetting, resetting, echo, retries=Retries(2, ("reset",))) as stand:
            assert (await stand.get()).status == 502
            assert [len(b.requests) for b in stand.backends] == [1, 1, 1, 0]
            assert stand.in_flight() == 0

    run(scene())


@pytest.mark.parametrize("size", [1, 200_000])
def test_a_post_that_was_read_is_never_repeated(run: Run, size: int) -> None:
    async def scene() -> None:
        retries = Retries(3, ("connect", "reset", "timeout", "503"))
        async with standing(resetting, resetting, retries=retries) as stand:
            for _ in range(4):
                assert (await stand.get("/", method="POST", body=b"x" * size)).status == 502
            assert sum(len(b.requests) for b in stand.backends) == 4

    run(scene())


def test_a_put_that_is_small_enough_is_sent_again_whole(run: Run) -> None:
    async def scene() -> None:
        async with standing(resetting, echo, retries=Retries(1, ("reset",))) as stand:
            assert (await stand.get("/", method="PUT", body=b"y" * 60_000)).body == b"y" * 60_000
            [answer] = await stand.send(
                b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n"
            )
            assert answer.body == b"abcd"

    run(scene())


def test_a_body_too_large_to_be_held_is_not_sent_again(run: Run) -> None:
    async def scene() -> None:
        async with standing(resetting, resetting, retries=Retries(1, ("reset",))) as stand:
            assert (await stand.get("/", method="PUT", body=b"y" * 1_000_000)).status == 502
            assert sum(len(b.requests) for b in stand.backends) == 1

    run(scene())


def test_a_declared_status_is_tried_elsewhere_and_its_cookie_does_not_leak(run: Run) -> None:
    sick = answering(b"HTTP/1.1 503 Sick\r\nSet-Cookie: failed=1\r\nContent-Length: 4\r\n\r\nsick")

    async def scene() -> None:
        async with standing(sick, answering(OK), retries=Retries(1, ("503",)), stickiness=Stickiness()) as stand:
            for _ in range(4):
                answer = await stand.get()
                assert (answer.status, answer.body) == (200, b"ok")
                assert [c.split("=")[0] for c in answer.all("set-cookie")] == ["AWSALB"]

    run(scene())


def test_the_last_declared_status_is_passed_on(run: Run) -> None:
    sick = answering(b"HTTP/1.1 503 Sick\r\nContent-Length: 4\r\n\r\nsick")

    async def scene() -> None:
        async with standing(sick, sick, retries=Retries(1, ("503",))) as stand:
            answer = await stand.get()
            assert (answer.status, answer.body) == (503, b"sick")

    run(scene())


def test_a_backend_that_says_nothing_is_504(run: Run) -> None:
    async def scene() -> None:
        async with standing(hanging, timeouts=Timeouts(response=0.1)) as stand:
            answer = await stand.get()
            assert answer.status == 504
            assert stand.in_flight() == 0

    run(scene())


def test_a_backend_that_trickles_its_head_is_504(run: Run) -> None:
    async def answer(_: Message, writer: asyncio.StreamWriter) -> None:
        for byte in b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100:
            writer.write(bytes([byte]))
            await asyncio.sleep(0.01)

    async def scene() -> None:
        async with standing(answer, timeouts=Timeouts(response=0.15)) as stand:
            assert (await stand.get()).status == 504

    run(scene())


BAD_ANSWERS = [
    ("garbage", b"\x16\x03\x01garbage"),
    ("HTTP/0.9", b"<html>hello</html>"),
    ("a space before a colon", b"HTTP/1.1 200 OK\r\nX : 1\r\nContent-Length: 0\r\n\r\n"),
    ("a bare line feed", b"HTTP/1.1 200 OK\nContent-Length: 0\n\n" + b"x" * 70_000),
    ("a folded line", b"HTTP/1.1 200 OK\r\nX: 1\r\n 2\r\nContent-Length: 0\r\n\r\n"),
    ("no status", b"HTTP/1.1 OK\r\nContent-Length: 0\r\n\r\n"),
    ("status 99", b"HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n"),
    ("two lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc"),
    ("a length and chunks", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("another coding", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    ("a length that is no number", b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nab"),
    ("a length beyond every disk", b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999999999\r\n\r\nab"),
    ("an upgrade nobody asked for", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"),
    ("endless interim answers", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100),
    ("megabytes of head", b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500_000),
    ("one endless field", b"HTTP/1.1 200 OK\r\nX: " + b"y" * 1_000_000),
]


@pytest.mark.parametrize("data", [b[1] for b in BAD_ANSWERS], ids=[b[0] for b in BAD_ANSWERS])
def test_what_is_no_answer_is_502(run: Run, data: bytes) -> None:
    async def scene() -> None:
        async with standing(answering(data)) as stand:
            reader, writer = await stand.connect()
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            answer = await read_message(reader)
            while answer is not None and answer.status == 103:
                answer = await read_message(reader)
            assert answer is not None
            assert answer.status == 502
            assert stand.in_flight() == 0

    run(scene())


CUT_ANSWERS = [
    ("in the head", b"HTTP/1.1 200 OK\r\nContent-Le"),
    ("in a length", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"),
    ("between chunks", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"),
    ("in a chunk", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc"),
    ("before the last line", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n"),
    ("by a bad chunk", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcX"),
]


@pytest.mark.parametrize("data", [c[1] for c in CUT_ANSWERS], ids=[c[0] for c in CUT_ANSWERS])
@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_a_cut_answer_is_never_passed_as_complete(run: Run, data: bytes, version: str) -> None:
    async def scene() -> None:
        async with standing(answering(data, close=True)) as stand:
            reader, writer = await stand.connect()
            writer.write(f"GET / HTTP/{version}\r\nHost: a\r\n\r\n".encode())
            if data.endswith(b"-Le"):
                answer = await read_message(reader)
                assert answer is not None
                assert answer.status == 502
            else:
                with pytest.raises((Cut, ConnectionResetError)):
                    await read_message(reader)
            assert stand.in_flight() == 0

    run(scene())


def test_a_reset_in_an_answer_that_ends_with_its_connection_is_not_its_end(run: Run) -> None:
    async def answer(_: Message, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nhalf")
        await asyncio.sleep(0.05)
        abort(writer)

    async def scene() -> None:
        async with standing(answer) as stand:
            reader, writer = await stand.connect()
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            with pytest.raises(Cut):
                await read_message(reader)

    run(scene())


def test_a_kept_connection_that_went_stale_costs_a_get_nothing(run: Run) -> None:
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await reader.readuntil(b"\r\n\r\n")  # the next one finds it closing
        abort(writer)

    async def scene() -> None:
        async with standing(ScriptedBackend(raw=once)) as stand:
            for _ in range(6):
                assert (await stand.get()).status == 200
            assert stand.backends[0].connections == 6
            assert stand.in_flight() == 0

    run(scene())


def test_an_answer_to_nothing_never_meets_the_next_request(run: Run) -> None:
    async def twice(request: Message, writer: asyncio.StreamWriter) -> None:
        await echo(request, writer)
        writer.write(OK)

    async def scene() -> None:
        async with standing(twice) as stand:
            for i in range(10):
                assert (await stand.get(f"/{i}")).body == b"GET /%d HTTP/1.1" % i
                await asyncio.sleep(0.005)
            assert stand.backends[0].connections == 10

    run(scene())


@pytest.mark.parametrize("how", ["reset", "close"])
def test_a_client_that_goes_ends_its_try(run: Run, how: str) -> None:
    gone = asyncio.Event()

    async def raw(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if how == "close":  # a half close looks the same: only an answer tells
            await asyncio.sleep(0.05)
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            while not writer.transport.is_closing():
                writer.write(b"1\r\nx\r\n")
                await asyncio.sleep(0.001)
        with suppress(OSError):
            assert await reader.read() == b""
        gone.set()

    async def scene() -> None:
        async with standing(ScriptedBackend(raw=raw)) as stand:
            _, writer = await stand.connect()
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            await until(lambda: stand.in_flight() == 1, "the request is under way")
            if how == "reset":
                abort(writer)
            else:
                writer.close()
            await gone.wait()
            await until(lambda: stand.in_flight() == 0, "the count comes back to 0")

    run(scene())


def test_a_client_that_goes_while_connecting_leaves_nothing(run: Run) -> None:
    async def scene() -> None:
        full = ScriptedBackend()
        async with standing(full, timeouts=Timeouts(connect=5)) as stand:
            stand.pool.backends[0].host = "127.255.255.254"  # not listening; refused at once, or while it goes
            _, writer = await stand.connect()
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            abort(writer)
            assert (await stand.get()).status == 502
            await until(lambda: stand.in_flight() == 0, "the count comes back to 0")

    run(scene())


def test_a_body_shorter_than_promised_is_never_whole_for_the_backend(run: Run) -> None:
    async def scene() -> None:
        async with standing(echo) as stand:
            reader, writer = await stand.connect()
            writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf")
            await until(lambda: stand.backends[0].connections == 1, "the backend is reached")
            writer.write_eof()
            answer = await read_message(reader)
            assert answer is not None
            assert answer.status == 400
            await until(lambda: stand.backends[0].cut == 1 or stand.in_flight() == 0, "the backend sees the cut")
            assert stand.backends[0].requests == []

    run(scene())


def test_a_client_whose_head_or_body_does_not_come_is_408(run: Run) -> None:
    async def scene() -> None:
        async with standing(echo, listener={"idle_timeout": 0.15}) as stand:
            for data in (b"GET / HTT", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf"):
                reader, writer = await stand.connect()
                writer.write(data)
                answer = await read_message(reader)
                assert answer is not None
                assert answer.status == 408
            reader, _ = await stand.connect()
            assert await reader.read() == b"", "an idle client is not answered"

    run(scene())


def test_who_finds_all_full_waits_in_line_and_then_is_503(run: Run) -> None:
    release = asyncio.Event()

    async def held(request: Message, writer: asyncio.StreamWriter) -> None:
        if request.target == "/held":
            await release.wait()
        await echo(request, writer)

    async def scene() -> None:
        async with standing(held, max_connections=1, timeouts=Timeouts(queue=0.3)) as stand:
            first = asyncio.ensure_future(stand.get("/held"))
            await until(lambda: stand.in_flight() == 1, "the backend is full")
            late = asyncio.ensure_future(stand.get("/late"))
            await until(lambda: len(stand.balancer.queue) == 1, "one waits")
            assert (await late).status == 503
            line = []
            for i in range(3):
                line.append(asyncio.ensure_future(stand.get(f"/{i}")))
                await until(lambda n=i: len(stand.balancer.queue) == n + 1, "they wait in order")  # type: ignore[misc]
            release.set()
            assert (await first).status == 200
            assert [(await x).status for x in line] == [200] * 3
            assert [r.target for r in stand.backends[0].requests] == ["/held", "/0", "/1", "/2"]
            assert len(stand.balancer.queue) == 0

    run(scene())


def test_a_client_that_goes_leaves_the_line(run: Run) -> None:
    async def scene() -> None:
        async with standing(hanging, max_connections=1) as stand:
            first = asyncio.ensure_future(stand.get("/held"))
            await until(lambda: stand.in_flight() == 1, "the backend is full")
            _, writer = await stand.connect()
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            await until(lambda: len(stand.balancer.queue) == 1, "one waits")
            abort(writer)
            await until(lambda: len(stand.balancer.queue) == 0, "nobody waits")
            first.cancel()

    run(scene())
