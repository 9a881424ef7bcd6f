"""One request's life on the balancer: routed, tried at one backend after another, answered. Acts; `Decisions` decides."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from lbcheck.balancer.bodies import chunk, last_chunk
from lbcheck.balancer.decisions import Attempt, BackendState, Nobody, PoolState
from lbcheck.balancer.request import Request
from lbcheck.balancer.upstream import Upstream
from lbcheck.balancer.wire import Fields, own_answer
from lbcheck.spec.model import Forward, Listener, Redirect

if TYPE_CHECKING:
    from lbcheck.balancer.http1 import Client

MAX_HELD = 64 * 1024  # bytes of a request body that are kept so that it can be sent again


class Exchange:
    """A request and what becomes of it. Its client feeds it the body, its upstream connection the answer."""

    __slots__ = (
        "_chunks_answer",
        "_chunks_request",
        "_connecting",
        "_held",
        "_held_size",
        "_latency",
        "_replayable",
        "_repeats",
        "_target",
        "_tried",
        "_try_began",
        "_upstream",
        "_waiting",
        "answering",
        "backend",
        "began",
        "client",
        "keep_alive",
        "listener",
        "note",
        "patience_s",
        "pool",
        "request",
        "request_done",
        "sent_bytes",
        "status",
        "version",
    )

    def __init__(self, client: Client, listener: Listener, request: Request, version: str, keep_alive: bool) -> None:
        self.client = client
        self.listener = listener
        self.request = request
        self.version = version
        self.keep_alive = keep_alive
        self.request_done = True
        self.began = client.balancer.now()
        self.pool: PoolState | None = None
        self.backend: BackendState | None = None  # of the present or last try
        self.status = 0  # as the client saw it; 0: nothing
        self.sent_bytes = 0  # of the answer's body
        self.note = ""  # why it went wrong, for the access log
        self.answering = False  # has the client been sent a part of the final answer?
        self.patience_s = 60.0
        self._target = request.target
        self._tried: tuple[str, ...] = ()
        self._repeats = 0
        self._try_began: float | None = None  # None: no try is under way
        self._latency: float | None = None
        self._upstream: Upstream | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._waiting = False
        self._chunks_request = False
        self._chunks_answer = False
        self._held: list[bytes] = []  # the body so far, as long as it can still be sent (again)
        self._held_size = 0
        self._replayable = True

    # --- where to ----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        decisions = self.client.balancer.decisions
        action, rewrite = decisions.route(self.listener, self.request)
        if isinstance(action, Forward):
            if rewrite is not None:
                self._target = decisions.rewritten(rewrite, self.request.target)
            self.pool = decisions.pools[decisions.pool_of(action, self.request)]
            self.patience_s = self.pool.spec.timeouts.response
            self._try()
        elif isinstance(action, Redirect):
            location = decisions.location(action, self.listener, self.request)
            self._answer_own(action.status, extra=[("Location", location)])
        else:
            self._answer_own(action.status, body=action.body.encode(), content_type=action.content_type)

    def _try(self) -> None:
        balancer = self.client.balancer
        pool = self.pool
        assert pool is not None
        if balancer.queue.holds(pool) and not self._repeats:  # nobody overtakes those who wait
            self._wait()
            return
        now = balancer.now()
        chosen = balancer.decisions.choose(pool, self.request, now, self._tried)
        if chosen is Nobody.FULL:
            self._wait()
        else:
            self.go(chosen, now)

    def _wait(self) -> None:
        self._waiting = True
        self.client.balancer.queue.add(self, first=self._repeats > 0)

    def choose_again(self, now: float) -> BackendState | Nobody:
        assert self.pool is not None
        return self.client.balancer.decisions.choose(self.pool, self.request, now, self._tried)

    def waited_too_long(self) -> None:
        self._waiting = False
        self.note = "waited too long for a free backend"
        self._answer_own(503)

    def go(self, chosen: BackendState | Nobody, now: float) -> None:
        """Begins a try at the chosen backend; with nobody chosen, says so to the client."""
        self._waiting = False
        pool = self.pool
        assert pool is not None
        balancer = self.client.balancer
        if isinstance(chosen, Nobody):
            self.note = "no usable backend"
            self._answer_own(balancer.decisions.own_status(pool, "none_usable"))
            return
        balancer.decisions.began(pool, chosen, now)
        self.backend = chosen
        self._try_began = now
        self._latency = None
        address = (chosen.host, chosen.port)
        upstream = balancer.upstreams.take(address)
        if upstream is None:
            self._connecting = balancer.loop.create_task(self._connect(address, pool.spec.timeouts.connect))
        else:
            self._send(upstream)

    async def _connect(self, address: tuple[str, int], timeout_s: float) -> None:
        failure: OSError | None = None
        try:
            upstream = await self.client.balancer.upstreams.connect(address, timeout_s)
        except OSError as error:
            failure = error
        self._connecting = None
        if failure is not None:
            late = isinstance(failure, TimeoutError)
            self._failed("connect", "no connection in time" if late else "connection refused", late=late)
        else:
            self._send(upstream)

    # --- the request -------------------------------------------------------------------------------------------------

    def framed(self, framing: int | str, first: bytes, done: bool) -> None:
        """The request has a body: this much of it came with the head."""
        self._chunks_request = framing == "chunked"
        self.request_done = done
        if first:
            self._hold(first)

    def _send(self, upstream: Upstream) -> None:
        transport = upstream.transport
        if transport.is_closing():
            self._failed("reset", "the connection ended at once", sent=False)
            return
        pool, backend, client = self.pool, self.backend, self.client
        assert pool is not None and backend is not None
        fields = client.balancer.decisions.upstream_headers(self.listener, pool, backend, self.request)
        lines = [f"{self.request.method} {self._target} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in fields]
        if client.framing is not None:
            lines.append("Transfer-Encoding: chunked" if self._chunks_request else f"Content-Length: {client.framing}")
        lines.append("\r\n")
        self._upstream = upstream
        upstream.begin(self)
        upstream.idle_s = pool.spec.timeouts.idle
        upstream.deadline.set(self.patience_s)
        if client.framing is None:
            transport.write("\r\n".join(lines).encode("latin-1"))
            return
        body = [chunk(piece) for piece in self._held] if self._chunks_request else self._held
        transport.writelines(["\r\n".join(lines).encode("latin-1"), *body])
        if self.request_done and self._chunks_request:
            transport.write(last_chunk(client.trailers))
        if self._held_size > MAX_HELD or not (pool.spec.retries.attempts or upstream.served):
            self._let_go()
        client.hold_body(False)

    def _hold(self, payload: bytes) -> None:
        self._held.append(payload)
        self._held_size += len(payload)

    def _let_go(self) -> None:
        """The body, or a part of it, is in the backend's hands alone."""
        if self._held_size or not self.request_done:
            self._replayable = False
            self._held = []

    def request_body(self, payload: bytes) -> None:
        upstream = self._upstream
        if upstream is None:
            self._hold(payload)
            if self._held_size > MAX_HELD:
                self.client.hold_body(True)
            return
        upstream.transport.write(chunk(payload) if self._chunks_request else payload)
        upstream.deadline.set(self.patience_s)
        if self._replayable:
            self._hold(payload)
            if self._held_size > MAX_HELD:
                self._let_go()

    def request_end(self) -> None:
        self.request_done = True
        if self._upstream is not None and self._chunks_request:
            self._upstream.transport.write(last_chunk(self.client.trailers))

    def request_broken(self, status: int, reason: str) -> None:
        """The client's body will never be whole: the backend must not take it for a whole one."""
        self.note = reason
        self._turn_away("aborted")
        if self.answering:
            self._cut()
        else:
            self._answer_own(status)

    def hold_request(self, on: bool) -> None:
        self.client.hold_body(on)

    # --- the answer --------------------------------------------------------------------------------------------------

    def expects_body(self, status: int) -> bool:
        return self.client.balancer.decisions.body_expected(self.request.method, status)

    def interim(self, line: str, fields: Fields) -> None:
        if self.version == "1.1":
            kept = self.client.balancer.decisions.downstream_headers(fields)
            head = "".join([f"HTTP/1.1 {line}\r\n", *[f"{name}: {value}\r\n" for name, value in kept], "\r\n"])
            self.client.transport.write(head.encode("latin-1"))

    def answer_head(
        self, status: int, line: str, fields: Fields, framing: int | str, payload: bytes, upstream: Upstream
    ) -> bool:
        """Passes an answer's head and what came of its body with it. False: it is not taken, the request is tried again."""
        balancer, pool, backend = self.client.balancer, self.pool, self.backend
        assert pool is not None and backend is not None and self._try_began is not None
        decisions = balancer.decisions
        if status >= 400 and decisions.may_retry(pool, self._attempt(str(status), sent=True, reused=False)):
            self._upstream = None
            upstream.discard()
            self._again(str(status))
            return False
        now = balancer.now()
        self._latency = now - self._try_began
        self.status = status
        self.answering = True
        cookie = decisions.bind(pool, self.request, backend, fields, now)
        lines = [f"HTTP/1.1 {line}"]
        lines += [f"{name}: {value}" for name, value in decisions.downstream_headers(fields)]
        if cookie is not None:
            lines.append(f"Set-Cookie: {cookie}")
        self._frame_answer(lines, framing)
        lines.append("\r\n")
        head = "\r\n".join(lines).encode("latin-1")
        self.sent_bytes = len(payload)
        self.client.transport.write(head + (chunk(payload) if self._chunks_answer else payload))
        return True

    def _frame_answer(self, lines: list[str], framing: int | str) -> None:
        unframed = framing == "chunked" or framing == "close"
        if unframed and self.version == "1.1":
            self._chunks_answer = True
            lines.append("Transfer-Encoding: chunked")
        elif unframed:
            self.keep_alive = False
        if not self.request_done or self.client.balancer.stopping:
            self.keep_alive = False
        if not self.keep_alive:
            lines.append("Connection: close")
        elif self.version == "1.0":
            lines.append("Connection: keep-alive")

    def answer_body(self, payload: bytes) -> None:
        self.sent_bytes += len(payload)
        self.client.transport.write(chunk(payload) if self._chunks_answer else payload)

    def answer_end(self, upstream: Upstream, keep_alive: bool, clean: bool, trailers: Fields) -> None:
        balancer, pool, backend = self.client.balancer, self.pool, self.backend
        assert pool is not None and backend is not None
        decisions = balancer.decisions
        if self._chunks_answer:
            self.client.transport.write(last_chunk(decisions.downstream_headers(trailers)))
        self._upstream = None
        self._try_began = None
        result = "ok" if self.status < 400 else str(self.status)
        decisions.ended(pool, backend, balancer.now(), result, self._latency)
        clean = clean and self.request_done
        if decisions.reusable(self.request.method, self.status, keep_alive, clean) and balancer.serves(
            upstream.address
        ):
            balancer.upstreams.keep(upstream)
        else:
            upstream.discard()
        balancer.freed(pool)
        self.client.exchange_over(self)

    def _answer_own(
        self, status: int, *, extra: Fields | None = None, body: bytes | None = None, content_type: str = "text/plain"
    ) -> None:
        self.status = status
        if not self.request_done or self.client.balancer.stopping:
            self.keep_alive = False
        more = list(extra or ())
        if self.keep_alive and self.version == "1.0":
            more.append(("Connection", "keep-alive"))
        self.client.transport.write(
            own_answer(
                status,
                head_only=self.request.method == "HEAD",
                close=not self.keep_alive,
                extra=more,
                body=body,
                content_type=content_type,
            )
        )
        self.client.exchange_over(self)

    # --- what goes wrong ---------------------------------------------------------------------------------------------

    def upstream_lost(self, upstream: Upstream, what: str, reason: str) -> None:
        self._upstream = None
        self._failed(what, reason, sent=True, reused=upstream.served > 0 and not upstream.answered)

    def _attempt(self, what: str, *, sent: bool, reused: bool) -> Attempt:
        return Attempt(what, self.request.method, sent, self._repeats, self._replayable, self.answering, reused)

    def _failed(self, what: str, reason: str, *, sent: bool = False, reused: bool = False, late: bool = False) -> None:
        balancer, pool = self.client.balancer, self.pool
        assert pool is not None
        self.note = reason
        if self.answering:
            self._try_over(what)
            self._cut()
        elif balancer.decisions.may_retry(pool, self._attempt(what, sent=sent, reused=reused)):
            self._again(what)
        else:
            self._try_over(what)
            if what == "timeout" or late:
                status = balancer.decisions.own_status(pool, "timeout")
            else:
                status = balancer.decisions.own_status(pool, "refused" if what == "connect" else "broken")
            self._answer_own(status)

    def _try_over(self, result: str) -> None:
        """Tells the decisions that the present try has ended so, once."""
        if self._try_began is not None and self.pool is not None and self.backend is not None:
            balancer = self.client.balancer
            self._try_began = None
            balancer.decisions.ended(self.pool, self.backend, balancer.now(), result, self._latency)
            balancer.freed(self.pool)

    def _again(self, result: str) -> None:
        assert self.backend is not None and self.pool is not None
        self._tried = (*self._tried, self.backend.name)
        self._repeats += 1
        self.client.balancer.metrics.retried(self.pool.name)
        self._try_over(result)
        self._try()

    def _cut(self) -> None:
        """An answer that can't be finished: the client must see that it is not whole."""
        if self.client.balancer.decisions.body_expected(self.request.method, self.status) and not (
            self._chunks_answer or self.keep_alive
        ):
            self.client.reset()
        else:
            self.client.transport.close()
        self.client.exchange_over(self)

    def client_lost(self) -> None:
        self.note = self.note or "aborted by the client"
        self._turn_away("aborted")

    def cut_off(self) -> None:
        """The backend's time is over (`deregistration_delay`): what it still does is ended."""
        self.note = "the backend is gone"
        upstream = self._upstream
        if upstream is not None:
            self._upstream = None
            upstream.discard()
            self._failed("reset", self.note, sent=True)

    def _turn_away(self, result: str) -> None:
        """Leaves whatever the exchange is at: the queue, a connection that is being made, a backend's answer."""
        if self._waiting:
            self._waiting = False
            self.client.balancer.queue.leave(self)
        if self._connecting is not None:
            self._connecting.cancel()
            self._connecting = None
        if self._upstream is not None:
            self._upstream.discard()
            self._upstream = None
        self._try_over(result)

    def hold_answer(self, on: bool) -> None:
        """The client reads slowly: the backend has to wait."""
        upstream = self._upstream
        if upstream is None or upstream.transport.is_closing():
            return
        if on:
            upstream.deadline.clear()
            upstream.transport.pause_reading()
        else:
            upstream.deadline.set(self.patience_s)
            upstream.transport.resume_reading()
