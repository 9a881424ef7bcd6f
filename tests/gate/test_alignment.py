"""Which part of a configuration is which part of lb.yaml."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbcheck.gate.alignment import aligned, pairs
from lbcheck.gate.differences import differences
from lbcheck.report.model import Difference
from lbcheck.spec.battery import battery
from lbcheck.spec.loading import loads
from lbcheck.spec.model import Spec

from .shop import intended, shop

pytestmark = pytest.mark.fast

OTHER_NAMES = """\
version: 1
listeners:
  - name: www
    address: 0.0.0.0
    port: 80
    rules:
      - {priority: 1, when: {path: ["/images/*", "/static/*"], method: [HEAD, GET]}, then: {forward: files}}
    default: {forward: api}
pools:
  files: {backends: [{name: f, address: "10.20.3.11:8081"}, {address: "10.20.3.12:8081"}]}
  api: {backends: [{address: "10.20.2.12:9000"}]}
"""


def told(claimed: Spec, configured: Spec) -> list[Difference]:
    def say(path: str, ours: str, theirs: str) -> Difference:
        return Difference(path, ours, "", theirs, "")

    return list(differences(claimed, configured, aligned(claimed, configured), frozenset(), say))


def test_parts_are_found_by_their_places_whatever_they_are_called(tmp_path: Path) -> None:
    found = aligned(loads(OTHER_NAMES).spec, shop(tmp_path).imported.spec)
    assert found.configured("listeners.www.port") == "listeners.public.port"
    assert found.configured("pools.files.algorithm") == "pools.static.algorithm"
    assert found.configured("pools.files.backends.f.weight") == "pools.static.backends.static1.weight"
    assert found.configured("pools.files.backends.10.20.3.12:8081") == "pools.static.backends.static2"
    assert found.configured("pools.api.backends.10.20.2.12:9000.weight") == "pools.api.backends.api2.weight"
    assert found.configured("claims.workers") == "claims.workers"
    assert found.configured("pools.nowhere.algorithm") is None
    assert found.configured("pools.api.backends.nobody") is None


@settings(max_examples=30)
@given(name=st.sampled_from(sorted(battery())), seed=st.integers(0, 1000))
def test_a_spec_is_itself_however_it_is_ordered(name: str, seed: int) -> None:
    spec, rng = battery()[name].spec, Random(seed)

    def shuffled(items: tuple) -> tuple:  # type: ignore[type-arg]
        return tuple(rng.sample(items, len(items)))

    pools = tuple(replace(pool, backends=shuffled(pool.backends)) for pool in shuffled(spec.pools))
    listeners = tuple(replace(x, rules=shuffled(x.rules)) for x in spec.listeners)
    assert told(spec, replace(spec, pools=pools, listeners=listeners)) == []


def test_other_numbers_of_rules_are_no_difference_and_another_order_is() -> None:
    spec = intended().spec
    (listener,) = spec.listeners
    spread = tuple(replace(rule, priority=rule.priority * 7) for rule in listener.rules)
    assert told(spec, replace(spec, listeners=(replace(listener, rules=spread),))) == []
    first, second, *rest = listener.rules
    turned = (replace(first, priority=second.priority), replace(second, priority=first.priority), *rest)
    (found,) = told(spec, replace(spec, listeners=(replace(listener, rules=turned),)))
    assert (found.path, found.claimed) == ("listeners.public.rules.10", "rule 10 before rule 20")


def test_a_part_that_is_not_there_is_told_once() -> None:
    spec = intended().spec
    without = replace(spec, pools=spec.pools[1:])
    assert [(d.path, d.configured) for d in told(spec, without)] == [("pools.pages", "nothing")]


def test_each_gets_one_partner_and_the_best_likeness_goes_first() -> None:
    alike = [lambda x: x, lambda x: x.lower()]
    assert pairs(["a", "A", "b"], ["A", "a", "c"], alike) == [("a", "a"), ("A", "A")]
    assert pairs(["a"], ["A"], alike) == [("a", "A")]
