"""Two runs side by side: nothing is lost, nothing is told twice, and better is worse the other way round."""

from __future__ import annotations

import json
import random
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbcheck.errors import UsageError
from lbcheck.report.comparison import Kind, compared, headline, kind_of, lines, markdown, worst
from lbcheck.report.json import document
from lbcheck.report.model import CheckRecord, Environment, Run
from lbcheck.report.reading import read
from lbcheck.verdict import Outcome

from .sample_run import sample

pytestmark = pytest.mark.fast
NODES = st.sampled_from([f"ALG-0{number}[{pool}]" for number in range(1, 6) for pool in ("api", "web")])
OUTCOMES = st.sampled_from([outcome.value for outcome in Outcome])
CASES = st.dictionaries(NODES, OUTCOMES)


def run(cases: dict[str, str], version: str = "") -> Run:
    records = [CheckRecord(n.partition("[")[0], n, "a claim", "ALG", "core", o, reason="why") for n, o in cases.items()]
    return Run("gate", "", 0, Environment(target_version=version), records)


@given(CASES)
def test_a_run_is_like_itself(cases: dict[str, str]) -> None:
    comparison = compared(run(cases), run(cases))
    assert comparison.changes == ()
    assert comparison.setting == ()
    assert comparison.unchanged == len(cases)
    assert worst(comparison.changes) is None


@given(CASES, CASES)
def test_every_case_is_told_once_or_unchanged(before: dict[str, str], after: dict[str, str]) -> None:
    comparison = compared(run(before), run(after))
    told = [change.node for change in comparison.changes]
    assert len(told) == len(set(told))
    assert len(told) + comparison.unchanged == len({**before, **after})
    for change in comparison.changes:
        assert (change.before, change.after) == (before.get(change.node, ""), after.get(change.node, ""))
        assert change.before != change.after


@given(CASES, CASES, st.randoms(use_true_random=False))
def test_the_order_of_records_is_nothing(before: dict[str, str], after: dict[str, str], rng: random.Random) -> None:
    old, new = run(before), run(after)
    checks = list(new.checks)
    rng.shuffle(checks)
    assert compared(old, replace(new, checks=checks)) == compared(old, new)


@given(OUTCOMES, OUTCOMES)
def test_what_got_better_is_no_improvement_the_other_way_round(before: str, after: str) -> None:
    there, back = kind_of(before, after), kind_of(after, before)
    if there is Kind.BETTER:
        assert back in (Kind.WORSE, Kind.OPEN)
    if there is Kind.WORSE and before in ("holds", "stale"):
        assert back is Kind.BETTER
    assert (there is None) == (back is None)


@given(OUTCOMES)
def test_a_new_claim_that_is_broken_is_worse_and_one_that_is_gone_has_vanished(outcome: str) -> None:
    assert kind_of("", outcome) is (Kind.WORSE if outcome in ("broken", "known") else Kind.APPEARED)
    assert kind_of(outcome, "") is Kind.VANISHED


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        ("holds", "broken", Kind.WORSE),
        ("holds", "unsupported", Kind.WORSE),
        ("unsupported", "broken", Kind.WORSE),
        ("inconclusive", "broken", Kind.WORSE),
        ("holds", "inconclusive", Kind.OPEN),
        ("broken", "not run", Kind.OPEN),
        ("broken", "holds", Kind.BETTER),
        ("unsupported", "holds", Kind.BETTER),
        ("broken", "known", Kind.OTHER),
        ("holds", "stale", Kind.OTHER),
        ("broken", "unsupported", Kind.OTHER),
        ("unsupported", "inconclusive", Kind.OTHER),
    ],
)
def test_kinds(before: str, after: str, kind: Kind) -> None:
    assert kind_of(before, after) is kind


def test_it_reads_so() -> None:
    before = run({"ALG-01[api]": "holds", "ALG-02[api]": "broken", "ALG-03[web]": "holds"}, "2.6")
    after = run({"ALG-01[api]": "broken", "ALG-02[api]": "holds", "ALG-04[web]": "holds"}, "2.8")
    comparison = compared(before, after)
    assert lines(comparison) == [
        "target         2.6 -> 2.8",
        "WORSE  ALG-01[api]  a claim",
        "  holds -> broken: why",
        "BETTER  ALG-02[api]  a claim",
        "  broken -> holds",
        "VANISHED  ALG-03[web]  a claim",
        "  holds -> not there",
        "APPEARED  ALG-04[web]  a claim",
        "  not there -> holds",
        "1 worse, 1 better, 1 vanished, 1 appeared, 0 unchanged",
    ]
    rows = markdown(comparison).splitlines()
    assert rows[0] == "**1 worse, 1 better, 1 vanished, 1 appeared, 0 unchanged**"
    assert rows[4] == "| target | 2.6 | 2.8 |"
    assert rows[8] == r"| worse | ALG-01\[api\] | a claim | holds -> broken | why |"


@given(st.text(), st.text())
def test_no_text_from_outside_breaks_a_line_or_a_table(claim: str, reason: str) -> None:
    record = CheckRecord("ALG-01", "ALG-01[api]", claim, "ALG", "core", "broken", reason=reason)
    comparison = compared(run({}), replace(run({}), checks=[record]))
    assert all("\n" not in told for told in lines(comparison))
    row = markdown(comparison).split("\n")[-2]
    assert len(re.findall(r"\|", re.sub(r"\\[\\|]", "", row))) == 6
    assert "<" not in row


def test_a_run_is_read_back_as_it_was(tmp_path: Path) -> None:
    written = sample()
    (tmp_path / "run.json").write_text(document(written))
    again = read(tmp_path)
    assert document(again) == document(written)
    assert read(tmp_path / "run.json") == again
    assert headline(compared(written, again)) == f"nothing changed, {len(written.checks)} unchanged"


def test_what_other_versions_say_more_or_less_is_no_hindrance(tmp_path: Path) -> None:
    data = json.loads(document(sample()))
    data["novelty"] = data["checks"][0]["novelty"] = data["environment"]["novelty"] = 1
    del data["environment"]["warp"]
    (tmp_path / "run.json").write_text(json.dumps(data))
    assert read(tmp_path).environment.warp == 1


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"schema": "lbcheck-run/9"}', '{"schema": "lbcheck-run/1"}', "\xff"]
)
def test_what_is_no_run_is_refused_with_its_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match=r"run\.json"):
        read(tmp_path)
