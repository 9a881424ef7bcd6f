"""What is doubtful but runs: findings, each with its place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lbcheck.errors import Location
from lbcheck.spec.inclusion import includes
from lbcheck.spec.model import Algorithm, Forward, Listener, Pool, Protocol, Spec
from lbcheck.spec.validity import place as place_of
from lbcheck.spec.witness import witnesses


@dataclass(frozen=True, slots=True)
class Finding:
    text: str
    location: Location

    def __str__(self) -> str:
        return f"{self.location}: {self.text}"


def doubts(spec: Spec, places: Mapping[str, Location], file: str) -> tuple[Finding, ...]:
    """All findings, in the order of the spec."""
    found = [*_listeners(spec), *(doubt for pool in spec.pools for doubt in _pool(pool, places)), *_unused(spec)]
    return tuple(Finding(f"{path}: {text}", place_of(path, places, file)) for path, text in found)


def _listeners(spec: Spec) -> Iterator[tuple[str, str]]:
    for listener in spec.listeners:
        path = f"listeners.{listener.name}"
        yield from _shadowed(listener, path)
        actions = [(f"{path}.default", listener.default)]
        actions += [(f"{path}.rules.{rule.priority}.then", rule.then) for rule in listener.rules]
        for where, action in actions:
            if isinstance(action, Forward) and not any(weight for _, weight in action.pools):
                yield where, "all weights are zero, so nothing can be forwarded"
        if listener.certificates and listener.protocol not in (Protocol.HTTPS, Protocol.TLS):
            yield f"{path}.certificates", f"a listener of {listener.protocol.value} shows no certificate"


def _shadowed(listener: Listener, path: str) -> Iterator[tuple[str, str]]:
    ordered = sorted(listener.rules, key=lambda rule: rule.priority)
    for index, rule in enumerate(ordered):
        place = f"{path}.rules.{rule.priority}"
        taker = next((earlier for earlier in ordered[:index] if includes(earlier.when, rule.when)), None)
        if taker is not None:
            other = f"rule {taker.priority}" + (f" ({taker.name})" if taker.name else "")
            yield place, f"shadowed: all that it matches is taken by {other}"
        elif next(witnesses(listener, rule), None) is None:
            yield place, "no request was found that reaches it: its conditions exclude each other, or earlier rules do"


def _pool(pool: Pool, places: Mapping[str, Location]) -> Iterator[tuple[str, str]]:
    path = f"pools.{pool.name}"
    check, stickiness = pool.health_check, pool.stickiness
    if not pool.backends:
        yield f"{path}.backends", "no backends: every request gets the balancer's own error"
    elif not any(backend.weight for backend in pool.backends):
        yield f"{path}.backends", "all weights are zero, so no backend gets a request"
    elif all(backend.backup for backend in pool.backends):
        yield f"{path}.backends", "all backends are backups"
    if check is not None and check.timeout > check.interval:
        yield f"{path}.health_check.timeout", "the timeout is longer than the interval, so probes overlap or come late"
    if stickiness is not None and stickiness.type == "app_cookie" and f"{path}.stickiness.cookie" not in places:
        yield f"{path}.stickiness", f"app_cookie without the cookie's name; {stickiness.cookie} is the balancer's own"
    if f"{path}.order" in places and pool.algorithm is not Algorithm.WEIGHTED_ROUND_ROBIN:
        yield f"{path}.order", f"order has no meaning for {pool.algorithm.value}"
    if f"{path}.hash_key" in places and pool.algorithm is not Algorithm.CONSISTENT_HASH:
        yield f"{path}.hash_key", f"hash_key has no meaning for {pool.algorithm.value}"
    yield from _weights(pool, path)
    yield from _addresses(pool, path)


def _weights(pool: Pool, path: str) -> Iterator[tuple[str, str]]:
    weightless = (Algorithm.ROUND_ROBIN, Algorithm.LEAST_CONNECTIONS)
    if pool.algorithm in weightless and len({b.weight for b in pool.backends if b.weight}) > 1:
        name = pool.algorithm.value
        yield f"{path}.algorithm", f"{name} does not look at the weights; say weighted_{name}"
    if pool.passive_health is not None and pool.passive_health.max_ejected == 0:
        yield f"{path}.passive_health.max_ejected", "nothing may be ejected, so passive health never acts"


def _addresses(pool: Pool, path: str) -> Iterator[tuple[str, str]]:
    seen: dict[str, str] = {}
    for backend in pool.backends:
        if backend.address is not None and backend.address in seen:
            yield f"{path}.backends.{backend.name}", f"the same address as backend {seen[backend.address]}"
        elif backend.address is not None:
            seen[backend.address] = backend.name


def _unused(spec: Spec) -> Iterator[tuple[str, str]]:
    actions = [x.default for x in spec.listeners] + [rule.then for x in spec.listeners for rule in x.rules]
    used = {name for action in actions if isinstance(action, Forward) for name, _ in action.pools}
    for pool in spec.pools:
        if pool.name not in used:
            yield f"pools.{pool.name}", "unused: no listener and no rule forwards to it"
