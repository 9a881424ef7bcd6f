"""Who is to blame: from the way a check ended to its outcome."""

from __future__ import annotations

import pytest

from lbcheck.errors import HarnessFault, TargetDied, TargetError, TargetNeverReady, Unsupported
from lbcheck.judges.balance import takes_turns
from lbcheck.plugin.outcome import (
    ALIVE,
    Decision,
    HardLimit,
    after_control,
    after_death,
    after_departure,
    after_drift,
    after_haste,
    after_slack,
    decide,
)
from lbcheck.verdict import Basis, Broken, Inconclusive, Outcome, decided, inconclusive

pytestmark = pytest.mark.fast


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (None, Outcome.HOLDS),
        (Broken(decided(False, "j", "a", "b")), Outcome.BROKEN),
        (Inconclusive(inconclusive("j", "a", "too few")), Outcome.INCONCLUSIVE),
        (Unsupported("no drain"), Outcome.UNSUPPORTED),
        (HarnessFault("a backend went"), Outcome.HARNESS_FAULT),
        (TargetDied("it exited with 139", log="segfault"), Outcome.BROKEN),
        (TargetNeverReady("not in 10 s"), Outcome.INCONCLUSIVE),
        (TargetError("it refuses its configuration"), Outcome.HARNESS_FAULT),
        (HardLimit(), Outcome.INCONCLUSIVE),
        (ZeroDivisionError("division by zero"), Outcome.HARNESS_FAULT),
        (AssertionError(), Outcome.HARNESS_FAULT),
    ],
)
def test_outcomes(error: BaseException | None, outcome: Outcome) -> None:
    decision = decide(error, 60)
    assert decision.outcome is outcome
    assert bool(decision.reason) == (outcome not in (Outcome.HOLDS, Outcome.BROKEN))


def test_a_target_that_died_is_judged_with_its_log() -> None:
    verdict = decide(TargetDied("it exited with 139", log="segfault")).verdict
    assert verdict is not None
    assert (verdict.judgement, verdict.saw, verdict.figures) == (ALIVE, "it exited with 139", {"log": "segfault"})


@pytest.mark.parametrize("error", [TargetNeverReady("no"), TargetError("refused")])
def test_before_it_was_ever_ready_the_set_up_is_in_doubt(error: TargetError) -> None:
    decision = decide(error, was_ready=False)
    assert decision.never_ready
    assert decision.outcome is Outcome.INCONCLUSIVE


def test_a_crash_inside_a_judge_decides_nothing() -> None:
    with pytest.raises(TypeError) as caught:
        takes_turns(None, None)  # type: ignore[arg-type]
    decision = decide(caught.value)
    assert decision.outcome is Outcome.INCONCLUSIVE
    assert decision.reason.startswith("a judge crashed: TypeError")


BROKEN = Decision(Outcome.BROKEN)
HOLDS = Decision(Outcome.HOLDS)


@pytest.mark.parametrize("basis", ["times", "losses"])
def test_a_failed_control_takes_the_blame_off_the_target(basis: Basis) -> None:
    assert after_control(BROKEN, basis, "b1 refused").outcome is Outcome.HARNESS_FAULT
    assert after_control(BROKEN, basis, "") is BROKEN
    assert after_control(HOLDS, basis, "b1 refused") is HOLDS


def test_a_failed_control_never_excuses_what_counts_alone_prove() -> None:
    assert after_control(BROKEN, "counts", "b1 refused") is BROKEN


@pytest.mark.parametrize("decision", [BROKEN, HOLDS])
@pytest.mark.parametrize("basis", ["times", "losses"])
def test_a_slow_machine_decides_nothing_about_times(decision: Decision, basis: Basis) -> None:
    assert after_slack(decision, basis, slack_s=0.026, shortest_s=0.1).outcome is Outcome.INCONCLUSIVE
    assert after_slack(decision, basis, slack_s=0.025, shortest_s=0.1) is decision
    assert after_slack(decision, basis, slack_s=9, shortest_s=None) is decision
    assert after_slack(decision, "counts", slack_s=9, shortest_s=0.1) is decision


@pytest.mark.parametrize(
    "error", [None, AssertionError(), HardLimit(), Inconclusive(inconclusive("j", "a", "too few"))]
)
def test_a_target_found_gone_is_broken_whatever_the_check_came_to(error: BaseException | None) -> None:
    decision = after_departure(decide(error), error, "it does not accept", "last words")
    assert decision.outcome is Outcome.BROKEN
    assert decision.verdict is not None
    assert (decision.verdict.judgement, decision.verdict.saw) == (ALIVE, "it does not accept")
    assert after_departure(decide(error), error, "", "") == decide(error)


@pytest.mark.parametrize("error", [HarnessFault("a backend went"), Unsupported("no drain")])
def test_what_was_told_of_the_harness_stands(error: Exception) -> None:
    assert after_departure(decide(error), error, "it does not accept", "") == decide(error)


@pytest.mark.parametrize("decision", [BROKEN, HOLDS])
def test_a_verdict_after_a_death_stands_where_the_target_was_fresh(decision: Decision) -> None:
    assert after_death(decision, None, "", cleared=True) is decision
    assert after_death(decision, None, "ALG-01[api]", cleared=True) is decision
    undecided = after_death(decision, None, "ALG-01[api]", cleared=False)
    assert undecided.outcome is Outcome.INCONCLUSIVE
    assert "the target died in ALG-01[api]; a fresh one was started" in undecided.reason


def test_a_fresh_target_that_does_not_get_ready_names_the_death_before_it() -> None:
    error = TargetNeverReady("not in 10 s")
    never_ready = decide(error)
    told = after_death(never_ready, error, "ALG-01[api]", cleared=True)
    assert told.outcome is Outcome.INCONCLUSIVE
    assert told.reason == f"{never_ready.reason} (the target died in ALG-01[api]; a fresh one was started)"


def test_what_is_undecided_for_another_reason_does_not_depend_on_what_ran_before() -> None:
    error = Inconclusive(inconclusive("j", "a", "too few"))
    assert after_death(decide(error), error, "ALG-01[api]", cleared=True) == decide(error)


@pytest.mark.parametrize(
    ("late_s", "shortest", "outcome"),
    [
        (0.004, ("pools.a.timeouts.queue", 0.02), Outcome.BROKEN),
        (0.011, ("pools.a.timeouts.queue", 0.02), Outcome.INCONCLUSIVE),
        (9.0, None, Outcome.BROKEN),  # in real time counts stay what they are
    ],
)
def test_a_hiccup_that_is_long_to_a_fast_clock_blames_nobody(
    late_s: float, shortest: tuple[str, float] | None, outcome: Outcome
) -> None:
    assert after_haste(Decision(Outcome.BROKEN), late_s, shortest).outcome is outcome
    assert after_haste(Decision(Outcome.HOLDS), late_s, shortest).outcome is Outcome.HOLDS


@pytest.mark.parametrize(("basis", "error"), [("times", 0.3), ("losses", 0.3)])
def test_an_uneven_clock_decides_nothing_on_times(basis: Basis, error: float) -> None:
    for decision in (Decision(Outcome.HOLDS), Decision(Outcome.BROKEN)):
        assert after_drift(decision, basis, error).outcome is Outcome.INCONCLUSIVE
        assert after_drift(decision, basis, 0.06) is decision
        assert after_drift(decision, "counts", error) is decision
    unsupported = Decision(Outcome.UNSUPPORTED)
    assert after_drift(unsupported, basis, error) is unsupported
