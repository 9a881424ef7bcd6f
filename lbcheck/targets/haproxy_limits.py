"""What HAProxy's Configuration Manual (2.6) cannot express, with the reason that reports show."""

from __future__ import annotations

from collections.abc import Iterator

from lbcheck.features import Feature
from lbcheck.spec.model import Action, Algorithm, Forward, Listener, Pool, Protocol, Redirect, Respond, Spec
from lbcheck.targets.haproxy_routing import BODY_BYTES, REDIRECT_CODES
from lbcheck.targets.template import whole_milliseconds

_TLS = "lbcheck does not write HAProxy's TLS configuration yet"
_HTTP2 = "lbcheck does not write HAProxy's HTTP/2 configuration yet"

LACKS: dict[Feature, str] = {
    Feature.LEAST_RESPONSE_TIME: "HAProxy has no balancing by response time ('balance')",
    Feature.GRPC_CHECK: "HAProxy has no gRPC health check ('option httpchk', 'tcp-check')",
    Feature.HTTPS_CHECK: _TLS,
    Feature.INITIAL_STATE: "HAProxy takes a server as up, one failed check from down, until 3.1 ('init-state')",
    Feature.PASSIVE_HEALTH: (
        "HAProxy's 'observe' needs active checks and has no ejection time: a server returns by its checks"
    ),
    Feature.SLOW_START_OF_NEW: "HAProxy's 'slowstart' applies to a server that was seen as failed, not to a new one",
    Feature.SLOW_START_LEAST: "HAProxy's 'slowstart' grows from 0 to 100 %",
    Feature.FAIL_OPEN: "HAProxy refuses with 503 when no server is up; it has no fail-open",
    Feature.UPSTREAM_IDLE: "HAProxy's 'pool-purge-delay' ends a part of the idle connections, not each after a time",
    Feature.DRAIN_ENDS: "HAProxy lets a draining server finish; 'shutdown sessions server' is an order, not a delay",
    Feature.RESOLVE: "lbcheck gives HAProxy literal addresses, so there is no name to resolve again",
    Feature.TRUSTED_FORWARDED: (
        "HAProxy's 'set-src' takes one address of X-Forwarded-For, not the last one that is not trusted"
    ),
    Feature.HTTPS: _TLS,
    Feature.TLS: _TLS,
    Feature.UDP: "HAProxy balances no UDP",
    Feature.HTTP2: _HTTP2,
    Feature.H2C: _HTTP2,
}

RETRY_STATUSES = ("401", "403", "404", "408", "425", "500", "501", "502", "503", "504")  # "retry-on"
MOST_WEIGHT = 256  # "weight"
# Section 1.3.1: what HAProxy answers by itself; it has one status each, and no way to choose another for one cause.
OWN_STATUSES = {"none_usable": 503, "refused": 503, "broken": 502, "timeout": 504}


def limits(spec: Spec) -> Iterator[str]:
    """Reasons why this spec cannot be rendered, each with its place."""
    for listener in spec.listeners:
        yield from _listener_limits(listener, f"listeners.{listener.name}")
    for pool in spec.pools:
        yield from _pool_limits(pool, f"pools.{pool.name}")


def _listener_limits(listener: Listener, at: str) -> Iterator[str]:
    yield from _grain(listener.idle_timeout, f"{at}.idle_timeout")
    if listener.forwarded and listener.forwarded.host == "backend":
        yield f"{at}.forwarded.host: the manual does not support 'http-send-name-header' for Host"
    if listener.protocol is Protocol.TCP:
        if not isinstance(listener.default, Forward) or len(listener.default.pools) != 1 or listener.rules:
            yield f"{at}: a TCP listener forwards to one pool, without rules"
        return
    yield from _action_limits(listener.default, f"{at}.default")
    for rule in listener.rules:
        yield from _action_limits(rule.then, f"{at}.rules.{rule.priority}.then")


def _action_limits(action: Action, at: str) -> Iterator[str]:
    if isinstance(action, Forward) and not any(weight for _, weight in action.pools):
        yield f"{at}: all weights are zero, and HAProxy has to go somewhere"
    if isinstance(action, Redirect) and action.status not in REDIRECT_CODES:
        yield f"{at}: HAProxy redirects with {', '.join(map(str, REDIRECT_CODES))}, not {action.status}"
    if isinstance(action, Respond):
        if not 200 <= action.status <= 599:
            yield f"{at}: 'http-request return' knows statuses from 200 to 599, not {action.status}"
        if len(action.body.encode()) > BODY_BYTES or "\n" in action.body or "\r" in action.body:
            yield f"{at}.body: one line of at most {BODY_BYTES} bytes fits a string in HAProxy's configuration"


def _pool_limits(pool: Pool, at: str) -> Iterator[str]:
    times = {"connect": pool.timeouts.connect, "response": pool.timeouts.response, "idle": pool.timeouts.idle}
    for key, value in {**times, "queue": pool.timeouts.queue}.items():
        yield from _grain(value, f"{at}.timeouts.{key}")
    yield from _grain(pool.slow_start, f"{at}.slow_start")
    yield from _balance_limits(pool, at)
    yield from _check_limits(pool, at)
    for event in pool.retries.on if pool.retries.attempts else ():
        if event not in ("connect", "reset", "timeout", *RETRY_STATUSES):
            yield f"{at}.retries.on: 'retry-on' knows {', '.join(RETRY_STATUSES)}, not {event}"
    for cause, own in OWN_STATUSES.items():
        declared = getattr(pool.statuses, cause)
        if declared not in (None, own):
            yield f"{at}.statuses.{cause}: HAProxy answers {own}, and has no directive for {declared} (section 1.3.1)"
    sticky = pool.stickiness
    if sticky and sticky.type == "lb_cookie" and sticky.duration is not None and sticky.duration % 1:
        yield f"{at}.stickiness.duration: 'maxlife' counts whole seconds, not {sticky.duration:g}"


def _balance_limits(pool: Pool, at: str) -> Iterator[str]:
    if pool.algorithm is Algorithm.WEIGHTED_ROUND_ROBIN and pool.order == "burst":
        yield f"{at}.order: HAProxy's roundrobin is smooth; it has no bursts"
    if pool.slow_start and pool.algorithm is Algorithm.SOURCE_IP_HASH:
        yield f"{at}.slow_start: 'hash-type map-based' has no slow start"
    for backend in pool.backends:
        if backend.weight > MOST_WEIGHT:
            yield f"{at}.backends.{backend.name}.weight: HAProxy's weights end at {MOST_WEIGHT}"


def _check_limits(pool: Pool, at: str) -> Iterator[str]:
    check = pool.health_check
    if check is None:
        return
    yield from _grain(check.interval, f"{at}.health_check.interval")
    yield from _grain(check.timeout, f"{at}.health_check.timeout")
    by_address = check.protocol is Protocol.HTTP and check.host is None
    if by_address and any(":" in backend.host for backend in pool.backends if backend.address):
        yield f"{at}.health_check.host: a check cannot say a server's IPv6 address as Host"


def _grain(duration_s: float, at: str) -> Iterator[str]:
    if not whole_milliseconds(duration_s):
        yield f"{at}: HAProxy's timers count milliseconds, and {duration_s * 1000:g} is not a whole number of them"
