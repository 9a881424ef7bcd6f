"""`bind` lines (sections 4.2 and 5.1) as places to listen on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from lbcheck.importers.directive import Directive, Ledger, Unreadable
from lbcheck.importers.haproxy.proxies import Proxy
from lbcheck.spec.model import Certificate

_WITH_VALUE = """
    name id maxconn backlog nice interface mss user group uid gid mode level process thread shards
    severity-output ciphers ciphersuites curves ecdhe ssl-min-ver ssl-max-ver namespace tcp-ut tls-ticket-keys
    ca-sign-file ca-sign-pass crl-file ocsp-update npn
"""
_ALONE = """
    tfo defer-accept transparent v4v6 v6only no-tls-tickets no-sslv3 no-tlsv10 no-tlsv11 no-tlsv12 no-tlsv13
    force-tlsv12 force-tlsv13 prefer-client-ciphers allow-0rtt generate-certificates expose-fd
"""

MOST_PORTS = 64  # of one line
_NO_CLAIM = {
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
    "accept-proxy": (0, "clients have to begin with a PROXY header"),
    "accept-netscaler-cip": (1, "clients have to begin with a header of their own"),
    "strict-sni": (0, "a name without certificate is refused"),
    "verify": (1, "clients have to show certificates"),
    "ca-file": (1, "clients' certificates are looked at"),
    "ca-verify-file": (1, "clients' certificates are looked at"),
    "crt-list": (1, "certificates are listed in another file"),
    "proto": (1, "one protocol alone is spoken"),
}


@dataclass(slots=True)
class Bind:
    address: str
    port: int
    at: Directive
    tls: bool = False
    http2: bool = False
    certificates: list[Certificate] = field(default_factory=list)


def binds(proxy: Proxy, ledger: Ledger) -> list[Bind]:
    found: list[Bind] = []
    for line in proxy.all("bind"):
        try:
            places = [place for part in line.words[1].split(",") for place in _places(part)]
        except (Unreadable, ValueError, IndexError) as error:
            ledger.refused(line, f"{error}: nothing listens there" if str(error) else "expected an address")
            continue
        ledger.understood(line)
        found += [_set(Bind(address, port, line), line.words[2:], ledger) for address, port in places]
    return found


def _places(text: str) -> list[tuple[str, int]]:
    """`[address]:port[-port]`; no address or * is all of IPv4 ("bind")."""
    text = re.sub(r"^(ipv4|ipv6|tcp|tcp4|tcp6)@", "", text)
    if "@" in text or text.startswith("/"):
        raise Unreadable(f"{text} is no network address")
    host, colon, ports = text.rpartition(":")
    if not colon or not re.fullmatch(r"[0-9]+(-[0-9]+)?", ports):
        raise Unreadable(f"{text} names no port")
    low, _, high = ports.partition("-")
    numbers = range(int(low), int(high or low) + 1)
    if len(numbers) > MOST_PORTS:
        raise Unreadable(f"more than {MOST_PORTS} ports")
    address = "0.0.0.0" if host in ("", "*") else host.strip("[]") or "::"
    return [(address, number) for number in numbers]


def _set(bind: Bind, words: Sequence[str], ledger: Ledger) -> Bind:
    at = 0
    while at < len(words):
        word, argument = words[at], "".join(words[at + 1 : at + 2])
        at += 1
        if word == "ssl":
            bind.tls = True
        elif word == "crt":
            bind.certificates.append(_certificate(argument, bind.at, ledger))
            at += 1
        elif word == "alpn":
            bind.http2 = "h2" in argument.split(",")
            at += 1
        elif word in _NO_CLAIM:
            at += _NO_CLAIM[word]
        else:
            more, reason = _REFUSED.get(word, (0, "not known"))
            ledger.refused(bind.at, f"{word}: {reason}")
            at += more
    return bind


def _certificate(path: str, at: Directive, ledger: Ledger) -> Certificate:
    """A file holds certificate and key ("crt"). Its names are taken from what it is called, where that is a name."""
    stem = PurePosixPath(path).stem.lower().removeprefix("_")
    wild = stem.startswith("wildcard.")
    name = f"*.{stem.removeprefix('wildcard.')}" if wild else stem
    if not re.fullmatch(r"(\*\.)?[a-z0-9-]+(\.[a-z0-9-]+)+", name):
        ledger.understood(at, f"the names of the certificate {path} are not known")
        return Certificate(("default",), path, path)
    return Certificate((name,), path, path)
