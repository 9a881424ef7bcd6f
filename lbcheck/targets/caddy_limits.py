"""What Caddy's documentation (caddyserver.com/docs/json) cannot express, with the reason that reports show."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TypeAlias

from lbcheck.features import Feature
from lbcheck.spec.model import Action, Algorithm, Forward, HealthCheck, Listener, PassiveHealth, Pool, Redirect, Spec
from lbcheck.targets.base import version_key

Version: TypeAlias = tuple[int, ...]

_TLS = "lbcheck does not write Caddy's TLS configuration yet"
_HTTP2 = "lbcheck does not write Caddy's HTTP/2 configuration yet"
_LAYER_4 = "Caddy balances HTTP only; layer 4 is a third party's module"

LACKS: dict[Feature, str] = {
    Feature.WEIGHTED_LEAST_CONNECTIONS: "Caddy's least_conn has no weights ('selection_policies')",
    Feature.LEAST_RESPONSE_TIME: "Caddy has no balancing by response time ('selection_policies')",
    Feature.TCP_CHECK: "Caddy's active health checks are HTTP requests ('health_checks.active')",
    Feature.GRPC_CHECK: "Caddy's active health checks are HTTP requests ('health_checks.active')",
    Feature.HTTPS_CHECK: _TLS,
    Feature.INITIAL_STATE: "Caddy takes an upstream as up until its first check, which it makes at once",
    Feature.FAIL_OPEN: "Caddy refuses with 503 when no upstream is available; it has no fail-open",
    Feature.SLOW_START: "Caddy has no slow start",
    Feature.APP_COOKIE: "Caddy binds a client by a cookie of its own only ('selection_policies.cookie')",
    Feature.SOURCE_IP_STICKINESS: "Caddy keeps no table of clients: a hash of the address is an algorithm, no affinity",
    Feature.DRAIN_ENDS: "Caddy's 'grace_period' ends everything under way when a server ends, at any upstream",
    Feature.RESOLVE: "lbcheck gives Caddy literal addresses, so there is no name to resolve again",
    Feature.WEIGHTED_FORWARD: "Caddy's routes have no weights",
    Feature.TRUSTED_FORWARDED: (
        "Caddy's trusted_proxies of reverse_proxy concern headers only: what is hashed or matched is the peer's address"
    ),
    Feature.HTTPS: _TLS,
    Feature.TLS: _TLS,
    Feature.TCP: _LAYER_4,
    Feature.UDP: _LAYER_4,
    Feature.HTTP2: _HTTP2,
    Feature.H2C: _HTTP2,
}
SINCE: dict[Feature, tuple[int, int]] = {
    Feature.WEIGHTED_ROUND_ROBIN: (2, 7),  # selection_policies.weighted_round_robin
    Feature.PROXY_PROTOCOL: (2, 7),  # transport.http, "proxy_protocol"
}
FALLBACK_SINCE = (2, 7)  # selection_policies.cookie, "fallback"
QUERY_HASH_SINCE = (2, 7)  # selection_policies.query
THRESHOLDS_SINCE = (2, 8)  # health_checks.active, "passes" and "fails"
PROBE_METHOD_SINCE = (2, 9)  # health_checks.active, "method"

IDEMPOTENT = ("GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE")  # RFC 9110, section 9.2.2
FAILED_TRIES = {"connect", "reset", "timeout"}  # what a round trip ends with when it does not succeed
OWN_STATUSES = {"none_usable": 503, "refused": 502, "broken": 502, "timeout": 504}
_IN_PLACEHOLDER = re.compile(r"[\w.-]+", re.ASCII)


def features(version: str) -> frozenset[Feature]:
    """What this version can carry out."""
    known = version_key(version)
    return frozenset(Feature) - LACKS.keys() - {feature for feature, since in SINCE.items() if known < since}


def lack(feature: Feature, version: str) -> str:
    """Why this version cannot carry it out; "" where it can."""
    if feature in features(version):
        return ""
    since = SINCE.get(feature)
    return LACKS[feature] if since is None else f"Caddy knows this since {since[0]}.{since[1]}, and this is {version}"


def limits(spec: Spec, version: str) -> Iterator[str]:
    """Reasons why this spec cannot be rendered, each with its place."""
    for listener in spec.listeners:
        yield from _listener_limits(listener, f"listeners.{listener.name}")
    for pool in spec.pools:
        yield from _pool_limits(pool, spec, version_key(version), f"pools.{pool.name}")


def left_out(spec: Spec, version: str) -> Iterator[str]:
    for pool in spec.pools:
        at = f"pools.{pool.name}"
        if pool.health_check is not None:
            yield f"{at}.health_check.initial: {LACKS[Feature.INITIAL_STATE]}"
        if pool.stickiness is not None and pool.stickiness.duration is not None:
            yield f"{at}.stickiness.duration: browsers are told by Max-Age; Caddy does not know how old a cookie is"
        if _random_at_first(pool, version_key(version)):
            yield f"{at}.algorithm: the 'cookie' policy sends new clients anywhere at random until 2.7 ('fallback')"


def _random_at_first(pool: Pool, version: Version) -> bool:
    return pool.stickiness is not None and pool.algorithm is not Algorithm.RANDOM and version < FALLBACK_SINCE


def status_class(codes: str) -> int | None:
    """A code, or the first digit of a hundred of them, or 0 for Caddy's own 200-399; None: there is no word for it."""
    if codes.strip() == "200-399":
        return 0
    hundred = re.fullmatch(r"([1-5])00-(?:\1)99|([1-5])xx", codes.strip().replace(" ", ""))
    if hundred:
        return int(hundred.group(1) or hundred.group(2))
    return int(codes) if codes.strip().isdigit() else None


# --- listeners -------------------------------------------------------------------------------------------------------


def _listener_limits(listener: Listener, at: str) -> Iterator[str]:
    forwarded = listener.forwarded
    if forwarded is not None:
        if forwarded.x_forwarded_for == "preserve":
            yield f"{at}.forwarded.x_forwarded_for: Caddy sets X-Forwarded-For of every request ('reverse_proxy')"
        if forwarded.x_forwarded_proto == "preserve":
            yield f"{at}.forwarded.x_forwarded_proto: Caddy tells its own where a peer tells none ('trusted_proxies')"
    yield from _action_limits(listener.default, f"{at}.default")
    for rule in listener.rules:
        yield from _action_limits(rule.then, f"{at}.rules.{rule.priority}.then")
        for key, _ in rule.when.query:
            if not _IN_PLACEHOLDER.fullmatch(key):
                yield f"{at}.rules.{rule.priority}.when.query: Caddy has no placeholder for the key {key!r}"


def _action_limits(action: Action, at: str) -> Iterator[str]:
    if isinstance(action, Forward) and not any(weight for _, weight in action.pools):
        yield f"{at}: all weights are zero, and Caddy has to go somewhere"
    if isinstance(action, Redirect) and "#{host}" in action.path + action.query:
        yield f"{at}: Caddy's placeholder for the host is as the client wrote it, and in a path case matters"
    if isinstance(action, Forward) and sum(weight > 0 for _, weight in action.pools) > 1:
        yield f"{at}: {LACKS[Feature.WEIGHTED_FORWARD]}"


# --- pools -----------------------------------------------------------------------------------------------------------


def _pool_limits(pool: Pool, spec: Spec, version: Version, at: str) -> Iterator[str]:
    yield from _policy_limits(pool, version, at)
    yield from _backend_limits(pool, spec, at)
    if pool.health_check is not None:
        yield from _check_limits(pool.health_check, version, f"{at}.health_check")
        yield from _one_listener(pool, spec, f"{at}.health_check")
    if pool.passive_health is not None:
        yield from _passive_limits(pool.passive_health, f"{at}.passive_health")
    yield from _retry_limits(pool, f"{at}.retries")
    for cause, own in OWN_STATUSES.items():
        declared = getattr(pool.statuses, cause)
        if declared not in (None, own):
            yield f"{at}.statuses.{cause}: Caddy answers {own}, and its error routes do not know this cause from others"
    if pool.max_connections and pool.timeouts.queue:
        yield f"{at}.timeouts.queue: 'try_duration' waits for an upstream and repeats failed requests, not one of them"


def _policy_limits(pool: Pool, version: Version, at: str) -> Iterator[str]:
    weights = {backend.weight for backend in pool.backends if backend.weight}
    weighted = {Algorithm.SOURCE_IP_HASH, Algorithm.CONSISTENT_HASH, Algorithm.RANDOM}
    if pool.algorithm in weighted and len(weights) > 1:
        yield f"{at}.backends: Caddy's {pool.algorithm.value} has no weights"
    if pool.algorithm is Algorithm.WEIGHTED_ROUND_ROBIN and pool.order == "smooth":
        yield f"{at}.order: Caddy's weighted_round_robin serves in bursts"
    if pool.algorithm is Algorithm.CONSISTENT_HASH:
        kind = pool.hash_key.partition(":")[0]
        if kind == "path":
            yield f"{at}.hash_key: 'uri_hash' hashes the query with the path"
        elif kind == "cookie":
            yield f"{at}.hash_key: the 'cookie' policy sets a cookie of its own, and hashes no other"
        elif kind == "query" and version < QUERY_HASH_SINCE:
            yield f"{at}.hash_key: the 'query' policy is there since {'.'.join(map(str, QUERY_HASH_SINCE))}"
    if _random_at_first(pool, version) and pool.algorithm is not Algorithm.ROUND_ROBIN:
        yield f"{at}.algorithm: the 'cookie' policy sends new clients anywhere at random until 2.7 ('fallback')"


def _backend_limits(pool: Pool, spec: Spec, at: str) -> Iterator[str]:
    draining = any(backend.state == "draining" for backend in pool.backends)
    if draining and spec.claims.sticky_while_draining and pool.stickiness is not None:
        yield f"{at}.backends: Caddy has no draining: an upstream that takes nothing new is left out, with its clients"
    backups = [backend for backend in pool.backends if backend.backup]
    if backups and (len(backups) > 1 or len(pool.backends) > 2 or pool.stickiness is not None):
        yield f"{at}.backends: the 'first' policy has one upstream at work and others in order, no group of primaries"


def _check_limits(check: HealthCheck, version: Version, at: str) -> Iterator[str]:
    if version < THRESHOLDS_SINCE and (check.healthy_threshold, check.unhealthy_threshold) != (1, 1):
        told = f"{check.healthy_threshold} and {check.unhealthy_threshold}"
        yield f"{at}: one result decides in Caddy before 2.8 ('passes', 'fails'), not {told}"
    if version < PROBE_METHOD_SINCE and check.method != "GET":
        yield f"{at}.method: Caddy probes with GET before 2.9 ('method'), not {check.method}"
    if status_class(check.success_codes) is None:
        yield f"{at}.success_codes: 'expect_status' is one code or all of a hundred, not {check.success_codes}"


def _one_listener(pool: Pool, spec: Spec, at: str) -> Iterator[str]:
    naming = [listener.name for listener in spec.listeners if pool.name in _named(listener)]
    if len(naming) > 1:
        yield f"{at}: each server of Caddy probes for itself, and {', '.join(naming)} forward to this pool"


def _named(listener: Listener) -> set[str]:
    actions = (listener.default, *(rule.then for rule in listener.rules))
    return {pool for action in actions if isinstance(action, Forward) for pool, weight in action.pools if weight}


def _passive_limits(passive: PassiveHealth, at: str) -> Iterator[str]:
    """http.handlers.reverse_proxy, "health_checks.passive"."""
    if passive.count != "window":
        yield f"{at}.count: 'max_fails' counts failures in a window, not {passive.count} ones"
    if passive.within != passive.ejection:
        times = f"{passive.within:g} s and {passive.ejection:g} s"
        yield f"{at}: 'fail_duration' is both the window and the ejection, not {times}"
    if passive.max_ejected < 1:
        yield f"{at}.max_ejected: Caddy ejects every upstream if it must, not a share of {passive.max_ejected:.0%}"
    if missing := sorted(FAILED_TRIES - set(passive.on)):
        yield f"{at}.on: Caddy always counts {', '.join(missing)} as failures"


def _retry_limits(pool: Pool, at: str) -> Iterator[str]:
    """http.handlers.reverse_proxy, "load_balancing.retry_match"."""
    on = set(pool.retries.on)
    if pool.retries.attempts == 0:
        return
    if "connect" not in on:
        yield f"{at}.on: Caddy always repeats a request whose connection failed"
    if len(on & {"reset", "timeout"}) == 1:
        yield f"{at}.on: Caddy repeats what was reset and what timed out alike, not one of them"
    for event in sorted(on - FAILED_TRIES):
        yield f"{at}.on: Caddy takes a status such as {event} for an answer, and repeats nothing for it"
