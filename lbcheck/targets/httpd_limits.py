"""What Apache httpd's documentation (httpd.apache.org/docs/2.4) cannot express, with the reason that reports show."""

from __future__ import annotations

import http
import re
from collections.abc import Iterator

from lbcheck.features import Feature
from lbcheck.spec.model import (
    Action,
    Forward,
    HealthCheck,
    Listener,
    PassiveHealth,
    Pool,
    Protocol,
    Redirect,
    Respond,
    Spec,
)
from lbcheck.targets.httpd_routing import forwarded_pools
from lbcheck.targets.template import whole_milliseconds

_TLS = "lbcheck does not write httpd's TLS configuration yet"
_HTTP2 = "lbcheck does not write httpd's HTTP/2 configuration yet"
_HASH = "httpd's lbmethods count requests, bytes or busy members; none hashes"
_LAYER_4 = "httpd balances HTTP and application protocols; mod_proxy_connect is a forward proxy's"

LACKS: dict[Feature, str] = {
    Feature.WEIGHTED_LEAST_CONNECTIONS: "httpd's lbmethod=bybusyness uses a loadfactor only among equally busy members",
    Feature.SOURCE_IP_HASH: _HASH,
    Feature.CONSISTENT_HASH: _HASH,
    Feature.LEAST_RESPONSE_TIME: "httpd has no balancing by response time ('lbmethod')",
    Feature.RANDOM: "httpd has no balancing at random ('lbmethod')",
    Feature.POWER_OF_TWO: "httpd has no balancing at random ('lbmethod')",
    Feature.QUERY_DECODING: "httpd compares a query's values as they were sent ('%{QUERY_STRING}')",
    Feature.HTTPS_CHECK: _TLS,
    Feature.GRPC_CHECK: "httpd has no gRPC health check ('hcmethod')",
    Feature.INITIAL_STATE: "httpd takes a member as up until its checks have failed ('hcfails')",
    Feature.SLOW_START: "httpd has no slow start",
    Feature.FAIL_OPEN: "httpd refuses with 503 when no member is usable; 'forcerecovery' is not about health checks",
    Feature.APP_COOKIE: "httpd needs the application to append a route to its cookie ('stickysession')",
    Feature.SOURCE_IP_STICKINESS: "httpd keeps no table of clients ('stickysession' is a cookie or in the path)",
    Feature.MAX_CONNECTIONS: "httpd chooses a member first and then waits for a place in its pool ('max', 'acquire')",
    Feature.DRAIN_ENDS: "httpd lets a draining member finish what it has; no delay ends it",
    Feature.RESOLVE: "lbcheck gives httpd literal addresses, so there is no name to resolve again",
    Feature.PROXY_PROTOCOL: "httpd takes the PROXY protocol ('RemoteIPProxyProtocol') and does not send it",
    Feature.TRUSTED_FORWARDED: "mod_remoteip takes the addresses that it believes out of X-Forwarded-For",
    Feature.HTTPS: _TLS,
    Feature.TLS: _TLS,
    Feature.TCP: _LAYER_4,
    Feature.UDP: _LAYER_4,
    Feature.HTTP2: _HTTP2,
    Feature.H2C: _HTTP2,
}
FEATURES = frozenset(Feature) - LACKS.keys()

METHODS = {"GET": "GET", "HEAD": "HEAD", "OPTIONS": "OPTIONS"}  # of health checks: mod_proxy_hcheck, "hcmethod"
HTTP11_PROBES_SINCE = (2, 4, 55)
WATCHDOG_S = 0.1  # mod_proxy_hcheck checks no more often
MOST_LOADFACTOR = 100
OWN_STATUSES = {"none_usable": 503, "refused": 503, "broken": 502, "timeout": 504}
KNOWN = {status.value for status in http.HTTPStatus} - {103, 418, 425, 508}  # as "ErrorDocument" knows them


def limits(spec: Spec) -> Iterator[str]:
    """Reasons why this spec cannot be rendered, each with its place."""
    names = [pool.name.lower() for pool in spec.pools]
    yield from (f"pools.{p.name}: httpd's names have no case" for p in spec.pools if names.count(p.name.lower()) > 1)
    for listener in spec.listeners:
        yield from _listener_limits(listener, f"listeners.{listener.name}")
    for pool in spec.pools:
        yield from _pool_limits(pool, spec, f"pools.{pool.name}")


def left_out(spec: Spec) -> Iterator[str]:
    for pool in spec.pools:
        at = f"pools.{pool.name}"
        if pool.health_check is not None:
            yield f"{at}.health_check.initial: {LACKS[Feature.INITIAL_STATE]}"
            if pool.health_check.timeout != pool.timeouts.response:
                yield f"{at}.health_check.timeout: a check waits as long as a request does, 'timeout' of its member"
        if pool.stickiness is not None and pool.stickiness.duration is not None:
            yield f"{at}.stickiness.duration: browsers are told by Max-Age; httpd does not know how old a cookie is"


# --- listeners -------------------------------------------------------------------------------------------------------


def _listener_limits(listener: Listener, at: str) -> Iterator[str]:
    yield from _grain(listener.idle_timeout, f"{at}.idle_timeout")
    yield from _action_limits(listener.default, f"{at}.default")
    for rule in listener.rules:
        yield from _action_limits(rule.then, f"{at}.rules.{rule.priority}.then")
        if rule.rewrite and re.search(r"[],'\"]", "".join(rule.rewrite.path_prefix)):
            yield f"{at}.rules.{rule.priority}.rewrite: a flag of RewriteRule holds no comma, bracket or quote"


def _action_limits(action: Action, at: str) -> Iterator[str]:
    if isinstance(action, Forward) and not any(weight for _, weight in action.pools):
        yield f"{at}: all weights are zero, and httpd has to go somewhere"
    if isinstance(action, Redirect) and action.status not in KNOWN:
        yield f"{at}: httpd has no status {action.status}"
    if isinstance(action, Redirect) and {'"', "'"} <= set(f"{action.path}{action.query}"):
        yield f"{at}: an argument of mod_rewrite has single or double quotes in it, not both"
    if isinstance(action, Respond) and (action.status not in KNOWN or 300 <= action.status < 400):
        yield f"{at}: 'Redirect' and 'ErrorDocument' know no status {action.status} with a text"


# --- pools -----------------------------------------------------------------------------------------------------------


def _pool_limits(pool: Pool, spec: Spec, at: str) -> Iterator[str]:
    yield from _grain(pool.timeouts.connect, f"{at}.timeouts.connect")
    yield from _seconds(pool.timeouts.response, f"{at}.timeouts.response", "timeout")
    yield from _seconds(pool.timeouts.idle, f"{at}.timeouts.idle", "ttl")
    if pool.order == "burst":
        yield f"{at}.order: httpd's byrequests is smooth; it has no bursts"
    for backend in pool.backends:
        if backend.weight > MOST_LOADFACTOR:
            yield f"{at}.backends.{backend.name}.weight: httpd's loadfactors end at {MOST_LOADFACTOR}"
    if pool.health_check is not None:
        yield from _check_limits(pool.health_check, f"{at}.health_check")
        naming = [listener.name for listener in spec.listeners if pool.name in forwarded_pools(listener)]
        if len(naming) > 1:
            yield f"{at}.health_check: each virtual host checks its balancers, and {', '.join(naming)} have this one"
    if pool.passive_health is not None:
        yield from _passive_limits(pool.passive_health, f"{at}.passive_health")
    if pool.retries.attempts and set(pool.retries.on) != {"connect"}:
        yield f"{at}.retries.on: httpd tries another member where it could not connect, and for nothing else"
    for cause, own in OWN_STATUSES.items():
        declared = getattr(pool.statuses, cause)
        if declared not in (None, own):
            yield f"{at}.statuses.{cause}: httpd answers {own}, and has no directive to say {declared} for this cause"


def _check_limits(check: HealthCheck, at: str) -> Iterator[str]:
    yield from _grain(check.interval, f"{at}.interval")
    if check.interval < WATCHDOG_S:
        yield f"{at}.interval: httpd's watchdog looks every {WATCHDOG_S:g} s"
    if check.port is not None:
        yield f"{at}.port: mod_proxy_hcheck checks the member's own port"
    if check.protocol is Protocol.HTTP and check.host is not None:
        yield f"{at}.host: mod_proxy_hcheck has no word for the Host of a check"
    if check.protocol is Protocol.HTTP and check.method not in METHODS:
        yield f"{at}.method: 'hcmethod' knows {', '.join(METHODS)}, not {check.method}"


def _passive_limits(passive: PassiveHealth, at: str) -> Iterator[str]:
    """mod_proxy, "retry", "failonstatus" and "failontimeout"."""
    on = set(passive.on)
    if passive.failures != 1:
        yield f"{at}.failures: one failure takes a member of httpd out, not {passive.failures}"
    if "reset" in on or "connect" not in on:
        yield f"{at}.on: httpd takes a member out where it could not connect, and not for a reset"
    if passive.max_ejected < 1:
        yield f"{at}.max_ejected: httpd takes every member out if it must, not a share of {passive.max_ejected:.0%}"
    for event in sorted(event for event in on if event[0].isdigit() and not event.isdigit()):
        yield f"{at}.on: 'failonstatus' is a list of statuses, not {event}"
    yield from _seconds(passive.ejection, f"{at}.ejection", "retry")


def _seconds(duration_s: float, at: str, word: str) -> Iterator[str]:
    if duration_s % 1 or duration_s < 1:
        yield f"{at}: '{word}' counts whole seconds, not {duration_s:g}"


def _grain(duration_s: float, at: str) -> Iterator[str]:
    if not whole_milliseconds(duration_s):
        yield f"{at}: httpd's timers count milliseconds, and {duration_s * 1000:g} is not a whole number of them"
