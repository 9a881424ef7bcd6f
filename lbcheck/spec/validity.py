"""What cannot be carried out although each word of it is right: SpecError with the place, the first one found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lbcheck.errors import Location, SpecError
from lbcheck.spec.kinds import nearest
from lbcheck.spec.model import Action, Conditions, Forward, Listener, Pool, Protocol, Rule, Spec

MOST_WEIGHT = 999  # of a pool in a forward (ALB's bound)
L4 = frozenset({Protocol.TCP, Protocol.TLS, Protocol.UDP})
EVERYWHERE = frozenset({"0.0.0.0", "::", "*"})


@dataclass(frozen=True, slots=True)
class Problem:
    path: str
    text: str
    remedy: str = ""


def validate(spec: Spec, places: Mapping[str, Location], file: str, *, placed: bool) -> None:
    """`placed`: every listener has address and port, every backend an address."""
    for problem in problems(spec, placed=placed):
        at = place(problem.path, places, file)
        raise SpecError(f"{problem.path}: {problem.text}", at=at, remedy=problem.remedy)


def place(path: str, places: Mapping[str, Location], file: str) -> Location:
    """The line of a path, or of the nearest thing around it that has one."""
    while path:
        if path in places:
            return places[path]
        path = path.rpartition(".")[0]
    return Location(file)


def problems(spec: Spec, *, placed: bool) -> Iterator[Problem]:
    if not spec.listeners:
        yield Problem("listeners", "expected at least one listener")
    yield from _twice("listeners", [listener.name for listener in spec.listeners], "listeners with the name")
    for listener in spec.listeners:
        yield from _listener(listener, spec, placed)
    yield from _ports(spec.listeners)
    for pool in spec.pools:
        yield from _pool(pool, placed)


def _twice(path: str, names: list[str], noun: str) -> Iterator[Problem]:
    for index, name in enumerate(names):
        if name and name in names[:index]:
            yield Problem(f"{path}.{name}", f"two {noun} {name}")


def _listener(listener: Listener, spec: Spec, placed: bool) -> Iterator[Problem]:
    path = f"listeners.{listener.name}"
    for word in ("address", "port") if placed else ():
        if getattr(listener, word) is None:
            yield Problem(path, f"{word} is missing", f"Say where it listens: `{word}: ...`.")
    yield from _twice(f"{path}.rules", [str(rule.priority) for rule in listener.rules], "rules with the priority")
    yield from _names_of_rules(listener, path)
    yield from _action(listener.default, f"{path}.default", listener, spec)
    if listener.protocol in L4:
        yield from _layer_4(listener, path)
    for rule in listener.rules:
        yield from _rule(rule, f"{path}.rules.{rule.priority}", listener, spec)
    for certificate in listener.certificates:
        if (certificate.cert is None) != (certificate.key is None):
            yield Problem(f"{path}.certificates", "expected cert and key together, or neither (the lab makes them)")


def _names_of_rules(listener: Listener, path: str) -> Iterator[Problem]:
    seen: set[str] = set()
    for rule in listener.rules:
        if rule.name and rule.name in seen:
            yield Problem(f"{path}.rules.{rule.priority}.name", f"two rules with the name {rule.name}")
        seen.add(rule.name)


def _layer_4(listener: Listener, path: str) -> Iterator[Problem]:
    name = listener.protocol.value
    if listener.rules:
        yield Problem(f"{path}.rules", f"a listener of {name} reads no requests, so it cannot follow rules")
    if not isinstance(listener.default, Forward):
        yield Problem(f"{path}.default", f"a listener of {name} can only forward")
    if listener.http2:
        yield Problem(f"{path}.http2", f"a listener of {name} speaks no HTTP/2")
    if listener.forwarded is not None:
        yield Problem(f"{path}.forwarded", f"a listener of {name} adds no headers")


def _rule(rule: Rule, path: str, listener: Listener, spec: Spec) -> Iterator[Problem]:
    if rule.when == Conditions():
        yield Problem(path, "a rule with no condition", "Say when it acts, or make it the listener's `default`.")
    for kind in ("header", "query", "cookie"):
        for name, patterns in getattr(rule.when, kind):
            if not patterns:
                yield Problem(f"{path}.when.{kind}.{name}", "expected at least one pattern", 'Such as "*".')
    if rule.rewrite is not None and not isinstance(rule.then, Forward):
        yield Problem(f"{path}.rewrite", "a rewrite is done before forwarding, and this rule does not forward")
    yield from _action(rule.then, f"{path}.then", listener, spec)


def _action(action: Action, path: str, listener: Listener, spec: Spec) -> Iterator[Problem]:
    if not isinstance(action, Forward):
        return
    names = [pool.name for pool in spec.pools]
    for name, weight in action.pools:
        if name not in names:
            yield Problem(f"{path}.forward", f"there is no pool {name!r}", nearest(name, names))
            continue
        if weight > MOST_WEIGHT:
            yield Problem(f"{path}.forward.{name}", f"expected a weight of at most {MOST_WEIGHT}, got {weight}")
        protocol = spec.pool(name).protocol
        if not _fits(listener.protocol, protocol):
            text = f"a listener of {listener.protocol.value} cannot forward to {name}, a pool of {protocol.value}"
            yield Problem(f"{path}.forward", text)


def _fits(listener: Protocol, pool: Protocol) -> bool:
    if (listener is Protocol.UDP) != (pool is Protocol.UDP):
        return False
    return listener in L4 or pool not in L4


def _ports(listeners: tuple[Listener, ...]) -> Iterator[Problem]:
    taken: list[Listener] = []
    for listener in listeners:
        for other in taken if listener.port is not None else ():
            if other.port == listener.port and _overlap(other, listener):
                shown = f"{listener.address}:{listener.port}"
                yield Problem(f"listeners.{listener.name}.port", f"{shown} is taken by listener {other.name}")
        taken.append(listener)


def _overlap(one: Listener, two: Listener) -> bool:
    if (one.protocol is Protocol.UDP) != (two.protocol is Protocol.UDP):
        return False
    return one.address == two.address or bool({one.address, two.address} & EVERYWHERE)


def _pool(pool: Pool, placed: bool) -> Iterator[Problem]:
    path = f"pools.{pool.name}"
    yield from _twice(f"{path}.backends", [backend.name for backend in pool.backends], "backends with the name")
    for backend in pool.backends if placed else ():
        if backend.address is None:
            yield Problem(f"{path}.backends.{backend.name}", "address is missing", "Say `address: host:port`.")
    if pool.proxy_protocol == "v1" and pool.protocol is Protocol.UDP:
        yield Problem(f"{path}.proxy_protocol", "PROXY v1 knows no UDP")
    if pool.stickiness is not None and pool.stickiness.type != "source_ip" and pool.protocol in L4:
        yield Problem(f"{path}.stickiness.type", f"a {pool.protocol.value} pool has no cookies; say source_ip")
