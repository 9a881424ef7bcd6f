"""Who reads slowly makes the other side wait: how much of an answer has left its backend?"""

from __future__ import annotations

from lbcheck.history import History
from lbcheck.judges.judging import judge
from lbcheck.verdict import Verdict, decided, inconclusive


@judge
def held_back(history: History, id: str, size: int) -> Verdict:
    """A backend has not got to the end of its answer, of which so far nobody reads anything.

    What it can be rid of is what sockets and the balancer hold: less than the `size` of the answer.
    """
    expected = f"a part of {size} bytes with the backend as long as the client reads nothing"
    arrivals = history.arrivals_of(id)
    if not arrivals:
        return inconclusive("held_back", expected, "it has not come to a backend yet")
    answered = history.answered_of(arrivals[-1])
    saw = "so it was" if answered is None else f"all of it taken from {arrivals[-1].backend} ({answered.how})"
    return decided(answered is None, "held_back", expected, saw, ids=(id,), rests_on="counts")
