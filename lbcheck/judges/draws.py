"""Policies that draw: is each share what it should be, and does a pick know nothing of the last?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from lbcheck.history import Exchange
from lbcheck.judges.answers import missing_answers, unanswered
from lbcheck.judges.judging import judge
from lbcheck.judges.sequential import Ended, PicksTest, SharesTest
from lbcheck.judges.statistics import ALPHA
from lbcheck.verdict import Outcome, Verdict

OUTCOMES = {"holds": Outcome.HOLDS, "broken": Outcome.BROKEN, "undecided": Outcome.INCONCLUSIVE}


def drawn(exchanges: Sequence[Exchange], of: Mapping[str, str] | None = None) -> list[str]:
    """The backends that answered, in order, or what each stands for (`of`)."""
    names = (exchange.backend or "" for exchange in exchanges)
    return [name if of is None else of.get(name, name) for name in names]


def enough(exchanges: Sequence[Exchange], *tests: SharesTest | PicksTest, of: Mapping[str, str] | None = None) -> bool:
    """Has every test come to its end, or is there a request that no backend answered?"""
    return bool(unanswered(exchanges)) or all(test.run(drawn(exchanges, of)).said != "undecided" for test in tests)


@judge
def shares_fit(
    exchanges: Sequence[Exchange],
    shares: Mapping[str, float],
    effect: float,
    *,
    of: Mapping[str, str] | None = None,
    alpha: float = ALPHA,
) -> Verdict:
    """Independent draws with these probabilities, and none off by `effect`; sequential, exact at its end.

    `of` names what a backend stands for (its pool). Inconclusive where it takes more requests than there are.
    """
    expected = "shares " + ", ".join(f"{name} {share:.1%}" for name, share in shares.items())
    if missing := missing_answers("shares_fit", expected, exchanges):
        return missing
    test = SharesTest(shares, effect, alpha=alpha)
    names = drawn(exchanges, of)
    ended = test.run(names)
    looked_at = names[: ended.n] or names
    counts = {name: looked_at.count(name) for name in dict.fromkeys([*shares, *sorted(set(looked_at))])}
    saw = ", ".join(f"{name} {count / len(looked_at):.1%}" for name, count in counts.items()) + f" of {len(looked_at)}"
    return _verdict("shares_fit", expected, saw, ended, test, counts=counts, share=dict(shares))


@judge
def picks_are_independent(
    exchanges: Sequence[Exchange], shares: Mapping[str, float], *, alpha: float = ALPHA
) -> Verdict:
    """Draws that know nothing of the last one: as many immediate repeats as chance gives. A rotation has none."""
    repeat = sum(share * share for share in shares.values())
    expected = f"independent picks: about {repeat:.0%} immediate repeats"
    if missing := missing_answers("picks_are_independent", expected, exchanges):
        return missing
    test = PicksTest(shares, alpha=alpha)
    names = drawn(exchanges)
    ended = test.run(names)
    looked_at = names[: ended.n] or names
    pairs = list(pairwise(looked_at))
    repeats = sum(a == b for a, b in pairs)
    saw = f"{repeats} of {len(pairs)} ({repeats / max(len(pairs), 1):.0%})"
    return _verdict("picks_are_independent", expected, saw, ended, test)


def _verdict(name: str, expected: str, saw: str, ended: Ended, test: SharesTest | PicksTest, **figures: Any) -> Verdict:
    if ended.said == "undecided":
        saw = f"{saw}: too few to tell" + (f", {test.most} always do" if test.decisive else "")
    figures |= {
        "n": ended.n, "most": test.most, "alpha": test.alpha, "detects": test.effect, "power": test.power,
        "ratio": float(f"{ended.ratio:.3g}"),
    }  # fmt: skip
    return Verdict(OUTCOMES[ended.said], name, expected, saw, figures)
