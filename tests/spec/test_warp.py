"""A spec on another clock: every time of the balancer's, nothing else, and back without a trace."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lbcheck.spec.battery import battery
from lbcheck.spec.document import to_document
from lbcheck.spec.model import Backend, Claims, Forward, HealthCheck, Listener, Pool, Slo, Spec, Stickiness, Timeouts
from lbcheck.spec.warp import seen, shortest, told
from tests.spec.whole_specs import specs

pytestmark = pytest.mark.fast
RATES = st.integers(1, 1000)
CHECK = HealthCheck(interval=30.0, timeout=5.0)
SPEC = Spec(
    (Listener("web", Forward((("api", 1),)), idle_timeout=15.0),),
    (Pool("api", (Backend("a"),), health_check=CHECK, stickiness=Stickiness(duration=None), slow_start=60.0),),
    Claims(reload_within=5.0),
    Slo(p99=0.2, failover=90.0),
)


def test_what_passes_on_the_balancers_clock_passes_sooner() -> None:
    here = seen(SPEC, 30)
    pool = here.pools[0]
    assert pool.health_check == replace(CHECK, interval=1.0, timeout=5.0 / 30)
    assert (pool.slow_start, pool.deregistration_delay, pool.timeouts.response) == (2.0, 1.0, 2.0)
    assert (here.listeners[0].idle_timeout, here.slo.failover) == (0.5, 3.0)
    assert pool.stickiness == SPEC.pools[0].stickiness  # a session has no time


def test_what_work_takes_is_on_no_clock() -> None:
    here = seen(SPEC, 30)
    assert (here.claims, here.slo.p99) == (SPEC.claims, SPEC.slo.p99)


@given(RATES)
@settings(max_examples=20)
def test_every_spec_of_the_battery_comes_back_exactly(rate: int) -> None:
    for loaded in battery().values():
        assert told(seen(loaded.spec, rate), rate) == loaded.spec


@given(specs(), RATES)
@settings(max_examples=30)
def test_nothing_but_times_is_another(spec: Spec, rate: int) -> None:
    there, here = (_numbers(to_document(s)) for s in (spec, seen(spec, rate)))
    assert [path for path, _ in there] == [path for path, _ in here]
    for (path, before), (_, after) in zip(there, here, strict=True):
        timed = isinstance(before, float) and before and path.rpartition(".")[2] not in ("reload_within", "p99")
        assert after == before or (timed and after == pytest.approx(before / rate)), path


@given(specs(), RATES)
@settings(max_examples=30)
def test_the_shortest_time_scales_with_all(spec: Spec, rate: int) -> None:
    there, here = shortest(spec), shortest(seen(spec, rate))
    assert there is not None
    assume(there[1] > 1e-9)  # what is divided to nothing is none
    assert here is not None
    assert here[1] == pytest.approx(there[1] / rate)


def test_the_shortest_time_is_named_and_is_not_the_kernels() -> None:
    pool = Pool("api", (Backend("a"),), timeouts=Timeouts(connect=0.001, queue=0.0), health_check=CHECK)
    assert shortest(replace(SPEC, pools=(pool,))) == ("pools.api.health_check.timeout", 5.0)


def _numbers(value: Any, path: str = "") -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [found for key, item in value.items() for found in _numbers(item, f"{path}.{key}")]
    if isinstance(value, list):
        return [found for index, item in enumerate(value) for found in _numbers(item, f"{path}.{index}")]
    return [(path, value if isinstance(value, float) else json.dumps(value))]
