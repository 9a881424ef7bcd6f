"""What a pipeline reads after a run: SARIF, GitHub's step summary, conformance.yaml, and how much evidence is kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from lbcheck.plugin.outputs import folders
from lbcheck.plugin.settings import Settings

from .conftest import Project

pytest_plugins = ["pytester"]


def test_a_run_leaves_what_a_pipeline_reads(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    summary = project.pytester.path / "step.md"
    summary.write_text("of an earlier step\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    project.own("holds", "broken")
    result = project.run("--lb-sarif=out/lbcheck.sarif")
    assert result.ret == 1
    (run,) = json.loads((project.pytester.path / "out" / "lbcheck.sarif").read_text())["runs"]
    assert [found["ruleId"] for found in run["results"]] == ["OWN-02"]
    place = run["results"][0]["locations"][0]["physicalLocation"]
    assert (place["artifactLocation"]["uri"], place["region"]) == ("lb.yaml", {"startLine": 10})
    told = summary.read_text()
    assert told.startswith("of an earlier step\n## ❌ lbcheck: NOT CONFORMANT: 1 broken")
    assert "### broken: `OWN-02[api]`" in told
    said = yaml.safe_load((project.pytester.path / "reports" / "conformance.yaml").read_text())
    assert [(level["name"], level["result"], level["broken"]) for level in said["levels"]] == [
        ("core", "failure", ["OWN-02[api]"])
    ]
    result.stdout.fnmatch_lines(["report    reports/conformance.yaml", "report    out/lbcheck.sarif"])


def test_with_workers_one_process_writes_them_once(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    summary = project.pytester.path / "step.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    project.own("holds", "broken")
    project.run("-n", "2", "--lb-sarif=lbcheck.sarif", "--junitxml=junit.xml")
    assert summary.read_text().count("## ❌ lbcheck") == 1
    assert (project.pytester.path / "lbcheck.sarif").is_file()
    assert 'name="outcome" value="broken"' in (project.pytester.path / "junit.xml").read_text()


def test_a_summary_that_cannot_be_written_is_told_and_fails_the_run(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(project.pytester.path))
    project.own("holds")
    result = project.run()
    assert result.ret == pytest.ExitCode.INTERNAL_ERROR
    result.stdout.fnmatch_lines(["report    could not be written: *"])


def test_evidence_beyond_the_limit_is_told(project: Project) -> None:
    project.own("broken")
    result = project.run("--lb-evidence-limit=10K")
    result.stdout.fnmatch_lines(
        ["  evidence  left out: the run's evidence has reached its limit of 10K (--lb-evidence-limit)"]
    )
    (check,) = project.record()["checks"]
    assert check["evidence"] == []
    assert not (project.pytester.path / "reports" / "evidence").exists()


def test_a_size_that_is_none_is_refused(project: Project) -> None:
    result = project.run("--lb-evidence-limit=much")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--lb-evidence-limit: expected a size such as 64M or 1G, got 'much'*"])


def test_the_folders_of_what_is_written_at_the_end(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    settings = Settings("reference", report_dir=tmp_path / "reports", sarif=tmp_path / "out" / "lb.sarif")
    told = {"GITHUB_STEP_SUMMARY": str(tmp_path / "step.md")}
    assert folders(settings, told) == [tmp_path / "reports", tmp_path / "out", tmp_path]
    assert (tmp_path / "reports").is_dir()
    assert folders(Settings("reference", report_dir=tmp_path / "reports"), {}) == [tmp_path / "reports"]
