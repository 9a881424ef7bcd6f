"""`listen` and `server_name`: which server takes a request (ngx_http_core_module, "server_name", "listen").

An exact name, else the longest name that begins with `*.`, else the longest that ends with `.*`, else the first
expression in order, else the default server of that address and port.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lbcheck.importers.conjunction import ALWAYS
from lbcheck.importers.directive import Directive, Ledger, Unreadable
from lbcheck.importers.nginx import patterns
from lbcheck.importers.nginx.parsing import Node
from lbcheck.importers.nginx.patterns import Part
from lbcheck.importers.nginx.units import whole
from lbcheck.importers.nginx.variables import host_patterns
from lbcheck.spec.model import Conditions
from lbcheck.spec.syntax import HOST_PATTERN, LISTEN

NOBODY = ("", "_", "__", "--", "!@#", '""')  # "invalid domain names which never intersect with any real name"
HOST = Part("host")
ALL_IPV4, ALL_IPV6 = "0.0.0.0", "::"
_NO_CLAIM = re.compile(
    r"reuseport|deferred|bind|setfib=.*|fastopen=.*|backlog=.*|rcvbuf=.*|sndbuf=.*|accept_filter=.*"
    r"|ipv6only=(on|off)|so_keepalive=.*"
)
_REFUSED = {
    "proxy_protocol": "clients have to begin with a PROXY header",
    "spdy": "a protocol of the past",
    "quic": "HTTP/3",
}


@dataclass(slots=True)
class Listen:
    address: str
    port: int
    at: Directive
    default: bool = False
    tls: bool = False
    http2: bool = False


@dataclass(slots=True)
class Placed:
    """A server at an address; `listen` may be its line, or the one that is meant where it has none."""

    server: Node
    listen: Listen


def placed(servers: Sequence[Node], ledger: Ledger) -> dict[tuple[str, int], list[Placed]]:
    """By address and port, in the order of the file."""
    found: dict[tuple[str, int], list[Placed]] = {}
    for server in servers:
        for listen in _listens(server, ledger):
            found.setdefault((listen.address, listen.port), []).append(Placed(server, listen))
    for port in dict.fromkeys(port for _, port in found):
        _one_for_all(port, found, ledger)
    return found


def _one_for_all(port: int, found: dict[tuple[str, int], list[Placed]], ledger: Ledger) -> None:
    """A listener of lb.yaml at all addresses leaves none to others; at `::` nginx takes IPv6 alone ("ipv6only")."""
    wide = found.get((ALL_IPV4, port)) or found.get((ALL_IPV6, port))
    if not wide:
        return
    servers = [one.server.directive for one in wide]
    for address, _ in [key for key in found if key[1] == port and found[key] is not wide]:
        here = found.pop((address, port))
        alike = address == ALL_IPV6 and [one.server.directive for one in here] == servers
        for one in here:
            if alike:
                ledger.understood(one.listen.at, "IPv6 beside IPv4: lb.yaml has one listener for both")
            else:
                ledger.refused(one.listen.at, f"{wide[0].listen.at.at} listens at all addresses of that port already")


def default_of(here: Sequence[Placed]) -> Placed:
    """The one that says so, else the first ("default_server")."""
    return next((one for one in here if one.listen.default), here[0])


def _listens(server: Node, ledger: Ledger) -> Iterator[Listen]:
    lines = list(server.children("listen"))
    if not lines:
        yield Listen(ALL_IPV4, 80, server.directive)
    for line in lines:
        try:
            listen = _listen(line)
        except (Unreadable, ValueError, IndexError) as error:
            ledger.refused(line.directive, f"{error}: nothing listens there" if line.words else "expected an address")
            continue
        ledger.understood(line.directive)
        for word in line.words[1:]:
            _word(listen, word, ledger)
        yield listen


def _listen(line: Node) -> Listen:
    """`address[:port]` or `port`; all of IPv4 where no address is said, port 80 where none is."""
    text = line.words[0]
    if text.startswith("unix:"):
        raise Unreadable(f"{text} is no network address")
    if text.isdigit():
        return Listen(ALL_IPV4, whole(text, 1, 65535), line.directive)
    found = re.fullmatch(r"(\[[^\]]*\]|[^:]*)(?::([0-9]+))?", text)
    if not found:
        raise Unreadable(f"{text} is no network address")
    address = ALL_IPV4 if found[1] in ("", "*") else found[1].strip("[]")
    if problem := LISTEN.refuses(address):
        raise Unreadable(f"{text}: {problem}")
    return Listen(address, whole(found[2] or "80", 1, 65535), line.directive)


def _word(listen: Listen, word: str, ledger: Ledger) -> None:
    if word in ("default_server", "default"):
        listen.default = True
    elif word == "ssl":
        listen.tls = True
    elif word == "http2":
        listen.http2 = True
    elif not _NO_CLAIM.fullmatch(word):
        ledger.refused(listen.at, f"{word}: {_REFUSED.get(word, 'not known')}")


# --- names -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Named:
    """`rank` orders kinds of names as nginx looks for them."""

    when: Conditions
    place: Placed
    rank: tuple[int, int]


def by_name(here: Sequence[Placed], ledger: Ledger) -> list[Named]:
    """First match; the default server comes last, without conditions."""
    default = default_of(here)
    found: list[Named] = []
    for one in here:
        exact: list[str] = []
        for line in one.server.children("server_name"):
            ledger.understood(line.directive)
            for name in line.words:
                exact += _named(name, one, line.directive, found, ledger)
        if exact:
            found.append(Named(Conditions(host=tuple(dict.fromkeys(exact))), one, (0, 0)))
    if all(named.rank == (0, 0) for named in found if named.place is not default):
        found = [named for named in found if named.place is not default]  # its names come to it in any case
    return [*sorted(found, key=lambda named: named.rank), Named(ALWAYS, default, (9, 0))]


def names_of(server: Node) -> tuple[str, ...]:
    """For a certificate: exact ones and `*.x`."""
    words = [word.lower() for line in server.children("server_name") for word in line.words]
    several = [f"*{word}" if word.startswith(".") else word for word in words]
    fit = [word for word in several if re.fullmatch(r"(\*\.)?[a-z0-9-]+(\.[a-z0-9-]+)+", word)]
    return tuple(dict.fromkeys(fit))


def _named(name: str, one: Placed, at: Directive, found: list[Named], ledger: Ledger) -> list[str]:
    """Exact names; others go to `found`."""
    if name in NOBODY:
        return []
    if name.startswith("~"):
        try:
            when = patterns.found(HOST, name[1:], fold=True)
            found += [Named(when, one, (3, 0))] if when else []
        except Unreadable as error:
            ledger.refused(at, f"{error}: requests for it go elsewhere in lb.yaml")
        return []
    exact: list[str] = []
    for (pattern,) in host_patterns(name.lower()):
        if HOST_PATTERN.refuses(pattern) or pattern.startswith("$"):
            ledger.refused(at, f"{name}: a name that is known at run time only")
        elif "*" in pattern:
            found.append(Named(Conditions(host=(pattern,)), one, (1 if pattern[0] == "*" else 2, -len(pattern))))
        else:
            exact.append(pattern)
    return exact
