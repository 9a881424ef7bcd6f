"""One try of a request at one backend: connect, send, pass the answer on. What follows a failure is the exchange's."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lbcheck.balancer.answers import AnswerHead
from lbcheck.balancer.bodies import chunk, last_chunk
from lbcheck.balancer.decisions import BackendState, PoolState
from lbcheck.balancer.upstream import Address, Upstream
from lbcheck.balancer.wire import Field, Fields, extended, lines, written

if TYPE_CHECKING:
    from lbcheck.balancer.exchange import Exchange

# of the texts that are remembered of a listener's requests
_MAX_SENT = 4096
_MAX_SENT_LENGTH = 2048


class Try:
    """A try under way. Its upstream connection feeds it the answer; `Decisions.ended` hears of its end exactly once."""

    __slots__ = (
        "_began",
        "_chunks",
        "_connecting",
        "_kept",
        "_latency",
        "_upstream",
        "backend",
        "exchange",
        "patience_s",
        "pool",
    )

    def __init__(self, exchange: Exchange, pool: PoolState, backend: BackendState, now: float) -> None:
        self.exchange = exchange
        self.pool = pool
        self.backend = backend
        self.patience_s = pool.spec.timeouts.response
        self._began = now
        self._latency: float | None = None
        self._upstream: Upstream | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._kept = b""  # of the answer's body, to be passed on with its end
        self._chunks = False  # is the answer's body passed on in chunks?
        exchange.balancer.decisions.began(pool, backend, now)

    # --- the request -------------------------------------------------------------------------------------------------

    def begin(self, now: float) -> None:
        balancer, backend = self.exchange.balancer, self.backend
        address = (backend.host, backend.port)
        pause_s = balancer.decisions.pause_s
        upstream = None if pause_s else balancer.upstreams.take(address)
        if upstream is None:
            self._connecting = balancer.loop.create_task(self._connect(address, pause_s))
        else:
            self._send(upstream, now)

    async def _connect(self, address: Address, pause_s: float) -> None:
        upstreams, decisions = self.exchange.balancer.upstreams, self.exchange.balancer.decisions
        failure: OSError | None = None
        kept: Upstream | None = None
        if pause_s:
            await asyncio.sleep(pause_s)
            kept = upstreams.take(address)
        try:
            upstream = kept or await upstreams.connect(address, decisions.time_to_connect(self.pool))
        except OSError as error:
            failure = error
        self._connecting = None
        if isinstance(failure, TimeoutError):
            self._failed(decisions.no_connection(True), "no connection in time", answered_by="timeout")
        elif failure is not None:
            self._failed(decisions.no_connection(False), "no connection", answered_by="refused")
        elif upstream.transport.is_closing():
            self._failed("reset", "the connection ended at once", answered_by="broken")
        else:
            self._send(upstream, self.exchange.balancer.now())

    def _send(self, upstream: Upstream, now: float) -> None:
        exchange = self.exchange
        request, transport = exchange.request, upstream.transport
        key = (exchange.section, self.backend, request.host, request.peer)
        fields = exchange.client.frontend.sent.get(key) or self._field_lines(key)
        head = f"{request.method} {exchange.target} HTTP/1.1\r\n{fields}"
        self._upstream = upstream
        upstream.begin(self, now)
        upload = exchange.upload
        if upload is None:
            transport.write((head + "\r\n").encode("latin-1"))
            return
        exchange.client.hold_body(False)  # before the write, which may find the backend slow and hold it again
        pieces = upload.so_far()
        if exchange.repeated:
            pieces = exchange.balancer.decisions.replayed(pieces)
        transport.write(b"".join([f"{head}{upload.field}\r\n".encode("latin-1"), *pieces]))
        if pieces or not exchange.section.expects:  # a client that waits for 100 waits for the backend
            self._wait_on(upstream)
        if upload.heavy or not (self.pool.spec.retries.attempts or upstream.served):
            upload.let_go()  # nobody will ask for it again

    def _field_lines(self, key: object) -> str:
        """The fields for the backend, remembered for the requests that are like this one."""
        exchange = self.exchange
        decisions, sent = exchange.balancer.decisions, exchange.client.frontend.sent
        told = lines(decisions.upstream_headers(exchange.listener, self.pool, self.backend, exchange.request))
        if len(told) <= _MAX_SENT_LENGTH and not decisions.heads_vary:
            if len(sent) >= _MAX_SENT:
                sent.clear()
            sent[key] = told
        return told

    def send_body(self, payload: bytes) -> None:
        """More of the request's body."""
        upload, upstream = self.exchange.upload, self._upstream
        assert upload is not None
        if upstream is None:  # no connection yet
            upload.hold(payload)
            if upload.heavy:
                self.exchange.client.hold_body(True)
            return
        upstream.transport.write(upload.framed(payload))
        self._wait_on(upstream)
        if upload.replayable and self.exchange.balancer.decisions.holds_later_parts:
            upload.hold(payload)
            if upload.heavy:
                upload.let_go()

    def send_end(self) -> None:
        upload, upstream = self.exchange.upload, self._upstream
        if upstream is None or upload is None:
            return
        if upload.chunked:
            upstream.transport.write(upload.end())
        self._wait_on(upstream)

    def _wait_on(self, upstream: Upstream) -> None:
        """More of the request has gone: the backend's time begins with the end of it, or when it does not read on."""
        upload = self.exchange.upload
        if self.exchange.answering or not self.exchange.balancer.decisions.waits_for_uploads:
            return
        if upstream.blocked or upload is None or upload.done:
            upstream.deadline.set(self.patience_s)
        else:
            upstream.deadline.clear()

    def hold_request(self, on: bool) -> None:
        """The backend reads slowly: the client has to wait."""
        self.exchange.client.hold_body(on)
        if self._upstream is not None:
            self._wait_on(self._upstream)

    # --- the answer --------------------------------------------------------------------------------------------------

    def interim(self, head: AnswerHead) -> None:
        if self.exchange.balancer.decisions.passes_interim(self.exchange.version, head.status):
            self.exchange.client.write(head.passed)

    def answer(self, head: AnswerHead, framing: int | str, payload: bytes, now: float, whole: bool) -> bool:
        """Passes an answer's head on, with what came of its body: the `whole` of it, or a first part.

        False: it is not wanted, the request goes elsewhere.
        """
        exchange, status = self.exchange, head.status
        if status >= 400 and exchange.may_retry(str(status), sent=True):
            self.leave(str(status))
            exchange.again(self)
            return False
        decisions = exchange.balancer.decisions
        self._latency = now - self._began
        exchange.status = status
        exchange.answering = True
        passed = head.passed
        more: Fields = []
        cookie = decisions.bind(self.pool, exchange.request, self.backend, head.fields, now)
        if cookie is not None:
            more.append(("Set-Cookie", cookie))
        if isinstance(framing, str):
            self._frame(more)
        elif decisions.in_chunks and framing and exchange.version == "1.1":
            kept = decisions.downstream_headers(head.fields)
            passed = written(f"HTTP/1.1 {head.line}", [field for field in kept if field[0].lower() != "content-length"])
            self._frame(more)
        if exchange.closes():
            more.append(("Connection", "close"))
        elif exchange.version == "1.0" and decisions.says_keep_alive:
            more.append(("Connection", "keep-alive"))
        exchange.sent_bytes = len(payload)
        if not (whole or decisions.streams):
            self._kept, payload = payload, b""
        data = (extended(passed, more) if more else passed) + (chunk(payload) if self._chunks else payload)
        if whole:
            exchange.balancer.outbox.put(exchange.client, data)
        else:
            exchange.client.write(data)
        return True

    def _frame(self, fields: Fields) -> None:
        """An answer of no known length: in chunks, or to the connection's end for a client that knows none."""
        if self.exchange.balancer.decisions.takes_chunks(self.exchange.version):
            self._chunks = True
            fields.append(("Transfer-Encoding", "chunked"))
        else:
            self.exchange.keep_alive = False
            self.exchange.unframed = True

    def answer_body(self, payload: bytes) -> None:
        self.exchange.sent_bytes += len(payload)
        if not self.exchange.balancer.decisions.streams:
            self._kept += payload
            return
        self.exchange.client.write(chunk(payload) if self._chunks else payload)

    def answer_end(
        self, upstream: Upstream, keep_alive: bool, clean: bool, trailers: Sequence[Field], now: float
    ) -> None:
        exchange = self.exchange
        balancer, status = exchange.balancer, exchange.status
        decisions = balancer.decisions
        if self._kept:
            exchange.client.write(chunk(self._kept) if self._chunks else self._kept)
        if self._chunks and (exchange.sent_bytes or decisions.ends_empty_bodies):
            exchange.client.write(last_chunk(decisions.downstream_headers(trailers)))
        self._upstream = None
        clean = clean and (exchange.upload is None or exchange.upload.done or decisions.keeps_early)
        if decisions.reusable(exchange.request.method, status, keep_alive, clean):
            balancer.upstreams.keep(upstream, balancer.decisions.kept_until(now, self.pool.spec.timeouts.idle))
        else:
            upstream.discard()
        self._over("ok" if status < 400 else str(status), now)
        exchange.client.exchange_over(exchange, now)

    def patience(self) -> float:
        """Seconds that the next part of the answer's body may take."""
        balancer = self.exchange.balancer
        return balancer.decisions.patience(self.pool, balancer.now() - self._began)

    def hold_answer(self, on: bool) -> None:
        """The client reads slowly: the backend has to wait."""
        upstream = self._upstream
        if upstream is None:
            return
        upstream.hold(on and self.exchange.balancer.decisions.holds_backends)
        if on and self.exchange.balancer.decisions.waits_for_readers:
            upstream.deadline.clear()
        else:
            upstream.deadline.set(self.patience_s)

    # --- the end -----------------------------------------------------------------------------------------------------

    def lost(self, upstream: Upstream, what: str, reason: str) -> None:
        """The connection ended, or nothing came in time, or what came was no answer."""
        self._upstream = None
        stale = upstream.served > 0 and not upstream.answered
        self._failed(what, reason, answered_by="timeout" if what == "timeout" else "broken", sent=True, stale=stale)

    def cut_off(self) -> None:
        """The backend's time is over (`deregistration_delay`): what it is still at is ended."""
        upstream = self._upstream
        if upstream is not None:
            upstream.discard()
            self.lost(upstream, "reset", "the backend's time was over")

    def _failed(self, what: str, reason: str, *, answered_by: str, sent: bool = False, stale: bool = False) -> None:
        exchange = self.exchange
        retry = exchange.may_retry(what, sent=sent, stale=stale)
        self._over(what, exchange.balancer.now())
        exchange.note = reason
        if retry:
            exchange.again(self)
        elif self._chunks and not exchange.balancer.decisions.breaks_off(exchange.request.method, exchange.status):
            exchange.client.write(last_chunk([]))
            exchange.over()
        else:
            exchange.failed(answered_by)

    def leave(self, result: str) -> None:
        """Lets go of whatever the try is at."""
        if self._connecting is not None:
            self._connecting.cancel()
            self._connecting = None
            result = "unsent"
        if self._upstream is not None:
            self._let_go(self._upstream)
            self._upstream = None
        self._over(result, self.exchange.balancer.now())

    def _let_go(self, upstream: Upstream) -> None:
        """Of a connection on which an exchange is not over."""
        exchange, upstreams = self.exchange, self.exchange.balancer.upstreams
        if exchange.balancer.decisions.reusable(exchange.request.method, exchange.status or 200, True, clean=False):
            balancer = exchange.balancer
            upstreams.keep(upstream, balancer.decisions.kept_until(balancer.now(), self.pool.spec.timeouts.idle))
        else:
            upstream.discard()

    def _over(self, result: str, now: float) -> None:
        balancer = self.exchange.balancer
        self.exchange.attempt = None
        balancer.decisions.ended(self.pool, self.backend, now, result, self._latency)
        waited_for = balancer.queue.lines and self.pool.name in balancer.queue.lines
        if waited_for and balancer.decisions.frees(result):
            balancer.queue.move(self.pool)
