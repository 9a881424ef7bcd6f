"""What is no acceptable request is refused, the connection ends, and no backend ever reads two where one was sent."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.balancer.conftest import Run
from tests.balancer.standing import echo, read_message, standing

GET = b"GET / HTTP/1.1\r\nHost: a\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
SMUGGLED = b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"

REFUSED = [
    ("two lengths", POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 400),
    ("the same length twice", POST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 400),
    ("a list of lengths", POST + b"Content-Length: 5, 5\r\n\r\nhello", 400),
    ("CL.TE", POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" + SMUGGLED, 400),
    ("TE.CL", POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n" + SMUGGLED, 400),
    ("TE.TE", POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n" + SMUGGLED, 400),
    ("a coding that is not chunked", POST + b"Transfer-Encoding: xchunked\r\n\r\n" + SMUGGLED, 400),
    ("chunked in HTTP/1.0", b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n" + SMUGGLED, 400),
    ("a tab before the coding's colon", POST + b"Transfer-Encoding\t: chunked\r\n\r\n" + SMUGGLED, 400),
    ("a space before a colon", GET + b"X : 1\r\n\r\n", 400),
    ("a folded line", GET + b"X: 1\r\n 2\r\n\r\n", 400),
    ("a space before the first field", b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400),
    ("a bare line feed in the head", b"GET / HTTP/1.1\nHost: a\n\n", 400),
    ("a bare line feed in one line", GET + b"X: 1\nY: 2\r\n\r\n", 400),
    ("a bare carriage return", GET + b"X: 1\rY: 2\r\n\r\n", 400),
    ("a NUL", GET + b"X: \x00\r\n\r\n", 400),
    ("a field without a colon", GET + b"Host\r\n\r\n", 400),
    ("a field without a name", GET + b": 1\r\n\r\n", 400),
    ("a name that is no token", GET + b"X(: 1\r\n\r\n", 400),
    ("a negative length", POST + b"Content-Length: -1\r\n\r\n", 400),
    ("a signed length", POST + b"Content-Length: +5\r\n\r\nhello", 400),
    ("a hexadecimal length", POST + b"Content-Length: 0x5\r\n\r\nhello", 400),
    ("an empty length", POST + b"Content-Length: \r\n\r\nhello", 400),
    ("a length beyond every integer", POST + b"Content-Length: " + b"9" * 40 + b"\r\n\r\n", 400),
    ("a length beyond every disk", POST + b"Content-Length: 999999999999999999\r\n\r\n", 413),
    ("no Host", b"GET / HTTP/1.1\r\n\r\n", 400),
    ("two Hosts", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    ("a Host with a path", b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
    ("a Host with a user", b"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400),
    ("no version", b"GET /\r\nHost: a\r\n\r\n", 400),
    ("HTTP/2.0", b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
    ("HTTP/2's preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    ("a version in lower case", b"GET / http/1.1\r\nHost: a\r\n\r\n", 400),
    ("HTTP/1.10", b"GET / HTTP/1.10\r\nHost: a\r\n\r\n", 400),
    ("two spaces", b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("a space in the target", b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("a fragment", b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("raw bytes in the target", b"GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("a target that is no path", b"GET a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("another scheme", b"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("an asterisk without OPTIONS", b"GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("CONNECT", b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 501),
    ("an unknown expectation", POST + b"Content-Length: 1\r\nExpect: miracles\r\n\r\nx", 417),
    ("a TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    ("a large head", GET + b"X: " + b"y" * 70_000 + b"\r\n\r\n", 431),
    ("too many fields", GET + b"X: y\r\n" * 300 + b"\r\n", 431),
    ("an endless target", b"GET /" + b"y" * 70_000, 414),
    ("a long target", b"GET /" + b"y" * 40_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
]


@pytest.mark.parametrize(("data", "status"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED])
def test_refuses_and_forwards_nothing(run: Run, data: bytes, status: int) -> None:
    async def scene() -> None:
        async with standing(echo) as stand:
            reader, writer = await stand.connect()
            writer.write(data)
            answer = await read_message(reader)
            assert answer is not None
            assert (answer.status, answer.header("connection")) == (status, "close")
            assert await read_message(reader) is None, "the connection must end"
            assert stand.backends[0].requests == []
            assert stand.backends[0].connections == 0

    run(scene())


BAD_CHUNKS = [
    ("a size that is no number", b"x\r\nhello\r\n0\r\n\r\n"),
    ("a signed size", b"+5\r\nhello\r\n0\r\n\r\n"),
    ("a size with 0x", b"0x5\r\nhello\r\n0\r\n\r\n"),
    ("a size beyond every integer", b"FFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n"),
    ("a size beyond every disk", b"FFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n"),
    ("a space before the size", b" 5\r\nhello\r\n0\r\n\r\n"),
    ("a bare line feed after the size", b"5\nhello\r\n0\r\n\r\n"),
    ("a bare line feed in an extension", b"5;a\nb\r\nhello\r\n0\r\n\r\n"),
    ("a bare carriage return in an extension", b"5;a\rb\r\nhello\r\n0\r\n\r\n"),
    ("data longer than its size", b"4\r\nhello\r\n0\r\n\r\n"),
    ("no line end after the data", b"5\r\nhello0\r\n\r\n"),
    ("a bare line feed after the data", b"5\r\nhello\n0\r\n\r\n"),
    ("an endless size line", b"5;" + b"a" * 5000),
    ("a folded trailer", b"5\r\nhello\r\n0\r\nX: 1\r\n 2\r\n\r\n"),
    ("a trailer without a colon", b"5\r\nhello\r\n0\r\nX\r\n\r\n"),
    ("an empty size", b"\r\nhello\r\n0\r\n\r\n"),
]


@pytest.mark.parametrize("chunks", [c[1] for c in BAD_CHUNKS], ids=[c[0] for c in BAD_CHUNKS])
@pytest.mark.parametrize("late", [False, True], ids=["at once", "after the head"])
def test_a_bad_chunk_never_becomes_a_whole_request(run: Run, chunks: bytes, late: bool) -> None:
    head = POST + b"Transfer-Encoding: chunked\r\n\r\n"

    async def scene() -> None:
        async with standing(echo) as stand:
            reader, writer = await stand.connect()
            if late:
                writer.write(head + b"1\r\na\r\n")
                await asyncio.sleep(0.02)
                writer.write(chunks)
            else:
                writer.write(head + chunks)
            answer = await read_message(reader)
            assert answer is not None
            assert answer.status in (400, 413)
            assert await read_message(reader) is None
            assert stand.backends[0].requests == []
            assert stand.in_flight() == 0

    run(scene())


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.binary(max_size=300),
        st.lists(
            st.sampled_from(
                [
                    b"GET / HTTP/1.1",
                    b"POST /x HTTP/1.0",
                    b"\r\n",
                    b"\n",
                    b"\r",
                    b"Host: a",
                    b"Content-Length: 3",
                    b"abc",
                    b" ",
                    b"Transfer-Encoding: chunked",
                    b"3\r\nabc\r\n",
                    b"0\r\n\r\n",
                    b"\x00",
                    b":",
                    b"Content-Length: 0",
                    b"\t",
                ]
            ),
            max_size=14,
        ).map(b"".join),
    )
)
def test_no_bytes_crash_it_and_none_are_forwarded_as_more_than_was_sent(garbage: bytes) -> None:
    async def scene() -> None:
        broken: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: broken.append(context))
        async with standing(echo) as stand:
            _, writer = await stand.connect()
            writer.write(garbage)
            writer.write_eof()
            assert (await stand.get("/after")).status == 200
            seen = [r for r in stand.backends[0].requests if r.target != "/after"]
            assert len(seen) <= garbage.count(b" HTTP/1.")
        assert broken == []

    asyncio.run(scene())
