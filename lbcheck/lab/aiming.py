"""What a check means by its destination, as a listener and a request that reaches it (pure)."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeAlias

from lbcheck.errors import Unsupported
from lbcheck.lab.staged import StagedPool
from lbcheck.spec.model import Listener, Pool, Rule, Spec
from lbcheck.spec.request import Request
from lbcheck.spec.subject import Subject
from lbcheck.spec.witness import route_to_pool, witness

Aim: TypeAlias = tuple[str, Request]  # (listener name, request)
Destination: TypeAlias = StagedPool | Pool | Rule | Listener | Subject | str | Aim


def aim(spec: Spec, at: Destination, subject: Subject | None = None) -> Aim:
    """(listener name, a request that reaches it).

    A pool: its own rule or default. A rule: its witness, on the subject's listener where the subject is that rule.
    A listener: its `/`. A string names a listener or else a pool. A pair of listener name and request is itself.
    Unsupported where no request can reach it.
    """
    if isinstance(at, tuple):
        return at
    if isinstance(at, Subject):
        return aim(spec, at.value, at) if not isinstance(at.value, Spec) else (spec.listeners[0].name, Request())
    if isinstance(at, str):
        named = [listener for listener in spec.listeners if listener.name == at]
        return aim(spec, named[0] if named else spec.pool(at))
    if isinstance(at, Listener):
        return at.name, Request()
    if isinstance(at, Rule):
        return _at_rule(spec, at, subject)
    reached = route_to_pool(spec, at.name)
    if reached is None:
        raise Unsupported(f"no request can reach pool {at.name} alone", remedy="give the pool a rule of its own")
    return reached


def _at_rule(spec: Spec, rule: Rule, subject: Subject | None) -> Aim:
    home = subject.listener if subject is not None and subject.value == rule else None
    for listener in spec.listeners:
        if rule in listener.rules and home in (None, listener.name):
            request = witness(spec, listener.name, rule)
            if request is None:
                raise Unsupported(f"no request can be made that reaches rule {rule.priority} of {listener.name} first")
            return listener.name, request
    raise KeyError(f"no listener has the rule of priority {rule.priority}")


def from_source(spec: Spec, listener: str, request: Request, source: str | None, usual: str) -> Request:
    """The request with the address that it is sent from: the one asked for, or its own where rules look at it."""
    looked_at = any(rule.when.source for rule in spec.listener(listener).rules)
    return replace(request, source=source or (request.source if looked_at else usual))
