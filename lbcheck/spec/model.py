"""The spec's words as frozen dataclasses. Field names are the keys of `lb.yaml`; durations are seconds as floats.

The values of the fields are the `plain` profile; `lbcheck.spec.profiles` holds the others.
`None` stands for "not said" wherever silence differs from every value.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Literal, TypeAlias

Seconds: TypeAlias = float


class Protocol(str, Enum):
    HTTP = "HTTP"
    HTTPS = "HTTPS"
    H2C = "H2C"
    TCP = "TCP"
    TLS = "TLS"
    UDP = "UDP"
    GRPC = "GRPC"


class Algorithm(str, Enum):
    ROUND_ROBIN = "round_robin"
    WEIGHTED_ROUND_ROBIN = "weighted_round_robin"
    LEAST_CONNECTIONS = "least_connections"
    WEIGHTED_LEAST_CONNECTIONS = "weighted_least_connections"
    SOURCE_IP_HASH = "source_ip_hash"
    CONSISTENT_HASH = "consistent_hash"
    LEAST_RESPONSE_TIME = "least_response_time"
    RANDOM = "random"
    POWER_OF_TWO = "power_of_two"


# --- listeners and rules ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Certificate:
    names: tuple[str, ...]
    cert: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Conditions:
    """Every condition that is not empty must hold; within one, any value will do (ALB's semantics).

    `header`, `query` and `cookie` are pairs (name, patterns), in file order; every named one must match.
    """

    path: tuple[str, ...] = ()
    path_prefix: tuple[str, ...] = ()
    path_exact: tuple[str, ...] = ()
    path_regex: tuple[str, ...] = ()
    host: tuple[str, ...] = ()
    method: tuple[str, ...] = ()
    header: tuple[tuple[str, tuple[str, ...]], ...] = ()
    query: tuple[tuple[str, tuple[str, ...]], ...] = ()
    cookie: tuple[tuple[str, tuple[str, ...]], ...] = ()
    source: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Forward:
    """Weights between pools, in file order; `forward: api` is one pool of weight 1."""

    pools: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Redirect:
    """ALB's redirect: `#{protocol}`, `#{host}`, `#{port}`, `#{path}` (without its first slash) and `#{query}` stand for the request's."""

    status: int = 302
    protocol: str = "#{protocol}"
    host: str = "#{host}"
    port: str = "#{port}"
    path: str = "/#{path}"
    query: str = "#{query}"


@dataclass(frozen=True, slots=True)
class Respond:
    status: int = 503
    body: str = ""
    content_type: str = "text/plain"


Action: TypeAlias = Forward | Redirect | Respond


@dataclass(frozen=True, slots=True)
class Rewrite:
    """Replace a prefix of the path, by elements, before forwarding: (from, to)."""

    path_prefix: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Rule:
    priority: int
    when: Conditions
    then: Action
    name: str = ""
    rewrite: Rewrite | None = None


@dataclass(frozen=True, slots=True)
class Forwarded:
    """What becomes of X-Forwarded-* and Host on the way to a backend; `trust` lists peers whose X-Forwarded-For is believed."""

    x_forwarded_for: Literal["append", "replace", "preserve", "remove"] = "append"
    x_forwarded_proto: Literal["set", "preserve", "none"] = "set"
    x_forwarded_port: Literal["set", "preserve", "none"] = "set"
    host: Literal["keep", "backend"] = "keep"
    trust: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Listener:
    """`address` and `port` are None in the battery: the lab places them."""

    name: str
    default: Action
    protocol: Protocol = Protocol.HTTP
    address: str | None = None
    port: int | None = None
    http2: bool = False
    certificates: tuple[Certificate, ...] = ()
    idle_timeout: Seconds = 60.0
    rules: tuple[Rule, ...] = ()
    forwarded: Forwarded | None = None


# --- pools -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Backend:
    """`address` is "host:port" or "[v6]:port"; None in the battery: the lab places it."""

    name: str
    address: str | None = None
    weight: int = 1
    backup: bool = False
    state: Literal["active", "draining"] = "active"

    @property
    def host(self) -> str:
        return self._split()[0]

    @property
    def port(self) -> int:
        return self._split()[1]

    def _split(self) -> tuple[str, int]:
        if self.address is None:
            raise ValueError(f"backend {self.name} has no address yet: the lab places it")
        host, _, port = self.address.rpartition(":")
        return host.strip("[]"), int(port)


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """Consecutive results only; the opposite result resets the streak; redirects are not followed.

    `success_codes` is a comma list of codes and ranges. `port` is None for the traffic port. `host` None is the backend's own address.
    """

    protocol: Protocol = Protocol.HTTP
    port: int | None = None
    path: str = "/"
    method: str = "GET"
    host: str | None = None
    interval: Seconds = 30.0
    timeout: Seconds = 5.0
    healthy_threshold: int = 2
    unhealthy_threshold: int = 3
    success_codes: str = "200-299"
    initial: Literal["healthy", "unhealthy", "unknown"] = "unknown"

    def accepts(self, status: int) -> bool:
        """Is this status one of `success_codes`?"""
        for part in self.success_codes.split(","):
            low, _, high = part.strip().partition("-")
            if int(low) <= status <= int(high or low):
                return True
        return False

    @property
    def settle_probes(self) -> int:
        """Good probes that every backend has had when it is settled (some products boot one failure from down)."""
        return max(self.healthy_threshold, self.unhealthy_threshold)

    def detection(self, failures: int | None = None) -> tuple[Seconds, Seconds]:
        """(earliest, latest) seconds from the first failing moment to the state change, without slack."""
        n = self.unhealthy_threshold if failures is None else failures
        return (n - 1) * self.interval, n * (self.interval + self.timeout)


@dataclass(frozen=True, slots=True)
class PassiveHealth:
    failures: int = 3
    count: Literal["window", "consecutive"] = "consecutive"
    within: Seconds = 10.0
    ejection: Seconds = 10.0
    max_ejected: float = 1.0  # share of the pool, 0..1
    on: tuple[str, ...] = ("connect", "timeout", "reset", "5xx")


@dataclass(frozen=True, slots=True)
class Stickiness:
    type: Literal["lb_cookie", "app_cookie", "source_ip"] = "lb_cookie"
    cookie: str = "AWSALB"
    duration: Seconds | None = 86400.0  # None: a session cookie
    secure: bool = False
    http_only: bool = True
    same_site: Literal["Lax", "Strict", "None"] | None = "Lax"


@dataclass(frozen=True, slots=True)
class Retries:
    """`on` holds connect, reset, timeout and status codes as strings. `attempts` counts repeats, not the first try."""

    attempts: int = 0
    on: tuple[str, ...] = ("connect",)
    non_idempotent: bool = False


@dataclass(frozen=True, slots=True)
class Timeouts:
    connect: Seconds = 1.0
    response: Seconds = 60.0
    idle: Seconds = 60.0
    queue: Seconds = 5.0


@dataclass(frozen=True, slots=True)
class Statuses:
    """The balancer's own answers; None: any of 502, 503, 504 keeps the claim."""

    none_usable: int | None = None
    refused: int | None = None
    broken: int | None = None
    timeout: int | None = None


@dataclass(frozen=True, slots=True)
class Pool:
    name: str
    backends: tuple[Backend, ...]
    protocol: Protocol = Protocol.HTTP
    algorithm: Algorithm = Algorithm.ROUND_ROBIN
    order: Literal["smooth", "burst", "any"] = "any"
    hash_key: str = "source_ip"
    health_check: HealthCheck | None = None
    passive_health: PassiveHealth | None = None
    stickiness: Stickiness | None = None
    retries: Retries = Retries()
    timeouts: Timeouts = Timeouts()
    statuses: Statuses = Statuses()
    max_connections: int = 0
    deregistration_delay: Seconds = 30.0
    slow_start: Seconds = 0.0
    all_unhealthy: Literal["refuse", "fail_open"] = "refuse"
    proxy_protocol: Literal["none", "v1", "v2"] = "none"
    resolve: Seconds = 0.0

    def backend(self, name: str) -> Backend:
        return next(b for b in self.backends if b.name == name)


# --- the whole -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Claims:
    """What no other field says. None: not claimed."""

    workers: int = 1
    reload: Literal["lossless"] | None = None
    reload_within: Seconds = 5.0
    sticky_while_draining: bool | None = None
    websocket: bool | None = None


@dataclass(frozen=True, slots=True)
class Slo:
    p99: Seconds | None = None
    error_rate: float | None = None  # share, 0..1
    failover: Seconds | None = None


@dataclass(frozen=True, slots=True)
class Spec:
    listeners: tuple[Listener, ...]
    pools: tuple[Pool, ...] = field(default=())
    claims: Claims = Claims()
    slo: Slo = Slo()
    profile: Literal["plain", "alb", "nlb", "clb"] = "plain"
    version: int = 1

    def pool(self, name: str) -> Pool:
        return next(p for p in self.pools if p.name == name)

    def listener(self, name: str) -> Listener:
        return next(x for x in self.listeners if x.name == name)
