"""HLT: what is probed, what counts as good, and when enough is enough."""

from __future__ import annotations

from dataclasses import replace

from lbcheck.balancer.decisions import Decisions, ProbeResult
from lbcheck.balancer.defects.catalogue import Misconfigured, defect
from lbcheck.balancer.state import BackendState, PoolState
from lbcheck.spec.model import HealthCheck, Pool, Protocol


class Misread(Misconfigured):
    """Judges and probes by another check than the declared one."""

    def misread(self, pool: Pool) -> Pool:
        return pool if pool.health_check is None else replace(pool, health_check=self.check(pool.health_check))

    def check(self, check: HealthCheck) -> HealthCheck:
        return check


# --- thresholds and streaks ------------------------------------------------------------------------------------------

THRESHOLDS = "HAProxy's `rise` and `fall` and ALB's thresholds count exactly; `>` for `>=` is the classic"


@defect("unhealthy-one-late", "HLT", "A backend leaves one failed probe too late.", THRESHOLDS)
class UnhealthyOneLate(Misread):
    def check(self, check: HealthCheck) -> HealthCheck:
        return replace(check, unhealthy_threshold=check.unhealthy_threshold + 1)


@defect(
    "unhealthy-one-early",
    "HLT",
    "A backend leaves one failed probe too soon.",
    "statsd: https://github.com/statsd/statsd/pull/321 (`< 2` where a threshold was meant)",
)
class UnhealthyOneEarly(Misread):
    def check(self, check: HealthCheck) -> HealthCheck:
        return replace(check, unhealthy_threshold=max(1, check.unhealthy_threshold - 1))


@defect("healthy-one-late", "HLT", "A backend returns one good probe too late.", THRESHOLDS)
class HealthyOneLate(Misread):
    def check(self, check: HealthCheck) -> HealthCheck:
        return replace(check, healthy_threshold=check.healthy_threshold + 1)


@defect("healthy-one-early", "HLT", "A backend returns one good probe too soon.", THRESHOLDS)
class HealthyOneEarly(Misread):
    def check(self, check: HealthCheck) -> HealthCheck:
        return replace(check, healthy_threshold=max(1, check.healthy_threshold - 1))


@defect(
    "failures-accumulate",
    "HLT",
    "A good probe does not end the streak of failures: failures add up over any time.",
    "frp: https://github.com/fatedier/frp/pull/5502, Scalelite: https://github.com/blindsidenetworks/scalelite/issues/251",
)
class FailuresAccumulate(Decisions):
    def probed(self, pool: PoolState, backend: BackendState, passed: bool, now: float) -> None:
        healthy, failures = backend.healthy, backend.failures
        super().probed(pool, backend, passed, now)
        if healthy and passed:
            backend.failures = failures


@defect(
    "successes-accumulate",
    "HLT",
    "A failed probe does not end the streak of successes: successes add up over any time.",
    "lua-resty-healthcheck: https://github.com/Kong/lua-resty-healthcheck/issues/6 (counters not reset)",
)
class SuccessesAccumulate(Decisions):
    def probed(self, pool: PoolState, backend: BackendState, passed: bool, now: float) -> None:
        healthy, successes = backend.healthy, backend.successes
        super().probed(pool, backend, passed, now)
        if healthy is False and not passed:
            backend.successes = successes


# --- what is good ----------------------------------------------------------------------------------------------------


@defect(
    "any-status-is-good",
    "HLT",
    "Any whole answer to a probe is good.",
    "Kontena: https://github.com/kontena/kontena/pull/1760 (which statuses are good has to be configurable)",
)
class AnyStatusIsGood(Decisions):
    def passed(self, check: HealthCheck, result: ProbeResult) -> bool:
        return super().passed(check, result) or (result.error is None and result.status is not None)


@defect(
    "redirect-is-good",
    "HLT",
    "A probe that is redirected is good, whatever the success codes are.",
    "HAProxy's default, taken for everybody's: https://github.com/airbnb/nerve/issues/77",
)
class RedirectIsGood(Decisions):
    def passed(self, check: HealthCheck, result: ProbeResult) -> bool:
        return super().passed(check, result) or (result.error is None and 300 <= (result.status or 0) <= 399)


@defect(
    "success-codes-cut",
    "HLT",
    "Of a list of success codes only the first entry is read.",
    "a list split once; ALB's matcher takes `200,202` and `200-299`",
)
class SuccessCodesCut(Decisions):
    def passed(self, check: HealthCheck, result: ProbeResult) -> bool:
        return super().passed(replace(check, success_codes=check.success_codes.split(",")[0]), result)


@defect(
    "stall-is-good",
    "HLT",
    "A probe that gets no answer in time is good.",
    "only refusals counted as failures; compare https://github.com/traefik/traefik/issues/6706",
)
class StallIsGood(Decisions):
    def passed(self, check: HealthCheck, result: ProbeResult) -> bool:
        return result.error == "timeout" or super().passed(check, result)


@defect(
    "broken-probe-is-good",
    "HLT",
    "A probe whose connection is reset, closed or answered with garbage is good: it did connect.",
    "an HTTP check that falls back to a TCP check: https://github.com/open-craft/opencraft/pull/266",
)
class BrokenProbeIsGood(Decisions):
    def passed(self, check: HealthCheck, result: ProbeResult) -> bool:
        return result.error in ("reset", "closed", "garbage") or super().passed(check, result)


@defect(
    "tcp-check-always-good",
    "HLT",
    "A TCP check is good even when the connection is refused.",
    "a connect whose result nobody reads (non-blocking, SO_ERROR not asked)",
)
class TcpCheckAlwaysGood(Decisions):
    def passed(self, check: HealthCheck, result: ProbeResult) -> bool:
        return check.protocol is Protocol.TCP or super().passed(check, result)


# --- the probe itself ------------------------------------------------------------------------------------------------


@defect(
    "probe-wrong-path",
    "HLT",
    "Probes go to / whatever path is declared.",
    "GCE ingress: https://github.com/kubernetes/ingress-nginx/issues/388 (falls back to /)",
)
class ProbeWrongPath(Misread):
    def check(self, check: HealthCheck) -> HealthCheck:
        return replace(check, path="/" if check.path != "/" else "/health")


@defect(
    "probe-wrong-host",
    "HLT",
    "Probes carry another Host than the declared one.",
    "Rancher: https://github.com/rancher/rancher/issues/16998 (Host of the health check not kept)",
)
class ProbeWrongHost(Misread):
    def check(self, check: HealthCheck) -> HealthCheck:
        return replace(check, host=None if check.host else "localhost")


@defect(
    "probe-wrong-method",
    "HLT",
    "Probes are sent with HEAD where GET is declared, and the other way round.",
    "HAProxy's `option httpchk` default was OPTIONS for long; method of the check not taken from the configuration",
)
class ProbeWrongMethod(Misread):
    def check(self, check: HealthCheck) -> HealthCheck:
        return replace(check, method="HEAD" if check.method == "GET" else "GET")


@defect(
    "probe-wrong-port",
    "HLT",
    "Probes go to the traffic port although another is declared.",
    "https://github.com/DataDog/documentation/pull/5608 (checks that did not match ports)",
)
class ProbeWrongPort(Misread):
    def check(self, check: HealthCheck) -> HealthCheck:
        return replace(check, port=None)


@defect(
    "probe-twice-as-often",
    "HLT",
    "Probes come twice in an interval.",
    "two checkers for one backend after a reload; the interval is a promise to the backend",
)
class ProbeTwiceAsOften(Decisions):
    def next_probe(self, check: HealthCheck, started: float, finished: float) -> float:
        return max(started + check.interval / 2, finished)


@defect(
    "probes-come-in-pairs",
    "HLT",
    "Every other probe is followed by a second one at once.",
    "Kong: https://github.com/Kong/kong/issues/7409 (further probes scheduled while one is under way)",
)
class ProbesComeInPairs(Decisions):
    def next_probe(self, check: HealthCheck, started: float, finished: float) -> float:
        return finished if self.rng.random() < 0.5 else super().next_probe(check, started, finished)


@defect(
    "probes-starve-under-load",
    "HLT",
    "While there is traffic probes come half as often.",
    "probes that wait behind requests; the reverse of Kong: https://github.com/Kong/kong/issues/7409",
)
class ProbesStarveUnderLoad(Decisions):
    served = 0

    def next_probe(self, check: HealthCheck, started: float, finished: float) -> float:
        before, self.served = self.served, sum(b.served for p in self.pools.values() for b in p.backends)
        late = check.interval if self.served - before > 10 else 0.0
        return super().next_probe(check, started, finished) + late


@defect(
    "probe-waits-for-a-connection",
    "HLT",
    "The timeout of a probe begins with its connection: where there is none, the probe has no end.",
    "Gravitee: https://github.com/gravitee-io/issues/issues/8429 (what waits has no result, and the backend stays)",
)
class ProbeWaitsForAConnection(Decisions):
    def probe_connect_timeout(self, check: HealthCheck) -> float | None:  # noqa: ARG002
        return None


@defect(
    "probe-timeout-ignored",
    "HLT",
    "A probe may take ten times its timeout.",
    "the client library's default timeout in force in place of the declared one",
)
class ProbeTimeoutIgnored(Decisions):
    def probe_timeout(self, check: HealthCheck) -> float:
        return check.timeout * 10


@defect(
    "probe-may-take-the-interval",
    "HLT",
    "A probe may take as long as the interval where its timeout is shorter.",
    "HAProxy without `timeout check`: the interval is what a check may take (Configuration Manual, `timeout check`)",
)
class ProbeMayTakeTheInterval(Decisions):
    def probe_timeout(self, check: HealthCheck) -> float:
        return max(check.timeout, check.interval)


@defect(
    "probe-ends-with-interim",
    "HLT",
    "An interim answer to a probe is taken for its result: a backend that sends 103 first is found failing.",
    "nginx reads any first status line as the final one (`ngx_http_proxy_process_status_line`); so do plain checkers",
)
class ProbeEndsWithInterim(Decisions):
    def ends_probe(self, status: int) -> bool:
        return status >= 100


@defect(
    "probes-by-name",
    "HLT",
    "What a probe has found of a backend holds for its namesakes in other pools too.",
    "a table of health by less than names a backend; HAProxy's Runtime API asks for backend/server for this reason",
)
class ProbesByName(Decisions):
    def probed(self, pool: PoolState, backend: BackendState, passed: bool, now: float) -> None:
        super().probed(pool, backend, passed, now)
        for other in self.pools.values():
            for namesake in other.backends:
                if namesake is not backend and namesake.name == backend.name:
                    super().probed(other, namesake, passed, now)
