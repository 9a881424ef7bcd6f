"""nginx open source, 1.22 and later. Citations are to nginx.org/en/docs, by module.

A directive stands here because its documentation says that it expresses a field of the spec; none is there to pass a
check. What cannot be expressed is said by `lacks` and `unsupported`.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lbcheck.errors import Unsupported
from lbcheck.features import Feature
from lbcheck.spec.change import Change, Reload
from lbcheck.spec.model import Algorithm, Backend, Forwarded, Listener, PassiveHealth, Pool, Retries, Spec
from lbcheck.targets.base import Orders, Rendering, Signal, only_again, program, version_key, version_of
from lbcheck.targets.nginx_limits import LACKS, left_out, limits
from lbcheck.targets.nginx_routing import SENT_PATH, SENT_TAIL, Block, quoted, routing
from lbcheck.targets.nginx_surroundings import built, surroundings
from lbcheck.targets.template import fill
from lbcheck.targets.template import milliseconds as ms

CONFIG = "nginx.conf"
JOINS_HEADERS_SINCE = (1, 23)  # CHANGES: "nginx combines arbitrary header lines with identical names"
FORWARDED_BY_TRUSTED = "$forwarded_by_trusted"
FEATURES = frozenset(Feature) - LACKS.keys()
WEIGHTED = {
    Algorithm.WEIGHTED_ROUND_ROBIN,
    Algorithm.WEIGHTED_LEAST_CONNECTIONS,
    Algorithm.SOURCE_IP_HASH,
    Algorithm.CONSISTENT_HASH,
    Algorithm.RANDOM,
}


class Nginx:
    """`--lb-target=nginx`."""

    name = "nginx"
    grain_s = 1.0  # `fail_timeout` counts whole seconds; proxy timeouts are finer (`limits` says which)
    real_time = ""

    def __init__(self, binary: str | None = None) -> None:
        self.binary = program("nginx", binary, package="nginx")
        self.version = version_of("nginx", (self.binary, "-v"), r"nginx/(\S+)")
        self.features = FEATURES

    def lacks(self, feature: Feature) -> str:
        return LACKS.get(feature, "")

    def unsupported(self, spec: Spec) -> tuple[str, ...]:
        return tuple(limits(spec))

    def render(self, spec: Spec, folder: Path) -> Rendering:
        if reasons := self.unsupported(spec):
            raise Unsupported("; ".join(reasons))
        command = self._command(folder, folder / CONFIG)
        argv, check_argv = (*command, "-g", _global(daemon=True)), (*command, "-g", _global(daemon=True), "-t")
        return Rendering(
            {CONFIG: configuration(spec, self.version)},
            argv,
            check_argv,
            left_out=tuple(left_out(spec)),
            orders=self._orders,
            stop_signal=signal.SIGQUIT,
        )

    def _orders(self, change: Change, spec: Spec) -> Orders:
        """Whatever changes, the master reads its file again ("Controlling nginx")."""
        if reasons := self.unsupported(spec):
            raise Unsupported("; ".join(reasons))
        files = {} if isinstance(change, Reload) and change.again else {CONFIG: configuration(spec, self.version)}
        return Orders((Signal(signal.SIGHUP),), files)

    def adopt(self, configs: Sequence[Path], folder: Path) -> Rendering:
        """The user's file as it is, in the foreground; `pid` goes to the folder unless the file says where.

        A directive that stands both in the file and in -g is a duplicate to nginx, so that the file is looked into.
        """
        if len(configs) != 1:
            raise Unsupported(f"nginx takes one configuration file, not {len(configs)}", remedy="Name the main file.")
        config = configs[0].absolute()
        said = main_directives(config.read_text(encoding="utf-8", errors="replace"))
        if said.get("daemon") == "on":
            raise Unsupported(f"{config} says 'daemon on', which sends nginx away from lbcheck", remedy="Remove it.")
        command = self._command(folder, config)
        words = _global(daemon="daemon" not in said, user="user" not in said)
        words += "" if "pid" in said else f" pid {quoted(str(folder / 'nginx.pid'))};"
        extra = ("-g", words.strip()) if words.strip() else ()
        return Rendering(
            {},
            (*command, *extra),
            (*command, *extra, "-t"),
            orders=only_again(signal.SIGHUP),
            stop_signal=signal.SIGQUIT,
            surroundings=surroundings(config, built(self.binary)),
        )

    def _command(self, folder: Path, config: Path) -> tuple[str, ...]:
        """-e: until the file is read, errors would go to a path that was built in (since 1.19.5)."""
        return (self.binary, "-p", f"{folder}/", "-c", str(config), "-e", "stderr")


def configuration(spec: Spec, version: str) -> str:
    """nginx.conf for a placed spec that is within `limits`."""
    upstreams = [_upstream(pool) for pool in spec.pools]
    joined = version_key(version) >= JOINS_HEADERS_SINCE
    servers = [_server(listener, index, spec, joined) for index, listener in enumerate(spec.listeners, 1)]
    return fill("nginx.conf.j2", spec=spec, maps=_maps(upstreams, servers), upstreams=upstreams, servers=servers)


def main_directives(text: str) -> dict[str, str]:
    """Simple directives of a configuration's outermost level, name -> first parameter; no included files."""
    tokens = re.findall(r"#[^\n]*|\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|[{};]|[^\s{};]+", text)
    found: dict[str, str] = {}
    depth, words = 0, list[str]()
    for token in (token for token in tokens if not token.startswith("#")):
        if token in ("{", "}", ";"):
            if token == ";" and depth == 0 and len(words) > 1:
                found[words[0]] = words[1]
            depth += {"{": 1, "}": -1, ";": 0}[token]
            words = []
        else:
            words.append(token.strip("\"'"))
    return found


def _global(*, daemon: bool, user: bool = True) -> str:
    """For -g. A master that runs as root gives its workers to `nobody`, who may not enter the folder of a run."""
    words = ["daemon off;"] if daemon else []
    if user and os.geteuid() == 0:
        words.append("user root;")
    return " ".join(words)


# --- upstreams -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Upstream:
    pool: Pool
    method: str
    servers: list[str]


def _upstream(pool: Pool) -> _Upstream:
    return _Upstream(pool, _method(pool), [_backend(pool, backend) for backend in pool.backends])


def _method(pool: Pool) -> str:
    return {
        Algorithm.ROUND_ROBIN: "",
        Algorithm.WEIGHTED_ROUND_ROBIN: "",
        Algorithm.LEAST_CONNECTIONS: "least_conn",
        Algorithm.WEIGHTED_LEAST_CONNECTIONS: "least_conn",
        # The client's address is the key; `ip_hash` would take only the first three octets of an IPv4 address.
        Algorithm.SOURCE_IP_HASH: "hash $remote_addr",
        Algorithm.CONSISTENT_HASH: f"hash {_hash_key(pool.hash_key)} consistent",
        Algorithm.RANDOM: "random",
        Algorithm.POWER_OF_TWO: "random two least_conn",
    }[pool.algorithm]


def _hash_key(key: str) -> str:
    kind, _, word = key.partition(":")
    return {
        "source_ip": "$remote_addr",
        "path": SENT_PATH,
        "header": f"$http_{word.lower().replace('-', '_')}",
        "query": f"$arg_{word}",
        "cookie": f"$cookie_{word}",
    }[kind]


def _backend(pool: Pool, backend: Backend) -> str:
    words = ["server", str(backend.address)]
    if backend.weight == 0 or backend.state == "draining":
        words.append("down")  # there is no weight 0
    elif pool.algorithm in WEIGHTED:
        words.append(f"weight={backend.weight}")
    words += _failures(pool.passive_health)
    if backend.backup:
        words.append("backup")
    return " ".join(words)


def _failures(passive: PassiveHealth | None) -> list[str]:
    """Without `max_fails=0` a server would be ejected by one failure for 10 s: more than the spec says."""
    if passive is None:
        return ["max_fails=0"]
    return [f"max_fails={passive.failures}", f"fail_timeout={round(passive.ejection)}s"]


# --- servers ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Server:
    listener: Listener
    listen: str
    blocks: list[Block]
    lines: list[str]
    locations: list[Block]


def _server(listener: Listener, index: int, spec: Spec, joined: bool) -> _Server:
    host = f"[{listener.address}]" if ":" in str(listener.address) else listener.address
    routes = routing(listener, index, joined=joined)
    forwarded = listener.forwarded
    websocket = spec.claims.websocket is True
    locations = [
        Block(f"location {at}", list(_location(spec.pool(pool), routes.target, forwarded, websocket)))
        for at, pool in routes.pools.items()
    ]
    lines = [*_trusted(forwarded), *routes.lines]
    return _Server(listener, f"{host}:{listener.port}", routes.blocks, lines, [*routes.answers, *locations])


def _maps(upstreams: Sequence[_Upstream], servers: Sequence[_Server]) -> list[Block]:
    """The variables that several listeners share; only those that are read."""
    blocks = [
        Block("map $http_upgrade $connection_upgrade", ["default upgrade", '"" ""']),
        Block(f"map $request_uri {SENT_PATH}", ['"~^(?<path_of_uri>[^?]*)" $path_of_uri']),
        Block(f"map $request_uri {SENT_TAIL}", ['"~^/(?<tail_of_uri>[^?]*)" $tail_of_uri']),
        Block(
            f"map $http_x_forwarded_for {FORWARDED_BY_TRUSTED}",
            ['default "$http_x_forwarded_for, $realip_remote_addr"', '"" $realip_remote_addr'],
        ),
    ]
    nested = [block for server in servers for block in (*server.blocks, *server.locations)]
    text = " ".join([*(u.method for u in upstreams), *(f"{block.head} {' '.join(block.lines)}" for block in nested)])
    return [block for block in blocks if f"{block.head.split()[2]}" in text]


def _location(pool: Pool, target: str, forwarded: Forwarded | None, websocket: bool) -> Iterator[str]:
    yield f"proxy_pass http://{pool.name}{target}"
    # What `keepalive` asks for (ngx_http_upstream_module); with WebSocket as in "WebSocket proxying".
    yield "proxy_http_version 1.1"
    if websocket:
        yield "proxy_set_header Upgrade $http_upgrade"
    yield f"proxy_set_header Connection {'$connection_upgrade' if websocket else chr(34) * 2}"
    yield from _headers(forwarded)
    yield f"proxy_connect_timeout {ms(pool.timeouts.connect)}"
    yield f"proxy_read_timeout {ms(pool.timeouts.response)}"
    yield from _retries(pool.retries)


def _retries(retries: Retries) -> Iterator[str]:
    """`error` is a failure to connect as well as a reset: `limits` has seen to it that both are declared."""
    if retries.attempts == 0:
        yield "proxy_next_upstream off"
        return
    words = ["error"] + ["timeout"] * ("timeout" in retries.on)
    words += [f"http_{event}" for event in retries.on if event.isdigit()]
    words += ["non_idempotent"] * retries.non_idempotent
    yield f"proxy_next_upstream {' '.join(words)}"
    yield f"proxy_next_upstream_tries {retries.attempts + 1}"


# --- headers ---------------------------------------------------------------------------------------------------------


def _trusted(forwarded: Forwarded | None) -> Iterator[str]:
    """ngx_http_realip_module: the last address that is not trusted becomes the client's."""
    if forwarded is None or not forwarded.trust:
        return
    for network in forwarded.trust:
        yield f"set_real_ip_from {network}"
    yield "real_ip_header X-Forwarded-For"
    yield "real_ip_recursive on"


def _headers(forwarded: Forwarded | None) -> Iterator[str]:
    """Host as it came: by default nginx would send the upstream's name. An empty value removes a field."""
    yield "proxy_set_header Host $http_host"
    if forwarded is None:
        return
    peer = "$realip_remote_addr" if forwarded.trust else "$remote_addr"
    appended = FORWARDED_BY_TRUSTED if forwarded.trust else "$proxy_add_x_forwarded_for"
    told = {"append": appended, "replace": peer, "remove": '""'}
    if forwarded.x_forwarded_for != "preserve":
        yield f"proxy_set_header X-Forwarded-For {told[forwarded.x_forwarded_for]}"
    for field, how, own in (
        ("X-Forwarded-Proto", forwarded.x_forwarded_proto, "$scheme"),
        ("X-Forwarded-Port", forwarded.x_forwarded_port, "$server_port"),
    ):
        if how != "preserve":
            yield f"proxy_set_header {field} {own if how == 'set' else chr(34) * 2}"
