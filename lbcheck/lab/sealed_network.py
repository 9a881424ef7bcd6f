"""What is on a sealed lab's loopback, and which names are answered inside: from the spec and the configuration."""

from __future__ import annotations

import contextlib
import ipaddress
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from lbcheck.client.http import TWINS
from lbcheck.errors import LbcheckError
from lbcheck.lab.sealed_namespaces import program_path
from lbcheck.spec.model import Backend, Listener, Pool, Spec

# Between devices of one's own, never on the Internet (RFC 2544, appendix C.2.2): no configuration has it by accident.
NAMED = ipaddress.IPv4Network("198.18.0.0/15")
LOCALHOST = ("localhost", "ip6-localhost", "ip6-loopback", "localhost.localdomain")
WITHIN_S = 10.0
_WORDS = re.compile(r"[^\s\"'{};,=<>()|]+")
_PLACE = re.compile(
    r"(?:[A-Za-z][\w+.-]*://|ipv[46]@)?"
    r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9_.-]+)|(?P<bare>[0-9A-Fa-f:]+:[0-9A-Fa-f:.]*))"
    r"(?P<port>:[0-9*][0-9-]*)?(?P<rest>/.*)?"
)


def texts_of(config: Path) -> list[str]:
    """Of a configuration file, or of all files in a folder."""
    files = sorted(path for path in config.rglob("*") if path.is_file()) if config.is_dir() else [config]
    return [file.read_text(encoding="utf-8", errors="replace") for file in files]


# --- what is mentioned (pure) ----------------------------------------------------------------------------------------


def hosts(spec: Spec) -> Iterator[str]:
    """Addresses and names of all listeners and backends, in file order."""
    yield from (listener.address for listener in spec.listeners if listener.address is not None)
    yield from (backend.host for pool in spec.pools for backend in pool.backends if backend.address is not None)


def sources(spec: Spec) -> Iterator[str]:
    """Networks that rules look for clients in: requests are sent from there."""
    for listener in spec.listeners:
        for rule in listener.rules:
            yield from rule.when.source


def mentioned(text: str) -> Iterator[str]:
    """Every address and every word that could be a host's name in a configuration, comments left out.

    Which words are meant for names only the product knows; a name that nobody asks for does no harm.
    """
    for line in text.splitlines():
        for word in _WORDS.findall(re.sub(r"(^|\s)#.*", "", line)):
            found = _PLACE.fullmatch(word)
            if found is None or re.fullmatch(r"/[0-9]+", found["rest"] or ""):  # a network is nobody's address
                continue
            host: str = found["v6"] or found["host"] or found["bare"]
            if is_address(host) or _is_name(host):
                yield host


def is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def addable(host: str) -> bool:
    """Is it an address that loopback does not have by itself, and that one interface can have?"""
    if not is_address(host):
        return False
    address = ipaddress.ip_address(host)
    usual = address.is_loopback or address.is_unspecified or address in NAMED
    return not (usual or address.is_multicast or host == "255.255.255.255")


def _is_name(word: str) -> bool:
    parts = word.split(".")
    lawful = all(re.fullmatch(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62})", part) for part in parts)
    return lawful and len(word) < 254 and bool(re.search(r"[A-Za-z]", parts[-1]))


def resolved(spec: Spec, names: dict[str, str]) -> Spec:
    """The spec with the address in place of every name."""

    def put_listener(listener: Listener) -> Listener:
        return replace(listener, address=names.get(listener.address or "", listener.address))

    def put_backend(backend: Backend) -> Backend:
        if backend.address is None or backend.host not in names:
            return backend
        return replace(backend, address=f"{names[backend.host]}:{backend.port}")

    def put_pool(pool: Pool) -> Pool:
        return replace(pool, backends=tuple(map(put_backend, pool.backends)))

    return replace(spec, listeners=tuple(map(put_listener, spec.listeners)), pools=tuple(map(put_pool, spec.pools)))


# --- the network itself ----------------------------------------------------------------------------------------------


class Network:
    """Loopback alone, with every address that was added; `names` tells which name has which."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self._known: set[str] = set()
        first = NAMED.network_address + 1
        _ip(["link set dev lo up", f"address add {first}/{NAMED.prefixlen} dev lo"])
        with contextlib.suppress(OSError, LbcheckError):  # a kernel without IPv6 serves whoever names none
            _ip([f"route add local {TWINS}/96 dev lo"])
            Path("/proc/sys/net/ipv6/ip_nonlocal_bind").write_text("1")

    def add(self, hosts: Iterable[str], networks: Iterable[str] = ()) -> None:
        """Addresses are put on loopback, names get an address. LbcheckError names the address that cannot be had."""
        commands = []
        for host in hosts:
            if addable(host):
                length = ipaddress.ip_address(host).max_prefixlen
                commands.append(f"address add {host}/{length} dev lo{' nodad' if length == 128 else ''}")
            elif not is_address(host) and host not in LOCALHOST:
                self.names.setdefault(host, str(NAMED.network_address + 2 + len(self.names)))
        for network in networks:
            where = ipaddress.ip_network(network, strict=False)
            if where.prefixlen > 0 and not where.is_loopback:
                commands.append(f"route add local {where} dev lo")
        new = [command for command in dict.fromkeys(commands) if command not in self._known]
        _ip(new)
        self._known.update(new)

    def hosts_file(self) -> str:
        """hosts(5)."""
        lines = [f"127.0.0.1 {LOCALHOST[0]} {LOCALHOST[3]}", f"::1 {' '.join(LOCALHOST[:3])}"]
        return "\n".join([*lines, *(f"{address} {name}" for name, address in self.names.items()), ""])


def _ip(commands: list[str]) -> None:
    """All in one process (ip(8), -batch); it stops at the first that fails."""
    if not commands:
        return
    program = shutil.which("ip", path=program_path()) or "ip"
    done = subprocess.run(
        [program, "-batch", "-"],
        input="\n".join(commands) + "\n",
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    if done.returncode == 0:
        return
    said = done.stderr.strip()
    failed = re.search(r"-:(\d+)", said)
    command = commands[int(failed[1]) - 1] if failed else commands[0]
    remedy = (
        "is IPv6 switched off (sysctl net.ipv6.conf.all.disable_ipv6)? Else name another address in the spec"
        if ":" in command
        else "name an address in the spec that one interface can have"
    )
    raise LbcheckError(
        f"the sealed lab cannot do 'ip {command}': {said.splitlines()[0] if said else done.returncode}", remedy=remedy
    )
