"""When and how backends are probed, where the spec leaves that open."""

# ruff: noqa: ARG002  (another way looks at less)

from __future__ import annotations

from typing import ClassVar

from lbcheck.balancer.decisions import Decisions
from lbcheck.balancer.state import BackendState, PoolState
from lbcheck.balancer.twins.catalogue import twin
from lbcheck.spec.model import HealthCheck


@twin(
    "first-probe-late",
    "HLT FLO",
    "A backend's first probe comes at some moment of the first interval.",
    "HAProxy spreads its first checks over the interval: `spread-checks`, `start_check_task`",
)
class FirstProbeLate(Decisions):
    def first_probe(self, check: HealthCheck, now: float) -> float:
        return now + self.rng.random() * check.interval


@twin(
    "interval-from-result",
    "HLT",
    "The interval to the next probe begins when the last one's result is in.",
    "Envoy: https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/health_checking",
)
class IntervalFromResult(Decisions):
    def next_probe(self, check: HealthCheck, started: float, finished: float) -> float:
        return finished + check.interval


@twin(
    "probe-of-many-fields",
    "HLT",
    "Probes carry another agent's name, `Accept` and `Connection: keep-alive`, with names in lower case.",
    "ALB's `ELB-HealthChecker/2.0`: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/"
    "target-group-health-checks.html",
)
class ProbeOfManyFields(Decisions):
    def probe_head(self, pool: PoolState, backend: BackendState) -> tuple[str, int, bytes]:
        host, port, head = super().probe_head(pool, backend)
        lines = head.split(b"\r\n")
        if head:
            kept = [b"host:" + lines[1].partition(b":")[2]]
            own = [b"connection: keep-alive", b"accept: */*", b"user-agent: ELB-HealthChecker/2.0"]
            head = b"\r\n".join([lines[0], *own, *kept, b"", b""])
        return host, port, head


@twin(
    "probe-hung-up",
    "HLT",
    "A probe's connection is reset as soon as the result is known.",
    "HAProxy ends its checks with RST: https://docs.haproxy.org/2.6/configuration.html#5.2-check",
)
class ProbeHungUp(Decisions):
    probe_linger_s: ClassVar[float] = 0.0
