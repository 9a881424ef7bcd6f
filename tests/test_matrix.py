"""Every check proves that it can fail, every defect is caught, and the correct reference is never blamed."""

from __future__ import annotations

from contextlib import closing

import pytest

from lbcheck.balancer.defects import DEFECTS
from lbcheck.lab.sim import SimLab
from lbcheck.plugin.plan import Case

from . import matrix

# Defects that no check finds yet, each with what is missing. The list is exact: one that is found has to leave it.
SURVIVORS = {
    "turns-restart-on-change": "lawful as far as any product promises: a rotation may begin anywhere",
}


@pytest.mark.slow
@pytest.mark.parametrize(("check", "defect", "judgement"), sorted(matrix.declared()))
def test_a_declared_kill_happens_by_the_named_judgement(check: str, defect: str, judgement: str) -> None:
    assert defect in DEFECTS, f"{check} names a defect that does not exist"
    finding = matrix.judge(check, defect)
    assert judgement in finding.broken, f"not broken by {judgement}: {sorted(finding.broken)}, {sorted(finding.others)}"


def test_every_check_declares_a_kill() -> None:
    assert [check.id for check in matrix.checks().values() if not check.catches] == []


def test_every_defect_is_somebodys_kill_or_a_known_survivor() -> None:
    named = {defect for _, defect, _ in matrix.declared()}
    assert sorted(set(DEFECTS) - named) == sorted(SURVIVORS)


@pytest.mark.slow
@pytest.mark.parametrize("check", sorted(matrix.checks()))
def test_the_correct_reference_is_never_blamed(check: str) -> None:
    assert matrix.cases(check), "no spec of the battery makes this claim"
    finding = matrix.judge(check, None)
    assert not finding.broken
    assert not finding.others


@pytest.mark.slow
@pytest.mark.parametrize("defect", sorted(DEFECTS)[::25])
def test_a_case_that_meets_no_decision_of_a_defect_is_judged_as_without_it(defect: str) -> None:
    unmet = [case for check in sorted(matrix.checks())[::20] for case in spared(check, defect)]
    with closing(SimLab(matrix.SEED, defect)) as wrong, closing(SimLab(matrix.SEED)) as right:
        for case in unmet:
            assert matrix.run(case, wrong) == matrix.run(case, right)


def spared(check: str, defect: str) -> list[Case]:
    may = {case.node for case in matrix.may_meet(check, defect)}
    return [case for case in matrix.cases(check) if case.node not in may]


def test_a_matrix_with_a_missing_kill_or_a_check_that_kills_everything_is_at_fault() -> None:
    nothing = matrix.Finding(frozenset(), frozenset())
    everything = {
        check.id: matrix.Finding(frozenset(check.catches.values()), frozenset()) for check in matrix.checks().values()
    }
    first, *others = matrix.checks()
    one_kills_all = {(c, d): everything[c] if c == first else nothing for c in matrix.checks() for d in DEFECTS}
    wrong = matrix.faults(one_kills_all)
    assert any(line.startswith(f"{first} kills {len(DEFECTS)} of") for line in wrong)
    assert {line.partition(" ")[0] for line in wrong} == {first, *others}
