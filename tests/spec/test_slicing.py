from __future__ import annotations

import pytest

from lbcheck.checks import listeners, pools, rules, whole_spec
from lbcheck.spec.battery import battery
from lbcheck.spec.document import from_document, to_document
from lbcheck.spec.loading import loads
from lbcheck.spec.model import Forward, Protocol
from lbcheck.spec.needs import features_needed
from lbcheck.spec.slicing import only

pytestmark = pytest.mark.fast
TEXT = """
listeners:
  - {name: other, default: {forward: c}}
  - name: public
    http2: true
    forwarded: {trust: 10.0.0.0/8}
    rules:
      - {priority: 1, when: {path: /a}, then: {forward: {a: 1, b: 1}}}
      - {priority: 2, when: {path: /r}, then: {redirect: {}}}
    default: {forward: a}
  - {name: datagrams, protocol: UDP, default: {forward: u}}
pools:
  a: {backends: [a1, a2]}
  b: {backends: b1}
  c: {backends: c1}
  u: {protocol: UDP, backends: u1}
  spare: {backends: s1}
claims: {reload: lossless, websocket: true, sticky_while_draining: false}
"""
SPEC = loads(TEXT, battery=True).spec


def test_a_pool_stands_alone_behind_its_own_listener() -> None:
    slices = {subject.name: only(SPEC, subject) for subject in pools().of(SPEC)}
    assert {name: spec.listeners[0].name for name, spec in slices.items()} == {
        "a": "public",
        "b": "public",
        "c": "other",
        "u": "datagrams",
        "spare": "other",
    }
    for name, spec in slices.items():
        (listener,) = spec.listeners
        assert (listener.default, listener.rules) == (Forward(((name, 1),)), ())
        assert [pool.name for pool in spec.pools] == [name]


def test_a_pools_slice_keeps_whom_the_listener_trusts() -> None:
    a, _, c, u, _ = (only(SPEC, subject) for subject in pools().of(SPEC))
    assert a.listeners[0].forwarded == SPEC.listener("public").forwarded
    assert c.listeners[0].forwarded is None
    assert u.listeners[0].protocol is Protocol.UDP


def test_a_rule_and_a_listener_keep_their_listener_with_its_rules_and_pools() -> None:
    for subject in [*rules().of(SPEC), *listeners(name="public").of(SPEC)]:
        spec = only(SPEC, subject)
        assert spec.listeners == (SPEC.listener("public"),)
        assert [pool.name for pool in spec.pools] == ["a", "b"]


def test_claims_of_the_whole_belong_to_the_whole() -> None:
    (whole,) = whole_spec().of(SPEC)
    (first, *_) = pools().of(SPEC)
    assert only(SPEC, whole) == SPEC
    claims = only(SPEC, first).claims
    assert (claims.reload, claims.websocket, claims.sticky_while_draining) == (None, None, False)


@pytest.mark.parametrize("name", sorted(battery()))
def test_every_slice_of_the_battery_is_a_valid_spec_that_needs_no_more_than_the_whole(name: str) -> None:
    spec = battery()[name].spec
    whole = {need.feature for need in features_needed(spec)}
    for select in (pools, rules, listeners, whole_spec):
        for subject in select().of(spec):
            sliced = only(spec, subject)
            assert from_document(to_document(sliced)) == sliced
            assert {need.feature for need in features_needed(sliced)} <= whole
