"""The algorithms against plain models of what they are."""

from __future__ import annotations

import random
from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbcheck.balancer import policies
from lbcheck.spec.model import Algorithm, Backend
from tests.balancer.worlds import CHECK, World, backends, get

WRR, RR = Algorithm.WEIGHTED_ROUND_ROBIN, Algorithm.ROUND_ROBIN
HASHES = [Algorithm.SOURCE_IP_HASH, Algorithm.CONSISTENT_HASH]
weights = st.lists(st.integers(1, 9), min_size=1, max_size=6)


def named(values: list[int]) -> tuple[Backend, ...]:
    names = "abcdefghij"[: len(values)]
    return backends(names, **dict(zip(names, values, strict=True)))


def test_every_algorithm_has_a_policy() -> None:
    assert set(policies.POLICIES) == set(Algorithm)


# --- turns -----------------------------------------------------------------------------------------------------------


def test_round_robin_is_a_rotation() -> None:
    assert World().turns(7) == "abcabca"


@given(st.lists(st.sets(st.sampled_from("abcd"), min_size=1), min_size=1, max_size=30))
def test_round_robin_serves_the_next_in_list_order_whoever_is_out(steps: list[set[str]]) -> None:
    world = World(names="abcd", health_check=CHECK)
    last = "d"
    for up in steps:
        for backend in world.pool.backends:
            backend.healthy = backend.name in up
        world.pool.stale()
        order = sorted(up, key=lambda name: (name <= last, name))
        last = world.turn()
        assert last == order[0]


@given(weights)
def test_smooth_gives_each_its_weight_in_every_cycle(values: list[int]) -> None:
    world = World(members=named(values), algorithm=WRR, order="smooth")
    total = sum(values)
    for _ in range(3):
        shares = Counter(world.turns(total))
        assert [shares[b.name] for b in world.pool.backends] == values


@given(weights)
def test_smooth_is_never_further_than_one_from_the_ideal(values: list[int]) -> None:
    world = World(members=named(values), algorithm=WRR)
    served: Counter[str] = Counter()
    for n in range(1, 2 * sum(values) + 1):
        served[world.turn()] += 1
        for backend in world.pool.backends:
            ideal = Fraction(n * backend.weight, sum(values))
            assert abs(served[backend.name] - ideal) < len(values)


@given(weights)
def test_burst_sends_whole_weights_in_a_row(values: list[int]) -> None:
    world = World(members=named(values), algorithm=WRR, order="burst")
    cycle = "".join(b.name * b.weight for b in world.pool.backends)
    assert world.turns(2 * len(cycle)) == cycle * 2


def test_smooth_order_is_nginx_s() -> None:
    assert World(weights={"a": 5}, algorithm=WRR, order="smooth").turns(7) == "aabacaa"


def test_burst_order_is_the_tutorial_s() -> None:
    assert World(weights={"a": 3, "b": 2}, algorithm=WRR, order="burst").turns(6) == "aaabbc"


def test_shares_are_exact_again_after_a_backend_was_out() -> None:
    world = World(weights={"a": 3, "b": 2}, algorithm=WRR, health_check=CHECK)
    world.turns(4)
    world.probe("b", "FFF")
    assert world.shares(8) == {"a": 6, "c": 2}
    world.probe("b", "SS")
    assert world.shares(12) == {"a": 6, "b": 4, "c": 2}


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_weight_zero_gets_nothing(algorithm: Algorithm) -> None:
    world = World(weights={"b": 0}, algorithm=algorithm)
    served = {world.turn(get(f"/{i}", peer=f"192.0.2.{i}")) for i in range(60)}
    assert served == {"a", "c"}


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_all_weights_zero_serve_nobody(algorithm: Algorithm) -> None:
    assert World(weights={"a": 0, "b": 0, "c": 0}, algorithm=algorithm).turn() == "none usable"


# --- fewest in flight ------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 2), max_size=60), weights, st.booleans())
def test_least_connections_picks_a_minimum(steps: list[int], values: list[int], weighted: bool) -> None:
    algorithm = Algorithm.WEIGHTED_LEAST_CONNECTIONS if weighted else Algorithm.LEAST_CONNECTIONS
    world = World(members=named(values), algorithm=algorithm)
    running: list[str] = []
    for step in steps:
        if step == 0 and running:
            world.end(running.pop(0))
            continue
        loads = {b.name: Fraction(running.count(b.name), b.weight if weighted else 1) for b in world.pool.backends}
        running.append(world.begin())
        assert loads[running[-1]] == min(loads.values())
    assert all(b.in_flight == running.count(b.name) for b in world.pool.backends)


def test_least_connections_ties_take_turns() -> None:
    assert World(algorithm=Algorithm.LEAST_CONNECTIONS).turns(6) == "abcabc"


def test_weighted_ties_share_by_weight() -> None:
    world = World(weights={"a": 2}, algorithm=Algorithm.WEIGHTED_LEAST_CONNECTIONS)
    assert world.shares(8) == {"a": 4, "b": 2, "c": 2}


def test_power_of_two_never_takes_the_single_busiest() -> None:
    world = World(algorithm=Algorithm.POWER_OF_TWO)
    world["b"].in_flight = 9
    shares = world.shares(300)
    assert shares["b"] == 0
    assert min(shares["a"], shares["c"]) > 100


def test_power_of_two_picks_uniformly_among_equals() -> None:
    shares = World(algorithm=Algorithm.POWER_OF_TWO).shares(3000)
    assert all(abs(n - 1000) < 150 for n in shares.values())


# --- chance and time -------------------------------------------------------------------------------------------------


def test_random_draws_by_weight() -> None:
    shares = World(weights={"a": 3}, algorithm=Algorithm.RANDOM, seed=7).shares(5000)
    assert abs(shares["a"] - 3000) < 200
    assert abs(shares["b"] - shares["c"]) < 200


def test_least_response_time_prefers_follows_and_explores() -> None:
    world = World(algorithm=Algorithm.LEAST_RESPONSE_TIME)
    times = {"a": 0.1, "b": 0.01, "c": 0.1}

    def shares() -> Counter[str]:
        served: Counter[str] = Counter()
        for _ in range(400):
            name = world.begin()
            world.end(name, latency=times[name])
            served[name] += 1
        return served

    before = shares()
    times["a"], times["b"] = 0.001, 0.2
    after = shares()
    assert before["b"] > 300
    assert after["a"] > 300
    assert min(before.values()) > 3
    assert min(after.values()) > 3


def test_a_fast_failure_is_no_fast_backend() -> None:
    world = World(algorithm=Algorithm.LEAST_RESPONSE_TIME)
    served: Counter[str] = Counter()
    for _ in range(300):
        name = world.begin()
        world.end(name, "connect" if name == "a" else "ok", latency=None if name == "a" else 0.05)
        served[name] += 1
    assert served["a"] < 40


# --- hashing ---------------------------------------------------------------------------------------------------------


def mapped(world: World, keys: int = 300) -> dict[int, str]:
    return {i: world.turn(get(f"/k{i}", peer=f"198.51.{i // 250}.{i % 250}")) for i in range(keys)}


@pytest.mark.parametrize("algorithm", HASHES)
def test_a_key_keeps_its_backend_and_keys_spread(algorithm: Algorithm) -> None:
    world = World(algorithm=algorithm)
    first = mapped(world)
    assert mapped(world) == first
    assert min(Counter(first.values()).values()) > 60


@given(st.permutations("abcde"))
def test_the_order_of_the_list_moves_no_key(order: list[str]) -> None:
    ordered = mapped(World(names="abcde", algorithm=Algorithm.SOURCE_IP_HASH), 50)
    assert mapped(World(names="".join(order), algorithm=Algorithm.SOURCE_IP_HASH), 50) == ordered


@pytest.mark.parametrize("algorithm", HASHES)
def test_only_the_keys_of_who_leaves_move_and_they_come_back(algorithm: Algorithm) -> None:
    world = World(algorithm=algorithm, hash_key="path", health_check=CHECK)
    before = mapped(world)
    world.probe("b", "FFF")
    without = mapped(world)
    world.probe("b", "SS")
    assert {i for i in before if before[i] != without[i]} == {i for i in before if before[i] == "b"}
    assert mapped(world) == before


def test_a_hash_honours_weights() -> None:
    shares = Counter(mapped(World(weights={"a": 4}, algorithm=Algorithm.SOURCE_IP_HASH), 900).values())
    assert abs(shares["a"] - 600) < 60


@pytest.mark.parametrize(
    ("key", "one", "other"),
    [
        ("path", get("/x?1"), get("/x?2")),
        ("header:X-User", get("/", ("x-user", "u")), get("/y", ("X-User", "u"))),
        ("header:Host", get("/", host="a.test"), get("/y", host="a.test")),
        ("cookie:sid", get("/", ("Cookie", "a=1; sid=s")), get("/", ("Cookie", "sid=s; xsid=t"))),
        ("query:q", get("/?q=a%20b&r=1"), get("/z?r=2&q=a+b")),
        ("source_ip", get("/", peer="2001:db8::1"), get("/y", peer="2001:db8::1")),
    ],
)
def test_what_a_hash_key_reads(key: str, one: object, other: object) -> None:
    pool = World(algorithm=Algorithm.CONSISTENT_HASH, hash_key=key).pool.spec
    assert policies.key_of(pool, one) == policies.key_of(pool, other)  # type: ignore[arg-type]
    assert policies.key_of(pool, one) is not None  # type: ignore[arg-type]


def test_without_its_key_a_request_takes_its_turn() -> None:
    world = World(algorithm=Algorithm.CONSISTENT_HASH, hash_key="header:X-User")
    assert world.turns(6) == "abcabc"


# --- slow start ------------------------------------------------------------------------------------------------------


def risen(algorithm: Algorithm, **pool: object) -> World:
    """Backend a has just come back."""
    world = World(algorithm=algorithm, slow_start=20.0, health_check=CHECK, **pool)
    world.turn()
    world.probe("a", "FFFSS")
    return world


@pytest.mark.parametrize(("after", "share"), [(0.0, 1 / 20), (1.0, 1 / 20), (5.0, 1 / 4), (10.0, 1 / 2), (20.0, 1.0)])
def test_the_ramp_is_linear_and_begins_at_a_twentieth(after: float, share: float) -> None:
    world = risen(RR)
    world.now += after
    shares = world.shares(1000)
    expected = 1000 * share / (2 + share)
    assert abs(shares["a"] - expected) <= 2
    assert abs(shares["b"] - shares["c"]) <= 2


@pytest.mark.parametrize("algorithm", [Algorithm.RANDOM, Algorithm.LEAST_CONNECTIONS, Algorithm.POWER_OF_TWO])
def test_every_policy_but_a_hash_ramps(algorithm: Algorithm) -> None:
    world = risen(algorithm)
    assert world.shares(1000)["a"] < 80
    world.now += 20.0
    assert world.shares(1000)["a"] > 280


def test_turns_are_exact_again_after_the_ramp() -> None:
    world = risen(WRR, weights={"a": 2})
    world.turns(37)
    world.now += 20.0
    assert world.shares(8) == {"a": 4, "b": 2, "c": 2}


def test_nobody_ramps_at_the_start() -> None:
    world = World(slow_start=20.0, health_check=CHECK)
    assert world.turns(6) == "abcabc"


def test_a_ramp_alone_in_the_pool_gets_everything() -> None:
    world = World(names="a", slow_start=20.0, health_check=CHECK)
    world.probe("a", "FFFSS")
    assert world.turns(3) == "aaa"


def test_the_same_seed_gives_the_same_choices() -> None:
    one, two = (World(algorithm=Algorithm.RANDOM, seed=3).turns(50) for _ in range(2))
    assert one == two
    assert one != World(algorithm=Algorithm.RANDOM, seed=4).turns(50)


def test_rendezvous_is_independent_of_the_process_hash_seed() -> None:
    world = World(algorithm=Algorithm.SOURCE_IP_HASH)
    chosen = "".join(policies.rendezvous(world.pool.backends, f"key {i}").name for i in range(12))
    assert chosen == "bccacbcbabab"


def test_drawing_covers_the_whole_interval() -> None:
    world = World()
    almost = random.Random(0)
    almost.random = lambda: 1.0 - 2**-53  # type: ignore[method-assign]
    assert policies.drawn(world.pool.backends, [0.1, 0.2, 0.3], almost).name == "c"
