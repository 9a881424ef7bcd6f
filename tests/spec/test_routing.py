from __future__ import annotations

import fnmatch
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbcheck.spec.battery import battery
from lbcheck.spec.generate import random_rules
from lbcheck.spec.model import Conditions, Forward, Listener, Protocol, Redirect, Rewrite, Rule, Spec
from lbcheck.spec.near import random_request
from lbcheck.spec.patterns import has_prefix, matches_glob
from lbcheck.spec.request import Request
from lbcheck.spec.routing import location, matches, rewritten, route, route_listener

pytestmark = pytest.mark.fast
WEB = Forward((("web", 1),))


def get(target: str, **more: object) -> Request:
    return replace(Request(target=target), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("conditions", "holds", "fails"),
    [
        (Conditions(path=("/api/*",)), ["/api/", "/api/x", "/api/x/y", "/api/x?q=1"], ["/api", "/API/x", "/x/api/"]),
        (Conditions(path=("/v?",)), ["/v1", "/v2?x"], ["/v", "/v12", "/v/1"]),
        (Conditions(path=("*.png",)), ["/a.png", "/a/b.png?x=1"], ["/a.png/", "/a.PNG", "/a?b.png"]),
        (Conditions(path_prefix=("/v1",)), ["/v1", "/v1/", "/v1/x", "/v1?x"], ["/v10", "/v", "/V1", "/x/v1"]),
        (Conditions(path_prefix=("/v1/",)), ["/v1", "/v1/x"], ["/v10"]),
        (Conditions(path_prefix=("/",)), ["/", "/x"], []),
        (Conditions(path_exact=("/a", "/b")), ["/a", "/b", "/b?x"], ["/a/", "/A", "/ab"]),
        (Conditions(path_regex=("^/r[0-9]+$",)), ["/r1", "/r12?x"], ["/r", "/r1x", "/x/r1"]),
        (Conditions(path_regex=("b",)), ["/abc"], ["/a?b"]),
        (Conditions(path_exact=("/a",)), ["/a"], ["/%61", "/./a", "//a", "/a/."]),
        (Conditions(path_prefix=("/a",), path=("*.png",)), ["/a/x.png"], ["/a/x", "/b.png"]),
        (Conditions(query=(("v", ("2*",)),)), ["/?v=2", "/?v=1&v=21", "/?v=%32"], ["/?V=2", "/?v=1", "/", "/?vv=2"]),
        (Conditions(query=(("a b", ("x&y",)),)), ["/?a%20b=x%26y", "/?a+b=x%26y"], ["/?ab=x", "/?a b=x&y"]),
        (Conditions(query=(("k", ("*",)),)), ["/?k", "/?k=", "/?x&k=1"], ["/?x=k", "/"]),
    ],
)
def test_what_a_target_must_look_like(conditions: Conditions, holds: list[str], fails: list[str]) -> None:
    assert [target for target in holds if not matches(conditions, get(target))] == []
    assert [target for target in fails if matches(conditions, get(target))] == []


@pytest.mark.parametrize(
    ("pattern", "holds", "fails"),
    [
        ("a.test", ["a.test", "A.Test", "a.test:8080", "a.test.", "a.test.:80"], ["b.a.test", "a.testx", ""]),
        ("*.a.test", ["b.a.test", "c.b.a.test:1"], ["a.test", "xa.test"]),
        ("?.test", ["a.test"], ["ab.test", ".test"]),
    ],
)
def test_hosts_are_matched_without_case_port_and_trailing_dot(pattern: str, holds: list[str], fails: list[str]) -> None:
    conditions = Conditions(host=(pattern,))
    assert [host for host in holds if not matches(conditions, get("/", host=host))] == []
    assert [host for host in fails if matches(conditions, get("/", host=host))] == []


def test_headers_ignore_case_and_any_of_repeated_ones_will_do() -> None:
    conditions = Conditions(header=(("X-A", ("*Mobile*", "v?")),))
    assert matches(conditions, get("/", headers=(("x-a", "no"), ("X-A", "a mobile b"))))
    assert matches(conditions, get("/", headers=(("X-a", "V2"),)))
    assert not matches(conditions, get("/", headers=(("X-A", "v22"), ("X-B", "v2"))))
    assert not matches(conditions, get("/"))


def test_methods_are_exact() -> None:
    assert matches(Conditions(method=("GET", "HEAD")), get("/", method="HEAD"))
    assert not matches(Conditions(method=("GET",)), get("/", method="get"))


@pytest.mark.parametrize(
    ("header", "held"),
    [
        ("beta=yes", True),
        ("a=1; beta=yes; b=2", True),
        ("a=1;beta=yes", True),
        ("beta=no; beta=yes", True),
        ("xbeta=yes", False),
        ("Beta=yes", False),
        ("beta=Yes", False),
        ('beta="yes"', False),
        ("beta", False),
        ("a=beta=yes", False),
    ],
)
def test_cookies_are_told_apart_by_whole_names(header: str, held: bool) -> None:
    assert matches(Conditions(cookie=(("beta", ("yes",)),)), get("/", headers=(("Cookie", header),))) is held


def test_the_source_is_the_peer_and_never_what_it_says() -> None:
    conditions = Conditions(source=("10.0.0.0/8", "::1/128"))
    assert matches(conditions, get("/", source="10.1.2.3"))
    assert matches(conditions, get("/", source="::ffff:10.1.2.3"))
    assert matches(conditions, get("/", source="::1"))
    assert not matches(conditions, get("/", source="127.0.0.1", headers=(("X-Forwarded-For", "10.1.2.3"),)))


def test_all_conditions_must_hold_and_any_value_will_do() -> None:
    conditions = Conditions(path_prefix=("/a", "/b"), method=("GET", "POST"), host=("x.test",))
    assert matches(conditions, get("/b/1", method="POST", host="x.test"))
    assert not matches(conditions, get("/b/1", method="POST", host="y.test"))
    assert not matches(conditions, get("/c", method="POST", host="x.test"))


def test_the_lowest_priority_acts_wherever_it_stands() -> None:
    spec = battery()["routing-priority"].spec
    names = {
        "/api/v1/status": "status",
        "/api/v1/users/1": "users",
        "/api/v1/x": "readers",
        "/api/v2": "api",
        "/elsewhere": "everything",
    }
    assert {path: route(spec, "public", get(path)).pools for path in names} == {p: (n,) for p, n in names.items()}
    assert route(spec, "public", Request("PUT", "/elsewhere")).pools == ("web",)
    assert route(spec, "public", get("/api/v1/users/1", method="POST")).pools == ("users",)


def test_pools_of_weight_zero_get_nothing() -> None:
    listener = Listener("l", Forward((("a", 0), ("b", 2))))
    assert route_listener(listener, get("/")).pools == ("b",)


@pytest.mark.parametrize(
    ("prefix", "target", "seen"),
    [
        (("/api", "/"), "/api", "/"),
        (("/api", "/"), "/api?x=1", "/?x=1"),
        (("/api", "/"), "/api/x/y?x=1", "/x/y?x=1"),
        (("/api", "/v2/x"), "/api/y", "/v2/x/y"),
        (("/api", "/v2"), "/api/", "/v2/"),
        (("/api/", "/v2/"), "/api/y", "/v2/y"),
        (("/api", "/v2"), "/apiary", "/apiary"),
        (("/", "/v2"), "/x", "/v2/x"),
        (("/api", "/"), "/api/%2e%2e//x", "/%2e%2e//x"),
    ],
)
def test_a_rewrite_replaces_a_prefix_by_elements(prefix: tuple[str, str], target: str, seen: str) -> None:
    assert rewritten(Rewrite(prefix), target) == seen


def test_what_is_matched_is_what_is_forwarded() -> None:
    spec = battery()["routing-paths"].spec
    assert route(spec, "public", get("/api/%2e%2e/./x//y?a=%20")).target == "/api/%2e%2e/./x//y?a=%20"


@pytest.mark.parametrize(
    ("redirect", "url"),
    [
        (Redirect(301, protocol="HTTPS", port="443"), "https://shop.test/a/b?x=1"),
        (Redirect(302, host="new.test", port="80"), "http://new.test/a/b?x=1"),
        (Redirect(307, path="/new/#{path}"), "http://shop.test:8080/new/a/b?x=1"),
        (Redirect(308, "HTTPS", "new.test", "8443", "/start", ""), "https://new.test:8443/start"),
        (Redirect(302, query="from=#{host}&#{query}"), "http://shop.test:8080/a/b?from=shop.test&x=1"),
    ],
)
def test_where_a_redirect_leads(redirect: Redirect, url: str) -> None:
    listener = Listener("l", redirect, port=8080)
    assert location(redirect, listener, get("/a/b?x=1", host="Shop.test:8080")) == url


def test_a_placeholder_in_a_path_is_not_filled_in_again() -> None:
    listener = Listener("l", Redirect(), protocol=Protocol.HTTPS, port=443)
    assert location(Redirect(), listener, get("/#{host}", host="a.test")) == "https://a.test/#{host}"


@given(st.text("ab/*?", max_size=8), st.text("ab/", max_size=8))
def test_patterns_agree_with_the_shells(pattern: str, text: str) -> None:
    assert matches_glob(pattern, text) == fnmatch.fnmatchcase(text, pattern)


@given(st.text("ab/", max_size=6), st.text("ab/", max_size=3))
def test_prefixes_are_by_elements(path: str, prefix: str) -> None:
    path, prefix = f"/{path}", f"/{prefix}".rstrip("/")
    elements, wanted = path.split("/"), prefix.split("/")
    assert has_prefix(path, prefix) == (elements[: len(wanted)] == wanted)


@given(st.integers(0, 2**32))
def test_routing_is_the_first_match_in_order_of_priority(seed: int) -> None:
    rng = random.Random(seed)
    rules = random_rules(rng, pools=["a", "b"])
    listener, request = Listener("l", WEB, rules=rules), random_request(rng, rules)
    routed = route(Spec((listener,)), "l", request)
    matching: list[Rule] = [rule for rule in rules if matches(rule.when, request)]
    assert routed.rule == min(matching, key=lambda rule: rule.priority, default=None)
    assert routed.action == (routed.rule.then if routed.rule else WEB)
