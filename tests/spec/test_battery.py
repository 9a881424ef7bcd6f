from __future__ import annotations

import pytest

from lbcheck.spec.battery import battery, folder
from lbcheck.spec.model import Forward
from lbcheck.spec.routing import route
from lbcheck.spec.witness import witness

pytestmark = pytest.mark.fast
DOUBTFUL = {"all-zero": ["pools.web.backends: all weights are zero, so no backend gets a request"]}


def test_every_file_is_loaded_under_its_name() -> None:
    assert list(battery()) == sorted(file.stem for file in folder().glob("*.yaml"))
    assert len(battery()) > 40


@pytest.mark.parametrize("name", sorted(battery()))
def test_a_file_is_free_of_addresses_and_of_doubts(name: str) -> None:
    loaded = battery()[name]
    assert all(listener.address is None and listener.port is None for listener in loaded.spec.listeners)
    assert all(backend.address is None for pool in loaded.spec.pools for backend in pool.backends)
    assert [finding.text for finding in loaded.findings] == DOUBTFUL.get(name, [])


@pytest.mark.parametrize("name", sorted(battery()))
def test_every_rule_leads_elsewhere_than_the_default(name: str) -> None:
    spec = battery()[name].spec
    for listener in spec.listeners:
        for rule in listener.rules:
            request = witness(spec, listener.name, rule)
            assert request is not None
            routed = route(spec, listener.name, request)
            assert routed.action != listener.default
            if isinstance(rule.then, Forward) and isinstance(listener.default, Forward):
                assert not {pool for pool, _ in rule.then.pools} & {pool for pool, _ in listener.default.pools}


def test_probes_of_pools_in_one_file_have_paths_of_their_own() -> None:
    pools = battery()["health"].spec.pools
    paths = [pool.health_check.path for pool in pools if pool.health_check]
    assert len(set(paths)) == len(pools)
    thresholds = {n for pool in pools if pool.health_check for n in (pool.health_check.healthy_threshold,)}
    assert thresholds == {1, 2, 3, 4, 5}
