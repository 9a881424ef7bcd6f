"""Decision by decision: with the requests in flight known, did the next one go where the algorithm says?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

from lbcheck.history import History
from lbcheck.judges.answers import told
from lbcheck.judges.judging import judge
from lbcheck.verdict import Verdict, decided, inconclusive

Load: TypeAlias = Callable[[int, int], Fraction]


@dataclass(frozen=True, slots=True)
class Pick:
    """One decision: what was in flight at each backend when the request came, and who got it."""

    id: str
    in_flight: Mapping[str, int]
    backend: str | None


@judge
def picks_a_minimum(picks: Sequence[Pick]) -> Verdict:
    """Each pick is a backend with the fewest requests in flight; ties may go anywhere."""
    expected = f"each of {len(picks)} requests at a backend with the fewest in flight"
    if not picks:
        return inconclusive("picks_a_minimum", expected, "no decision to look at")
    wrong = _first_wrong(picks, lambda count, _: Fraction(count), {})
    saw = "so it was" if wrong is None else _told_pick(wrong)
    return decided(wrong is None, "picks_a_minimum", expected, saw, ids=(wrong.id,) if wrong else (), n=len(picks))


@judge
def picks_a_weighted_minimum(picks: Sequence[Pick], weights: Mapping[str, int]) -> Verdict:
    """Each pick is a backend with the fewest in flight for its weight, by one of the readings that products have.

    LVS and nginx compare count / weight; HAProxy compares (count + 1) / weight, and takes whoever is idle first. One
    reading must explain all picks; ties may go anywhere.
    """
    expected = f"each of {len(picks)} requests at a backend with the fewest in flight for its weight"
    if not picks:
        return inconclusive("picks_a_weighted_minimum", expected, "no decision to look at")
    wrongs = {name: _first_wrong(picks, load, weights) for name, load in READINGS.items()}
    kept = [name for name, wrong in wrongs.items() if wrong is None]
    wrong = None if kept else next(iter(wrongs.values()))
    saw = f"so it was, comparing {kept[0]}" if kept else _told_pick(wrong) if wrong else ""
    ids = (wrong.id,) if wrong else ()
    return decided(bool(kept), "picks_a_weighted_minimum", expected, saw, ids=ids, n=len(picks))


READINGS: Mapping[str, Load] = {
    "count / weight": lambda count, weight: Fraction(count, weight),
    "(count + 1) / weight": lambda count, weight: Fraction(count + 1, weight),
    "(count + 1) / weight, the idle first": lambda count, weight: Fraction(count + 1 if count else 0, weight),
}


def _first_wrong(picks: Sequence[Pick], load: Load, weights: Mapping[str, int]) -> Pick | None:
    for pick in picks:
        loads = {name: load(count, weights.get(name, 1) or 1) for name, count in pick.in_flight.items()}
        if pick.backend is None or pick.backend not in loads or loads[pick.backend] > min(loads.values()):
            return pick
    return None


def _told_pick(pick: Pick) -> str:
    return f"a request at {pick.backend or 'no backend'} while in flight were {told(dict(pick.in_flight))}"


@judge
def avoids_the_busiest(picks: Sequence[Pick]) -> Verdict:
    """Of two distinct picks the busier loses: the single busiest of the pool never gets a request."""
    expected = f"none of {len(picks)} requests at the single busiest backend"
    for pick in picks:
        busiest = max(pick.in_flight.values())
        alone = list(pick.in_flight.values()).count(busiest) == 1
        if pick.backend is None or (alone and pick.in_flight.get(pick.backend) == busiest):
            return decided(False, "avoids_the_busiest", expected, _told_pick(pick), ids=(pick.id,), n=len(picks))
    return decided(bool(picks), "avoids_the_busiest", expected, "so it was", n=len(picks))


@judge
def keeps_limit(history: History, ids: Sequence[str], most: int) -> Verdict:
    """Of these requests, all in flight at once, no backend holds more than `most`."""
    counts = Counter(arrival.backend for identity in ids for arrival in history.arrivals_of(identity))
    expected = f"at most {most} of {len(ids)} requests in flight at a backend"
    over = {name: count for name, count in counts.items() if count > most}
    saw = told(dict(sorted(counts.items()))) or "none arrived"
    return decided(bool(counts) and not over, "keeps_limit", expected, saw, rests_on="counts", n=len(ids))


@judge
def served_in_order(history: History, ids: Sequence[str]) -> Verdict:
    """These requests, in the order in which they began to wait, arrive in it: first in, first out."""
    arrived = [arrivals[0].at for identity in ids if (arrivals := history.arrivals_of(identity))]
    expected = f"{len(ids)} requests served in the order of their coming"
    if len(arrived) < max(2, len(ids)):
        return inconclusive("served_in_order", expected, f"only {len(arrived)} arrived")
    order = sorted(range(len(ids)), key=arrived.__getitem__)
    saw = f"served in the order {' '.join(str(place + 1) for place in order)}"
    ok = order == list(range(len(ids)))
    return decided(ok, "served_in_order", expected, saw, ids=tuple(ids), rests_on="counts", n=len(ids))
