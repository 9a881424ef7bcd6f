"""Slow start declared for every pool of the battery: no check blames the correct reference for a ramp."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from lbcheck.lab.sim import SimLab
from lbcheck.plugin.plan import Case

from . import matrix, twins

RAMP_S = 20.0


def starting_slowly(check_id: str) -> Iterator[Case]:
    """The cases of a check that it still has when all their pools start slowly."""
    for case in matrix.cases(check_id):
        if case.subject.kind != "pool" or case.subject.value.slow_start:
            continue
        spec = replace(case.spec, pools=tuple(replace(pool, slow_start=RAMP_S) for pool in case.spec.pools))
        pool, subjects = spec.pool(case.subject.name), case.check.subject
        if subjects.where(pool) and subjects.within(spec, pool):
            yield replace(case, spec=spec, subject=replace(case.subject, value=pool))


@pytest.mark.slow
@pytest.mark.parametrize("area", ["ALG", "FLO", "HLT", "STK"])
def test_nobody_is_blamed_for_a_ramp(area: str) -> None:
    cases = [case for name in matrix.checks() if name.startswith(area) for case in starting_slowly(name)]
    lab = SimLab(matrix.SEED)
    try:
        wrong = [told for case in cases for told in twins.run(case, lab).wrong]
    finally:
        lab.close()
    assert len(cases) > 10
    assert wrong == []
