"""nginx.conf to an `Imported`: the spec, where each field comes from, and a ruling on every directive."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from lbcheck.errors import LbcheckError, Location
from lbcheck.importers.directive import Directive, Imported, Ledger
from lbcheck.importers.naming import spec_names
from lbcheck.importers.nginx import known
from lbcheck.importers.nginx.listeners import ReadListener, listener_of, renamed
from lbcheck.importers.nginx.listening import placed
from lbcheck.importers.nginx.parsing import Node, Parsed, parse
from lbcheck.importers.nginx.servers import Around
from lbcheck.importers.nginx.upstreams import Group, ReadPool, group_of, pool_of
from lbcheck.importers.nginx.variables import REFERENCE, blocks_of
from lbcheck.spec.model import Claims, Spec

THROUGH_THEIR_BLOCK = ("server_name", "allow", "internal", "types", "default_type", "server_tokens")
MOST_WORKERS = 1000  # that lb.yaml may claim


def read(file: Path) -> Imported:
    """`file` is the main one. LbcheckError where no server listens anywhere."""
    parsed = parse(file)
    ledger = Ledger()
    for line in parsed.includes:
        ledger.understood(line)
    for line in parsed.absent:
        ledger.refused(line, "there is no such file, and nginx does not start without it")
    http = next((node for node in parsed.nodes if node.name == "http" and node.block is not None), None)
    servers = list(http.children("server")) if http else []
    if http is None or not servers:
        raise LbcheckError(
            "expected a server in an http block, found none",
            remedy="Name the main file (nginx.conf), which includes the others.",
        )
    ledger.understood(http.directive)
    order = {line.place: number for number, line in enumerate(parsed.directives)}
    around = Around(http, _groups(http, ledger), ledger, order)
    listeners = _listeners(servers, around)
    for group in around.groups.values():
        group.uses = around.in_order(group.uses)
    names = spec_names(list(around.groups))
    pools = [pool_of(group, names[key], ledger) for key, group in around.groups.items()]
    listeners = [renamed(one, names) for one in listeners]
    claims, lines = _claims(parsed, listeners, ledger)
    _swept(parsed.nodes, ledger)
    spec = Spec(tuple(r.listener for r in listeners), tuple(r.pool for r in pools), claims)
    _linked(parsed.nodes, _users(parsed.nodes), ledger)
    return Imported(spec, _sources(listeners, pools) | lines, ledger.entries(parsed.directives), ledger.through)


def _groups(http: Node, ledger: Ledger) -> dict[str, Group]:
    """Upstreams' names have no case."""
    found: dict[str, Group] = {}
    for node in http.children("upstream"):
        if len(node.words) != 1 or node.block is None:
            ledger.refused(node.directive, "not known: expected a name and servers")
            continue
        group = group_of(node, ledger)
        if group.servers:
            found[node.words[0].lower()] = group
        else:
            ledger.refused(node.directive, "none of its servers can be said")
    return found


def _listeners(servers: Sequence[Node], around: Around) -> list[ReadListener]:
    """Called by their scheme and port, and by their address where that is not enough."""
    places = placed(servers, around.ledger)
    if not places:
        raise LbcheckError(
            "expected a server that listens on a network address, found none", remedy="Write lb.yaml by hand."
        )
    ports = [port for _, port in places]
    blocks = blocks_of(around.http)
    found: list[ReadListener] = []
    for (address, port), here in places.items():
        scheme = "https" if any(one.listen.tls for one in here) else "http"
        name = f"{scheme}-{port}" if ports.count(port) == 1 else f"{scheme}-{address}-{port}"
        found.append(listener_of("".join(c if c.isalnum() else "-" for c in name), here, blocks, around))
    return found


def _claims(parsed: Parsed, listeners: Sequence[ReadListener], ledger: Ledger) -> tuple[Claims, dict[str, Location]]:
    """`worker_processes`, 1 by itself; `auto` is as many as there are processors (ngx_core_module)."""
    workers, lines = 1, dict[str, Location]()
    for node in parsed.nodes:
        if node.name == "worker_processes" and node.words:
            if node.words[0].isdigit() and 1 <= int(node.words[0]) <= MOST_WORKERS:
                workers = int(node.words[0])
                lines["claims.workers"] = node.at
                ledger.understood(node.directive)
            elif node.words[0] != "auto":
                ledger.refused(node.directive, f"expected auto or a number between 1 and {MOST_WORKERS}")
            else:
                ledger.refused(node.directive, "how many there are depends on the machine: say it in claims.workers")
    told = [one.upgrades for one in listeners if one.upgrades is not None]
    return Claims(workers=workers, websocket=True if told and all(told) else None), lines


# --- what acts through what ---


def _users(nodes: Iterable[Node]) -> dict[str, list[Directive]]:
    """Variable -> the directives that hold it."""
    found: dict[str, list[Directive]] = {}
    for node in nodes:
        for reference in REFERENCE.finditer(" ".join(node.words)):
            found.setdefault(reference[1] or reference[2], []).append(node.directive)
        for name, users in _users(node.block or ()).items():
            found.setdefault(name, []).extend(users)
    return found


def _linked(nodes: Iterable[Node], users: Mapping[str, Sequence[Directive]], ledger: Ledger) -> None:
    """A block acts through what stands in it, a name or an address through its block, a variable where it is held."""
    for node in nodes:
        for child in node.block or ():
            if node.name in known.DATA:
                ledger.acts_through(child.directive, node.directive)
            else:
                ledger.acts_through(node.directive, child.directive)
                if child.name in THROUGH_THEIR_BLOCK:
                    ledger.acts_through(child.directive, node.directive)
        variable = node.words[-1] if node.name in known.DATA and node.words else ""
        variable = node.words[0] if node.name == "set" and node.words else variable
        for user in users.get(variable.removeprefix("$"), ()) if variable.startswith("$") else ():
            ledger.acts_through(node.directive, user)
        _linked(node.block or (), users, ledger)


# --- the rest --------------------------------------------------------------------------------------------------------


def _swept(nodes: Iterable[Node], ledger: Ledger, outer: Node | None = None) -> None:
    """What nobody has ruled on: by the tables of the documentation's words, else refused."""
    for node in nodes:
        if not ledger.knows(node.directive):
            _ruled(node, outer, ledger)
        block = known.BLOCKS.get(node.name)
        if block and node.block is not None and (outer is None or outer.name in ("http", "server", "location")):
            _all(node.block, block, ledger)
        elif node.name in known.DATA:
            for line in node.block or ():
                if not ledger.knows(line.directive):
                    _data(node, line, ledger)
        else:
            _swept(node.block or (), ledger, node)


def _all(nodes: Iterable[Node], block: known.Block, ledger: Ledger) -> None:
    for node in nodes:
        if block.refused:
            ledger.refused(node.directive, block.reason)
        elif node.name in block.words or (node.block is None and "/" in node.name and not block.words):
            ledger.ignored(node.directive, block.reason)
        else:
            ledger.refused(node.directive, "not known")
        _all(node.block or (), block, ledger)


def _data(node: Node, line: Node, ledger: Ledger) -> None:
    if len(line.words) == 1 or line.name in ("hostnames", "volatile"):
        ledger.ignored(line.directive, "nothing that is understood asks for it")
    else:
        ledger.refused(line.directive, f"not known: expected a value and what it comes to in a {node.name}")


def _ruled(node: Node, outer: Node | None, ledger: Ledger) -> None:
    line, name = node.directive, node.name
    if name in known.BLOCKS:
        block = known.BLOCKS[name]
        if block.refused:
            ledger.refused(line, block.reason)
        else:
            ledger.ignored(line, block.reason)
    elif name in known.OFF and node.words == ("off",):
        ledger.ignored(line, "it is off")
    elif name in known.ON and node.words == ("on",):
        ledger.ignored(line, "so it is by itself")
    elif name in known.REFUSED:
        ledger.refused(line, known.REFUSED[name])
    elif name in known.READ or name in known.DATA:
        ledger.ignored(line, _unused(node, outer))
    elif name in known.IGNORED:
        ledger.ignored(line, known.IGNORED[name])
    elif any(name.startswith(prefix) for prefix in known.SPEAKING_OTHERWISE):
        ledger.ignored(line, "what passes requests on in that protocol is told where it stands")
    else:
        ledger.refused(line, "not known")


def _unused(node: Node, outer: Node | None) -> str:
    if node.name in known.DATA:
        return "nothing that is understood asks for it"
    inner = outer is not None and outer.name in ("http", "server")
    return "every place that could inherit it says otherwise" if inner else "it has no effect here"


def _sources(listeners: Sequence[ReadListener], pools: Sequence[ReadPool]) -> dict[str, Location]:
    found: dict[str, Location] = {}
    for read_listener in listeners:
        path = f"listeners.{read_listener.listener.name}"
        for key, line in read_listener.lines.items():
            found[f"{path}.{key}".rstrip(".")] = line.at if isinstance(line, Directive) else line
    for read_pool in pools:
        path = f"pools.{read_pool.pool.name}"
        found |= {f"{path}.{key}".rstrip("."): line.at for key, line in read_pool.lines.items()}
    return found
