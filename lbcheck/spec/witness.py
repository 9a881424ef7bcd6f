"""Requests that reach a rule and no earlier one: built from its conditions, told apart from earlier rules, verified.

A rule acts where all its conditions hold, one for each dimension of a request (path, host, method, source, each header,
query key and cookie). So each dimension has a few candidate values; each candidate leaves some earlier rules possible;
and a request is found where the candidates together leave none. That search is complete over the candidates.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote

from lbcheck.spec import instances
from lbcheck.spec.model import Conditions, Forward, Listener, Rule, Spec
from lbcheck.spec.patterns import matches_glob
from lbcheck.spec.request import Request
from lbcheck.spec.routing import bare_host, matches, matches_path, route_listener

WORDS = ("w", "w1", "w2", "w3xyz", "w4xyzxyz", "w5xyzxyzxyz")  # fresh text for wildcards, one for each round
HOPELESS = 2  # rounds without any request, after which the others are spared
METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD")
SOURCES = ("127.0.0.1", "127.0.0.2", "127.3.5.7", "127.200.13.9")
HOSTS = ("lb.test",)

Pairs = tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class Dimension:
    """One part of a request: its candidates, and whether a rule's conditions on this part hold for one."""

    name: str
    candidates: tuple[str, ...]
    holds: Callable[[Conditions, str], bool]


def witness(spec: Spec, listener_name: str, rule: Rule, *, avoid: Collection[Request] = ()) -> Request | None:
    """A request that this rule acts on, none of `avoid`; None where it is shadowed or cannot be met, as far as seen."""
    return next((found for found in witnesses(spec.listener(listener_name), rule) if found not in avoid), None)


def default_witness(spec: Spec, listener_name: str, *, avoid: Collection[Request] = ()) -> Request | None:
    """A request that no rule of the listener matches."""
    return next((found for found in witnesses(spec.listener(listener_name), None) if found not in avoid), None)


def route_to_pool(spec: Spec, pool_name: str) -> tuple[str, Request] | None:
    """(listener, request) that goes to this pool and no other, the simplest: a default, then a rule, then a rewrite."""
    for listener in spec.listeners:
        if _forwards_only_to(pool_name, listener.default) and (found := default_witness(spec, listener.name)):
            return listener.name, found
    for listener in spec.listeners:
        rules = [rule for rule in listener.rules if _forwards_only_to(pool_name, rule.then)]
        for rule in sorted(rules, key=lambda rule: (rule.rewrite is not None, rule.priority)):
            if found := witness(spec, listener.name, rule):
                return listener.name, found
    return None


def _forwards_only_to(pool_name: str, action: object) -> bool:
    return isinstance(action, Forward) and [name for name, weight in action.pools if weight] == [pool_name]


def witnesses(listener: Listener, rule: Rule | None) -> Iterator[Request]:
    """Distinct requests that reach the rule (None: the default), a few."""
    conditions = rule.when if rule is not None else Conditions()
    earlier = tuple(r.when for r in listener.rules if rule is None or r.priority < rule.priority)
    seen: list[Request] = []
    for round_, word in enumerate(WORDS):
        if round_ == HOPELESS and not seen:
            return
        found = _search(conditions, earlier, word)
        if found is not None and found not in seen and route_listener(listener, found).rule == rule:
            seen.append(found)
            yield found


@lru_cache(maxsize=4096)
def _search(conditions: Conditions, earlier: tuple[Conditions, ...], word: str) -> Request | None:
    """Goes through the dimensions; keeps the first choice for each set of earlier rules that are still possible."""
    rivals = _rivals(conditions, earlier)
    states: dict[int, tuple[str, ...]] = {(1 << len(rivals)) - 1: ()}
    dimensions = _dimensions(conditions, word)
    for dimension in dimensions:
        after: dict[int, tuple[str, ...]] = {}
        for candidate in dimension.candidates:
            possible = sum(1 << i for i, rival in enumerate(rivals) if dimension.holds(rival, candidate))
            for mask, choices in states.items():
                after.setdefault(mask & possible, (*choices, candidate))
        states = after
    if 0 not in states:
        return None
    request = _request(dict(zip((d.name for d in dimensions), states[0], strict=True)))
    # dimensions are independent but for one: a condition on the whole header Cookie
    alone = matches(conditions, request) and not any(matches(rival, request) for rival in rivals)
    return request if alone else None


def _dimensions(conditions: Conditions, word: str) -> list[Dimension]:
    return [
        Dimension("path", tuple(_paths(conditions, word)), lambda other, path: matches_path(other, path)),
        Dimension("host", tuple(_hosts(conditions, word)), _host_holds),
        Dimension("method", conditions.method or METHODS, lambda o, method: not o.method or method in o.method),
        Dimension("source", tuple(_sources(conditions)), _source_holds),
        *_named(conditions, word),
    ]


def _rivals(conditions: Conditions, earlier: tuple[Conditions, ...]) -> tuple[Conditions, ...]:
    """The earlier rules that a request with no headers, keys and cookies but the rule's own could meet."""
    present = {key for key, _ in _pairs(conditions)}
    return tuple(other for other in earlier if all(key in present for key, _ in _pairs(other)))


def _pairs(conditions: Conditions) -> list[tuple[str, tuple[str, ...]]]:
    """All named conditions under one key each; a condition on the header Host belongs to the host."""
    return [
        *((f"header:{name.lower()}", p) for name, p in conditions.header if name.lower() != "host"),
        *((f"query:{name}", p) for name, p in conditions.query),
        *((f"cookie:{name}", p) for name, p in conditions.cookie),
    ]


def _named(conditions: Conditions, word: str) -> list[Dimension]:
    grouped: dict[str, list[tuple[str, ...]]] = {}
    for key, patterns in _pairs(conditions):
        grouped.setdefault(key, []).append(patterns)
    return [Dimension(key, tuple(_values(key, groups, word)), _holder(key)) for key, groups in grouped.items()]


def _holder(key: str) -> Callable[[Conditions, str], bool]:
    fold = key.startswith("header:")

    def holds(other: Conditions, value: str) -> bool:
        mine = [patterns for name, patterns in _pairs(other) if name == key]
        return all(any(matches_glob(p, value, fold=fold) for p in patterns) for patterns in mine)

    return holds


def _values(key: str, groups: list[tuple[str, ...]], word: str) -> list[str]:
    fold = key.startswith("header:")
    fills = (word, f"{word}-{word}", f"a{word}", "1", "")
    texts = instances.globs([pattern for patterns in groups for pattern in patterns], fills)
    if key.startswith("cookie:"):
        texts = [text for text in texts if not set(text) & set('; ,"\\')]
    elif fold:
        texts = [text for text in texts if text == text.strip()]

    def holds(text: str) -> bool:
        return all(any(matches_glob(p, text, fold=fold) for p in patterns) for patterns in groups)

    return instances.distinct([*filter(None, texts), *(t for t in texts if not t)], holds)


def _paths(conditions: Conditions, word: str) -> list[str]:
    rng = random.Random(word)
    fills = instances.path_fills(word)
    texts = [*conditions.path_exact, *instances.globs(conditions.path, fills)]
    for prefix in conditions.path_prefix:
        texts += instances.below(prefix, word)
        texts += [prefix.rstrip("/") + text for text in instances.globs(conditions.path, fills)]
        texts += [prefix.rstrip("/") + t for r in conditions.path_regex for t in instances.regex_texts(r, rng)]
    for regex in conditions.path_regex:
        texts += instances.regex_texts(regex, rng)
    texts = texts or instances.plain_paths(word)
    sendable = (text for text in texts if text.startswith("/") and not set(text) & set(" ?#"))
    return instances.distinct(sorted(sendable, key=instances.looks_odd), lambda path: matches_path(conditions, path))


def _hosts(conditions: Conditions, word: str) -> list[str]:
    named = [pattern for name, patterns in conditions.header if name.lower() == "host" for pattern in patterns]
    patterns = [*conditions.host, *named]
    fills = (word, f"{word}.{word}", f"{word}.test", "")
    texts = instances.globs(patterns, fills) if patterns else [*HOSTS, f"{word}.test", f"{word}.{word}.test", word]
    return instances.distinct(filter(None, texts), lambda host: _host_holds(conditions, host))


def _host_holds(other: Conditions, host: str) -> bool:
    by_name = not other.host or any(matches_glob(bare_host(pattern), bare_host(host)) for pattern in other.host)
    named = [patterns for name, patterns in other.header if name.lower() == "host"]
    return by_name and all(any(matches_glob(p, host, fold=True) for p in patterns) for patterns in named)


def _source_holds(other: Conditions, source: str) -> bool:
    return matches(Conditions(source=other.source), Request(source=source))


def _sources(conditions: Conditions) -> list[str]:
    """Addresses of the networks, those of loopback first, because from them a client can really send."""
    texts: list[str] = [*SOURCES]
    for text in conditions.source:
        network = ipaddress.ip_network(text)
        last = network.num_addresses - 1
        texts += [str(network[min(offset, last)]) for offset in (1, 2, 77, 300, 70_000, last - 1 if last else 0)]
    return instances.distinct(texts, lambda source: _source_holds(conditions, source))


def _request(choices: dict[str, str]) -> Request:
    cookies = [(key.partition(":")[2], value) for key, value in choices.items() if key.startswith("cookie:")]
    headers = [(key.partition(":")[2], value) for key, value in choices.items() if key.startswith("header:")]
    query = [(key.partition(":")[2], value) for key, value in choices.items() if key.startswith("query:")]
    if cookies:
        headers.append(("cookie", "; ".join(f"{name}={value}" for name, value in cookies)))
    asked = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in query)
    return Request(
        method=choices["method"],
        target=choices["path"] + (f"?{asked}" if asked else ""),
        host=choices["host"],
        headers=tuple(headers),
        source=choices["source"],
    )
