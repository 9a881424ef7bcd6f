"""`server`, `server-template` and `default-server` lines (section 5.2) as backends and what they say of their pool."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from lbcheck.importers.directive import Directive, Ledger, Unreadable
from lbcheck.importers.haproxy.proxies import Proxy
from lbcheck.importers.haproxy.words import seconds
from lbcheck.spec.model import Backend
from lbcheck.spec.syntax import ADDRESS

_WITH_VALUE = """
    id name verify ca-file crt crl-file sni check-sni alpn npn check-alpn ciphers ciphersuites verifyhost
    ssl-min-ver ssl-max-ver init-addr resolve-prefer resolve-opts resolve-net pool-max-conn pool-low-conn
    pool-purge-delay max-reuse tcp-ut log-proto log-bufsize namespace hash-key source interface usesrc
"""
_ALONE = """
    tfo no-check-ssl check-send-proxy no-check-send-proxy no-verifyhost ssl-reuse no-ssl-reuse
    tls-tickets no-tls-tickets no-tlsv10 no-tlsv11 no-tlsv12 no-tlsv13 no-sslv3 force-tlsv12 force-tlsv13
    allow-0rtt stick no-tfo
"""

MOST_OF_A_TEMPLATE = 256


@dataclass(slots=True)
class Server:
    """Defaults of section 5.2: weight 1, inter 2s, rise 2, fall 3."""

    name: str
    address: str
    at: Directive
    weight: int = 1
    backup: bool = False
    disabled: bool = False
    check: bool = False
    interval_s: float = 2.0
    rise: int = 2
    fall: int = 3
    port: int | None = None
    initial: str = "healthy"
    cookie: str = ""
    max_connections: int = 0
    slow_start_s: float = 0.0
    proxy_protocol: str = "none"
    tls: bool = False
    http2: bool = False
    resolvers: str = ""
    lines: dict[str, Directive] = field(default_factory=dict)  # field -> the line that says it

    @property
    def backend(self) -> Backend:
        state = "draining" if self.disabled else "active"
        return Backend(self.name, self.address, self.weight, self.backup, state)  # type: ignore[arg-type]


Setter = Callable[[Server, str], None]


def _set(name: str, convert: Callable[[str], object]) -> tuple[str, Setter]:
    return name, lambda server, word: setattr(server, name, convert(word))


_VALUES: dict[str, tuple[str, Setter]] = {
    "weight": _set("weight", int),
    "inter": _set("interval_s", seconds),
    "rise": _set("rise", int),
    "fall": _set("fall", int),
    "port": _set("port", int),
    "cookie": _set("cookie", str),
    "maxconn": _set("max_connections", int),
    "slowstart": _set("slow_start_s", seconds),
    "resolvers": _set("resolvers", str),
    "init-state": _set(
        "initial",
        lambda word: {"fully-up": "healthy", "up": "healthy", "fully-down": "unhealthy", "down": "unknown"}[word],
    ),
}
_SWITCHES: dict[str, tuple[str, object]] = {
    "check": ("check", True),
    "no-check": ("check", False),
    "backup": ("backup", True),
    "no-backup": ("backup", False),
    "disabled": ("disabled", True),
    "enabled": ("disabled", False),
    "send-proxy": ("proxy_protocol", "v1"),
    "send-proxy-v2": ("proxy_protocol", "v2"),
    "send-proxy-v2-ssl": ("proxy_protocol", "v2"),
    "send-proxy-v2-ssl-cn": ("proxy_protocol", "v2"),
    "no-send-proxy": ("proxy_protocol", "none"),
    "no-send-proxy-v2": ("proxy_protocol", "none"),
    "ssl": ("tls", True),
    "no-ssl": ("tls", False),
}
# No claim is about these; the number of words that follow each.
_IGNORED = {
    **dict.fromkeys(
        _WITH_VALUE.split(),
        1,
    ),
    **dict.fromkeys(
        _ALONE.split(),
        0,
    ),
}
_REFUSED = {
    "check-ssl": "its probes speak TLS",
    "track": "its health is another server's",
    "agent-check": "an agent decides on its health and weight",
    "agent-port": "an agent decides on its health and weight",
    "agent-inter": "an agent decides on its health and weight",
    "agent-addr": "an agent decides on its health and weight",
    "agent-send": "an agent decides on its health and weight",
    "addr": "its probes go to another address",
    "observe": "what traffic meets counts against it, and it comes back by its checks",
    "error-limit": "what traffic meets counts against it, and it comes back by its checks",
    "on-error": "what traffic meets counts against it, and it comes back by its checks",
    "on-marked-down": "its connections are cut when it goes down",
    "on-marked-up": "other servers' connections are cut when it comes up",
    "minconn": "its limit of connections moves with the load",
    "maxqueue": "its own queue has a bound",
    "redir": "requests are redirected to it",
    "non-stick": "it is left out of stick tables",
    "proto": "the protocol that it speaks",
    "check-proto": "the protocol of its probes",
    "check-via-socks4": "it stands behind a SOCKS proxy",
    "socks4": "it stands behind a SOCKS proxy",
    "ws": "the protocol of websockets",
}
_LONE = {"check-ssl", "agent-check", "non-stick", "check-via-socks4"}
_PACE = {"fastinter": "while a state is changing", "downinter": "while it is down"}


def servers(proxy: Proxy, ledger: Ledger) -> list[Server]:
    """`default-server` acts on the lines after it, as HAProxy reads them."""
    model = Server("", "", proxy.section.head)
    found: list[Server] = []
    for line in (*proxy.inherited, *proxy.section.directives):
        if line.words[0] == "default-server":
            model = _read(replace(model, lines=dict(model.lines)), line.words[1:], line, ledger)
        elif line.words[0] in ("server", "server-template"):
            try:
                found += [_server(name, address, words, line, model, ledger) for name, address, words in _named(line)]
            except (Unreadable, ValueError) as error:
                ledger.refused(line, f"{error}; the server is left out")
    return found


def _named(line: Directive) -> Iterator[tuple[str, str, Sequence[str]]]:
    """(name, address, further words) of each server that a line makes."""
    if line.words[0] == "server" and len(line.words) >= 3:
        yield line.words[1], line.words[2], line.words[3:]
    elif line.words[0] == "server-template" and len(line.words) >= 4:
        low, _, high = line.words[2].rpartition("-")
        numbers = range(int(low or 1), int(high) + 1)
        if len(numbers) > MOST_OF_A_TEMPLATE:
            raise Unreadable(f"expected at most {MOST_OF_A_TEMPLATE} servers of a template")
        yield from ((f"{line.words[1]}{number}", line.words[3], line.words[4:]) for number in numbers)
    else:
        raise Unreadable("expected a name and an address")


def _server(name: str, address: str, words: Sequence[str], line: Directive, model: Server, ledger: Ledger) -> Server:
    server = replace(model, name=_name(name), address=_address(address), at=line, lines=dict(model.lines))
    if line.words[0] == "server-template":
        ledger.understood(line, "each stands at the name's address, until the name is resolved to several")
    return _read(server, words, line, ledger)


def _name(word: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.:\[\]-]", "-", word)


def _address(word: str) -> str:
    """host:port; a port that is left out or begins with a sign is the client's ("server")."""
    host = re.sub(r"^(ipv4|ipv6)@", "", word)
    if "@" in host or host.startswith("/"):
        raise Unreadable(f"{word} is no network address")
    if host.count(":") > 1 and not host.startswith("["):
        head, _, port = host.rpartition(":")
        host = f"[{head}]:{port}"
    if re.search(r":[+-][0-9]+$", host) or not re.search(r":[0-9]+$", host):
        raise Unreadable(f"{word}: the port is the one that the client came to")
    if problem := ADDRESS.refuses(host):
        raise Unreadable(f"{word}: {problem}")
    return host


def _read(server: Server, words: Sequence[str], line: Directive, ledger: Ledger) -> Server:
    ledger.understood(line)
    at = 0
    while at < len(words):
        word, argument = words[at], "".join(words[at + 1 : at + 2])
        at += _word(server, word, argument, line, ledger)
    return server


def _word(server: Server, word: str, argument: str, line: Directive, ledger: Ledger) -> int:
    """Reads one setting; how many words it takes."""
    if word in _SWITCHES:
        name, value = _SWITCHES[word]
        setattr(server, name, value)
        server.lines[name] = line
        return 1
    if word in _VALUES:
        name, setter = _VALUES[word]
        try:
            setter(server, argument)
        except (ValueError, KeyError):
            ledger.refused(line, f"{word} {argument}: expected another value")
        server.lines[name] = line
        return 2
    if word in _PACE:
        ledger.understood(line, f"{word}: probes keep another pace {_PACE[word]}, which the spec cannot say")
        return 2
    if word == "proto" and argument == "h2":
        server.http2 = True
        return 2
    if word in _IGNORED:
        return 1 + _IGNORED[word]
    ledger.refused(line, f"{word}: {_REFUSED.get(word, 'not known')}")
    return 1 if word in _LONE or word not in _REFUSED else 2
