"""FLO: what is tried again, and what a client is told."""

# ruff: noqa: ARG002  (a wrong decision looks at less)

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Literal

from lbcheck.balancer.decisions import Attempt, Decisions
from lbcheck.balancer.defects.catalogue import defect
from lbcheck.balancer.retry import may_retry
from lbcheck.balancer.state import BackendState, PoolState


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
    "retry-never",
    "FLO",
    "Nothing is tried again although retries are declared.",
    "ingress-nginx: https://github.com/kubernetes/ingress-nginx/pull/4048 (the next upstream is never asked)",
)
class RetryNever(Decisions):
    def may_retry(self, pool: PoolState, attempt: Attempt) -> bool:
        return False


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
