"""Every way in which a check can end, as pytest, the exit code, the terminal, JUnit XML and the report tell it."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from .conftest import Project

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.slow

ENDS = [
    # check, outcome, exit code alone, in pytest's counts
    ("holds", "holds", 0, "1 passed"),
    ("broken", "broken", 1, "1 failed"),
    ("inconclusive", "inconclusive", 11, "1 inconclusive"),
    ("unsupported", "unsupported", 11, "1 skipped"),
    ("unsupported in the midst", "unsupported", 11, "1 skipped"),
    ("harness fault", "harness fault", 1, "1 error"),
    ("crash", "harness fault", 1, "1 error"),
    ("judge crash", "inconclusive", 11, "1 inconclusive"),
    ("died", "broken", 1, "1 failed"),
]


@pytest.mark.parametrize(("name", "outcome", "code", "counted"), ENDS, ids=[end[0] for end in ENDS])
def test_alone(project: Project, name: str, outcome: str, code: int, counted: str) -> None:
    project.own(name)
    result = project.run()
    assert list(project.outcomes().values()) == [outcome]
    assert result.ret == code
    assert project.record()["exit_code"] == code
    assert counted in result.stdout.lines[-1]


def test_side_by_side(project: Project) -> None:
    project.own(*(end[0] for end in ENDS))
    result = project.run()
    assert project.outcomes() == {f"OWN-0{n}[api]": end[1] for n, end in enumerate(ENDS, 1)}
    assert result.ret == 1
    assert "2 failed, 1 passed, 2 skipped, 2 errors, 2 inconclusive" in result.stdout.lines[-1]
    result.stdout.fnmatch_lines(
        [
            "outcomes  2 broken, 2 harness fault, 2 inconclusive, 2 unsupported, 1 holds",
            "  unsupported: the reference balancer takes literal addresses (OWN-04?api?)",
            "  inconclusive: a judge crashed: TypeError*",
            "report    reports/index.html",
            "NOT CONFORMANT: 2 broken, 2 at core unsupported",
        ]
    )


def test_a_failure_reads_as_promised(project: Project) -> None:
    project.own("broken")
    result = project.run("--lb-seed=7")
    only = "--lb-lab=sim '--lb-only=OWN-02?api?' --lb-seed=7"
    result.stdout.fnmatch_lines(
        [
            "BROKEN  OWN-02  A draining backend takes nothing new.   [[]core]",
            "  claimed   lb.yaml:10  deregistration_delay: 30s  (pool api)",
            "  expected  0 requests answered; saw 4 answered",
            "  evidence  reports/evidence/OWN-02-api/  history.jsonl  spec.json",
            f"  again     pytest --lb-target=reference --lb-spec=lb.yaml {only}",
        ],
        consecutive=True,
    )
    assert (project.pytester.path / "reports/evidence/OWN-02-api/history.jsonl").stat().st_size > 1000


def test_a_crash_shows_its_traceback(project: Project) -> None:
    project.own("crash")
    project.run().stdout.fnmatch_lines(["*the check itself crashed: ZeroDivisionError*", "*1 / 0*"])


def test_a_target_that_died_is_shown_with_its_log_in_the_report(project: Project) -> None:
    project.own("died")
    project.run()
    (judgement,) = project.record()["checks"][0]["judgements"]
    assert judgement["judgement"] == "target-alive"
    assert judgement["figures"]["log"] == "segmentation fault"


def test_held_verdicts_keep_their_evidence(project: Project) -> None:
    project.own("holds")
    project.run("--lb-evidence=on")
    (check,) = project.record()["checks"]
    assert [j["outcome"] for j in check["judgements"]] == ["holds"]
    assert check["evidence"] == ["evidence/OWN-01-api/history.jsonl", "evidence/OWN-01-api/spec.json"]
    assert check["timeline"]["lanes"] == ["a", "b"]


def test_evidence_off_writes_none(project: Project) -> None:
    project.own("broken")
    project.run("--lb-evidence=off")
    assert not (project.pytester.path / "reports" / "evidence").exists()


def test_junit_knows_the_claim_and_every_outcome(project: Project) -> None:
    project.own("holds", "broken", "inconclusive", "unsupported", "harness fault")
    project.run("--junitxml=junit.xml")
    cases = {case.get("name"): case for case in ET.parse(project.pytester.path / "junit.xml").iter("testcase")}
    told = {name: [child.tag for child in case if child.tag != "properties"] for name, case in cases.items()}
    assert told == {
        "OWN-01[api]": [],
        "OWN-02[api]": ["failure"],
        "OWN-03[api]": ["skipped"],
        "OWN-04[api]": ["skipped"],
        "OWN-06[api]": ["error"],
    }
    properties = {p.get("name"): p.get("value") for p in cases["OWN-03[api]"].iter("property")}
    assert properties == {
        "check": "OWN-03",
        "claim": "The share is right.",
        "level": "core",
        "subject": "pool api",
        "claimed_at": "lb.yaml:9",
        "outcome": "inconclusive",
    }


def test_every_junit_case_has_its_outcome(project: Project) -> None:
    project.own("holds", "broken", "inconclusive", "unsupported", "harness fault")
    project.run("--junitxml=junit.xml")
    outcomes = {
        case.get("name"): {p.get("name"): p.get("value") for p in case.iter("property")}["outcome"]
        for case in ET.parse(project.pytester.path / "junit.xml").iter("testcase")
    }
    assert outcomes == project.outcomes()


@pytest.mark.parametrize(
    ("names", "words", "code"),
    [
        (["holds", "inconclusive"], [], 12),
        (["holds", "inconclusive"], ["--lb-strict"], 1),
        (["holds", "inconclusive"], ["--lb-exit-codes=pytest"], 1),
        (["holds", "unsupported"], [], 0),
        (["holds", "unsupported"], ["--lb-strict"], 1),
        (["inconclusive"], ["--lb-strict"], 11),
        (["inconclusive"], ["--lb-exit-codes=pytest"], 5),
        (["holds"], ["--lb-strict"], 0),
    ],
)
def test_strictness_and_folding(project: Project, names: list[str], words: list[str], code: int) -> None:
    project.own(*names)
    assert project.run(*words).ret == code


def test_strict_is_the_default_in_ci(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.own("holds", "inconclusive")
    monkeypatch.setenv("CI", "true")
    assert project.run().ret == 1
    assert project.run("--lb-no-strict").ret == 12


def test_x_stops_and_what_is_left_is_not_run(project: Project) -> None:
    project.own("broken", "holds")
    result = project.run("-x")
    assert result.ret == 1
    assert project.outcomes() == {"OWN-02[api]": "broken", "OWN-01[api]": "not run"}


def test_last_failed_and_keywords_work_as_ever(project: Project) -> None:
    project.own("holds", "broken")
    project.run()
    project.run("--lf")
    assert project.outcomes() == {"OWN-02[api]": "broken"}
    result = project.run("-k", "OWN-01")
    assert project.outcomes() == {"OWN-01[api]": "holds"}
    assert result.ret == 0
    result.stdout.fnmatch_lines(["KEPT: 1 claim of a selection (no word on conformance)"])


def test_only_and_skip(project: Project) -> None:
    project.own("holds", "broken", "inconclusive")
    project.run("--lb-only=OWN-01,OWN-03[api]")
    assert list(project.outcomes()) == ["OWN-01[api]", "OWN-03[api]"]
    project.run("--lb-skip=*-02")
    assert list(project.outcomes()) == ["OWN-01[api]", "OWN-03[api]"]


def test_nothing_selected_is_never_green(project: Project) -> None:
    project.own("holds")
    assert project.run("--lb-only=XYZ").ret == 5


# --- limits ----------------------------------------------------------------------------------------------------------


def test_a_check_that_never_ends_is_given_up_and_the_run_goes_on(project: Project) -> None:
    project.own("hangs", "holds")
    result = project.run("--lb-budget=2s")
    assert project.outcomes() == {"OWN-10[api]": "inconclusive", "OWN-01[api]": "not run"}
    assert result.ret == 11
    result.stdout.fnmatch_lines(
        ["  inconclusive: given up: it did not end within its hard limit*", "  not run: the budget*"]
    )


def test_what_does_not_fit_into_the_budget_is_listed_as_not_run(project: Project) -> None:
    project.own("holds")
    result = project.run("--lb-budget=100ms")
    assert project.outcomes() == {"OWN-01[api]": "not run"}
    assert result.ret == 11


# --- baseline --------------------------------------------------------------------------------------------------------

BASELINE = "version: 1\nknown: [{check: %s, reason: ticket 4711, expires: %s}]"


def test_known_is_an_expected_failure(project: Project) -> None:
    project.own("holds", "broken")
    (project.pytester.path / "known.yaml").write_text(BASELINE % ("OWN-02", "2999-01-01"))
    result = project.run("--lb-baseline=known.yaml")
    assert result.ret == 0
    assert "1 passed, 1 xfailed" in result.stdout.lines[-1]
    assert project.outcomes()["OWN-02[api]"] == "known"
    result.stdout.fnmatch_lines(
        ["  known: ticket 4711 (until 2999-01-01) (OWN-02?api?)", "NOT CONFORMANT: 1 broken and known"]
    )


def test_stale_fails(project: Project) -> None:
    project.own("holds")
    (project.pytester.path / "known.yaml").write_text(BASELINE % ("OWN-01", "2999-01-01"))
    result = project.run("--lb-baseline=known.yaml")
    assert result.ret == 13
    assert "1 failed" in result.stdout.lines[-1]
    result.stdout.fnmatch_lines(["STALE  OWN-01*", "*remove 'OWN-01' (ticket 4711)*"])
    assert project.run("--lb-baseline=known.yaml", "--lb-strict").ret == 1


def test_an_expired_excuse_is_none(project: Project) -> None:
    project.own("broken")
    (project.pytester.path / "known.yaml").write_text(BASELINE % ("OWN-02", "2020-01-01"))
    result = project.run("--lb-baseline=known.yaml")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["BROKEN  OWN-02*", "*expired on 2020-01-01*"])


def test_an_update_makes_the_next_run_green(project: Project) -> None:
    project.own("holds", "broken")
    assert project.run("--lb-baseline=known.yaml", "--lb-baseline-update").ret == 1
    assert project.run("--lb-baseline=known.yaml").ret == 0
    project.own("holds")
    (project.pytester.path / "known.yaml").write_text(BASELINE % ("OWN-01", "2999-01-01"))
    assert project.run("--lb-baseline=known.yaml", "--lb-baseline-update").ret == 13
    assert project.run("--lb-baseline=known.yaml").ret == 0


# --- the plan --------------------------------------------------------------------------------------------------------


def test_collect_only_prints_the_plan_and_starts_nothing(project: Project) -> None:
    project.own("holds", "unsupported")
    result = project.run("--collect-only")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "plan: 2 checks on 2 subjects, 1 to run in about 0 s, 1 unsupported; nothing is started",
            "*OWN-01?api?  Backends take turns.  ?core?  0.5 s",
            "*OWN-04?api?*unsupported: the reference balancer takes literal addresses",
        ]
    )
    assert not (project.pytester.path / "reports").exists()
