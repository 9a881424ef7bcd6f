"""What lbcheck renders for nginx, read again, is the spec that it came from, as far as the file can say it."""

from __future__ import annotations

import random
from dataclasses import replace
from math import gcd
from pathlib import Path

import pytest

from lbcheck.importers.nginx.headers import UNTOUCHED
from lbcheck.importers.nginx.passing import COUNTED
from lbcheck.spec.battery import battery
from lbcheck.spec.model import (
    Action,
    Algorithm,
    Backend,
    Claims,
    Conditions,
    Forward,
    Listener,
    PassiveHealth,
    Pool,
    Redirect,
    Retries,
    Rule,
    Spec,
)
from lbcheck.spec.near import random_request
from lbcheck.spec.routing import route_listener
from lbcheck.targets import nginx, nginx_limits
from tests.targets.reduced import Product, fixed, reduced
from tests.targets.specials import specials

from .production import from_nginx, refusals

pytestmark = pytest.mark.fast
VERSIONS = ("1.22.1", "1.26.0")
ELSEWISE = {
    "routing-regex": "what wildcards can say of several expressions comes back as wildcards, in a rule of its own"
}
SPECS = {name: loaded.spec for name, loaded in battery().items()} | specials()
PRODUCT = Product(nginx.FEATURES, lambda f: nginx_limits.LACKS.get(f, ""), nginx_limits.limits)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", SPECS)
def test_a_rendering_is_read_back(name: str, version: str, tmp_path: Path) -> None:
    spec, reasons = reduced(fixed(SPECS[name]), PRODUCT)
    if spec is None:
        assert reasons  # nothing of it can be rendered, so there is nothing to read
        return
    found = from_nginx(nginx.configuration(spec, version), tmp_path)
    rewritten = any(rule.rewrite for listener in spec.listeners for rule in listener.rules)
    told = set(refusals(found).values())
    assert told == ({reason for reason in told if "with which path" in reason} if rewritten else set())
    assert bool(told) == rewritten
    wanted = comparable(sayable(spec))
    if name in ELSEWISE:
        decisions_agree(found.spec, wanted)
    else:
        assert comparable(found.spec) == wanted


def decisions_agree(found: Spec, wanted: Spec) -> None:
    rng = random.Random(1)
    for one, other in zip(found.listeners, wanted.listeners, strict=True):
        for _ in range(2000):
            request = random_request(rng, (*one.rules, *other.rules))
            assert route_listener(one, request).action == route_listener(other, request).action, request
    assert found.pools == wanted.pools


def comparable(spec: Spec) -> Spec:
    """Networks in any order, since any of them will do; rules by their place alone."""
    listeners = []
    for listener in spec.listeners:
        rules = tuple(
            replace(rule, priority=place, when=replace(rule.when, source=tuple(sorted(rule.when.source))))
            for place, rule in enumerate(listener.rules, 1)
        )
        listeners.append(replace(listener, name="", rules=rules))
    return replace(spec, listeners=tuple(listeners))  # servers have no names


def sayable(spec: Spec) -> Spec:
    """The spec as nginx.conf says it. Each change is something for which the file has no word."""
    forwarding = [listener for listener in spec.listeners if _pools(listener)]
    websocket = True if spec.claims.websocket and forwarding else None
    return Spec(
        listeners=tuple(_listener(listener) for listener in spec.listeners),
        pools=tuple(_pool(pool, spec) for pool in spec.pools),
        claims=Claims(workers=spec.claims.workers, websocket=websocket),  # the rest is told by commands
    )  # `slo` is judged by lbcheck alone


def _pools(listener: Listener) -> set[str]:
    actions = [listener.default, *(rule.then for rule in listener.rules)]
    return {pool for action in actions if isinstance(action, Forward) for pool, weight in action.pools if weight}


def _listener(listener: Listener) -> Listener:
    rules = sorted((_rule(rule, listener) for rule in listener.rules), key=lambda rule: rule.priority)
    # Without `forwarded` nginx leaves X-Forwarded-* as it comes, and Host is kept by a line of its own.
    forwarded = (listener.forwarded or UNTOUCHED) if _pools(listener) else None
    return replace(
        listener, default=_action(listener.default, listener), rules=tuple(rules), forwarded=forwarded, http2=False
    )


def _rule(rule: Rule, listener: Listener) -> Rule:
    when = rule.when
    header = tuple(("-".join(w.capitalize() for w in name.split("-")), values) for name, values in when.header)
    when = replace(when, header=header, host=tuple(host.rstrip(".").lower() for host in when.host))
    prefixes = tuple(prefix.rstrip("/") or "/" for prefix in when.path_prefix)  # /docs/ holds the same as /docs
    # A rewrite is a map that takes the whole target apart, of which the importer tells that it cannot say it.
    return replace(
        rule,
        name="",
        when=_plainly(replace(when, path_prefix=prefixes)),
        then=_action(rule.then, listener),
        rewrite=None,
    )


def _plainly(when: Conditions) -> Conditions:
    """A path condition that comes to the same in fewer words: as its expression shows it."""
    exact = when.path and not any(set(path) & set("*?") for path in when.path)
    return replace(when, path=(), path_exact=when.path) if exact else when


def _action(action: Action, listener: Listener) -> Action:
    if isinstance(action, Forward):
        kept = [(name, weight) for name, weight in action.pools if weight]
        common = gcd(*(weight for _, weight in kept))
        return Forward(tuple((name, weight // common) for name, weight in kept))
    if isinstance(action, Redirect):  # the listener's own scheme and port are written out
        scheme = action.protocol.replace("#{protocol}", "HTTP")
        port = action.port.replace("#{port}", str(listener.port))
        fill = {"#{port}": str(listener.port), "#{protocol}": "http"}
        path, query = action.path, action.query
        for mark, text in fill.items():
            path, query = path.replace(mark, text), query.replace(mark, text)
        return replace(action, protocol=scheme, port=port, path=path, query=query)
    return action


def _pool(pool: Pool, spec: Spec) -> Pool:
    reached = any(pool.name in _pools(listener) for listener in spec.listeners)
    backends = tuple(_backend(pool, backend) for backend in pool.backends)
    retries = _retries(pool, backends) if reached else Retries(0)
    passive = pool.passive_health
    if passive is not None:
        counted = tuple(event for event in retries.on if event in COUNTED) if retries.attempts else ()
        passive = replace(passive, on=("connect", "timeout", "reset", *counted))
    times = pool.timeouts  # `timeouts.queue` is nobody's: nothing waits
    unreached = {} if reached else {"connect": 60.0, "response": 60.0}  # said where requests are passed on
    return Pool(
        name=pool.name,
        backends=backends,
        algorithm=_algorithm(pool, backends),
        hash_key=_hash_key(pool),
        passive_health=passive if isinstance(passive, PassiveHealth) and len(backends) > 1 else None,
        retries=retries,
        timeouts=replace(times, queue=5.0, **unreached),
    )  # the order of turns, `statuses`, `deregistration_delay` are nginx's own


def _hash_key(pool: Pool) -> str:
    if pool.algorithm is not Algorithm.CONSISTENT_HASH:
        return "source_ip"
    kind, _, word = pool.hash_key.partition(":")
    return f"header:{'-'.join(w.capitalize() for w in word.split('-'))}" if kind == "header" else pool.hash_key


def _retries(pool: Pool, backends: tuple[Backend, ...]) -> Retries:
    """Every server is asked once at most."""
    usable = sum(backend.state == "active" for backend in backends)
    attempts = min(pool.retries.attempts, max(0, usable - 1))
    if not attempts:
        return Retries(0)
    order = ["connect", "reset", "timeout"]
    events = [e for e in order if e in pool.retries.on] + [e for e in pool.retries.on if e not in order]
    return Retries(attempts, tuple(events), pool.retries.non_idempotent)


def _backend(pool: Pool, backend: Backend) -> Backend:
    """Servers are called by their addresses; `down` is all that there is for weight 0 and for draining."""
    name = str(backend.address)
    if backend.weight == 0 or backend.state == "draining":
        return Backend(name, backend.address, 1, backend.backup, "draining")
    return replace(backend, name=name, weight=backend.weight if pool.algorithm in nginx.WEIGHTED else 1)


def _algorithm(pool: Pool, backends: tuple[Backend, ...]) -> Algorithm:
    """One word for equal and unequal weights."""
    unequal = len({backend.weight for backend in backends if backend.state == "active"}) > 1
    plain = {
        Algorithm.WEIGHTED_ROUND_ROBIN: Algorithm.ROUND_ROBIN,
        Algorithm.WEIGHTED_LEAST_CONNECTIONS: Algorithm.LEAST_CONNECTIONS,
    }
    return pool.algorithm if unequal else plain.get(pool.algorithm, pool.algorithm)
