"""A `frontend`, or the half of a `listen` that takes requests, as listeners: one for each address."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from lbcheck.errors import Location
from lbcheck.importers.conjunction import ALWAYS
from lbcheck.importers.directive import Directive, Ledger
from lbcheck.importers.haproxy.answers import page
from lbcheck.importers.haproxy.binds import Bind, binds
from lbcheck.importers.haproxy.conditions import Setting
from lbcheck.importers.haproxy.headers import Headers, headers
from lbcheck.importers.haproxy.maps import unfolded
from lbcheck.importers.haproxy.pools import FOREVER_S, timeout
from lbcheck.importers.haproxy.proxies import Proxy
from lbcheck.importers.haproxy.sections import Section
from lbcheck.importers.haproxy.steps import Course, course, lines
from lbcheck.importers.rules import Branch, Lots, action_of, distinct, joined, rules_of, to_pool, within
from lbcheck.spec.model import Certificate, Forward, Forwarded, Listener, Protocol, Respond

Read = Callable[[str], list[str]]


@dataclass(frozen=True, slots=True)
class Around:
    """All proxies that balance, by their names in the file, and what their pools are called in the spec."""

    balancing: Mapping[str, Proxy]
    pools: Mapping[str, str]
    ledger: Ledger
    read: Read


@dataclass(frozen=True, slots=True)
class ReadListener:
    listener: Listener
    lines: dict[str, Directive | Location]


def listeners_of(proxy: Proxy, name: str, around: Around) -> list[ReadListener]:
    places = binds(proxy, around.ledger)
    names = [name if len(places) == 1 else f"{name}-{place.port}" for place in places]
    doubled = [n if names.count(n) == 1 else f"{n}-{at}" for at, n in enumerate(names, 1)]
    return [_listener(proxy, place, n, around) for place, n in zip(places, doubled, strict=True)]


def _listener(proxy: Proxy, place: Bind, name: str, around: Around) -> ReadListener:
    setting = Setting(around.ledger, _acls(proxy), place.tls, around.read)
    found = _course(proxy, setting, around)
    ruled, last = rules_of(found.branches, found.priorities)
    said = _headers(proxy, place.tls, found.branches, around) if proxy.http else Headers()
    lines: dict[str, Directive | Location] = {
        "": proxy.section.head,
        "address": place.at,
        "port": place.at,
        "default": last.at,
    }
    lines |= dict.fromkeys(("protocol", "certificates", "http2"), place.at)
    if said.lines:
        lines["forwarded"] = next(iter(said.lines.values()))
        lines |= {f"forwarded.{name}": line for name, line in said.lines.items()}
    for rule, branch in ruled:
        path = f"rules.{rule.priority}"
        lines |= {path: branch.at, f"{path}.when": branch.at, f"{path}.then": branch.at}
        if branch.rewritten_at:
            lines[f"{path}.rewrite"] = branch.rewritten_at
    listener = Listener(
        name=name,
        default=_default(last, proxy.http),
        protocol=_protocol(proxy, place),
        address=place.address,
        port=place.port,
        http2=place.http2 and proxy.http,
        certificates=tuple(place.certificates) or (_unnamed() if place.tls else ()),
        idle_timeout=_idle(proxy, around.ledger, lines),
        rules=tuple(rule for rule, _ in ruled) if proxy.http else (),
        forwarded=said.forwarded if proxy.http else None,
    )
    proxy.acts_through_its_head(around.ledger, "mode")
    return ReadListener(listener, lines)


def _unnamed() -> tuple[Certificate, ...]:
    return (Certificate(("default",)),)


def _protocol(proxy: Proxy, place: Bind) -> Protocol:
    if proxy.http:
        return Protocol.HTTPS if place.tls else Protocol.HTTP
    return Protocol.TLS if place.tls else Protocol.TCP


def _default(last: Branch, http: bool) -> Forward | Respond:
    action = action_of(last.then)
    return action if http or isinstance(action, Forward) else Respond()  # type: ignore[return-value]


def _acls(proxy: Proxy) -> dict[str, list[Directive]]:
    found: dict[str, list[Directive]] = {}
    for line in proxy.all("acl"):
        if len(line.words) > 2:
            found.setdefault(line.words[1], []).append(line)
    return found


def _idle(proxy: Proxy, ledger: Ledger, lines: dict[str, Directive | Location]) -> float:
    """Between requests `timeout http-keep-alive`, else `http-request`, else `client` ("timeout http-keep-alive")."""
    own: dict[str, Directive] = {}
    names = ("http-keep-alive", "http-request", "client") if proxy.http else ("client",)
    values = {name: timeout(proxy, name, ledger, own, name) for name in names}
    for name in names:
        value = values[name]
        if value is not None:
            lines["idle_timeout"] = own[name]
            return value
    return FOREVER_S


# --- courses ---------------------------------------------------------------------------------------------------------


def _course(proxy: Proxy, setting: Setting, around: Around) -> Course:
    rest = _last(proxy, around)
    if not proxy.http:
        return Course(_only_pools(proxy, rest, around))
    seen = _unfolded(proxy, around)
    found = course(lines(seen, setting), rest, setting)
    known = [replace(branch, then=_pools_named(branch, around)) for branch in found.branches]
    return Course(tuple(_entered(known, proxy, setting, around)), found.priorities)


def _only_pools(proxy: Proxy, rest: Sequence[Branch], around: Around) -> tuple[Branch, ...]:
    """A connection has no path and no headers: a choice under a condition is told, one without is the default."""
    for line in proxy.all("use_backend"):
        name = "".join(line.words[1:2])
        if line.words[2:]:
            around.ledger.refused(line, "a listener of TCP reads no requests, so it cannot follow rules")
        elif name not in around.balancing:
            around.ledger.refused(line, f"there is no backend {name!r} in these files")
        else:
            around.ledger.understood(line)
            rest = [Branch(ALWAYS, to_pool(name), line.at)]
            break
    return tuple(replace(branch, then=_pools_named(branch, around)) for branch in rest)


def _unfolded(proxy: Proxy, around: Around) -> Proxy:
    """With a line for each line of a map."""
    own: list[Directive] = []
    for line in unfolded(proxy.section.directives, around.read):
        if line.flaw:
            around.ledger.refused(line, line.flaw)
        elif line.words[0] == "use_backend" and "".join(line.words[1:2]) not in around.balancing:
            around.ledger.refused(line, f"there is no backend {''.join(line.words[1:2])!r} in these files")
        else:
            own.append(line)
    section = proxy.section
    return Proxy(Section(section.kind, section.name, section.head, own), proxy.inherited)


def _last(proxy: Proxy, around: Around) -> list[Branch]:
    """`default_backend`; a `listen` has its own servers; else 503 ("default_backend")."""
    line = proxy.last(around.ledger, "default_backend")
    if line is not None and "".join(line.words[1:2]) in around.balancing:
        around.ledger.understood(line)
        return [Branch(ALWAYS, to_pool(line.words[1]), line.at)]
    if line is not None:
        around.ledger.refused(line, f"there is no backend {''.join(line.words[1:2])!r} in these files")
    if proxy.kind == "listen" and proxy.name in around.pools:
        return [Branch(ALWAYS, to_pool(proxy.name), proxy.section.head.at)]
    return [Branch(ALWAYS, page(503), proxy.section.head.at)]


def _entered(branches: Sequence[Branch], proxy: Proxy, setting: Setting, around: Around) -> list[Branch]:
    """With what each backend's own lines do to the requests that come to it."""
    found: list[Branch] = []
    for branch in branches:
        own = _own_course(branch, proxy, setting, around)
        met = within(own, branch.when) if own else []
        carried = [
            b
            if b.rewrite or branch.rewrite is None
            else replace(b, rewrite=branch.rewrite, rewritten_at=branch.rewritten_at)
            for b in met
        ]
        found += [b if b.rewrite or not isinstance(b.then, Lots) else replace(b, at=branch.at) for b in carried] or [
            branch
        ]
    return joined(distinct(found))


def _own_course(branch: Branch, proxy: Proxy, setting: Setting, around: Around) -> Sequence[Branch]:
    if not isinstance(branch.then, Lots):
        return ()
    names = {around.pools[name]: name for name in around.pools}
    entered = [names[pool] for pool, _ in branch.then.shares]
    acting = [around.balancing[name] for name in entered if name != proxy.name or proxy.kind != "listen"]
    for other in acting:
        inside = replace(setting, acls=_acls(other))
        found = lines(other, inside)
        if found and len(entered) > 1:
            for line in found:
                around.ledger.refused(line.at, "requests come to this backend by lot")
        elif found:
            return course(found, [Branch(ALWAYS, branch.then, branch.at)], inside).branches
    return ()


def _pools_named(branch: Branch, around: Around) -> Lots:
    if not isinstance(branch.then, Lots):
        return branch.then  # type: ignore[return-value]
    return replace(branch.then, shares=tuple((around.pools[name], share) for name, share in branch.then.shares))


# --- headers ---------------------------------------------------------------------------------------------------------


def _headers(proxy: Proxy, tls: bool, branches: Sequence[Branch], around: Around) -> Headers:
    """The frontend's, then those that all backends behind it agree on."""
    own = headers(proxy, tls, around.ledger)
    reached = {pool for branch in branches if isinstance(branch.then, Lots) for pool, _ in branch.then.shares}
    behind = {
        name: headers(around.balancing[name], tls, around.ledger)
        for name, pool in around.pools.items()
        if pool in reached and name != proxy.name
    }
    said = [found for found in behind.values() if found.forwarded is not None]
    if not said:
        return own
    alike = len({_shown(found.forwarded) for found in behind.values()}) == 1
    if own.forwarded is not None and _shown(own.forwarded) == _shown(said[0].forwarded) and alike:
        return own
    if own.forwarded is not None or not alike:
        for found in said:
            for line in found.lines.values():
                around.ledger.refused(line, f"other requests of {proxy.name} are forwarded with other headers")
        return own
    return said[0]


def _shown(forwarded: Forwarded | None) -> str:
    return str(forwarded)
