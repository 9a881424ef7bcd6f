"""Exit codes and headlines, from tallies alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbcheck.plugin.exit_codes import Exit, Tally, exit_code, headline, tally_of
from lbcheck.report.model import CheckRecord
from lbcheck.verdict import Outcome

pytestmark = pytest.mark.fast


def tally(never_ready: bool = False, others_failed: bool = False, core_unsupported: int = 0, **counts: int) -> Tally:
    named = {Outcome[name.upper()]: n for name, n in counts.items()}
    return Tally(named, core_unsupported=core_unsupported, never_ready=never_ready, others_failed=others_failed)


CASES = [
    # pytest's own, what came out, gently, strictly
    (0, tally(holds=3), 0, 0),
    (0, tally(holds=3, unsupported=1), 0, 0),
    (0, tally(holds=3, unsupported=1, core_unsupported=1), 0, 1),
    (0, tally(holds=3, known=1), 0, 0),
    (1, tally(holds=3, broken=1), 1, 1),
    (1, tally(holds=3, harness_fault=1), 1, 1),
    (1, tally(holds=3, broken=1, stale=1, inconclusive=1), 1, 1),
    (1, tally(holds=3, stale=1, inconclusive=1), 13, 1),
    (0, tally(holds=3, inconclusive=1), 12, 1),
    (0, tally(holds=3, not_run=1), 12, 1),
    (0, tally(inconclusive=2), 11, 11),
    (0, tally(unsupported=2), 11, 11),
    (5, tally(), 11, 11),
    (1, tally(inconclusive=1, never_ready=True), 10, 10),
    (2, tally(broken=1), 2, 2),
    (3, tally(holds=1), 3, 3),
    (4, tally(), 4, 4),
    (1, tally(holds=1, others_failed=True), 1, 1),
]


@pytest.mark.parametrize(("pytest_code", "came", "gentle", "strict"), CASES)
def test_codes(pytest_code: int, came: Tally, gentle: int, strict: int) -> None:
    assert exit_code(came, pytest_code, strict=False) == gentle
    assert exit_code(came, pytest_code, strict=True) == strict


counts = st.dictionaries(st.sampled_from(list(Outcome)), st.integers(0, 3))


@given(counts, st.booleans(), st.booleans())
def test_a_run_that_decides_nothing_is_never_green(found: dict[Outcome, int], never: bool, strict: bool) -> None:
    came = Tally(found, never_ready=never)
    if not came.decided:
        assert exit_code(came, 0, strict=strict) != 0
        assert "CONFORMANT" not in headline(came, levels="core")


@given(counts, st.integers(0, 5), st.booleans(), st.booleans())
def test_folded_codes_are_pytests_own(found: dict[Outcome, int], code: int, never: bool, strict: bool) -> None:
    came = Tally(found, never_ready=never)
    folded = exit_code(came, code, strict=strict, style="pytest")
    assert folded in range(6)
    assert (folded == 0) == (exit_code(came, code, strict=strict) == 0)


@given(counts, st.booleans())
def test_conformant_is_said_only_of_what_was_decided_and_kept(found: dict[Outcome, int], narrowed: bool) -> None:
    came = Tally(found, narrowed=narrowed)
    said = headline(came, levels="core")
    if said.startswith("CONFORMANT"):
        assert came.n(Outcome.HOLDS)
        assert not narrowed
        assert not came.n(*(set(Outcome) - {Outcome.HOLDS, Outcome.UNSUPPORTED}))
        assert exit_code(came, 0, strict=True) == 0


def record(outcome: Outcome, level: str) -> CheckRecord:
    return CheckRecord("X-1", f"X-1[{outcome.name}]", "", "X", level, outcome.value, core=level == "core")


@pytest.mark.parametrize(
    ("records", "said"),
    [
        ([record(Outcome.HOLDS, "core")], "CONFORMANT at extended"),
        (
            [record(Outcome.HOLDS, "core"), record(Outcome.BROKEN, "core")],
            "NOT CONFORMANT: 1 broken",
        ),
        (
            [record(Outcome.HOLDS, "core"), record(Outcome.BROKEN, "extended")],
            "NOT CONFORMANT: 1 broken (core is kept)",
        ),
        (
            [record(Outcome.HOLDS, "core"), record(Outcome.UNSUPPORTED, "core")],
            "NOT CONFORMANT: 1 at core unsupported",
        ),
        (
            [record(Outcome.HOLDS, "core"), record(Outcome.UNSUPPORTED, "extended")],
            "CONFORMANT at extended (1 unsupported beyond core)",
        ),
        (
            [record(Outcome.HOLDS, "core"), record(Outcome.INCONCLUSIVE, "core")],
            "UNDECIDED: 1 inconclusive; 1 kept",
        ),
        ([record(Outcome.INCONCLUSIVE, "core")], "NOTHING DECIDED: no check was decided (1 inconclusive)"),
    ],
)
def test_headlines(records: list[CheckRecord], said: str) -> None:
    assert headline(tally_of(records), levels="extended") == said


def test_a_selection_says_nothing_on_conformance() -> None:
    said = headline(tally_of([record(Outcome.HOLDS, "core")], narrowed=True), levels="core")
    assert said == "KEPT: 1 claim of a selection (no word on conformance)"


def test_never_ready_comes_first() -> None:
    assert exit_code(tally(broken=1, never_ready=True), 1, strict=True) == Exit.NEVER_READY
