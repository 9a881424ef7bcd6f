"""Where lb.yaml and what was read in the configuration differ in a field: notes for a reader, never verdicts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import is_dataclass, replace
from itertools import pairwise
from typing import Any

from lbcheck.gate.alignment import Alignment, asked, rules
from lbcheck.importers.writing import flow
from lbcheck.report.model import Difference
from lbcheck.spec.fields import record_of
from lbcheck.spec.kinds import Kind, Maybe
from lbcheck.spec.model import Action, Algorithm, Conditions, Forward, Listener, Spec
from lbcheck.spec.shapes import Record

NAMES = frozenset({"name", "priority", "backends", "rules", "listeners", "pools", "certificates"})  # parts, and files
ABSENT = "nothing"

Say = Callable[[str, str, str], Difference]
"""(path in lb.yaml, what is said there, what the configuration says of it) with both lines."""


def differences(
    claimed: Spec, configured: Spec, alignment: Alignment, unread: frozenset[str], say: Say
) -> Iterator[Difference]:
    """`unread`: fields that the importer never reads, so that its silence says nothing."""
    configured = with_our_names(configured, alignment)
    for listener in claimed.listeners:
        other = _named(configured.listeners, alignment.configured(f"listeners.{listener.name}"), "listeners")
        path = f"listeners.{listener.name}"
        if other is None:
            yield say(path, f"listener {listener.name}", ABSENT)
            continue
        yield from _fields(listener, other, path, unread, say)
        yield from _rules(listener, other, path, unread, say)
    for pool in claimed.pools:
        path = f"pools.{pool.name}"
        other_pool = _named(configured.pools, alignment.configured(path), "pools")
        if other_pool is None:
            yield say(path, f"pool {pool.name}", ABSENT)
            continue
        for backend in pool.backends:
            inner = f"{path}.backends.{backend.name}"
            place = f"pools.{other_pool.name}.backends"
            same = _named(other_pool.backends, alignment.configured(inner), place)
            if same is None:
                yield say(inner, f"backend {backend.name}", ABSENT)
            else:
                yield from _fields(backend, same, inner, unread, say)
        yield from _fields(pool, other_pool, path, unread, say)
    yield from _fields(claimed.claims, configured.claims, "claims", unread, say)


def with_our_names(configured: Spec, alignment: Alignment) -> Spec:
    """The configuration's spec with forwards to pools as lb.yaml calls them."""
    ours = {there.removeprefix("pools."): path.removeprefix("pools.") for path, there in alignment.nodes.items()}

    def named(action: Action) -> Action:
        if not isinstance(action, Forward):
            return action
        return Forward(tuple((ours.get(name, name), weight) for name, weight in action.pools))

    listeners = tuple(
        replace(x, default=named(x.default), rules=tuple(replace(r, then=named(r.then)) for r in x.rules))
        for x in configured.listeners
    )
    return replace(configured, listeners=listeners)


def _named(items: Any, path: str | None, above: str) -> Any:
    return next((item for item in items if path == f"{above}.{item.name}"), None)


def _rules(ours: Listener, theirs: Listener, path: str, unread: frozenset[str], say: Say) -> Iterator[Difference]:
    found = list(rules(ours, theirs))
    for rule, other in found:
        yield from _fields(rule, other, f"{path}.rules.{rule.priority}", unread, say)
    known = {rule.priority for rule, _ in found}
    for rule in ours.rules:
        if rule.priority not in known:
            yield say(f"{path}.rules.{rule.priority}", f"rule {rule.priority}", ABSENT)
    yield from _order(found, path, say)


def _order(found: list[tuple[Any, Any]], path: str, say: Say) -> Iterator[Difference]:
    """Numbers may be others; which comes first may not."""
    in_order = sorted(found, key=lambda pair: pair[0].priority)
    for (rule, other), (later, other_later) in pairwise(in_order):
        if other.priority > other_later.priority:
            here = f"{path}.rules.{rule.priority}"
            yield say(here, f"rule {rule.priority} before rule {later.priority}", "the other way round")


def _fields(one: Any, other: Any, path: str, unread: frozenset[str], say: Say) -> Iterator[Difference]:
    cls: type = type(one)
    record = record_of(cls)
    for name, kind in record.kinds.items():
        if name in NAMES or name in unread:
            continue
        ours, theirs = getattr(one, name), getattr(other, name)
        if ours == theirs or _alike(ours, theirs):
            continue
        here = f"{path}.{name}"
        inner = kind.kind if isinstance(kind, Maybe) else kind
        both = ours is not None and theirs is not None
        if isinstance(inner, Record) and both and is_dataclass(ours) and not isinstance(ours, Conditions):
            yield from _fields(ours, theirs, here, unread, say)
        else:
            yield say(here, shown(name, kind, ours), shown(name, kind, theirs))


def _alike(ours: Any, theirs: Any) -> bool:
    if isinstance(ours, Conditions) and isinstance(theirs, Conditions):
        return asked(ours) == asked(theirs)
    # Weights tell by themselves where they differ.
    return isinstance(ours, Algorithm) and ours.value.removeprefix("weighted_") == theirs.value.removeprefix(
        "weighted_"
    )


def shown(name: str, kind: Kind, value: Any) -> str:
    """`interval: 30s`, as lb.yaml has it."""
    return f"{name}: {flow(kind, value)}"
