"""What nginx open source's documentation (nginx.org/en/docs) cannot express, with the reason that reports show."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lbcheck.features import Feature
from lbcheck.spec.model import Action, Algorithm, Forward, Listener, PassiveHealth, Pool, Redirect, Respond, Rule, Spec
from lbcheck.targets.template import whole_milliseconds

_NO_CHECKS = "nginx open source has no active health checks (NGINX Plus only: 'health_check')"
_NO_STICKY = "nginx open source of this age has no 'sticky'; newer versions and NGINX Plus do"
_STREAM = "lbcheck does not write nginx's stream configuration yet"
_TLS = "lbcheck does not write nginx's TLS configuration yet"
_HTTP2 = "lbcheck does not write nginx's HTTP/2 configuration yet"

LACKS: dict[Feature, str] = {
    Feature.LEAST_RESPONSE_TIME: "nginx open source does not balance by response time (NGINX Plus only: 'least_time')",
    Feature.HTTP_CHECK: _NO_CHECKS,
    Feature.TCP_CHECK: _NO_CHECKS,
    Feature.HTTPS_CHECK: _NO_CHECKS,
    Feature.GRPC_CHECK: _NO_CHECKS,
    Feature.SUCCESS_CODES: _NO_CHECKS,
    Feature.INITIAL_STATE: _NO_CHECKS,
    Feature.FAIL_OPEN: _NO_CHECKS,
    Feature.SLOW_START: "nginx open source has no slow start (NGINX Plus only: 'slow_start')",
    Feature.QUERY_DECODING: "nginx compares a query's values as they were sent ('$arg_name')",
    Feature.LB_COOKIE: _NO_STICKY,
    Feature.APP_COOKIE: _NO_STICKY,
    Feature.SOURCE_IP_STICKINESS: "nginx keeps no table of clients: a hash of the address is an algorithm, no affinity",
    Feature.MAX_CONNECTIONS: "nginx open source has 'max_conns' but no queue (NGINX Plus only: 'queue')",
    Feature.BACKPRESSURE: "nginx takes answers into memory and files for clients that read slowly ('proxy_buffering')",
    Feature.RETRIES_NO_CONNECTION: "nginx's 'error' is a connection that is refused; one that is late is 'timeout'",
    Feature.DRAIN_ENDS: "nginx's 'worker_shutdown_timeout' ends everything under way at a reload, at any server",
    Feature.PROXY_PROTOCOL: "nginx sends the PROXY protocol from its stream module only",
    Feature.RESOLVE: "lbcheck gives nginx literal addresses, so there is no name to resolve again",
    Feature.HTTPS: _TLS,
    Feature.TLS: _TLS,
    Feature.TCP: _STREAM,
    Feature.UDP: _STREAM,
    Feature.HTTP2: _HTTP2,
    Feature.H2C: _HTTP2,
}

REDIRECT_CODES = (301, 302, 303, 307, 308)  # ngx_http_rewrite_module, "return"
RETRY_STATUSES = ("403", "404", "429", "500", "502", "503", "504")  # ngx_http_proxy_module, "proxy_next_upstream"
ALWAYS_FAILURES = {"connect", "reset", "timeout"}  # the same: unsuccessful attempts whether or not they are retried
COUNTED_STATUSES = {"429", "500", "502", "503", "504"}  # unsuccessful only if they are retried
PARAMETER_BYTES = 4000  # of a configuration's buffer of 4096
OWN_STATUSES = {"none_usable": 502, "refused": 502, "broken": 502, "timeout": 504}
_WITHOUT_BACKUP = {  # ngx_http_upstream_module, "backup"
    Algorithm.SOURCE_IP_HASH,
    Algorithm.CONSISTENT_HASH,
    Algorithm.RANDOM,
    Algorithm.POWER_OF_TWO,
}
_IN_VARIABLE = re.compile(r"\w+", re.ASCII)
_HEADER_NAME = re.compile(r"[A-Za-z0-9-]+")  # others are ignored: "ignore_invalid_headers", "underscores_in_headers"


def limits(spec: Spec) -> Iterator[str]:
    """Reasons why this spec cannot be rendered, each with its place."""
    names = [pool.name.lower() for pool in spec.pools]
    yield from (f"pools.{p.name}: nginx's names have no case" for p in spec.pools if names.count(p.name.lower()) > 1)
    for listener in spec.listeners:
        yield from _listener_limits(listener, f"listeners.{listener.name}")
    for pool in spec.pools:
        yield from _pool_limits(pool, f"pools.{pool.name}")


def left_out(spec: Spec) -> Iterator[str]:
    """Shares between pools are hundredths of a per cent (ngx_http_split_clients_module)."""
    for listener in spec.listeners:
        for action in (listener.default, *(rule.then for rule in listener.rules)):
            if isinstance(action, Forward) and not _in_hundredths(action):
                yield f"listeners.{listener.name}: shares {dict(action.pools)} are rounded to 0.01 %"


def _in_hundredths(forward: Forward) -> bool:
    total = sum(weight for _, weight in forward.pools)
    return all(weight * 10_000 % total == 0 for _, weight in forward.pools)


# --- listeners -------------------------------------------------------------------------------------------------------


def _listener_limits(listener: Listener, at: str) -> Iterator[str]:
    yield from _grain(listener.idle_timeout, f"{at}.idle_timeout")
    if listener.forwarded and listener.forwarded.host == "backend":
        yield f"{at}.forwarded.host: nginx has no variable for the chosen backend in a request to it"
    yield from _action_limits(listener.default, f"{at}.default")
    for rule in listener.rules:
        yield from _rule_limits(rule, f"{at}.rules.{rule.priority}")


def _rule_limits(rule: Rule, at: str) -> Iterator[str]:
    yield from _action_limits(rule.then, f"{at}.then")
    for header, _ in rule.when.header:
        if not _HEADER_NAME.fullmatch(header):
            yield f"{at}.when.header: nginx has no variable for the header {header!r}"
    for cookie, _ in rule.when.cookie:
        if not _IN_VARIABLE.fullmatch(cookie):
            yield f"{at}.when.cookie: nginx has no variable for the cookie {cookie!r}"
    if rule.rewrite:
        yield from _dollar("".join(rule.rewrite.path_prefix), f"{at}.rewrite")


def _action_limits(action: Action, at: str) -> Iterator[str]:
    if isinstance(action, Forward) and not any(weight for _, weight in action.pools):
        yield f"{at}: all weights are zero, and nginx has to go somewhere"
    if isinstance(action, Redirect):
        yield from _dollar(f"{action.host}{action.path}{action.query}", at)
        if action.status not in REDIRECT_CODES:
            yield f"{at}: nginx redirects with {', '.join(map(str, REDIRECT_CODES))}, not {action.status}"
    if isinstance(action, Respond):
        yield from _dollar(action.body, f"{at}.body")
        if action.status == 444 or 300 <= action.status < 400:
            yield f"{at}: 'return {action.status}' is no answer with a body in nginx"
        if len(action.body.encode()) > PARAMETER_BYTES:
            yield f"{at}.body: a parameter in nginx's configuration holds at most {PARAMETER_BYTES} bytes"


def _dollar(text: str, at: str) -> Iterator[str]:
    if "$" in text:
        yield f"{at}: nginx's configuration cannot say a literal $ where it expands variables"


# --- pools -----------------------------------------------------------------------------------------------------------


def _pool_limits(pool: Pool, at: str) -> Iterator[str]:
    times = {"connect": pool.timeouts.connect, "response": pool.timeouts.response, "idle": pool.timeouts.idle}
    for key, value in times.items():
        yield from _grain(value, f"{at}.timeouts.{key}")
    for cause, own in OWN_STATUSES.items():
        declared = getattr(pool.statuses, cause)
        if declared not in (None, own):
            yield f"{at}.statuses.{cause}: nginx answers {own}, and has no directive to say {declared} for this cause"
    yield from _method_limits(pool, at)
    yield from _retry_limits(pool, at)
    if pool.passive_health:
        yield from _passive_limits(pool.passive_health, pool, f"{at}.passive_health")


def _method_limits(pool: Pool, at: str) -> Iterator[str]:
    if pool.algorithm is Algorithm.WEIGHTED_ROUND_ROBIN and pool.order == "burst":
        yield f"{at}.order: nginx's weighted round robin is smooth; it has no bursts"
    if pool.algorithm in _WITHOUT_BACKUP and any(backend.backup for backend in pool.backends):
        yield f"{at}.backends: 'backup' cannot be used along with hash and random"
    kind, _, word = pool.hash_key.partition(":")
    if pool.algorithm is Algorithm.CONSISTENT_HASH and word:
        expected = _HEADER_NAME if kind == "header" else _IN_VARIABLE
        if not expected.fullmatch(word):
            yield f"{at}.hash_key: nginx has no variable for {pool.hash_key}"


def _retry_limits(pool: Pool, at: str) -> Iterator[str]:
    retries = pool.retries
    if retries.attempts == 0:
        return
    if not {"connect", "reset"} <= set(retries.on):
        yield f"{at}.retries.on: 'proxy_next_upstream error' is connect and reset together, not one of them"
    for event in set(retries.on) - ALWAYS_FAILURES - set(RETRY_STATUSES):
        yield f"{at}.retries.on: 'proxy_next_upstream' knows {', '.join(RETRY_STATUSES)}, not {event}"


def _passive_limits(passive: PassiveHealth, pool: Pool, at: str) -> Iterator[str]:
    """ngx_http_upstream_module, "max_fails" and "fail_timeout"."""
    if passive.count != "window":
        yield f"{at}.count: 'max_fails' counts failures in a window, not {passive.count} ones"
    if passive.within != passive.ejection:
        times = f"{passive.within:g} s and {passive.ejection:g} s"
        yield f"{at}: 'fail_timeout' is both the window and the ejection, not {times}"
    if passive.ejection % 1 or passive.ejection < 1:
        yield f"{at}.ejection: 'fail_timeout' counts whole seconds, not {passive.ejection:g}"
    if passive.max_ejected < 1:
        yield f"{at}.max_ejected: nginx ejects every server if it must, not a share of {passive.max_ejected:.0%}"
    if len(pool.backends) < 2:
        yield f"{at}: nginx ignores 'max_fails' where a group has a single server"
    yield from _counted_limits(set(passive.on), pool, at)


def _counted_limits(on: set[str], pool: Pool, at: str) -> Iterator[str]:
    if missing := sorted(ALWAYS_FAILURES - on):
        yield f"{at}.on: nginx always counts {', '.join(missing)} as failures"
    retried = set(pool.retries.on) & COUNTED_STATUSES if pool.retries.attempts else set()
    if on - ALWAYS_FAILURES != retried:
        yield f"{at}.on: nginx counts exactly those statuses that it retries ({', '.join(sorted(retried)) or 'none'})"


def _grain(duration_s: float, at: str) -> Iterator[str]:
    if not whole_milliseconds(duration_s):
        yield f"{at}: nginx's timers count milliseconds, and {duration_s * 1000:g} is not a whole number of them"
