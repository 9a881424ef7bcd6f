"""Bodies in pieces: however the bytes are cut, the same payload, the same end, the same refusals."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbcheck.balancer.bodies import ChunkedBody, LengthBody, body_of, chunk, last_chunk
from lbcheck.balancer.wire import BadMessage

AFTER = b"GET /next"


def pieces_of(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({cut % (len(data) + 1) for cut in cuts})
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True) if data[a:b]]


@given(st.lists(st.binary(min_size=1, max_size=50)), st.lists(st.integers(0, 10_000), max_size=20))
def test_chunks_are_read_as_they_were_written(payloads: list[bytes], cuts: list[int]) -> None:
    data = b"".join(map(chunk, payloads)) + last_chunk([("X-Sum", "1")])
    body = ChunkedBody()
    read, rest = b"", b""
    for piece in pieces_of(data + AFTER, cuts):
        if body.done:
            rest += piece
            continue
        payload, left = body.feed(piece)
        read, rest = read + payload, rest + left
    assert (read, rest, body.done) == (b"".join(payloads), AFTER, True)
    assert body.trailers == [("X-Sum", "1")]


@given(st.binary(max_size=80), st.lists(st.integers(0, 10_000), max_size=20))
def test_garbage_is_judged_the_same_however_it_is_cut(data: bytes, cuts: list[int]) -> None:
    def outcome(pieces: list[bytes]) -> tuple[str, bytes]:
        body, read = ChunkedBody(), b""
        for piece in pieces:
            try:
                read += body.feed(piece)[0]
            except BadMessage:
                return "refused", b""
            if body.done:
                return "done", read
        return "unfinished", read

    whole, cut = outcome([data] if data else []), outcome(pieces_of(data, cuts))
    assert whole == cut or ("refused" in (whole[0], cut[0]) and whole[0] in ("refused", cut[0]))


@given(st.binary(max_size=50), st.integers(0, 50), st.lists(st.integers(0, 100), max_size=8))
def test_a_length_ends_exactly_there(data: bytes, length: int, cuts: list[int]) -> None:
    body = LengthBody(length)
    read, rest = b"", b""
    for piece in pieces_of(data, cuts):
        if body.done:
            rest += piece
            continue
        payload, left = body.feed(piece)
        read, rest = read + payload, rest + left
    assert (read, rest) == (data[:length], data[length:])
    assert body.done == (len(data) >= length)


def test_an_empty_payload_is_no_chunk() -> None:
    assert chunk(b"") == b""


def test_trailers_that_steer_are_dropped() -> None:
    body = ChunkedBody()
    body.feed(b"0\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\nHost: x\r\nX: 1\r\nCookie: a\r\n\r\n")
    assert body.trailers == [("X", "1")]


def test_a_trailer_section_has_a_bound() -> None:
    with pytest.raises(BadMessage, match="trailers") as refused:
        ChunkedBody().feed(b"0\r\n" + b"X: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n" * 1000)
    assert refused.value.status == 431


def test_a_body_beyond_every_disk_is_refused() -> None:
    with pytest.raises(BadMessage) as refused:
        body_of(1 << 50)
    assert refused.value.status == 413
