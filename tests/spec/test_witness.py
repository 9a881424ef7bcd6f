from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbcheck.spec.battery import battery
from lbcheck.spec.generate import random_rules
from lbcheck.spec.loading import loads
from lbcheck.spec.model import Conditions, Forward, Listener, Redirect, Rule, Spec
from lbcheck.spec.near import random_request
from lbcheck.spec.request import Request
from lbcheck.spec.routing import route
from lbcheck.spec.witness import default_witness, route_to_pool, witness

pytestmark = pytest.mark.fast
WEB = Forward((("web", 1),))


def with_rules(*conditions: Conditions) -> Spec:
    rules = tuple(Rule(n, when, Forward((("api", 1),))) for n, when in enumerate(conditions, 1))
    return Spec((Listener("public", WEB, rules=rules),))


@given(st.integers(0, 2**32))
def test_a_witness_reaches_its_rule_and_none_is_missed_where_a_request_shows_one(seed: int) -> None:
    rng = random.Random(seed)
    rules = random_rules(rng, pools=["a", "b"])
    spec = Spec((Listener("public", WEB, rules=rules),))
    found = {rule: witness(spec, "public", rule) for rule in rules}
    for rule, request in found.items():
        assert request is None or route(spec, "public", request).rule == rule
    for request in (random_request(rng, rules) for _ in range(10)):
        reached = route(spec, "public", request).rule
        assert reached is None or found[reached] is not None
        assert reached is not None or default_witness(spec, "public") is not None


@given(st.integers(0, 2**32))
def test_a_default_witness_reaches_no_rule(seed: int) -> None:
    rules = random_rules(random.Random(seed), pools=["a"])
    spec = Spec((Listener("public", WEB, rules=rules),))
    request = default_witness(spec, "public")
    assert request is None or route(spec, "public", request).rule is None


def test_every_rule_and_default_of_the_battery_has_a_witness() -> None:
    for name, loaded in battery().items():
        for listener in loaded.spec.listeners:
            assert default_witness(loaded.spec, listener.name), name
            assert all(witness(loaded.spec, listener.name, rule) for rule in listener.rules), name


@pytest.mark.parametrize(
    ("earlier", "later", "part", "value"),
    [
        (Conditions(path=("/api/*",), method=("GET",)), Conditions(path=("/api/*",)), "method", "POST"),
        (Conditions(path_prefix=("/a",)), Conditions(path=("*.png",)), "target", "/w.png"),
        (Conditions(host=("lb.test",)), Conditions(method=("GET",)), "host", "w.test"),
        (Conditions(source=("127.0.0.1/32",)), Conditions(path=("/a",)), "source", "127.0.0.2"),
        (Conditions(path_exact=("/a",)), Conditions(path_prefix=("/a",)), "target", "/a/w"),
        (Conditions(header=(("x", ("w",)),)), Conditions(header=(("x", ("*",)),)), "headers", (("x", "w-w"),)),
        (Conditions(header=(("x", ("*",)),)), Conditions(path=("/a",)), "headers", ()),
        (Conditions(query=(("q", ("w*",)),)), Conditions(query=(("q", ("*",)),)), "target", "/?q=aw"),
    ],
)
def test_an_earlier_rule_is_stepped_around(earlier: Conditions, later: Conditions, part: str, value: object) -> None:
    spec = with_rules(earlier, later)
    request = witness(spec, "public", spec.listeners[0].rules[1])
    assert request is not None
    assert getattr(request, part) == value


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        (Conditions(path_prefix=("/a",)), Conditions(path=("/a/b*",))),
        (Conditions(path=("*",)), Conditions(host=("a.test",))),
        (Conditions(path_exact=("/x",)), Conditions(path_prefix=("/a",), path_exact=("/b",))),
    ],
)
def test_what_cannot_be_reached_has_no_witness(earlier: Conditions, later: Conditions) -> None:
    spec = with_rules(earlier, later)
    assert witness(spec, "public", spec.listeners[0].rules[1]) is None


def test_requests_already_used_can_be_avoided() -> None:
    spec = with_rules(Conditions(path=("/a/*",)))
    (rule,) = spec.listeners[0].rules
    used: list[Request] = []
    for _ in range(4):
        request = witness(spec, "public", rule, avoid=used)
        assert request is not None
        assert request not in used
        used.append(request)


def test_a_pool_is_reached_by_a_default_before_a_rule_and_by_no_shared_forward() -> None:
    text = """
listeners:
  - name: one
    rules:
      - {priority: 1, when: {path_prefix: /b}, then: {forward: b}, rewrite: {path_prefix: [/b, /]}}
      - {priority: 2, when: {path_prefix: /c}, then: {forward: b}}
      - {priority: 3, when: {path_prefix: /d}, then: {forward: {d: 1, a: 1}}}
      - {priority: 4, when: {path_prefix: /a}, then: {forward: a}}
    default: {respond: {status: 404}}
  - {name: two, default: {forward: {a: 1, b: 0}}}
pools: {a: {backends: a}, b: {backends: b}, d: {backends: d}}
"""
    spec = loads(text, battery=True).spec
    assert route_to_pool(spec, "a") == ("two", Request())
    assert route_to_pool(spec, "b") == ("one", Request(target="/c"))
    assert route_to_pool(spec, "d") is None


def test_plain_requests_come_first() -> None:
    spec = Spec((Listener("public", Redirect()),))
    assert default_witness(spec, "public") == Request()


@settings(max_examples=20)
@given(st.integers(0, 2**32))
def test_the_same_spec_gives_the_same_witness(seed: int) -> None:
    first, second = (random_rules(random.Random(seed), pools=["a"]) for _ in range(2))
    assert first == second
    one, two = (Spec((Listener("public", WEB, rules=rules),)) for rules in (first, second))
    assert [witness(one, "public", r) for r in first] == [witness(two, "public", r) for r in second]
