"""Caddy 2.6 and later, in its native JSON. Citations are to caddyserver.com/docs/json, by module.

A field stands here because its documentation says that it expresses a field of the spec; none is there to pass a check.
What cannot be expressed is said by `lacks` and `unsupported`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lbcheck.errors import Unsupported
from lbcheck.features import Feature
from lbcheck.spec.change import Change, Drain, Reload
from lbcheck.spec.model import (
    Algorithm,
    Backend,
    Forwarded,
    HealthCheck,
    Listener,
    PassiveHealth,
    Pool,
    Retries,
    Spec,
)
from lbcheck.targets.base import Orders, Rendering, Tell, program, version_key, version_of
from lbcheck.targets.caddy_limits import (
    FALLBACK_SINCE,
    IDEMPOTENT,
    Version,
    features,
    lack,
    left_out,
    limits,
    status_class,
)
from lbcheck.targets.caddy_routing import Json, routes

CONFIG = "caddy.json"
SOCKET = "caddy.sock"
HTTPS_PORT = 443
NANOSECONDS = 1_000_000_000  # a duration is an integer of these, or a string
EVERYBODY = ["0.0.0.0/0", "::/0"]
NOBODY: Json = {"not": [{"path": ["*"]}]}


class Caddy:
    """`--lb-target=caddy`."""

    name = "caddy"
    grain_s = 1 / NANOSECONDS
    real_time = "a Go program asks the kernel for the time, past the C library that libfaketime stands in for"

    def __init__(self, binary: str | None = None) -> None:
        self.binary = program("caddy", binary, package="caddy")
        self.version = version_of("caddy", (self.binary, "version"), r"v?(\d+\.\d+\.\d+\S*)")
        self.features = features(self.version)

    def lacks(self, feature: Feature) -> str:
        return lack(feature, self.version)

    def unsupported(self, spec: Spec) -> tuple[str, ...]:
        return tuple(limits(spec, self.version))

    def render(self, spec: Spec, folder: Path) -> Rendering:
        if reasons := self.unsupported(spec):
            raise Unsupported("; ".join(reasons))
        return Rendering(
            {CONFIG: configuration(spec, self.version)},
            (self.binary, "run", "--config", CONFIG),
            (self.binary, "validate", "--config", CONFIG),
            env=homes(folder),
            left_out=tuple(left_out(spec, self.version)),
            orders=self._orders,
        )

    def _orders(self, change: Change, spec: Spec) -> Orders:
        """The admin API's POST /load, which answers when the configuration is in force ("API")."""
        if isinstance(change, Drain) and spec.claims.sticky_while_draining and spec.pool(change.pool).stickiness:
            raise Unsupported("Caddy has no draining: an upstream that takes nothing new is left out, with its clients")
        if reasons := self.unsupported(spec):
            raise Unsupported("; ".join(reasons))
        text = configuration(spec, self.version)
        again = isinstance(change, Reload) and change.again
        return Orders((load(text),), {} if again else {CONFIG: text})

    def adopt(self, configs: Sequence[Path], folder: Path) -> Rendering:
        """The user's file as it is, a Caddyfile unless it ends in .json. Its admin API is not known, so it is not told
        anything."""
        if len(configs) != 1:
            raise Unsupported(f"Caddy takes one configuration file, not {len(configs)}", remedy="Name the main file.")
        config = configs[0].absolute()
        adapter = () if config.suffix == ".json" else ("--adapter", "caddyfile")
        return Rendering(
            {},
            (self.binary, "run", "--config", str(config), *adapter),
            (self.binary, "validate", "--config", str(config), *adapter),
            env=homes(folder),
        )


def homes(folder: Path) -> dict[str, str]:
    """Where Caddy keeps what it keeps ("Conventions", "File locations")."""
    return {name: str(folder) for name in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")}


def load(text: str) -> Tell:
    """`must-revalidate`: also where nothing changed. To a Unix socket a Host is empty."""
    body = text.encode()
    head = (
        "POST /load HTTP/1.1\r\nHost:\r\nConnection: close\r\nContent-Type: application/json\r\n"
        f"Cache-Control: must-revalidate\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return Tell(SOCKET, head.encode() + body, r"HTTP/1\.1 200 [\s\S]*")


def configuration(spec: Spec, version: str) -> str:
    """caddy.json for a placed spec that is within `limits`."""
    return json.dumps(document(spec, version_key(version)), indent=2) + "\n"


def document(spec: Spec, version: Version) -> Json:
    servers = {listener.name: _server(listener, spec, version) for listener in spec.listeners}
    return {
        "admin": {"listen": f"unix/{SOCKET}", "config": {"persist": False}},
        "storage": {"module": "file_system", "root": "storage"},
        "apps": {"http": {"servers": servers}},
    }


def _server(listener: Listener, spec: Spec, version: Version) -> Json:
    host = f"[{listener.address}]" if ":" in str(listener.address) else listener.address
    server: Json = {
        "listen": [f"{host}:{listener.port}"],
        "idle_timeout": nanoseconds(listener.idle_timeout),
        "routes": routes(listener, lambda pool: _proxied(spec.pool(pool), listener, version)),
    }
    # What is served there is taken for HTTPS, whoever asks; elsewhere no rule has the matcher that asks for it.
    return server | ({"automatic_https": {"disable": True}} if listener.port == HTTPS_PORT else {})


def nanoseconds(duration_s: float) -> int:
    return round(duration_s * NANOSECONDS)


# --- pools -----------------------------------------------------------------------------------------------------------


def _proxied(pool: Pool, listener: Listener, version: Version) -> list[Json]:
    """http.handlers.reverse_proxy, after what becomes of its cookie."""
    return [*_cookie_attributes(pool), _reverse_proxy(pool, listener, version)]


def _reverse_proxy(pool: Pool, listener: Listener, version: Version) -> Json:
    handler: Json = {
        "handler": "reverse_proxy",
        "upstreams": [_upstream(pool, backend) for backend in members(pool)],
        "load_balancing": {"selection_policy": _policy(pool, version), **_retries(pool.retries)},
        "transport": {
            "protocol": "http",
            "dial_timeout": nanoseconds(pool.timeouts.connect),
            "response_header_timeout": nanoseconds(pool.timeouts.response),
            # What stands beside the time are the defaults, which are those of no `keep_alive` at all.
            "keep_alive": {
                "probe_interval": nanoseconds(30),
                "max_idle_conns_per_host": 32,
                "idle_timeout": nanoseconds(pool.timeouts.idle),
            },
        },
    }
    if pool.proxy_protocol != "none":
        handler["transport"]["proxy_protocol"] = pool.proxy_protocol
    if checks := _health(pool):
        handler["health_checks"] = checks
    return handler | _headers(listener)


def members(pool: Pool) -> list[Backend]:
    """Whoever may get a new request: there is no weight 0 and no draining. `limits` has seen to the backups."""
    active = [b for b in pool.backends if b.state == "active" and b.weight > 0]
    return [b for b in active if not b.backup] + [b for b in active if b.backup]


def _upstream(pool: Pool, backend: Backend) -> Json:
    upstream: Json = {"dial": str(backend.address)}
    if pool.max_connections:
        upstream["max_requests"] = pool.max_connections
    return upstream


def _policy(pool: Pool, version: Version) -> Json:
    """http.reverse_proxy.selection_policies."""
    if any(backend.backup for backend in members(pool)):
        return {"policy": "first"}
    if pool.stickiness is not None:
        cookie: Json = {"policy": "cookie", "name": pool.stickiness.cookie}
        unbound = _policy(replace(pool, stickiness=None), version)
        return cookie if version < FALLBACK_SINCE else cookie | {"fallback": unbound}
    plain: dict[Algorithm, Json] = {
        Algorithm.ROUND_ROBIN: {"policy": "round_robin"},
        Algorithm.LEAST_CONNECTIONS: {"policy": "least_conn"},
        Algorithm.SOURCE_IP_HASH: {"policy": "ip_hash"},
        Algorithm.RANDOM: {"policy": "random"},
        Algorithm.POWER_OF_TWO: {"policy": "random_choose", "choose": 2},
    }
    if pool.algorithm is Algorithm.WEIGHTED_ROUND_ROBIN:
        return {"policy": "weighted_round_robin", "weights": [backend.weight for backend in members(pool)]}
    return plain[pool.algorithm] if pool.algorithm in plain else _hashed(pool.hash_key)


def _hashed(key: str) -> Json:
    kind, _, word = key.partition(":")
    return {
        "source_ip": {"policy": "ip_hash"},
        "header": {"policy": "header", "field": word},
        "query": {"policy": "query", "key": word},
    }[kind]


def _retries(retries: Retries) -> Json:
    """A failure to connect is always tried again; `retry_match` says which requests are after any other failure."""
    if retries.attempts == 0:
        return {}
    if set(retries.on) == {"connect"}:
        match = NOBODY
    else:
        match = {"path": ["*"]} if retries.non_idempotent else {"method": list(IDEMPOTENT)}
    return {"retries": retries.attempts, "retry_match": [match]}


def _cookie_attributes(pool: Pool) -> list[Json]:
    """The policy itself says `Path=/` and no more; what is declared besides is added (http.handlers.headers)."""
    sticky = pool.stickiness
    if sticky is None:
        return []
    words = ["Path=/"]
    if sticky.duration is not None:
        words.append(f"Max-Age={round(sticky.duration)}")
    words += ["HttpOnly"] * sticky.http_only + ["Secure"] * sticky.secure
    words += [f"SameSite={sticky.same_site}"] if sticky.same_site else []
    edit = {"search_regexp": f"^({re.escape(sticky.cookie)}=[0-9a-f]*); Path=/$", "replace": "; ".join(["$1", *words])}
    return [{"handler": "headers", "response": {"deferred": True, "replace": {"Set-Cookie": [edit]}}}]


# --- health ----------------------------------------------------------------------------------------------------------


def _health(pool: Pool) -> Json:
    checks: Json = {}
    if pool.health_check is not None:
        checks["active"] = _active(pool.health_check)
    if pool.passive_health is not None:
        checks["passive"] = _passive(pool.passive_health)
    return checks


def _active(check: HealthCheck) -> Json:
    active: Json = {
        "uri": check.path,
        "interval": nanoseconds(check.interval),
        "timeout": nanoseconds(check.timeout),
    }
    if expected := status_class(check.success_codes):
        active["expect_status"] = expected
    if check.port is not None:
        active["port"] = check.port
    if check.host is not None:
        active["headers"] = {"Host": [check.host]}
    said: Json = {"method": check.method, "passes": check.healthy_threshold, "fails": check.unhealthy_threshold}
    usual = {"method": "GET", "passes": 1, "fails": 1}
    return active | {key: value for key, value in said.items() if value != usual[key]}


def _passive(passive: PassiveHealth) -> Json:
    counted: Json = {"fail_duration": nanoseconds(passive.ejection), "max_fails": passive.failures}
    statuses = [status_class(event) for event in passive.on if event[0].isdigit()]
    return counted | ({"unhealthy_status": statuses} if statuses else {})


# --- headers ---------------------------------------------------------------------------------------------------------


def _headers(listener: Listener) -> Json:
    """X-Forwarded-For, -Proto and -Host are set anyway; of trusted proxies what they say of themselves is kept."""
    forwarded = listener.forwarded
    if forwarded is None:
        return {}
    found: Json = {"trusted_proxies": EVERYBODY} if forwarded.x_forwarded_for == "append" else {}
    operations = {"set": _set(forwarded, listener), "delete": _deleted(forwarded)}
    request: dict[str, Any] = {key: value for key, value in operations.items() if value}
    return found | ({"headers": {"request": request}} if request else {})


def _set(forwarded: Forwarded, listener: Listener) -> Json:
    fields: Json = {}
    if forwarded.x_forwarded_proto == "set":
        fields["X-Forwarded-Proto"] = ["{http.request.scheme}"]
    if forwarded.x_forwarded_port == "set":
        fields["X-Forwarded-Port"] = [str(listener.port)]
    if forwarded.host == "backend":
        fields["Host"] = ["{http.reverse_proxy.upstream.hostport}"]
    return fields


def _deleted(forwarded: Forwarded) -> list[str]:
    told = {"X-Forwarded-Proto": forwarded.x_forwarded_proto, "X-Forwarded-Port": forwarded.x_forwarded_port}
    gone = ["X-Forwarded-For"] if forwarded.x_forwarded_for == "remove" else []
    return gone + [field for field, how in told.items() if how == "none"]
