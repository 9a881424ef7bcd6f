"""A history that is corrupted by one event does not pass: a judge notices, or it is one of few harmless corruptions."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.judges.corruption import KINDS, Corruption, Kind, Run, caught, harmless, recorded, singles

pytestmark = pytest.mark.slow

# Turns, retries, repeats, connections that are shared, bodies, affinity, rules, outage, probes and thresholds.
RUNS = (
    "ALG-01",
    "FLO-04",
    "FLO-05",
    "FLO-06",
    "FLO-07",
    "FLO-11",
    "HLT-01",
    "HLT-03",
    "HTT-07",
    "HTT-08",
    "RTE-18",
    "STK-01",
)
FEW = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def unnoticed(run: Run, corruption: Corruption) -> bool:
    return not caught(run, corruption.applied(run.events))


@st.composite
def pairs(draw: st.DrawFn, run: Run, what: Any) -> Corruption:
    """Two events of one kind and class."""
    kind: Kind = draw(st.sampled_from([k for k in KINDS if len(run.places(k)) > 2]))
    one = draw(st.sampled_from(run.places(kind)))
    alike = [p for p in run.places(kind) if p != one and type(run.events[p]) is type(run.events[one])]
    return Corruption(what, one, draw(st.sampled_from(alike)))


@st.composite
def delays(draw: st.DrawFn, run: Run) -> Corruption:
    kind: Kind = draw(st.sampled_from([k for k in KINDS if run.places(k)]))
    size = 10 ** draw(st.floats(-6, 2))
    return Corruption("delay", draw(st.sampled_from(run.places(kind))), by_s=draw(st.sampled_from([size, -size])))


@pytest.mark.parametrize("check", RUNS)
@pytest.mark.parametrize("what", ["drop", "duplicate"])
def test_what_is_lost_or_doubled_is_noticed(check: str, what: Any) -> None:
    run = recorded(check)
    quiet = [c for c in singles(run, what) if unnoticed(run, c)]
    assert [(c, run.events[c.at]) for c in quiet if harmless(run, c) is None] == []


@pytest.mark.parametrize("check", RUNS)
@FEW
@given(data=st.data())
def test_what_came_at_another_time_is_noticed(check: str, data: st.DataObject) -> None:
    run = recorded(check)
    corruption = data.draw(delays(run))
    assert not unnoticed(run, corruption) or harmless(run, corruption)


@pytest.mark.parametrize("check", RUNS)
@pytest.mark.parametrize("what", ["swap", "cross-wire"])
@FEW
@given(data=st.data())
def test_two_that_are_exchanged_are_noticed(check: str, what: Any, data: st.DataObject) -> None:
    run = recorded(check)
    corruption = data.draw(pairs(run, what))
    assert not unnoticed(run, corruption) or harmless(run, corruption)


def test_little_is_harmless() -> None:
    """Nothing doubled is; of what is dropped, some ends that may not have come, and requests that met nobody."""
    for what, least in (("drop", 0.9), ("duplicate", 1.0)):
        reasons = Counter(
            harmless(run, corruption)
            for run in map(recorded, RUNS)
            for corruption in singles(run, what)  # type: ignore[arg-type]
        )
        assert reasons[None] >= least * reasons.total(), reasons


@pytest.mark.parametrize("what", ["delay", "swap", "cross-wire"])
def test_little_of_what_changes_anything_is_harmless(what: Any) -> None:
    rng = random.Random(1)
    reasons = Counter(harmless(run, drawn(run, what, rng)) for run in map(recorded, RUNS) for _ in range(60))
    changing = reasons.total() - reasons["contents that are equal"]
    assert changing > 0.4 * reasons.total()
    assert reasons[None] > 0.8 * changing, reasons


def drawn(run: Run, what: Any, rng: random.Random) -> Corruption:
    one = rng.choice([place for kind in KINDS for place in run.places(kind)])
    kind = run.kind_of(run.events[one])
    assert kind is not None
    alike = [p for p in run.places(kind) if p != one and type(run.events[p]) is type(run.events[one])]
    return Corruption(what, one, rng.choice(alike or [one]), by_s=rng.choice([0.1, -0.1, 10.0, -10.0]))
