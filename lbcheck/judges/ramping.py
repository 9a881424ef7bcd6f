"""Slow start: a backend that returns begins with less than its share, and not with nothing."""

from __future__ import annotations

from typing import Any

from lbcheck.history import History
from lbcheck.judges.judging import judge
from lbcheck.judges.statistics import ALPHA, binomial_p, needed_for
from lbcheck.spec.model import Pool, Seconds
from lbcheck.verdict import Verdict, decided, inconclusive


def share_at(full: float, ramp: float) -> float:
    """The share of a backend that has this part of its weight, where `full` is its share when it has all of it."""
    return ramp * full / (ramp * full + 1 - full)


def requests_to_see(full: float) -> int:
    """How many requests in the first third of a ramp tell it from a full share; by the formula it has a sixth there."""
    return needed_for(full - share_at(full, 1 / 6), share=full)


@judge
def ramps(history: History, pool: Pool, backend: str, began: Seconds, full: float) -> Verdict:
    """In the first third of `slow_start` from `began` significantly less than `full`; in the first half not nothing.

    How it grows is not judged: products take steps or curves.
    """
    third = pool.slow_start / 3
    names = {b.name for b in pool.backends}
    times = [(a.at - began, a.backend) for a in history.arrivals if a.backend in names and a.id is not None]
    first = [name for at, name in times if 0 <= at < third]
    half = [name for at, name in times if 0 <= at < 1.5 * third]
    early = first.count(backend)
    expected = (
        f"{backend} at less than its share of {full:.0%} in the first third of {pool.slow_start:g} s, and not at 0"
    )
    figures: dict[str, Any] = {"n": len(first), "early": early, "alpha": ALPHA}
    if len(first) < requests_to_see(full):
        return inconclusive("ramps", expected, f"only {len(first)} requests in the first third of the ramp", **figures)
    low = early < full * len(first) and binomial_p(early, len(first), full) < ALPHA
    saw = f"{early} of {len(first)} in the first third, {half.count(backend)} of {len(half)} in the first half"
    return decided(low and backend in half, "ramps", expected, saw, **figures)
