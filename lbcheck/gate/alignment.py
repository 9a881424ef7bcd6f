"""Which part of the configuration is which part of lb.yaml: by place where there is one, by meaning, then by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from lbcheck.spec.model import Conditions, Listener, Pool, Rule, Spec

T = TypeVar("T", Listener, Pool, Rule, Any)
Likeness = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Alignment:
    """`nodes` maps paths of lb.yaml's listeners, rules, pools and backends to those of the configuration's spec."""

    nodes: Mapping[str, str]

    def configured(self, path: str) -> str | None:
        """The path in the configuration's spec; None where the part has no counterpart there.

        Names may hold dots, so paths are never cut: the longest node that leads to it decides.
        """
        node = max((n for n in self.nodes if path == n or path.startswith(f"{n}.")), key=len, default=None)
        if node is None:
            return None if path.startswith(("listeners.", "pools.")) else path
        inner = path[len(node) :]
        return None if inner.startswith((".rules.", ".backends.")) else self.nodes[node] + inner


def aligned(claimed: Spec, configured: Spec) -> Alignment:
    return Alignment(dict([*_listeners(claimed, configured), *_pools(claimed, configured)]))


def _listeners(claimed: Spec, configured: Spec) -> Iterator[tuple[str, str]]:
    likes: list[Likeness] = [lambda x: (x.address, x.port) if x.port else None, lambda x: x.port, lambda x: x.name]
    for one, other in pairs(claimed.listeners, configured.listeners, likes):
        path, there = f"listeners.{one.name}", f"listeners.{other.name}"
        yield path, there
        for rule, same in rules(one, other):
            yield f"{path}.rules.{rule.priority}", f"{there}.rules.{same.priority}"


def rules(claimed: Listener, configured: Listener) -> Iterator[tuple[Rule, Rule]]:
    """By what they ask; those that are left, by their number, then by what they do."""
    asks: list[Likeness] = [lambda r: asked(r.when), lambda r: r.priority, lambda r: r.then]
    yield from pairs(claimed.rules, configured.rules, asks)


def _pools(claimed: Spec, configured: Spec) -> Iterator[tuple[str, str]]:
    likes: list[Likeness] = [lambda p: p.name, lambda p: {b.address for b in p.backends} - {None} or None]
    for one, other in pairs(claimed.pools, configured.pools, likes):
        path, there = f"pools.{one.name}", f"pools.{other.name}"
        yield path, there
        places: list[Likeness] = [lambda b: b.address, lambda b: b.name]
        for backend, same in pairs(one.backends, other.backends, places):
            yield f"{path}.backends.{backend.name}", f"{there}.backends.{same.name}"


def pairs(ours: Sequence[T], theirs: Sequence[T], likes: Sequence[Likeness]) -> list[tuple[T, T]]:
    """Each with the first of theirs that is alike and free, in our order; one likeness for all before the next.

    None is like nothing.
    """
    found: dict[int, int] = {}
    for like in likes:
        for at, one in enumerate(ours):
            if at in found or (wanted := like(one)) is None:
                continue
            free = (n for n, other in enumerate(theirs) if n not in found.values() and like(other) == wanted)
            if (other := next(free, None)) is not None:
                found[at] = other
    return [(ours[at], theirs[found[at]]) for at in sorted(found)]


def asked(when: Conditions) -> tuple[Any, ...]:
    """Conditions, however they are ordered."""
    return tuple(sorted(map(repr, getattr(when, field.name))) for field in fields(Conditions))
