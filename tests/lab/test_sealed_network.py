"""Which addresses and names a sealed lab finds in specs and configurations."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbcheck.lab.sealed_network import addable, answering, listening, mentioned, resolved, sources
from lbcheck.spec.loading import loads

SPEC = """\
version: 1
listeners:
  - name: www
    address: 10.0.0.1
    port: 80
    default: {forward: shop}
    rules: [{priority: 1, when: {source: 172.16.0.0/12}, then: {forward: shop}}]
  - {name: inner, address: 127.0.0.1, port: 81, default: {forward: shop}}
pools:
  shop:
    backends:
      - {name: web1, address: "web1.internal:8080"}
      - {name: web2, address: "[fd00::12]:8080"}
      - {name: web3, address: "10.0.0.1:8080"}
      - {name: web4, address: "127.0.0.1:8080"}
      - {name: web5, address: "localhost:8081"}
"""


def test_backends_on_the_balancers_own_machine_stay_there() -> None:
    spec = loads(SPEC).spec
    assert listening(spec) == ["10.0.0.1", "127.0.0.1"]
    assert answering(spec) == ["web1.internal", "fd00::12"]
    assert list(sources(spec)) == ["172.16.0.0/12"]


def test_names_become_addresses_and_nothing_else_changes() -> None:
    spec = loads(SPEC).spec
    after = resolved(spec, {"web1.internal": "198.19.1.0", "other": "198.18.1.1"})
    assert [b.address for b in after.pools[0].backends][:2] == ["198.19.1.0:8080", "[fd00::12]:8080"]
    assert resolved(after, {}) == after
    assert resolved(spec, {}) == spec


@pytest.mark.parametrize(
    ("word", "host"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("10.0.0.1:80-90", "10.0.0.1"),
        ("[fd00::1]:80", "fd00::1"),
        ("fd00::1", "fd00::1"),
        ("[FD00:0::1]:80", "fd00::1"),
        ("ipv4@10.0.0.1:80", "10.0.0.1"),
        ("http://web1.internal:8080/path", "web1.internal"),
        ("http://shop", "shop"),
        ("server=10.0.0.1:514", "10.0.0.1"),
        ('"10.0.0.1"', "10.0.0.1"),
        ("app2", "app2"),
    ],
)
def test_a_word_that_names_a_host(word: str, host: str) -> None:
    assert host in list(mentioned(f"  server {word};"))


@pytest.mark.parametrize("word", ["10.0.0.0/8", "fd00::/64", "# 10.0.0.1", "/etc/ssl/shop.pem", "1.2.3.4.5"])
def test_a_word_that_names_none(word: str) -> None:
    assert not [host for host in mentioned(f"x {word}") if addable(host)]


@given(st.ip_addresses(), st.integers(1, 65535), st.text("abc {};=\"'\n\t", max_size=8))
def test_every_address_with_a_port_is_found(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int, noise: str
) -> None:
    written = f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"
    assert str(address) in list(mentioned(f"{noise} {written} {noise}"))


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "::1", "0.0.0.0", "::", "224.0.0.1", "255.255.255.255", "198.18.3.4", "a"]
)
def test_what_one_interface_has_already_or_cannot_have(host: str) -> None:
    assert not addable(host)
