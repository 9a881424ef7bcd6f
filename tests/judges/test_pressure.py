"""A made-up answer that its backend has got rid of, and one that it has not."""

from __future__ import annotations

from lbcheck.history import Answered, History
from lbcheck.judges.pressure import held_back
from lbcheck.verdict import Outcome

from .made import arrival


def test_an_answer_is_held_back_as_long_as_its_backend_is_not_done() -> None:
    history = History()
    assert held_back(history, "r0", 1000).outcome is Outcome.INCONCLUSIVE
    history.append(arrival("a"))
    assert held_back(history, "r0", 1000).holds
    history.append(Answered("a", 1, 0, 0.1, "answered", 200))
    assert held_back(history, "r0", 1000).outcome is Outcome.BROKEN
