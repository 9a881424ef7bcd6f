"""HTT, FLO: where messages end on a client's connection, and whose time runs while one side is slow."""

# ruff: noqa: ARG002  (a wrong decision looks at less)

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, Literal

from lbcheck.balancer.bodies import Body, ChunkedBody
from lbcheck.balancer.decisions import Attempt, Decisions
from lbcheck.balancer.defects.catalogue import defect
from lbcheck.balancer.request import Request
from lbcheck.balancer.retry import may_retry
from lbcheck.balancer.state import BackendState, PoolState
from lbcheck.balancer.wire import BadMessage
from lbcheck.spec.model import Listener

# --- answers of the balancer's own -----------------------------------------------------------------------------------


@defect(
    "own-error-to-head-has-body",
    "HTT",
    "An error of the balancer's own to a HEAD carries its page, which the client reads as the next answer.",
    "Bun: https://github.com/oven-sh/bun/pull/33811 (the error paths ignore the method)",
)
class OwnErrorToHeadHasBody(Decisions):
    def own_body(self, method: str, status: int) -> bool:
        return status >= 500 or super().own_body(method, status)


@defect(
    "redirect-to-head-has-body",
    "HTT",
    "A redirect or a fixed answer to a HEAD carries its body, which the client reads as the next answer.",
    "WsgiDAV: https://github.com/mar10/wsgidav/issues/123 (HEAD answered with the page of a GET)",
)
class RedirectToHeadHasBody(Decisions):
    def own_body(self, method: str, status: int) -> bool:
        return super().own_body("GET" if status < 500 else method, status)


# --- clients' connections --------------------------------------------------------------------------------------------


@defect(
    "early-answer-client-kept",
    "HTT",
    "A client's connection lives on after an answer ahead of its body's end, and the rest is read as a request.",
    "colibri: https://github.com/JustVugg/colibri/pull/610, hermes-webui: https://github.com/nesquena/hermes-webui/issues/7550",
)
class EarlyAnswerClientKept(Decisions):
    ends_early: ClassVar[bool] = False


@defect(
    "close-in-capitals-unheard",
    "HTT",
    "`Connection: Close` is not understood, where `close` is.",
    "RFC 9110 section 7.6.1: connection options are case-insensitive",
)
class CloseInCapitalsUnheard(Decisions):
    def stays(self, request: Request, keep_alive: bool) -> bool:
        options = {option.strip(" \t") for value in request.header("connection") for option in value.split(",")}
        unheard = any(option.lower() == "close" for option in options) and "close" not in options
        return unheard or keep_alive


@defect(
    "refused-client-kept",
    "HTT",
    "After a request that is refused the connection goes on with whatever stands behind its head.",
    "RFC 9112 section 9.6 and 11.2: who can't tell where a request ends must close; request smuggling lives on it",
)
class RefusedClientKept(Decisions):
    ends_refused: ClassVar[bool] = False


@defect(
    "keep-alive-unsaid",
    "HTT",
    "A client of HTTP/1.0 that asks for it has its connection kept, and is not told so: it waits for the end.",
    "RFC 9112 section 9.3: such a connection persists where the answer says keep-alive",
)
class KeepAliveUnsaid(Decisions):
    says_keep_alive: ClassVar[bool] = False


@defect(
    "chunks-to-old-client",
    "HTT",
    "An answer of no known length is passed in chunks to clients of HTTP/1.0 too, which take them for the body.",
    "RFC 9112 section 6.1: no Transfer-Encoding in answers unless the request says HTTP/1.1 (curl -0)",
)
class ChunksToOldClient(Decisions):
    def takes_chunks(self, version: str) -> bool:
        return True


@defect(
    "early-answer-torn",
    "HTT",
    "After an answer ahead of its request's end the connection is closed at once, and RST takes the answer away.",
    "RFC 9112 section 9.6; nginx's `lingering_close` is for this",
)
class EarlyAnswerTorn(Decisions):
    lingers: ClassVar[bool] = False


@defect(
    "empty-line-refused",
    "HTT",
    "An empty line before a request is taken for a bad request.",
    "RFC 9112 section 2.2: old clients send one behind the body of a POST",
)
class EmptyLineRefused(Decisions):
    reads_over_lines: ClassVar[bool] = False


# --- interim answers -------------------------------------------------------------------------------------------------


@defect(
    "interim-to-old-client",
    "HTT",
    "Interim answers are passed to clients of HTTP/1.0, which take them for the final one.",
    "RFC 9110 section 15.2: a server must not send 1xx to a client of HTTP/1.0",
)
class InterimToOldClient(Decisions):
    def passes_interim(self, version: str, status: int) -> bool:
        return True


@defect(
    "interim-is-final",
    "HTT",
    "Of the interim answers only 100 is known: 103 is taken for the final answer.",
    "mitmproxy: https://github.com/mitmproxy/mitmproxy/issues/2229 (103 taken for the final answer)",
)
class InterimIsFinal(Decisions):
    def is_interim(self, status: int) -> bool:
        return status == 100


# --- bodies that are there, or are not -------------------------------------------------------------------------------


@defect(
    "surplus-kept",
    "HTT",
    "What a backend sends behind an answer is kept, and taken for the answer to the next request.",
    "response queue poisoning: https://portswigger.net/web-security/request-smuggling/advanced/response-queue-poisoning",
)
class SurplusKept(Decisions):
    keeps_surplus: ClassVar[bool] = True


@defect(
    "surplus-passed-on",
    "HTT",
    "What a backend sends behind an answer in the same bytes is passed on, and read as the answer to what comes next.",
    "response queue poisoning: https://portswigger.net/web-security/request-smuggling/advanced/response-queue-poisoning",
)
class SurplusPassedOn(Decisions):
    passes_surplus: ClassVar[bool] = True


@defect(
    "body-of-delete-dropped",
    "HTT",
    "A DELETE is taken to have no body, so that its body is read as the next request.",
    "RFC 9112 section 6: framing is independent of the method; clients and proxies that know bodies by method",
)
class BodyOfDeleteDropped(Decisions):
    def framing(self, method: str, headers: Sequence[tuple[str, str]], version: str) -> int | Literal["chunked"] | None:
        return 0 if method == "DELETE" else super().framing(method, headers, version)


@defect(
    "not-modified-has-body",
    "HTT",
    "A 304 with a Content-Length is taken to have a body of that length, and waited for.",
    "RFC 9112 section 6.3, item 1, of which implementations forget 304 first",
)
class NotModifiedHasBody(Decisions):
    def body_expected(self, method: str, status: int) -> bool:
        return status == 304 or super().body_expected(method, status)


@defect(
    "authority-of-target-lost",
    "HTT",
    "Of a target in absolute form the authority is dropped, and the Host field is believed.",
    "RFC 9112 section 3.2.2: a proxy must ignore the received Host field and replace it",
)
class AuthorityOfTargetLost(Decisions):
    def upstream_headers(
        self, listener: Listener, pool: PoolState, backend: BackendState, request: Request
    ) -> list[tuple[str, str]]:
        _, *others = super().upstream_headers(listener, pool, backend, request)
        return [("Host", request.header("host")[0] if request.header("host") else request.host), *others]


# --- bodies in chunks ------------------------------------------------------------------------------------------------


class StricterChunks(ChunkedBody):
    """Reads only sizes that are written so."""

    __slots__ = ()
    size_line: ClassVar[re.Pattern[bytes]]

    def _begin_chunk(self, line: bytes) -> None:
        if self.size_line.fullmatch(line) is None:
            raise BadMessage(400, "a chunk size that is not written as it should be")
        super()._begin_chunk(line)


class WithoutExtensions(StricterChunks):
    __slots__ = ()
    size_line = re.compile(rb"[0-9A-Fa-f]+")


class InLowerCase(StricterChunks):
    __slots__ = ()
    size_line = re.compile(rb"[0-9a-f]+(?:[ \t]*;.*)?")


@defect(
    "chunk-extension-refused",
    "HTT",
    "A chunk with an extension is refused.",
    "civetweb: https://github.com/civetweb/civetweb/pull/1133, mio_httpc: https://github.com/SergejJurecko/mio_httpc/pull/13",
)
class ChunkExtensionRefused(Decisions):
    def body(self, framing: int | str) -> Body:
        return WithoutExtensions() if framing == "chunked" else super().body(framing)


@defect(
    "chunk-size-lower-case",
    "HTT",
    "A chunk's size is understood in lower case alone.",
    "RFC 9112 section 7.1: HEXDIG, which is case-insensitive (RFC 5234 section 2.3)",
)
class ChunkSizeLowerCase(Decisions):
    def body(self, framing: int | str) -> Body:
        return InLowerCase() if framing == "chunked" else super().body(framing)


# --- whose time it is, and what may be repeated ----------------------------------------------------------------------


@defect(
    "upload-takes-response-time",
    "FLO",
    "The response timeout runs from the first byte of the request, so that a slow upload is told 504.",
    "one timer set when the request begins, as Go's http.Client.Timeout in a proxy; nginx's is for reading the answer",
)
class UploadTakesResponseTime(Decisions):
    waits_for_uploads: ClassVar[bool] = False


@defect(
    "slow-reader-is-cut",
    "FLO",
    "While a client does not read, the backend's timer runs on, and the answer that was held back is cut.",
    "rtp2httpd: https://github.com/stackia/rtp2httpd/pull/465 (a slow client's pressure treated as the end)",
)
class SlowReaderIsCut(Decisions):
    waits_for_readers: ClassVar[bool] = False


@defect(
    "answer-piles-up",
    "FLO",
    "While a client does not read, all of its answer is read from the backend and kept.",
    "node-http-proxy's kin without `pipe`: https://nodejs.org/en/learn/modules/backpressuring-in-streams",
)
class AnswerPilesUp(Decisions):
    holds_backends: ClassVar[bool] = False


@defect(
    "closed-connection-kept",
    "FLO",
    "A kept connection that its backend has closed serves the next request, which nobody reads.",
    "hyper: https://github.com/hyperium/hyper/issues/3553 (a closed idle connection is used again)",
)
class ClosedConnectionKept(Decisions):
    hears_closes: ClassVar[bool] = False


@defect(
    "answered-post-repeated",
    "FLO",
    "A POST that a backend has answered with a status that `on` names is sent again.",
    "nginx before 1.9.13, whose change log brought `non_idempotent`",
)
class AnsweredPostRepeated(Decisions):
    def may_retry(self, pool: PoolState, attempt: Attempt) -> bool:
        return super().may_retry(pool, replace(attempt, sent=False) if attempt.what.isdigit() else attempt)


@defect(
    "retry-first-status-only",
    "FLO",
    "Of several statuses that `on` names only the first is repeated.",
    "a list of values read as one, as of fields that come twice; nginx's `proxy_next_upstream` takes any number",
)
class RetryFirstStatusOnly(Decisions):
    def may_retry(self, pool: PoolState, attempt: Attempt) -> bool:
        first = next((event for event in pool.spec.retries.on if event.isdigit()), "")
        return (not attempt.what.isdigit() or attempt.what == first) and super().may_retry(pool, attempt)


@defect(
    "retry-server-errors-only",
    "FLO",
    "Of the statuses that `on` names those below 500 are not repeated, as a 404 for what another backend has.",
    "retries that know 5xx by their first digit, as Envoy's `5xx` does; nginx's `http_404` is for this",
)
class RetryServerErrorsOnly(Decisions):
    def may_retry(self, pool: PoolState, attempt: Attempt) -> bool:
        return not attempt.what.startswith("4") and super().may_retry(pool, attempt)


@defect(
    "non-idempotent-undeclared",
    "FLO",
    "A POST is not sent again although the pool declares that it may be.",
    "RFC 9110 section 9.2.2 kept without its exception: nginx's `non_idempotent`, Envoy's `retriable_request_headers`",
)
class NonIdempotentUndeclared(Decisions):
    def may_retry(self, pool: PoolState, attempt: Attempt) -> bool:
        retries = replace(pool.spec.retries, non_idempotent=False)
        return may_retry(retries, attempt)


@defect(
    "later-parts-not-held",
    "FLO",
    "Of a body that comes in parts only the first is kept for a repeat, which is then too short for its length.",
    "a body stream read once and not rewound: https://github.com/fpco/http-reverse-proxy/issues/34",
)
class LaterPartsNotHeld(Decisions):
    holds_later_parts: ClassVar[bool] = False


@defect(
    "waiting-client-is-idle",
    "FLO",
    "The idle time of a client's connection runs while it waits for its answer, and a slow backend's client gets 408.",
    "Envoy's `stream_idle_timeout`, whose default ends streams that wait for over five minutes; ALB's idle timeout",
)
class WaitingClientIsIdle(Decisions):
    waiting_is_idle: ClassVar[bool] = True


@defect(
    "idle-client-kept-for-ever",
    "HTT",
    "A client's connection on which nothing more is asked is never closed.",
    "Go's http.Server without IdleTimeout: https://blog.cloudflare.com/the-complete-guide-to-golang-net-http-timeouts/",
)
class IdleClientKeptForEver(Decisions):
    def idle_s(self, listener: Listener) -> float:
        return 1e9


@defect(
    "idle-client-closed-early",
    "HTT",
    "A client's connection is closed after half its idle time, and a request that comes then meets the end.",
    "idle times in a row that are not alike: https://adamcrowder.net/posts/node-express-api-and-aws-alb-502/",
)
class IdleClientClosedEarly(Decisions):
    def idle_s(self, listener: Listener) -> float:
        return super().idle_s(listener) / 2


@defect(
    "head-without-end",
    "HTT",
    "A request's head is read for as long as it comes, and kept: one client can have all of the memory.",
    "CVE-2011-3192's kin; Node before 11.6, whose change log brought `--max-http-header-size`; Slowloris",
)
class HeadWithoutEnd(Decisions):
    max_head: ClassVar[int] = 1 << 40
