"""Who is to blame: from the way a check ended to its outcome."""

from __future__ import annotations

import pytest

from lbcheck.errors import HarnessFault, TargetDied, TargetError, TargetNeverReady, Unsupported
from lbcheck.judges.balance import takes_turns
from lbcheck.plugin.outcome import ALIVE, Decision, HardLimit, after_control, after_slack, decide
from lbcheck.verdict import Broken, Inconclusive, Outcome, decided, inconclusive

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


def test_a_failed_control_takes_the_blame_off_the_target() -> None:
    assert after_control(BROKEN, timed=True, control_failed="b1 refused").outcome is Outcome.HARNESS_FAULT
    assert after_control(BROKEN, timed=True, control_failed="") is BROKEN


def test_a_failed_control_never_excuses_what_counts_alone_prove() -> None:
    assert after_control(BROKEN, timed=False, control_failed="b1 refused") is BROKEN
    assert after_control(HOLDS, timed=True, control_failed="b1 refused") is HOLDS


@pytest.mark.parametrize("decision", [BROKEN, HOLDS])
def test_a_slow_machine_decides_nothing_about_times(decision: Decision) -> None:
    assert after_slack(decision, timed=True, slack_s=0.026, shortest_s=0.1).outcome is Outcome.INCONCLUSIVE
    assert after_slack(decision, timed=True, slack_s=0.025, shortest_s=0.1) is decision
    assert after_slack(decision, timed=False, slack_s=9, shortest_s=0.1) is decision
    assert after_slack(decision, timed=True, slack_s=9, shortest_s=None) is decision
