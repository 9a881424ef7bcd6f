"""Boot states from made-up requests: served before a threshold, after a first result, and too few to say."""

from __future__ import annotations

import pytest

from lbcheck.history import Exchange
from lbcheck.judges.boot import first_result_decides, serves_from_the_start
from lbcheck.judges.health import Probe
from lbcheck.verdict import Outcome

from .made import answered

FAILED = {"a": [Probe(0.0, 0.0, False), Probe(5.0, 5.0, False)], "b": [Probe(0.1, 0.1, False)]}
GOOD = {"a": [Probe(0.0, 1.0, True), Probe(10.0, 11.0, True)], "b": [Probe(0.0, 2.0, True), Probe(10.0, 12.0, True)]}


def asked(backends: str) -> list[Exchange]:
    """One request a second, `-` where the balancer itself answered."""
    return [answered(None if name == "-" else name, second) for second, name in enumerate(backends)]


@pytest.mark.parametrize(
    ("backends", "outcome"),
    [("abab-", Outcome.BROKEN), ("ababab---", Outcome.HOLDS), ("a", Outcome.INCONCLUSIVE)],
)
def test_served_until_the_first_backend_may_be_out(backends: str, outcome: Outcome) -> None:
    assert serves_from_the_start(asked(backends), FAILED, 2).outcome is outcome


@pytest.mark.parametrize(
    ("backends", "outcome"),
    [("---ababab", Outcome.HOLDS), ("-----baba", Outcome.BROKEN), ("---a", Outcome.INCONCLUSIVE)],
)
def test_the_first_good_probe_brings_a_backend_in(backends: str, outcome: Outcome) -> None:
    assert first_result_decides(asked(backends), GOOD, 0.5).outcome is outcome


def test_without_two_probes_of_each_nothing_is_said() -> None:
    assert first_result_decides(asked("ab"), FAILED, 0.5).outcome is Outcome.INCONCLUSIVE
