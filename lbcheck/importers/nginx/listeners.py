"""Servers that share an address and a port as one listener."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from lbcheck.errors import Location
from lbcheck.importers.directive import Directive, Unreadable
from lbcheck.importers.nginx.headers import forwarded_of, upgrading
from lbcheck.importers.nginx.levels import Levels
from lbcheck.importers.nginx.listening import Listen, Placed, by_name, default_of, names_of
from lbcheck.importers.nginx.parsing import Node
from lbcheck.importers.nginx.passing import Use
from lbcheck.importers.nginx.servers import Around, Course
from lbcheck.importers.nginx.variables import Setting
from lbcheck.importers.rules import Branch, action_of, distinct, joined, rules_of, within
from lbcheck.spec.model import Certificate, Forward, Listener, Protocol, Redirect, Respond

IDLE_S = 75.0  # "keepalive_timeout" of ngx_http_core_module


@dataclass(frozen=True, slots=True)
class ReadListener:
    """Pools are still called by the groups' keys. `upgrades`: None where it passes nothing on."""

    listener: Listener
    lines: dict[str, Directive | Location]
    upgrades: bool | None


def listener_of(name: str, here: Sequence[Placed], blocks: Mapping[str, Node], around: Around) -> ReadListener:
    default = default_of(here)
    place = _together(here)
    setting = _setting(place, blocks, around)
    branches, uses = _branches(here, setting, around)
    ruled, last = rules_of(branches)
    forwarded, said = forwarded_of(uses, setting)
    levels = Levels((default.server, around.http), around.ledger)
    idle = levels.time("keepalive_timeout")
    lines: dict[str, Directive | Location] = {
        "": default.server.directive,
        "address": default.listen.at,
        "port": default.listen.at,
        "default": last.at,
        **dict.fromkeys(("protocol", "http2", "certificates"), default.listen.at),
        **said,
    }
    if said:
        lines["forwarded"] = next(iter(said.values()))
    if idle:
        lines["idle_timeout"] = idle[1]
    for rule, branch in ruled:
        path = f"rules.{rule.priority}"
        lines |= dict.fromkeys((path, f"{path}.when", f"{path}.then"), branch.at)
        if branch.rewritten_at:
            lines[f"{path}.rewrite"] = branch.rewritten_at
    listener = Listener(
        name=name,
        default=_default(last),
        protocol=Protocol.HTTPS if place.tls else Protocol.HTTP,
        address=place.address,
        port=place.port,
        http2=place.http2,
        certificates=_certificates(here, around) if place.tls else (),
        idle_timeout=idle[0] if idle else IDLE_S,
        rules=tuple(rule for rule, _ in ruled),
        forwarded=forwarded,
    )
    return ReadListener(listener, lines, upgrading(uses, setting) if uses else None)


def _together(here: Sequence[Placed]) -> Listen:
    """TLS is a matter of the socket: one server's `ssl` or `http2` holds for all at it ("listen")."""
    first = here[0].listen
    tls = any(one.listen.tls for one in here)
    return replace(first, tls=tls, http2=any(one.listen.http2 for one in here))


def _setting(place: Listen, blocks: Mapping[str, Node], around: Around) -> Setting:
    known = {"scheme": "https" if place.tls else "http", "server_port": str(place.port)}
    known["https"] = "on" if place.tls else ""
    return Setting(blocks, around.ledger, known)


def _branches(here: Sequence[Placed], setting: Setting, around: Around) -> tuple[list[Branch], list[Use]]:
    courses: dict[int, tuple[Course, list[Branch]]] = {}
    for one in here:
        if id(one.server) not in courses:
            own = setting.knowing("server_name", _first_name(one.server))
            course = Course(one.server, own, around, Levels((one.server, around.http), around.ledger))
            around.ledger.understood(one.server.directive)
            courses[id(one.server)] = (course, course.branches())
    found: list[Branch] = []
    for named in by_name(here, around.ledger):
        try:
            found += within(courses[id(named.place.server)][1], named.when)
        except Unreadable as error:
            around.ledger.refused(named.place.server.directive, f"{error}: requests for it go elsewhere in lb.yaml")
    uses = {use.at.place: use for course, _ in courses.values() for use in course.uses}
    return joined(distinct(found)), around.in_order(uses.values())


def _first_name(server: Node) -> str:
    words = [word for line in server.children("server_name") for word in line.words]
    return words[0] if words else ""


def _default(last: Branch) -> Forward | Redirect | Respond:
    return action_of(last.then)


def _certificates(here: Sequence[Placed], around: Around) -> tuple[Certificate, ...]:
    """For the names of their server; the default server's comes first."""
    default = default_of(here)
    ordered = [default, *(one for one in here if one is not default)]
    found: list[Certificate] = []
    for one in ordered:
        levels = Levels((one.server, around.http), around.ledger)
        cert, key = levels.last("ssl_certificate"), levels.last("ssl_certificate_key")
        names = names_of(one.server) or (("default",) if one is default else ())
        if cert is None or key is None or not cert.words or not key.words or not names:
            continue
        around.ledger.understood(cert.directive)
        around.ledger.understood(key.directive)
        made = Certificate(names, cert.words[0], key.words[0])
        found += [made] if made not in found else []
    return tuple(found) or (Certificate(("default",)),)


def renamed(read: ReadListener, names: Mapping[str, str]) -> ReadListener:
    """With the pools' names in the spec."""
    listener = read.listener
    rules = tuple(replace(rule, then=_named(rule.then, names)) for rule in listener.rules)
    return replace(read, listener=replace(listener, default=_named(listener.default, names), rules=rules))


def _named(action: Forward | Redirect | Respond, names: Mapping[str, str]) -> Forward | Redirect | Respond:
    if not isinstance(action, Forward):
        return action
    return Forward(tuple((names[pool], weight) for pool, weight in action.pools))
