"""What a broken verdict rests on: said by the judge, by the check's card, or by the requests that prove it."""

from __future__ import annotations

import pytest

from lbcheck.history import History
from lbcheck.judges.answers import all_answered
from lbcheck.judges.balance import takes_turns
from lbcheck.judges.blame import rests_on
from lbcheck.judges.delivery import honest_error, never_repeated
from lbcheck.verdict import Verdict, decided
from tests.judges.made import answered, arrival

pytestmark = pytest.mark.fast


def broken(*ids: str) -> Verdict:
    return decided(False, "j", "a", "b", ids=ids)


def history() -> History:
    """r1 answered, r2 lost, r3 refused by the balancer, r4 answered after two arrivals."""
    return History(
        [
            arrival("a", 1),
            answered("a", 1),
            answered(None, 2, status=None, complete=False, error="timeout"),
            answered(None, 3, status=503),
            arrival("a", 4),
            arrival("b", 4),
            answered("b", 4),
        ]
    )


@pytest.mark.parametrize(
    ("ids", "basis"),
    [(("r2",), "losses"), (("r2", "r3"), "losses"), (("r1",), "counts"), (("r2", "r4"), "counts"), ((), "counts")],
)
def test_by_the_requests_that_prove_it(ids: tuple[str, ...], basis: str) -> None:
    assert rests_on(broken(*ids), history(), timed=False) == basis
    assert rests_on(broken(*ids), history(), timed=True) == "times"


def test_a_post_that_was_repeated_rests_on_counts_even_in_a_timed_check() -> None:
    post = answered("b", 4, method="POST")
    verdict = never_repeated(history(), post, "a body")
    assert not verdict.holds
    assert rests_on(verdict, history(), timed=True) == "counts"


def test_a_late_error_rests_on_times_a_missing_one_on_losses_a_wrong_one_on_counts() -> None:
    late = honest_error(answered(None, 3, status=503), {503}, latest=0.05)
    missing = honest_error(answered(None, 2, status=None, complete=False, error="timeout", first_byte=None), {503})
    wrong = honest_error(answered(None, 3, status=404), {503})
    assert [v.rests_on for v in (late, missing, wrong)] == ["times", "losses", "counts"]


def test_requests_that_were_not_answered_rest_on_losses_unless_the_balancer_chose_so() -> None:
    lost = answered(None, 2, status=None, complete=False, error="reset")
    assert takes_turns([lost], ["a", "b"]).rests_on == "losses"
    assert takes_turns([lost, answered(None, 3, status=404)], ["a", "b"]).rests_on == "counts"
    past = history()
    one, two, four = (past.exchanges[n] for n in (0, 1, 3))
    assert all_answered(past, [one, two]).rests_on == "losses"
    assert all_answered(past, [two, four]).rests_on == "counts"
    assert all_answered(past, [one], by=["b"]).rests_on is None  # too early or too late: the card knows
