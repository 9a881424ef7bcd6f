"""Rules, compiled once for each listener into closures; paths are matched as sent, neither decoded nor normalised."""

from __future__ import annotations

import ipaddress
import random
import re
from collections.abc import Callable, Sequence
from typing import TypeAlias
from urllib.parse import unquote_plus

from lbcheck.balancer.request import Request
from lbcheck.spec.model import Action, Conditions, Forward, Listener, Protocol, Redirect, Rewrite

Test: TypeAlias = Callable[[Request], bool]
Words: TypeAlias = Callable[[str], bool]
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


def bare_host(host: str) -> str:
    """A Host field's name in lower case, without port and without the root's trailing dot."""
    name = host[: host.index("]") + 1] if host.startswith("[") and "]" in host else host.partition(":")[0]
    return name.removesuffix(".").lower()


def pattern(text: str, *, fold: bool = False) -> Words:
    """ALB's pattern over a whole value: `*` is any run, also an empty one, `?` any one character."""
    if not ("*" in text or "?" in text):
        return (lambda value: value.lower() == text.lower()) if fold else text.__eq__
    words = "".join({"*": ".*", "?": "."}.get(c) or re.escape(c) for c in re.sub(r"\*+", "*", text))
    matches = re.compile(words, re.DOTALL | (re.IGNORECASE | re.ASCII if fold else 0)).fullmatch
    return lambda value: matches(value) is not None


def networks(blocks: Sequence[str]) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(block, strict=False) for block in blocks)


def within(address: str, blocks: Sequence[Network]) -> bool:
    """Is it in one of the blocks? An IPv4-mapped IPv6 address counts as its IPv4 one."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(ip, "ipv4_mapped", None) or ip
    return any(mapped in block for block in blocks)


class Conditional:
    """How conditions become tests: one method a kind, so that each can be got wrong on purpose."""

    def compile(self, when: Conditions) -> Test:
        """Every condition that is not empty must hold."""
        tests: list[Test] = []
        if when.method:
            tests.append(self.method(when.method))
        tests += [self.path(patterns) for patterns in [when.path] if patterns]
        tests += [self.path_prefix(prefixes) for prefixes in [when.path_prefix] if prefixes]
        tests += [self.path_exact(paths) for paths in [when.path_exact] if paths]
        tests += [self.path_regex(regexes) for regexes in [when.path_regex] if regexes]
        tests += [self.host(patterns) for patterns in [when.host] if patterns]
        tests += [self.header(name, patterns) for name, patterns in when.header]
        tests += [self.query(name, patterns) for name, patterns in when.query]
        tests += [self.cookie(name, patterns) for name, patterns in when.cookie]
        tests += [self.source(blocks) for blocks in [when.source] if blocks]
        return tests[0] if len(tests) == 1 else self.combined(tests)

    def combined(self, tests: Sequence[Test]) -> Test:
        return lambda request: all(test(request) for test in tests)

    def method(self, methods: Sequence[str]) -> Test:
        wanted = frozenset(methods)
        return lambda request: request.method in wanted

    def path(self, patterns: Sequence[str]) -> Test:
        words = [pattern(p) for p in patterns]
        return lambda request: any(w(request.path) for w in words)

    def path_prefix(self, prefixes: Sequence[str]) -> Test:
        """By elements: /v1 and /v1/x, not /v10; a trailing slash of the prefix says nothing more."""
        bare = [p.rstrip("/") for p in prefixes]
        exact, below = frozenset(bare), tuple(p + "/" for p in bare)
        return lambda request: request.path in exact or request.path.startswith(below)

    def path_exact(self, paths: Sequence[str]) -> Test:
        wanted = frozenset(paths)
        return lambda request: request.path in wanted

    def path_regex(self, regexes: Sequence[str]) -> Test:
        searches = [re.compile(r, re.ASCII).search for r in regexes]
        return lambda request: any(search(request.path) for search in searches)

    def host(self, patterns: Sequence[str]) -> Test:
        words = [pattern(bare_host(p)) for p in patterns]
        return lambda request: any(w(bare_host(request.host)) for w in words)

    def header(self, name: str, patterns: Sequence[str]) -> Test:
        """Name and value case-insensitive; any of a repeated header's values will do."""
        lower, words = name.lower(), [pattern(p, fold=True) for p in patterns]
        if lower == "host":
            return lambda request: any(w(request.host) for w in words)
        return lambda request: any(w(value) for value in request.header(lower) for w in words)

    def query(self, name: str, patterns: Sequence[str]) -> Test:
        """Any occurrence of the key will do; keys and values are decoded."""
        words = [pattern(p) for p in patterns]
        return lambda request: any(w(value) for key, value in decoded(request.query) if key == name for w in words)

    def cookie(self, name: str, patterns: Sequence[str]) -> Test:
        words = [pattern(p) for p in patterns]
        return lambda request: any(w(value) for key, value in request.cookies if key == name for w in words)

    def source(self, blocks: Sequence[str]) -> Test:
        """The peer's own address, never X-Forwarded-For."""
        nets = networks(blocks)
        return lambda request: within(request.peer, nets)


def decoded(query: str) -> list[tuple[str, str]]:
    pairs = (pair.partition("=") for pair in query.split("&") if pair)
    return [(unquote_plus(key), unquote_plus(value)) for key, _, value in pairs]


class Router:
    """One listener's rules, lowest priority first."""

    def __init__(self, listener: Listener, conditional: Conditional) -> None:
        self.default: tuple[Action, Rewrite | None] = (listener.default, None)
        self.trust = networks(listener.forwarded.trust) if listener.forwarded else ()
        self.rules: list[tuple[Test, tuple[Action, Rewrite | None]]] = [
            (conditional.compile(rule.when), (rule.then, rule.rewrite))
            for rule in sorted(listener.rules, key=lambda r: r.priority)
        ]

    def route(self, request: Request) -> tuple[Action, Rewrite | None]:
        for matches, outcome in self.rules:
            if matches(request):
                return outcome
        return self.default


def forwarded_client(request: Request, trust: Sequence[Network]) -> str:
    """The client as a trusted peer tells it: the first untrusted address of X-Forwarded-For from the right."""
    if not within(request.peer, trust):
        return request.peer
    hops = [hop.strip() for line in request.header("x-forwarded-for") for hop in line.split(",") if hop.strip()]
    return next((hop for hop in reversed(hops) if not within(hop, trust)), hops[0] if hops else request.peer)


def drawn_pool(forward: Forward, rng: random.Random) -> str:
    """One draw by weight; a pool of weight 0 gets nothing (where all are 0, the first has to answer for it)."""
    left = rng.random() * sum(weight for _, weight in forward.pools)
    for name, weight in forward.pools:
        left -= weight
        if left < 0:
            return name
    return forward.pools[0][0]


def rewritten(rewrite: Rewrite, target: str) -> str:
    """Replaces the prefix by elements; the query stays."""
    path, mark, query = target.partition("?")
    old, new = (p.rstrip("/") for p in rewrite.path_prefix)
    if path != old and not path.startswith(old + "/"):
        return target
    return (new + path[len(old) :] or "/") + mark + query


DEFAULT_PORT = {"http": "80", "https": "443"}


def location(redirect: Redirect, listener: Listener, request: Request) -> str:
    """An absolute URL; the port is left out where it is the protocol's own."""
    tls = listener.protocol in (Protocol.HTTPS, Protocol.TLS)
    own = {
        "#{protocol}": "https" if tls else "http",
        "#{host}": bare_host(request.host),
        "#{port}": str(listener.port or DEFAULT_PORT["https" if tls else "http"]),
        "#{path}": request.path.removeprefix("/"),
        "#{query}": request.query,
    }

    def filled(template: str) -> str:
        return re.sub(r"#\{(?:protocol|host|port|path|query)\}", lambda m: own[m.group()], template)

    protocol, port, query = filled(redirect.protocol).lower(), filled(str(redirect.port)), filled(redirect.query)
    shown = "" if port == DEFAULT_PORT.get(protocol) else f":{port}"
    return f"{protocol}://{filled(redirect.host)}{shown}{filled(redirect.path)}" + (f"?{query}" if query else "")
