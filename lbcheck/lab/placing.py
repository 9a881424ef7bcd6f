"""Where things stand: addresses of the battery, literal addresses of users' specs, and ports that are free.

Each worker owns 127.77.W.x (W modulo 256): backends from .1 on, the listeners at .200, the client at .201.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from lbcheck.client.http import LOOPBACK, Endpoint
from lbcheck.client.tls import Tls
from lbcheck.errors import LbcheckError, Unsupported
from lbcheck.spec.model import Backend, Listener, Pool, Protocol, Spec

LISTENERS, CLIENT, CONTROL = 200, 201, 202  # last parts of the worker's addresses
FIRST_LISTENER_PORT = 10_000  # below the ephemeral range of Linux (32768) and of the IANA (49152)
PORTS_PER_WORKER = 500
WORKERS = 40  # ranges of ports; a further worker has other addresses, so a shared range does no harm

BackendKey = tuple[str, str]  # (pool, backend)


@dataclass(frozen=True, slots=True)
class Ground:
    """The addresses of one worker. `abroad`: whom it speaks to is elsewhere, and the system chooses its own address.

    `tls`: how listeners of HTTPS are met.
    """

    worker: int = 0
    abroad: bool = False
    tls: Tls | None = None

    def host(self, last: int) -> str:
        """`last` counts from 1; beyond 199 it goes on in the next /24 of the worker's own."""
        return f"127.{77 + last // 200}.{self.worker % 256}.{last % 200}"

    @property
    def listeners(self) -> str:
        return f"127.77.{self.worker % 256}.{LISTENERS}"

    @property
    def client(self) -> str:
        """The default source of requests: no backend and no listener lives there."""
        return LOOPBACK if self.abroad else f"127.77.{self.worker % 256}.{CLIENT}"

    @property
    def control(self) -> str:
        """Where requests come from that go straight to a backend, past the target."""
        return LOOPBACK if self.abroad else f"127.77.{self.worker % 256}.{CONTROL}"

    def endpoint(self, listener: Listener) -> Endpoint:
        """Where clients meet a placed listener."""
        host = "127.0.0.1" if listener.address in ("0.0.0.0", "*") else listener.address or ""
        tls = self.tls if listener.protocol is Protocol.HTTPS else None
        return Endpoint(listener.name, host, listener.port or 0, tls)

    @property
    def ports(self) -> range:
        first = FIRST_LISTENER_PORT + (self.worker % WORKERS) * PORTS_PER_WORKER
        return range(first, first + PORTS_PER_WORKER)

    def backends(self, spec: Spec) -> dict[BackendKey, tuple[str, int]]:
        """(host, port) to bind for each backend, in file order; port 0 where the spec says none."""
        keys = [(pool, backend) for pool in spec.pools for backend in pool.backends]
        return {
            (pool.name, backend.name): (self.host(number), 0)
            if backend.address is None
            else (backend.host, backend.port)
            for number, (pool, backend) in enumerate(keys, 1)
        }


def placed(
    spec: Spec, listeners: Mapping[str, tuple[str, int]], backends: Mapping[BackendKey, tuple[str, int]]
) -> Spec:
    """The spec with the address of every listener and backend filled in."""

    def put_listener(listener: Listener) -> Listener:
        host, port = listeners[listener.name]
        return replace(listener, address=host, port=port)

    def put_backend(pool: Pool, backend: Backend) -> Backend:
        host, port = backends[pool.name, backend.name]
        return replace(backend, address=f"[{host}]:{port}" if ":" in host else f"{host}:{port}")

    return replace(
        spec,
        listeners=tuple(put_listener(listener) for listener in spec.listeners),
        pools=tuple(replace(p, backends=tuple(put_backend(p, b) for b in p.backends)) for p in spec.pools),
    )


# --- what is not ours ------------------------------------------------------------------------------------------------


def remote_addresses(spec: Spec) -> Iterator[tuple[str, str]]:
    """(path in the spec, address) of everything that is not loopback."""
    for listener in spec.listeners:
        if listener.address is not None and not is_loopback(listener.address):
            yield f"listeners.{listener.name}.address", listener.address
    for pool in spec.pools:
        for backend in pool.backends:
            if backend.address is not None and not is_loopback(backend.host):
                yield f"pools.{pool.name}.backends.{backend.name}", backend.address


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def refuse_remote(spec: Spec, lab: str) -> None:
    """Unsupported where the spec names an address that is not loopback: nothing may leave this machine."""
    for path, address in remote_addresses(spec):
        raise Unsupported(
            f"{path} is {address}, which is not a loopback address: the {lab} lab refuses it before anything starts",
            remedy="use the sealed lab (--lb-lab=sealed), which takes any address, or name addresses in 127.0.0.0/8",
        )


def refuse_other_check_ports(spec: Spec) -> None:
    """Unsupported where a backend cannot listen on the port of its probes: another has it, or the check is no HTTP."""
    addresses = [b for pool in spec.pools for b in pool.backends if b.address is not None]
    for pool in spec.pools:
        check = pool.health_check
        for backend in pool.backends if check is not None and check.port is not None else ():
            assert check is not None
            if backend.address is not None and backend.port == check.port:
                continue
            what = f"pool {pool.name} checks health on port {check.port}"
            if check.protocol is not Protocol.HTTP:
                raise Unsupported(f"{what}, and lbcheck's backends listen on a port of its own for HTTP checks alone")
            if backend.address is not None and any(b is not backend and b.host == backend.host for b in addresses):
                raise Unsupported(
                    f"{what}, which several backends at {backend.host} would have to share",
                    remedy="give each backend an address of its own, as 127.0.0.2 and 127.0.0.3",
                )


# --- ports -----------------------------------------------------------------------------------------------------------


class Reservation:
    """A port held for a target: bound but not listening, so that a server with SO_REUSEADDR can take it over."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        host, port = sock.getsockname()[:2]
        self.address: tuple[str, int] = (host, port)

    def close(self) -> None:
        self._sock.close()


def reserve(host: str, port: int, *, after_use: bool = False) -> Reservation:
    """Holds an address; OSError where somebody else has it.

    `after_use` takes a port on which nobody listens, though closed connections of an earlier server still linger on
    it (TIME_WAIT, RFC 9293, section 3.6.1). It does not see another reservation.
    """
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, after_use)
        sock.bind((host, port))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # the target may bind it beside us
    except OSError:
        sock.close()
        raise
    return Reservation(sock)


def reserve_literal(host: str, port: int) -> Reservation:
    """Holds an address that a user's spec names; the error names the port, who has it, and what to do."""
    try:
        return reserve(host, port, after_use=True)  # the same configuration is often judged twice in a minute
    except OSError as error:
        raise LbcheckError(
            f"cannot use {host}:{port}: {os.strerror(error.errno or 0)}{held_by(port)}",
            remedy=f"stop what holds it, or name another port in the spec in place of {port}",
        ) from error


def reserve_one_of(host: str, ports: range, start: int) -> Reservation:
    """Holds the first free port of a range, looking from `start` on and round."""
    for offset in range(len(ports)):
        port = ports[(start + offset) % len(ports)]
        try:
            return reserve(host, port)
        except OSError:
            continue
    raise LbcheckError(f"no free port on {host} between {ports[0]} and {ports[-1]}", remedy="end other runs of lbcheck")


def held_by(port: int) -> str:
    """ " (held by nginx, process 123)" where /proc tells; else nothing."""
    inodes = set(_listening_inodes(port))
    for process in sorted(Path("/proc").glob("[0-9]*")):
        try:
            if any(_inode(link) in inodes for link in (process / "fd").iterdir()):
                return f" (held by {(process / 'comm').read_text().strip()}, process {process.name})"
        except OSError:
            continue  # not ours to look at, or gone meanwhile
    return ""


def _listening_inodes(port: int) -> Iterator[str]:
    """Socket inodes that listen on the port: proc(5), /proc/net/tcp; state 0A is TCP_LISTEN."""
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        if table.exists():
            for line in table.read_text().splitlines()[1:]:
                fields = line.split()
                if int(fields[1].rpartition(":")[2], 16) == port and fields[3] == "0A":
                    yield fields[9]


def _inode(link: Path) -> str:
    name = str(link.readlink())
    return name[8:-1] if name.startswith("socket:[") else ""
