"""When backends count as settled, on histories written by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lbcheck.history import Answered, Arrival, Disconnected, History
from lbcheck.lab.settling import good_probes, settle_within_s, unsettled
from lbcheck.spec.model import Protocol
from tests.lab.specs import CHECK, checked, one_pool

pytestmark = pytest.mark.fast


def probe(history: History, backend: str, connection: int, status: int | None, *, probe: bool = True) -> None:
    history.append(Arrival(backend, connection, 0, 1.0, None, "GET", "/health", b"", "lb:1", probe))
    if status is not None:
        history.append(Answered(backend, connection, 0, 1.0, "answered", status))


def test_only_well_answered_probes_of_the_backend_count() -> None:
    history = History()
    probe(history, "a", 1, 200)
    probe(history, "a", 2, 500)
    probe(history, "a", 3, None)
    probe(history, "a", 4, 200, probe=False)
    probe(history, "b", 1, 200)
    assert good_probes(history, "a", CHECK) == 1
    assert good_probes(history, "a", replace(CHECK, success_codes="200,500")) == 2


def test_tcp_checks_are_connections_without_a_byte() -> None:
    tcp = replace(CHECK, protocol=Protocol.TCP)
    history = History([Disconnected("a", 1, 1.0, 0, "peer"), Disconnected("a", 2, 1.0, 7, "peer")])
    assert good_probes(history, "a", tcp) == 1


def test_who_lacks_probes_is_named() -> None:
    spec, history = checked(unhealthy_threshold=2, healthy_threshold=1), History()
    for connection in (1, 2):
        probe(history, "a", connection, 200)
    probe(history, "b", 1, 200)
    assert unsettled(spec, history) == ["api/b (1 of 2 HTTP checks)", "api/c (0 of 2 HTTP checks)"]
    assert unsettled(one_pool(), history) == []


def test_time_to_settle_follows_the_slowest_pool() -> None:
    assert settle_within_s(checked(interval=2.0, timeout=1.0, unhealthy_threshold=5)) == 1.0 + 5 * 3.0
