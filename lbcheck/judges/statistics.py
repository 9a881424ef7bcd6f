"""Exact tests, and the sizes that make them worth running. No flat tolerance stands anywhere in lbcheck.

alpha is the probability that a correct balancer is blamed by one judgement, power the one that a deviation is caught.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

ALPHA = 1e-6
POWER = 0.999


def binomial_p(k: int, n: int, share: float) -> float:
    """Two-sided exact p-value of `k` hits in `n` draws of probability `share` (the smaller tail, doubled)."""
    if share <= 0.0:
        return 1.0 if k == 0 else 0.0
    if share >= 1.0:
        return 1.0 if k == n else 0.0
    return min(1.0, 2 * min(_lower(k, n, share), _upper(k, n, share)))


def _lower(k: int, n: int, share: float) -> float:
    """P(X <= k)."""
    from scipy.special import bdtr  # late: scipy costs a tenth of a second that only statistical checks should pay

    return float(bdtr(k, n, share))


def _upper(k: int, n: int, share: float) -> float:
    """P(X >= k)."""
    from scipy.special import bdtrc

    return 1.0 if k <= 0 else float(bdtrc(k - 1, n, share))


def beta_binomial_p(k: int, n: int, a: float, b: float) -> float:
    """Two-sided exact p-value of `k` hits in `n` draws whose probability is itself drawn once, from Beta(a, b)."""
    lower = sum(_beta_binomial(i, n, a, b) for i in range(k + 1))
    upper = sum(_beta_binomial(i, n, a, b) for i in range(k, n + 1))
    return min(1.0, 2 * min(lower, upper))


def power_of_evenness(n: int, heaviest: float, total: float, among: int, alpha: float = ALPHA) -> float:
    """The probability that `n` keys shared evenly are rejected as those of a ring with these points for the heaviest.

    `alpha` is shared by the tests of all `among`.
    """
    low = next(k for k in range(n + 1) if beta_binomial_p(k, n, heaviest, total - heaviest) >= alpha / among)
    return _lower(low - 1, n, 1 / among) if low else 0.0


def _beta_binomial(k: int, n: int, a: float, b: float) -> float:
    """P(X = k)."""
    choices = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return math.exp(choices + _log_beta(k + a, n - k + b) - _log_beta(a, b))


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def acceptance(n: int, share: float, alpha: float = ALPHA) -> tuple[int, int]:
    """The counts [low, high] that the exact two-sided test does not reject."""
    centre = min(n, max(0, round(n * share)))
    low = _edge(centre, 0, lambda k: binomial_p(k, n, share) > alpha)
    high = _edge(centre, n, lambda k: binomial_p(k, n, share) > alpha)
    return low, high


def _edge(inside: int, outside: int, accepted: Any) -> int:
    """The accepted value furthest from `inside` towards `outside`, by bisection."""
    if accepted(outside):
        return outside
    while abs(outside - inside) > 1:
        middle = (inside + outside) // 2
        if accepted(middle):
            inside = middle
        else:
            outside = middle
    return inside


def power_of(n: int, share: float, true_share: float, alpha: float = ALPHA) -> float:
    """The probability that `n` draws of `true_share` are rejected as draws of `share`."""
    low, high = acceptance(n, share, alpha)
    below = _lower(low - 1, n, true_share) if low > 0 else 0.0
    above = _upper(high + 1, n, true_share) if high < n else 0.0
    return below + above


@lru_cache(maxsize=256)
def needed_for(effect: float, power: float = POWER, alpha: float = ALPHA, share: float = 0.5) -> int:
    """How many draws tell `share` from `share - effect` and `share + effect` (where they are shares) with `power`."""
    if not 0 < effect < 1:
        raise ValueError(f"an effect is a difference of shares between 0 and 1, got {effect}")
    others = [p for p in (share - effect, share + effect) if 0 <= p <= 1]

    def enough(n: int) -> bool:
        return all(power_of(n, share, p, alpha) >= power for p in others)

    high = 16
    while not enough(high):
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    # The power of a discrete test saws up and down with n: step over the tooth that the bisection may have landed on.
    while not all(enough(high + step) for step in (0, 1, 2, 3)):
        high += 1
    return high


def silence_for(share: float, alpha: float = ALPHA) -> int:
    """How many draws in a row without a hit of probability `share` are no accident."""
    return 1 if share >= 1 else math.ceil(math.log(alpha) / math.log1p(-share))
