from __future__ import annotations

import pytest

from lbcheck.spec.loading import LoadedSpec, loads
from lbcheck.spec.model import Algorithm, Forwarded, HealthCheck, Protocol

pytestmark = pytest.mark.fast

FILE = """profile: {profile}
listeners: [{{name: public, address: 127.0.0.1, port: 8080, default: {{forward: web}}}}]
pools: {{web: {{backends: "127.0.0.1:9001", {more}}}}}
"""


def profiled(profile: str, more: str = "max_connections: 0") -> LoadedSpec:
    return loads(FILE.format(profile=profile, more=more))


def test_plain_fills_in_no_health_check_and_no_stickiness() -> None:
    loaded = profiled("plain")
    assert loaded.spec.pool("web").health_check is None
    assert loaded.spec.pool("web").stickiness is None
    assert "pools.web.algorithm = round_robin" in loaded.filled


def test_alb_has_the_services_documented_defaults() -> None:
    loaded = profiled("alb")
    pool = loaded.spec.pool("web")
    check = HealthCheck(healthy_threshold=5, unhealthy_threshold=2, success_codes="200")
    assert pool.health_check == check
    assert (pool.all_unhealthy, pool.deregistration_delay, pool.timeouts.connect) == ("fail_open", 300.0, 10.0)
    assert loaded.spec.listeners[0].forwarded == Forwarded()
    assert "pools.web.health_check.healthy_threshold = 5" in loaded.filled
    assert "listeners.public.forwarded.x_forwarded_for = append" in loaded.filled


def test_a_profile_fills_only_what_is_left_out() -> None:
    loaded = profiled("alb", "health_check: {healthy_threshold: 3}")
    check = loaded.spec.pool("web").health_check
    assert check is not None
    assert (check.healthy_threshold, check.unhealthy_threshold) == (3, 2)
    assert not [line for line in loaded.filled if "healthy_threshold = 3" in line]


def test_nlb_speaks_bytes() -> None:
    spec = profiled("nlb").spec
    pool = spec.pool("web")
    assert spec.listeners[0].protocol is pool.protocol is Protocol.TCP
    assert spec.listeners[0].idle_timeout == 350.0
    assert pool.health_check is not None
    assert (pool.health_check.protocol, pool.health_check.timeout) == (Protocol.TCP, 10.0)


def test_clb_chooses_the_least_busy_and_refuses_when_all_are_down() -> None:
    pool = profiled("clb", "stickiness: {}").spec.pool("web")
    assert (pool.algorithm, pool.all_unhealthy) == (Algorithm.LEAST_CONNECTIONS, "refuse")
    assert pool.stickiness is not None
    assert pool.stickiness.cookie == "AWSELB"


@pytest.mark.parametrize("profile", ["plain", "alb", "nlb", "clb"])
def test_every_profile_is_kept_in_the_spec(profile: str) -> None:
    assert profiled(profile).spec.profile == profile
