"""The run in a few lines of text."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from lbcheck.report import summary
from lbcheck.report.model import CheckRecord, Coverage, Directive, Environment, Judgement, Part, Run
from lbcheck.verdict import Outcome

from .hostile_run import HOSTILE, hostile
from .sample_run import gate, sample

DRAIN = CheckRecord(
    "FLO-09", "FLO-09[api]", "A draining backend finishes what it has and takes nothing new.", "FLO", "core", "broken",
    subject="pool api", claimed="deregistration_delay: 30s", claimed_at="lb.yaml:31",
    judgements=[
        Judgement("in_flight_finishes", "holds", "nothing", "nothing"),
        Judgement("none_cut", "broken", "0 of 40 requests in flight cut", "7 cut by reset, the first after 0.03 s"),
    ],
    evidence=["evidence/FLO-09-api/history.jsonl", "evidence/FLO-09-api/target.log"],
    again="pytest --lb-target=haproxy --lb-only=FLO-09 --lb-seed=7",
)  # fmt: skip


def run_of(*outcomes: str, mode: str = "gate", headline: str = "", exit_code: int = 0, core: bool = True) -> Run:
    records = [
        CheckRecord(f"ALG-{n:02}", f"ALG-{n:02}[a]", "c", "ALG", "core", o, core=core) for n, o in enumerate(outcomes)
    ]
    return Run(mode, headline, exit_code, Environment(), records)


def test_a_failure_reads_as_promised() -> None:
    assert summary.failure(DRAIN, "reports/").splitlines() == [
        "BROKEN  FLO-09  A draining backend finishes what it has and takes nothing new.   [core]",
        "  claimed   lb.yaml:31  deregistration_delay: 30s  (pool api)",
        "  expected  0 of 40 requests in flight cut; saw 7 cut by reset, the first after 0.03 s",
        "  evidence  reports/evidence/FLO-09-api/  history.jsonl  target.log",
        "  again     pytest --lb-target=haproxy --lb-only=FLO-09 --lb-seed=7",
    ]


def test_a_failure_cannot_move_the_cursor() -> None:
    texts: dict[str, Any] = {f.name: HOSTILE for f in dataclasses.fields(CheckRecord) if f.type == "str"}
    told = summary.failure(
        CheckRecord(**texts, judgements=[Judgement(HOSTILE, "broken", HOSTILE, HOSTILE)], evidence=[HOSTILE])
    )
    assert not set(told) & {"\x1b", "\r", "\x07", "\x00", "\u202e", "\ud800"}
    assert len(told.splitlines()) == 7 + 1


@pytest.mark.parametrize(
    ("headline", "said"),
    [
        ("CONFORMANT at core", "Self-consistent: 2 of 3 claims kept"),
        ("", "Self-consistent: 2 of 3 claims kept"),
        ("the file does what it says", "the file does what it says"),
    ],
)
def test_a_self_consistency_run_is_never_called_conformant(headline: str, said: str) -> None:
    assert (
        summary.headline(run_of("holds", "holds", "inconclusive", mode="self-consistency", headline=headline)) == said
    )


def test_a_headline_is_left_as_it_is_elsewhere() -> None:
    assert summary.headline(run_of("holds", headline="CONFORMANT at core")) == "CONFORMANT at core"
    broken = run_of("holds", "broken", mode="self-consistency", headline="NOT CONFORMANT")
    assert summary.headline(broken) == "Not self-consistent: 1 of 2 claims kept"


@pytest.mark.parametrize(
    ("run", "tone"),
    [
        (run_of("holds"), "holds"),
        (run_of("holds", "known"), "holds"),
        (run_of("holds", "broken", "inconclusive", exit_code=1), "broken"),
        (run_of("holds", "stale", exit_code=13), "broken"),
        (run_of("holds", "inconclusive", exit_code=12), "undecided"),
        (run_of("holds", "harness fault"), "undecided"),
        (run_of("holds", "not run"), "undecided"),
        (run_of("holds", exit_code=10), "undecided"),
        (run_of(), "undecided"),
        (run_of("unsupported"), "undecided"),
        (run_of("holds", "unsupported"), "gap"),
        (run_of("holds", "unsupported", core=False), "holds"),
    ],
)
def test_the_tone_of_a_run(run: Run, tone: str) -> None:
    assert summary.tone(run) == tone


def test_counts_are_told_heaviest_first() -> None:
    assert summary.counts_line(sample()) == "2 broken, 1 inconclusive, 2 unsupported, 1 known, 11 holds"
    assert summary.counts_line(run_of()) == "no check"


def test_reasons_are_grouped() -> None:
    lacking = dataclasses.replace(DRAIN, outcome="unsupported", features=["drain"], judgements=[])
    other = dataclasses.replace(lacking, node="FLO-10[api]")
    groups = summary.by_reason([lacking, other, DRAIN], Outcome.UNSUPPORTED)
    assert [(reason, [record.node for record in records]) for reason, records in groups] == [
        ("the target lacks drain", ["FLO-09[api]", "FLO-10[api]"])
    ]
    assert summary.why(dataclasses.replace(DRAIN, judgements=[])) == "no reason was recorded"
    assert summary.why(DRAIN).startswith("7 cut by reset")


def test_plurals() -> None:
    assert [summary.plural(n, "claim") for n in (0, 1, 1000)] == ["0 claims", "1 claim", "1,000 claims"]


def test_what_the_configuration_could_not_say_is_told_with_its_checks() -> None:
    one, two, three = (
        CheckRecord(f"HLT-{n:02}", f"HLT-{n:02}[a]", "c", "HLT", "core", "holds", left_out=texts)
        for n, texts in enumerate((["pools.a.x: no"], [], ["pools.b.x: no", "pools.a.x: no"]))
    )
    assert summary.left_out([one, two, three]) == [("pools.a.x: no", [one, three]), ("pools.b.x: no", [three])]


def test_a_failure_of_the_gate_names_the_directive_and_what_differs() -> None:
    (failure,) = [record for record in gate().checks if record.id == "ALG-02"]
    lines = summary.failure(failure).splitlines()
    assert lines[2] == "  directive lb.cfg:12  spread random"
    assert lines[3] == "  through   lb.cfg:13  spread with care"
    assert lines[4].startswith("  differs   lb.yaml:9 says algorithm: weighted_round_robin; lb.cfg:12 says")


def test_coverage_in_short() -> None:
    assert summary.coverage_lines(gate()) == [
        "coverage  sent to: listeners 1 of 1, rules 0 of 1, defaults 1 of 1, pools 1 of 2",
        "  nothing was sent to rule public/10 (lb.yaml:7), but by checks that decided nothing: HLT-07",
        "  nothing was sent to pool cold (lb.yaml:20)",
        "coverage  4 directives: 2 exercised, 1 not exercised, 1 no effect",
        "  not exercised: lb.cfg:3: compress all  (lb.yaml cannot say it: answers are compressed)",
    ]
    assert summary.coverage_lines(sample()) == []


def test_where_nothing_was_decided_one_line_says_so() -> None:
    nothing = Coverage([Part("pools.api", "pool")], [Directive("lb.cfg:1", "listen", "not exercised")])
    (told,) = summary.coverage_lines(dataclasses.replace(sample(), coverage=nothing))
    assert told.startswith("coverage  nothing was exercised")


def test_a_long_list_says_what_it_leaves_to_the_report() -> None:
    parts = [Part("pools.api", "pool", checks=["ALG-01"]), *(Part(f"pools.p{n}", "pool") for n in range(20))]
    lines = summary.coverage_lines(dataclasses.replace(sample(), coverage=Coverage(parts, unread="why")), most=3)
    assert lines[1:] == [
        *(f"  nothing was sent to pool p{n}" for n in range(3)),
        "  nothing was sent to 17 more, which the report lists",
        "coverage  of the configuration is not known: why",
    ]


def test_differences_in_short() -> None:
    assert summary.difference_lines(gate()) == [
        "differs   1 field of the spec, and 1 by default (a note, no verdict)",
        "  lb.yaml:9 says algorithm: weighted_round_robin; lb.cfg:12 says algorithm: random",
    ]


def test_coverage_cannot_move_the_cursor() -> None:
    told = "\n".join([*summary.coverage_lines(hostile()), *summary.difference_lines(hostile())])
    assert not set(told) & {"\x1b", "\r", "\x07", "\x00", "\u202e", "\ud800"}
