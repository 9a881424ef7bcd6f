"""Keys by weight, queues by order, and who is reached at all: from made-up maps and requests."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbcheck.judges.answers import reach_nobody
from lbcheck.judges.counting import served_in_order
from lbcheck.judges.hashing import spreads_by_weight
from lbcheck.judges.statistics import beta_binomial_p, binomial_p
from lbcheck.verdict import Outcome

from .made import exchanges, history_of

WEIGHTS = {"a": 5} | dict.fromkeys("bcdef", 1)


def placed(**counts: int) -> dict[str, str]:
    return {f"{name}{number}": name for name, count in counts.items() for number in range(count)}


@pytest.mark.parametrize(
    ("heavy", "outcome"),
    [(210, Outcome.HOLDS), (170, Outcome.HOLDS), (250, Outcome.HOLDS), (350, Outcome.BROKEN), (70, Outcome.BROKEN)],
)
def test_the_heavy_backend_has_its_share_of_the_keys_as_a_ring_may(heavy: int, outcome: Outcome) -> None:
    light = (420 - heavy) // 5
    verdict = spreads_by_weight(placed(a=heavy, **dict.fromkeys("bcdef", light)), WEIGHTS)
    assert verdict.outcome is outcome, verdict.saw


@given(n=st.integers(1, 60), a=st.integers(1, 200), b=st.integers(1, 200))
def test_a_beta_binomial_is_a_distribution_about_its_mean(n: int, a: int, b: int) -> None:
    p = [beta_binomial_p(k, n, a, b) for k in range(n + 1)]
    assert all(0 <= value <= 1 for value in p)
    assert max(p) > 0.5
    assert p[round(n * a / (a + b))] > 0.05


def test_a_ring_without_end_is_a_binomial_draw() -> None:
    for k in (3, 10, 25):
        assert math.isclose(beta_binomial_p(k, 40, 3e7, 7e7), binomial_p(k, 40, 0.3), rel_tol=1e-3)


@pytest.mark.parametrize(
    ("ids", "outcome"),
    [(["r0", "r1", "r2"], Outcome.HOLDS), (["r1", "r0", "r2"], Outcome.BROKEN), (["r0", "r9"], Outcome.INCONCLUSIVE)],
)
def test_who_came_first_is_served_first(ids: list[str], outcome: Outcome) -> None:
    assert served_in_order(history_of("aba"), ids).outcome is outcome


def test_a_request_that_arrives_has_reached_somebody() -> None:
    requests = exchanges("ab")
    assert reach_nobody(history_of("ab"), requests).outcome is Outcome.BROKEN
    assert reach_nobody(history_of(""), requests).outcome is Outcome.HOLDS
