"""HLT: what requests tell of a backend's health, beside the first step of it (`membership`)."""

from __future__ import annotations

from math import inf

from lbcheck.balancer.decisions import GIVEN_UP, Decisions
from lbcheck.balancer.defects.catalogue import defect
from lbcheck.balancer.state import BackendState, PoolState


@defect(
    "ejection-prolonged",
    "HLT",
    "Failures of requests that were under way when a backend was ejected count on, and each prolongs its ejection.",
    "nginx: each failure moves `checked`, from which `fail_timeout` runs (ngx_http_upstream_free_round_robin_peer)",
)
class EjectionProlonged(Decisions):
    def ended(
        self, pool: PoolState, backend: BackendState, now: float, result: str, latency: float | None = None
    ) -> None:
        super().ended(pool, backend, now, result, latency)
        passive = pool.spec.passive_health
        if (
            passive
            and now < backend.ejected_until < inf
            and result not in GIVEN_UP
            and self.counts_as_failure(pool, result)
        ):
            backend.ejected_until = now + passive.ejection
            pool.stale()


@defect(
    "neutral-answers-keep-the-run",
    "HLT",
    "With `count: consecutive` a 404 between failures does not end their run; only an answer below 400 does.",
    "three kinds of ends, and the one that is neither failure nor success is forgotten",
)
class NeutralAnswersKeepTheRun(Decisions):
    def ended(
        self, pool: PoolState, backend: BackendState, now: float, result: str, latency: float | None = None
    ) -> None:
        kept = backend.passive_failures
        super().ended(pool, backend, now, result, latency)
        if result.isdigit() and not self.counts_as_failure(pool, result) and backend.ejected_until < now:
            backend.passive_failures = kept


@defect(
    "passive-counts-any-5xx",
    "HLT",
    "Every 5xx counts as a failure, whatever `on` says.",
    "nginx's `max_fails` counts what `proxy_next_upstream` names; a constant in its place",
)
class PassiveCountsAny5xx(Decisions):
    def counts_as_failure(self, pool: PoolState, result: str) -> bool:
        return (result.isdigit() and result >= "500") or super().counts_as_failure(pool, result)


@defect(
    "passive-ignores-timeouts",
    "HLT",
    "A backend that never answers is not ejected, although `on` names timeouts.",
    "an error class that is an exception of another kind, caught elsewhere",
)
class PassiveIgnoresTimeouts(Decisions):
    def counts_as_failure(self, pool: PoolState, result: str) -> bool:
        return result != "timeout" and super().counts_as_failure(pool, result)


@defect(
    "passive-ignores-refusals",
    "HLT",
    "A backend that refuses connections is not ejected, although `on` names that.",
    "a count that is kept of answers, and where there is no connection there is none",
)
class PassiveIgnoresRefusals(Decisions):
    def counts_as_failure(self, pool: PoolState, result: str) -> bool:
        return result != "connect" and super().counts_as_failure(pool, result)


@defect(
    "passive-failures-accumulate",
    "HLT",
    "With `count: consecutive` failures add up over any time, whatever comes between them.",
    "a counter that success does not reset; compare Kong/lua-resty-healthcheck issue 6, of active checks",
)
class PassiveFailuresAccumulate(Decisions):
    def ended(
        self, pool: PoolState, backend: BackendState, now: float, result: str, latency: float | None = None
    ) -> None:
        kept = backend.passive_failures
        super().ended(pool, backend, now, result, latency)
        if not self.counts_as_failure(pool, result) and backend.ejected_until < now:
            backend.passive_failures = kept


@defect(
    "success-empties-the-window",
    "HLT",
    "With `count: window` an answer between failures ends the count, as if consecutive ones were declared.",
    "one counter for both ways of counting",
)
class SuccessEmptiesTheWindow(Decisions):
    def ended(
        self, pool: PoolState, backend: BackendState, now: float, result: str, latency: float | None = None
    ) -> None:
        super().ended(pool, backend, now, result, latency)
        if not self.counts_as_failure(pool, result):
            backend.failure_times.clear()


@defect(
    "window-never-slides",
    "HLT",
    "With `count: window` failures count for ever.",
    "a list of times that nobody prunes",
)
class WindowNeverSlides(Decisions):
    def ended(
        self, pool: PoolState, backend: BackendState, now: float, result: str, latency: float | None = None
    ) -> None:
        times = backend.failure_times
        for i in range(len(times)):
            times[i] = now
        super().ended(pool, backend, now, result, latency)
