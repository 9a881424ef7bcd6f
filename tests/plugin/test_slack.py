"""On a machine whose timers are late no check that rests on times is green; every such check says so on its card."""

from __future__ import annotations

from pathlib import Path

import pytest

from lbcheck import clock
from lbcheck.checks import Check
from lbcheck.lab.sim import SimLab
from lbcheck.lab.stage import Stage, open_stage
from lbcheck.plugin import trial
from lbcheck.plugin.baseline import Baseline
from lbcheck.plugin.outcome import QUARTER
from lbcheck.plugin.plan import Case
from lbcheck.plugin.settings import Settings
from lbcheck.plugin.watchdog import Budget
from lbcheck.plugin.workbench import Workbench
from tests import matrix

pytestmark = pytest.mark.slow

TENFOLD = 10
WAITS = "slack makes a wait longer that stands for no time of the spec; counts decide"
UNTIMED = {
    "ALG-06": WAITS,
    "ALG-07": WAITS,
    "ALG-08": WAITS,
    "ALG-14": WAITS,
    "ALG-42": WAITS,
    "FLO-24": WAITS,
    "HTT-11": WAITS,
}
TIMED = sorted(check.id for check in matrix.checks().values() if check.timed)


class SlowMachine(Workbench):
    """A simulated lab whose timers are late by so much."""

    def __init__(self, slack_s: float, folder: Path) -> None:
        super().__init__(Settings(target="reference", lab="sim", report_dir=folder, evidence="off"))
        self.slack_s = slack_s

    def _new_lab(self) -> SimLab:  # type: ignore[override]
        return SimLab(matrix.SEED, slack_s=self.slack_s)


def outcome(case: Case, slack_s: float, folder: Path) -> tuple[str, str]:
    bench = SlowMachine(slack_s, folder)
    ended = trial.run(case, bench, Budget(None, clock.process_now()), Baseline(), "", lambda _: None)
    bench.close()
    return ended.record.outcome, ended.record.reason


@pytest.mark.parametrize("id", TIMED)
def test_a_tenfold_slack_turns_it_inconclusive_not_green(id: str, tmp_path: Path) -> None:
    case = matrix.cases(id)[0]
    shortest_s = case.check.shortest_s(case.subject)
    assert shortest_s is not None, "its card names no time that the verdict rests on"
    assert outcome(case, TENFOLD * QUARTER * shortest_s, tmp_path)[0] == "inconclusive"


def test_the_reason_is_the_machine(tmp_path: Path) -> None:
    case = matrix.cases("FLO-03")[0]
    shortest_s = case.check.shortest_s(case.subject) or 0.0
    assert outcome(case, QUARTER * shortest_s, tmp_path) == ("holds", "")
    told, reason = outcome(case, 1.01 * QUARTER * shortest_s, tmp_path)
    assert told == "inconclusive"
    assert reason.startswith("the machine is too slow: its timers are")


@pytest.mark.parametrize("check", matrix.checks().values(), ids=lambda check: check.id)
def test_a_check_that_widens_its_bounds_by_the_slack_is_timed(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    case, read = matrix.cases(check.id)[0], []
    lab = SimLab(matrix.SEED)

    def slack(stage: Stage) -> float:
        read.append(stage.now)
        return stage._lab.slack()

    with open_stage(lab, case.spec, case.subject, seed=matrix.SEED, opening=check.opening) as stage:
        handed = stage.pool(case.subject.name) if case.subject.kind == "pool" else stage.subject.value
        monkeypatch.setattr(Stage, "slack", property(slack))
        check.function(stage, **{case.subject.kind: handed})
        monkeypatch.undo()
    lab.close()
    told = "it reads stage.slack: say timed=True, or which times of the subject its verdict rests on"
    assert check.timed or bool(read) is (check.id in UNTIMED), told
