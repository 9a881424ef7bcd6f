"""Which subjects a check gets, what they are called, where their claim stands, and what is unsupported."""

from __future__ import annotations

from typing import Any

import pytest

from lbcheck.checks import Check, Subjects, check, listeners, pools, rules, whole_spec
from lbcheck.features import Feature
from lbcheck.plugin.plan import Case, Planner, hard_limit_s
from lbcheck.plugin.settings import Settings
from lbcheck.spec.loading import LoadedSpec, loads
from lbcheck.targets import find

pytestmark = pytest.mark.fast

SPEC = """\
version: 1
listeners:
  - name: public
    address: 127.0.0.1
    port: 8080
    default: {forward: web}
    rules:
      - {priority: 10, when: {path: "/api/*"}, then: {forward: api}}
pools:
  web:
    algorithm: round_robin
    backends: [{address: "127.0.0.1:9001"}, {address: "127.0.0.1:9002"}]
  api:
    algorithm: round_robin
    deregistration_delay: 7s
    health_check:
      interval: 200ms
      timeout: 100ms
    backends: [{address: "127.0.0.1:9003"}, {address: "127.0.0.1:9004"}]
"""


def card(subject: Subjects, needs: frozenset[Feature] = frozenset()) -> Check:
    def function(stage: Any) -> None: ...

    check("PLN-01", "A claim.", subject=subject, catches={}, spec_link="", needs=needs)(function)
    found: Check = function.__lbcheck__  # type: ignore[attr-defined]
    return found


def planner(documents: dict[str, LoadedSpec], target: str = "reference", **settings: Any) -> Planner:
    lines = {"lb.yaml": SPEC.splitlines()}
    return Planner(Settings(target, **settings), documents, find(target), lines)


def cases(subject: Subjects, **more: Any) -> list[Case]:
    from pathlib import Path

    return planner({"": loads(SPEC)}, spec=Path("lb.yaml")).cases(card(subject, **more))


def test_every_subject_of_a_users_spec_that_makes_the_claim() -> None:
    assert [case.node for case in cases(pools(algorithm="round_robin"))] == ["PLN-01[web]", "PLN-01[api]"]
    assert [case.node for case in cases(pools(lambda p: p.health_check is not None))] == ["PLN-01[api]"]
    assert [case.node for case in cases(rules())] == ["PLN-01[public/10]"]
    assert [case.node for case in cases(listeners())] == ["PLN-01[public]"]
    assert [case.node for case in cases(whole_spec())] == ["PLN-01[spec]"]
    assert cases(pools(algorithm="random")) == []


def test_the_battery_keeps_one_subject_for_each_tuple_that_is_read() -> None:
    documents = {"one": loads(SPEC), "two": loads(SPEC)}
    find = planner(documents).cases
    assert [c.node for c in find(card(pools()))] == ["PLN-01[one/web]"]
    by_delay = pools(reads=lambda p: p.deregistration_delay)
    assert [c.node for c in find(card(by_delay))] == ["PLN-01[one/web]", "PLN-01[one/api]"]
    assert [c.node for c in find(card(whole_spec()))] == ["PLN-01[one]"]


def test_among_equals_the_battery_takes_one_that_the_target_supports() -> None:
    documents = {"checked": loads(SPEC)}
    only_checked_first = pools(reads=lambda p: p.algorithm)
    (case,) = planner(documents, "nginx").cases(card(only_checked_first))
    assert case.lacking == ""
    (case,) = planner(documents, "nginx").cases(card(pools(lambda p: p.health_check is not None)))
    assert Feature.HTTP_CHECK in case.missing
    assert "active" in case.lacking


def test_a_subject_gets_the_smallest_spec_that_makes_its_claim_but_the_gate_all_of_it() -> None:
    from pathlib import Path

    (case,) = cases(pools(lambda p: p.name == "api"))
    assert [pool.name for pool in case.spec.pools] == ["api"]
    gate = planner({"": loads(SPEC)}, spec=Path("lb.yaml"), configs=(Path("a.cfg"),))
    (case,) = gate.cases(card(pools(lambda p: p.name == "api")))
    assert [pool.name for pool in case.spec.pools] == ["web", "api"]


@pytest.mark.parametrize(
    ("subject", "claimed_at", "claimed"),
    [
        (pools(algorithm="round_robin", name="web"), "lb.yaml:11", "algorithm: round_robin"),
        (pools(lambda p: p.deregistration_delay == 7), "lb.yaml:15", "deregistration_delay: 7s"),
        (pools(lambda p: p.health_check is not None), "lb.yaml:16", "health_check:"),
        (
            pools(lambda p: p.health_check is not None and p.health_check.timeout < 1),
            "lb.yaml:18",
            "timeout: 100ms",
        ),
        (pools(lambda p: len(p.backends) == 2 and p.name == "web"), "lb.yaml:12", None),
        (listeners(), "lb.yaml:3", "- name: public"),
    ],
)
def test_where_the_claim_stands(subject: Subjects, claimed_at: str, claimed: str | None) -> None:
    (case,) = cases(subject)
    assert case.claimed_at == claimed_at
    assert claimed is None or case.claimed == claimed


def test_what_a_check_needs_beyond_its_subject_counts_too() -> None:
    (case,) = cases(pools(name="web"), needs=frozenset({Feature.RESOLVE}))
    assert case.missing == (Feature.RESOLVE,)


def test_hard_limits_grow_with_the_times_of_the_spec() -> None:
    (web,), (api,) = cases(pools(name="web")), cases(pools(name="api"))
    assert hard_limit_s(web) == 65.0
    assert hard_limit_s(api) == pytest.approx(65.0 + 20 * 5 * 0.3)
