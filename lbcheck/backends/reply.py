"""An answer as bytes: pure, from what the script says and the request allows (RFC 9112 section 6)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus

from lbcheck.backends.echo import Content, Given, Repeatable
from lbcheck.backends.script import Answer
from lbcheck.history import BACKEND_HEADER, ID_HEADER
from lbcheck.wire.events import RequestHead
from lbcheck.wire.reader import unparsed

PIECE = 64 * 1024  # bytes of a body that are made at once
SLOW_TICK_S = 0.02  # a slow body goes out in pieces at about this distance

_REASONS = {status.value: status.phrase for status in HTTPStatus}


@dataclass(frozen=True, slots=True)
class Reply:
    """`content` goes out after `head`, unless `bodiless`; `closes` says that the connection ends after it."""

    head: bytes
    content: Content
    chunked: bool
    bodiless: bool
    closes: bool
    status: int | None  # None: raw bytes, whose status nobody knows

    def pieces(self, rate: float | None, *, half: bool) -> Iterator[tuple[bytes, float]]:
        """What follows the head, each with the seconds until the next; `half` leaves the rest and the end out."""
        if self.bodiless:
            return
        size = PIECE if rate is None else max(1, round(rate * SLOW_TICK_S))
        stop = self.content.size // 2 if half else self.content.size
        for start in range(0, stop, size):
            piece = self.content.slice(start, min(start + size, stop))
            pause_s = len(piece) / rate if rate else 0.0
            yield (b"%x\r\n%s\r\n" % (len(piece), piece) if self.chunked else piece), pause_s
        if self.chunked and not half:
            yield b"0\r\n\r\n", 0.0


def reply_to(request: RequestHead, answer: Answer, *, backend: str, id: str | None, echo: bytes) -> Reply:
    """The reply of `backend`; `echo` is its body where the script names none."""
    interim = b"".join(_status_line(status) + b"\r\n" for status in answer.interim)
    if answer.raw is not None:
        closes = not (answer.keep_alive and request.keep_alive)
        return Reply(answer.raw, Given(b""), chunked=False, bodiless=True, closes=closes, status=None)
    content = _content(answer, echo)
    empty = answer.status in (204, 304) or answer.status < 200
    framing = answer.framing
    if framing == "chunked" and request.version == "1.0":
        framing = "close"  # RFC 9112 section 7: HTTP/1.0 knows no chunks
    closes = not (answer.keep_alive and request.keep_alive) or (framing == "close" and not empty)
    fields = [*answer.headers]
    given = {name.lower() for name, _ in fields}
    if answer.signed:
        fields += _signature(backend, id)
    if answer.body is None and answer.body_size is None and not empty and "content-type" not in given:
        fields.append(("Content-Type", "application/json"))
    if not empty and not given & {"content-length", "transfer-encoding"}:
        fields += _framing(framing, content.size)
    if "connection" not in given:
        fields += _persistence(request, closes)
    head = interim + _status_line(answer.status) + unparsed(tuple(fields)) + b"\r\n"
    bodiless = empty or request.method == "HEAD"
    return Reply(head, content, framing == "chunked", bodiless, closes, answer.status)


def _status_line(status: int) -> bytes:
    return f"HTTP/1.1 {status} {_REASONS.get(status, '')}\r\n".encode()


def _content(answer: Answer, echo: bytes) -> Content:
    if answer.body is not None:
        return Given(answer.body)
    return Given(echo) if answer.body_size is None else Repeatable(answer.body_size)


def _signature(backend: str, id: str | None) -> list[tuple[str, str]]:
    return [(BACKEND_HEADER, backend), *([] if id is None else [(ID_HEADER, id)])]


def _framing(framing: str, size: int) -> list[tuple[str, str]]:
    if framing == "length":
        return [("Content-Length", str(size))]
    return [("Transfer-Encoding", "chunked")] if framing == "chunked" else []


def _persistence(request: RequestHead, closes: bool) -> list[tuple[str, str]]:
    if closes:
        return [("Connection", "close")]
    return [("Connection", "keep-alive")] if request.version == "1.0" else []
