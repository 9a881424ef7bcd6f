"""A fault that nobody saw blames the harness; one that met no traffic decides nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbcheck.errors import HarnessFault
from lbcheck.history import FaultBegan, FaultEnded, History
from lbcheck.judges.overlap import OVERLAP, Interval, meets_fault, overlapping
from lbcheck.verdict import Outcome
from tests.judges.made import answered, exchanges

pytestmark = pytest.mark.fast

moments = st.floats(0, 100)


@given(moments, moments, moments, moments)
def test_a_request_overlaps_what_it_was_under_way_in(a: float, b: float, c: float, d: float) -> None:
    (began, ended), (invoked, done) = sorted((a, b)), sorted((c, d))
    span, exchange = Interval(began, ended), answered("x", invoked=invoked, done=done)
    common = min(ended, done) - max(began, invoked)
    assert span.overlaps(exchange) is (common >= 0)


def test_one_that_never_ended_is_still_under_way() -> None:
    hanging = answered(None, invoked=1.0, done=None, status=None)
    assert Interval(50.0, 60.0).overlaps(hanging)
    assert not Interval(0.0, 0.5).overlaps(hanging)
    assert Interval(0.5).overlaps(hanging)


def history(*, witnessed: bool = True, ended: float | None = None) -> History:
    """A kill of `a` at 10, with one request each second."""
    past = History(exchanges(["a", "b"] * 10))
    past.append(FaultBegan(10.0, "kill", "a", witnessed))
    past.append(FaultBegan(0.0, "kill", "b", witnessed=True))
    if ended is not None:
        past.append(FaultEnded(ended, "kill", "a"))
    return past


def test_enough_requests_that_met_it() -> None:
    past = history()
    verdict = meets_fault(past, past.exchanges, "kill", "a")
    assert (verdict.outcome, verdict.figures["n"]) == (Outcome.HOLDS, 10)
    assert len(overlapping(past.exchanges, [Interval(10.0, 11.5)])) == 2


@pytest.mark.parametrize(("ended", "until"), [(13.5, None), (None, 13.5)])
def test_too_few_decide_nothing(ended: float | None, until: float | None) -> None:
    past = history(ended=ended)
    verdict = meets_fault(past, past.exchanges, "kill", "a", until=until)
    assert (verdict.outcome, verdict.figures["n"]) == (Outcome.INCONCLUSIVE, OVERLAP - 1)
    assert verdict.saw == "4 of 20 overlapped it"
    assert meets_fault(past, past.exchanges, "kill", "a", until=until, at_least=4).holds


def test_what_nobody_witnessed_or_nobody_did_is_the_harness_fault() -> None:
    past = history(witnessed=False)
    with pytest.raises(HarnessFault, match="the fault 'kill' on a was not witnessed"):
        meets_fault(past, past.exchanges, "kill", "a")
    with pytest.raises(HarnessFault, match="the fault 'refuse' on a did not happen"):
        meets_fault(past, past.exchanges, "refuse", "a")
