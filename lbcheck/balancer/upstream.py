"""Connections to backends: each serves one try at a time, then waits for the next in its backend's pool."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from lbcheck.balancer.bodies import Body
from lbcheck.balancer.deadline import Deadline
from lbcheck.balancer.reset import open_transport
from lbcheck.balancer.wire import MAX_HEAD, BadMessage, Fields

if TYPE_CHECKING:
    from lbcheck.balancer.answers import AnswerHead
    from lbcheck.balancer.messages import Messages
    from lbcheck.balancer.tries import Try

MAX_IDLE = 256  # kept connections a backend
_MAX_INTERIM = 32  # 1xx answers before a final one

Address = tuple[str, int]


class Upstream(asyncio.Protocol):
    """One connection to a backend, and the reader of its answers.

    It tells the try that it serves what came: `interim`, `answer`, `answer_body`, `answer_end`, `lost`.
    """

    __slots__ = (
        "_body",
        "_buffer",
        "_framing",
        "_interims",
        "_keep_alive",
        "address",
        "answered",
        "attempt",
        "blocked",
        "deadline",
        "held",
        "served",
        "store",
        "transport",
    )

    def __init__(self, store: Upstreams, address: Address) -> None:
        self.store = store
        self.address = address
        self.attempt: Try | None = None
        self.served = 0  # exchanges that ended well on it
        self.answered = False  # has a byte of the present answer come?
        self.held = False  # is reading paused?
        self.blocked = 0  # bytes that the backend did not read yet, when it was last looked; 0: it reads
        self.transport: asyncio.Transport = None  # type: ignore[assignment]  # set before anybody has it
        self.deadline = Deadline(store.loop, store.now, self._late, lives_on=store.decisions.timers_live_on)
        self._buffer = b""
        self._body: Body | None = None
        self._framing: int | str = 0
        self._keep_alive = False
        self._interims = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = open_transport(transport)

    def begin(self, attempt: Try, now: float) -> None:
        """Serves this try from now on; until then whatever comes is unasked for."""
        self.attempt = attempt
        self.answered = False
        if attempt.exchange.balancer.decisions.counts_interims_anew:
            self._interims = 0
        self.deadline.move(now + attempt.patience_s)

    def discard(self) -> None:
        """Ends the connection without telling anybody: the try has already turned away."""
        self.attempt = None
        self.deadline.cancel()
        self.transport.abort()

    # --- what comes --------------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        attempt = self.attempt
        if attempt is None:  # nobody asked: an answer to nothing must never meet the next request
            if self.store.decisions.drops_unasked:
                self.store.forget(self)
                self.discard()
            else:
                self._buffer += data
            return
        self.answered = True
        try:
            if self._body is None:
                self._read_head(attempt, self._buffer + data if self._buffer else data)
            else:
                self._read_body(attempt, self._body, data)
        except BadMessage as bad:
            self._fail("reset", bad.reason)

    def _read_head(self, attempt: Try, data: bytes) -> None:
        lines, end, rest = data.partition(b"\r\n\r\n")
        if not end or len(lines) > MAX_HEAD - 4:
            self._buffer = data
            _check_unfinished(data, whole=not self.store.decisions.reads_bits)
            return
        exchange = attempt.exchange
        balancer = exchange.balancer
        if self._buffer and balancer.decisions.forgets_halves:
            self._buffer = b""
        head = balancer.answers[lines]
        if balancer.decisions.is_interim(head.status):
            self._read_interim(attempt, head, rest)
            return
        now = balancer.now()
        framing = head.framing if balancer.decisions.body_expected(exchange.request.method, head.status) else 0
        surplus = balancer.decisions.passes_surplus and isinstance(framing, int) and framing < len(rest)
        if surplus or framing == len(rest):  # all of it is here
            if attempt.answer(head, framing, rest, now, True):
                self.attempt = None
                attempt.answer_end(self, head.keep_alive, True, (), now)
            return
        self._framing = framing
        self._keep_alive = head.keep_alive
        body = balancer.decisions.body(framing)
        payload = b""
        if rest and framing:
            payload, rest = body.feed(rest)
        if attempt.answer(head, framing, payload, now, False):
            self._read_on(attempt, body, rest)

    def _read_interim(self, attempt: Try, head: AnswerHead, rest: bytes) -> None:
        self._interims += 1
        if head.status == 101 or self._interims > _MAX_INTERIM:
            raise BadMessage(502, "an interim answer that was not asked for")
        attempt.interim(head)
        if rest:
            self._read_head(attempt, rest)

    def _read_body(self, attempt: Try, body: Body, data: bytes) -> None:
        payload, rest = body.feed(data)
        if payload:
            attempt.answer_body(payload)
        self._read_on(attempt, body, rest)

    def _read_on(self, attempt: Try, body: Body, rest: bytes) -> None:
        """After a part of an answer: it is whole, or more has to come."""
        if not body.done:
            self._body = body
            if not (self.held and attempt.exchange.balancer.decisions.waits_for_readers):
                self.deadline.set(attempt.patience())
        else:
            if attempt.exchange.balancer.decisions.keeps_surplus:
                self._buffer, rest = rest, b""
            self._end(attempt, clean=not rest, trailers=body.trailers)

    def _end(self, attempt: Try, *, clean: bool, trailers: Fields) -> None:
        self._body = None
        self.attempt = None
        attempt.answer_end(self, self._keep_alive, clean, trailers, self.store.now())

    def eof_received(self) -> bool:
        return False  # the transport closes itself; connection_lost tells

    def connection_lost(self, error: Exception | None) -> None:
        attempt = self.attempt
        self.deadline.cancel()
        if attempt is None:
            self.store.forget(self)
        elif self._body is not None and error is None and self.store.decisions.ends_by_close(self._framing):
            self._keep_alive = False
            self._end(attempt, clean=False, trailers=[])
        else:
            self._fail("reset", "the connection ended" if self.answered else "the connection ended without an answer")

    def _late(self) -> None:
        if self.attempt is None:  # idle for long enough
            self.store.forget(self)
            self.discard()
        elif self.transport.get_write_buffer_size() < self.blocked:  # slowly, but it reads
            self.blocked = self.transport.get_write_buffer_size()
            self.deadline.set(self.attempt.patience_s)
        else:
            self._fail("timeout", "nothing came in time")

    def _fail(self, what: str, reason: str) -> None:
        attempt = self.attempt
        self.discard()
        if attempt is not None:
            attempt.lost(self, what, reason)

    # --- backpressure ------------------------------------------------------------------------------------------------

    def hold(self, on: bool) -> None:
        """Reads no more of the answer until it is let go."""
        if on != self.held and not self.transport.is_closing():
            self.held = on
            if on:
                self.transport.pause_reading()
            else:
                self.transport.resume_reading()

    def pause_writing(self) -> None:
        self.blocked = self.transport.get_write_buffer_size()
        if self.attempt is not None:
            self.attempt.hold_request(True)

    def resume_writing(self) -> None:
        self.blocked = 0
        if self.attempt is not None:
            self.attempt.hold_request(False)


def _check_unfinished(data: bytes, *, whole: bool = False) -> None:
    """What has come of a head: may it still become one? `whole`: its first bytes have to be there at once."""
    if len(data) >= MAX_HEAD:
        raise BadMessage(502, f"a head of more than {MAX_HEAD} bytes")
    if not (data.startswith(b"HTTP/1.") or (b"HTTP/1.".startswith(data) and not whole)):
        raise BadMessage(502, "not HTTP/1")


class Upstreams:
    """The kept connections of all backends: last in, first out, so that what is not needed grows old and goes."""

    def __init__(self, loop: asyncio.AbstractEventLoop, now: Callable[[], float], decisions: Messages) -> None:
        self.loop = loop
        self.now = now
        self.decisions = decisions
        self._idle: dict[Address, deque[Upstream]] = {}

    def take(self, address: Address) -> Upstream | None:
        """A kept connection that is still good as far as is known."""
        idle = self._idle.get(address)
        while idle:
            upstream = idle.popleft() if self.decisions.oldest_first else idle.pop()
            if not (self.decisions.hears_closes and upstream.transport.is_closing()):
                return upstream
        return None

    def keep(self, upstream: Upstream, until: float) -> None:
        """Keeps the connection for another request, as long as its backend is one that gets any."""
        idle = self._idle.get(upstream.address)
        if idle is None:
            upstream.discard()
            return
        if upstream.held and self.decisions.resumes_kept:
            upstream.hold(False)  # whoever waits in the pool must hear that its backend closes
        upstream.served += 1
        upstream.deadline.move(until)
        idle.append(upstream)
        if len(idle) > MAX_IDLE:
            idle.popleft().discard()

    def forget(self, upstream: Upstream) -> None:
        """It is not to be taken any more."""
        idle = self._idle.get(upstream.address)
        if self.decisions.hears_closes and idle is not None and upstream in idle:
            idle.remove(upstream)

    def retain(self, addresses: Iterable[Address]) -> None:
        """From now on connections are kept for these addresses; those to any other are closed."""
        before, self._idle = self._idle, {}
        for address in addresses:
            self._idle[address] = before.pop(address, deque())
        for idle in before.values():
            for upstream in idle:
                upstream.discard()

    def close(self) -> None:
        self.retain(())

    async def connect(self, address: Address, timeout_s: float) -> Upstream:
        """A new connection; TimeoutError or another OSError where there is none."""
        host, port = address
        async with asyncio.timeout(timeout_s):
            _, upstream = await self.loop.create_connection(lambda: Upstream(self, address), host, port)
        return upstream
