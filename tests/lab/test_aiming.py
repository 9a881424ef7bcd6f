"""From what a check means to a listener and a request."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lbcheck.errors import Unsupported
from lbcheck.lab.aiming import aim, from_source
from lbcheck.spec.model import Conditions, Forward, Listener, Pool, Rule, Spec
from lbcheck.spec.request import Request
from lbcheck.spec.routing import route
from tests.lab.specs import api, fixed, one_pool

pytestmark = pytest.mark.fast


def twice() -> Spec:
    """The same rule on two listeners; on the second an earlier one takes everything."""
    rule = Rule(10, Conditions(path=("/a/*",)), Forward((("api", 1),)))
    all_of_it = Rule(1, Conditions(path_prefix=("/",)), Forward((("old", 1),)))
    default = Forward((("old", 1),))
    return Spec(
        (Listener("one", default, rules=(rule,)), Listener("two", default, rules=(all_of_it, rule))),
        (Pool("api", ()), Pool("old", ()), Pool("lost", ())),
    )


def test_names_and_values() -> None:
    spec = one_pool()
    assert aim(spec, "web") == aim(spec, spec.listener("web")) == ("web", Request())
    listener, request = aim(spec, spec.pool("api"))
    assert route(spec, listener, request).action == Forward((("api", 1),))
    assert aim(spec, "api") == (listener, request)
    assert aim(spec, api(spec)) == (listener, request)
    with pytest.raises(StopIteration):
        aim(spec, "nobody")


def test_rule_is_reached_on_its_own_listener() -> None:
    spec = one_pool()
    rule = spec.listener("web").rules[0]
    listener, request = aim(spec, rule)
    assert route(spec, listener, request).rule == rule
    assert aim(spec, fixed(spec)) == (listener, request)


def test_rule_of_two_listeners_is_the_subjects() -> None:
    spec = twice()
    rule = spec.listener("one").rules[0]
    assert aim(spec, rule)[0] == "one"
    subject = replace(fixed(one_pool()), listener="two", value=rule)
    with pytest.raises(Unsupported, match="rule 10 of two"):
        aim(spec, rule, subject)


def test_pool_that_nothing_reaches() -> None:
    with pytest.raises(Unsupported, match="no request can reach pool lost alone"):
        aim(twice(), Pool("lost", ()))


def test_pair_is_itself() -> None:
    pair = ("web", Request(target="/x"))
    assert aim(one_pool(), pair) == pair


def test_source_is_the_clients_unless_rules_look_at_it() -> None:
    spec, request = one_pool(), Request(source="127.0.0.9")
    assert from_source(spec, "web", request, None, "127.77.0.201").source == "127.77.0.201"
    assert from_source(spec, "web", request, "127.5.5.5", "127.77.0.201").source == "127.5.5.5"
    looking = Rule(5, Conditions(source=("127.0.0.0/24",)), Forward((("api", 1),)))
    spec = replace(spec, listeners=(replace(spec.listeners[0], rules=(looking,)),))
    assert from_source(spec, "web", request, None, "127.77.0.201").source == "127.0.0.9"
