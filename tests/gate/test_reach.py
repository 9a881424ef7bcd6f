"""Which parts of a spec the requests of a history were sent to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lbcheck.gate.reach import met, reached
from lbcheck.history import Answered, Arrival, Event, Exchange, History
from lbcheck.lab.unwitnessed import Unwitnessed
from lbcheck.spec.loading import loads
from lbcheck.spec.model import Forward

from .shop import intended, shop, words_at

pytestmark = pytest.mark.fast

TWO = """\
version: 1
listeners:
  - name: public
    address: 127.0.0.1
    port: 8080
    rules: [{priority: 3, when: {header: {X-Beta: "yes"}}, then: {forward: beta}}]
    default: {forward: web}
pools:
  web: {backends: [{name: a, address: "127.0.0.1:1"}, {name: b, address: "127.0.0.1:2"}]}
  beta: {backends: [{name: a, address: "127.0.0.1:3"}]}
"""


def asked(
    id: str, target: str, backend: str = "", *, listener: str = "public", source: str = "127.0.0.1", fields: str = ""
) -> list[Event]:
    head = f"GET {target} HTTP/1.1\r\nHost: lb.test\r\nLbcheck-Id: {id}\r\n{fields}\r\n".encode()
    sent = Exchange(id, listener, "GET", target, source, "1", 0, 1.0, request=head, status=200, complete=True)
    if not backend:
        return [sent]
    return [
        sent,
        Arrival(backend, 1, 0, 1.1, id, "GET", target, head, "127.0.0.1:5"),
        Answered(backend, 1, 0, 1.2, "answered", 200),
    ]


def test_rules_by_what_is_asked_and_pools_by_what_arrives() -> None:
    spec = loads(TWO).spec
    history = History([*asked("c-1", "/", "b"), *asked("c-2", "/", "beta-a", fields="X-Beta: yes\r\n")])
    assert reached(history, spec, spec) == [
        "listeners.public",
        "listeners.public.default",
        "listeners.public.rules.3",
        "pools.beta",
        "pools.beta.backends.a",
        "pools.web",
        "pools.web.backends.b",
    ]


def test_a_slice_says_nothing_of_the_rules_that_it_left_out() -> None:
    spec = loads(TWO).spec
    (listener,) = spec.listeners
    cut = replace(spec, listeners=(replace(listener, rules=(), default=Forward((("beta", 1),))),))
    history = History(asked("c-1", "/", "beta-a"))
    assert reached(history, cut, spec) == ["listeners.public", "pools.beta", "pools.beta.backends.a"]


def test_probes_other_listeners_and_what_is_no_request_count_for_nothing() -> None:
    spec = loads(TWO).spec
    probe = Arrival("b", 1, 0, 1.0, None, "GET", "/", b"", "127.0.0.1:1", probe=True)
    assert reached(History([probe, *asked("c-1", "/", listener="a"), *asked("c-2", "")]), spec, spec) == []


def test_where_backends_tell_nothing_an_answer_says_which_pool_it_was() -> None:
    assert "pools.web" in reached(Unwitnessed(asked("c-1", "/")), loads(TWO).spec, loads(TWO).spec)


def test_the_configurations_own_rules_say_which_of_its_lines_were_met(tmp_path: Path) -> None:
    configuration = shop(tmp_path, "acl is_api    path_beg /api/", "acl is_api    path_beg /v1/")
    history = History([*asked("c-1", "/api/x", "pages1"), *asked("c-2", "/cart/1", "cart1")])
    spec = intended().spec
    assert "listeners.public.rules.100" in reached(history, spec, spec)
    assert [words_at(configuration, at) for at in met(history, spec, configuration)] == [
        "use_backend cart if is_cart",
        "default_backend pages",
    ]
