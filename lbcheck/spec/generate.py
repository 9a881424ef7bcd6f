"""Random rule sets and requests from a seed, biased towards near misses: what almost matches finds errors.

Rules share a small vocabulary so that they overlap, and requests are grown from a rule's own witness with one thing
changed, so that both sides of each border are visited. The same seed gives the same rules and requests.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from lbcheck.spec.model import Conditions, Forward, Listener, Rule
from lbcheck.spec.request import Request
from lbcheck.spec.witness import witnesses

Words: TypeAlias = Mapping[str, tuple[str, ...]]

SEGMENTS = ("api", "apiary", "v1", "v10", "users", "a", "x.png", "API")
PATHS = ("/api/*", "/api*", "*.png", "/v?/users", "*", "/a/*/x.png", "/*/users", "/api/v1", "/?")
REGEXES = ("^/r[0-9]+$", "/v[0-9]+/", r"\.(png|css)$", "^/(api|a)(/|$)", "[A-Z]{2,3}", "^/a+b?$")
HOSTS = ("a.test", "*.a.test", "api.?.test", "*", "b.a.test", "*.test")
SENT_HOSTS = ("a.test", "b.a.test", "c.b.a.test", "api.x.test", "lb.test", "A.Test", "a.test.", "a.test:80", "xa.test")
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE")
HEADERS: Words = {"X-Version": ("1", "2*", "*beta*", "v?"), "User-Agent": ("*Mobile*", "curl*"), "X-Flag": ("*",)}
QUERY: Words = {"version": ("1", "2*", "*"), "q": ("a b", "x?", "*&*"), "a b": ("1",)}
COOKIES: Words = {"beta": ("yes", "*"), "user": ("u?", "a*b")}
VALUES = ("", "1", "2", "21", "v1", "V1", "v12", "xbetay", "yes", "no", "curl/8", "aMobileb", "u1", "ab", "a%20b")
SOURCES = ("127.0.0.0/8", "127.0.0.1/32", "127.1.0.0/16", "127.0.0.0/30")
PEERS = ("127.0.0.1", "127.0.0.2", "127.0.0.5", "127.1.2.3", "127.2.0.1")
KINDS = ("path", "path_prefix", "path_exact", "path_regex", "host", "method", "header", "query", "cookie", "source")
PATH_KINDS = KINDS[:4]


def random_rules(
    rng: random.Random, *, pools: Sequence[str], most: int = 6, kinds: Sequence[str] = KINDS
) -> tuple[Rule, ...]:
    """1 to `most` rules of the given kinds of conditions, in no order of priority, each forwarding to one pool."""
    count = rng.randint(1, most)
    priorities = rng.sample(range(1, 50 * count), count)
    return tuple(
        Rule(priority, random_conditions(rng, kinds), Forward(((rng.choice(pools), 1),))) for priority in priorities
    )


def random_conditions(rng: random.Random, kinds: Sequence[str] = KINDS) -> Conditions:
    """One to three conditions; of the kinds that speak of the path mostly one."""
    chosen = set(rng.sample(kinds, min(len(kinds), rng.choice((1, 1, 1, 2, 2, 3)))))
    on_path = [kind for kind in PATH_KINDS if kind in chosen]
    if len(on_path) > 1 and rng.random() < 0.8:
        chosen -= set(on_path[1:])
    values: dict[str, Any] = {kind: _condition(rng, kind) for kind in KINDS if kind in chosen}
    return replace(Conditions(), **values)


def _condition(rng: random.Random, kind: str) -> tuple[object, ...]:
    if kind in ("header", "query", "cookie"):
        words: Words = {"header": HEADERS, "query": QUERY, "cookie": COOKIES}[kind]
        names = rng.sample(sorted(words), rng.choice((1, 1, 2)))
        return tuple((name, _some(rng, words[name])) for name in names)
    if kind in ("path_prefix", "path_exact"):
        return tuple(dict.fromkeys(random_path(rng, longest=2) for _ in range(rng.choice((1, 1, 2)))))
    vocabulary: Words = {"path": PATHS, "path_regex": REGEXES, "host": HOSTS, "method": METHODS, "source": SOURCES}
    return _some(rng, vocabulary[kind])


def _some(rng: random.Random, words: Sequence[str]) -> tuple[str, ...]:
    return tuple(rng.sample(words, min(len(words), rng.choice((1, 1, 2)))))


def random_path(rng: random.Random, longest: int = 3) -> str:
    return "/" + "/".join(rng.choice(SEGMENTS) for _ in range(rng.randint(0, longest)))


def random_request(rng: random.Random, rules: Sequence[Rule]) -> Request:
    """Half of them a rule's witness with none, one or two parts changed, the rest drawn freely."""
    if not rules or rng.random() < 0.5:
        return _free(rng)
    rule = rng.choice(rules)
    listener = Listener("generated", Forward((("default", 1),)), rules=(rule,))
    request = next(witnesses(listener, rule), None) or _free(rng)
    for _ in range(rng.choice((0, 1, 1, 2))):
        request = near_miss(rng, request)
    return request


def near_miss(rng: random.Random, request: Request) -> Request:
    """The same request with one part changed a little: case, a slash, one character, a port, a repeated header.

    What is changed stays lawful, and its path free of empty segments, which some products merge: that is another claim.
    """
    part = rng.choice(("target", "target", "host", "method", "headers", "query", "source"))
    if part == "target":
        return replace(request, target=_changed_path(rng, request.path) + request.target[len(request.path) :])
    if part == "host":
        host = request.host.partition(":")[0].rstrip(".")
        changes = (host.upper(), f"{host}.", f"{host}:8080", f"x{host}", f"x.{host}", rng.choice(SENT_HOSTS))
        return replace(request, host=rng.choice(changes))
    if part == "method":
        return replace(request, method=rng.choice(METHODS))
    if part == "headers":
        return replace(request, headers=_changed_headers(rng, request.headers))
    if part == "query":
        return replace(request, target=request.path + _changed_query(rng, request.query))
    return replace(request, source=rng.choice(PEERS))


def _changed_path(rng: random.Random, path: str) -> str:
    at = rng.randrange(1, len(path) + 1)
    changes = (
        path + "/",
        path + "x",
        path + "/x",
        path.rstrip("/") or "/",
        path.swapcase(),
        path[:at] + path[at + 1 :],
        path[:at] + "0" + path[at:],
        path[:at] + "/" + path[at:],
    )
    return rng.choice([change for change in changes if "//" not in change])


def _changed_headers(rng: random.Random, headers: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    name = rng.choice((*sorted(HEADERS), "Cookie"))
    value = rng.choice(VALUES) if name != "Cookie" else f"{rng.choice(sorted(COOKIES))}={rng.choice(VALUES)}"
    if headers and rng.random() < 0.5:
        at = rng.randrange(len(headers))
        own, held = headers[at]
        changed = rng.choice(((own.upper(), held), (own, held.swapcase()), (own, f"{held}x")))
        return (*headers[:at], changed, *headers[at + 1 :])
    return rng.choice((((name, value), *headers), (*headers, (name, value)), headers[:-1]))


def _changed_query(rng: random.Random, query: str) -> str:
    pair = f"{rng.choice(('version', 'Version', 'q', 'a%20b', 'a+b'))}={rng.choice(VALUES)}"
    changed = rng.choice((f"{query}&{pair}", f"{pair}&{query}", pair, query.swapcase(), query + "x", ""))
    return f"?{changed.strip('&')}" if changed.strip("&") else ""


def _free(rng: random.Random) -> Request:
    headers = [(name, rng.choice(VALUES)) for name in sorted(HEADERS) if rng.random() < 0.25]
    if rng.random() < 0.3:
        headers.append(("Cookie", "; ".join(f"{name}={rng.choice(VALUES)}" for name in sorted(COOKIES))))
    query = f"?{rng.choice(('version', 'q', 'a+b'))}={rng.choice(VALUES)}" if rng.random() < 0.3 else ""
    return Request(
        method=rng.choice(METHODS),
        target=random_path(rng) + query,
        host=rng.choice(SENT_HOSTS),
        headers=tuple(headers),
        source=rng.choice(PEERS),
    )
