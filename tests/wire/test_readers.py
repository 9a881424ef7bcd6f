"""Both readers: whole, byte by byte, in any pieces, and with what follows."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbcheck.wire.events import Cut, Data, End, Interim, Malformed, RequestHead, ResponseHead, WireEvent
from lbcheck.wire.reader import RequestReader, ResponseReader


def joined(events: list[WireEvent]) -> list[WireEvent]:
    """Neighbouring pieces of a body made one: their borders mean nothing."""
    out: list[WireEvent] = []
    for event in events:
        if isinstance(event, Data) and out and isinstance(out[-1], Data):
            out[-1] = Data(out[-1].data + event.data)
        else:
            out.append(event)
    return out


def requests(*pieces: bytes, eof: bool = False) -> list[WireEvent]:
    reader = RequestReader()
    events = [event for piece in pieces for event in reader.feed(piece)]
    return joined(events + (reader.eof() if eof else []))


def answers(*pieces: bytes, method: str = "GET", eof: bool = False) -> list[WireEvent]:
    reader = ResponseReader()
    reader.expect(method)
    events = [event for piece in pieces for event in reader.feed(piece)]
    return joined(events + (reader.eof() if eof else []))


def bytewise(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


def head(method: str = "GET", target: str = "/", *lines: str, version: str = "1.1", host: bool = True) -> bytes:
    fields = (["Host: h"] if host else []) + list(lines)
    return "\r\n".join([f"{method} {target} HTTP/{version}", *fields, "", ""]).encode("latin-1")


CHUNKED = head("POST", "/", "Transfer-Encoding: chunked")

REQUESTS = {
    "get": (head("GET", "/a?b=c", "Accept:  x \t"), ["GET", End()]),
    "length": (head("POST", "/", "Content-Length: 3") + b"abc", ["POST", Data(b"abc"), End()]),
    "empty length": (head("POST", "/", "Content-Length: 0"), ["POST", End()]),
    "chunked": (
        CHUNKED + b"3;x=y\r\nabc\r\n1\r\nd\r\n0\r\nT: u\r\n\r\n",
        ["POST", Data(b"abcd"), End((("T", "u"),))],
    ),
    "pipelined": (
        head() + head("POST", "/", "Content-Length: 1") + b"x" + head("PUT"),
        ["GET", End(), "POST", Data(b"x"), End(), "PUT", End()],
    ),
    "blank line before": (b"\r\n" + head(), ["GET", End()]),
    "http/1.0": (head(version="1.0", host=False), ["GET", End()]),
    "after close": (head("GET", "/", "Connection: close") + head(), ["GET", End()]),
    "half a head": (b"GET / HTTP/1.1\r\nHost: h\r\n", [Cut("head", b"GET / HTTP/1.1\r\nHost: h\r\n")]),
    "half a body": (head("POST", "/", "Content-Length: 3") + b"ab", ["POST", Data(b"ab"), Cut("body")]),
    "half a chunk": (CHUNKED + b"3\r\nab", ["POST", Data(b"ab"), Cut("body")]),
    "no last chunk": (CHUNKED + b"1\r\na\r\n", ["POST", Data(b"a"), Cut("body")]),
}


def named(events: list[WireEvent]) -> list[object]:
    return [e.method if isinstance(e, RequestHead) else e for e in events]


@pytest.mark.parametrize("name", REQUESTS)
def test_requests_are_read_whole_and_byte_by_byte(name: str) -> None:
    data, expected = REQUESTS[name]
    whole = requests(data, eof=True)
    assert named(whole) == expected
    assert requests(*bytewise(data), eof=True) == whole


def test_a_request_head_keeps_its_bytes_and_its_fields_in_order() -> None:
    raw = head("GET", "/\xe9", "X-b: 1", "x-A:\t2 ", "X-b: 3", "Empty:")
    (event, _) = requests(raw)
    assert event == RequestHead(
        "GET",
        "/\xe9",
        "1.1",
        (("Host", "h"), ("X-b", "1"), ("x-A", "2"), ("X-b", "3"), ("Empty", "")),
        raw,
        None,
        False,
        True,
    )


MALFORMED_REQUESTS = {
    "bare LF in the first line": (b"GET / HTTP/1.1\nHost: h\n\n", "a bare LF in the head"),
    "bare LF in a field": (b"GET / HTTP/1.1\r\nHost: h\nA: b\r\n\r\n", "a bare LF in the head"),
    "bare CR": (b"GET / HTTP/1.1\r\nHost: h\rA: b\r\n\r\n", "a bare CR in the head"),
    "bare CR in the first line": (b"GE\rT / HTTP/1.1\r\nHost: h\r\n\r\n", "a bare CR in the head"),
    "NUL": (b"GET / HTTP/1.1\r\nHost: \0\r\n\r\n", "a NUL in the head"),
    "first fault is told": (b"GET /  HTTP/1.1\r\nHost: h\n\n", "no request line"),
    "no version": (b"GET /\r\n\r\n", "no request line"),
    "HTTP/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "no request line"),
    "two blanks": (b"GET  / HTTP/1.1\r\nHost: h\r\n\r\n", "no request line"),
    "blank before the method": (b" GET / HTTP/1.1\r\nHost: h\r\n\r\n", "no request line"),
    "lower http": (b"GET / http/1.1\r\nHost: h\r\n\r\n", "no request line"),
    "folded line": (head("GET", "/", "A: b", " c"), "a folded field line"),
    "folded first line": (b"GET / HTTP/1.1\r\n Host: h\r\n\r\n", "a folded field line"),
    "blank before colon": (head("GET", "/", "A : b"), "white space before a colon"),
    "no colon": (head("GET", "/", "A"), "a field line without a colon"),
    "no token": (head("GET", "/", "A(b): c"), "a field name that is no token"),
    "empty name": (head("GET", "/", ": c"), "a field name that is no token"),
    "no host": (head(host=False), "no Host in HTTP/1.1"),
    "two hosts": (head("GET", "/", "Host: h"), "more than one Host"),
    "CL and TE": (
        head("POST", "/", "Content-Length: 3", "Transfer-Encoding: chunked"),
        "both Transfer-Encoding and Content-Length",
    ),
    "CL twice, the same": (head("POST", "/", "Content-Length: 3", "Content-Length: 3"), "more than one Content-Length"),
    "CL list": (head("POST", "/", "Content-Length: 3, 3"), "a Content-Length that is no number"),
    "CL plus": (head("POST", "/", "Content-Length: +3"), "a Content-Length that is no number"),
    "CL minus": (head("POST", "/", "Content-Length: -3"), "a Content-Length that is no number"),
    "CL huge": (head("POST", "/", "Content-Length: " + "9" * 19), "a Content-Length that is no number"),
    "CL empty": (head("POST", "/", "Content-Length:"), "a Content-Length that is no number"),
    "CL Arabic digits": (head("POST", "/", "Content-Length: \xb2"), "a Content-Length that is no number"),
    "TE identity": (
        head("POST", "/", "Transfer-Encoding: identity"),
        "a Transfer-Encoding that does not end in chunked alone",
    ),
    "TE twice": (
        head("POST", "/", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
        "a Transfer-Encoding that does not end in chunked alone",
    ),
    "TE xchunked": (
        head("POST", "/", "Transfer-Encoding: xchunked"),
        "a Transfer-Encoding that does not end in chunked alone",
    ),
    "TE in 1.0": (
        head("POST", "/", "Transfer-Encoding: chunked", version="1.0"),
        "a Transfer-Encoding in HTTP/1.0",
    ),
    "endless first line": (b"A" * (300 * 1024), "a head longer than 262144 bytes"),
}


@pytest.mark.parametrize("name", MALFORMED_REQUESTS)
def test_what_is_no_request_is_told_with_its_reason(name: str) -> None:
    data, reason = MALFORMED_REQUESTS[name]
    reader = RequestReader()
    (fault,) = reader.feed(data)
    assert isinstance(fault, Malformed)
    assert fault.reason == reason
    assert data.startswith(fault.raw)
    assert reader.feed(head()) == []
    assert reader.eof() == []
    if len(data) < 4096:
        assert requests(*bytewise(data)) == [fault]


MALFORMED_CHUNKS = {
    "blank before": b" 3\r\nabc\r\n",
    "hexadecimal prefix": b"0x3\r\nabc\r\n",
    "sign": b"+3\r\nabc\r\n",
    "empty": b"\r\nabc\r\n",
    "bare LF": b"3\nabc\r\n",
    "bare CR in an extension": b"3;a\rb\r\nabc\r\n",
    "huge": b"1" * 17 + b"\r\n",
    "longer than its size": b"3\r\nabcd\r\n",
    "longer, by CR": b"3\r\nabc\rX",
    "endless extension": b"3;" + b"a" * 5000,
    "trailer folded": b"0\r\n a: b\r\n\r\n",
    "trailer with bare LF": b"0\r\na: b\n\n",
}


@pytest.mark.parametrize("name", MALFORMED_CHUNKS)
def test_what_is_no_chunk_is_malformed(name: str) -> None:
    data = CHUNKED + MALFORMED_CHUNKS[name]
    *_, fault = whole = requests(data)
    assert isinstance(fault, Malformed)
    assert requests(*bytewise(data)) == whole
    assert not any(isinstance(event, End) for event in whole)


def test_what_follows_the_last_request_is_kept_unread() -> None:
    reader = RequestReader()
    reader.feed(head("GET", "/", "Connection: close") + b"GET /smuggled")
    assert reader.closed
    assert reader.rest == b"GET /smuggled"


OK = b"HTTP/1.1 200 OK\r\n"
LONG = OK + b"Content-Length: 3\r\n\r\n"

ANSWERS = {
    "length": ("GET", LONG + b"abc", [200, Data(b"abc"), End()]),
    "head": ("HEAD", LONG, [200, End()]),
    "204": ("GET", b"HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n", [204, End()]),
    "304": ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n", [304, End()]),
    "101": ("GET", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", [101, End()]),
    "chunked": ("GET", OK + b"Transfer-Encoding: Chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", [200, Data(b"ab"), End()]),
    "until close": ("GET", OK + b"\r\nabc", [200, Data(b"abc"), End()]),
    "until close, gzip": ("GET", OK + b"Transfer-Encoding: gzip\r\n\r\nabc", [200, Data(b"abc"), End()]),
    "interim": (
        "GET",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + LONG + b"abc",
        [Interim(100, ()), Interim(103, (("Link", "a"),)), 200, Data(b"abc"), End()],
    ),
    "no reason": ("GET", b"HTTP/1.0 200\r\nContent-Length: 0\r\n\r\n", [200, End()]),
    "cut body": ("GET", LONG + b"ab", [200, Data(b"ab"), Cut("body")]),
    "cut chunked body": ("GET", OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", [200, Data(b"ab"), Cut("body")]),
    "cut head": ("GET", b"HTTP/1.1 200 O", [Cut("head", b"HTTP/1.1 200 O")]),
    "nothing": ("GET", b"", []),
    "no HTTP": ("GET", b"SSH-2.0-OpenSSH", [Malformed("no status line", b"S")]),
    "almost": ("GET", b"HTTP/2 200 OK\r\n", [Malformed("no status line", b"HTTP/2")]),
    "bad status": ("GET", b"HTTP/1.1 20x OK\r\n", [Malformed("no status line", b"HTTP/1.1 20x OK\r\n")]),
    "bare LF": ("GET", b"HTTP/1.1 200 OK\n\n", [Malformed("a bare LF in the head", b"HTTP/1.1 200 OK\n")]),
}


def numbered(events: list[WireEvent]) -> list[object]:
    return [e.status if isinstance(e, ResponseHead) else e for e in events]


@pytest.mark.parametrize("name", ANSWERS)
def test_answers_are_read_whole_and_byte_by_byte(name: str) -> None:
    method, data, expected = ANSWERS[name]
    whole = answers(data, method=method, eof=True)
    assert numbered(whole) == expected
    assert answers(*bytewise(data), method=method, eof=True) == whole


def test_both_framings_in_an_answer_are_malformed() -> None:
    *_, fault = answers(OK + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert isinstance(fault, Malformed)
    assert fault.reason == "both Transfer-Encoding and Content-Length"


def test_a_body_after_the_answer_to_head_is_read_as_the_next_answer() -> None:
    reader = ResponseReader()
    reader.expect("HEAD")
    assert numbered(reader.feed(LONG + b"abc")) == [200, End()]
    reader.expect("GET")
    assert reader.feed(b"") == [Malformed("no status line", b"a")]


def test_endless_interim_answers_are_refused() -> None:
    *interims, fault = answers(b"HTTP/1.1 100 Continue\r\n\r\n" * 200)
    assert len(interims) == 100
    assert fault == Malformed("more than 100 interim answers", b"HTTP/1.1 100 Continue\r\n\r\n")


def test_megabytes_of_fields_are_refused_and_not_kept() -> None:
    reader = ResponseReader()
    reader.expect("GET")
    events = reader.feed(OK)
    for _ in range(64):
        events += reader.feed(b"X-Field: " + b"y" * 65000 + b"\r\n")
    (fault,) = events
    assert isinstance(fault, Malformed)
    assert fault.reason == "a head longer than 262144 bytes"
    assert len(fault.raw) <= 64 * 1024
    assert len(reader.rest) <= 64 * 1024


cuts = st.lists(st.integers(0, 200), max_size=12).map(sorted)
alphabet = st.sampled_from(
    [b"GET / HTTP/1.1\r\nHost: h\r\n", b"\r\n", b"\n", b"\r", b"Content-Length: 2\r\n", b"ab", b"0"]
)
bodies = st.sampled_from(
    [b"Transfer-Encoding: chunked\r\n", b"3\r\nabc\r\n", b"0\r\n\r\n", b"A: b\r\n", b"HTTP/1.1 200 OK\r\n"]
)
texts = st.lists(alphabet | bodies | st.binary(max_size=4), max_size=12).map(b"".join)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    borders = [0, *(min(cut, len(data)) for cut in cuts), len(data)]
    return [data[a:b] for a, b in pairwise(borders)]


@given(texts, cuts)
def test_any_pieces_give_the_same_requests(data: bytes, cuts: list[int]) -> None:
    assert requests(*pieces(data, cuts), eof=True) == requests(data, eof=True)


@given(texts, cuts, st.sampled_from(["GET", "HEAD"]))
def test_any_pieces_give_the_same_answer(data: bytes, cuts: list[int], method: str) -> None:
    data = b"HTTP/1.1 200 OK\r\n" + data
    assert answers(*pieces(data, cuts), method=method, eof=True) == answers(data, method=method, eof=True)


@given(st.binary(max_size=200), st.lists(st.integers(0, 80), min_size=1, max_size=8), st.data())
def test_a_chunked_body_is_the_same_however_it_is_chunked(body: bytes, sizes: list[int], data: st.DataObject) -> None:
    wire, position = b"", 0
    while position < len(body):
        size = max(1, data.draw(st.sampled_from(sizes)))
        chunk = body[position : position + size]
        wire += b"%x\r\n%s\r\n" % (len(chunk), chunk)
        position += size
    events = requests(CHUNKED + wire + b"0\r\n\r\n" + head())
    expected = ["POST", *([Data(body)] if body else []), End(), "GET", End()]
    assert named(events) == expected
