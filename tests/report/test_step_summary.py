"""The summary of a GitHub step: short, bounded, and nothing in it is taken for Markdown or HTML."""

from __future__ import annotations

import dataclasses
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbcheck.report.model import CheckRecord, Environment, Run
from lbcheck.report.step_summary import LIMIT, markdown

from .hostile_run import hostile
from .sample_run import gate, record, sample

pytestmark = pytest.mark.fast

CODE = re.compile(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)")  # a code span


def test_it_tells_the_verdict_the_failures_and_the_coverage() -> None:
    text = markdown(gate(), "The whole report is reports/index.html.")
    assert text.startswith("## ❌ lbcheck: NOT CONFORMANT: 2 claims broken\n")
    assert "| broken | 2 |" in text
    assert "- directive: `lb.cfg:12` `spread random`" in text
    assert "### broken: `ALG-02[weights/api]` Weighted round robin shares each cycle exactly by weight." in text
    assert "- coverage  4 directives: 2 exercised, 1 not exercised, 1 no effect" in text
    assert text.endswith("The whole report is reports/index.html.\n")
    assert "coverage" not in markdown(sample())


@pytest.mark.parametrize("run", [hostile(), hostile("x" * 1_000_000), hostile("```\n</details>|a|" * 500)])
def test_hostile_text_stays_text_and_bounded(run: Run) -> None:
    text = markdown(run)
    assert len(text.encode(errors="backslashreplace")) <= LIMIT
    assert set(re.findall(r"</?([a-z]+)", CODE.sub("", text))) <= {"details", "summary"}


def test_what_is_left_out_is_told() -> None:
    many = dataclasses.replace(
        sample(), checks=[record("ALG-01", "c" * 200, "broken", subject=f"s/{n}") for n in range(900)]
    )
    text = markdown(many)
    assert "875 more failures are in the report." in text
    long = [record("ALG-01", "c", "inconclusive", subject=f"s/{n}", reason=f"{n}" + "ü" * 300) for n in range(900)]
    assert "more reasons, in the report" in markdown(dataclasses.replace(sample(), checks=long))


@given(st.text(alphabet="`|\\<>*_[]()a\n", max_size=40))
def test_no_text_breaks_a_table_or_a_code_span(text: str) -> None:
    found = markdown(
        Run("gate", "", 1, Environment(), [CheckRecord(text, text, text, "ALG", "core", "unsupported", reason=text)])
    )
    rows = [line for line in found.splitlines() if line.startswith("| ")]
    assert all(row.count("|") == 3 for row in rows)
