"""Which networks a docker lab has (pure)."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbcheck.errors import Unsupported
from lbcheck.lab.docker_network import FIRST, FRONT, GATEWAY, OWN_NETWORKS, free_in, planned, routed
from lbcheck.spec.model import Backend, Spec
from tests.lab.specs import one_pool

OWN = OWN_NETWORKS[7]
# From proc(5): addresses as the machine has them in memory, here with the least byte first.
TABLE = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
"""


def spec_of(listener: str | None, *backends: str) -> Spec:
    spec = one_pool()
    placed = tuple(Backend(f"b{number}", address) for number, address in enumerate(backends))
    return replace(
        spec,
        listeners=(replace(spec.listeners[0], address=listener),),
        pools=(replace(spec.pools[0], backends=placed),),
    )


def test_a_spec_without_addresses_needs_the_labs_own_network_alone() -> None:
    plan = planned(one_pool(), OWN)
    assert plan.nets == [plan.own]
    assert plan.own.gateway == "198.18.7.1"
    places = [plan.own.gateway, plan.front, *(plan.backend(n) for n in (1, 2, 3))]
    assert len(set(places)) == 5
    assert {plan.net_of(place) for place in places} == {plan.own}
    assert GATEWAY < FRONT < FIRST


def test_the_own_network_has_an_end() -> None:
    plan = planned(one_pool(), OWN)
    assert plan.backend(200).startswith("198.18.7.")
    with pytest.raises(Unsupported, match="backends at most"):
        plan.backend(255 - FIRST)


def test_addresses_of_a_spec_are_in_networks_whose_gateway_is_nobodys() -> None:
    plan = planned(spec_of("10.1.2.3", "10.1.2.254:80", "10.1.9.1:80", "127.0.0.1:9001", "web.internal:80"), OWN)
    assert [(str(net.subnet), net.gateway) for net in plan.others] == [
        ("10.1.2.0/24", "10.1.2.253"),
        ("10.1.9.0/24", "10.1.9.254"),
    ]
    assert plan.net_of("10.1.9.1") == plan.others[1]
    with pytest.raises(KeyError):
        plan.net_of("192.0.2.1")


def test_what_containers_cannot_have_is_refused_with_the_next_best_lab() -> None:
    with pytest.raises(Unsupported, match=r"(?s)IPv4 addresses alone.*--lb-lab=sealed"):
        planned(spec_of(None, "[fd00::1]:80"), OWN)
    with pytest.raises(Unsupported, match=r"(?s)10\.1\.2\.3 is in 10\.0\.0\.0/8, a network of this.*--lb-lab=sealed"):
        planned(spec_of("10.1.2.3"), OWN, [ipaddress.IPv4Network("10.0.0.0/8")])


@given(st.sets(st.integers(1, 254), max_size=254))
def test_a_free_address_is_the_last_that_nobody_has(taken: set[int]) -> None:
    subnet = ipaddress.IPv4Network("10.4.4.0/24")
    if len(taken) == 254:
        with pytest.raises(Unsupported):
            free_in(subnet, [f"10.4.4.{last}" for last in taken])
    else:
        free = int(free_in(subnet, [f"10.4.4.{last}" for last in taken]).rpartition(".")[2])
        assert free not in taken
        assert set(range(free + 1, 255)) <= taken


def test_networks_of_the_machine_as_the_kernel_lists_them() -> None:
    assert [str(net) for net in routed(TABLE)] == ["192.0.2.0/24", "172.17.0.0/16"]
    assert routed("") == []
