"""What chance may do to a judgement, before it is made: pure, from the shares of a subject."""

from __future__ import annotations

from collections.abc import Mapping

from lbcheck.checks import Figure
from lbcheck.judges.hashing import POINTS
from lbcheck.judges.ramping import SHIFT, requests_of_others, requests_to_see_least
from lbcheck.judges.sequential import PicksTest, Shares, SharesTest
from lbcheck.judges.statistics import ALPHA, POWER, power_of, power_of_evenness, silence_for


def of_shares(shares: Shares, effect: float) -> Figure:
    test = SharesTest(shares, effect)
    return Figure("shares_fit", test.most, test.usual_n(), test.alpha, f"a share off by {effect:g}", test.power)


def of_picks(shares: Shares) -> Figure:
    test = PicksTest(shares)
    detects = "repeats, or changes, half as often as chance gives"
    return Figure("picks_are_independent", test.most, test.usual_n(), test.alpha, detects, test.power)


def of_silence(judgement: str, n: int, shares: Shares, detects: str) -> Figure:
    """Each name is drawn at least once in `n`: what is never drawn is found for certain."""
    alpha = min(1.0, sum((1 - share) ** n for share in shares.values() if share))
    return Figure(judgement, n, n, _rounded_up(alpha), detects, 1.0)


def of_weights(judgement: str, n: int, weights: Mapping[str, int]) -> Figure:
    """The share of the keys that the heaviest has, beyond what a coarse ring gives it, where an even one is given."""
    power = power_of_evenness(n, POINTS * max(weights.values()), POINTS * sum(weights.values()), len(weights))
    return Figure(judgement, n, n, ALPHA, "keys shared evenly", power)


def of_coincidence(judgement: str, n: int, shares: Shares, detects: str) -> Figure:
    """`n` independent draws that all hit what they hit before, by chance."""
    return Figure(judgement, n, n, _rounded_up(sum(share**2 for share in shares.values()) ** n), detects, 1.0)


def of_preference(judgement: str, n: int) -> Figure:
    """The more frequent of two in `n`, beyond what an even coin gives at alpha. Who prefers clearly is not blamed."""
    clear = next(share / 1000 for share in range(500, 1001) if power_of(n, 0.5, share / 1000) >= 1 - ALPHA)
    return Figure(judgement, n, n, ALPHA, f"an even share (blamed is nobody who prefers by {clear:.1%})", 1 - ALPHA)


def of_less(judgement: str, n: int, full: float, ramped: float, detects: str) -> Figure:
    """Significantly less than a full share in `n`, where the share is `ramped`."""
    return Figure(judgement, n, n, _rounded_up(1 - power_of(n, full, ramped)), detects, 1 - ALPHA)


def of_others(judgement: str, weights: Mapping[str, int], backend: str) -> Figure:
    """The shares of those beside one that ramps, each tested."""
    n = requests_of_others(weights, backend)
    return Figure(judgement, n, n, ALPHA, f"a share off by {SHIFT:g}", POWER)


def of_least(judgement: str, full: float) -> Figure:
    """The least share of a ramp, against the one that it has where it begins at nothing."""
    return Figure(judgement, n := requests_to_see_least(full), n, ALPHA, "a ramp that begins at nothing", POWER)


def of_repetition(judgement: str, share: float, detects: str) -> Figure:
    """No correct balancer ever does it; a wrong one does it with probability `share` each time."""
    n = silence_for(share)
    return Figure(judgement, n, n, 0.0, detects, 1 - ALPHA)


def _rounded_up(alpha: float) -> float:
    """To two figures, never below: what is told bounds what is."""
    return float(f"{alpha * 1.05:.1e}") if alpha else 0.0
