"""The networks of a docker lab and the places on them.

A place is a container that does nothing but hold an address; programs run in containers of their own that share its
network, as in a pod. So a program that is killed leaves its address behind, where connections are refused, and one that
starts again is at the same place.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lbcheck.errors import HarnessFault, Unsupported
from lbcheck.lab.belongings import Belongings
from lbcheck.lab.docker_engine import Attachment, Container, Engine, Program
from lbcheck.lab.docker_image import PACKAGE, host_folders, is_host
from lbcheck.lab.docker_network import OWN_NETWORKS, SEALED, Net, Plan, given, is_address, is_anywhere, planned, routed
from lbcheck.lab.placing import is_loopback
from lbcheck.lab.sealed_namespaces import Guest, NoNamespaces, program_path
from lbcheck.lab.sealed_network import sources
from lbcheck.spec.model import Spec

HOLDER = ("sleep", "infinity")
FRONT_NAME = "front"
TRIES = 32  # at a network that nobody else has
WITHIN_S = 10.0


@dataclass(frozen=True, slots=True)
class Place:
    """An address, and the container that holds it; `host` is the address that the spec is placed with."""

    holder: Container
    attachments: tuple[Attachment, ...]
    host: str


class Site:
    """Everything that stands between scenes; the guardian removes it when the run is over."""

    plan: Plan
    front: Place  # the balancer's

    def __init__(self, engine: Engine, belongings: Belongings, image: str, programs: Iterable[str]) -> None:
        self.engine = engine
        self.near = False  # is the harness in the balancer's own network?
        self.image = image
        self.hosted = is_host(engine, image)
        self._belongings = belongings
        self._folders = host_folders(programs) if self.hosted else []
        self._networks: dict[Net, str] = {}
        self._places: dict[str, Place] = {}
        self._named = 0
        self._added: set[str] = set()
        self._guest: Guest | None = None

    # --- networks ----------------------------------------------------------------------------------------------------

    async def prepare(self, spec: Spec) -> None:
        """Networks for all that the spec gives a place, and the front where the balancer will be.

        Unsupported where containers cannot have an address.
        """
        if not self._networks:
            await self._begin(spec)
        self.plan = planned(spec, self.plan.own.subnet, self._routes)
        for net in self.plan.others:
            if net not in self._networks:
                await self._add_network(net)
                at = self._at_front(net, spec)
                await self.engine.connect(self.front.holder.id, at)
                self.front = replace(self.front, attachments=(*self.front.attachments, at))
        self._give(spec)

    async def _begin(self, spec: Spec) -> None:
        self._routes = _routes()
        free = [subnet for subnet in OWN_NETWORKS if not any(subnet.overlaps(net) for net in self._routes)]
        first = int(self._belongings.token, 16) % max(len(free), 1)
        for subnet in [*free[first:], *free[:first]][:TRIES]:
            plan = planned(spec, subnet, self._routes)
            with contextlib.suppress(HarnessFault):
                await self._add_network(plan.own)
                break
        else:
            raise HarnessFault(
                f"the engine makes none of {TRIES} networks in 198.18.0.0/15",
                remedy="remove networks that nobody uses: docker network prune",
            )
        self.plan = plan
        self.front = await self._hold(FRONT_NAME, (Attachment(self._networks[plan.own], plan.front, (FRONT_NAME,)),))
        await self._enter()

    async def _add_network(self, net: Net) -> None:
        name = f"lbcheck-{self._belongings.token}-{len(self._networks)}"
        await self.engine.make_network(name, str(net.subnet), net.gateway)
        self._networks[net] = name

    def _at_front(self, net: Net, spec: Spec) -> Attachment:
        """Where the balancer is on a network that the spec names: at a listener's address, else at one nobody has."""
        here = [a for p, a in given(spec) if p.startswith("listeners.") and ipaddress.IPv4Address(a) in net.subnet]
        taken = {net.gateway, *(address for _, address in given(spec))}
        free = next(str(host) for host in reversed(list(net.subnet.hosts())) if str(host) not in taken)
        return Attachment(self._networks[net], here[0] if here else free, (FRONT_NAME,))

    # --- the harness -------------------------------------------------------------------------------------------------

    async def _enter(self) -> None:
        """Into the balancer's network, where every address of 127.0.0.0/8 is a client's, if this user may."""
        with contextlib.suppress(NoNamespaces):
            self._guest = Guest(await self.front.holder.pid())
            self.near = _has(self.plan.front)
            if not self.near:  # the engine counts processes otherwise: that was somebody else
                self.leave()

    def _give(self, spec: Spec) -> None:
        """Further addresses of listeners, and clients' networks that rules look for."""
        fronts = {at.address for at in self.front.attachments}
        listeners = [a for path, a in given(spec) if path.startswith("listeners.") and a not in fronts]
        far = [n for n in map(ipaddress.ip_network, sources(spec)) if n.prefixlen and not n.is_loopback]
        if (listeners or far) and not self.near:
            raise Unsupported(
                f"{(*listeners, *map(str, far))[0]} is an address that only root gives to the balancer's network",
                remedy=SEALED,
            )
        for address in listeners:
            self._once(f"address add {address}/32 dev lo")
        for network in far:
            if any(network.overlaps(net.subnet) for net in self.plan.nets):
                raise Unsupported(f"clients of {network} would have backends' addresses", remedy=SEALED)
            self._once(f"route add local {network} dev lo")

    def _once(self, command: str) -> None:
        if command not in self._added:
            _ip(command)
            self._added.add(command)

    def leave(self) -> None:
        """Back to the machine's own network."""
        guest, self._guest = self._guest, None
        if guest is not None:
            guest.leave()

    # --- places ------------------------------------------------------------------------------------------------------

    async def place(self, host: str, name: str) -> Place:
        """The place at an address, or at a name (which leads there for all others); made where there is none yet."""
        if is_loopback(host) or is_anywhere(host):
            return replace(self.front, host=host if is_address(host) and is_loopback(host) else "127.0.0.1")
        if host not in self._places:
            address, names = (host, ()) if is_address(host) else (self._next_named(), (host,))
            at = Attachment(self._networks[self.plan.net_of(address)], address, (*names, name))
            self._places[host] = await self._hold(name, (at,))
        return self._places[host]

    async def disconnect(self, place: Place) -> None:
        """Its machine is off the network: nothing it is sent arrives."""
        for at in place.attachments:
            await self.engine.disconnect(place.holder.id, at.network)

    async def connect(self, place: Place) -> None:
        """Ends `disconnect`."""
        for at in place.attachments:
            await self.engine.connect(place.holder.id, at)

    def _next_named(self) -> str:
        """From the end of the network on."""
        self._named += 1
        return str(self.plan.own.subnet[255 - self._named])

    async def _hold(self, name: str, attachments: tuple[Attachment, ...]) -> Place:
        holder = await self.engine.start(self.program(HOLDER, name, "place", folders=()), at=attachments[0])
        return Place(holder, attachments, attachments[0].address)

    # --- programs ----------------------------------------------------------------------------------------------------

    def program(
        self,
        argv: Sequence[str],
        name: str,
        role: str,
        *,
        folders: Sequence[tuple[Path, str]],
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> Program:
        """For a container of this lab's. `folders`: (path, "ro" or "rw"), seen inside at the same path."""
        hosted = self.hosted
        bound = [*((folder, "ro") for folder in self._folders), *folders]
        return Program(
            self.image,
            tuple(argv) if hosted else (_as_named(argv[0]), *argv[1:]),
            name,
            role,
            {**(_surroundings() if hosted else {}), **(env or {}), **self._belongings.environment},
            tuple((path, path, how) for path, how in bound),
            cwd,
            "" if os.geteuid() == 0 else f"{os.geteuid()}:{os.getegid()}",
        )

    async def run(self, program: Program, place: Place) -> Container:
        return await self.engine.start(program, at=place.holder.id, init=True)


def _ip(command: str) -> None:
    """In the network that this thread is in (ip(8))."""
    program = shutil.which("ip", path=program_path())
    if program is None:
        raise HarnessFault("the docker lab gives addresses with the program ip", remedy="apt-get install iproute2")
    argv = [program, *command.split()]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=WITHIN_S, check=False)
    if done.returncode and "File exists" not in done.stderr:
        raise HarnessFault(
            f"ip {command}: {done.stderr.strip()}", remedy="remove that address or route, if it is yours"
        )


def _surroundings() -> dict[str, str]:
    """Where programs of this machine look for others and for Python's packages."""
    return {
        "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin",
        "PYTHONPATH": str(PACKAGE.parent),
        "PYTHONDONTWRITEBYTECODE": "1",
        "LANG": "C.UTF-8",
    }


def _as_named(program: str) -> str:
    """In an image of its own a program is found by its name."""
    return "python3" if program == sys.executable else Path(program).name


def _has(address: str) -> bool:
    """Is it an address of the network that this thread is in?"""
    with socket.socket() as sock:
        try:
            sock.bind((address, 0))
        except OSError:
            return False
    return True


def _routes() -> list[ipaddress.IPv4Network]:
    table = Path("/proc/net/route")
    return routed(table.read_text()) if table.exists() else []
