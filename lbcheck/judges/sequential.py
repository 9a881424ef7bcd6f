"""Tests of draws that stop as soon as they know, with error rates that hold by arithmetic.

Each way to be wrong is a side: a likelihood ratio of what is claimed against one alternative. Under the claim such a
ratio is a martingale that begins at 1, so it ever reaches 1/a with probability a at most (Ville's inequality, Wald's
bound for sequential probability ratio tests): a side that does proves the claim wrong, wherever the looks are. Under
the alternative its inverse is one, so it ever falls to b with probability b at most: when all sides have, the claim
holds. Who is neither by `most` draws is judged there by an exact test of a fixed size. Half of alpha and half of the
tolerated misses belong to the way there, half to the end.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from lbcheck.judges.statistics import ALPHA, POWER, binomial_p, needed_for

if TYPE_CHECKING:
    import numpy

LOOK = 25  # draws between two looks: what is sent beyond the need is no more than this
Shares: TypeAlias = Mapping[str, float]
Said: TypeAlias = Literal["holds", "broken", "undecided"]


@dataclass(frozen=True, slots=True)
class Ended:
    """What a test said after how many draws; `ratio` is the largest likelihood ratio against the claim."""

    said: Said
    n: int
    ratio: float


class _Sequential:
    """`effect` is the deviation that is detected with probability `power`; `most` bounds the draws.

    `decisive`: by then it always knows.
    """

    shares: Shares
    effect: float
    alpha: float
    power: float
    most: int
    decisive: bool = True

    def run(self, draws: Sequence[str]) -> Ended:
        """Looks at draws in their order until it knows; what comes later is not looked at."""
        ended = Ended("undecided", 0, 0.0)
        for n, ratios, exactly in self._looks(draws):
            worst = max(ratios, default=-math.inf)
            ended = Ended(self._said(n, worst, exactly), n, math.exp(min(worst, 700.0)))
            if ended.said != "undecided":
                break
        return ended

    def usual_n(self, runs: int = 200) -> int:
        """About how many draws it takes where the claim holds: the mean of seeded runs, to two figures."""
        rng, names, weights = random.Random("usual"), list(self.shares), list(self.shares.values())
        mean = sum(self.run(rng.choices(names, weights, k=self.most)).n for _ in range(runs)) / runs
        return int(float(f"{mean:.2g}"))

    def _said(self, n: int, worst: float, exactly: Callable[[], bool]) -> Said:
        if worst >= math.log(2 * self.sides / self.alpha):
            return "broken"
        if worst <= math.log((1 - self.power) / 2):
            return "holds"
        if n < self.most:
            return "undecided"
        if not exactly():
            return "broken"
        return "holds" if self.decisive else "undecided"

    @property
    def sides(self) -> int:
        raise NotImplementedError

    def _looks(self, draws: Sequence[str]) -> Iterator[tuple[int, list[float], Callable[[], bool]]]:
        """(draws so far, the log-ratio of each side, the exact test of these draws) at each look."""
        raise NotImplementedError


def _is_look(n: int, most: int) -> bool:
    return n == most or n % LOOK == 0


# --- shares ----------------------------------------------------------------------------------------------------------


class SharesTest(_Sequential):
    """Independent draws with these probabilities, against any one that is off by `effect` or more.

    A name with a share of 0 or without one must never be drawn.
    """

    def __init__(self, shares: Shares, effect: float, *, alpha: float = ALPHA, power: float = POWER) -> None:
        self.shares = {name: share for name, share in shares.items() if share}
        self.effect, self.alpha, self.power = effect, alpha, power
        self._sides = [
            (name, share, other)
            for name, share in self.shares.items()
            for other in (share - effect, share + effect)
            if 0 <= other <= 1
        ]
        if not self._sides:
            raise ValueError(f"no share of {dict(shares)} can be off by {effect}")
        self._alpha_of_one = alpha / 2 / len(self.shares)
        reachable = {share for _, share, _ in self._sides}
        self.most = max(needed_for(effect, 1 - (1 - power) / 2, self._alpha_of_one, share) for share in reachable)

    @property
    def sides(self) -> int:
        return len(self._sides)

    def _looks(self, draws: Sequence[str]) -> Iterator[tuple[int, list[float], Callable[[], bool]]]:
        counts: Counter[str] = Counter()
        for n, name in enumerate(draws[: self.most], 1):
            counts[name] += 1
            if name not in self.shares:
                yield n, [math.inf], bool
                return
            if _is_look(n, self.most):
                yield n, [_log_ratio(counts[x], n, p, q) for x, p, q in self._sides], partial(self._fits, counts)

    def _fits(self, counts: Mapping[str, int]) -> bool:
        n = sum(counts.values())
        return all(binomial_p(counts[x], n, share) > self._alpha_of_one for x, share in self.shares.items())


def _log_ratio(k: int, n: int, claimed: float, other: float) -> float:
    """Of the likelihoods of `k` hits in `n` draws."""
    return _times_log(k, other / claimed) + _times_log(n - k, (1 - other) / (1 - claimed) if claimed < 1 else math.inf)


def _times_log(k: int, ratio: float) -> float:
    if k == 0:
        return 0.0
    return -math.inf if ratio == 0 else k * math.log(ratio)


# --- independence ----------------------------------------------------------------------------------------------------

HALF = 0.5  # alternatives to chance: a pick is repeated at once half as often, or left for another half as often
LIMIT = 3000  # draws; where shares are so uneven that these alternatives need more, the end may be undecided


class PicksTest(_Sequential):
    """Draws with these probabilities that know nothing of the one before, by their immediate repeats.

    `effect` is `HALF`: repeats, or changes, half as often as chance gives; a rotation has no repeats at all.
    """

    def __init__(self, shares: Shares, *, alpha: float = ALPHA, power: float = POWER) -> None:
        self.shares = {name: share for name, share in shares.items() if share}
        if len(self.shares) < 2:
            raise ValueError("the picks of a single name say nothing")
        self.effect, self.alpha, self.power = HALF, alpha, power
        self._key = tuple(self.shares.values())
        self.most, self.decisive = _most_picks(self._key, alpha / 2, 1 - (1 - power) / 2)

    @property
    def sides(self) -> int:
        return 2

    def _looks(self, draws: Sequence[str]) -> Iterator[tuple[int, list[float], Callable[[], bool]]]:
        ratios, repeats, last = [0.0, 0.0], 0, draws[0] if draws else ""
        for n, name in enumerate(draws[1 : self.most], 2):
            share, again = self.shares.get(last, 0.5), name == last
            repeats += again
            for side, other in enumerate((_fewer(share), _more(share))):
                ratios[side] += math.log(other / share if again else (1 - other) / (1 - share))
            last = name
            if _is_look(n, self.most):
                yield n, ratios, partial(self._fits, repeats, n)

    def _fits(self, repeats: int, n: int) -> bool:
        low, high = _accepted(_repeats(self._key, n, _chance), self.alpha / 2)
        return low <= repeats <= high


def _fewer(share: float) -> float:
    return share * HALF


def _more(share: float) -> float:
    return 1 - (1 - share) * HALF


def _chance(share: float) -> float:
    return share


@lru_cache(maxsize=64)
def _most_picks(shares: tuple[float, ...], alpha: float, power: float) -> tuple[int, bool]:
    """How many draws tell chance from both alternatives by an exact test of their repeats; False: more than `LIMIT`."""

    def enough(n: int) -> bool:
        low, high = _accepted(_repeats(shares, n, _chance), alpha)
        return all(1 - _repeats(shares, n, stays)[low : high + 1].sum() >= power for stays in (_fewer, _more))

    most = 64
    while most < LIMIT and not enough(most):
        most += most // 4
    return (most, True) if most < LIMIT else (LIMIT, False)


def _repeats(shares: tuple[float, ...], n: int, stays: Callable[[float], float]) -> numpy.ndarray[Any, Any]:
    """P(r immediate repeats in n draws), r from 0, where a name of share p follows itself with probability stays(p).

    What does not stay goes to the others in proportion to their shares.
    """
    import numpy as np

    p = np.array(shares)
    stay = np.array([stays(share) for share in shares])
    moves = p[None, :] / (1 - p[:, None]) * (1 - stay[:, None])
    np.fill_diagonal(moves, 0.0)
    at = np.zeros((len(p), n))
    at[:, 0] = p
    for _ in range(n - 1):
        on = moves.T @ at
        on[:, 1:] += stay[:, None] * at[:, :-1]
        at = on
    return at.sum(axis=0)  # type: ignore[no-any-return]


def _accepted(distribution: numpy.ndarray[Any, Any], alpha: float) -> tuple[int, int]:
    """The values [low, high] outside of which lies no more than alpha / 2 on either side."""
    import numpy as np

    low = int(np.searchsorted(np.cumsum(distribution), alpha / 2, side="right"))
    high = len(distribution) - 1 - int(np.searchsorted(np.cumsum(distribution[::-1]), alpha / 2, side="right"))
    return low, high
