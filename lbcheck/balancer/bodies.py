"""Message bodies as they arrive in pieces: one reader a framing (RFC 9112 sections 6 and 7). Pure.

`feed(data)` gives (payload, what follows the body); `done` once the body ended at its frame. BadMessage on a chunk
that is not exactly as the RFC writes it.
"""

from __future__ import annotations

import re
from typing import Protocol

from lbcheck.balancer.wire import BadMessage, Fields, parse_fields

MAX_BODY = 1 << 40  # bytes that a message may announce
_MAX_LINE = 4096  # bytes of a chunk's size line
_MAX_TRAILERS = 16 * 1024  # bytes of a trailer section
_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[ \t]*;[\t -\x7e\x80-\xff]*)?")
# RFC 9110 section 6.5.1: what steers framing, routing or authorization has no place in a trailer
_NO_TRAILERS = frozenset({
    "content-length", "transfer-encoding", "host", "connection", "keep-alive", "te", "trailer", "upgrade",
    "proxy-connection", "cookie", "set-cookie", "authorization", "proxy-authorization", "proxy-authenticate",
    "www-authenticate", "cache-control", "expect", "max-forwards", "pragma", "range", "if-match", "if-none-match",
    "if-modified-since", "if-unmodified-since", "if-range", "content-encoding", "content-type", "content-range", "age",
    "date", "expires", "location", "retry-after", "vary", "warning", "forwarded", "x-forwarded-for",
    "x-forwarded-proto", "x-forwarded-port", "x-forwarded-host", "x-real-ip",
})  # fmt: skip


class Body(Protocol):
    done: bool
    trailers: Fields

    def feed(self, data: bytes) -> tuple[bytes, bytes]: ...


class LengthBody:
    """So many bytes."""

    __slots__ = ("done", "remaining", "trailers")

    def __init__(self, length: int) -> None:
        self.remaining = length
        self.done = length == 0
        self.trailers: Fields = []

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        size = len(data)
        if size < self.remaining:
            self.remaining -= size
            return data, b""
        remaining, self.remaining, self.done = self.remaining, 0, True
        return (data, b"") if size == remaining else (data[:remaining], data[remaining:])


class CloseBody:
    """An answer's body that ends with its connection; the caller sees the end."""

    __slots__ = ("done", "trailers")

    def __init__(self) -> None:
        self.done = False
        self.trailers: Fields = []

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        return data, b""


class ChunkedBody:
    """Chunks, a last chunk and trailers. Extensions are read over; trailers that steer anything are dropped."""

    __slots__ = ("_buffer", "_remaining", "_state", "_total", "_trailer_size", "done", "trailers")

    def __init__(self) -> None:
        self._buffer = b""  # of a line that is not whole yet
        self._remaining = 0
        self._state = "size"
        self._total = 0
        self._trailer_size = 0
        self.done = False
        self.trailers: Fields = []

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        if self._buffer:
            data, self._buffer = self._buffer + data, b""
        pieces: list[bytes] = []
        at = 0
        while not self.done and at < len(data):
            if self._state == "data":
                piece = data[at : at + self._remaining]
                pieces.append(piece)
                at += len(piece)
                self._remaining -= len(piece)
                if not self._remaining:
                    self._state = "end"
                continue
            line, at = self._line(data, at)
            if line is None:
                break
            self._take(line)
        payload = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        return payload, data[at:] if self.done else b""

    def _line(self, data: bytes, at: int) -> tuple[bytes | None, int]:
        """The next line without its CRLF and where the one after it begins; None while it is not whole."""
        end = data.find(b"\n", at)
        limit = 2 if self._state == "end" else _MAX_LINE
        if end < 0:
            if len(data) - at >= limit:
                raise BadMessage(400, "a chunk's line that does not end")
            self._buffer = data[at:]
            return None, len(data)
        if end == at or data[end - 1] != 13 or end + 1 - at > limit:
            raise BadMessage(400, "a chunk's line that does not end in CRLF where it must")
        return data[at : end - 1], end + 1

    def _take(self, line: bytes) -> None:
        if self._state == "size":
            self._begin_chunk(line)
        elif self._state == "end":
            if line:
                raise BadMessage(400, "a chunk that is longer than its size")
            self._state = "size"
        elif line:
            self._trailer(line)
        else:
            self.done = True

    def _begin_chunk(self, line: bytes) -> None:
        match = _SIZE_LINE.fullmatch(line)
        if match is None:
            raise BadMessage(400, "a chunk size that is no hexadecimal number")
        self._remaining = int(match[1], 16)
        self._total += self._remaining
        if self._total > MAX_BODY:
            raise BadMessage(413, f"a body of more than {MAX_BODY} bytes")
        self._state = "data" if self._remaining else "trailers"

    def _trailer(self, line: bytes) -> None:
        self._trailer_size += len(line)
        if self._trailer_size > _MAX_TRAILERS:
            raise BadMessage(431, f"more than {_MAX_TRAILERS} bytes of trailers")
        if any((b < 32 and b != 9) or b == 127 for b in line):
            raise BadMessage(400, "a control character in a trailer")
        fields, _ = parse_fields([line.decode("latin-1")])
        self.trailers.extend(field for field in fields if field[0].lower() not in _NO_TRAILERS)


def body_of(framing: int | str) -> Body:
    """The reader for a framing: a length, "chunked" or "close"."""
    if framing == "chunked":
        return ChunkedBody()
    if framing == "close":
        return CloseBody()
    length = int(framing)
    if length > MAX_BODY:
        raise BadMessage(413, f"a body of more than {MAX_BODY} bytes")
    return LengthBody(length)


def chunk(payload: bytes) -> bytes:
    """The payload as one chunk; nothing for nothing (an empty chunk would be the last)."""
    return b"%x\r\n%b\r\n" % (len(payload), payload) if payload else b""


def last_chunk(trailers: Fields) -> bytes:
    if not trailers:
        return b"0\r\n\r\n"
    return ("0\r\n" + "".join(f"{n}: {v}\r\n" for n, v in trailers) + "\r\n").encode("latin-1")
