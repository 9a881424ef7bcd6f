"""The routing oracle: the naive reading of what a rule's words mean, which every balancer is held against.

What is matched. The path is the request target up to the first `?`, exactly as sent: nothing is decoded, no dot
segment removed, no slash merged, so `/%61` is not `/a`. Paths, methods, query keys and values, cookie names and values
are case-sensitive; hosts, header names and header values are not. Query keys and values are percent-decoded (`+` is a
space, as forms have it); every occurrence of a key is looked at, as is every occurrence of a header. The host is
matched without its port and without a trailing dot. The source is the peer's address, never X-Forwarded-For.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import parse_qsl

from lbcheck.spec.model import Action, Conditions, Forward, Listener, Protocol, Redirect, Rewrite, Rule, Spec
from lbcheck.spec.patterns import has_prefix, matches_glob
from lbcheck.spec.regex import compiled
from lbcheck.spec.request import Request

PLACEHOLDER = re.compile(r"#\{(protocol|host|port|path|query)\}")
DEFAULT_PORTS = {"http": "80", "https": "443"}


@dataclass(frozen=True, slots=True)
class Routed:
    """What becomes of a request: `rule` is None for the default, `target` is what a backend sees."""

    rule: Rule | None
    action: Action
    rewrite: Rewrite | None
    target: str

    @property
    def pools(self) -> tuple[str, ...]:
        """The pools that may get it: those of a forward with a weight above 0."""
        return tuple(name for name, weight in self.action.pools if weight) if isinstance(self.action, Forward) else ()


def route(spec: Spec, listener_name: str, request: Request) -> Routed:
    """The rule with the lowest priority whose conditions all hold acts, else the default."""
    return route_listener(spec.listener(listener_name), request)


def route_listener(listener: Listener, request: Request) -> Routed:
    matching = [rule for rule in listener.rules if matches(rule.when, request)]
    if not matching:
        return Routed(None, listener.default, None, request.target)
    rule = min(matching, key=lambda rule: rule.priority)
    target = request.target if rule.rewrite is None else rewritten(rule.rewrite, request.target)
    return Routed(rule, rule.then, rule.rewrite, target)


def matches(conditions: Conditions, request: Request) -> bool:
    """Every condition that is not empty holds; within one, any value will do."""
    return (
        matches_path(conditions, request.path)
        and _any(conditions.host, lambda pattern: matches_glob(bare_host(pattern), bare_host(request.host)))
        and _any(conditions.method, lambda method: method == request.method)
        and all(_header(name, patterns, request) for name, patterns in conditions.header)
        and all(_query(key, patterns, request) for key, patterns in conditions.query)
        and all(_cookie(name, patterns, request) for name, patterns in conditions.cookie)
        and _any(conditions.source, lambda network: within(request.source, network))
    )


def matches_path(conditions: Conditions, path: str) -> bool:
    """The four kinds of path conditions, each of which must hold where it is given."""
    return (
        _any(conditions.path, lambda pattern: matches_glob(pattern, path))
        and _any(conditions.path_prefix, lambda prefix: has_prefix(path, prefix))
        and _any(conditions.path_exact, lambda exact: path == exact)
        and _any(conditions.path_regex, lambda regex: compiled(regex).search(path) is not None)
    )


def _any(values: tuple[str, ...], holds: Callable[[str], bool]) -> bool:
    return not values or any(holds(value) for value in values)


def _header(name: str, patterns: tuple[str, ...], request: Request) -> bool:
    values = (request.host,) if name.lower() == "host" else request.header(name)
    return any(matches_glob(pattern, value, fold=True) for pattern in patterns for value in values)


def _query(key: str, patterns: tuple[str, ...], request: Request) -> bool:
    values = [value for name, value in query_pairs(request.query) if name == key]
    return any(matches_glob(pattern, value) for pattern in patterns for value in values)


def _cookie(name: str, patterns: tuple[str, ...], request: Request) -> bool:
    values = [value for cookie, value in cookies(request) if cookie == name]
    return any(matches_glob(pattern, value) for pattern in patterns for value in values)


def query_pairs(query: str) -> list[tuple[str, str]]:
    """Decoded (key, value) in order; a key without `=` has the value ""."""
    return parse_qsl(query, keep_blank_values=True)


def cookies(request: Request) -> list[tuple[str, str]]:
    """(name, value) of all Cookie headers (RFC 6265, 5.4): split at `;`, trimmed, a value's double quotes kept."""
    parts = [part.strip() for line in request.header("cookie") for part in line.split(";")]
    return [(name.strip(), value.strip()) for name, equals, value in (part.partition("=") for part in parts) if equals]


def bare_host(host: str) -> str:
    """Lower case, without port and trailing dot; an IPv6 literal keeps its brackets."""
    name = host.lower()
    if not name.endswith("]"):
        stem, colon, port = name.rpartition(":")
        name = stem if colon and (port.isdigit() or not port) else name
    return name.removesuffix(".")


@lru_cache(maxsize=4096)
def within(address: str, network: str) -> bool:
    """Is this address in the network? An IPv4-mapped IPv6 peer counts as its IPv4 address."""
    peer = ipaddress.ip_address(address)
    mapped = getattr(peer, "ipv4_mapped", None)
    return (mapped or peer) in ipaddress.ip_network(network)


def rewritten(rewrite: Rewrite, target: str) -> str:
    """The target with the prefix of its path replaced, by elements; the query stays. Other paths are left alone."""
    old, new = (prefix.rstrip("/") for prefix in rewrite.path_prefix)
    path, mark, query = target.partition("?")
    if not has_prefix(path, old):
        return target
    return (new + path[len(old) :] or "/") + mark + query


def scheme(listener: Listener) -> str:
    """What its clients' URLs begin with."""
    return "https" if listener.protocol in (Protocol.HTTPS, Protocol.TLS) else "http"


def location(redirect: Redirect, listener: Listener, request: Request) -> str:
    """The Location of a redirect: an absolute URL; a port that is the scheme's own is left away.

    `#{host}` is the Host in lower case and without its port, `#{port}` the listener's port, `#{path}` the path without
    its first slash. Hosts and schemes are to be compared without regard to case (RFC 3986, 6.2.2.1).
    """
    own = {
        "protocol": scheme(listener),
        "host": bare_host(request.host),
        "port": str(listener.port or DEFAULT_PORTS[scheme(listener)]),
        "path": request.path.removeprefix("/"),
        "query": request.query,
    }
    protocol = _fill(redirect.protocol, own).lower()
    host, port = _fill(redirect.host, own), _fill(redirect.port, own)
    path, query = _fill(redirect.path, own), _fill(redirect.query, own)
    authority = host if DEFAULT_PORTS.get(protocol) == port else f"{host}:{port}"
    return f"{protocol}://{authority}{path}" + (f"?{query}" if query else "")


def _fill(template: str, own: dict[str, str]) -> str:
    """One pass, so that a path that contains `#{host}` is not filled in again."""
    return PLACEHOLDER.sub(lambda found: own[found[1]], template)
