"""HAProxy 2.6 and later. Citations are to its Configuration Manual (docs.haproxy.org), version 2.6.

A directive stands here because the manual says that it expresses a field of the spec; none is there to pass a check.
What the manual cannot express is said by `lacks` and `unsupported`.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from zlib import crc32

from lbcheck.errors import Unsupported
from lbcheck.features import Feature
from lbcheck.spec.change import Change, Deregister, Drain, Register, Reload
from lbcheck.spec.model import Algorithm, Backend, Forward, HealthCheck, Listener, Pool, Protocol, Retries, Spec
from lbcheck.targets import haproxy_routing as routing
from lbcheck.targets.base import Orders, Rendering, Signal, Tell, only_again, program, version_key, version_of
from lbcheck.targets.haproxy_limits import LACKS, limits
from lbcheck.targets.haproxy_routing import name, quoted
from lbcheck.targets.haproxy_surroundings import surroundings
from lbcheck.targets.template import fill
from lbcheck.targets.template import milliseconds as ms

CONFIG = "haproxy.cfg"
SOCKET = "haproxy.sock"
FOREGROUND = ("-W", "-db")  # a master that reloads on SIGUSR2 and stops on SIGUSR1 (Management Guide, 3 and 4)
INIT_STATE_SINCE = (3, 1)  # server keyword `init-state`
INIT_STATE = {"healthy": "fully-up", "unhealthy": "fully-down", "unknown": "down"}
RETRY_ON = {"connect": "conn-failure", "reset": "empty-response", "timeout": "response-timeout"}  # "retry-on"
IDEMPOTENT = "GET HEAD OPTIONS TRACE PUT DELETE"  # RFC 9110, section 9.2.2
WEIGHTED = {
    Algorithm.WEIGHTED_ROUND_ROBIN,
    Algorithm.WEIGHTED_LEAST_CONNECTIONS,
    Algorithm.SOURCE_IP_HASH,
    Algorithm.CONSISTENT_HASH,
    Algorithm.RANDOM,
}


class HAProxy:
    """`--lb-target=haproxy`."""

    name = "haproxy"
    grain_s = 0.001  # time format: milliseconds are the unit that timers keep (section 2.4)
    real_time = ""

    def __init__(self, binary: str | None = None) -> None:
        self.binary = program("haproxy", binary, package="haproxy")
        self.version = version_of("haproxy", (self.binary, "-v"), r"HA-?Proxy version (\S+)")
        self.features = features(self.version)

    def lacks(self, feature: Feature) -> str:
        return "" if feature in self.features else LACKS[feature]

    def unsupported(self, spec: Spec) -> tuple[str, ...]:
        return tuple(limits(spec))

    def render(self, spec: Spec, folder: Path) -> Rendering:
        if reasons := self.unsupported(spec):
            raise Unsupported("; ".join(reasons))
        # -C: paths in the file are relative to the folder (a socket's path may not be longer than 97 bytes).
        command = (self.binary, "-C", str(folder), "-f", CONFIG)
        return Rendering(
            {CONFIG: configuration(spec, self.version)},
            (*command, *FOREGROUND),
            (*command, "-c"),
            left_out=tuple(_left_out(spec, self.version)),
            orders=self._orders,
            stop_signal=signal.SIGUSR1,
        )

    def _orders(self, change: Change, spec: Spec) -> Orders:
        """By the Runtime API where it has a word for it (Management Guide, 9.3), else by a reload (4)."""
        told = runtime_commands(change, spec)
        if told:
            return Orders(tuple(Tell(SOCKET, f"{line}\n".encode(), r"\s*") for line in told))
        if reasons := self.unsupported(spec):
            raise Unsupported("; ".join(reasons))
        files = {} if isinstance(change, Reload) and change.again else {CONFIG: configuration(spec, self.version)}
        return Orders((Signal(signal.SIGUSR2),), files)

    def adopt(self, configs: Sequence[Path], folder: Path) -> Rendering:
        """The user's files as they are; -db and -p win over `daemon` and `pidfile` in them (Management Guide, 3)."""
        files = tuple(word for config in configs for word in ("-f", str(config.absolute())))
        pid = ("-p", str(folder / "haproxy.pid"))
        return Rendering(
            {},
            (self.binary, *files, *pid, *FOREGROUND),
            (self.binary, *files, "-c"),
            orders=only_again(signal.SIGUSR2),
            stop_signal=signal.SIGUSR1,
            surroundings=surroundings(configs),
        )


def runtime_commands(change: Change, spec: Spec) -> list[str]:
    """What the Runtime API is told; empty where a reload is needed.

    `drain` keeps those who are bound to the server, `maint` does not ("set server"). A map-based hash takes no other
    weight at run time ("hash-type"), and a server that is new to the process is in no stick table's numbering.
    """
    if isinstance(change, Reload | Register | Deregister):
        return []
    pool = spec.pool(change.pool)
    server = next(f"{name(pool.name)}/{_server_name(pool, b)}" for b in pool.backends if b.name == change.backend)
    if isinstance(change, Drain):
        state = "maint" if spec.claims.sticky_while_draining is False else "drain"
        return [f"set server {server} state {state}"]
    return [] if pool.algorithm is Algorithm.SOURCE_IP_HASH else [f"set server {server} weight {change.weight}"]


def features(version: str) -> frozenset[Feature]:
    """What this version can carry out."""
    known = {Feature.INITIAL_STATE} if _knows_init_state(version) else set()
    return frozenset(Feature) - LACKS.keys() | known


def configuration(spec: Spec, version: str) -> str:
    """haproxy.cfg for a placed spec that is within `limits`."""
    return fill(
        "haproxy.cfg.j2",
        spec=spec,
        frontends=[_frontend(listener) for listener in spec.listeners],
        backends=[_backend(pool, spec, version) for pool in spec.pools],
    )


def _knows_init_state(version: str) -> bool:
    return version_key(version) >= INIT_STATE_SINCE


def _left_out(spec: Spec, version: str) -> Iterator[str]:
    if not _knows_init_state(version):
        for pool in spec.pools:
            if pool.health_check is not None:
                yield f"pools.{pool.name}.health_check.initial: {LACKS[Feature.INITIAL_STATE]}"


@dataclass(frozen=True, slots=True)
class _Frontend:
    listener: Listener
    name: str
    mode: str
    bind: str
    lines: list[str]


@dataclass(frozen=True, slots=True)
class _Backend:
    pool: Pool
    name: str
    mode: str
    server_timeout: float
    balance: list[str]
    lines: list[str]
    servers: list[str]


def _frontend(listener: Listener) -> _Frontend:
    host = f"[{listener.address}]" if ":" in str(listener.address) else listener.address
    http = listener.protocol is Protocol.HTTP
    lines = routing.frontend_lines(listener) if http else _tcp_lines(listener)
    return _Frontend(listener, name(listener.name), "http" if http else "tcp", f"{host}:{listener.port}", lines)


def _tcp_lines(listener: Listener) -> list[str]:
    assert isinstance(listener.default, Forward)  # `limits` has seen to it
    return [f"default_backend {name(listener.default.pools[0][0])}"]


def _backend(pool: Pool, spec: Spec, version: str) -> _Backend:
    http = pool.protocol is Protocol.HTTP
    return _Backend(
        pool=pool,
        name=name(pool.name),
        mode="http" if http else "tcp",
        # In TCP mode `timeout server` is how long a connection may be silent; in HTTP mode the wait for an answer.
        server_timeout=pool.timeouts.response if http else pool.timeouts.idle,
        balance=_balance(pool),
        lines=[*_check(pool.health_check), *_retries(pool.retries, http), *_stickiness(pool, spec), *_backups(pool)],
        servers=[_server(pool, backend, spec, version) for backend in pool.backends],
    )


def _server(pool: Pool, backend: Backend, spec: Spec, version: str) -> str:
    words = ["server", _server_name(pool, backend), str(backend.address), *_weight(pool, backend, spec)]
    if pool.algorithm is Algorithm.CONSISTENT_HASH:
        # "hash-type": servers get the same keys everywhere only if they have the same IDs, whatever their order.
        words += ["id", str(_ids(pool)[backend.name])]
    if pool.stickiness and pool.stickiness.type == "lb_cookie":
        words += ["cookie", _token(pool, backend)]
    if pool.max_connections:
        words += ["maxconn", str(pool.max_connections)]
    if backend.backup:
        words.append("backup")
    if pool.slow_start:
        words += ["slowstart", ms(pool.slow_start)]
    if pool.proxy_protocol != "none":
        words.append({"v1": "send-proxy", "v2": "send-proxy-v2"}[pool.proxy_protocol])
    return " ".join([*words, *_server_check(pool.health_check, version)])


def _server_check(check: HealthCheck | None, version: str) -> list[str]:
    if check is None:
        return []
    words = ["check", "inter", ms(check.interval)]
    words += ["fall", str(check.unhealthy_threshold), "rise", str(check.healthy_threshold)]
    if check.port is not None:
        words += ["port", str(check.port)]
    if _knows_init_state(version):
        words += ["init-state", INIT_STATE[check.initial]]
    return words


# --- balance ---------------------------------------------------------------------------------------------------------


def _balance(pool: Pool) -> list[str]:
    plain = {
        Algorithm.ROUND_ROBIN: "balance roundrobin",
        Algorithm.WEIGHTED_ROUND_ROBIN: "balance roundrobin",
        Algorithm.LEAST_CONNECTIONS: "balance leastconn",
        Algorithm.WEIGHTED_LEAST_CONNECTIONS: "balance leastconn",
        Algorithm.SOURCE_IP_HASH: "balance source",
        Algorithm.RANDOM: "balance random(1)",
        Algorithm.POWER_OF_TWO: "balance random(2)",
    }
    if pool.algorithm is Algorithm.CONSISTENT_HASH:
        return [_hashed(pool.hash_key), "hash-type consistent"]
    return [plain[pool.algorithm]]


def _hashed(key: str) -> str:
    kind, _, word = key.partition(":")
    return {
        "source_ip": "balance source",
        "path": "balance uri path-only",
        "header": f"balance {quoted(f'hdr({word})')}",
        "query": f"balance url_param {quoted(word)}",
        "cookie": f"balance hash {quoted(f'req.cook({word})')}",
    }[kind]


def _weight(pool: Pool, backend: Backend, spec: Spec) -> list[str]:
    """Weight 0 takes no part in balancing but serves those who are bound to it: that is draining too ("weight")."""
    if backend.state == "draining":
        return ["disabled"] if spec.claims.sticky_while_draining is False else ["weight", "0"]
    weight = backend.weight if pool.algorithm in WEIGHTED else min(backend.weight, 1)
    return ["weight", str(weight)]


def _ids(pool: Pool) -> dict[str, int]:
    """Positive and unique, from the names alone."""
    ids: dict[str, int] = {}
    for backend in sorted(pool.backends, key=lambda b: b.name):
        number = crc32(backend.name.encode()) % (2**31 - 1) + 1
        while number in ids.values():
            number = number % (2**31 - 1) + 1
        ids[backend.name] = number
    return ids


def _backups(pool: Pool) -> list[str]:
    return ["option allbackups"] if sum(b.backup for b in pool.backends) > 1 else []


def _server_name(pool: Pool, backend: Backend) -> str:
    """The backend's name; its address where probes carry that as Host: a check knows a server by `srv_name` only."""
    return str(backend.address) if _probes_by_address(pool.health_check) else name(backend.name)


# --- health ----------------------------------------------------------------------------------------------------------


def _probes_by_address(check: HealthCheck | None) -> bool:
    return check is not None and check.protocol is Protocol.HTTP and check.host is None


def _check(check: HealthCheck | None) -> list[str]:
    if check is None:
        return []
    lines = [f"timeout check {ms(check.timeout)}"]
    if check.protocol is Protocol.HTTP:
        host = quoted(check.host.replace("%", "%%")) if check.host else "%[srv_name]"
        lines += [
            "option httpchk",
            f"http-check send meth {check.method} uri {quoted(check.path)} ver HTTP/1.1 hdr Host {host}",
            f"http-check expect status {check.success_codes.replace(' ', '')}",
        ]
    return lines


# --- retries and stickiness ------------------------------------------------------------------------------------------


def _retries(retries: Retries, http: bool) -> list[str]:
    """`option redispatch 1`: every repeat may go elsewhere; by default only the last one does."""
    if retries.attempts == 0:
        return ["retries 0"]
    lines = [f"retries {retries.attempts}", "option redispatch 1"]
    if http:
        lines.append(f"retry-on {' '.join(RETRY_ON.get(event, event) for event in retries.on) or 'none'}")
    if http and not retries.non_idempotent:
        lines.append(f"http-request disable-l7-retry if !{{ method {IDEMPOTENT} }}")
    return lines


def _stickiness(pool: Pool, spec: Spec) -> list[str]:
    sticky = pool.stickiness
    if sticky is None:
        return []
    if sticky.type == "lb_cookie":
        return [_cookie(pool)]
    expire = "" if sticky.duration is None else f" expire {ms(sticky.duration)}"
    if sticky.type == "source_ip":
        kind = "ipv6" if any(":" in str(listener.address) for listener in spec.listeners) else "ip"
        return [f"stick-table type {kind} size 100k{expire}", "stick on src"]
    return [  # the manual's own example under "stick store-response"
        f"stick-table type string len 128 size 100k{expire}",
        f"stick store-response {quoted(f'res.cook({sticky.cookie})')}",
        f"stick match {quoted(f'req.cook({sticky.cookie})')}",
    ]


def _cookie(pool: Pool) -> str:
    sticky = pool.stickiness
    assert sticky is not None
    words = ["cookie", quoted(sticky.cookie), "insert", "indirect", "nocache"]
    words += ["httponly"] * sticky.http_only + ["secure"] * sticky.secure
    if sticky.duration is not None:
        seconds = round(sticky.duration)
        words += ["maxlife", f"{seconds}s", "attr", f"Max-Age={seconds}"]
    if sticky.same_site is not None:
        words += ["attr", f"SameSite={sticky.same_site}"]
    return " ".join(words)


def _token(pool: Pool, backend: Backend) -> str:
    """What the cookie says: no address, and nothing that tells one."""
    return blake2b(f"{pool.name}/{backend.name}".encode(), digest_size=8).hexdigest()
