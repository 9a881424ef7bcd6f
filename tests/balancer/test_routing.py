"""Compiled rules against the naive oracle of `lbcheck.spec.routing`, and what actions do."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbcheck.balancer import routing
from lbcheck.balancer.request import Request
from lbcheck.spec import routing as oracle
from lbcheck.spec.generate import random_rules
from lbcheck.spec.model import Conditions, Forward, Forwarded, Listener, Protocol, Redirect, Rewrite, Rule
from lbcheck.spec.near import random_request
from lbcheck.spec.request import Request as Seen
from tests.balancer.worlds import World, get, to


def as_received(seen: Seen) -> Request:
    return Request(seen.method, seen.target, seen.host, list(seen.headers), seen.source)


@given(st.integers(0, 10**9))
def test_random_rules_route_as_the_oracle_says(seed: int) -> None:
    rng = random.Random(seed)
    rules = random_rules(rng, pools=["p", "q"])
    listener = Listener("l", to("p"), port=8080, rules=rules)
    world = World()
    router = world.decisions.router(listener)
    for _ in range(20):
        seen = random_request(rng, rules)
        expected = oracle.route_listener(listener, seen)
        action, rewrite = router.route(as_received(seen))
        assert (action, rewrite) == (expected.action, expected.rewrite)
        if rewrite is not None:
            assert world.decisions.rewritten(rewrite, seen.target) == expected.target


def holds(request: Request, **conditions: object) -> bool:
    return routing.Conditional().compile(Conditions(**conditions))(request)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("conditions", "yes", "no"),
    [
        (
            {"path_prefix": ("/api",)},
            ["/api", "/api/", "/api/x", "/api?x"],
            ["/apiary", "/API", "/", "/x/api", "/%61pi"],
        ),
        ({"path_prefix": ("/api/",)}, ["/api", "/api/x"], ["/apiary"]),
        ({"path_prefix": ("/",)}, ["/", "/x", "//"], []),
        ({"path_exact": ("/a",)}, ["/a", "/a?/b"], ["/a/", "/A", "/%61", "/./a"]),
        ({"path": ("/*.jpg",)}, ["/a.jpg", "/a/b.jpg", "/.jpg"], ["/a.jpg/", "/ajpg", "/a.JPG", "/x?y=.jpg"]),
        ({"path": ("/a?c",)}, ["/abc", "/a/c"], ["/ac", "/abbc"]),
        ({"path": ("/[x]+",)}, ["/[x]+"], ["/x"]),
        ({"path_regex": ("^/r[0-9]+$",)}, ["/r1"], ["/r", "/r1x"]),
        ({"path_regex": ("r[0-9]",)}, ["/xr1y"], ["/R1"]),
        ({"path": ("/a",), "method": ("POST",)}, [], ["/a"]),
    ],
)
def test_paths(conditions: dict[str, object], yes: list[str], no: list[str]) -> None:
    assert [t for t in yes + no if holds(get(t), **conditions)] == yes


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("a.test", ["a.test", "A.TEST", "a.test:8080", "a.test.", "a.test.:80"], ["b.a.test", "a.test.evil"]),
        ("*.a.test", ["b.a.test", "c.b.a.test:1"], ["a.test", "xa.test"]),
        ("[::1]", ["[::1]", "[::1]:8080"], ["::1"]),
    ],
)
def test_hosts(pattern: str, yes: list[str], no: list[str]) -> None:
    assert [h for h in yes + no if holds(get(host=h), host=(pattern,))] == yes


@pytest.mark.parametrize(
    ("conditions", "request_", "held"),
    [
        ({"header": (("X-Env", ("Blue*",)),)}, get("/", ("x-env", "blueish")), True),
        ({"header": (("X-Env", ("blue",)),)}, get("/", ("X-Env", "red"), ("X-Env", "blue")), True),
        ({"header": (("X-Env", ("blue",)),)}, get("/", ("X-Environment", "blue")), False),
        ({"header": (("A", ("1",)), ("B", ("2",)))}, get("/", ("A", "1")), False),
        ({"header": (("Host", ("x.test:1",)),)}, get(host="x.test:1"), True),
        ({"query": (("v", ("2*",)),)}, get("/?v=1&v=20"), True),
        ({"query": (("v", ("a b",)),)}, get("/?%76=a%20b"), True),
        ({"query": (("v", ("",)),)}, get("/?v"), True),
        ({"query": (("v", ("1",)),)}, get("/?xv=1"), False),
        ({"cookie": (("beta", ("yes",)),)}, get("/", ("Cookie", "a=1; beta=yes")), True),
        ({"cookie": (("beta", ("yes",)),)}, get("/", ("Cookie", "xbeta=yes")), False),
        ({"source": ("192.0.2.0/25",)}, get(peer="192.0.2.1"), True),
        ({"source": ("192.0.2.0/25",)}, get("/", ("X-Forwarded-For", "192.0.2.1"), peer="192.0.2.200"), False),
        ({"source": ("192.0.2.0/24",)}, get(peer="::ffff:192.0.2.7"), True),
        ({"method": ("GET", "HEAD")}, get(), True),
        ({"method": ("get",)}, get(), False),
    ],
)
def test_other_conditions(conditions: dict[str, object], request_: Request, held: bool) -> None:
    assert holds(request_, **conditions) is held


def test_the_lowest_number_that_matches_acts() -> None:
    rules = [Rule(20, Conditions(path=("*",)), to("b")), Rule(10, Conditions(path=("/x*",)), to("a"))]
    world = World(rules=rules)
    routed = [world.decisions.route(world.listener, get(t))[0] for t in ("/x", "/y")]
    assert routed == [to("a"), to("b")]


def test_a_weighted_forward_draws_by_weight_and_zero_gets_nothing() -> None:
    world = World()
    forward = Forward((("none", 0), ("stable", 90), ("canary", 10)))
    drawn = Counter(world.decisions.pool_of(forward, get()) for _ in range(5000))
    assert set(drawn) == {"stable", "canary"}
    assert abs(drawn["canary"] - 500) < 100


@pytest.mark.parametrize(
    ("old", "new", "target", "seen"),
    [
        ("/api", "/", "/api/x?q=/api", "/x?q=/api"),
        ("/api", "/", "/api", "/"),
        ("/api", "/v2", "/api", "/v2"),
        ("/api/", "/v2/", "/api/x", "/v2/x"),
        ("/", "/v2", "/x", "/v2/x"),
        ("/api", "/v2", "/apiary", "/apiary"),
        ("/api", "/v2", "/api//x", "/v2//x"),
    ],
)
def test_rewriting(old: str, new: str, target: str, seen: str) -> None:
    assert World().decisions.rewritten(Rewrite((old, new)), target) == seen


@pytest.mark.parametrize(
    ("redirect", "target", "location"),
    [
        (Redirect(301, "HTTPS", port="443"), "/a/b?c=d", "https://lb.test/a/b?c=d"),
        (Redirect(), "/", "http://lb.test:8080/"),
        (Redirect(host="other.test", port="80", path="/x/#{path}", query=""), "/a?b", "http://other.test/x/a"),
        (Redirect(query="from=#{path}&#{query}"), "/#{host}?q", "http://lb.test:8080/#{host}?from=#{host}&q"),
    ],
)
def test_locations(redirect: Redirect, target: str, location: str) -> None:
    world = World()
    request = get(target, host="LB.test:8080")
    assert world.decisions.location(redirect, world.listener, request) == location
    seen = Seen(target=target, host="LB.test:8080")
    assert oracle.location(redirect, world.listener, seen) == location


def test_a_redirect_on_a_tls_listener() -> None:
    listener = Listener("s", to("p"), Protocol.HTTPS, port=443)
    assert World().decisions.location(Redirect(), listener, get("/x")) == "https://lb.test/x"


@pytest.mark.parametrize(
    ("peer", "told", "client"),
    [
        ("192.0.2.1", ["203.0.113.9"], "192.0.2.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["6.6.6.6, 203.0.113.9, 10.0.0.7"], "203.0.113.9"),
        ("10.0.0.1", ["6.6.6.6", "203.0.113.9,10.0.0.7"], "203.0.113.9"),
        ("10.0.0.1", ["10.0.0.8, 10.0.0.7"], "10.0.0.8"),
    ],
)
def test_whose_address_is_believed(peer: str, told: list[str], client: str) -> None:
    world = World(listener={"forwarded": Forwarded(trust=("10.0.0.0/8",))})
    request = get("/", *(("X-Forwarded-For", line) for line in told), peer=peer)
    world.decisions.route(world.listener, request)
    assert request.client == client


def test_nobody_is_believed_where_nobody_is_trusted() -> None:
    request = get("/", ("X-Forwarded-For", "203.0.113.9"))
    World().choose(request)
    assert request.client == request.peer
