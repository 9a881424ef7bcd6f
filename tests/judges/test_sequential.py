"""Both error rates of the sequential tests, exactly where that can be computed, else by arithmetic and simulation."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from lbcheck.judges.sequential import HALF, LOOK, PicksTest, SharesTest, _accepted, _chance, _log_ratio, _repeats
from lbcheck.judges.statistics import ALPHA, POWER, needed_for

# --- shares ----------------------------------------------------------------------------------------------------------


def looks(test: SharesTest, true: float) -> Iterator[tuple[int, float, float]]:
    """(n, P(broken at n), P(holds at n)) of a two-way draw in which `a` really has the share `true`: exact."""
    at, n = np.array([1.0]), 0  # P(k hits, not decided before)
    while n < test.most:
        step = min(LOOK - n % LOOK, test.most - n)
        at, n = np.convolve(at, binom.pmf(np.arange(step + 1), step, true)), n + step
        said = {"broken": 0.0, "holds": 0.0, "undecided": 0.0}
        left = np.zeros_like(at)
        for k, probability in enumerate(at):
            counts = {"a": k, "b": n - k}
            worst = max(_log_ratio(counts[x], n, p, q) for x, p, q in test._sides)
            outcome = test._said(n, worst, partial(test._fits, counts))
            said[outcome] += probability
            left[k] = probability if outcome == "undecided" else 0.0
        yield n, said["broken"], said["holds"]
        at = left


def rates(share: float, effect: float, true: float) -> tuple[float, float, float]:
    """(P(broken), P(holds), expected draws)."""
    found = list(looks(SharesTest({"a": share, "b": 1 - share}, effect), true))
    broken, holds = sum(b for _, b, _ in found), sum(h for _, _, h in found)
    assert broken + holds == pytest.approx(1.0)
    return broken, holds, sum(n * (b + h) for n, b, h in found)


@pytest.mark.parametrize(("share", "effect"), [(0.5, 0.15), (0.7, 0.15), (0.1, 0.15), (0.5, 0.3)])
def test_both_error_rates_hold_exactly_and_draws_are_saved(share: float, effect: float) -> None:
    broken, _, expected_n = rates(share, effect, share)
    assert broken <= ALPHA
    assert expected_n < 0.55 * needed_for(effect, share=share, alpha=ALPHA / 2)
    for true in (share - effect, share + effect):
        if 0 <= true <= 1:
            _, missed, _ = rates(share, effect, true)
            assert missed <= 1 - POWER


@pytest.mark.slow
def test_the_promised_deviation_is_detected() -> None:
    """0.65 against a claimed 0.70: missed in less than 1 of 1,000, and the correct share blamed in less than 1e-6."""
    missed = rates(0.7, 0.05, 0.65)[1]
    broken, _, expected_n = rates(0.7, 0.05, 0.7)
    assert missed <= 1 - POWER
    assert broken <= ALPHA
    assert expected_n < needed_for(0.05, share=0.7, alpha=ALPHA / 2) / 2.5


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.lists(st.integers(1, 5), min_size=2, max_size=5))
def test_a_fair_draw_holds_whatever_its_shares(seed: int, weights: list[int]) -> None:
    names = "abcde"[: len(weights)]
    shares = {name: weight / sum(weights) for name, weight in zip(names, weights, strict=True)}
    test = SharesTest(shares, 0.15)
    ended = test.run(random.Random(seed).choices(names, weights, k=test.most))
    assert ended.said == "holds"
    assert ended.n % LOOK == 0 or ended.n == test.most


def test_what_comes_after_the_end_is_not_looked_at() -> None:
    test = SharesTest({"a": 0.5, "b": 0.5}, 0.15)
    draws = random.Random(3).choices("ab", k=test.most)
    ended = test.run(draws)
    assert test.run(draws[: ended.n]) == test.run([*draws[: ended.n], *"a" * 1000]) == ended
    assert test.run(draws[: ended.n - 1]).said == "undecided"
    assert test.run([]).said == "undecided"


def test_who_has_no_share_gets_nothing() -> None:
    test = SharesTest({"a": 0.5, "b": 0.5, "none": 0.0}, 0.15)
    for stranger in ("none", "x"):
        ended = test.run(["a", "b", stranger])
        assert (ended.said, ended.n) == ("broken", 3)


def test_shares_that_cannot_be_off_by_so_much_are_refused() -> None:
    with pytest.raises(ValueError, match="can be off by"):
        SharesTest({"a": 0.5, "b": 0.5}, 0.6)


# --- independence ----------------------------------------------------------------------------------------------------

EVEN = (1 / 3, 1 / 3, 1 / 3)
UNEVEN = (0.6, 0.3, 0.1)


def test_repeats_of_even_shares_are_binomial() -> None:
    assert _repeats(EVEN, 40, _chance) == pytest.approx(binom.pmf(np.arange(40), 39, 1 / 3), abs=1e-12)


def test_repeats_of_uneven_shares_are_not() -> None:
    """They cluster: a binomial test of them would blame a fair draw more often than it says."""
    n = 200
    exact = _repeats(UNEVEN, n, _chance)
    r = np.arange(n)
    mean = float(exact @ r)
    assert exact.sum() == pytest.approx(1.0)
    assert mean == pytest.approx((n - 1) * sum(p * p for p in UNEVEN))
    assert float(exact @ (r - mean) ** 2) > 1.1 * mean * (1 - mean / (n - 1))


@given(st.sampled_from([EVEN, UNEVEN]), st.integers(2, 120), st.sampled_from([ALPHA, 0.01]))
def test_no_more_than_alpha_lies_outside(shares: tuple[float, ...], n: int, alpha: float) -> None:
    exact = _repeats(shares, n, _chance)
    low, high = _accepted(exact, alpha)
    assert exact[:low].sum() <= alpha / 2 * (1 + 1e-9)
    assert exact[high + 1 :].sum() <= alpha / 2 * (1 + 1e-9)
    assert exact[: low + 1].sum() > alpha / 2
    assert exact[high:].sum() > alpha / 2


def walk(rng: random.Random, shares: dict[str, float], stays: float | None, n: int) -> Iterator[str]:
    """Draws that repeat at once `stays` times as often as chance gives (None: chance)."""
    names, last = list(shares), rng.choices(list(shares), list(shares.values()))[0]
    for _ in range(n):
        yield last
        if stays is None:
            last = rng.choices(names, list(shares.values()))[0]
        elif rng.random() >= stays * shares[last]:
            others = [name for name in names if name != last]
            last = rng.choices(others, [shares[name] for name in others])[0]


@pytest.mark.parametrize("weights", [EVEN, UNEVEN])
def test_a_fair_draw_is_independent_and_saves_draws_one_that_avoids_the_last_is_not(weights: tuple[float, ...]) -> None:
    shares = dict(zip("abc", weights, strict=True))
    test, rng = PicksTest(shares), random.Random(11)
    assert test.decisive
    fair = [test.run(list(walk(rng, shares, None, test.most))) for _ in range(300)]
    assert {ended.said for ended in fair} == {"holds"}
    assert sum(ended.n for ended in fair) / len(fair) < test.most / 2
    avoiding = [test.run(list(walk(rng, shares, HALF, test.most))) for _ in range(300)]
    assert {ended.said for ended in avoiding} == {"broken"}


def test_a_rotation_is_known_soon() -> None:
    ended = PicksTest(dict.fromkeys("abc", 1 / 3)).run(list("abc" * 200))
    assert (ended.said, ended.n) == ("broken", 75)


def test_of_very_uneven_shares_the_end_may_be_undecided_and_blames_nobody() -> None:
    test = PicksTest({"a": 0.999, "b": 0.001})
    assert not test.decisive
    assert test.run(["a"] * test.most).said == "undecided"
    with pytest.raises(ValueError, match="a single name"):
        PicksTest({"a": 1.0})


def test_the_martingale_of_repeats_never_favours_the_alternative_on_average() -> None:
    """Under the claim the expected likelihood ratio is 1 after any number of draws: what Ville's inequality needs."""
    for shares in (EVEN, UNEVEN):
        for share in shares:
            for other in (share * HALF, 1 - (1 - share) * HALF):
                step = share * (other / share) + (1 - share) * ((1 - other) / (1 - share))
                assert math.isclose(step, 1.0)
