"""How long a rotation may pass a backend by: whatever workers there are, and however their requests interleave."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbcheck.history import History
from lbcheck.judges.health import longest_silence, never_ejected, silence_limit
from lbcheck.spec.model import Algorithm, Backend, Pool
from lbcheck.verdict import Outcome
from tests.balancer.worlds import CHECK, World, backends

from .made import arrival

NAMES = "abcd"


@st.composite
def rotations(draw: st.DrawFn) -> Pool:
    """A pool that takes turns, in each way that there is."""
    algorithm = draw(st.sampled_from([Algorithm.ROUND_ROBIN, Algorithm.WEIGHTED_ROUND_ROBIN]))
    weights = draw(st.lists(st.integers(1, 12), min_size=2, max_size=4))
    order = draw(st.sampled_from(["smooth", "burst"]))
    members = backends(NAMES[: len(weights)], **dict(zip(NAMES, weights, strict=False)))
    return Pool("p", members, algorithm=algorithm, order=order)  # type: ignore[arg-type]


def served(pool: Pool, choices: Sequence[int]) -> str:
    """Who gets each request, where it is taken by the worker of that number, with a rotation of its own."""
    how = {"members": pool.backends, "algorithm": pool.algorithm, "order": pool.order}
    rotations = [World(**how) for _ in range(1 + max(choices))]
    return "".join(rotations[choice].turn() for choice in choices)


@settings(max_examples=100, deadline=None)
@given(rotations(), st.integers(1, 5), st.integers(0, 2**32))
def test_no_rotation_of_any_worker_is_silent_for_longer(pool: Pool, workers: int, seed: int) -> None:
    choices = random.Random(seed).choices(range(workers), k=300)
    history = History(arrival(name, i, at=i / 100) for i, name in enumerate(served(pool, choices)))
    for backend in pool.backends:
        limit = silence_limit(pool, backend.name, workers)
        assert longest_silence(history.arrivals, backend.name) <= limit
        assert never_ejected(history, pool, backend.name, -1.0, 9.0, workers=workers).outcome is not Outcome.BROKEN


def in_step(workers: int, names: str, cycles: int) -> History:
    """Workers whose rotations stand at the same place, one request each in turn."""
    turns = [name for _ in range(cycles) for name in names for _ in range(workers)]
    return History(arrival(name, i, at=i / 100) for i, name in enumerate(turns))


def test_many_workers_are_not_blamed_and_one_is() -> None:
    pool = Pool("p", backends("abc"))
    history = in_step(12, "bca", 20)
    assert never_ejected(history, pool, "a", -1.0, 9.0, workers=12).holds
    assert never_ejected(history, pool, "a", -1.0, 9.0).outcome is Outcome.BROKEN


@pytest.mark.parametrize("order", ["burst", "any"])
def test_bursts_of_large_weights_are_no_ejection(order: str) -> None:
    members = (Backend("a", weight=10), Backend("b", weight=10))
    pool = Pool("p", members, algorithm=Algorithm.WEIGHTED_ROUND_ROBIN, order=order)  # type: ignore[arg-type]
    assert never_ejected(in_step(10, "ab", 20), pool, "a", -1.0, 9.0).holds
    smooth = Pool("p", members, algorithm=Algorithm.WEIGHTED_ROUND_ROBIN, order="smooth")
    assert never_ejected(in_step(10, "ab", 20), smooth, "a", -1.0, 9.0).outcome is Outcome.BROKEN


def test_a_ramping_backend_may_be_silent_for_as_long_as_a_twentieth_of_its_weight_makes_it() -> None:
    pool = Pool("p", backends("abc"), slow_start=30.0)
    world = World(members=pool.backends, slow_start=30.0, health_check=CHECK)
    world.probe("a", "FFFSS")
    history = History(arrival(world.turn(), i, at=i / 100) for i in range(200))
    silence = longest_silence(history.arrivals, "a")
    assert silence_limit(pool, "a") < silence <= silence_limit(pool, "a", ramping=True)
