"""ALG: policies that look at what is in flight or how long it took."""

from __future__ import annotations

from math import inf

from lbcheck.balancer import policies
from lbcheck.balancer.decisions import Decisions
from lbcheck.balancer.defects.catalogue import defect
from lbcheck.balancer.request import Request
from lbcheck.balancer.state import BackendState, PoolState
from lbcheck.spec.model import Algorithm

LEAST = (Algorithm.LEAST_CONNECTIONS, Algorithm.WEIGHTED_LEAST_CONNECTIONS)


@defect(
    "first-not-fewest",
    "ALG",
    "Least connections takes the first backend that is not the busiest.",
    "a comparison with the maximum in place of the minimum; the claim is that of HAProxy's `balance leastconn`",
)
class FirstNotFewest(Decisions):
    def pick(self, pool: PoolState, among: list[BackendState], request: Request, now: float) -> BackendState:
        if pool.spec.algorithm not in LEAST:
            return super().pick(pool, among, request, now)
        most = max(b.in_flight for b in among)
        return next((b for b in among if b.in_flight < most), among[0])


@defect(
    "in-flight-ignored",
    "ALG",
    "Least connections never counts, and so takes turns.",
    "https://github.com/ashishps1/awesome-system-design-resources/issues/62 (selection without an increment)",
)
class InFlightIgnored(Decisions):
    def pick(self, pool: PoolState, among: list[BackendState], request: Request, now: float) -> BackendState:
        if pool.spec.algorithm in LEAST:
            return policies.round_robin(pool, among, request, now, self.rng)
        return super().pick(pool, among, request, now)


@defect(
    "least-connections-weights-ignored",
    "ALG",
    "Weighted least connections compares plain counts.",
    "the difference between `lc` and `wlc`: http://kb.linuxvirtualserver.org/wiki/Weighted_Least-Connection_Scheduling",
)
class LeastConnectionsWeightsIgnored(Decisions):
    def pick(self, pool: PoolState, among: list[BackendState], request: Request, now: float) -> BackendState:
        if pool.spec.algorithm in LEAST:
            return policies.least_connections(pool, among, request, now, self.rng)
        return super().pick(pool, among, request, now)


class Leaking(Decisions):
    """Counts never shrink after tries that end so."""

    leaks_on: str

    def ended(
        self, pool: PoolState, backend: BackendState, now: float, result: str, latency: float | None = None
    ) -> None:
        super().ended(pool, backend, now, result, latency)
        if result == self.leaks_on:
            backend.in_flight += 1


@defect(
    "abort-leaks-count",
    "ALG",
    "A request that its client gives up stays counted as in flight.",
    "Tempesta: https://github.com/tempesta-tech/tempesta/issues/424 (connections of interrupted clients not released)",
)
class AbortLeaksCount(Leaking):
    leaks_on = "aborted"


@defect(
    "reset-leaks-count",
    "ALG",
    "A request whose backend resets the connection stays counted as in flight.",
    "HAProxy: https://github.com/haproxy/haproxy/issues/2078 (counters not decremented)",
)
class ResetLeaksCount(Leaking):
    leaks_on = "reset"


@defect(
    "refusal-leaks-count",
    "ALG",
    "A try that found no connection stays counted as in flight.",
    "HAProxy: https://github.com/haproxy/haproxy/issues/1003 (leak after connection failures)",
)
class RefusalLeaksCount(Leaking):
    leaks_on = "connect"


@defect(
    "retried-status-leaks-count",
    "ALG",
    "A try that was answered with a status to repeat stays counted as in flight.",
    "HAProxy: https://github.com/haproxy/haproxy/issues/2078 (counters not decremented)",
)
class RetriedStatusLeaksCount(Leaking):
    leaks_on = "503"


@defect(
    "power-of-two-one-pick",
    "ALG",
    "Power of two makes one pick and compares it with itself.",
    "two draws that are not distinct; Envoy's LEAST_REQUEST documents two choices",
)
class PowerOfTwoOnePick(Decisions):
    def pick(self, pool: PoolState, among: list[BackendState], request: Request, now: float) -> BackendState:
        if pool.spec.algorithm is Algorithm.POWER_OF_TWO:
            return self.rng.choice(among)
        return super().pick(pool, among, request, now)


@defect(
    "slowest-preferred",
    "ALG",
    "Least response time prefers the slowest backend.",
    "a comparison turned round; the claim is that of nginx Plus's `least_time`",
)
class SlowestPreferred(Decisions):
    def pick(self, pool: PoolState, among: list[BackendState], request: Request, now: float) -> BackendState:
        if pool.spec.algorithm is Algorithm.LEAST_RESPONSE_TIME and self.rng.random() > policies.EXPLORATION:
            return max(among, key=lambda b: b.latency or 0.0)
        return super().pick(pool, among, request, now)


@defect(
    "response-time-never-explores",
    "ALG",
    "Least response time asks only the fastest that it knows, and never learns of the others.",
    "greedy selection; Finagle's peak EWMA and nginx Plus decay or probe for this reason",
)
class ResponseTimeNeverExplores(Decisions):
    def pick(self, pool: PoolState, among: list[BackendState], request: Request, now: float) -> BackendState:
        if pool.spec.algorithm is Algorithm.LEAST_RESPONSE_TIME:
            return min(among, key=lambda b: inf if b.latency is None else b.latency)
        return super().pick(pool, among, request, now)


@defect(
    "first-response-time-kept",
    "ALG",
    "Least response time keeps the first figure that it has of a backend.",
    "an average that is never updated; the order has to follow a change",
)
class FirstResponseTimeKept(Decisions):
    def ended(
        self, pool: PoolState, backend: BackendState, now: float, result: str, latency: float | None = None
    ) -> None:
        kept = backend.latency
        super().ended(pool, backend, now, result, latency)
        backend.latency = backend.latency if kept is None else kept


@defect(
    "failure-measured-as-fast",
    "ALG",
    "A try that fails at once counts as a fast answer, so that a broken backend draws the requests.",
    "Astyanax: https://github.com/Netflix/astyanax/issues/17 (latencies of errors count towards a node's)",
)
class FailureMeasuredAsFast(Decisions):
    def ended(
        self, pool: PoolState, backend: BackendState, now: float, result: str, latency: float | None = None
    ) -> None:
        known = backend.latency
        super().ended(pool, backend, now, result, latency)
        if result in ("connect", "reset"):
            backend.latency = known
            policies.measured(backend, latency or 0.0)


@defect(
    "broken-upload-leaks-count",
    "ALG",
    "A request whose body turns out to be broken stays counted as in flight.",
    "the error path of the reader answers 400, and does not come by where tries end",
)
class BrokenUploadLeaksCount(Leaking):
    leaks_on = "broken"


@defect(
    "unsent-leaks-count",
    "ALG",
    "A request whose client leaves while its connection to the backend is being made stays counted as in flight.",
    "a connect that is cancelled returns ahead of the line that counts down",
)
class UnsentLeaksCount(Leaking):
    leaks_on = "unsent"


@defect(
    "abort-in-upload-leaks-count",
    "ALG",
    "A request whose client goes away in mid-body stays counted as in flight.",
    "whoever reads the body hears of the end, and whoever counts does not",
)
class AbortInUploadLeaksCount(Leaking):
    leaks_on = "abandoned"
