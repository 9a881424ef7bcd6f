"""Apache httpd 2.4. Citations are to httpd.apache.org/docs/2.4, by module.

A directive stands here because its documentation says that it expresses a field of the spec; none is there to pass a
check. What cannot be expressed is said by `lacks` and `unsupported`.
"""

from __future__ import annotations

import grp
import os
import pwd
import re
import signal
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from lbcheck.errors import TargetError, Unsupported
from lbcheck.features import Feature
from lbcheck.spec.change import Change, Reload
from lbcheck.spec.model import Backend, Forwarded, HealthCheck, Listener, PassiveHealth, Pool, Protocol, Spec
from lbcheck.targets.base import (
    VERSION_TIMEOUT_S,
    Orders,
    Rendering,
    Signal,
    only_again,
    program,
    version_key,
    version_of,
)
from lbcheck.targets.httpd_limits import FEATURES, HTTP11_PROBES_SINCE, LACKS, METHODS, left_out, limits
from lbcheck.targets.httpd_routing import Block, forwarded_pools, quoted, routing
from lbcheck.targets.template import fill
from lbcheck.targets.template import milliseconds as ms

CONFIG = "httpd.conf"
ALWAYS = ["mpm_event", "unixd", "authz_core", "headers", "proxy", "proxy_http", "proxy_balancer", "slotmem_shm"]
LB_METHODS = {"least_connections": "bybusyness"}  # all others that there are: byrequests
MODULE_FOLDERS = ("/usr/lib/apache2/modules", "/usr/lib64/httpd/modules", "/usr/local/apache2/modules")
USERS = ("www-data", "apache", "daemon")  # of Debian, Fedora and the sources


@dataclass(frozen=True, slots=True)
class Install:
    """What a configuration has to name: where modules are, those built in, and who the children run as ("": stay)."""

    modules: str
    static: frozenset[str] = frozenset()
    user: str = ""
    group: str = ""


class Httpd:
    """`--lb-target=httpd`."""

    name = "httpd"
    grain_s = 0.1  # of health checks: the watchdog's step (mod_proxy_hcheck); `limits` says which times are coarser
    real_time = ""

    def __init__(self, binary: str | None = None) -> None:
        self.binary = _program(binary)
        self.version = version_of("httpd", (self.binary, "-v"), r"Apache/(\d\S*)")
        self.features = FEATURES
        self._install = _install(self.binary)

    def lacks(self, feature: Feature) -> str:
        return LACKS.get(feature, "")

    def unsupported(self, spec: Spec) -> tuple[str, ...]:
        return tuple(limits(spec))

    def render(self, spec: Spec, folder: Path) -> Rendering:
        if reasons := self.unsupported(spec):
            raise Unsupported("; ".join(reasons))
        command = (self.binary, "-d", str(folder), "-f", CONFIG)
        return Rendering(
            {CONFIG: configuration(spec, self.version, self._install)},
            (*command, "-D", "FOREGROUND"),
            (*command, "-t"),
            left_out=tuple(left_out(spec)),
            orders=self._orders,
            stop_signal=signal.SIGWINCH,
        )

    def _orders(self, change: Change, spec: Spec) -> Orders:
        """Whatever changes, the parent reads its file again, and children finish what they have ("Stopping")."""
        if reasons := self.unsupported(spec):
            raise Unsupported("; ".join(reasons))
        again = isinstance(change, Reload) and change.again
        files = {} if again else {CONFIG: configuration(spec, self.version, self._install)}
        return Orders((Signal(signal.SIGUSR1),), files)

    def adopt(self, configs: Sequence[Path], folder: Path) -> Rendering:
        """The user's file as it is; its pid file and runtime folder, where it names none, are in `folder`."""
        if len(configs) != 1:
            raise Unsupported(f"httpd takes one configuration file, not {len(configs)}", remedy="Name the main file.")
        before = f"DefaultRuntimeDir {quoted(str(folder))}"
        command = (self.binary, "-d", str(folder), "-f", str(configs[0].absolute()), "-C", before)
        return Rendering(
            {},
            (*command, "-D", "FOREGROUND"),
            (*command, "-t"),
            orders=only_again(signal.SIGUSR1),
            stop_signal=signal.SIGWINCH,
        )


def configuration(spec: Spec, version: str, install: Install) -> str:
    """httpd.conf for a placed spec that is within `limits`."""
    servers = [_server(listener, spec, version) for listener in spec.listeners]
    modules = [name for name in _modules(spec, servers) if name not in install.static]
    return fill("httpd.conf.j2", spec=spec, install=install, modules=modules, servers=servers)


def _program(binary: str | None) -> str:
    """Debian's name for it, or the others'."""
    try:
        return program("httpd", binary or "apache2", package="apache2-bin")
    except TargetError:
        if binary is not None:
            raise
        return program("httpd", "httpd", package="apache2-bin")


def _install(binary: str) -> Install:
    """Built-in modules are those that the binary lists ("httpd -l")."""
    said = subprocess.run((binary, "-l"), capture_output=True, text=True, timeout=VERSION_TIMEOUT_S, check=False).stdout
    static = frozenset(re.findall(r"^\s*(?:mod_)?(\w+)\.c$", said, re.MULTILINE))
    beside = str(Path(binary).resolve().parent.parent / "modules")
    modules = next((folder for folder in (beside, *MODULE_FOLDERS) if Path(folder, "mod_proxy.so").exists()), beside)
    if os.geteuid() != 0:
        return Install(modules, static)
    user = next((entry for entry in pwd.getpwall() if entry.pw_name in USERS), None)
    if user is None:  # root is refused ("User")
        return Install(modules, static)
    return Install(modules, static, user.pw_name, grp.getgrgid(user.pw_gid).gr_name)


def _modules(spec: Spec, servers: Sequence[_Server]) -> Iterator[str]:
    yield from ALWAYS
    yield from dict.fromkeys(f"lbmethod_{_method(pool)}" for pool in spec.pools)
    if any(pool.health_check for pool in spec.pools):
        yield from ("watchdog", "proxy_hcheck")
    text = "\n".join(line for server in servers for line in server.lines)
    if "RewriteEngine" in text:
        yield from ("rewrite", "alias")
    if "UNIQUE_ID" in text:
        yield "unique_id"


# --- servers ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Server:
    listener: Listener
    listen: str
    lines: list[str]
    blocks: list[Block]


def _server(listener: Listener, spec: Spec, version: str) -> _Server:
    host = f"[{listener.address}]" if ":" in str(listener.address) else listener.address
    pools = [spec.pool(name) for name in forwarded_pools(listener)]
    routes = routing(listener)
    lines = [*_headers(listener), *(line for pool in pools for line in _expressions(pool)), *routes.lines]
    return _Server(
        listener, f"{host}:{listener.port}", lines, [*(_balancer(p, spec, version) for p in pools), *routes.blocks]
    )


def _headers(listener: Listener) -> Iterator[str]:
    """mod_proxy adds X-Forwarded-For, -Host and -Server to what came ("ProxyAddHeaders")."""
    forwarded = listener.forwarded
    yield f"ProxyPreserveHost {'Off' if forwarded is not None and forwarded.host == 'backend' else 'On'}"
    if forwarded is not None:
        yield from _forwarded(forwarded, listener)


def _forwarded(forwarded: Forwarded, listener: Listener) -> Iterator[str]:
    if forwarded.x_forwarded_for in ("preserve", "remove"):
        yield "ProxyAddHeaders Off"
    if forwarded.x_forwarded_for in ("replace", "remove"):
        yield "RequestHeader unset X-Forwarded-For"
    for field, how, own in (
        ("X-Forwarded-Proto", forwarded.x_forwarded_proto, "http"),
        ("X-Forwarded-Port", forwarded.x_forwarded_port, str(listener.port)),
    ):
        if how != "preserve":
            yield f"RequestHeader set {field} {own}" if how == "set" else f"RequestHeader unset {field}"


# --- balancers -------------------------------------------------------------------------------------------------------


def _balancer(pool: Pool, spec: Spec, version: str) -> Block:
    lines = [f"BalancerMember {' '.join(_member(pool, backend, spec, version))}" for backend in pool.backends]
    lines += [f"ProxySet {word}" for word in _settings(pool)]
    return Block(f"Proxy balancer://{pool.name}", [*lines, *_cookie(pool)])


def _method(pool: Pool) -> str:
    return LB_METHODS.get(pool.algorithm.value, "byrequests")


def _settings(pool: Pool) -> Iterator[str]:
    """mod_proxy, "Balancer parameters". What is not set would be a failover for each other member."""
    yield f"lbmethod={_method(pool)}"
    yield f"maxattempts={pool.retries.attempts}"
    if pool.stickiness is not None:
        yield f"stickysession={pool.stickiness.cookie}"
    if pool.passive_health is not None:
        yield from _failures(pool.passive_health)


def _failures(passive: PassiveHealth) -> Iterator[str]:
    yield "forcerecovery=Off"
    if "timeout" in passive.on:
        yield "failontimeout=On"
    if statuses := [event for event in passive.on if event.isdigit()]:
        yield f"failonstatus={','.join(statuses)}"


def _member(pool: Pool, backend: Backend, spec: Spec, version: str) -> Iterator[str]:
    """mod_proxy, "Worker parameters". By default a member that refused a connection would be left alone for 60 s."""
    yield f"http://{backend.address}"
    yield f"connectiontimeout={ms(pool.timeouts.connect)}"
    yield f"timeout={round(pool.timeouts.response)}"
    yield f"ttl={round(pool.timeouts.idle)}"
    yield f"retry={round(pool.passive_health.ejection) if pool.passive_health else 0}"
    if backend.weight > 1 and pool.algorithm.value == "weighted_round_robin":
        yield f"loadfactor={backend.weight}"
    if pool.stickiness is not None:
        yield f"route={_token(pool, backend)}"
    if status := _status(backend, spec):
        yield f"status={status}"
    if spec.claims.websocket:
        yield "upgrade=websocket"
    if pool.health_check is not None:
        yield from _check(pool.health_check, pool, version)


def _status(backend: Backend, spec: Spec) -> str:
    """`status`: D takes nothing, N those who are bound to it, H only when no other can."""
    if backend.weight == 0:
        return "+D"
    if backend.state == "draining":
        return "+D" if spec.claims.sticky_while_draining is False else "+N"
    return "+H" if backend.backup else ""


def _check(check: HealthCheck, pool: Pool, version: str) -> Iterator[str]:
    """mod_proxy_hcheck."""
    newer = "11" if version_key(version) >= HTTP11_PROBES_SINCE else ""
    http = check.protocol is Protocol.HTTP
    yield f"hcmethod={METHODS[check.method]}{newer}" if http else "hcmethod=TCP"
    yield f"hcinterval={ms(check.interval)}"
    yield f"hcpasses={check.healthy_threshold}"
    yield f"hcfails={check.unhealthy_threshold}"
    if http:
        yield quoted(f"hcuri={check.path}")
        yield f"hcexpr={_expression_name(pool)}"


def _expressions(pool: Pool) -> Iterator[str]:
    check = pool.health_check
    if check is not None and check.protocol is Protocol.HTTP:
        parts = [_code(part.strip()) for part in check.success_codes.split(",")]
        yield f"ProxyHCExpr {_expression_name(pool)} {{{' || '.join(parts)}}}"


def _code(part: str) -> str:
    low, _, high = part.partition("-")
    if not high:
        return f"%{{REQUEST_STATUS}} -eq {low}"
    return f"(%{{REQUEST_STATUS}} -ge {low} && %{{REQUEST_STATUS}} -le {high})"


def _expression_name(pool: Pool) -> str:
    return f"good-{pool.name}"


def _cookie(pool: Pool) -> Iterator[str]:
    """mod_proxy_balancer, "Examples on how to use a sticky session cookie"."""
    sticky = pool.stickiness
    if sticky is None:
        return
    words = [f"{sticky.cookie}=.%{{BALANCER_WORKER_ROUTE}}e", "Path=/"]
    if sticky.duration is not None:
        words.append(f"Max-Age={round(sticky.duration)}")
    words += ["HttpOnly"] * sticky.http_only + ["Secure"] * sticky.secure
    words += [f"SameSite={sticky.same_site}"] if sticky.same_site else []
    yield f"Header add Set-Cookie {quoted('; '.join(words))} env=BALANCER_ROUTE_CHANGED"


def _token(pool: Pool, backend: Backend) -> str:
    """What the cookie says: no address, and nothing that tells one."""
    return blake2b(f"{pool.name}/{backend.name}".encode(), digest_size=8).hexdigest()
