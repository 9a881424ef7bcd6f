"""The client's side of HTTP/1.1: reads requests strictly, one exchange at a time, answers in order."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lbcheck.balancer.deadline import Deadline
from lbcheck.balancer.exchange import Exchange
from lbcheck.balancer.request import Request
from lbcheck.balancer.reset import open_transport, reset
from lbcheck.balancer.upload import Upload
from lbcheck.balancer.wire import (
    BadMessage,
    Field,
    bare_line_feed,
    own_answer,
    parse_request,
)

if TYPE_CHECKING:
    from lbcheck.balancer.server import Balancer, Frontend

# A refused client may still be sending: closing at once would take the answer away from it (RFC 9112 section 9.6).
_LINGER_S = 2.0
_MAX_LINGER = 1 << 20  # bytes of that
_MAX_AHEAD = 64 * 1024  # bytes of pipelined requests that are read before their turn

# why reading is held
_BODY, _AHEAD = 1, 2


class Client(asyncio.Protocol):
    """One client's connection."""

    __slots__ = (
        "_ahead",
        "_closing",
        "_deadline",
        "_discarded",
        "_ended",
        "_held",
        "_reading",
        "_slow",
        "_upload",
        "asked",
        "balancer",
        "exchange",
        "frontend",
        "peer",
        "transport",
        "worker",
    )

    def __init__(self, balancer: Balancer, frontend: Frontend) -> None:
        self.balancer = balancer
        self.frontend = frontend
        self.transport: asyncio.Transport = None  # type: ignore[assignment]  # set before anything else happens
        self.peer = ""
        self.worker = 0
        self.asked = 0  # requests so far
        self.exchange: Exchange | None = None
        self._upload: Upload | None = None  # what is still to be read of the present request
        self._ahead = b""  # read before its turn, or a head that is not whole
        self._reading = False
        self._closing = False
        self._ended = False  # the client has said that nothing more comes
        self._slow = False  # the client does not take what it is sent
        self._held = 0
        self._discarded = 0
        self._deadline = Deadline(balancer.loop, balancer.now, self._late, lives_on=balancer.decisions.timers_live_on)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = open_transport(transport)
        peername = transport.get_extra_info("peername")
        self.peer = peername[0] if peername else ""
        self.worker = self.balancer.decisions.worker()
        self.frontend.clients[self] = None
        self._deadline.set(self.balancer.decisions.idle_s(self.frontend.listener))

    # --- what comes --------------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        exchange = self.exchange
        if self._closing:
            self._discard(len(data))
        elif exchange is None and not self._slow:
            if self._ahead:
                data, self._ahead = self._ahead + data, b""
            self._read(data)
        elif exchange is not None and self._upload is not None:
            self._read_body(exchange, self._upload, data)
        else:
            self._keep_ahead(data)

    def _keep_ahead(self, data: bytes) -> None:
        if self.exchange is not None and not self.balancer.decisions.pipelines:
            return
        self._ahead += data
        if len(self._ahead) > _MAX_AHEAD:
            self._hold(_AHEAD, True)

    def _read(self, data: bytes) -> None:
        """Begins request after request as long as each is over before the next."""
        self._reading = True
        while data:
            try:
                rest = self._begin(data)
            except BadMessage as bad:
                self._refuse(bad, data)
                rest = None if self._closing else data.partition(b"\r\n\r\n")[2]
            if rest is None:
                break
            data = rest
            if self.exchange is not None or self._closing or self._slow:
                break
        self._reading = False
        if data and not self._closing:
            self._keep_ahead(data)

    def _begin(self, data: bytes) -> bytes | None:
        """Begins one request; what follows the part of it that is here, or None while its head is not whole."""
        first = data[0]
        if (first == 13 or first == 10) and self.balancer.decisions.reads_over_lines:
            return _without_empty_line(data)
        head, end, rest = data.partition(b"\r\n\r\n")
        if not end or len(head) > self.balancer.decisions.max_head - 4:
            _check_unfinished(data, self.balancer.decisions.max_head)
            return None
        frontend = self.frontend
        method, target, host, version, keep_alive, section = parse_request(head, frontend.sections)
        upload: Upload | None = None
        if section.framed:
            upload, rest = self._begin_body(method, version, section.fields, rest)
        request = Request(method, target, host, section.fields, self.peer)
        request.worker, request.index = self.worker, self.asked
        self.asked += 1
        keep_alive = self.balancer.decisions.stays(request, keep_alive)
        exchange = Exchange(self, frontend.listener, request, section, version, keep_alive, upload)
        self.exchange = exchange
        if upload is not None and not upload.done:
            self._upload = upload
            if self.balancer.decisions.bodies_end_idling:
                self._deadline.set(frontend.listener.idle_timeout)
            if version == "1.1" and self.balancer.decisions.says_continue(request):
                self.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        exchange.start()
        return rest

    def _begin_body(self, method: str, version: str, fields: Sequence[Field], data: bytes) -> tuple[Upload, bytes]:
        """Reads what came of a body with its head; the second is what follows the body."""
        framing = self.balancer.decisions.framing(method, fields, version)
        if framing is None:
            raise BadMessage(400, "a body whose end can't be told for sure")
        upload = Upload(framing, self.balancer.decisions.body(framing))
        if not data or upload.done:
            return upload, data if self.balancer.decisions.reads_behind_nothing else b""
        payload, rest = upload.feed(data)
        if payload:
            upload.hold(payload)
        return upload, rest

    def _read_body(self, exchange: Exchange, upload: Upload, data: bytes) -> None:
        try:
            payload, rest = upload.feed(data)
        except BadMessage as bad:
            self._break(exchange, bad)
            return
        if payload:
            exchange.request_body(payload)
        if not upload.done:
            self._deadline.set(self.frontend.listener.idle_timeout)
            return
        self._upload = None
        self._deadline.clear()
        exchange.request_end()
        if rest and self.balancer.decisions.reads_behind_bodies:
            self._keep_ahead(rest)

    def _break(self, exchange: Exchange, bad: BadMessage) -> None:
        """The present request's body will never be whole."""
        self._upload = None
        exchange.request_broken(bad.status, bad.reason)

    def eof_received(self) -> bool:
        """Half closed: whoever has sent a whole request still gets its answer."""
        self._ended = True
        if self.exchange is None or self._closing:
            self._write_waiting()
            return self._slow and bool(self._ahead)
        if self._upload is not None and self.balancer.decisions.breaks_short_bodies:
            self._break(self.exchange, BadMessage(400, "a body that is shorter than it promised"))
        elif self._upload is not None:
            self._upload = None
            self.exchange.request_end()
        return True

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002
        self._deadline.cancel()
        self.frontend.clients.pop(self, None)
        self.balancer.outbox.take(self)
        self._closing = True
        exchange, self.exchange = self.exchange, None
        if exchange is not None:
            exchange.client_lost()
            self.balancer.record(exchange, self.balancer.now())
        self.balancer.client_gone()

    # --- what goes ---------------------------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """To the client, now, after whatever waits for it."""
        self.transport.write(self.balancer.outbox.take(self) + data)

    def _write_waiting(self) -> None:
        """Before the connection is ended."""
        if waiting := self.balancer.outbox.take(self):
            self.transport.write(waiting)

    # --- one after another -------------------------------------------------------------------------------------------

    def exchange_over(self, exchange: Exchange, now: float) -> None:
        """The answer has been written, or the connection ended instead."""
        if self.exchange is not exchange:
            return
        self.exchange = None
        self.balancer.record(exchange, now)
        self._upload = None
        if self._closing or self.transport.is_closing():
            return
        if self._held:
            self._hold(_BODY | _AHEAD if self.balancer.decisions.reads_on else _BODY, False)
        if not exchange.keep_alive or self.balancer.stopping:
            left = bool(self._ahead) or not exchange.request_done
            self._finish(linger=left and self.balancer.decisions.lingers)
            return
        decisions = self.balancer.decisions
        self._deadline.move(decisions.idle_since(exchange.began, now) + decisions.idle_s(self.frontend.listener))
        if (self._ahead or self._ended) and not (self._reading or self._slow):
            self._read_ahead()

    def _read_ahead(self) -> None:
        """Goes on with what was read before its turn; the connection ends where nothing more can come."""
        data, self._ahead = self._ahead, b""
        if data:
            self._read(data)
        if self._ended and self.exchange is None and not (self._closing or self._slow):
            self._finish(linger=False)

    def _refuse(self, bad: BadMessage, data: bytes = b"") -> None:
        """`data`: the request, as far as it has come."""
        page = self.balancer.decisions.own_page(bad.status)
        content_type, body = page or ("text/plain", None)
        head_only = data.startswith(b"HEAD ") and not self.balancer.decisions.own_body("HEAD", bad.status)
        self.write(own_answer(bad.status, head_only=head_only, close=True, content_type=content_type, body=body))
        self.balancer.refused(self, bad)
        if self.balancer.decisions.ends_refused:
            self._finish(linger=True)

    def _finish(self, *, linger: bool) -> None:
        self._closing = True
        self._write_waiting()
        self._ahead = b""
        if self._held:
            self._hold(self._held, False)
        if linger and not self._ended:
            self.transport.write_eof()
            self._deadline.set(_LINGER_S)
        else:
            self.transport.close()
            self._deadline.set(self.frontend.listener.idle_timeout)

    def _discard(self, size: int) -> None:
        self._discarded += size
        if self._discarded > _MAX_LINGER:
            self.transport.close()

    def retire(self) -> None:
        """The balancer stops: an idle client goes now, any other after its answer."""
        if self.exchange is None and not self._closing:
            self._finish(linger=False)

    def cut(self, *, reset_it: bool) -> None:
        """Ends the connection in mid-answer; with RST where a mere close would look like the answer's end."""
        self._closing = True
        self._write_waiting()
        if reset_it:
            reset(self.transport)
        else:
            self.transport.close()
            self._deadline.set(self.frontend.listener.idle_timeout)

    def abort(self) -> None:
        self.transport.abort()

    # --- time and pressure -------------------------------------------------------------------------------------------

    def _late(self) -> None:
        if self._closing:
            if self.transport.is_closing():
                self.transport.abort()
            else:
                self.transport.close()
                self._deadline.set(self.frontend.listener.idle_timeout)
        elif self._slow:
            self.transport.abort()
        elif self._upload is None and self.exchange is not None and not self.balancer.decisions.waiting_is_idle:
            pass  # it is not the client that is waited for
        elif self.exchange is not None:
            self._break(self.exchange, BadMessage(408, "a body that did not come in time"))
        elif self._ahead:
            self._refuse(BadMessage(408, "a head that did not come in time"), self._ahead)
        else:
            self._finish(linger=False)

    def hold_body(self, on: bool) -> None:
        self._hold(_BODY, on)

    def _hold(self, why: int, on: bool) -> None:
        before = self._held
        self._held = before | why if on else before & ~why
        if bool(before) != bool(self._held) and not self.transport.is_closing():
            if self._held:
                self._deadline.clear()  # it is not the client that is late now
                self.transport.pause_reading()
            else:
                if self._upload is not None:
                    self._deadline.set(self.frontend.listener.idle_timeout)
                self.transport.resume_reading()

    def pause_writing(self) -> None:
        self._slow = True
        self._deadline.set(self.frontend.listener.idle_timeout)
        if self.exchange is not None:
            self.exchange.hold_answer(True)

    def resume_writing(self) -> None:
        self._slow = self.exchange is not None and self.balancer.decisions.stays_slow
        if self._closing:
            return
        if self.exchange is None:
            if self.balancer.decisions.goes_on_when_read:
                self._read_ahead()
        else:
            if self._upload is None:
                self._deadline.clear()
            self.exchange.hold_answer(False)


def _without_empty_line(data: bytes) -> bytes | None:
    """RFC 9112 section 2.2: an empty line before a request is read over; here, two at most."""
    rest = data.lstrip(b"\r\n")
    empty = data[: len(data) - len(rest)]
    if empty == b"\r" and not rest:
        return None
    if empty not in (b"\r\n", b"\r\n\r\n"):
        raise BadMessage(400, "line ends where a request should begin")
    return rest


def _check_unfinished(data: bytes, max_head: int) -> None:
    """What has come of a head: may it still become one?"""
    if bare_line_feed(data) and not data.endswith(b"\r"):
        raise BadMessage(400, "a line end that is not CRLF")
    if len(data) >= max_head:
        line_ended = b"\r\n" in data
        raise BadMessage(431 if line_ended else 414, f"a head of more than {max_head} bytes")
    if not (65 <= data[0] <= 90 or 97 <= data[0] <= 122 or data[0] in b"!#$%&'*+-.^_`|~0123456789"):
        raise BadMessage(400, "not HTTP")
