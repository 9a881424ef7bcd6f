"""The spec's words as frozen dataclasses. Field names are the keys of `lb.yaml`; durations are seconds as floats.

The values of the fields are the `plain` profile; `lbcheck.spec.profiles` holds the others.
`None` stands for "not said" wherever silence differs from every value.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, Literal, TypeAlias

from lbcheck.spec import syntax
from lbcheck.spec.syntax import Among, Called, Duration, Keyed, Range, Says, Share, Silence

Seconds: TypeAlias = Annotated[float, Duration()]
PositiveSeconds: TypeAlias = Annotated[float, Duration(positive=True)]
WorkSeconds: TypeAlias = Annotated[float, Duration(positive=True, of_work=True)]
Name: TypeAlias = Annotated[str, syntax.NAME_SYNTAX]
Path: TypeAlias = Annotated[str, syntax.PATH]
Cidr: TypeAlias = Annotated[str, syntax.CIDR]
Status: TypeAlias = Annotated[int, Range(100, 599)]
Port: TypeAlias = Annotated[int, Range(1, 65535)]
Threshold: TypeAlias = Annotated[int, Range(1, 1000)]
Count: TypeAlias = Annotated[int, Range(0, 1_000_000_000)]
Weight: TypeAlias = Annotated[int, Range(0, 65535)]
Line: TypeAlias = Annotated[str, syntax.LINE]
Patterns: TypeAlias = tuple[Line, ...]


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
    """Names that it is for; the lab makes `cert` and `key` (files) where absent."""

    names: tuple[Annotated[str, syntax.CERTIFICATE_NAME], ...]
    cert: Line | None = None
    key: Line | None = None


@dataclass(frozen=True, slots=True)
class Conditions:
    """Every condition that is not empty must hold; within one, any value will do (ALB's semantics).

    `header`, `query` and `cookie` are pairs (name, patterns), in file order; every named one must match. Keys and
    values of a query are compared decoded (`%61` is an a, `+` a space); a path is compared as it was sent.
    """

    path: tuple[Annotated[str, syntax.PATH_PATTERN], ...] = ()
    path_prefix: tuple[Path, ...] = ()
    path_exact: tuple[Path, ...] = ()
    path_regex: tuple[Annotated[str, syntax.REGEX], ...] = ()
    host: tuple[Annotated[str, syntax.HOST_PATTERN], ...] = ()
    method: tuple[Annotated[str, syntax.METHOD], ...] = ()
    header: tuple[tuple[Annotated[str, syntax.HEADER], Patterns], ...] = ()
    query: tuple[tuple[Line, Patterns], ...] = ()
    cookie: tuple[tuple[Annotated[str, syntax.COOKIE], Patterns], ...] = ()
    source: tuple[Cidr, ...] = ()


@dataclass(frozen=True, slots=True)
class Forward:
    """Weights between pools, in file order; `forward: api` is one pool of weight 1."""

    pools: tuple[tuple[Name, Weight], ...]


@dataclass(frozen=True, slots=True)
class Redirect:
    """ALB's redirect: `#{protocol}`, `#{host}`, `#{port}`, `#{path}` and `#{query}` stand for the request's.

    `#{path}` comes without its first slash.
    """

    status: Annotated[int, Range(300, 399)] = 302
    protocol: Annotated[str, syntax.WEB_PROTOCOL] = "#{protocol}"
    host: Annotated[str, syntax.NEW_HOST] = "#{host}"
    port: Annotated[str, syntax.WEB_PORT] = "#{port}"
    path: Annotated[str, syntax.NEW_PATH] = "/#{path}"
    query: Annotated[str, syntax.NEW_QUERY] = "#{query}"


@dataclass(frozen=True, slots=True)
class Respond:
    """The balancer answers by itself (ALB's fixed response)."""

    status: Annotated[int, Range(200, 599)] = 503
    body: str = ""
    content_type: Annotated[str, syntax.MEDIA_TYPE] = "text/plain"


Action: TypeAlias = Forward | Redirect | Respond


@dataclass(frozen=True, slots=True)
class Rewrite:
    """Replace a prefix of the path, by elements, before forwarding: (from, to)."""

    path_prefix: tuple[Path, Path]


@dataclass(frozen=True, slots=True)
class Rule:
    """The lowest priority of those whose conditions all hold acts."""

    priority: Annotated[int, Range(1, 50000)]
    when: Conditions
    then: Action
    name: Annotated[str, syntax.OPTIONAL_NAME] = ""
    rewrite: Rewrite | None = None


@dataclass(frozen=True, slots=True)
class Forwarded:
    """What becomes of X-Forwarded-* and Host on the way to a backend.

    `trust` lists peers whose X-Forwarded-For is believed.
    A listener without `forwarded` claims nothing here and no check reads it; the reference then does what these
    defaults say. `forwarded: {}` claims exactly the defaults.
    """

    x_forwarded_for: Literal["append", "replace", "preserve", "remove"] = "append"
    x_forwarded_proto: Literal["set", "preserve", "none"] = "set"
    x_forwarded_port: Literal["set", "preserve", "none"] = "set"
    host: Literal["keep", "backend"] = "keep"
    trust: tuple[Cidr, ...] = ()


@dataclass(frozen=True, slots=True)
class Listener:
    """`address` and `port` are None in the battery: the lab places them."""

    name: Name
    default: Action
    protocol: Annotated[Protocol, Among(("HTTP", "HTTPS", "TCP", "TLS", "UDP"))] = Protocol.HTTP
    address: Annotated[str, syntax.LISTEN] | None = None
    port: Port | None = None
    http2: bool = False
    certificates: Annotated[tuple[Certificate, ...], Says("The first is the default.")] = ()
    idle_timeout: Seconds = 60.0
    rules: Annotated[tuple[Rule, ...], Called("priority")] = ()
    forwarded: Forwarded | None = None


# --- pools -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Backend:
    """`address` is "host:port" or "[v6]:port"; None in the battery: the lab places it."""

    name: Annotated[str, syntax.BACKEND_NAME, Says("Left out: the address.")]
    address: Annotated[str, syntax.ADDRESS] | None = None
    weight: Weight = 1
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

    `success_codes` is a comma list of codes and ranges. `port` None is the traffic port.
    `host` None is the backend's own address.
    """

    protocol: Annotated[Protocol, Among(("HTTP", "HTTPS", "TCP", "GRPC"))] = Protocol.HTTP
    port: Annotated[Port | None, Silence("traffic")] = None
    path: Annotated[str, syntax.PROBE_PATH] = "/"
    method: Annotated[str, syntax.METHOD] = "GET"
    host: Annotated[str, syntax.HOST] | None = None
    interval: PositiveSeconds = 30.0
    timeout: PositiveSeconds = 5.0
    healthy_threshold: Threshold = 2
    unhealthy_threshold: Threshold = 3
    success_codes: Annotated[str, syntax.CODES] = "200-299"
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
    """Ejection by what real requests met; `within` is the window that `count: window` counts in."""

    failures: Threshold = 3
    count: Literal["window", "consecutive"] = "consecutive"
    within: PositiveSeconds = 10.0
    ejection: PositiveSeconds = 10.0
    max_ejected: Annotated[float, Share(), Says("Share of the pool.")] = 1.0
    on: tuple[Annotated[str, syntax.FAILURE], ...] = ("connect", "timeout", "reset", "5xx")


@dataclass(frozen=True, slots=True)
class Stickiness:
    """A client keeps its backend, by a cookie of the balancer, a cookie of the application, or its address."""

    type: Literal["lb_cookie", "app_cookie", "source_ip"] = "lb_cookie"
    cookie: Annotated[str, syntax.COOKIE] = "AWSALB"
    duration: Annotated[PositiveSeconds | None, Silence("session"), Says("None is a session cookie.")] = 86400.0
    secure: bool = False
    http_only: bool = True
    same_site: Literal["Lax", "Strict", "None"] | None = "Lax"


@dataclass(frozen=True, slots=True)
class Retries:
    """`on` holds connect, reset, timeout and status codes as strings. `attempts` counts repeats, not the first try.

    A repeat goes to a backend that has not failed the request yet, as long as there is one.
    """

    attempts: Count = 0
    on: tuple[Annotated[str, syntax.FAILURE], ...] = ("connect",)
    non_idempotent: bool = False


@dataclass(frozen=True, slots=True)
class Timeouts:
    """`response` runs from the whole request sent to the first byte of the answer."""

    connect: PositiveSeconds = 1.0
    response: PositiveSeconds = 60.0
    idle: PositiveSeconds = 60.0
    queue: Seconds = 5.0


@dataclass(frozen=True, slots=True)
class Statuses:
    """The balancer's own answers; None: any of 502, 503, 504 keeps the claim."""

    none_usable: Status | None = None
    refused: Status | None = None
    broken: Status | None = None
    timeout: Status | None = None


@dataclass(frozen=True, slots=True)
class Pool:
    """Backends and how requests are spread over them. `statuses` and `max_connections` 0 (unlimited) claim nothing.

    `slow_start`: a backend that is registered, or back in service after failed probes or an ejection, has weight x
    t / slow_start, at least a twentieth, until that time is over; each time anew, and nobody at the balancer's start.
    `all_unhealthy` fail_open: once every backend is known to be out, the primaries get traffic, whatever their health;
    backups only where there is no primary of a weight that is not draining.
    """

    name: Name
    backends: Annotated[tuple[Backend, ...], Called("name", scalar="address")]
    protocol: Annotated[Protocol, Among(("HTTP", "HTTPS", "H2C", "TCP", "TLS", "UDP"))] = Protocol.HTTP
    algorithm: Algorithm = Algorithm.ROUND_ROBIN
    order: Literal["smooth", "burst", "any"] = "any"
    hash_key: Annotated[str, syntax.HASH_KEY] = "source_ip"
    health_check: HealthCheck | None = None
    passive_health: PassiveHealth | None = None
    stickiness: Stickiness | None = None
    retries: Retries = Retries()
    timeouts: Timeouts = Timeouts()
    statuses: Statuses = Statuses()
    max_connections: Annotated[Count, Says("A backend; 0 is unlimited.")] = 0
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
    """What no other field says. None: not claimed.

    `workers`: each has a rotation of its own; what is known of a backend's health is known to all of them.
    """

    workers: Threshold = 1
    reload: Literal["lossless"] | None = None
    reload_within: WorkSeconds = 5.0
    sticky_while_draining: bool | None = None
    websocket: bool | None = None


@dataclass(frozen=True, slots=True)
class Slo:
    """Bounds that turn measurements into checks."""

    p99: WorkSeconds | None = None
    error_rate: Annotated[float, Share()] | None = None
    failover: PositiveSeconds | None = None


@dataclass(frozen=True, slots=True)
class Spec:
    """The whole of lb.yaml."""

    listeners: Annotated[tuple[Listener, ...], Called("name")]
    pools: Annotated[tuple[Pool, ...], Keyed("name")] = field(default=())
    claims: Claims = Claims()
    slo: Slo = Slo()
    profile: Literal["plain", "alb", "nlb", "clb"] = "plain"
    version: Annotated[int, Range(1, 1)] = 1

    def pool(self, name: str) -> Pool:
        return next(p for p in self.pools if p.name == name)

    def listener(self, name: str) -> Listener:
        return next(x for x in self.listeners if x.name == name)
