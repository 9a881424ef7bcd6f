"""One request's life on the balancer: routed, tried at one backend after another, answered. `Decisions` decides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast

from lbcheck.balancer.decisions import Attempt, BackendState, Nobody, PoolState
from lbcheck.balancer.request import Request
from lbcheck.balancer.tries import Try
from lbcheck.balancer.upload import Upload
from lbcheck.balancer.wire import Fields, Section, own_answer
from lbcheck.spec.model import Forward, Listener, Redirect

if TYPE_CHECKING:
    from lbcheck.balancer.http1 import Client

Why = Literal["none_usable", "refused", "broken", "timeout"]


class Exchange:
    """A request and what becomes of it; over when it is answered, cut, or left by its client."""

    __slots__ = (
        "_tried",
        "answering",
        "attempt",
        "backend",
        "balancer",
        "began",
        "client",
        "keep_alive",
        "listener",
        "note",
        "pool",
        "request",
        "section",
        "sent_bytes",
        "status",
        "target",
        "unframed",
        "upload",
        "version",
    )

    def __init__(
        self,
        client: Client,
        listener: Listener,
        request: Request,
        section: Section,
        version: str,
        keep_alive: bool,
        upload: Upload | None,
    ) -> None:
        self.client = client
        self.balancer = balancer = client.balancer
        self.listener = listener
        self.request = request
        self.section = section
        self.target = request.target  # as the backend sees it
        self.version = version
        self.keep_alive = keep_alive  # does the client's connection outlive the answer?
        self.upload = upload  # None: no body was spoken of
        self.began = balancer.now()
        self.pool: PoolState | None = None
        self.backend: BackendState | None = None  # of the present or last try
        self.attempt: Try | None = None  # under way
        self.answering = False  # has the client been sent a part of the final answer?
        self.unframed = False  # does the answer's body end with the connection alone?
        self.status = 0  # as the client saw it; 0: nothing
        self.sent_bytes = 0  # of the answer's body
        self.note = ""  # why it went wrong, for the access log
        self._tried: tuple[str, ...] = ()

    @property
    def request_done(self) -> bool:
        return self.upload is None or self.upload.done

    def closes(self) -> bool:
        """Will the client's connection end with this answer?"""
        if self.keep_alive and (
            self.balancer.stopping
            or (self.upload is not None and not self.upload.done and self.balancer.decisions.ends_early)
            or not self.balancer.decisions.keeps_clients
        ):
            self.keep_alive = False
        return not self.keep_alive

    # --- where to ----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        balancer, request = self.balancer, self.request
        decisions = balancer.decisions
        action, rewrite = decisions.route(self.listener, request)
        if isinstance(action, Forward):
            if rewrite is not None:
                self.target = decisions.rewritten(rewrite, request.target)
            self.pool = pool = decisions.pools[decisions.pool_of(action, request)]
            if balancer.queue.lines and pool.name in balancer.queue.lines:  # nobody overtakes those who wait
                self._wait(pool)
            else:
                self.go(pool, decisions.choose(pool, request, self.began), self.began)
        elif isinstance(action, Redirect):
            location = decisions.location(action, self.listener, request)
            self.answer(action.status, extra=[("Location", location)])
        else:
            self.answer(action.status, body=action.body.encode(), content_type=action.content_type)

    def choose(self, pool: PoolState, now: float) -> BackendState | Nobody:
        return self.balancer.decisions.choose(pool, self.request, now, self._tried)

    def _wait(self, pool: PoolState) -> None:
        self.balancer.queue.add(self, pool, first=self.repeated)

    def waited_too_long(self) -> None:
        self.note = "waited too long for a free backend"
        self.answer(503)

    def go(self, pool: PoolState, chosen: BackendState | Nobody, now: float) -> None:
        """Begins a try at the chosen backend, waits for one, or tells the client that there is none."""
        if isinstance(chosen, BackendState):
            self.backend = chosen
            self.attempt = attempt = Try(self, pool, chosen, now)
            attempt.begin(now)
        elif chosen is Nobody.FULL:
            self._wait(pool)
        else:
            self.note = self.note or "no usable backend"
            self.failed("none_usable")

    # --- from the client ---------------------------------------------------------------------------------------------

    def request_body(self, payload: bytes) -> None:
        if self.attempt is not None:
            self.attempt.send_body(payload)
        elif self.upload is not None:  # it waits
            self.upload.hold(payload)
            if self.upload.heavy:
                self.client.hold_body(True)

    def request_end(self) -> None:
        if self.attempt is not None:
            self.attempt.send_end()

    def request_broken(self, status: int, reason: str) -> None:
        """The client's body will never be whole: the backend must not take it for a whole one."""
        self.note = reason
        self._leave("broken")
        if self.answering:
            self._cut()
        else:
            self.answer(status)

    def client_lost(self) -> None:
        self.note = self.note or "aborted by the client"
        self._leave("aborted" if self.request_done else "abandoned")

    def _leave(self, result: str) -> None:
        self.balancer.queue.leave(self)
        if self.attempt is not None:
            self.attempt.leave(result)

    def hold_answer(self, on: bool) -> None:
        if self.attempt is not None:
            self.attempt.hold_answer(on)

    # --- from a try --------------------------------------------------------------------------------------------------

    def may_retry(self, what: str, *, sent: bool, stale: bool = False) -> bool:
        assert self.pool is not None
        replayable = self.upload is None or self.upload.replayable
        attempt = Attempt(what, self.request.method, sent, len(self._tried), replayable, self.answering, stale)
        return self.balancer.decisions.may_retry(self.pool, attempt)

    @property
    def repeated(self) -> bool:
        """Is the try under way a repeat?"""
        return bool(self._tried)

    def again(self, failed: Try) -> None:
        """The try has failed and may be repeated, elsewhere if there is anybody else."""
        self._tried = (*self._tried, failed.backend.name)
        self.balancer.metrics.retried(failed.pool.name)
        now = self.balancer.now()
        self.go(failed.pool, self.choose(failed.pool, now), now)

    def failed(self, why: str) -> None:
        """No backend has answered, or not to the end."""
        assert self.pool is not None
        if self.answering:
            self._cut()
        else:
            self.answer(self.balancer.decisions.own_status(self.pool, cast(Why, why)))

    def _cut(self) -> None:
        """An answer that can't be finished: its end must not look like one."""
        self.client.cut(reset_it=self.balancer.decisions.cut_by_reset(self.unframed))
        self.over()

    def answer(
        self, status: int, *, extra: Fields | None = None, body: bytes | None = None, content_type: str = "text/plain"
    ) -> None:
        """The balancer's own answer."""
        self.status = status
        if body is None and (page := self.balancer.decisions.own_page(status)) is not None:
            content_type, body = page
        more = list(extra or ())
        close = self.closes()
        if not close and self.version == "1.0" and self.balancer.decisions.says_keep_alive:
            more.append(("Connection", "keep-alive"))
        decisions = self.balancer.decisions
        head_only, length = not decisions.own_body(self.request.method, status), decisions.own_length(status)
        self.client.write(
            own_answer(
                status,
                head_only=head_only,
                close=close,
                extra=more,
                body=body,
                content_type=content_type,
                length=length,
            )
        )
        self.over()

    def over(self) -> None:
        self.client.exchange_over(self, self.balancer.now())
