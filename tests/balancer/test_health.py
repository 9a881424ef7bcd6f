"""Streaks, thresholds, ejection, and who is in service because of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbcheck.balancer.decisions import ProbeResult
from lbcheck.spec.model import Backend, HealthCheck, PassiveHealth, Protocol
from tests.balancer.worlds import CHECK, World, backends

# --- active ----------------------------------------------------------------------------------------------------------


def runs(results: str, at: int) -> int:
    """Length of the run of equal results that ends at `at`."""
    n = 1
    while n <= at and results[at - n] == results[at]:
        n += 1
    return n


@given(
    st.text("SF", max_size=40),
    st.integers(1, 5),
    st.integers(1, 5),
    st.sampled_from([("healthy", True), ("unhealthy", False), ("unknown", None)]),
)
def test_only_runs_of_threshold_length_change_the_state(
    results: str, rise: int, fall: int, initial: tuple[str, bool | None]
) -> None:
    word, healthy = initial
    check = HealthCheck(healthy_threshold=rise, unhealthy_threshold=fall, initial=word)  # type: ignore[arg-type]
    expected = []
    for at, result in enumerate(results):
        passed = result == "S"
        if healthy is None or runs(results, at) >= (rise if passed else fall):
            healthy = passed
        expected.append(healthy)
    assert World(health_check=check).probe("a", results) == expected


@pytest.mark.parametrize(
    ("initial", "served"), [("healthy", "a"), ("unhealthy", "none usable"), ("unknown", "none usable")]
)
def test_before_the_first_result(initial: str, served: str) -> None:
    world = World(health_check=replace(CHECK, initial=initial))  # type: ignore[arg-type]
    assert world.turn() == served


def test_the_first_result_decides_on_an_unknown_backend() -> None:
    world = World(health_check=replace(CHECK, initial="unknown"))
    world.probe("b", "S")
    world.probe("c", "F")
    assert world.turns(3) == "bbb"


def test_without_a_check_everybody_is_healthy() -> None:
    assert all(b.healthy for b in World().pool.backends)


@pytest.mark.parametrize(
    ("check", "result", "passed"),
    [
        (CHECK, ProbeResult(200), True),
        (CHECK, ProbeResult(301), False),
        (CHECK, ProbeResult(503), False),
        (CHECK, ProbeResult(None), False),
        (replace(CHECK, success_codes="204, 300-302"), ProbeResult(301), True),
        (replace(CHECK, success_codes="204, 300-302"), ProbeResult(200), False),
        *[(CHECK, ProbeResult(200, error), False) for error in ("refused", "reset", "timeout", "garbage", "closed")],
        (HealthCheck(protocol=Protocol.TCP), ProbeResult(), True),
        (HealthCheck(protocol=Protocol.TCP), ProbeResult(error="refused"), False),
    ],
)
def test_what_passes(check: HealthCheck, result: ProbeResult, passed: bool) -> None:
    assert World(health_check=check).decisions.passed(check, result) is passed


def test_the_probe_s_bytes() -> None:
    world = World(health_check=replace(CHECK, path="/health?deep=1", method="HEAD", host="app.test", port=7001))
    host, port, request = world.decisions.probe_head(world.pool, world["a"])
    assert (host, port) == ("127.0.0.1", 7001)
    assert request.startswith(b"HEAD /health?deep=1 HTTP/1.1\r\nHost: app.test\r\n")
    assert request.endswith(b"\r\nConnection: close\r\n\r\n")


def test_the_probe_goes_to_the_backend_itself_where_nothing_else_is_said() -> None:
    world = World(members=[Backend("six", "[2001:db8::1]:8081")], health_check=CHECK)
    host, port, request = world.decisions.probe_head(world.pool, world["six"])
    assert (host, port) == ("2001:db8::1", 8081)
    assert b"\r\nHost: [2001:db8::1]:8081\r\n" in request


def test_a_tcp_probe_says_nothing() -> None:
    world = World(health_check=HealthCheck(protocol=Protocol.TCP))
    assert world.decisions.probe_head(world.pool, world["a"])[2] == b""


@given(st.floats(0, 100), st.floats(0, 100), st.floats(0.1, 60))
def test_probes_are_an_interval_apart_and_never_two_at_once(started: float, took: float, interval: float) -> None:
    due = World(health_check=CHECK).decisions.next_probe(replace(CHECK, interval=interval), started, started + took)
    assert due == max(started + interval, started + took)


# --- who is in service -----------------------------------------------------------------------------------------------


def test_backups_serve_only_without_primaries() -> None:
    members = (
        *backends("ab"),
        Backend("c", "127.0.0.1:9003", backup=True),
        Backend("d", "127.0.0.1:9004", backup=True),
    )
    world = World(members=members, health_check=CHECK)
    assert world.turns(4) == "abab"
    world.probe("a", "FFF")
    assert world.turns(2) == "bb"
    world.probe("b", "FFF")
    assert world.turns(4) == "cdcd"
    world.probe("a", "SS")
    assert world.turns(2) == "aa"


def test_a_declared_draining_backend_gets_nothing() -> None:
    members = (Backend("a", "127.0.0.1:9001", state="draining"), *backends("bc"))
    assert World(members=members).turns(4) == "bcbc"


def test_all_out_is_refused_or_open_as_declared() -> None:
    refuses, opens = World(health_check=CHECK), World(health_check=CHECK, all_unhealthy="fail_open")
    for world in (refuses, opens):
        for name in "abc":
            assert world.turn() in "abc"
            world.probe(name, "FFF")
    assert refuses.turn() == "none usable"
    assert opens.shares(9) == {"a": 3, "b": 3, "c": 3}
    opens.probe("b", "SS")
    assert opens.turns(3) == "bbb"


def test_failing_open_waits_for_every_first_result() -> None:
    world = World(health_check=replace(CHECK, initial="unknown"), all_unhealthy="fail_open")
    world.probe("a", "F")
    assert world.turn() == "none usable"
    world.probe("b", "F")
    world.probe("c", "F")
    assert world.turns(3) == "abc"


def test_failing_open_respects_draining_and_weight_zero() -> None:
    world = World(weights={"b": 0}, health_check=CHECK, all_unhealthy="fail_open")
    world.decisions.drain("p", "c", world.now)
    for name in "abc":
        world.probe(name, "FFF")
    assert world.turns(2) == "aa"


@given(st.lists(st.sampled_from("bbbe"), max_size=40), st.integers(1, 3))
def test_no_backend_has_more_than_max_connections(steps: list[str], limit: int) -> None:
    world = World(max_connections=limit)
    running: list[str] = []
    for step in steps:
        if step == "e" and running:
            world.end(running.pop())
        elif len(running) < 3 * limit:
            running.append(world.begin())
        else:
            assert world.choose() == "full"
        assert all(b.in_flight <= limit for b in world.pool.backends)


def test_full_is_not_none_usable() -> None:
    world = World(names="ab", max_connections=1, health_check=CHECK)
    world.begin()
    world.begin()
    assert world.choose() == "full"
    world.probe("a", "FFF")
    world.probe("b", "FFF")
    assert world.choose() == "none usable"


# --- passive ---------------------------------------------------------------------------------------------------------

PASSIVE = PassiveHealth(failures=3, ejection=10.0, on=("connect", "timeout", "reset", "5xx"))


def tries(world: World, name: str, *results: str) -> bool:
    """Ends tries at a backend so; is it ejected then?"""
    for result in results:
        world.decisions.began(world.pool, world[name], world.now)
        world.end(name, result)
    return world[name].ejected_until > world.now


@pytest.mark.parametrize("failure", ["connect", "timeout", "reset", "500", "503"])
def test_consecutive_failures_eject(failure: str) -> None:
    world = World(passive_health=PASSIVE)
    assert not tries(world, "a", failure, failure)
    assert tries(world, "a", failure)
    assert world.turns(4) == "bcbc"


@pytest.mark.parametrize("between", ["ok", "200", "404"])
def test_a_success_ends_the_streak(between: str) -> None:
    assert not tries(World(passive_health=PASSIVE), "a", "500", "500", between, "500", "500")


def test_what_the_client_gives_up_says_nothing() -> None:
    assert tries(World(passive_health=PASSIVE), "a", "500", "aborted", "500", "aborted", "500")


def test_only_what_is_declared_counts() -> None:
    world = World(passive_health=replace(PASSIVE, on=("connect", "429")))
    assert not tries(world, "a", "500", "500", "500", "reset", "reset", "reset")
    assert tries(world, "a", "429", "connect", "429")


def test_an_ejected_backend_returns_after_its_time_and_begins_anew() -> None:
    world = World(passive_health=PASSIVE)
    tries(world, "a", "500", "500", "500")
    world.now += 9.99
    assert "a" not in world.turns(4)
    world.now += 0.01
    assert "a" in world.turns(3)
    assert not tries(world, "a", "500", "500")
    assert tries(world, "a", "500")


@pytest.mark.parametrize(("gap", "ejected"), [(4.9, True), (5.1, False)])
def test_failures_within_a_window(gap: float, ejected: bool) -> None:
    world = World(passive_health=replace(PASSIVE, count="window", within=10.0))
    tries(world, "a", "500")
    world.now += gap
    tries(world, "a", "ok", "500")
    world.now += gap
    assert tries(world, "a", "ok", "500") is ejected


@pytest.mark.parametrize(
    ("share", "names", "most"), [(0.5, "abc", 1), (0.34, "abc", 1), (0.3, "abc", 0), (1.0, "ab", 2)]
)
def test_never_more_than_the_declared_share_is_ejected(share: float, names: str, most: int) -> None:
    world = World(names=names, passive_health=replace(PASSIVE, max_ejected=share))
    assert sum(tries(world, name, "500", "500", "500", "500") for name in names) == most


def test_a_failure_after_the_ejection_is_over_counts_from_one() -> None:
    world = World(passive_health=PASSIVE)
    tries(world, "a", "500", "500", "500")
    world.now += 20.0
    assert not tries(world, "a", "500", "500")
