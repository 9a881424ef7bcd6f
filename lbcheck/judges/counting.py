"""Decision by decision: with the requests in flight known, did the next one go where the algorithm says?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from lbcheck.judges.answers import told
from lbcheck.verdict import Verdict, decided


@dataclass(frozen=True, slots=True)
class Pick:
    """One decision: what was in flight at each backend when the request came, and who got it."""

    id: str
    in_flight: Mapping[str, int]
    backend: str | None


def picks_a_minimum(picks: Sequence[Pick], weights: Mapping[str, int] | None = None) -> Verdict:
    """Each pick is a backend with the fewest requests in flight, for its weight; ties may go anywhere."""
    weighted = " for its weight" if weights else ""
    expected = f"each of {len(picks)} requests at a backend with the fewest in flight{weighted}"
    for pick in picks:
        loads = {n: Fraction(c, (weights or {}).get(n, 1) or 1) for n, c in pick.in_flight.items()}
        if pick.backend is None or pick.backend not in loads or loads[pick.backend] > min(loads.values()):
            saw = f"a request at {pick.backend or 'no backend'} while in flight were {told(dict(pick.in_flight))}"
            return decided(False, "picks_a_minimum", expected, saw, ids=(pick.id,), n=len(picks))
    ok = bool(picks)
    return decided(ok, "picks_a_minimum", expected, "so it was" if ok else "no decision to look at", n=len(picks))


def avoids_the_busiest(picks: Sequence[Pick]) -> Verdict:
    """Of two distinct picks the busier loses: the single busiest of the pool never gets a request."""
    expected = f"none of {len(picks)} requests at the single busiest backend"
    for pick in picks:
        busiest = max(pick.in_flight.values())
        alone = list(pick.in_flight.values()).count(busiest) == 1
        if pick.backend is None or (alone and pick.in_flight.get(pick.backend) == busiest):
            saw = f"a request at {pick.backend or 'no backend'} while in flight were {told(dict(pick.in_flight))}"
            return decided(False, "avoids_the_busiest", expected, saw, ids=(pick.id,), n=len(picks))
    return decided(bool(picks), "avoids_the_busiest", expected, "so it was", n=len(picks))
