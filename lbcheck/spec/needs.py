"""Which features a spec asks of a balancer, part by part, each with the words of the spec that ask for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

from lbcheck.features import Feature
from lbcheck.spec.model import Action, Algorithm, Forward, HealthCheck, Listener, Pool, Protocol, Redirect, Rule, Spec

SENT_AS_THEY_ARE = "!$'()*,/:;=?@"  # in a query's value, beside letters, digits and -._~ (RFC 3986 section 3.4)
USUAL_CODES = HealthCheck().success_codes

ALGORITHMS: dict[Algorithm, Feature] = {
    Algorithm.ROUND_ROBIN: Feature.ROUND_ROBIN,
    Algorithm.WEIGHTED_ROUND_ROBIN: Feature.WEIGHTED_ROUND_ROBIN,
    Algorithm.LEAST_CONNECTIONS: Feature.LEAST_CONNECTIONS,
    Algorithm.WEIGHTED_LEAST_CONNECTIONS: Feature.WEIGHTED_LEAST_CONNECTIONS,
    Algorithm.SOURCE_IP_HASH: Feature.SOURCE_IP_HASH,
    Algorithm.CONSISTENT_HASH: Feature.CONSISTENT_HASH,
    Algorithm.LEAST_RESPONSE_TIME: Feature.LEAST_RESPONSE_TIME,
    Algorithm.RANDOM: Feature.RANDOM,
    Algorithm.POWER_OF_TWO: Feature.POWER_OF_TWO,
}
PROTOCOLS: dict[Protocol, Feature] = {
    Protocol.HTTP: Feature.HTTP,
    Protocol.HTTPS: Feature.HTTPS,
    Protocol.H2C: Feature.H2C,
    Protocol.TCP: Feature.TCP,
    Protocol.TLS: Feature.TLS,
    Protocol.UDP: Feature.UDP,
}
CHECKS: dict[Protocol, Feature] = {
    Protocol.HTTP: Feature.HTTP_CHECK,
    Protocol.HTTPS: Feature.HTTPS_CHECK,
    Protocol.TCP: Feature.TCP_CHECK,
    Protocol.GRPC: Feature.GRPC_CHECK,
}
CONDITIONS: dict[str, Feature] = {
    "path": Feature.PATH_RULES,
    "path_prefix": Feature.PATH_RULES,
    "path_exact": Feature.PATH_RULES,
    "path_regex": Feature.PATH_REGEX,
    "host": Feature.HOST_RULES,
    "method": Feature.METHOD_RULES,
    "header": Feature.HEADER_RULES,
    "query": Feature.QUERY_RULES,
    "cookie": Feature.COOKIE_RULES,
    "source": Feature.SOURCE_RULES,
}
STICKINESS: dict[str, Feature] = {
    "lb_cookie": Feature.LB_COOKIE,
    "app_cookie": Feature.APP_COOKIE,
    "source_ip": Feature.SOURCE_IP_STICKINESS,
}


@dataclass(frozen=True, slots=True)
class Need:
    """`path` is the place in the spec (`pools.api.stickiness`), `why` its words ("type: lb_cookie")."""

    feature: Feature
    path: str
    why: str


def features_needed(spec: Spec) -> tuple[Need, ...]:
    """All of them, in the order of the spec; a feature that several parts need stands there for each."""
    needs = [
        *(need for listener in spec.listeners for need in _listener(listener)),
        *(need for pool in spec.pools for need in _pool(pool)),
    ]
    if spec.claims.reload is not None:
        needs.append(Need(Feature.RELOAD, "claims.reload", f"reload: {spec.claims.reload}"))
    if spec.claims.websocket:
        needs.append(Need(Feature.WEBSOCKET, "claims.websocket", "websocket: true"))
    return tuple(needs)


def _listener(listener: Listener) -> Iterator[Need]:
    path = f"listeners.{listener.name}"
    yield Need(PROTOCOLS[listener.protocol], f"{path}.protocol", f"protocol: {listener.protocol.value}")
    if listener.http2:
        yield Need(Feature.HTTP2, f"{path}.http2", "http2: true")
    yield from _action(listener.default, f"{path}.default")
    for rule in listener.rules:
        yield from _rule(rule, f"{path}.rules.{rule.priority}")
    if listener.forwarded is not None:
        yield Need(Feature.X_FORWARDED, f"{path}.forwarded", "forwarded")
        if listener.forwarded.trust:
            yield Need(Feature.TRUSTED_FORWARDED, f"{path}.forwarded.trust", f"trust: {listener.forwarded.trust}")


def _rule(rule: Rule, path: str) -> Iterator[Need]:
    for word, feature in CONDITIONS.items():
        value = getattr(rule.when, word)
        if value:
            yield Need(feature, f"{path}.when.{word}", f"{word}: {_shown(value)}")
    for key, patterns in rule.when.query:
        yield from (
            Need(Feature.QUERY_DECODING, f"{path}.when.query.{key}", f"query: {key} {pattern}, which is sent encoded")
            for pattern in patterns
            if quote(pattern, safe=SENT_AS_THEY_ARE) != pattern
        )
    yield from _action(rule.then, f"{path}.then")
    if rule.rewrite is not None:
        yield Need(Feature.REWRITE, f"{path}.rewrite", f"rewrite: {' to '.join(rule.rewrite.path_prefix)}")


def _shown(value: tuple[str | tuple[str, tuple[str, ...]], ...]) -> str:
    return ", ".join(item if isinstance(item, str) else f"{item[0]} {' or '.join(item[1])}" for item in value)


def _action(action: Action, path: str) -> Iterator[Need]:
    if isinstance(action, Forward):
        if len(action.pools) > 1:
            shares = ", ".join(f"{name}: {weight}" for name, weight in action.pools)
            yield Need(Feature.WEIGHTED_FORWARD, f"{path}.forward", f"forward: {{{shares}}}")
    elif isinstance(action, Redirect):
        yield Need(Feature.REDIRECT, f"{path}.redirect", f"redirect with {action.status}")
    else:
        yield Need(Feature.RESPOND, f"{path}.respond", f"respond with {action.status}")


def _pool(pool: Pool) -> Iterator[Need]:
    path = f"pools.{pool.name}"
    yield Need(PROTOCOLS[pool.protocol], f"{path}.protocol", f"protocol: {pool.protocol.value}")
    yield Need(ALGORITHMS[pool.algorithm], f"{path}.algorithm", f"algorithm: {pool.algorithm.value}")
    yield from _backends(pool, path)
    yield from _health(pool, path)
    if pool.stickiness is not None:
        kind = pool.stickiness.type
        yield Need(STICKINESS[kind], f"{path}.stickiness", f"stickiness: {kind}")
    yield from _forwarding(pool, path)


def _backends(pool: Pool, path: str) -> Iterator[Need]:
    for backend in pool.backends:
        if backend.backup:
            yield Need(Feature.BACKUP, f"{path}.backends.{backend.name}.backup", "backup: true")
        if backend.state == "draining":
            yield Need(Feature.DRAIN, f"{path}.backends.{backend.name}.state", "state: draining")


def _health(pool: Pool, path: str) -> Iterator[Need]:
    check = pool.health_check
    if check is not None:
        yield Need(CHECKS[check.protocol], f"{path}.health_check", f"health check by {check.protocol.value}")
        if check.protocol in (Protocol.HTTP, Protocol.HTTPS) and check.success_codes != USUAL_CODES:
            codes = f"success_codes: {check.success_codes}"
            yield Need(Feature.SUCCESS_CODES, f"{path}.health_check.success_codes", codes)
    if pool.passive_health is not None:
        failures = pool.passive_health.failures
        yield Need(Feature.PASSIVE_HEALTH, f"{path}.passive_health", f"passive_health: {failures} failures")
    if pool.slow_start > 0:
        yield Need(Feature.SLOW_START, f"{path}.slow_start", f"slow_start: {pool.slow_start:g} s")
    if pool.all_unhealthy == "fail_open":
        yield Need(Feature.FAIL_OPEN, f"{path}.all_unhealthy", "all_unhealthy: fail_open")


def _forwarding(pool: Pool, path: str) -> Iterator[Need]:
    if pool.retries.attempts:
        yield Need(Feature.RETRIES, f"{path}.retries", f"retries: {pool.retries.attempts}")
    if pool.max_connections:
        yield Need(Feature.MAX_CONNECTIONS, f"{path}.max_connections", f"max_connections: {pool.max_connections}")
    if pool.proxy_protocol != "none":
        yield Need(Feature.PROXY_PROTOCOL, f"{path}.proxy_protocol", f"proxy_protocol: {pool.proxy_protocol}")
    if pool.resolve > 0:
        yield Need(Feature.RESOLVE, f"{path}.resolve", f"resolve: {pool.resolve:g} s")
