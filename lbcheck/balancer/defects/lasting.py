"""HTT, FLO: what of a connection, on either side, outlives a message on it."""

# ruff: noqa: ARG002  (a wrong decision looks at less)

from __future__ import annotations

from typing import ClassVar

from lbcheck.balancer.decisions import Decisions
from lbcheck.balancer.defects.catalogue import defect


@defect(
    "interims-add-up",
    "HTT",
    "1xx answers are counted over a connection, not over a request: one that is kept for long comes to the limit.",
    "Go's net/http: https://github.com/golang/go/issues/65035 (a limit of 1xx answers that met lawful ones)",
)
class InterimsAddUp(Decisions):
    counts_interims_anew: ClassVar[bool] = False


@defect(
    "short-upload-is-whole",
    "HTT",
    "A body whose connection ends before it does is passed on as if that had been its end.",
    "end of file taken for the end of the message, which RFC 9112 section 8 forbids for requests",
)
class ShortUploadIsWhole(Decisions):
    breaks_short_bodies: ClassVar[bool] = False


@defect(
    "timer-fires-once",
    "FLO",
    "A timer that has fired, in vain or not, is not set again: its connection has no time limit from then on.",
    "a mark that a timer is running, which only some of the ways out of its callback take back",
)
class TimerFiresOnce(Decisions):
    timers_live_on: ClassVar[bool] = False


@defect(
    "unasked-answer-kept",
    "HTT",
    "What a backend says on a kept connection that nobody asked for is taken for the next request's answer.",
    "response queue poisoning: https://portswigger.net/web-security/request-smuggling/advanced/response-queue-poisoning",
)
class UnaskedAnswerKept(Decisions):
    drops_unasked: ClassVar[bool] = False


@defect(
    "first-bytes-all-at-once",
    "HTT",
    "An answer whose first bytes come one by one is taken for no HTTP.",
    "a protocol told by the first read, as if TCP kept the borders of what was written",
)
class FirstBytesAllAtOnce(Decisions):
    reads_bits: ClassVar[bool] = False


@defect(
    "held-connection-stays-held",
    "FLO",
    "A connection to a backend that was held back for a slow client is kept without being read again.",
    "reading is paused for the one who waits, and goes on with that one alone",
)
class HeldConnectionStaysHeld(Decisions):
    resumes_kept: ClassVar[bool] = False


@defect(
    "old-answer-keeps-connection",
    "HTT",
    "A backend's connection is used again after an answer of HTTP/1.0 that does not say keep-alive.",
    "persistence told by `Connection: close` alone, which is how HTTP/1.1 has it (RFC 9112 section 9.3)",
)
class OldAnswerKeepsConnection(Decisions):
    def answer_persists(self, version: str, persists: bool) -> bool:
        return persists or version == "1.0"


@defect(
    "idle-from-the-request",
    "HTT",
    "A client's idle time runs from the beginning of its last request, however long the answer took.",
    "a deadline that is set when the request comes and not moved when it is over",
)
class IdleFromTheRequest(Decisions):
    def idle_since(self, began: float, over: float) -> float:
        return began


@defect(
    "behind-an-empty-body-dropped",
    "HTT",
    "A request that comes in the same bytes behind an empty body is dropped.",
    "the way out of a reader where there is nothing to read, which forgets that more may have come",
)
class BehindAnEmptyBodyDropped(Decisions):
    reads_behind_nothing: ClassVar[bool] = False


@defect(
    "ahead-of-a-slow-client-lost",
    "HTT",
    "Requests that came while their client was slow to read an answer are never gone on with.",
    "of the two ways to be free again, done and no longer slow, one does not look at what waits",
)
class AheadOfASlowClientLost(Decisions):
    goes_on_when_read: ClassVar[bool] = False


@defect(
    "idle-upstream-kept",
    "FLO",
    "A connection to a backend on which nothing is asked is kept for as long as its backend likes.",
    "Go's http.Transport without IdleConnTimeout: https://pkg.go.dev/net/http#Transport",
)
class IdleUpstreamKept(Decisions):
    def kept_until(self, now: float, idle_s: float) -> float:
        return now + 1e9


@defect(
    "once-slow-always-slow",
    "HTT",
    "A client that was slow to read in mid-answer, and caught up, gets no further answer on its connection.",
    "a mark that is set in one state of a connection and taken back in another",
)
class OnceSlowAlwaysSlow(Decisions):
    stays_slow: ClassVar[bool] = True


@defect(
    "empty-chunks-without-end",
    "HTT",
    "A body in chunks that is empty has no last chunk: its client waits for more.",
    "nothing was written, so nothing is ended",
)
class EmptyChunksWithoutEnd(Decisions):
    ends_empty_bodies: ClassVar[bool] = False


@defect(
    "cut-answer-left-open",
    "FLO",
    "An answer whose backend closes ahead of its length is taken for whole: its client's connection stays open.",
    "the end of the connection taken for the end of the message, whatever was declared (RFC 9112 section 8)",
)
class CutAnswerLeftOpen(Decisions):
    def ends_by_close(self, framing: int | str) -> bool:
        return framing != "chunked"
