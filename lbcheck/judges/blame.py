"""What does a broken verdict rest on? Times and losses may be the harness's own; counts may not."""

from __future__ import annotations

from lbcheck.history import Fate, History, Journey
from lbcheck.verdict import Basis, Verdict

LOSSES = (Fate.LOST, Fate.REFUSED, Fate.FAILED, Fate.UNKNOWN, Fate.CUT)


def lost(journey: Journey) -> bool:
    """A request that came to nothing, and to no more than nothing: it was neither repeated nor given to another."""
    return journey.fate in LOSSES and not journey.repeated


def rests_on(verdict: Verdict, history: History, *, timed: bool) -> Basis:
    """What the judge said that it rests on; else times, where the check's card says so (`timed`); else losses, where
    every request that proves it was lost; else counts."""
    if verdict.rests_on is not None:
        return verdict.rests_on
    if timed:
        return "times"
    proof = [journey for journey in history.journeys() if journey.exchange.id in verdict.ids]
    return "losses" if proof and all(map(lost, proof)) else "counts"
