"""`upstream` blocks, and addresses that are passed to without one, as pools (ngx_http_upstream_module)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from lbcheck.importers.directive import Directive, Ledger, Unreadable
from lbcheck.importers.nginx.parsing import Node
from lbcheck.importers.nginx.passing import COUNTED, Passing, Use, passing_of
from lbcheck.importers.nginx.units import more_than_none, whole
from lbcheck.spec.model import Algorithm, Backend, PassiveHealth, Pool, Protocol, Retries, Timeouts
from lbcheck.spec.syntax import ADDRESS, HASH_KEY

_PLUS = "NGINX Plus only"
REFUSED_OF_A_SERVER = {
    "resolve": "its name is resolved again and again",
    "slow_start": _PLUS,
    "service": _PLUS,
    "route": _PLUS,
    "drain": _PLUS,
}
METHODS = ("least_conn", "ip_hash", "hash", "random")
_IGNORED = {
    "keepalive": "how connections are kept and reused is no claim",
    "keepalive_requests": "how connections are kept and reused is no claim",
    "keepalive_time": "how connections are kept and reused is no claim",
    "zone": "all workers share what the group knows, as the spec has it",
}
_REFUSED = {
    "sticky": _PLUS,
    "sticky_cookie_insert": _PLUS,
    "queue": _PLUS,
    "least_time": _PLUS,
    "ntlm": _PLUS,
    "state": _PLUS,
    "resolver": "names are resolved again and again",
    "resolver_timeout": "names are resolved again and again",
}
MOST = 1_000_000_000
_ADDRESS_KEYS = ("$remote_addr", "$binary_remote_addr")


@dataclass(slots=True)
class Server:
    """By default weight 1, one failure within 10 s puts it out for 10 s, any number of connections ("server")."""

    address: str
    at: Directive
    weight: int = 1
    max_fails: int = 1
    fail_timeout_s: float = 10.0
    max_conns: int = 0
    backup: bool = False
    down: bool = False

    @property
    def backend(self) -> Backend:
        state = "draining" if self.down else "active"
        return Backend(self.address, self.address, self.weight, self.backup, state)  # type: ignore[arg-type]

    @property
    def failing(self) -> tuple[int, float]:
        return self.max_fails, self.fail_timeout_s if self.max_fails else 0.0


@dataclass(slots=True)
class Group:
    """`node` is None for an address without an upstream block. `uses`: the places that pass requests to it."""

    at: Directive
    servers: list[Server]
    node: Node | None = None
    uses: list[Use] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ReadPool:
    pool: Pool
    lines: dict[str, Directive]


def group_of(node: Node, ledger: Ledger) -> Group:
    ledger.understood(node.directive)
    found: list[Server] = []
    for child in node.children("server"):
        try:
            found.append(_server(child, ledger))
        except (Unreadable, ValueError) as error:
            ledger.refused(child.directive, f"{error}; the server is left out")
    return Group(node.directive, found, node)


def lone(text: str, scheme: str, at: Directive) -> Group:
    """An address that `proxy_pass` names: with a single server `max_fails` does not act ("server")."""
    return Group(at, [Server(_address(text, 443 if scheme == "https" else 80), at, max_fails=0)])


def pool_of(group: Group, name: str, ledger: Ledger) -> ReadPool:
    lines: dict[str, Directive] = {"": group.at}
    node = group.node
    algorithm, key = _balance(node, group.servers, ledger, lines) if node else (Algorithm.ROUND_ROBIN, "source_ip")
    for child in node.block or () if node else ():
        _rest(child, ledger)
    said = passing_of(group.uses, ledger)
    lines |= said.lines
    retries = _bounded(said.retries, group.servers)
    for server in group.servers:
        lines[f"backends.{server.address}"] = server.at
    passive = _passive(group.servers, retries, ledger, lines)
    limit = _limit(group.servers, ledger, lines)
    pool = Pool(
        name=name,
        backends=tuple(server.backend for server in group.servers),
        protocol=Protocol.HTTPS if said.scheme == "https" else Protocol.HTTP,
        algorithm=algorithm,
        hash_key=key,
        passive_health=passive,
        retries=retries,
        timeouts=_timeouts(said, node, bool(limit), ledger, lines),
        max_connections=limit,
    )
    return ReadPool(pool, lines)


def _rest(child: Node, ledger: Ledger) -> None:
    if child.name in _IGNORED:
        ledger.ignored(child.directive, _IGNORED[child.name])
    elif child.name in _REFUSED:
        ledger.refused(child.directive, _REFUSED[child.name])


# --- servers ---------------------------------------------------------------------------------------------------------


def _server(node: Node, ledger: Ledger) -> Server:
    if not node.words:
        raise Unreadable("expected an address")
    server = Server(_address(node.words[0], 80), node.directive)
    ledger.understood(node.directive)
    for word in node.words[1:]:
        name, _, value = word.partition("=")
        if not _set(server, name, value):
            ledger.refused(node.directive, f"{word}: {REFUSED_OF_A_SERVER.get(name, 'not known')}")
    return server


def _set(server: Server, name: str, value: str) -> bool:
    match name:
        case "weight":
            server.weight = whole(value, 1, 65535)
        case "max_fails":
            server.max_fails = whole(value, 0, 1000)
        case "fail_timeout":
            server.fail_timeout_s = more_than_none(value)
        case "max_conns":
            server.max_conns = whole(value, 0, MOST)
        case "backup" if not value:
            server.backup = True
        case "down" if not value:
            server.down = True
        case _:
            return False
    return True


def _address(text: str, port: int) -> str:
    if text.startswith("unix:"):
        raise Unreadable(f"{text} is no network address")
    whole = text if re.search(r":[0-9]+$", text) and not text.endswith("]") else f"{text}:{port}"
    if problem := ADDRESS.refuses(whole):
        raise Unreadable(f"{text}: {problem}")
    return whole


def _passive(
    servers: Sequence[Server], retries: Retries, ledger: Ledger, lines: dict[str, Directive]
) -> PassiveHealth | None:
    """`fail_timeout` is the window as well as the ejection; a single server's is ignored ("max_fails", "server")."""
    if len(servers) < 2:
        return None
    acting = [server for server in servers if not server.down] or servers
    first = acting[0]
    for server in acting[1:]:
        if server.failing != first.failing:
            ledger.refused(server.at, f"max_fails and fail_timeout are those of {first.address} in the whole pool")
    if not first.max_fails:
        return None
    lines["passive_health"] = first.at
    statuses = tuple(event for event in retries.on if event in COUNTED) if retries.attempts else ()
    time_s = first.fail_timeout_s
    return PassiveHealth(
        failures=first.max_fails,
        count="window",
        within=time_s,
        ejection=time_s,
        on=("connect", "timeout", "reset", *statuses),
    )


def _limit(servers: Sequence[Server], ledger: Ledger, lines: dict[str, Directive]) -> int:
    limits = [server.max_conns for server in servers]
    limit = limits[0] if limits else 0
    for server in servers:
        if server.max_conns != limit:
            ledger.refused(server.at, f"the limit of connections is {limit} in the whole pool")
    if limit:
        lines["max_connections"] = servers[0].at
        ledger.understood(servers[0].at, "nothing waits for a connection: all full is 502 at once")
    return limit


# --- balancing -------------------------------------------------------------------------------------------------------


def _balance(
    node: Node, servers: Sequence[Server], ledger: Ledger, lines: dict[str, Directive]
) -> tuple[Algorithm, str]:
    """Weighted round robin where nothing is said; where several are, the last one (each warns: "redefined")."""
    unequal = len({server.weight for server in servers if not server.down}) > 1
    plain = Algorithm.WEIGHTED_ROUND_ROBIN if unequal else Algorithm.ROUND_ROBIN
    found = list(node.children(*METHODS))
    for method in found[:-1]:
        ledger.ignored(method.directive, "a later one replaces it")
    if not found:
        if unequal:
            lines["algorithm"] = next(s.at for s in servers if s.weight != servers[0].weight or s.weight != 1)
        return plain, "source_ip"
    try:
        algorithm, key = _method(found[-1], unequal, ledger)
    except Unreadable as error:
        ledger.refused(found[-1].directive, str(error))
        return plain, "source_ip"
    lines["algorithm"] = lines["hash_key"] = found[-1].directive
    ledger.understood(found[-1].directive)
    return algorithm, key


def _method(node: Node, unequal: bool, ledger: Ledger) -> tuple[Algorithm, str]:
    words = node.words
    match node.name:
        case "least_conn":
            return (Algorithm.WEIGHTED_LEAST_CONNECTIONS if unequal else Algorithm.LEAST_CONNECTIONS), "source_ip"
        case "ip_hash":
            ledger.understood(node.directive, "of an IPv4 address the first three octets alone are hashed")
            return Algorithm.SOURCE_IP_HASH, "source_ip"
        case "hash":
            return _hashed(node, ledger)
    if words in (("two",), ("two", "least_conn")):
        return Algorithm.POWER_OF_TWO, "source_ip"
    if words:
        raise Unreadable(f"random {' '.join(words)}: {_PLUS}")
    return Algorithm.RANDOM, "source_ip"


def _hashed(node: Node, ledger: Ledger) -> tuple[Algorithm, str]:
    """Without `consistent` most keys move when a server is added or taken away ("hash")."""
    if not node.words or node.words[1:] not in ((), ("consistent",)):
        raise Unreadable("expected a key and perhaps `consistent`")
    consistent = len(node.words) > 1
    if node.words[0] in _ADDRESS_KEYS:
        return (Algorithm.CONSISTENT_HASH if consistent else Algorithm.SOURCE_IP_HASH), "source_ip"
    key = _key(node.words[0])
    if not consistent:
        ledger.refused(node.directive, "most keys move as servers come and go; taken as consistent_hash")
    return Algorithm.CONSISTENT_HASH, key


def _key(text: str) -> str:
    name = re.fullmatch(r"\$\{?(\w+)\}?", text)
    if not name:
        raise Unreadable(f"{text} is hashed")
    if name[1] in ("uri", "document_uri", "sent_path"):
        return "path"
    for prefix, kind in (("http_", "header"), ("cookie_", "cookie"), ("arg_", "query")):
        if name[1].startswith(prefix):
            word = name[1].removeprefix(prefix)
            key = f"{kind}:{'-'.join(w.capitalize() for w in word.split('_')) if kind == 'header' else word}"
            if HASH_KEY.refuses(key):
                break
            return key
    if name[1] == "host":
        return "header:Host"
    raise Unreadable(f"{text} is hashed, with the query" if name[1] == "request_uri" else f"{text} is hashed")


# --- times and repeats -----------------------------------------------------------------------------------------------


def _bounded(retries: Retries, servers: Sequence[Server]) -> Retries:
    """A request goes to a server once; those that are down do not count."""
    most = max(0, sum(not server.down for server in servers) - 1)
    attempts = min(retries.attempts, most)
    return Retries(attempts, retries.on, retries.non_idempotent) if attempts else Retries(0)


def _timeouts(said: Passing, node: Node | None, limited: bool, ledger: Ledger, lines: dict[str, Directive]) -> Timeouts:
    """`keepalive_timeout` of a group is 60 s by itself. There is no queue."""
    idle = 60.0
    for child in node.children("keepalive_timeout") if node else ():
        try:
            idle = more_than_none(child.words[0])
        except (ValueError, IndexError) as error:
            ledger.refused(child.directive, str(error))
        else:
            lines["timeouts.idle"] = child.directive
            ledger.understood(child.directive)
    queue = {"queue": 0.0} if limited else {}
    if limited:
        lines["timeouts.queue"] = lines["max_connections"]
    return Timeouts(connect=said.connect_s, response=said.response_s, idle=idle, **queue)
