"""Random rule sets and requests from a seed, biased towards near misses: what almost matches finds errors.

Rules share a small vocabulary so that they overlap, and requests are grown from the rules' own witnesses, mixed, with
a thing or two changed, so that both sides of each border are visited. The same seed gives the same rules and requests.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from lbcheck.spec.model import Conditions, Forward, Rule

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
    longest = rng.choice((2, 3, 5))  # digits: numbers of several lengths are told apart from their texts
    priorities = rng.sample(sorted({p for d in range(1, longest + 1) for p in _numbers_of(rng, d, count)}), count)
    return tuple(
        Rule(priority, random_conditions(rng, kinds), Forward(((rng.choice(pools), 1),))) for priority in priorities
    )


def _numbers_of(rng: random.Random, digits: int, count: int) -> list[int]:
    return rng.sample(range(10 ** (digits - 1), min(10**digits, 50_001)), count)


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
