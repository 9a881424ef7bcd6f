"""Rotations, weights and draws: what holds, what is broken, and what cannot be said."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from lbcheck.judges.balance import (
    gets_nothing,
    keeps_order,
    keeps_weights,
    prefers,
    starves_nobody,
    takes_turns,
)
from lbcheck.verdict import Outcome

from .made import answered, exchanges

NAMES = ["a", "b", "c", "d"]


@given(st.integers(2, 4), st.integers(0, 3), st.integers(3, 12), st.randoms(use_true_random=False))
def test_any_rotation_takes_turns(width: int, first: int, rounds: int, rng: random.Random) -> None:
    names = NAMES[:width]
    rng.shuffle(names)
    sequence = [names[(first + i) % width] for i in range(width * rounds)]
    assert takes_turns(exchanges(sequence), names).holds


@given(st.integers(2, 4), st.integers(4, 10), st.data())
def test_one_swap_breaks_a_rotation(width: int, rounds: int, data: st.DataObject) -> None:
    names = NAMES[:width]
    sequence = names * rounds
    at = data.draw(st.integers(0, len(sequence) - 2))
    sequence[at], sequence[at + 1] = sequence[at + 1], sequence[at]
    assert takes_turns(exchanges(sequence), names).outcome is Outcome.BROKEN


def test_a_random_balancer_is_told_from_round_robin_though_its_totals_are_right() -> None:
    rng = random.Random(1)
    for _ in range(50):
        sequence = NAMES * 10
        rng.shuffle(sequence)
        assert takes_turns(exchanges(sequence), NAMES).outcome is Outcome.BROKEN


def test_a_rotation_that_leaves_one_out_is_broken() -> None:
    assert takes_turns(exchanges(["a", "b"] * 9), ["a", "b", "c"]).outcome is Outcome.BROKEN


def test_an_unanswered_request_breaks_a_rotation() -> None:
    broken = [*exchanges(["a", "b"] * 5), answered(None, 99, status=503)]
    verdict = takes_turns(broken, ["a", "b"])
    assert verdict.outcome is Outcome.BROKEN
    assert "503" in verdict.saw


def test_few_requests_decide_nothing() -> None:
    assert takes_turns(exchanges(["a", "b", "c", "a"]), ["a", "b", "c"]).outcome is Outcome.INCONCLUSIVE


def test_several_workers_are_bound_by_their_number() -> None:
    uneven = ["a", "a", "b", "b"] * 5 + ["a"]
    assert takes_turns(exchanges(uneven), ["a", "b"], workers=2).holds
    assert takes_turns(exchanges(["a"] * 14 + ["b"] * 6), ["a", "b"], workers=2).outcome is Outcome.BROKEN


@given(st.permutations(["a", "a", "a", "b", "b", "c"]), st.integers(2, 5))
def test_any_repeated_cycle_keeps_its_weights(cycle: list[str], cycles: int) -> None:
    assert keeps_weights(exchanges(cycle * cycles), {"a": 3, "b": 2, "c": 1}).holds


def test_weights_are_exact_in_each_cycle_not_over_all() -> None:
    weights = {"a": 2, "b": 1}
    assert keeps_weights(exchanges(["a", "a", "b"] * 4), weights).holds
    late = ["a", "a", "a", "a", "b", "b"] * 2
    assert keeps_weights(exchanges(late), weights).outcome is Outcome.BROKEN


def test_weights_are_reduced_and_zero_gets_nothing() -> None:
    assert keeps_weights(exchanges(["a", "b"] * 4), {"a": 100, "b": 100, "z": 0}).holds
    assert keeps_weights(exchanges(["a", "z"] * 4), {"a": 1, "b": 1, "z": 0}).outcome is Outcome.BROKEN


def test_order_smooth_and_burst_are_told_apart() -> None:
    weights = {"a": 5, "b": 1, "c": 1}
    smooth, burst = list("aabacaa") * 3, list("aaaaabc") * 3
    assert keeps_order(exchanges(burst), weights, "burst").holds
    assert keeps_order(exchanges(smooth), weights, "burst").outcome is Outcome.BROKEN
    weights = {"a": 3, "b": 2, "c": 1}
    assert keeps_order(exchanges(list("abacab") * 3), weights, "smooth").holds
    assert keeps_order(exchanges(list("aaabbc") * 3), weights, "smooth").outcome is Outcome.BROKEN


def test_gets_nothing() -> None:
    assert gets_nothing(exchanges(["a", "b"]), ["z"]).holds
    assert gets_nothing(exchanges(["a", "z"]), ["z"]).outcome is Outcome.BROKEN


def test_dominance_and_starvation() -> None:
    assert prefers(exchanges(["a"] * 60 + ["b"] * 5), "a", "b").holds
    assert prefers(exchanges(["a"] * 33 + ["b"] * 32), "a", "b").outcome is Outcome.BROKEN
    assert starves_nobody(exchanges(["a"] * 9 + ["b"]), ["a", "b"]).holds
    assert starves_nobody(exchanges(["a"] * 9), ["a", "b"]).outcome is Outcome.BROKEN
