"""Exact tests against scipy's own, and sizes against their definition."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from lbcheck.judges.statistics import (
    ALPHA,
    acceptance,
    binomial_p,
    needed_for,
    power_of,
    silence_for,
)

shares = st.floats(0.02, 0.98)


@given(st.integers(1, 400), shares, st.data())
def test_binomial_p_is_twice_the_smaller_tail(n: int, share: float, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, n))
    expected = min(1.0, 2 * min(binom.cdf(k, n, share), binom.sf(k - 1, n, share)))
    assert binomial_p(k, n, share) == pytest.approx(expected, rel=1e-6, abs=1e-100)  # alphas are nowhere near that


@given(st.integers(1, 300), shares, st.sampled_from([1e-6, 1e-3, 0.05]))
def test_acceptance_is_exactly_what_is_not_rejected(n: int, share: float, alpha: float) -> None:
    low, high = acceptance(n, share, alpha)
    accepted = [k for k in range(n + 1) if binomial_p(k, n, share) > alpha]
    assert (low, high) == (accepted[0], accepted[-1])


@given(st.integers(1, 300), shares)
def test_a_correct_balancer_is_rejected_no_more_often_than_alpha(n: int, share: float) -> None:
    assert power_of(n, share, share) <= ALPHA * (1 + 1e-9)


@settings(max_examples=15, deadline=None)
@given(st.sampled_from([0.05, 0.1, 0.2]), st.sampled_from([0.3, 0.5, 0.7, 0.9]))
def test_needed_for_has_the_power_and_is_not_far_above_the_smallest(effect: float, share: float) -> None:
    n = needed_for(effect, share=share)
    others = [p for p in (share - effect, share + effect) if 0 <= p <= 1]
    assert all(power_of(n, share, p) >= 0.999 for p in others)
    assert not all(power_of(int(n * 0.9), share, p) >= 0.999 for p in others)


def test_the_promised_deviation_is_detected() -> None:
    """0.65 against a claimed 0.70 with 99.9 % at alpha 1e-6: the promise of the documentation."""
    n = needed_for(0.05, share=0.7)
    assert power_of(n, 0.7, 0.65) >= 0.999


def test_silence_is_no_accident() -> None:
    for share in (0.1, 1 / 3, 0.5):
        n = silence_for(share)
        assert (1 - share) ** n <= ALPHA < (1 - share) ** (n - 1)
    assert silence_for(1.0) == 1


def test_an_effect_must_be_a_difference_of_shares() -> None:
    with pytest.raises(ValueError, match="difference of shares"):
        needed_for(1.5)


def test_false_alarms_of_a_simulated_fair_draw() -> None:
    """A smoke test beside the arithmetic: none of 300 fair runs is rejected."""
    rng = random.Random(7)
    for _ in range(300):
        hits = sum(rng.random() < 0.3 for _ in range(200))
        assert binomial_p(hits, 200, 0.3) > ALPHA
