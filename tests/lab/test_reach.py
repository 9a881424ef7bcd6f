"""Requests that a hash or a table binds to no backend, and pools that they can be sent to."""

from __future__ import annotations

from itertools import islice

import pytest

from lbcheck.lab.placing import Ground
from lbcheck.lab.reach import aims, variants
from lbcheck.spec.loading import loads
from lbcheck.spec.model import Backend, Pool
from lbcheck.spec.request import Request

pytestmark = pytest.mark.fast

BACKENDS = (Backend("a"), Backend("b"))


@pytest.mark.parametrize("key", ["source_ip", "header:X-User", "cookie:user", "query:user", "path"])
def test_no_two_have_the_same_key(key: str) -> None:
    sent = list(islice(variants(Pool("p", BACKENDS, hash_key=key), Request(), abroad=False), 50))
    keys = {
        "source_ip": {request.source for request in sent},
        "header:X-User": {value for request in sent for name, value in request.headers if name == "X-User"},
        "cookie:user": {value for request in sent for name, value in request.headers if name == "Cookie"},
        "query:user": {request.target for request in sent},
        "path": {request.path for request in sent},
    }
    assert len(keys[key]) == 50
    assert len(keys["source_ip"]) == 50


def test_elsewhere_all_come_from_one_address() -> None:
    sent = islice(variants(Pool("p", BACKENDS), Request(), abroad=True), 5)
    assert {request.source for request in sent} == {Request().source}


def test_pools_behind_rules_that_look_at_sources_are_left_out() -> None:
    spec = loads("""\
listeners:
  - {name: open, address: 127.0.0.1, port: 8080, default: {forward: web}}
  - name: closed
    address: 127.0.0.1
    port: 8081
    rules: [{priority: 1, when: {source: 127.1.0.0/16}, then: {respond: {status: 403}}}]
    default: {forward: api}
pools:
  web: {backends: [{name: a, address: "127.0.0.1:9001"}]}
  api: {backends: [{name: b, address: "127.0.0.1:9002"}]}
""").spec
    found = aims(spec, Ground())
    assert list(found) == ["web"]
    assert (found["web"][0].listener, found["web"][0].port) == ("open", 8080)
