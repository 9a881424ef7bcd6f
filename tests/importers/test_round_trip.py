"""What lbcheck renders for HAProxy, read again, is the spec that it came from, as far as the file can say it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from lbcheck.importers.directive import Ruling
from lbcheck.importers.haproxy.reading import read
from lbcheck.spec.battery import battery
from lbcheck.spec.model import (
    Action,
    Algorithm,
    Backend,
    Claims,
    Forward,
    Listener,
    Pool,
    Protocol,
    Redirect,
    Rule,
    Spec,
)
from lbcheck.targets import haproxy, haproxy_limits
from tests.targets.reduced import Product, fixed, reduced
from tests.targets.specials import specials

pytestmark = pytest.mark.fast
VERSIONS = ("2.6.12", "3.1.0")
SPECS = {name: loaded.spec for name, loaded in battery().items()} | specials()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", SPECS)
def test_a_rendering_is_read_back(name: str, version: str) -> None:
    product = Product(haproxy.features(version), lambda f: haproxy_limits.LACKS.get(f, ""), haproxy_limits.limits)
    spec, reasons = reduced(fixed(SPECS[name]), product)
    if spec is None:
        assert reasons  # nothing of it can be rendered, so there is nothing to read
        return
    found = read([(name, haproxy.configuration(spec, version))])
    assert [str(entry) for entry in found.ruled(Ruling.REFUSED)] == []
    assert found.spec == sayable(spec, version)


def sayable(spec: Spec, version: str) -> Spec:
    """The spec as haproxy.cfg says it. Each change is something for which the file has no word."""
    return Spec(
        listeners=tuple(_listener(listener) for listener in spec.listeners),
        pools=tuple(_pool(pool, spec, version) for pool in spec.pools),
        claims=Claims(
            workers=spec.claims.workers,
            # `reload` and `sticky_while_draining` are told by commands, not by the file
            websocket=True if spec.claims.websocket and any(p.protocol is Protocol.HTTP for p in spec.pools) else None,
        ),
    )  # `slo` is judged by lbcheck alone


def _listener(listener: Listener) -> Listener:
    default = _action(listener.default, listener)
    rules = sorted((_rule(rule, listener) for rule in listener.rules), key=lambda rule: rule.priority)  # in their order
    forwarded = listener.forwarded
    if forwarded and {forwarded.x_forwarded_for, forwarded.x_forwarded_proto, forwarded.x_forwarded_port} == {
        "preserve"
    }:
        forwarded = None  # nothing is done, and so nothing is written
    return replace(listener, default=default, rules=tuple(rules), forwarded=forwarded)


def _rule(rule: Rule, listener: Listener) -> Rule:
    prefixes = tuple(prefix.rstrip("/") or "/" for prefix in rule.when.path_prefix)  # /docs/ holds the same as /docs
    when = replace(rule.when, path_prefix=prefixes)
    return replace(rule, name="", when=when, then=_action(rule.then, listener))  # a rule has no name


def _action(action: Action, listener: Listener) -> Action:
    if isinstance(action, Forward):
        return Forward(_shares(action))
    if isinstance(action, Redirect):  # the listener's own scheme and port are written out
        port = "80" if action.protocol == "HTTP" and action.port == "80" else action.port
        fill: Callable[[str], str] = lambda text: text.replace("#{port}", str(listener.port))  # noqa: E731
        scheme = action.protocol.replace("#{protocol}", "HTTP")
        query = action.query.replace("#{protocol}", "http")
        return replace(action, protocol=scheme, port=fill(port), path=fill(action.path), query=fill(query))
    return action


def _shares(action: Forward) -> tuple[tuple[str, int], ...]:
    """Weights in their lowest terms, without those of 0, which no line is written for."""
    from math import gcd

    kept = [(name, weight) for name, weight in action.pools if weight]
    common = gcd(*(weight for _, weight in kept))
    return tuple((name, weight // common) for name, weight in kept)


def _pool(pool: Pool, spec: Spec, version: str) -> Pool:
    backends = tuple(_backend(pool, backend, spec) for backend in pool.backends)
    http = pool.protocol is Protocol.HTTP
    idle = pool.timeouts.idle if not http or spec.claims.websocket else 60.0  # `timeout tunnel` alone says it
    response = pool.timeouts.response if http else 60.0  # TCP has no answers to wait for
    check = pool.health_check
    if check is not None:
        codes = check.success_codes.replace(" ", "")
        initial = check.initial if version >= "3.1" else "healthy"  # before `init-state` there is one way to begin
        check = replace(check, success_codes=codes, initial=initial)
    retries = pool.retries
    if retries.attempts == 0 or set(retries.on) == {"connect"}:
        retries = replace(retries, non_idempotent=False)  # a request that no server got is not repeated
    if retries.attempts == 0:
        retries = replace(retries, on=("connect",))
    return Pool(
        name=pool.name,
        backends=backends,
        protocol=pool.protocol,
        algorithm=_algorithm(pool, backends),
        hash_key=pool.hash_key if pool.algorithm is Algorithm.CONSISTENT_HASH else "source_ip",
        health_check=check,
        stickiness=pool.stickiness,
        retries=retries,
        timeouts=replace(pool.timeouts, idle=idle, response=response),
        max_connections=pool.max_connections,
        slow_start=pool.slow_start,
        proxy_protocol=pool.proxy_protocol,
    )  # the order of turns, `statuses` and `deregistration_delay` are HAProxy's own


def _backend(pool: Pool, backend: Backend, spec: Spec) -> Backend:
    check = pool.health_check
    by_address = check is not None and check.protocol is Protocol.HTTP and check.host is None
    name = str(backend.address) if by_address else backend.name  # a probe's Host is the server's name
    kept = spec.claims.sticky_while_draining is not False
    if backend.state == "draining":  # weight 0 serves those who are bound, `disabled` nobody
        return replace(backend, name=name, weight=0 if kept else 1, state="active" if kept else "draining")
    weight = backend.weight if pool.algorithm in haproxy.WEIGHTED else min(backend.weight, 1)
    return replace(backend, name=name, weight=weight)


def _algorithm(pool: Pool, backends: tuple[Backend, ...]) -> Algorithm:
    """One word for equal and unequal weights."""
    unequal = len({backend.weight for backend in backends if backend.weight}) > 1
    plain = {
        Algorithm.WEIGHTED_ROUND_ROBIN: Algorithm.ROUND_ROBIN,
        Algorithm.WEIGHTED_LEAST_CONNECTIONS: Algorithm.LEAST_CONNECTIONS,
    }
    return pool.algorithm if unequal else plain.get(pool.algorithm, pool.algorithm)
