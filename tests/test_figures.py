"""What the documentation says of chance and time is what the code does, and chance stays within its bounds."""

from __future__ import annotations

import re

import pytest

from lbcheck.judges.statistics import ALPHA
from lbcheck.spec.model import Pool
from lbcheck.verdict import Verdict
from tests import figures, matrix


def test_the_page_is_up_to_date() -> None:
    text = figures.PAGE.read_text()
    assert figures.page(text) == text, "docs/verdicts.md is stale: run `make verdicts`"


def test_a_judgement_stays_below_alpha_and_the_battery_below_its_total() -> None:
    alphas = [figure.alpha for _, figure in figures.figures()]
    assert max(alphas) <= ALPHA
    assert sum(alphas) <= 1e-4


def judgements(check: str) -> list[Verdict]:
    """Every verdict of a check on its subjects, on the correct reference."""
    found = []
    for case in matrix.cases(check):
        lab = matrix.SimLab(matrix.SEED)
        verdicts, error = matrix.run(case, lab)
        lab.close()
        assert error is None
        found += verdicts
    return found


STATISTICAL = sorted({case.check.id for case, _ in figures.figures()})


@pytest.mark.slow
@pytest.mark.parametrize("check", STATISTICAL)
def test_what_is_promised_is_what_is_judged(check: str) -> None:
    promised = {(f.judgement, f.n) for case, f in figures.figures() if case.check.id == check}
    names = {name for name, _ in promised}
    seen = [v for v in judgements(check) if v.judgement in names]
    assert {v.judgement for v in seen} == names
    for verdict in seen:
        n = verdict.figures.get("most", verdict.figures.get("n"))
        known = [most for name, most in promised if name == verdict.judgement]
        assert n is None or any(n <= most for most in known), f"{verdict.judgement} takes {n}, the card says {known}"


@pytest.mark.slow
@pytest.mark.parametrize("check", sorted(matrix.checks()))
def test_a_verdict_with_an_alpha_is_on_its_card(check: str) -> None:
    named = {f.judgement for case, f in figures.figures() if case.check.id == check}
    chance = {v.judgement for v in judgements(check) if "alpha" in v.figures}
    assert chance <= named, f"{check}: say figures= for {sorted(chance - named)}"


def test_detection_bounds_stand_in_the_table() -> None:
    table = figures.times_table()
    for check, case in figures.timed():
        row = next(line for line in table.splitlines() if line.startswith(f"| {case.node} |"))
        pool = case.subject.value
        if isinstance(pool, Pool) and pool.health_check is not None:
            earliest, latest = pool.health_check.detection()
            assert f"| {earliest:g} to {latest:g} s |" in row
        assert re.search(r"\d s", row), check.id
