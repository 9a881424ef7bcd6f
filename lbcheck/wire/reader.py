"""Bytes in, events out: the request reader of a strict server and the response reader of a patient client.

A reader does no I/O, keeps no more than one head, and gives the same events however the bytes are cut into pieces
(only the borders between `Data` follow the pieces). Its states are its methods:

    head -> body -> head ...        a request reader; after the last request of a connection: over
    idle -> head -> body -> idle    a response reader, which must be told the method that it reads an answer to
    any  -> over                    after Malformed, or Cut
"""

from __future__ import annotations

from collections.abc import Callable

from lbcheck.history import Headers
from lbcheck.wire import framing, head
from lbcheck.wire.body import Body, Chunked, Length, UntilClose
from lbcheck.wire.events import KEPT, Cut, End, Interim, Malformed, RequestHead, ResponseHead, WireEvent
from lbcheck.wire.head import Fault

INTERIM_LIMIT = 100  # 1xx answers to one request


class _Reader:
    """What both readers share: the buffer, the body, faults."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._looked = 0  # bytes of the buffer that hold no end of a head
        self._body: Body | None = None
        self._state: Callable[[list[WireEvent]], bool] = self._over

    @property
    def rest(self) -> bytes:
        """What has come and was not read, at most KEPT."""
        return bytes(self._buffer[:KEPT])

    def feed(self, data: bytes) -> list[WireEvent]:
        """The events that these bytes complete."""
        out: list[WireEvent] = []
        if self._state == self._over:
            if len(self._buffer) < KEPT:
                self._buffer += data[:KEPT]
            return out
        self._buffer += data
        try:
            while self._state(out):
                pass
        except Fault as fault:
            out.append(Malformed(fault.reason, bytes(self._buffer[: fault.size])))
            del self._buffer[: fault.size]
            self._state = self._over
        return out

    def eof(self) -> list[WireEvent]:
        """The events that the end of the connection completes: End for a body that runs until then, or Cut, or none."""
        out: list[WireEvent] = []
        if self._state == self._read_body and self._body is not None:
            out.append(End() if self._body.ends_with_connection else Cut("body"))
        elif self._state != self._over and self._inside_head():
            out.append(Cut("head", self.rest))
        self._state = self._over
        return out

    def _inside_head(self) -> bool:
        return bool(self._buffer)

    def _over(self, _: list[WireEvent]) -> bool:
        return False

    def _take_head(self, first_line: Callable[[bytearray], object]) -> bytes | None:
        """The next whole head, taken out of the buffer. A first line that is none is told before the head is whole."""
        looked, self._looked = self._looked, len(self._buffer)
        end = head.head_end(self._buffer, looked, first_line=first_line)
        if end < 0:
            return None
        raw = bytes(self._buffer[:end])
        self._looked = 0
        return raw

    def _start_body(self, kind: framing.Framing) -> None:
        if kind.chunked:
            self._body = Chunked()
        elif kind.until_close:
            self._body = UntilClose()
        else:
            self._body = Length(kind.length or 0)
        self._state = self._read_body

    def _read_body(self, out: list[WireEvent]) -> bool:
        body = self._body
        if body is None or not body.take(self._buffer, out):
            return False
        self._body = None
        out.append(End(body.trailers))
        self._message_over()
        return True

    def _message_over(self) -> None:
        raise NotImplementedError


class RequestReader(_Reader):
    """Reads requests as a strict server does, one after another, pipelined ones too.

    After a request that closes the connection (RFC 9112 section 9.6) nothing more is read: what comes is `rest`.
    """

    def __init__(self) -> None:
        super().__init__()
        self._keep_alive = True
        self._blank = False  # one empty line before a request is read over (RFC 9112 section 2.2)
        self._state = self._read_head

    @property
    def closed(self) -> bool:
        """The last request of the connection has been read."""
        return not self._keep_alive and self._body is None

    def _read_head(self, out: list[WireEvent]) -> bool:
        if not self._blank and self._buffer[:2] == b"\r\n":
            self._blank = True
            self._looked = 0
            del self._buffer[:2]
        if not self._blank and self._buffer == b"\r":
            return False
        raw = self._take_head(head.request_line) if self._buffer else None
        if raw is None:
            return False
        request = _request(raw)
        del self._buffer[: len(raw)]
        self._blank = False
        self._keep_alive = request.keep_alive
        out.append(request)
        self._start_body(framing.Framing(length=request.length, chunked=request.chunked))
        return True

    def _message_over(self) -> None:
        self._state = self._read_head if self._keep_alive else self._over


def _request(raw: bytes) -> RequestHead:
    method, target, version, position = head.request_line(raw)
    fields = head.field_lines(raw, position)
    framing.one_host(version, fields, len(raw))
    kind = framing.of_request(version, fields, len(raw))
    keep_alive = framing.keeps_alive(version, fields)
    return RequestHead(method, target, version, fields, raw, kind.length, kind.chunked, keep_alive)


class ResponseReader(_Reader):
    """Reads the answer to one request at a time: `expect` names its method, then `feed`.

    What comes unasked stays in the buffer and is read as the answer to the next request, as any client would.
    """

    def __init__(self) -> None:
        super().__init__()
        self._method = "GET"
        self._interims = 0
        self._state = self._idle

    def expect(self, method: str) -> None:
        """Makes the next answer that of a request with this method; `feed(b"")` reads what is there already."""
        if self._state != self._idle:
            raise RuntimeError("expected the previous answer to be complete before the next request")
        self._method = method
        self._interims = 0
        self._looked = 0
        self._state = self._read_head

    def _inside_head(self) -> bool:
        return self._state == self._read_head and bool(self._buffer)

    def feed(self, data: bytes) -> list[WireEvent]:
        """As for any reader; bytes that nothing asked for are Malformed when they come to more than KEPT."""
        if self._state == self._idle and len(self._buffer) > KEPT:
            self._state = self._over
            return [Malformed("bytes that nothing asked for", self.rest)]
        return super().feed(data)

    def _idle(self, _: list[WireEvent]) -> bool:
        return False

    def _read_head(self, out: list[WireEvent]) -> bool:
        if not b"HTTP/1.".startswith(self._buffer[:7]):
            raise Fault("no status line", _difference(self._buffer))
        raw = self._take_head(head.status_line)
        if raw is None:
            return False
        status, reason, version, position = head.status_line(raw)
        fields = head.field_lines(raw, position)
        if status < 200 and status != 101:
            self._read_interim(Interim(status, fields), len(raw), out)
            return True
        kind = framing.of_response(self._method, status, version, fields, len(raw))
        keep_alive = framing.keeps_alive(version, fields) and not kind.until_close
        out.append(ResponseHead(status, reason, version, fields, raw, keep_alive))
        del self._buffer[: len(raw)]
        self._start_body(kind)
        return True

    def _read_interim(self, interim: Interim, size: int, out: list[WireEvent]) -> None:
        self._interims += 1
        if self._interims > INTERIM_LIMIT:
            raise Fault(f"more than {INTERIM_LIMIT} interim answers", size)
        out.append(interim)
        del self._buffer[:size]

    def _message_over(self) -> None:
        self._state = self._idle


def _difference(buffer: bytearray) -> int:
    """How many bytes it takes to see that this is no `HTTP/1.`."""
    for position, expected in enumerate(b"HTTP/1."):
        if buffer[position] != expected:
            return position + 1
    return len(buffer)


def unparsed(headers: Headers) -> bytes:
    """Field lines for these headers, latin-1, each with its CRLF."""
    return "".join(f"{name}: {value}\r\n" for name, value in headers).encode("latin-1")
