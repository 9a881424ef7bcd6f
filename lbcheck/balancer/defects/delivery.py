"""FLO: what is tried again, and what a client is told."""

# ruff: noqa: ARG002  (a wrong decision looks at less)

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Literal

from lbcheck.balancer.decisions import Attempt, Decisions
from lbcheck.balancer.defects.catalogue import Misconfigured, defect
from lbcheck.balancer.retry import may_retry
from lbcheck.balancer.state import BackendState, PoolState
from lbcheck.spec.model import Pool


@defect(
    "post-repeated",
    "FLO",
    "A request that is not idempotent is sent again after a backend may have read it.",
    "Varnish: https://github.com/varnishcache/varnish-cache/issues/4413 (a POST retried after the backend closed)",
)
class PostRepeated(Decisions):
    def may_retry(self, pool: PoolState, attempt: Attempt) -> bool:
        return may_retry(pool.spec.retries, replace(attempt, method="GET"))


@defect(
    "patch-repeated",
    "FLO",
    "PATCH is taken for idempotent, as PUT is, and sent again after a backend may have read it.",
    'RFC 5789 section 2: "PATCH is neither safe nor idempotent"',
)
class PatchRepeated(Decisions):
    def may_retry(self, pool: PoolState, attempt: Attempt) -> bool:
        return super().may_retry(pool, replace(attempt, method="PUT") if attempt.method == "PATCH" else attempt)


@defect(
    "delete-not-retried",
    "FLO",
    "Only GET, HEAD and PUT are tried again: a DELETE that failed is not.",
    "retries for safe methods alone, where RFC 9110 section 9.2.2 has idempotent ones",
)
class DeleteNotRetried(Decisions):
    def may_retry(self, pool: PoolState, attempt: Attempt) -> bool:
        return attempt.method != "DELETE" and super().may_retry(pool, attempt)


@defect(
    "stale-post-repeated",
    "FLO",
    "A POST that met a closing kept connection is sent again, as only an idempotent request may be.",
    "nginx before 1.9.13, whose change log brought `non_idempotent`",
)
class StalePostRepeated(Decisions):
    def may_retry(self, pool: PoolState, attempt: Attempt) -> bool:
        return super().may_retry(pool, replace(attempt, method="GET") if attempt.reused else attempt)


@defect(
    "retry-same-backend",
    "FLO",
    "A request is tried again at the backend that has just failed it.",
    "Envoy: https://github.com/envoyproxy/envoy/issues/2259, Istio: https://github.com/istio/istio/issues/26760",
)
class RetrySameBackend(Decisions):
    def untried(self, among: list[BackendState], tried: Collection[str]) -> list[BackendState]:
        return [b for b in among if b.name in tried] or among


@defect(
    "never-retries",
    "FLO",
    "Nothing is tried again although retries are declared.",
    "ingress-nginx: https://github.com/kubernetes/ingress-nginx/pull/4048 (the next upstream is never asked)",
)
class NeverRetries(Decisions):
    def may_retry(self, pool: PoolState, attempt: Attempt) -> bool:
        return False


@defect(
    "connect-waits-as-for-an-answer",
    "FLO",
    "A connection that is neither taken nor refused is waited for as long as an answer is.",
    "request: https://github.com/request/request/pull/841 (one time for all, and a black hole takes the whole of it)",
)
class ConnectWaitsAsForAnAnswer(Decisions):
    def time_to_connect(self, pool: PoolState) -> float:
        return pool.spec.timeouts.response


@defect(
    "connect-timeout-not-retried",
    "FLO",
    "A try that got no connection in time counts as a late answer, which nothing else is tried for.",
    "ingress-nginx: https://github.com/kubernetes/ingress-nginx/issues/4567 (504, and no other is asked)",
)
class ConnectTimeoutNotRetried(Decisions):
    def no_connection(self, late: bool) -> str:
        return "timeout" if late else super().no_connection(late)


@defect(
    "retry-once-too-often",
    "FLO",
    "One try more is made than `attempts` allows.",
    "first try counted or not; Envoy's num_retries and nginx's proxy_next_upstream_tries differ in this",
)
class RetryOnceTooOften(Decisions):
    def may_retry(self, pool: PoolState, attempt: Attempt) -> bool:
        retries = pool.spec.retries
        return may_retry(replace(retries, attempts=retries.attempts + 1), attempt)


@defect(
    "retry-once-too-few",
    "FLO",
    "One repeat less is made than `attempts` allows.",
    "the first try counted as a repeat, as nginx's proxy_next_upstream_tries counts it",
)
class RetryOnceTooFew(Decisions):
    def may_retry(self, pool: PoolState, attempt: Attempt) -> bool:
        return super().may_retry(pool, replace(attempt, repeats=attempt.repeats + 1))


@defect(
    "retry-forgets-the-first",
    "FLO",
    "A third try leaves out the backend that failed last, and may meet the first one again.",
    "MOSN: https://github.com/mosn/mosn/pull/2077 (the last chosen host is skipped, and the one before it comes again)",
)
class RetryForgetsTheFirst(Decisions):
    def untried(self, among: list[BackendState], tried: Collection[str]) -> list[BackendState]:
        return super().untried(among, list(tried)[-1:])


@defect(
    "retry-ignores-statuses",
    "FLO",
    "An answer is never tried again, whatever status `on` names: only connections that fail are.",
    "HAProxy before 2.0, whose `retries` knew connections alone; `retry-on` brought the rest",
)
class RetryIgnoresStatuses(Decisions):
    def may_retry(self, pool: PoolState, attempt: Attempt) -> bool:
        return not attempt.what.isdigit() and super().may_retry(pool, attempt)


@defect(
    "retry-ignores-timeouts",
    "FLO",
    "A request that timed out is not tried again although `on` names the timeout.",
    "ingress-nginx: https://github.com/kubernetes/ingress-nginx/pull/4048 (the next upstream is never asked)",
)
class RetryIgnoresTimeouts(Decisions):
    def may_retry(self, pool: PoolState, attempt: Attempt) -> bool:
        return attempt.what != "timeout" and super().may_retry(pool, attempt)


@defect(
    "retry-undeclared",
    "FLO",
    "Errors are retried that `on` does not name.",
    "apex/up: https://github.com/apex/up/pull/334 (any error treated as retry-able)",
)
class RetryUndeclared(Decisions):
    def may_retry(self, pool: PoolState, attempt: Attempt) -> bool:
        retries = pool.spec.retries
        failed = not attempt.what.isdigit() or attempt.what >= "500"
        return may_retry(replace(retries, on=(attempt.what,)) if failed else retries, attempt)


@defect(
    "refused-is-a-404",
    "FLO",
    "When no connection to a backend can be made the client is told 404.",
    "a balancer's default page for anything that it can't serve, as Traefik's 404 for a router without a service",
)
class RefusedIsA404(Decisions):
    def own_status(self, pool: PoolState, why: Literal["none_usable", "refused", "broken", "timeout"]) -> int:
        return 404 if why == "refused" else super().own_status(pool, why)


@defect(
    "reset-is-a-200",
    "FLO",
    "A backend that closes or resets before its answer gives the client an empty 200.",
    "RFC 9110 section 15.6.3; a proxy whose default status is that of success",
)
class ResetIsA200(Decisions):
    def own_status(self, pool: PoolState, why: Literal["none_usable", "refused", "broken", "timeout"]) -> int:
        return 200 if why == "broken" else super().own_status(pool, why)


@defect(
    "hang-answered-late",
    "FLO",
    "A backend that never answers is waited for two seconds longer than the response timeout allows.",
    "timeouts added up on the way (connect, queue, response), as nginx's `proxy_next_upstream_timeout` exists to bound",
)
class HangAnsweredLate(Misconfigured):
    def misread(self, pool: Pool) -> Pool:
        times = pool.timeouts
        return replace(pool, timeouts=replace(times, response=times.response + times.connect + 2.0))


@defect(
    "retry-truncates-body",
    "FLO",
    "Of the body of a request that is tried again the first piece is missing.",
    "a body stream read once and not rewound: https://github.com/fpco/http-reverse-proxy/issues/34",
)
class RetryTruncatesBody(Decisions):
    def replayed(self, held: list[bytes]) -> list[bytes]:
        return [held[0][1:], *held[1:]] if held else held


@defect(
    "cut-body-completed",
    "FLO",
    "An answer whose backend broke off in the body is ended as if it were whole.",
    "RFC 9112 section 8; a last chunk written on every end of the upstream stream",
)
class CutBodyCompleted(Decisions):
    def breaks_off(self, method: str, status: int) -> bool:
        return False


@defect(
    "cut-ended-by-fin",
    "FLO",
    "An answer without a length that its backend broke off ends with a mere close, which is how a whole one ends.",
    "octo-server: https://github.com/Mininglamp-OSS/octo-server/pull/737 (a cut answer taken for whole)",
)
class CutEndedByFin(Decisions):
    def cut_by_reset(self, unframed: bool) -> bool:
        return False


@defect(
    "timeout-for-the-whole-answer",
    "FLO",
    "The response timeout is over the whole answer, so that a long one is cut while it comes.",
    "Go's http.Client.Timeout, which includes the body, used for a proxy's upstream; nginx's is between two reads",
)
class TimeoutForTheWholeAnswer(Decisions):
    def patience(self, pool: PoolState, passed: float) -> float:
        return max(0.0, super().patience(pool, passed) - passed)


@defect(
    "own-error-is-200",
    "FLO",
    "With no backend to serve it a request is answered 200, with a page that says sorry.",
    "sorry servers without a status (keepalived's `sorry_server`): https://github.com/acassen/keepalived/pull/2428",
)
class OwnErrorIs200(Decisions):
    def own_status(self, pool: PoolState, why: Literal["none_usable", "refused", "broken", "timeout"]) -> int:
        return 200 if why == "none_usable" else super().own_status(pool, why)


@defect(
    "own-error-is-500",
    "FLO",
    "Whatever goes wrong between balancer and backend is told as 500.",
    "RFC 9110 sections 15.6.3 to 15.6.5 have a status for each; a catch-all handler knows none of them",
)
class OwnErrorIs500(Decisions):
    def own_status(self, pool: PoolState, why: Literal["none_usable", "refused", "broken", "timeout"]) -> int:
        return 500


@defect(
    "timeout-told-as-broken",
    "FLO",
    "A backend that answers too late is told with the status of one that broke.",
    "RFC 9110 sections 15.6.3 and 15.6.5; ALB tells 504 from 502",
)
class TimeoutToldAsBroken(Decisions):
    def own_status(self, pool: PoolState, why: Literal["none_usable", "refused", "broken", "timeout"]) -> int:
        return super().own_status(pool, "broken" if why == "timeout" else why)


@defect(
    "repeats-by-backends",
    "FLO",
    "Repeats are counted by the backends that were tried: where there is one, they have no end for long.",
    "ingress-nginx: https://github.com/kubernetes/ingress-nginx/issues/4944 (one pod, tried over and over again)",
)
class RepeatsByBackends(Decisions):
    LONG = 20

    def may_retry(self, pool: PoolState, attempt: Attempt) -> bool:
        tried = min(attempt.repeats, len(pool.backends)) if attempt.repeats < self.LONG else attempt.repeats
        return super().may_retry(pool, replace(attempt, repeats=tried))


@defect(
    "refused-counts-as-reset",
    "FLO",
    "A connection that is refused counts as one that was reset, for which nothing else is tried.",
    "one exception for all that a socket can say, told apart too late",
)
class RefusedCountsAsReset(Decisions):
    def no_connection(self, late: bool) -> str:
        return super().no_connection(late) if late else "reset"
