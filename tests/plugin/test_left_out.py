"""What a target's configuration could not say is told where the claims are."""

from __future__ import annotations

import pytest

from lbcheck.plugin.terminal import closing_lines
from lbcheck.report.html import page
from lbcheck.report.model import CheckRecord, Environment, Run

pytestmark = pytest.mark.fast

REASON = "HAProxy has no word for it before 3.1"


def run_with(*left_out: list[str]) -> Run:
    records = [
        CheckRecord(f"HLT-{n:02}", f"HLT-{n:02}[health/web]", "c", "HLT", "core", "holds", left_out=texts)
        for n, texts in enumerate(left_out)
    ]
    return Run("battery", "CONFORMANT at core", 0, Environment(), records)


def test_the_terminal_tells_each_reason_once() -> None:
    run = run_with([f"pools.a.health_check.initial: {REASON}"], [], [f"pools.b.health_check.initial: {REASON}"])
    assert closing_lines(run, 0)[1:] == [
        f"  left out of the target's configuration: {REASON} (HLT-00[health/web], HLT-02[health/web])"
    ]
    assert len(closing_lines(run_with([], []), 0)) == 1


def test_the_claim_sheet_and_the_check_tell_it() -> None:
    text = page(run_with([f"pools.a.health_check.initial: {REASON}"], []))
    sheet = text[text.index('id="claims-title"') :]
    assert "What the target's configuration could not say</h3>" in sheet
    assert sheet.count(REASON) == 1
    assert text.count(REASON) == 2
    assert "could not say</h3>" not in page(run_with([], []))
