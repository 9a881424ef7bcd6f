"""Answers as bytes: what is scripted is what a reader gets."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lbcheck.backends.echo import Given, Repeatable
from lbcheck.backends.reply import reply_to
from lbcheck.backends.script import Answer
from lbcheck.wire.events import Data, End, RequestHead, ResponseHead
from lbcheck.wire.reader import RequestReader, ResponseReader


def request(method: str = "GET", version: str = "1.1") -> RequestHead:
    (head, _) = RequestReader().feed(f"{method} / HTTP/{version}\r\nHost: h\r\n\r\n".encode())
    assert isinstance(head, RequestHead)
    return head


@given(
    method=st.sampled_from(["GET", "HEAD", "POST"]),
    version=st.sampled_from(["1.0", "1.1"]),
    status=st.sampled_from([200, 204, 304, 404, 503, 799]),
    body=st.binary(max_size=300),
    framing=st.sampled_from(["length", "chunked", "close"]),
    rate=st.none() | st.floats(1, 10_000),
    keep_alive=st.booleans(),
)
def test_every_reply_is_read_back(
    method: str, version: str, status: int, body: bytes, framing: str, rate: float | None, keep_alive: bool
) -> None:
    answer = Answer(status=status, body=body, framing=framing, keep_alive=keep_alive)  # type: ignore[arg-type]
    reply = reply_to(request(method, version), answer, backend="a", id="c-1", echo=b"")
    reader = ResponseReader()
    reader.expect(method)
    events = reader.feed(reply.head + b"".join(piece for piece, _ in reply.pieces(rate, half=False)))
    if not isinstance(events[-1], End):
        assert reply.closes
        events += reader.eof()
    head, *data, end = events
    assert isinstance(head, ResponseHead)
    assert isinstance(end, End)
    assert (head.status, head.field("lbcheck-backend"), head.field("lbcheck-id")) == (status, "a", "c-1")
    expected = b"" if method == "HEAD" or status in (204, 304) else body
    assert b"".join(piece.data for piece in data if isinstance(piece, Data)) == expected
    assert reader.rest == b""
    assert reply.closes or head.keep_alive


@given(st.binary(min_size=1, max_size=300), st.sampled_from(["length", "chunked"]), st.none() | st.floats(1, 1000))
def test_half_a_reply_is_never_whole(body: bytes, framing: str, rate: float | None) -> None:
    reply = reply_to(request(), Answer(body=body, framing=framing), backend="a", id=None, echo=b"")  # type: ignore[arg-type]
    reader = ResponseReader()
    reader.expect("GET")
    events = reader.feed(reply.head + b"".join(piece for piece, _ in reply.pieces(rate, half=True)))
    assert not any(isinstance(event, End) for event in events)


@given(st.binary(min_size=1, max_size=200), st.floats(1, 100_000))
def test_a_rate_takes_its_time(body: bytes, rate: float) -> None:
    reply = reply_to(request(), Answer(body=body), backend="a", id=None, echo=b"")
    pieces = list(reply.pieces(rate, half=False))
    assert abs(sum(pause_s for _, pause_s in pieces) - len(body) / rate) < 1e-6
    assert b"".join(piece for piece, _ in pieces) == body


@given(st.integers(0, 200_000), st.integers(0, 210_000), st.integers(0, 210_000))
def test_a_repeatable_body_slices_like_the_whole(size: int, start: int, stop: int) -> None:
    content = Repeatable(size)
    whole = content.slice(0, size)
    assert len(whole) == size
    start, stop = min(start, stop, size), max(start, stop)
    assert content.slice(start, stop) == whole[start:stop]
    assert Given(whole).slice(start, stop) == whole[start:stop]
