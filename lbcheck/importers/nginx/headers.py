"""What becomes of Host and X-Forwarded-* on the way: `proxy_set_header`, and the addresses that realip believes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from lbcheck.importers.claimed import HEADERS_OF_CLAIMS
from lbcheck.importers.directive import Directive, Ledger
from lbcheck.importers.nginx.levels import Levels
from lbcheck.importers.nginx.parsing import Node
from lbcheck.importers.nginx.passing import Use
from lbcheck.importers.nginx.variables import Setting, source_of, used
from lbcheck.spec.model import Forwarded

UNTOUCHED = Forwarded(x_forwarded_for="preserve", x_forwarded_proto="preserve", x_forwarded_port="preserve")
_OF_CONNECTIONS = ("connection", "upgrade")
_FIELDS = {
    "x-forwarded-for": "x_forwarded_for",
    "x-forwarded-proto": "x_forwarded_proto",
    "x-forwarded-port": "x_forwarded_port",
}


@dataclass(slots=True)
class Headers:
    """`host`: True where it is kept, False where it is another, None where no line says (then the upstream's name)."""

    forwarded: Forwarded = UNTOUCHED
    host: bool | None = None
    upgrades: bool = False
    lines: dict[str, Directive] = field(default_factory=dict)

    @property
    def said(self) -> tuple[bool | None, Forwarded]:
        return self.host, self.forwarded


def forwarded_of(uses: Sequence[Use], setting: Setting) -> tuple[Forwarded | None, dict[str, Directive]]:
    """What all places of a listener agree on; None where nothing is said that the spec can say."""
    ledger = setting.ledger
    found = [headers(use.levels, setting) for use in uses]
    if not found:
        return None, {}
    first = found[0]
    for other, use in zip(found[1:], uses[1:], strict=True):
        if other.said != first.said:
            for line in list(other.lines.values()) or [use.at]:
                ledger.refused(line, f"{uses[0].at.at} passes other headers on, and a listener of the spec has one way")
    if first.host is None:
        for line in first.lines.values():
            ledger.refused(line, "Host becomes the upstream's name beside it, which lb.yaml has no word for")
    if not first.host:
        return None, {}
    return first.forwarded, first.lines


def upgrading(uses: Sequence[Use], setting: Setting) -> bool:
    """Do all places pass upgrades on ("WebSocket proxying")? Where only some do, their lines are refused."""
    quiet = replace(setting, ledger=Ledger())
    told = [(use, headers(Levels(use.levels.blocks, quiet.ledger), quiet).upgrades) for use in uses]
    if all(upgrades for _, upgrades in told):
        return bool(told)
    for use, upgrades in told:
        for node in use.levels.all("proxy_set_header") if upgrades else ():
            if node.words[0].lower() == "upgrade":
                setting.ledger.refused(node.directive, "other places pass no upgrades on, and lb.yaml speaks of all")
    return False


def headers(levels: Levels, setting: Setting) -> Headers:
    """The innermost level that has any says all ("proxy_set_header")."""
    found = Headers()
    trust = _trust(levels)
    found.forwarded = replace(found.forwarded, trust=trust)
    for node in levels.all("proxy_set_header"):
        if len(node.words) != 2:
            levels.ledger.refused(node.directive, "not known: expected a field and a value")
            continue
        name = node.words[0].lower()
        if name in _OF_CONNECTIONS:
            _connection(found, node, name, levels, setting)
        elif name == "host":
            _host(found, node, levels.ledger)
        elif name in _FIELDS:
            _forwarding(found, node, name, bool(trust), setting)
        elif name in HEADERS_OF_CLAIMS or name.startswith("x-forwarded-"):
            levels.ledger.refused(node.directive, f"{node.words[0]} is changed on the way")
        else:
            levels.ledger.ignored(node.directive, "no claim is about this header")
    return found


def _connection(found: Headers, node: Node, name: str, levels: Levels, setting: Setting) -> None:
    """`Connection` is the hop's own; upgrades need HTTP/1.1 as well."""
    levels.ledger.understood(node.directive)
    variable = setting.blocks.get(node.words[1].removeprefix("$"))
    if variable is not None:
        used(variable, levels.ledger)
    version = levels.last("proxy_http_version")
    if name == "upgrade" and node.words[1] == "$http_upgrade":
        found.upgrades = version is not None and version.words == ("1.1",)
        if not found.upgrades:
            levels.ledger.refused(node.directive, "upgrades need proxy_http_version 1.1")


def _host(found: Headers, node: Node, ledger: Ledger) -> None:
    found.host = node.words[1] in ("$host", "$http_host")
    if not found.host:
        ledger.refused(node.directive, f"Host becomes {node.words[1]}")
        return
    found.lines["forwarded.host"] = node.directive
    lowered = node.words[1] == "$host"
    in_part = "it comes in lower case and without its port" if lowered else "a target's own authority does not count"
    ledger.understood(node.directive, in_part)


def _forwarding(found: Headers, node: Node, name: str, trusting: bool, setting: Setting) -> None:
    meaning = _meant(name, node.words[1], trusting, setting)
    if meaning is None:
        setting.ledger.refused(node.directive, f"{node.words[0]} becomes {node.words[1]}")
        return
    setting.ledger.understood(node.directive)
    found.forwarded = replace(found.forwarded, **{_FIELDS[name]: meaning})  # type: ignore[arg-type]
    found.lines[f"forwarded.{_FIELDS[name]}"] = node.directive


def _meant(name: str, value: str, trusting: bool, setting: Setting) -> str | None:
    """Behind realip $remote_addr is the client that it believes in, $realip_remote_addr the peer."""
    variable = f"$http_{name.replace('-', '_')}"
    if value == variable:
        return "preserve"
    if name == "x-forwarded-for":
        if value == "":
            return "remove"
        if (value == "$proxy_add_x_forwarded_for" and not trusting) or (trusting and _adds_peer(value, setting)):
            return "append"
        return "replace" if value == ("$realip_remote_addr" if trusting else "$remote_addr") else None
    own = "scheme" if name == "x-forwarded-proto" else "server_port"
    if value == "":
        return "none"
    return "set" if value in (f"${own}", setting.known.get(own)) else None


def _adds_peer(value: str, setting: Setting) -> bool:
    """A map that writes the peer behind what has come, or alone where nothing has."""
    node = setting.blocks.get(value.removeprefix("$"))
    if node is None or node.name != "map" or source_of(node) != "$http_x_forwarded_for":
        return False
    lines = {line.name: line.words for line in node.block or ()}
    peer = "$realip_remote_addr"
    if lines != {"default": (f"$http_x_forwarded_for, {peer}",), "": (peer,)}:
        return False
    used(node, setting.ledger)
    return True


def _trust(levels: Levels) -> tuple[str, ...]:
    """ngx_http_realip_module: with `real_ip_recursive on` the last address that is not trusted is the client's."""
    networks = levels.all("set_real_ip_from")
    header = levels.last("real_ip_header")
    recursive = levels.last("real_ip_recursive")
    lines = [*networks, *(node for node in (header, recursive) if node)]
    if not networks:
        return ()
    whole = recursive is not None and recursive.words == ("on",)
    if header is None or header.words[0].lower() != "x-forwarded-for" or not whole:
        for node in lines:
            levels.ledger.refused(node.directive, "clients' addresses are not the last untrusted of X-Forwarded-For")
        return ()
    for node in lines:
        levels.ledger.understood(node.directive)
    return tuple(node.words[0] for node in networks)
