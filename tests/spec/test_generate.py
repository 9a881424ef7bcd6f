from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbcheck.spec.document import from_document, to_document
from lbcheck.spec.generate import KINDS, random_rules
from lbcheck.spec.model import Backend, Conditions, Forward, Listener, Pool, Spec
from lbcheck.spec.near import random_request
from lbcheck.spec.routing import matches, route_listener

pytestmark = pytest.mark.fast
WEB = Forward((("web", 1),))


@given(st.integers(0, 2**32))
def test_generated_rules_are_valid_and_their_requests_sendable(seed: int) -> None:
    rng = random.Random(seed)
    rules = random_rules(rng, pools=["web", "api"])
    pools = tuple(Pool(name, (Backend("a"),)) for name in ("web", "api"))
    spec = Spec((Listener("public", WEB, rules=rules),), pools)
    assert from_document(to_document(spec)) == spec
    for request in (random_request(rng, rules) for _ in range(5)):
        assert request.target.startswith("/")
        assert not set(request.target) & set(" #")
        assert all(value == value.strip() for _, value in request.headers)


@pytest.mark.parametrize("kind", KINDS)
def test_rules_can_be_kept_to_some_kinds_of_conditions(kind: str) -> None:
    for seed in range(20):
        for rule in random_rules(random.Random(seed), pools=["web"], kinds=[kind]):
            assert [name for name in Conditions.__slots__ if getattr(rule.when, name)] == [kind]


@pytest.mark.parametrize("kind", KINDS)
def test_both_sides_of_a_condition_are_visited(kind: str) -> None:
    rng = random.Random(5)
    sides = set()
    for _ in range(40):
        rules = random_rules(rng, pools=["web"], most=1, kinds=[kind])
        sides |= {matches(rules[0].when, random_request(rng, rules)) for _ in range(5)}
    assert sides == {True, False}


def test_most_requests_reach_a_rule_and_many_do_not() -> None:
    rng = random.Random(1)
    reached = []
    for _ in range(200):
        rules = random_rules(rng, pools=["web"])
        listener = Listener("public", WEB, rules=rules)
        reached += [route_listener(listener, random_request(rng, rules)).rule is not None for _ in range(5)]
    assert 0.4 < sum(reached) / len(reached) < 0.9
