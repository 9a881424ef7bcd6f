"""The real products read what is written: rules agree with the oracle, and texts come back byte for byte.

Requests keep away from where a product is known to read otherwise (nginx: repeated headers, encoded queries; Envoy:
repeated keys of a query): that is for the conformance checks to find, and here quoting and translation are on trial.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import string
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from lbcheck.spec.model import (
    Backend,
    Conditions,
    Forward,
    Listener,
    Pool,
    Redirect,
    Respond,
    Rewrite,
    Rule,
    Spec,
)
from lbcheck.spec.request import Request
from lbcheck.spec.routing import location, query_pairs, route
from lbcheck.targets import find

from .running import Running, running

pytestmark = pytest.mark.slow

PRODUCTS = ["haproxy", "nginx", "envoy", "caddy", "httpd", "reference"]
WEIGHING = ["haproxy", "nginx", "envoy", "httpd", "reference"]
ENCODING = {"caddy"}  # of what is no URI (RFC 3986, section 3.3), these make one
CLIENT = "127.78.9.201"
OTHER_CLIENT = "127.78.9.202"
URI = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@/?%-]*")
SPECIAL = "abc \"'\\#;{}%&*?()[]|^~!<>=+,.:@/-_`\t"


def _pool(name: str) -> Pool:
    return Pool(name, (Backend("a"),))


def _spec(rules: list[Rule], *pools: str) -> Spec:
    listener = Listener("public", Forward((("default", 1),)), rules=tuple(rules))
    return Spec((listener,), tuple(_pool(name) for name in ("default", *pools)))


@pytest.mark.parametrize("product", PRODUCTS)
def test_bodies_come_back_byte_for_byte(product: str, tmp_path: Path) -> None:
    rng = random.Random(20)
    bodies = ["".join(rng.choices(SPECIAL, k=rng.randint(1, 30))) for _ in range(60)]
    bodies += ["\\", "\\\\", "'", '"', "'\"'", "a\\nb", "%[src]", "#{path}", "é", " ", "--", "if"]
    rules = [
        Rule(number, Conditions(path_exact=(f"/{number}",)), Respond(200 + number % 3, body, "text/x-test"))
        for number, body in enumerate(bodies, 1)
    ]

    async def compare() -> None:
        async with running(find(product), _spec(rules), tmp_path) as world:
            for rule in rules:
                answer = await world.ask("public", Request(target=f"/{rule.priority}", source=CLIENT))
                assert isinstance(rule.then, Respond)
                told = (answer.status, answer.header("content-type"), answer.body.decode())
                assert told == (rule.then.status, "text/x-test", rule.then.body)

    asyncio.run(compare())


PATTERNS = [
    *(Conditions(path=(text,)) for text in ("/a*", "/b?c", "*.png", "/q'\"*", "/(x)[1]^$", "/\\d", "/{n};", "/%23%41")),
    Conditions(path_prefix=("/v1", "/v2/")),
    Conditions(path_exact=("/Exact", "/other")),
    Conditions(path_regex=(r"^/r[0-9]+\.(png|gif)$", r"x{2,3}\\$")),
    Conditions(host=("*.example.com", "exact.test")),
    Conditions(method=("PUT", "DELETE"), path=("/m*",)),
    Conditions(header=(("X-Thing", ("*Mobile*", "x y", "a|b", '"q"')),)),
    Conditions(query=(("v", ("2*", "a?c")), ("w", ("*",)))),
    Conditions(cookie=(("beta", ("yes", "y*s")),)),
    Conditions(source=(f"{OTHER_CLIENT}/32",), path=("/s",)),
]
PATHS = [
    "/",
    "/a",
    "/a/b",
    "/A",
    "/bxc",
    "/bc",
    "/p.png",
    "/q'\"z",
    "/(x)[1]^$",
    "/x1",
    "/\\d",
    "/5",
    "/{n};",
    "/%23%41",
]
PATHS += [
    "/v1",
    "/v1/",
    "/v10",
    "/v2/x",
    "/v2",
    "/Exact",
    "/exact",
    "/r12.png",
    "/r.png",
    "/yxx\\",
    "/m1",
    "/s",
    "/a/../v1",
]
HOSTS = ["lb.test", "A.Example.com", "a.b.example.com:8080", "example.com", "exact.test.", "xexact.test"]
HEADERS = ["", "my mobile phone", "X Y", "xy", "A|b", "a", '"q"']
QUERIES = ["", "v=2", "v=2&w=", "w=1&v=abc", "v=ac&w=1", "xv=2&w=1", "v=1&v=2x&w=1", "v=2&ww=1"]
COOKIES = ["", "beta=yes", "a=1; beta=yells; c=2", "abeta=yes", "beta=no"]


def _requests(rng: random.Random, count: int) -> list[Request]:
    found = []
    for _ in range(count):
        query, header, cookie = rng.choice(QUERIES), rng.choice(HEADERS), rng.choice(COOKIES)
        fields = [("X-Thing", header)] * bool(header) + [("Cookie", cookie)] * bool(cookie)
        found.append(
            Request(
                method=rng.choice(["GET", "PUT", "POST"]),
                target=rng.choice(PATHS) + (f"?{query}" if query else ""),
                host=rng.choice(HOSTS),
                headers=tuple(fields),
                source=rng.choice([CLIENT, OTHER_CLIENT]),
            )
        )
    return found


@pytest.mark.parametrize("product", PRODUCTS)
def test_rules_agree_with_the_oracle(product: str, tmp_path: Path) -> None:
    rng = random.Random(7)
    order = rng.sample(range(len(PATTERNS)), len(PATTERNS))
    rules = [Rule(10 * (place + 1), PATTERNS[n], Forward(((f"p{n}", 1),))) for place, n in enumerate(order)]
    spec = _spec(rules, *(f"p{n}" for n in range(len(PATTERNS))))

    async def compare() -> None:
        async with running(find(product), spec, tmp_path) as world:
            encoding = product in ENCODING
            requests = [r for r in _requests(rng, 300) if product != "envoy" or not _repeats_a_key(r)]
            assert [r for r in requests if not await _agrees(world, r, encoding=encoding)] == []

    asyncio.run(compare())


def _repeats_a_key(request: Request) -> bool:
    keys = [key for key, _ in query_pairs(request.query)]
    return len(set(keys)) < len(keys)


async def _agrees(world: Running, request: Request, *, encoding: bool = False) -> bool:
    answer = await world.ask("public", request)
    told = json.loads(answer.body)
    routed = route(world.spec, "public", request)
    same = told["target"] == routed.target
    if encoding and not URI.fullmatch(routed.target):
        same = unquote(told["target"]) == unquote(routed.target)
    return (told["backend"].partition("/")[0],) == routed.pools and same


REWRITES = [("/api", "/"), ("/old/", "/new/er"), ("/deep/er", "/deep"), ("/same", "/same/same")]


@pytest.mark.parametrize("product", PRODUCTS)
def test_rewrites_agree_with_the_oracle(product: str, tmp_path: Path) -> None:
    rules = [
        Rule(number, Conditions(path=(f"{old.rstrip('/')}*",)), Forward((("other", 1),)), rewrite=Rewrite((old, new)))
        for number, (old, new) in enumerate(REWRITES, 1)
    ]
    rules.append(Rule(9, Conditions(method=("PUT",)), Forward((("other", 1),)), rewrite=Rewrite(("/", "/app"))))
    tails = ["", "/", "/x", "x", "?q=/api", "/?q", "/api/api", "//x", "/%2f%41", "/a/../b"]
    targets = [old.rstrip("/") + tail for old, _ in REWRITES for tail in tails]
    requests = [Request(target=target, source=CLIENT) for target in targets]
    requests += [Request(method="PUT", target=target, source=CLIENT) for target in ("/", "/x?y", "//")]

    async def compare() -> None:
        async with running(find(product), _spec(rules, "other"), tmp_path) as world:
            assert [request for request in requests if not await _agrees(world, request)] == []

    asyncio.run(compare())


REDIRECTS = [
    Redirect(),
    Redirect(301, "HTTPS", "#{host}", "443"),
    Redirect(307, "HTTP", "www.#{host}", "80", "/new/#{path}", ""),
    Redirect(308, "HTTPS", "other.test", "8443", "/fixed%20path", "a=1&b=#{query}"),
    Redirect(302, path="/login", query="next=1"),
]


def _place(url: str | None) -> tuple[str, str | None, int | None, str, str]:
    """What a Location names: a scheme's own port may be said, and so may a query of nothing (RFC 3986, 6.2.3)."""
    parts = urlsplit(url or "")
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}[parts.scheme], parts.path, parts.query


@pytest.mark.parametrize("product", PRODUCTS)
def test_locations_agree_with_the_oracle(product: str, tmp_path: Path) -> None:
    numbered = [Rule(n, Conditions(path_prefix=(f"/{n}",)), to) for n, to in enumerate(REDIRECTS, 1)]
    rules = [rule for rule in numbered if not find(product).unsupported(_spec([rule]))]
    assert len(rules) >= 3
    tails = ("", "/x%20y/../z?a=b&c=%41", "/?", "?x=%25%5Bsrc%5D")
    targets = [f"/{rule.priority}{tail}" for rule in rules for tail in tails]

    async def compare() -> None:
        async with running(find(product), _spec(rules), tmp_path) as world:
            for target in targets:
                request = Request(target=target, host="shop.test:81", source=CLIENT)
                answer = await world.ask("public", request)
                action = route(world.spec, "public", request).action
                assert isinstance(action, Redirect)
                expected = location(action, world.spec.listener("public"), request)
                assert (answer.status, _place(answer.header("location"))) == (action.status, _place(expected))

    asyncio.run(compare())


@pytest.mark.parametrize("product", WEIGHING)
def test_weights_between_pools_are_kept(product: str, tmp_path: Path) -> None:
    """400 draws of 3:0:1; outside of 240..360 lies less than 1e-11 of a right balancer's runs (binomial)."""
    listener = Listener("public", Forward((("default", 3), ("never", 0), ("other", 1))))
    spec = Spec((listener,), tuple(_pool(name) for name in ("default", "never", "other")))

    async def count() -> list[str]:
        async with running(find(product), spec, tmp_path) as world:
            answers = [await world.ask("public", Request(source=CLIENT)) for _ in range(400)]
            return [json.loads(answer.body)["backend"] for answer in answers]

    found = asyncio.run(count())
    assert 240 <= found.count("default/a") <= 360
    assert found.count("never/a") == 0


def test_special_characters_are_all_tried() -> None:
    assert set(string.punctuation) - set(SPECIAL) == {"$"}, "a literal $ is unsupported in nginx"
    assert re.fullmatch(r"/\\d", "/\\d")
