"""Addresses: what a worker owns, what a spec names, and what is taken."""

from __future__ import annotations

import os
import socket
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbcheck.errors import LbcheckError, Unsupported
from lbcheck.lab.placing import (
    Ground,
    held_by,
    is_loopback,
    placed,
    refuse_remote,
    remote_addresses,
    reserve,
    reserve_literal,
    reserve_one_of,
)
from lbcheck.spec.model import Backend, Forward, Listener, Pool, Spec

pytestmark = pytest.mark.fast

SPEC = Spec(
    listeners=(Listener("web", Forward((("api", 1),))),),
    pools=(Pool("api", (Backend("a"), Backend("b", "127.0.0.1:9000"))), Pool("old", (Backend("a"),))),
)


def test_backends_stand_in_file_order_and_literal_ones_where_they_say() -> None:
    assert Ground(3).backends(SPEC) == {
        ("api", "a"): ("127.77.3.1", 0),
        ("api", "b"): ("127.0.0.1", 9000),
        ("old", "a"): ("127.77.3.3", 0),
    }


@given(worker=st.integers(0, 60), last=st.integers(1, 2000))
def test_hosts_are_loopback_and_nobody_elses(worker: int, last: int) -> None:
    ground = Ground(worker)
    assert is_loopback(ground.host(last))
    assert ground.host(last) not in (ground.client, ground.listeners, ground.control)
    assert ground.host(last) != ground.host(last + 1)


def test_workers_have_ranges_of_their_own_below_the_ephemeral_ports() -> None:
    ranges = [Ground(worker).ports for worker in range(40)]
    assert len({port for ports in ranges for port in ports}) == 40 * 500
    assert max(ports[-1] for ports in ranges) < 32768


def test_placed_fills_in_every_address() -> None:
    where = {("api", "a"): ("127.0.0.2", 1), ("api", "b"): ("127.0.0.1", 9000), ("old", "a"): ("::1", 2)}
    spec = placed(SPEC, {"web": ("127.0.0.9", 80)}, where)
    assert (spec.listeners[0].address, spec.listeners[0].port) == ("127.0.0.9", 80)
    assert [b.address for p in spec.pools for b in p.backends] == ["127.0.0.2:1", "127.0.0.1:9000", "[::1]:2"]
    assert replace(spec.pools[0], backends=()) == replace(SPEC.pools[0], backends=())


def test_remote_addresses_are_refused_by_name() -> None:
    spec = replace(SPEC, pools=(Pool("api", (Backend("a", "10.0.0.7:80"), Backend("b", "[::1]:80"))),))
    assert list(remote_addresses(spec)) == [("pools.api.backends.a", "10.0.0.7:80")]
    with pytest.raises(Unsupported, match=r"pools\.api\.backends\.a is 10\.0\.0\.7:80.*before anything starts"):
        refuse_remote(spec, "process")
    refuse_remote(SPEC, "process")


def test_reserved_port_is_nobodys_but_a_server_can_take_it_over() -> None:
    held = reserve("127.0.0.1", 0)
    with pytest.raises(OSError, match="in use"):
        reserve(*held.address)
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(held.address)
        server.listen()
        with socket.create_connection(held.address):
            pass
    held.close()


def test_taken_literal_port_is_named_with_its_holder() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert held_by(port).endswith(f"process {os.getpid()})")
        with pytest.raises(LbcheckError, match=rf"(?s)cannot use 127\.0\.0\.1:{port}: .*held by .*name another port"):
            reserve_literal("127.0.0.1", port)


def test_literal_port_can_be_used_again_while_closed_connections_linger() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            server.accept()[0].close()  # this side closes first: its end stays in TIME_WAIT
            assert client.recv(1) == b""
    with pytest.raises(OSError, match="in use"):
        reserve("127.0.0.1", port)
    reserve_literal("127.0.0.1", port).close()


def test_taken_ports_are_passed_over() -> None:
    first = reserve("127.0.0.1", 0)
    port = first.address[1]
    ports = range(port, port + 50)
    second = reserve_one_of("127.0.0.1", ports, 0)
    assert second.address[1] in ports[1:]
    with pytest.raises(LbcheckError, match=f"no free port on 127.0.0.1 between {port} and {port}"):
        reserve_one_of("127.0.0.1", range(port, port + 1), 7)
    first.close()
    second.close()
