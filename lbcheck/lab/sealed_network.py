"""Which addresses a sealed lab has, and which names are answered inside: from the spec and the configuration."""

from __future__ import annotations

import contextlib
import ipaddress
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from lbcheck.client.http import TWINS
from lbcheck.errors import LbcheckError
from lbcheck.lab.sealed_namespaces import INSTEAD, Namespaces, program_path
from lbcheck.spec.model import Backend, Listener, Pool, Spec

# Between devices of one's own, never on the Internet (RFC 2544, appendix C.2.2): no configuration has it by accident.
NAMED = ipaddress.IPv4Network("198.18.0.0/15")
NEAR, FAR = NAMED.subnets()
OWN, CONTROL = NEAR[1], NEAR[202]  # what connections to the far side come from, by themselves and in a control run
LOCALHOST = ("localhost", "ip6-localhost", "ip6-loopback", "localhost.localdomain")
WITHIN_S = 10.0
FIRST_NAMED = 256  # below are the lab's own
WIRE = "02:00:00:00:00:01"  # locally administered (IEEE 802)
_NO_WAIT = " nodad"
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


def listening(spec: Spec) -> list[str]:
    """Addresses and names of listeners, in file order."""
    return [usual(listener.address) for listener in spec.listeners if listener.address is not None]


def answering(spec: Spec) -> list[str]:
    """Those of backends that are not on the balancer's own machine, in file order."""
    own = {*listening(spec), *LOCALHOST}
    hosts = [usual(backend.host) for pool in spec.pools for backend in pool.backends if backend.address is not None]
    return [host for host in hosts if host not in own and (addable(host) or not is_address(host))]


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
                yield usual(host)


def usual(host: str) -> str:
    """An address as it is usually written (RFC 5952), so that all ways of writing it are one; a name as it is."""
    return str(ipaddress.ip_address(host)) if is_address(host) else host


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
    already = address.is_loopback or address.is_unspecified or address in NAMED
    return not (already or address.is_multicast or host == "255.255.255.255")


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
    """Two networks and a wire. Client and balancer are near: their loopback has every address that is not a backend's.

    Backends are far, so that a backend and a listener on all addresses can have the same port. `names` tells which name
    has which address, `far` which addresses are behind the wire.
    """

    def __init__(self, namespaces: Namespaces) -> None:
        self.names: dict[str, str] = {}
        self.far: set[str] = set()
        self._namespaces = namespaces
        self._known: set[tuple[str, str]] = set()
        # Without ARP frames go to the sender's own hardware address: both ends have the same.
        wire = f"type veth peer name back address {WIRE} netns /proc/self/fd/{namespaces.far}"
        self._near(
            "link set dev lo up",
            f"link add front address {WIRE} {wire}",
            "link set dev front arp off up",
            f"address add {OWN}/{NEAR.prefixlen} dev lo",
            f"route add {FAR} dev front src {OWN}",
        )
        self._behind("link set dev lo up", "link set dev back arp off up", f"route add {NEAR} dev back")
        with contextlib.suppress(OSError, LbcheckError):  # a kernel without IPv6 serves whoever names none
            self._near(f"address add {TWINS + 1}/128 dev lo nodad", f"route add local {TWINS}/96 dev lo")
            self._behind(f"route add {TWINS}/96 dev back")
            Path("/proc/sys/net/ipv6/ip_nonlocal_bind").write_text("1")

    def add(self, near: Iterable[str], far: Iterable[str] = (), networks: Iterable[str] = ()) -> None:
        """Addresses are put where they belong, names get one. LbcheckError names the address that cannot be had."""
        self._add_far(far)
        commands, back = [], []
        for host in near:
            if addable(host) and host not in self.far:
                commands.append(f"address add {_whole(host)} dev lo{_NO_WAIT if ':' in host else ''}")
                back.append(f"route add {_whole(host)} dev back")
            elif not is_address(host) and host not in LOCALHOST:
                self._name(host, NEAR)
        for network in networks:
            where = ipaddress.ip_network(network, strict=False)
            if where.prefixlen > 0 and not where.is_loopback:
                commands.append(f"route add local {where} dev lo")
        self._near(*commands)
        self._behind(*back)

    def _add_far(self, hosts: Iterable[str]) -> None:
        addresses = [host if is_address(host) else self._name(host, FAR) for host in hosts]
        self.far.update(addresses)
        self._behind(*(f"address add {_whole(a)} dev back{_NO_WAIT if ':' in a else ''}" for a in addresses))
        routes = [f"route add {_whole(a)} dev front" for a in addresses]
        self._near(*(route if ":" in route else f"{route} src {OWN}" for route in routes))

    def _name(self, name: str, among: ipaddress.IPv4Network) -> str:
        return self.names.setdefault(name, str(among[FIRST_NAMED + len(self.names)]))

    def _near(self, *commands: str) -> None:
        self._once("near", commands)

    def _behind(self, *commands: str) -> None:
        with self._namespaces.behind():
            self._once("far", commands)

    def _once(self, side: str, commands: Sequence[str]) -> None:
        new = [command for command in dict.fromkeys(commands) if (side, command) not in self._known]
        self._ip(new)
        self._known.update((side, command) for command in new)

    def _ip(self, commands: list[str]) -> None:
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
            pass_fds=[self._namespaces.far],
        )
        if done.returncode != 0:
            raise _refused(commands, done.stderr.strip() or f"exit code {done.returncode}")

    def hosts_file(self) -> str:
        """hosts(5)."""
        lines = [f"127.0.0.1 {LOCALHOST[0]} {LOCALHOST[3]}", f"::1 {' '.join(LOCALHOST[:3])}"]
        return "\n".join([*lines, *(f"{address} {name}" for name, address in self.names.items()), ""])


def _whole(address: str) -> str:
    return f"{address}/{ipaddress.ip_address(address).max_prefixlen}"


def _refused(commands: list[str], said: str) -> LbcheckError:
    failed = re.search(r"-:(\d+)", said)
    command = commands[int(failed[1]) - 1] if failed else commands[0]
    if "veth" in command:
        remedy = f"load the kernel's module veth (modprobe veth); {INSTEAD}"
    elif ":" in command:
        remedy = "is IPv6 switched off (sysctl net.ipv6.conf.all.disable_ipv6)? Else name another address in the spec"
    else:
        remedy = "name an address in the spec that one interface can have"
    return LbcheckError(f"the sealed lab cannot do 'ip {command}': {said.splitlines()[0]}", remedy=remedy)
