"""Whole messages both ways: what the client sent is what the backend reads, and back."""

from __future__ import annotations

import asyncio

import pytest

from lbcheck.balancer.twins.heads import AddsFields
from lbcheck.spec.model import Conditions, Forward, Forwarded, Redirect, Respond, Rewrite, Rule
from tests.balancer.conftest import Run
from tests.balancer.standing import Message, ScriptedBackend, answering, echo, read_message, standing


def test_forwards_a_request_and_its_answer(run: Run) -> None:
    async def scene() -> None:
        async with standing(echo) as stand:
            answer = await stand.get("/a/b?c=d", head="X-Own: 1\r\nConnection: X-Gone\r\nX-Gone: 2\r\n")
            seen = stand.backends[0].requests[0]
            assert (answer.status, answer.body) == (200, b"GET /a/b?c=d HTTP/1.1")
            assert seen.header("host") == "lb.test"
            assert seen.header("x-own") == "1"
            assert seen.header("x-gone") is None
            assert seen.header("x-forwarded-for") == "127.0.0.1"

    run(scene())


def test_keeps_connections_on_both_sides(run: Run) -> None:
    async def scene() -> None:
        async with standing(echo) as stand:
            streams = await stand.connect()
            for i in range(5):
                assert (await stand.ask(streams, f"/{i}")).body == b"GET /%d HTTP/1.1" % i
            assert [r.connection for r in stand.backends[0].requests] == [0] * 5

    run(scene())


def test_two_clients_at_once_never_share_a_connection(run: Run) -> None:
    async def scene() -> None:
        async with standing(echo) as stand:
            answers = await asyncio.gather(*(stand.get(f"/{i}") for i in range(50)))
            assert [a.body for a in answers] == [b"GET /%d HTTP/1.1" % i for i in range(50)]

    run(scene())


@pytest.mark.parametrize("size", [1, 1000, 65536, 5_000_000])
def test_bodies_of_any_size_go_both_ways(run: Run, size: int) -> None:
    body = bytes(i * 7 & 0xFF for i in range(1000)) * (size // 1000) or b"x" * size

    async def scene() -> None:
        async with standing(echo) as stand:
            streams = await stand.connect()
            for _ in range(2):
                answer = await stand.ask(streams, "/", method="POST", body=body)
                assert answer.body == body
            assert stand.backends[0].requests[0].header("content-length") == str(len(body))

    run(scene())


def test_a_chunked_request_arrives_whole_with_its_trailers(run: Run) -> None:
    async def scene() -> None:
        async with standing(echo) as stand:
            head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            body = b"5;ext=1\r\nhello\r\n6\r\n world\r\n0\r\nX-Sum: 11\r\nContent-Length: 3\r\n\r\n"
            [answer] = await stand.send(head + body)
            [seen] = stand.backends[0].requests
            assert answer.body == seen.body == b"hello world"
            assert seen.trailers == [("X-Sum", "11")]
            assert seen.header("content-length") is None

    run(scene())


def test_a_chunked_request_one_byte_at_a_time(run: Run) -> None:
    async def scene() -> None:
        async with standing(echo) as stand:
            reader, writer = await stand.connect()
            data = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
            for i in range(len(data)):
                writer.write(data[i : i + 1])
                await asyncio.sleep(0)
            answer = await read_message(reader)
            assert answer is not None
            assert answer.body == b"abc"

    run(scene())


def test_a_chunked_answer_arrives_whole_with_its_trailers(run: Run) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
    data = head + b"3\r\nabc\r\n2\r\nde\r\n0\r\nX-Sum: 5\r\n\r\n"

    async def scene() -> None:
        async with standing(answering(data)) as stand:
            streams = await stand.connect()
            for _ in range(3):
                answer = await stand.ask(streams)
                assert (answer.body, answer.trailers) == (b"abcde", [("X-Sum", "5")])
            assert stand.backends[0].connections == 1

    run(scene())


def test_an_answer_that_ends_with_its_connection_is_chunked_for_the_client(run: Run) -> None:
    async def scene() -> None:
        async with standing(answering(b"HTTP/1.1 200 OK\r\n\r\nto the end", close=True)) as stand:
            streams = await stand.connect()
            for _ in range(2):
                answer = await stand.ask(streams)
                assert answer.body == b"to the end"
                assert answer.header("transfer-encoding") == "chunked"

    run(scene())


def test_an_http_1_0_client_gets_no_chunks(run: Run) -> None:
    data = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"

    async def scene() -> None:
        async with standing(answering(data)) as stand:
            [answer] = await stand.send(b"GET / HTTP/1.0\r\n\r\n")
            assert answer.body == b"abc"
            assert answer.header("transfer-encoding") is None
            assert answer.header("connection") == "close"

    run(scene())


def test_an_http_1_0_client_may_keep_its_connection(run: Run) -> None:
    async def scene() -> None:
        async with standing(echo) as stand:
            request = b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
            answers = await stand.send(request + request)
            assert [a.header("connection") for a in answers] == ["keep-alive", "keep-alive"]

    run(scene())


def test_head_204_and_304_have_no_body_and_the_next_request_is_right(run: Run) -> None:
    async def answer(request: Message, writer: asyncio.StreamWriter) -> None:
        if request.target == "/head":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        elif request.target == "/204":
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        elif request.target == "/304":
            writer.write(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\nETag: x\r\n\r\n")
        else:
            await echo(request, writer)

    async def scene() -> None:
        async with standing(answer) as stand:
            streams = await stand.connect()
            head = await stand.ask(streams, "/head", method="HEAD")
            assert head.header("content-length") == "1000"
            assert (await stand.ask(streams, "/a")).body == b"GET /a HTTP/1.1"
            assert (await stand.ask(streams, "/204")).status == 204
            assert (await stand.ask(streams, "/b")).body == b"GET /b HTTP/1.1"
            assert (await stand.ask(streams, "/304")).header("etag") == "x"
            assert (await stand.ask(streams, "/c")).body == b"GET /c HTTP/1.1"
            assert stand.backends[0].connections == 1

    run(scene())


def test_pipelined_requests_are_answered_in_order(run: Run) -> None:
    async def answer(request: Message, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.02 if request.target == "/0" else 0)
        await echo(request, writer)

    async def scene() -> None:
        async with standing(answer, answer) as stand:
            data = b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % i for i in range(20))
            answers = await stand.send(data)
            assert [a.body for a in answers] == [b"GET /%d HTTP/1.1" % i for i in range(20)]

    run(scene())


def test_a_half_closed_client_gets_all_its_answers(run: Run) -> None:
    async def scene() -> None:
        async with standing(echo) as stand:
            data = b"GET /0 HTTP/1.1\r\nHost: a\r\n\r\nPOST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"
            answers = await stand.send(data, half_close=True)
            assert [a.body for a in answers] == [b"GET /0 HTTP/1.1", b"hi"]
            assert stand.in_flight() == 0

    run(scene())


def test_100_continue_is_asked_of_the_backend_and_relayed(run: Run) -> None:
    async def raw(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"expect: 100-continue" in head.lower()
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await reader.readexactly(5)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" + body)
        await reader.read()

    async def scene() -> None:
        async with standing(ScriptedBackend(raw=raw)) as stand:
            reader, writer = await stand.connect()
            writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
            interim = await read_message(reader)
            assert interim is not None
            assert interim.status == 100
            writer.write(b"hello")
            answer = await read_message(reader)
            assert answer is not None
            assert answer.body == b"hello"

    run(scene())


def test_an_early_final_answer_is_passed_and_the_body_is_not_waited_for(run: Run) -> None:
    async def raw(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno")
        await reader.read()

    async def scene() -> None:
        async with standing(ScriptedBackend(raw=raw)) as stand:
            reader, writer = await stand.connect()
            writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 500000\r\n\r\nonly this")
            answer = await read_message(reader)
            assert answer is not None
            assert (answer.status, answer.body, answer.header("connection")) == (413, b"no", "close")
            assert await read_message(reader) is None
            assert stand.in_flight() == 0

    run(scene())


def test_interim_answers_are_relayed_and_not_taken_for_the_final_one(run: Run) -> None:
    data = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"

    async def scene() -> None:
        async with standing(answering(data)) as stand:
            interim, final = await stand.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert (interim.status, interim.header("link")) == (103, "</a>")
            assert (final.status, final.body) == (200, b"x")
            [only] = await stand.send(b"GET / HTTP/1.0\r\n\r\n")
            assert only.status == 200

    run(scene())


def test_an_answer_is_passed_on_as_it_comes(run: Run) -> None:
    more = asyncio.Event()

    async def answer(_: Message, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nfirst \r\n")
        await more.wait()
        writer.write(b"6\r\nsecond\r\n0\r\n\r\n")

    async def scene() -> None:
        async with standing(answer) as stand:
            reader, writer = await stand.connect()
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            await reader.readuntil(b"first ")
            more.set()
            assert (await reader.readuntil(b"0\r\n\r\n")).endswith(b"second\r\n0\r\n\r\n")

    run(scene())


def test_an_absolute_target_is_reduced_and_its_authority_wins(run: Run) -> None:
    async def scene() -> None:
        async with standing(echo) as stand:
            [answer] = await stand.send(b"GET http://Real.test:81?q=1 HTTP/1.1\r\nHost: other.test\r\n\r\n")
            assert answer.body == b"GET /?q=1 HTTP/1.1"
            assert stand.backends[0].requests[0].header("host") == "Real.test:81"

    run(scene())


def test_an_empty_line_before_a_request_is_read_over(run: Run) -> None:
    async def scene() -> None:
        async with standing(echo) as stand:
            request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
            assert len(await stand.send(b"\r\n" + request + b"\r\n" + request)) == 2

    run(scene())


def test_redirects_fixed_answers_and_rewrites(run: Run) -> None:
    rules = (
        Rule(1, Conditions(path_prefix=("/old",)), Redirect(status=301, path="/new/#{path}")),
        Rule(2, Conditions(path_prefix=("/no",)), Respond(403, "no entry", "text/html")),
        Rule(3, Conditions(path_prefix=("/api",)), Forward((("web", 1),)), rewrite=Rewrite(("/api", "/v2"))),
    )

    async def scene() -> None:
        async with standing(echo, listener={"rules": rules}) as stand:
            streams = await stand.connect()
            moved = await stand.ask(streams, "/old/x?y=1")
            assert moved.status == 301
            assert (moved.header("location") or "").endswith("/new/old/x?y=1")
            refused = await stand.ask(streams, "/no")
            assert (refused.status, refused.body, refused.header("content-type")) == (403, b"no entry", "text/html")
            assert (await stand.ask(streams, "/no", method="HEAD")).header("content-length") == "8"
            assert (await stand.ask(streams, "/api/a?b")).body == b"GET /v2/a?b HTTP/1.1"
            assert len(stand.backends[0].requests) == 1

    run(scene())


def test_repeated_fields_keep_their_order(run: Run) -> None:
    data = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nX: 1\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n\r\n"

    async def scene() -> None:
        async with standing(answering(data)) as stand:
            answer = await stand.get(head="Y: 2\r\nY: 1\r\n")
            assert answer.all("set-cookie") == ["a=1", "b=2"]
            assert stand.backends[0].requests[0].all("y") == ["2", "1"]

    run(scene())


def test_the_same_fields_again_are_told_for_each_client_authority_and_backend(run: Run) -> None:
    async def scene() -> None:
        async with standing(echo, echo, listener={"forwarded": Forwarded(host="keep")}) as stand:
            request = b"GET %b HTTP/1.1\r\nHost: a.test\r\nX-Same: 1\r\n\r\n"
            for _ in range(2):
                for source in ("127.0.0.1", "127.0.0.9"):
                    reader, writer = await asyncio.open_connection("127.0.0.1", stand.port, local_addr=(source, 0))
                    stand.writers.append(writer)
                    for target in (b"/", b"http://b.test/", b"/"):
                        for _ in stand.backends:
                            writer.write(request % target)
                            assert await read_message(reader) is not None
            told = [(s, h) for s in ("127.0.0.1", "127.0.0.9") for h in ("a.test", "b.test", "a.test")]
            for backend in stand.backends:
                seen = [(r.header("x-forwarded-for"), r.header("host")) for r in backend.requests]
                assert seen == told * 2
                assert {r.header("x-same") for r in backend.requests} == {"1"}

    run(scene())


def test_heads_that_vary_are_never_remembered(run: Run) -> None:
    async def scene() -> None:
        async with standing(echo, decisions=AddsFields) as stand:
            streams = await stand.connect()
            for _ in range(3):
                await stand.ask(streams)
            assert len({r.header("x-request-id") for r in stand.backends[0].requests}) == 3

    run(scene())


def test_the_same_answer_again_is_passed_by_what_each_request_allows(run: Run) -> None:
    answer = b"HTTP/1.1 200 OK\r\nX-Same: 1\r\nConnection: X-Gone\r\nX-Gone: 1\r\nContent-Length: 2\r\n\r\nok"

    async def same(request: Message, writer: asyncio.StreamWriter) -> None:
        writer.write(answer[:-2] if request.method == "HEAD" else answer)

    async def scene() -> None:
        async with standing(same) as stand:
            for method in ("GET", "HEAD", "GET"):
                for head, connection in (("", None), ("Connection: close\r\n", "close")):
                    got = await stand.get(method=method, head=head)
                    assert got.headers[:2] == [("X-Same", "1"), ("Content-Length", "2")]
                    assert got.header("connection") == connection
                    assert got.body == (b"" if method == "HEAD" else b"ok")

    run(scene())
