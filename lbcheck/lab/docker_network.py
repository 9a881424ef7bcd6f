"""Which networks and addresses a docker lab has (pure): those that the spec names, and one of the lab's own.

Each network is a /24, internal to the machine. The engine gives itself an address of each (its gateway), which is how
this machine reaches it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from lbcheck.errors import Unsupported
from lbcheck.lab.placing import is_loopback
from lbcheck.spec.model import Spec

# Between devices of one's own, never on the Internet (RFC 2544, appendix C.2.2): no configuration has it by accident.
OWN = ipaddress.IPv4Network("198.18.0.0/15")
OWN_NETWORKS = tuple(OWN.subnets(new_prefix=24))
GATEWAY, FRONT, FIRST = 1, 2, 10  # last parts of addresses in the lab's own network; backends from FIRST on
SEALED = "use the sealed lab (--lb-lab=sealed), which takes any address"


@dataclass(frozen=True, slots=True)
class Net:
    """One internal network."""

    subnet: ipaddress.IPv4Network
    gateway: str


@dataclass(frozen=True, slots=True)
class Plan:
    """`own` is the lab's own network, in which backends without an address of their own are; others are the spec's."""

    own: Net
    others: list[Net] = field(default_factory=list)

    @property
    def nets(self) -> list[Net]:
        return [self.own, *self.others]

    @property
    def front(self) -> str:
        """Where the balancer is, unless the spec says so."""
        return str(self.own.subnet[FRONT])

    def backend(self, number: int) -> str:
        """Of the n-th backend that has no address in the spec, from 1 on."""
        if number + FIRST > 254:
            raise Unsupported(f"a docker lab has {254 - FIRST} backends at most", remedy="use the process lab")
        return str(self.own.subnet[FIRST + number])

    def net_of(self, address: str) -> Net:
        """KeyError where no network has this address."""
        where = ipaddress.IPv4Address(address)
        for net in self.nets:
            if where in net.subnet:
                return net
        raise KeyError(address)


def planned(spec: Spec, own: ipaddress.IPv4Network, taken: Sequence[ipaddress.IPv4Network] = ()) -> Plan:
    """The networks for this spec. Unsupported, with the next best lab, for addresses that containers cannot have.

    `taken`: networks that this machine is in.
    """
    plan = Plan(Net(own, str(own[GATEWAY])))
    wanted: dict[ipaddress.IPv4Network, list[str]] = {}
    for path, address in given(spec):
        try:
            where = ipaddress.IPv4Address(address)
        except ValueError:
            raise Unsupported(f"{path} is {address}: the docker lab has IPv4 addresses alone", remedy=SEALED) from None
        wanted.setdefault(ipaddress.IPv4Network(f"{where}/24", strict=False), []).append(str(where))
    for subnet, addresses in wanted.items():
        if subnet == own:
            continue
        if hit := [net for net in taken if net.overlaps(subnet)]:
            raise Unsupported(
                f"{addresses[0]} is in {hit[0]}, a network of this machine: containers there would hide it",
                remedy=SEALED,
            )
        plan.others.append(Net(subnet, free_in(subnet, addresses)))
    return plan


def free_in(subnet: ipaddress.IPv4Network, taken: Sequence[str]) -> str:
    """The last address that nobody has. Unsupported where there is none."""
    for host in reversed(list(subnet.hosts())):
        if str(host) not in taken:
            return str(host)
    raise Unsupported(f"the spec has every address of {subnet}", remedy=SEALED)


def given(spec: Spec) -> Iterator[tuple[str, str]]:
    """(path, address) of everything that the spec itself gives a place outside the balancer's machine's loopback."""
    for listener in spec.listeners:
        if listener.address is not None and not is_anywhere(listener.address) and not is_loopback(listener.address):
            yield f"listeners.{listener.name}.address", listener.address
    for pool in spec.pools:
        for backend in pool.backends:
            if backend.address is not None and is_address(backend.host) and not is_loopback(backend.host):
                yield f"pools.{pool.name}.backends.{backend.name}", backend.host


def is_anywhere(address: str) -> bool:
    return address in ("*", "0.0.0.0", "::")


def is_address(host: str) -> bool:
    """An address, or a name?"""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def routed(table: str) -> list[ipaddress.IPv4Network]:
    """Networks that this machine is in, of /proc/net/route; the default route is none."""
    found = []
    for line in table.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 7 and fields[7] != "00000000":
            there, mask = (int.from_bytes(bytes.fromhex(fields[i]), "little") for i in (1, 7))
            found.append(ipaddress.IPv4Network((there, bin(mask).count("1")), strict=False))
    return found
