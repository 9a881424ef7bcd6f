"""What Envoy's documentation cannot express, with the reason that reports show."""

from __future__ import annotations

from collections.abc import Iterator

from lbcheck.features import Feature
from lbcheck.spec.model import (
    Action,
    Algorithm,
    Forward,
    Listener,
    PassiveHealth,
    Pool,
    Protocol,
    Redirect,
    Spec,
)
from lbcheck.targets.envoy_clusters import MOST_HOSTS_IN_PANIC, TRANSPORT
from lbcheck.targets.envoy_listeners import declared_statuses, reached
from lbcheck.targets.envoy_routing import REDIRECT_CODES, times_out_once
from lbcheck.targets.template import whole_milliseconds

_TLS = "lbcheck does not write Envoy's TLS configuration yet"
_HTTP2 = "lbcheck does not write Envoy's HTTP/2 configuration yet"

LACKS: dict[Feature, str] = {
    Feature.WEIGHTED_LEAST_CONNECTIONS: (
        "Envoy's least request with weights is a round robin whose weights shrink with load, no choice of the least"
    ),
    Feature.LEAST_RESPONSE_TIME: "Envoy does not balance by response time ('Supported load balancers')",
    Feature.QUERY_DECODING: "Envoy compares a query's values as they were sent ('query_parameters')",
    Feature.HTTPS_CHECK: _TLS,
    Feature.GRPC_CHECK: _HTTP2,
    Feature.APP_COOKIE: "Envoy binds by a cookie of its own ('Stateful session'), not by one that a backend sets",
    Feature.SOURCE_IP_STICKINESS: "Envoy keeps no table of clients: a hash of the address is an algorithm, no affinity",
    Feature.MAX_CONNECTIONS: "Envoy's circuit breakers refuse what is too much at once; no queue waits for a backend",
    Feature.DRAIN_ENDS: "Envoy lets a draining host finish what it has; no delay ends it",
    Feature.RESOLVE: "lbcheck gives Envoy literal addresses, so there is no name to resolve again",
    Feature.HTTPS: _TLS,
    Feature.TLS: _TLS,
    Feature.UDP: "lbcheck does not write Envoy's UDP configuration yet",
    Feature.HTTP2: _HTTP2,
    Feature.H2C: _HTTP2,
}

PROBE_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH")
GATEWAY = {"502", "503", "504"}
SLOW_STARTING = {
    Algorithm.ROUND_ROBIN,
    Algorithm.WEIGHTED_ROUND_ROBIN,
    Algorithm.LEAST_CONNECTIONS,
    Algorithm.POWER_OF_TWO,
}
_PLACEHOLDER = "#{"


def limits(spec: Spec) -> Iterator[str]:
    """Reasons why this spec cannot be rendered, each with its place."""
    for listener in spec.listeners:
        yield from _listener_limits(listener, spec, f"listeners.{listener.name}")
    for pool in spec.pools:
        yield from _pool_limits(pool, f"pools.{pool.name}")


def left_out(spec: Spec) -> Iterator[str]:
    """A reset is repeated together with a time-out of its attempt, so that only the whole route can be timed."""
    for pool in spec.pools:
        if pool.protocol is Protocol.HTTP and pool.retries.attempts and times_out_once(set(pool.retries.on)):
            yield (
                f"pools.{pool.name}.timeouts.response: with 'reset' repeated and 'timeout' not, it bounds the whole"
                " of an answer and of its attempts"
            )


# --- listeners -------------------------------------------------------------------------------------------------------


def _listener_limits(listener: Listener, spec: Spec, at: str) -> Iterator[str]:
    yield from _grain(listener.idle_timeout, f"{at}.idle_timeout")
    if listener.protocol is Protocol.TCP:
        if not isinstance(listener.default, Forward) or len(listener.default.pools) != 1 or listener.rules:
            yield f"{at}: a TCP listener forwards to one pool, without rules"
        return
    if listener.forwarded and listener.forwarded.x_forwarded_proto == "preserve":
        yield f"{at}.forwarded.x_forwarded_proto: Envoy sets its own, unless it trusts those in front of it"
    yield from _status_limits(listener, spec, at)
    for place, action in [
        ("default", listener.default),
        *((f"rules.{r.priority}.then", r.then) for r in listener.rules),
    ]:
        yield from _action_limits(action, spec, f"{at}.{place}")


def _status_limits(listener: Listener, spec: Spec, at: str) -> Iterator[str]:
    """`local_reply_config` is one for all of a listener's routes."""
    pools = reached(listener, spec)
    for cause in dict.fromkeys(cause for cause, _ in declared_statuses(pools)):
        if len({getattr(pool.statuses, cause) for pool in pools}) > 1:
            yield f"{at}: its pools declare different statuses.{cause}, and Envoy changes them for a whole listener"


def _action_limits(action: Action, spec: Spec, at: str) -> Iterator[str]:
    if isinstance(action, Forward):
        yield from _forward_limits(action, spec, at)
    elif isinstance(action, Redirect):
        yield from _redirect_limits(action, at)


def _forward_limits(forward: Forward, spec: Spec, at: str) -> Iterator[str]:
    if not any(weight for _, weight in forward.pools):
        yield f"{at}: all weights are zero, and Envoy has to go somewhere"
    pools = [spec.pool(name) for name, _ in forward.pools]
    differing = {
        "retries": len({pool.retries for pool in pools}),
        "timeouts.response": len({pool.timeouts.response for pool in pools}),
        "hash_key": len({pool.hash_key for pool in pools if pool.algorithm is Algorithm.CONSISTENT_HASH}),
    }
    for field, values in differing.items():
        if values > 1:
            yield f"{at}: {field} stands in Envoy's route, and {' and '.join(p.name for p in pools)} differ in it"
    if len({pool.algorithm for pool in pools} & {Algorithm.CONSISTENT_HASH, Algorithm.SOURCE_IP_HASH}) > 1:
        yield f"{at}: what is hashed stands in Envoy's route, and {' and '.join(p.name for p in pools)} differ in it"


def _redirect_limits(action: Redirect, at: str) -> Iterator[str]:
    if action.status not in REDIRECT_CODES:
        yield f"{at}: Envoy redirects with {', '.join(map(str, REDIRECT_CODES))}, not {action.status}"
    if action.host != "#{host}" and _PLACEHOLDER in action.host:
        yield f"{at}.host: Envoy keeps the host or takes another; it makes none out of {action.host}"
    path, query = action.path.replace("#{path}", ""), action.query
    if _PLACEHOLDER in path:
        yield f"{at}.path: Envoy makes a path out of the request's path alone, not out of {action.path}"
    if query != "#{query}" and _PLACEHOLDER in query:
        yield f"{at}.query: Envoy keeps the query or takes another; it makes none out of {query}"
    elif query not in ("", "#{query}") and path != action.path:
        yield f"{at}.query: Envoy takes another query with a whole path only ('path_redirect')"


# --- pools -----------------------------------------------------------------------------------------------------------


def _pool_limits(pool: Pool, at: str) -> Iterator[str]:
    times = {"connect": pool.timeouts.connect, "response": pool.timeouts.response, "idle": pool.timeouts.idle}
    for key, value in times.items():
        yield from _grain(value, f"{at}.timeouts.{key}")
    yield from _balance_limits(pool, at)
    yield from _check_limits(pool, at)
    if pool.protocol is Protocol.HTTP:
        yield from _retry_limits(pool, at)
    if pool.passive_health is not None:
        yield from _passive_limits(pool.passive_health, f"{at}.passive_health")
    sticky = pool.stickiness
    if sticky and sticky.type == "lb_cookie":
        if not sticky.http_only:
            yield f"{at}.stickiness.http_only: Envoy's session cookie is always HttpOnly"
        if sticky.duration is not None and sticky.duration % 1:
            yield f"{at}.stickiness.duration: a cookie's age counts whole seconds, not {sticky.duration:g}"


def _balance_limits(pool: Pool, at: str) -> Iterator[str]:
    if pool.algorithm is Algorithm.WEIGHTED_ROUND_ROBIN and pool.order == "burst":
        yield f"{at}.order: Envoy's weighted round robin is a schedule of its own; it has no bursts"
    if pool.algorithm is Algorithm.RANDOM and len({b.weight for b in pool.backends if b.weight}) > 1:
        yield f"{at}.backends: Envoy's random takes no weights ('Supported load balancers')"
    if pool.slow_start and pool.algorithm not in SLOW_STARTING:
        yield f"{at}.slow_start: Envoy starts slowly by round robin and least request only"
    if pool.slow_start and pool.passive_health:
        yield f"{at}.slow_start: Envoy's is of endpoints that join or pass checks again, not of those it had ejected"
    if pool.all_unhealthy == "fail_open" and len(pool.backends) > MOST_HOSTS_IN_PANIC:
        yield f"{at}.all_unhealthy: 'healthy_panic_threshold' counts whole per cent, so that one of many is as none"
    aside = any(b.backup or not b.weight or b.state != "active" for b in pool.backends)
    if pool.all_unhealthy == "fail_open" and aside:
        yield f"{at}.all_unhealthy: in panic Envoy takes hosts of every priority, weight and state ('Panic threshold')"
    if pool.slow_start:
        yield from _grain(pool.slow_start, f"{at}.slow_start")


def _check_limits(pool: Pool, at: str) -> Iterator[str]:
    check = pool.health_check
    if check is None:
        return
    yield from _grain(check.interval, f"{at}.health_check.interval")
    yield from _grain(check.timeout, f"{at}.health_check.timeout")
    if check.initial != "unknown":
        yield f"{at}.health_check.initial: to Envoy a host is unhealthy until one first check ('Health checking')"
    if check.protocol is Protocol.HTTP and check.method not in PROBE_METHODS:
        yield f"{at}.health_check.method: Envoy's checks know {', '.join(PROBE_METHODS)}, not {check.method}"


def _retry_limits(pool: Pool, at: str) -> Iterator[str]:
    """ "x-envoy-retry-on": what one policy repeats together."""
    on = set(pool.retries.on) if pool.retries.attempts else set()
    if "reset" in on and "connect" not in on:
        yield f"{at}.retries.on: Envoy's 'reset' is connect and reset together, not one of them"
    if "timeout" in on and not on >= TRANSPORT:
        yield f"{at}.retries.on: Envoy repeats a time-out by 'reset', which is connect, reset and timeout together"
    if "5xx" in on and not on >= TRANSPORT:
        yield f"{at}.retries.on: Envoy's '5xx' is connect, reset and timeout too"
    if "4xx" in on:
        yield f"{at}.retries.on: Envoy's 'retriable-4xx' is 409 alone"


def _passive_limits(passive: PassiveHealth, at: str) -> Iterator[str]:
    """ "Outlier detection"."""
    if passive.count != "consecutive":
        yield f"{at}.count: Envoy counts failures in a row, or their share in an interval, not a number in a window"
    if set(passive.on) not in (TRANSPORT, TRANSPORT | {"5xx"}, TRANSPORT | GATEWAY):
        yield f"{at}.on: Envoy counts connect, reset and timeout together, alone or with 5xx or with 502, 503 and 504"
    if passive.max_ejected * 100 % 1:
        yield f"{at}.max_ejected: 'max_ejection_percent' counts whole per cent, not {passive.max_ejected:.2%}"
    yield from _grain(passive.ejection, f"{at}.ejection")


def _grain(duration_s: float, at: str) -> Iterator[str]:
    if not whole_milliseconds(duration_s):
        yield f"{at}: Envoy's timers count milliseconds, and {duration_s * 1000:g} is not a whole number of them"
