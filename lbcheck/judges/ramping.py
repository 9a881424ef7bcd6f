"""Slow start: a backend that returns begins with less than its share, and not with nothing; the others keep theirs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from lbcheck.history import History
from lbcheck.judges.answers import told
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


def promised(full: float) -> int:
    """How many of them count at most: half as many again, so that a ramp by the formula is surely told."""
    return math.ceil(1.5 * requests_to_see(full))


SHIFT = 0.25  # of one share among the others: a smaller one is not looked for


def requests_of_others(weights: Mapping[str, int], backend: str) -> int:
    """How many requests of the others tell whether each has its share of them; 0 where there is one other only."""
    others = {name: weight for name, weight in weights.items() if name != backend}
    if len(others) < 2:
        return 0
    shares = {weight / sum(others.values()) for weight in others.values()}
    return max(needed_for(SHIFT, alpha=ALPHA / len(others), share=share) for share in shares)


@judge
def others_keep_shares(history: History, weights: Mapping[str, int], backend: str, began: Seconds) -> Verdict:
    """What does not go to the ramping `backend` from `began` on goes to the others by their weights.

    Each share is tested exactly, in the first `requests_of_others`: a rotation is closer to it than draws are.
    """
    name, others = "others_keep_shares", {n: weight for n, weight in weights.items() if n != backend}
    n, total = requests_of_others(weights, backend), sum(others.values())
    expected = f"{told(others)} among the others while {backend} ramps"
    seen = [a.backend for a in history.arrivals if a.backend in others and a.id is not None and a.at >= began][:n]
    counts = {other: seen.count(other) for other in others}
    figures: dict[str, Any] = {"n": len(seen), "alpha": ALPHA, "counts": counts}
    if len(seen) < n:
        return inconclusive(name, expected, f"only {len(seen)} requests, {n} are needed", **figures)
    level = ALPHA / max(1, len(others))
    ok = all(binomial_p(counts[other], len(seen), weight / total) >= level for other, weight in others.items())
    return decided(ok, name, expected, told(counts), share={o: w / total for o, w in others.items()}, **figures)


@judge
def ramps(
    history: History, pool: Pool, backend: str, began: Seconds, full: float, *, from_nothing: bool = False
) -> Verdict:
    """In the first third of `slow_start` from `began` significantly less than `full`; in the first half not nothing.

    Of that third as many requests count as it takes: the earlier, the less a ramp has.

    `from_nothing`: nothing is as good there, since part of a weight may lawfully lose every comparison of loads.
    How it grows is not judged: products take steps or curves.
    """
    third = pool.slow_start / 3
    names = {b.name for b in pool.backends}
    times = [(a.at - began, a.backend) for a in history.arrivals if a.backend in names and a.id is not None]
    needed = requests_to_see(full)
    first = [name for at, name in times if 0 <= at < third][: promised(full)]
    half = [name for at, name in times if 0 <= at < 1.5 * third]
    early = first.count(backend)
    expected = f"{backend} at less than its share of {full:.0%} in the first third of {pool.slow_start:g} s" + (
        "" if from_nothing else ", and not at 0"
    )
    figures: dict[str, Any] = {"n": len(first), "early": early, "alpha": ALPHA}
    if len(first) < needed:
        return inconclusive("ramps", expected, f"only {len(first)} requests in the first third of the ramp", **figures)
    low = early < full * len(first) and binomial_p(early, len(first), full) < ALPHA
    saw = f"{early} of the first {len(first)}, {half.count(backend)} of {len(half)} in the first half"
    return decided(low and (from_nothing or backend in half), "ramps", expected, saw, **figures)


LEAST = 1 / 20  # of a weight, by the formula, for as long a part of the ramp


def requests_to_see_least(full: float) -> int:
    """How many requests of the first half of that part tell its least share from the one that a ramp from 0 has."""
    least = share_at(full, LEAST)
    return needed_for(least - share_at(full, LEAST / 4), share=least)


@judge
def begins_at_the_least(
    history: History, pool: Pool, backend: str, began: Seconds, full: float, *, grace: float
) -> Verdict:
    """From the start of its ramp not significantly less than the share that a twentieth of its weight gives.

    The ramp starts with its first request after `began`, or after `grace`. Counted are as many requests as it takes, in
    the first fortieth of `slow_start`: after a twentieth, a ramp from nothing is as high.
    """
    name, n, least = "begins_at_the_least", requests_to_see_least(full), share_at(full, LEAST)
    names = {b.name for b in pool.backends}
    later = [a for a in history.arrivals if a.backend in names and a.id is not None and a.at >= began]
    start = min([began + grace, *(a.at for a in later if a.backend == backend)])
    seen = [a.backend for a in later if start <= a.at <= start + pool.slow_start * LEAST / 2][:n]
    count = seen.count(backend)
    expected = f"{backend} at {least:.0%} or more in the first {n} requests of its ramp"
    figures: dict[str, Any] = {"n": len(seen), "alpha": ALPHA, "count": count}
    if len(seen) < n:
        return inconclusive(name, expected, f"only {len(seen)} requests in the first fortieth", **figures)
    less = count < least * n and binomial_p(count, n, least) < ALPHA
    return decided(not less, name, expected, f"{count} of {n}", **figures)
