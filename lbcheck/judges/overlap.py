"""Did a fault meet the traffic? Witnessed by the harness, and overlapped by enough requests, or it proves nothing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lbcheck.errors import HarnessFault
from lbcheck.history import Exchange, FaultBegan, FaultEnded, History
from lbcheck.judges.judging import judge
from lbcheck.verdict import Verdict, decided, inconclusive

OVERLAP = 5  # K: so many requests must have overlapped a fault under traffic


@dataclass(frozen=True, slots=True)
class Interval:
    """A fault from its beginning to its end (infinite: it was not ended)."""

    began: float
    ended: float = math.inf

    def overlaps(self, exchange: Exchange) -> bool:
        """Was the request under way at some moment of it?"""
        over = math.inf if exchange.done is None else exchange.done
        return exchange.invoked <= self.ended and over >= self.began


def intervals(history: History, fault: str, on: str) -> list[Interval]:
    """Every time that this fault was on this node. HarnessFault where it was told to be and nobody saw it."""
    found = []
    ends = [e.at for e in history.of(FaultEnded) if (e.fault, e.on) == (fault, on)]
    for began in history.of(FaultBegan):
        if (began.fault, began.on) != (fault, on):
            continue
        if not began.witnessed:
            raise HarnessFault(f"the fault {fault!r} on {on} was not witnessed", remedy="see the history's faults")
        found.append(Interval(began.at, min((at for at in ends if at >= began.at), default=math.inf)))
    return found


def overlapping(exchanges: Iterable[Exchange], spans: Sequence[Interval]) -> list[Exchange]:
    """The requests that were under way during one of these."""
    return [exchange for exchange in exchanges if any(span.overlaps(exchange) for span in spans)]


@judge
def meets_fault(
    history: History,
    exchanges: Sequence[Exchange],
    fault: str,
    on: str,
    *,
    until: float | None = None,
    at_least: int = OVERLAP,
) -> Verdict:
    """At least so many of these requests overlapped the fault, up to `until` where given: else nothing is decided.

    HarnessFault where the fault did not happen, or was not witnessed.
    """
    latest = math.inf if until is None else until
    spans = [Interval(span.began, min(span.ended, latest)) for span in intervals(history, fault, on)]
    if not spans:
        raise HarnessFault(f"the fault {fault!r} on {on} did not happen", remedy="see the history's faults")
    met = len(overlapping(exchanges, spans))
    expected = f"{fault} of {on} overlapped by at least {at_least} requests"
    if met < at_least:
        return inconclusive("meets_fault", expected, f"{met} of {len(exchanges)} overlapped it", n=met)
    return decided(True, "meets_fault", expected, f"{met} of {len(exchanges)}", n=met)
