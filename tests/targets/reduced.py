"""The part of a spec that a target can carry out: its listeners one by one, and why the others cannot be."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from lbcheck.features import Feature
from lbcheck.lab.placing import placed
from lbcheck.spec.model import Forward, Listener, Spec
from lbcheck.spec.needs import features_needed


@dataclass(frozen=True, slots=True)
class Product:
    """What this module asks of a target, without the program itself."""

    features: frozenset[Feature]
    lacks: Callable[[Feature], str]
    limits: Callable[[Spec], Iterable[str]]


def reduced(spec: Spec, product: Product) -> tuple[Spec | None, tuple[str, ...]]:
    """(the spec with the listeners that can be rendered, reasons for the others); a placed spec stays placed."""
    kept: list[Listener] = []
    reasons: list[str] = []
    for listener in spec.listeners:
        found = _reasons(with_listeners(spec, [listener]), product)
        reasons += found
        if not found:
            kept.append(listener)
    return (with_listeners(spec, kept) if kept else None), tuple(dict.fromkeys(reasons))


def _reasons(spec: Spec, product: Product) -> list[str]:
    missing = [need for need in features_needed(spec) if need.feature not in product.features]
    return [f"{need.path}: {product.lacks(need.feature)}" for need in missing] + list(product.limits(spec))


def with_listeners(spec: Spec, listeners: list[Listener]) -> Spec:
    actions = [action for x in listeners for action in (x.default, *(rule.then for rule in x.rules))]
    named = {pool for action in actions if isinstance(action, Forward) for pool, _ in action.pools}
    return replace(spec, listeners=tuple(listeners), pools=tuple(pool for pool in spec.pools if pool.name in named))


def fixed(spec: Spec) -> Spec:
    """At addresses that are always the same."""
    listeners = {listener.name: ("127.0.0.1", 8001 + n) for n, listener in enumerate(spec.listeners)}
    keys = [(pool.name, backend.name) for pool in spec.pools for backend in pool.backends]
    return placed(spec, listeners, {key: ("127.0.1.1", 9001 + n) for n, key in enumerate(keys)})
