"""The smallest spec that still makes one subject's claim, so that what else a file says can neither help nor hinder."""

from __future__ import annotations

from dataclasses import replace

from lbcheck.spec.model import Action, Forward, Listener, Pool, Protocol, Rule, Spec
from lbcheck.spec.subject import Subject


def only(spec: Spec, subject: Subject) -> Spec:
    """A pool: itself behind one listener; a rule or listener: that listener, its rules and their pools; else all.

    Claims of the whole (`reload`, `websocket`) are dropped from a slice: they are the whole spec's subject.
    """
    if isinstance(subject.value, Pool):
        return _of_pool(spec, subject.value)
    if isinstance(subject.value, Rule):
        return _of_listener(spec, spec.listener(subject.listener or ""))
    if isinstance(subject.value, Listener):
        return _of_listener(spec, subject.value)
    return spec


def _of_pool(spec: Spec, pool: Pool) -> Spec:
    """The listener keeps whom it trusts, since a source hash reads it, and loses all else that pools do not see."""
    listener = _listener_for(spec, pool)
    forwarded = listener.forwarded if listener.forwarded is not None and listener.forwarded.trust else None
    default = Forward(((pool.name, 1),))
    bare = replace(listener, default=default, rules=(), forwarded=forwarded)
    return _slice(spec, bare, (pool,))


def _listener_for(spec: Spec, pool: Pool) -> Listener:
    """The one whose default goes to the pool alone, else one that can reach it, else the first of a like protocol."""
    target = Forward(((pool.name, 1),))

    def distance(listener: Listener) -> int:
        if isinstance(listener.default, Forward) and pools_of(listener.default) == pools_of(target):
            return 0
        actions = [listener.default, *(rule.then for rule in listener.rules)]
        if any(pool.name in pools_of(action) for action in actions):
            return 1
        return 2 if (listener.protocol is Protocol.UDP) == (pool.protocol is Protocol.UDP) else 3

    return min(spec.listeners, key=distance)


def _of_listener(spec: Spec, listener: Listener) -> Spec:
    actions = [listener.default, *(rule.then for rule in listener.rules)]
    named = {name for action in actions for name in pools_of(action)}
    return _slice(spec, listener, tuple(pool for pool in spec.pools if pool.name in named))


def _slice(spec: Spec, listener: Listener, pools: tuple[Pool, ...]) -> Spec:
    claims = replace(spec.claims, reload=None, websocket=None)
    return replace(spec, listeners=(listener,), pools=pools, claims=claims)


def pools_of(action: Action) -> tuple[str, ...]:
    """The names that a forward holds, also those of weight 0."""
    return tuple(name for name, _ in action.pools) if isinstance(action, Forward) else ()
