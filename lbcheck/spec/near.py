"""Random requests on both sides of rules' borders: witnesses of one value each, mixed, with a thing or two changed.

What is changed stays lawful: one Cookie line, nothing repeated that may not be, and no empty segment in a path, which
some products merge. The same seed gives the same requests.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields, replace
from typing import Any

from lbcheck.spec.generate import COOKIES, HEADERS, METHODS, PEERS, QUERY, SENT_HOSTS, VALUES, random_path
from lbcheck.spec.model import Conditions, Forward, Listener, Rule
from lbcheck.spec.request import Request
from lbcheck.spec.witness import witnesses

SINGLE = frozenset({"user-agent", "content-type", "referer", "authorization", "cookie"})  # RFC 9110 section 5.3
LOOPBACK = ipaddress.IPv4Network("127.0.0.0/8")
PARTS = ("target", "target", "host", "method", "headers", "headers", "query", "query", "source")

Headers = tuple[tuple[str, str], ...]


def random_request(rng: random.Random, rules: Sequence[Rule]) -> Request:
    """A third drawn freely, the others of one or two rules' witnesses with none, one or two parts changed."""
    if not rules or rng.random() < 0.35:
        return _free(rng)
    request = _met(rng, rules)
    if rng.random() < 0.4:
        request = _mixed(rng, request, _met(rng, rules))
    for _ in range(rng.choice((0, 1, 1, 2))):
        request = near_miss(rng, request, rules)
    return request


def _met(rng: random.Random, rules: Sequence[Rule]) -> Request:
    """A request that meets one rule by one value of each of its conditions, any of them."""
    rule = rng.choice(rules)
    one = replace(rule, when=narrowed(rng, rule.when))
    listener = Listener("generated", Forward((("default", 1),)), rules=(one,))
    return next(witnesses(listener, one), None) or _free(rng)


def narrowed(rng: random.Random, when: Conditions) -> Conditions:
    """The same conditions with one value each."""
    values: dict[str, Any] = {}
    for kind in (field.name for field in fields(when)):
        given = getattr(when, kind)
        named = kind in ("header", "query", "cookie")
        values[kind] = tuple((n, (rng.choice(p),)) for n, p in given) if named else given and (rng.choice(given),)
    return Conditions(**values)


def singled(when: Conditions) -> Iterator[Conditions]:
    """For each value of each condition: the same conditions with this one in its list's place."""
    for kind in (field.name for field in fields(when)):
        given = getattr(when, kind)
        if kind not in ("header", "query", "cookie"):
            yield from (replace(when, **{kind: (value,)}) for value in given)
            continue
        for at, (name, patterns) in enumerate(given):
            for pattern in patterns:
                yield replace(when, **{kind: (*given[:at], (name, (pattern,)), *given[at + 1 :])})


def _mixed(rng: random.Random, one: Request, other: Request) -> Request:
    """Each part of one or the other; headers and queries also of both."""
    headers = rng.choice((one.headers, other.headers, one.headers + other.headers))
    queries = rng.choice(([one.query], [other.query], [one.query, other.query]))
    query = "&".join(filter(None, queries))
    return Request(
        method=rng.choice((one.method, other.method)),
        target=rng.choice((one.path, other.path)) + (f"?{query}" if query else ""),
        host=rng.choice((one.host, other.host)),
        headers=lawful(headers),
        source=rng.choice((one.source, other.source)),
    )


def near_miss(rng: random.Random, request: Request, rules: Sequence[Rule] = ()) -> Request:
    """The same request with one part changed a little: case, a slash, one character, a port, a repeated header."""
    part = rng.choice(PARTS)
    if part == "target":
        return replace(request, target=_changed_path(rng, request.path) + request.target[len(request.path) :])
    if part == "host":
        return replace(request, host=_changed_host(rng, request.host))
    if part == "method":
        return replace(request, method=rng.choice(METHODS))
    if part == "headers":
        return replace(request, headers=lawful(_changed_headers(rng, request.headers, rules)))
    if part == "query":
        return replace(request, target=request.path + _changed_query(rng, request.query, rules))
    return replace(request, source=rng.choice([*PEERS, *edges(block for rule in rules for block in rule.when.source)]))


def lawful(headers: Headers) -> Headers:
    """One Cookie line (RFC 6265 section 5.4) and the first of what may not be repeated."""
    kept: list[tuple[str, str]] = []
    cookies = [value for name, value in headers if name.lower() == "cookie" and value]
    for name, value in headers:
        if name.lower() not in SINGLE:
            kept.append((name, value))
        elif name.lower() not in {n.lower() for n, _ in kept}:
            kept.append((name, "; ".join(cookies) if name.lower() == "cookie" else value))
    return tuple(kept)


def edges(blocks: Iterable[str]) -> list[str]:
    """First and last addresses of IPv4 networks on loopback, and those just outside."""
    found = []
    for network in (ipaddress.ip_network(block) for block in blocks):
        if isinstance(network, ipaddress.IPv4Network) and network.subnet_of(LOOPBACK):
            first, last = network.network_address, network.broadcast_address
            found += [first, last, *(a for a in (first - 1, last + 1) if a in LOOPBACK)]
    # From the very ends of 127.0.0.0/8 nobody can send.
    return [str(a) for a in dict.fromkeys(found) if LOOPBACK.network_address < a < LOOPBACK.broadcast_address]


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
        path[:at] + "0" + path[at + 1 :],
        "/x" + path,
    )
    return rng.choice([change for change in changes if "//" not in change] or [path])


def _changed_host(rng: random.Random, host: str) -> str:
    """Its port and final dot are gone first; a dot may become another character, and a label go or come."""
    name = host.partition(":")[0].rstrip(".")
    changes = (
        name.upper(),
        f"{name}.",
        f"{name}:8080",
        f"{name}.:8080",
        f"{name.swapcase()}:80",
        f"x{name}",
        f"x.{name}",
        f"{name}x",
        f"{name}.x",
        name.partition(".")[2] or name,
        name.replace(".", "x", 1),
        rng.choice(SENT_HOSTS),
    )
    return rng.choice(changes)


def _some_name(rng: random.Random, rules: Sequence[Rule], kind: str, known: Sequence[str]) -> tuple[str, str]:
    """(name, value) for a condition of the kind: of a rule, its case or its value changed, or of the vocabulary.

    A rule's name gets no empty value, which some products take for none.
    """
    declared = [pair for rule in rules for pair in getattr(rule.when, kind)]
    if not declared or rng.random() < 0.3:
        return rng.choice(known), rng.choice(VALUES) or "w"
    name, patterns = rng.choice(declared)
    pattern = rng.choice(patterns)
    text = "".join({"*": rng.choice(("", "w", "a-b")), "?": rng.choice(("", "x", "xy"))}.get(c, c) for c in pattern)
    value = rng.choice((text, text, text.swapcase(), text + "x", "x" + text, text[:-1], rng.choice(VALUES)))
    return rng.choice((name, name, name, name.swapcase(), name + "x", "x" + name)), value.strip() or "w"


def _changed_headers(rng: random.Random, headers: Headers, rules: Sequence[Rule]) -> Headers:
    if headers and rng.random() < 0.3:
        at = rng.randrange(len(headers))
        own, held = headers[at]
        changed = rng.choice(((own.upper(), held), (own, held.swapcase()), (own, f"{held}x"), (own, f"x{held}")))
        return (*headers[:at], changed, *headers[at + 1 :])
    if rng.random() < 0.4:
        field = ("Cookie", "=".join(_cookie(rng, rules)))
    else:
        field = _some_name(rng, rules, "header", sorted(HEADERS))
    return rng.choice(((field, *headers), (*headers, field), (*headers, field), headers[:-1]))


def _cookie(rng: random.Random, rules: Sequence[Rule]) -> tuple[str, str]:
    name, value = _some_name(rng, rules, "cookie", sorted(COOKIES))
    return name, "".join(c for c in value if c not in ' ;,"\\')


def _changed_query(rng: random.Random, query: str, rules: Sequence[Rule]) -> str:
    if rng.random() < 0.3:
        pair = f"{rng.choice(('version', 'Version', 'q', 'a%20b', 'a+b'))}={rng.choice(VALUES)}"
    else:
        name, value = _some_name(rng, rules, "query", sorted(QUERY))
        pair = f"{_sendable(name)}={_sendable(value)}"
    changed = rng.choice((f"{query}&{pair}", f"{pair}&{query}", f"a=1&{pair}", pair, query.swapcase(), query + "x", ""))
    return f"?{changed.strip('&')}" if changed.strip("&") else ""


def _sendable(text: str) -> str:
    """As a query may hold it; letters stay letters, since not every product decodes."""
    return "".join(c if c.isalnum() or c in "-._~*" else f"%{ord(c):02X}" for c in text)


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
