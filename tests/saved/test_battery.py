"""Every check of the battery: its history, saved as evidence, is judged again from the file as it was in the run."""

from __future__ import annotations

from pathlib import Path

import pytest

from lbcheck.history import History
from lbcheck.judges.invariants import invariants
from lbcheck.lab.sim import SimLab
from lbcheck.lab.stage import open_stage
from lbcheck.plugin.evidence import heading_of, history_lines
from lbcheck.plugin.plan import Case
from lbcheck.plugin.settings import Settings
from lbcheck.saved.rejudging import judge_again
from lbcheck.spec.model import Spec
from lbcheck.verdict import Broken, Outcome, Verdict, collecting
from tests import matrix

pytestmark = pytest.mark.slow


def ran(case: Case, defect: str | None) -> tuple[Spec, History, list[Verdict]]:
    lab = SimLab(matrix.SEED, defect)
    try:
        with (
            collecting() as verdicts,
            open_stage(lab, case.spec, case.subject, seed=matrix.SEED, opening=case.check.opening) as stage,
        ):
            handed = stage.pool(case.subject.name) if case.subject.kind == "pool" else stage.subject.value
            try:
                case.check.function(stage, **{case.subject.kind: handed})
            except Broken:
                assert defect is not None
            return stage.spec, stage.sync(), verdicts
    finally:
        lab.close()


def judged(path: Path, case: Case, defect: str | None) -> Outcome:
    spec, history, verdicts = ran(case, defect)
    heading = heading_of(case, Settings("reference", lab="sim", defect=defect), spec, target="reference", slack_s=0.0)
    cookies = case.subject.kind == "pool" and spec.pool(case.subject.name).stickiness is not None
    path.write_text("".join(history_lines(history, heading, verdicts, keep_cookies=cookies)))
    again = judge_again(path)
    assert [each.why for each in again.repeated if each.now is None] == []
    assert [each.now for each in again.repeated if each.differs] == []
    assert len(again.repeated) == len(verdicts) > 0
    assert again.always == invariants(history, spec)
    return again.outcome


@pytest.mark.parametrize("check", sorted(matrix.checks()))
def test_every_check_is_judged_again(check: str, tmp_path: Path) -> None:
    case = matrix.cases(check)[0]
    assert judged(tmp_path / "correct", case, None) is Outcome.HOLDS


@pytest.mark.parametrize("check", ["ALG-01", "FLO-01", "FLO-07", "HLT-03", "HTT-01", "RTE-14", "STK-03"])
def test_what_is_broken_is_broken_again(check: str, tmp_path: Path) -> None:
    defect = next(iter(matrix.checks()[check].catches))
    outcomes = {judged(tmp_path / "history.jsonl", case, defect) for case in matrix.cases(check)}
    assert Outcome.BROKEN in outcomes
