"""Requests as bytes, and requests found in bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbcheck.client.ids import Ids
from lbcheck.client.outgoing import outgoing, requests_in
from lbcheck.spec.request import Request
from lbcheck.wire.events import Data, End, RequestHead
from lbcheck.wire.reader import RequestReader


def test_fields_stand_in_the_given_order_after_host_and_id() -> None:
    request = Request("GET", "/a?b", "h", (("X-b", "1"), ("x-A", ""), ("X-b", "2")))
    assert outgoing(request, "c-1").head == (
        b"GET /a?b HTTP/1.1\r\nHost: h\r\nLbcheck-Id: c-1\r\nX-b: 1\r\nx-A: \r\nX-b: 2\r\n\r\n"
    )


def test_a_body_is_framed_by_length_or_in_chunks() -> None:
    request = Request("POST")
    assert b"\r\nContent-Length: 3\r\n" in outgoing(request, "c-1", body=b"abc").head
    assert b"\r\nContent-Length: 0\r\n" in outgoing(request, "c-1", body=b"").head
    chunked = outgoing(request, "c-1", body=b"abc", chunked=True)
    assert b"\r\nTransfer-Encoding: chunked\r\n" in chunked.head
    assert chunked.body == b"3\r\nabc\r\n0\r\n\r\n"
    assert b"Content-Length" not in outgoing(request, "c-1").head


def test_what_the_request_names_itself_is_not_added() -> None:
    request = Request("POST", headers=(("host", "other"), ("lbcheck-id", "mine"), ("content-length", "7")))
    out = outgoing(request, "c-1", body=b"abc")
    assert out.id == "mine"
    assert out.head == b"POST / HTTP/1.1\r\nhost: other\r\nlbcheck-id: mine\r\ncontent-length: 7\r\n\r\n"


@given(st.binary(max_size=40_000), st.booleans())
def test_what_is_sent_is_read_back(body: bytes, chunked: bool) -> None:
    out = outgoing(Request("POST", "/x"), "c-1", body=body, chunked=chunked)
    head, *data, end = RequestReader().feed(out.head + out.body)
    assert isinstance(head, RequestHead)
    assert (head.method, head.target, head.field("lbcheck-id")) == ("POST", "/x", "c-1")
    assert b"".join(piece.data for piece in data if isinstance(piece, Data)) == body
    assert end == End()


def get(id: str) -> bytes:
    return f"GET /{id} HTTP/1.1\r\nHost: h\r\nLbcheck-Id: {id}\r\n\r\n".encode()


@pytest.mark.parametrize(
    ("data", "found", "spare"),
    [
        (get("a"), [("a", "GET", "/a")], []),
        (get("a") + get("b"), [("a", "GET", "/a"), ("b", "GET", "/b")], []),
        (get("a") + b"GET /b\r\nlbcheck-id:b \r\n\r\n", [("a", "GET", "/a")], ["b"]),
        (b"GET  /x HTTP/1.1\r\nLbcheck-Id: a\r\n\r\n" + get("b"), [("a", "GET", "/x")], ["b"]),
        (b"GET / HTTP/1.1\nLbcheck-Id: a\n\n", [("a", "GET", "/")], []),
        (b"\x16\x03\x01", [("new", "\x16\x03\x01", "")], []),
        (b"", [("new", "", "")], []),
    ],
)
def test_requests_are_found_in_bytes(data: bytes, found: list[tuple[str, str, str]], spare: list[str]) -> None:
    requests, ids = requests_in(data, "new")
    assert [(r.id, r.method, r.target) for r in requests] == found
    assert ids == spare


def test_names_count_up() -> None:
    ids = Ids("c7")
    assert [ids(), ids(), ids.connection(), ids()] == ["c7-1", "c7-2", "c7.1", "c7-3"]
