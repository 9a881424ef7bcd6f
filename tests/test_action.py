"""The action in the repository and the workflow that `lbcheck init` writes, their steps run as a runner runs them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from lbcheck.cli import main
from lbcheck.importation import WORKFLOW
from tests.plugin.samples import SPEC
from tests.plugin.test_gate import CONFIG
from tests.ports import free_ports
from tests.runner import Job, inputs_of, run_action, run_steps

ACTION = Path(__file__).parent.parent / "action.yml"
INSTALL = "Install lbcheck"
DOCTOR = "What this machine can carry"


def action() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(ACTION.read_text(encoding="utf-8"))
    return found


def environment(folder: Path, **more: str) -> dict[str, str]:
    """A runner's: `python` is this one, and knows this lbcheck."""
    tools = folder / "tools"
    tools.mkdir(exist_ok=True)
    (tools / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (tools / "python").chmod(0o755)
    foreign = ("LBCHECK_", "PYTEST_", "GITHUB_", "INPUT_")
    own = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    here = {"PATH": f"{tools}:{own['PATH']}", "PYTHONPATH": str(ACTION.parent), "CI": "true"}
    return own | here | more


def judged(folder: Path, **given: str) -> Job:
    inputs = {"target": "reference", "arguments": "--lb-lab=sim --lb-only=ALG-01"} | {
        name.replace("_", "-"): value for name, value in given.items()
    }
    return run_action(ACTION, inputs, folder, environment(folder), skip=[INSTALL, DOCTOR])


# --- what stands in the file -----------------------------------------------------------------------------------------


@pytest.mark.fast
def test_no_input_is_written_into_a_script() -> None:
    for step in action()["runs"]["steps"]:
        assert "${{" not in step.get("run", ""), step["name"]
        assert "run" not in step or step["shell"] == "bash"


@pytest.mark.fast
def test_every_input_is_used_and_described_and_every_other_action_has_a_version() -> None:
    text, found = ACTION.read_text(encoding="utf-8"), action()
    assert all(f"inputs.{name}" in text and about["description"] for name, about in found["inputs"].items())
    assert set(re.findall(r"inputs\.([\w-]+)", text)) == set(found["inputs"])
    assert all(re.fullmatch(r"[\w./-]+@v[0-9]+", step["uses"]) for step in found["runs"]["steps"] if "uses" in step)
    steps = {step.get("id") for step in found["runs"]["steps"]}
    assert set(re.findall(r"steps\.([\w-]+)", text)) <= steps


@pytest.mark.fast
def test_inputs_that_are_missing_or_unknown_are_told() -> None:
    with pytest.raises(ValueError, match="target"):
        inputs_of(action(), {})
    with pytest.raises(ValueError, match="colour"):
        inputs_of(action(), {"target": "reference", "colour": "red"})


# --- runs ------------------------------------------------------------------------------------------------------------


def test_a_run_that_keeps_its_claims(tmp_path: Path) -> None:
    job = judged(tmp_path)
    assert not job.failed, job.said
    assert job.outputs["judge"]["exit-code"] == "0"
    assert job.outputs["judge"]["headline"].startswith("KEPT: ")
    assert "## ✅ lbcheck: KEPT" in job.summary
    for name in ("index.html", "run.json", "conformance.yaml", "lbcheck.sarif", "junit.xml"):
        assert (tmp_path / "reports" / name).is_file()
    assert job.used == [
        ("actions/setup-python@v5", {"python-version": "3.11"}),
        ("actions/upload-artifact@v4", {"name": "lbcheck-reports", "path": "reports"}),
    ]


def test_a_run_that_breaks_one_fails_the_job_and_keeps_its_report(tmp_path: Path) -> None:
    arguments = "--lb-lab=sim --lb-only=ALG-01 --lb-defect=turn-skipped"
    job = judged(tmp_path, arguments=arguments, code_scanning="true", report_dir="out", python_version="")
    assert job.failed
    assert job.outputs["judge"]["exit-code"] == "1"
    assert "### broken: `ALG-01[" in job.summary
    assert job.used == [
        ("actions/upload-artifact@v4", {"name": "lbcheck-reports", "path": "out"}),
        ("github/codeql-action/upload-sarif@v3", {"sarif_file": "out/lbcheck.sarif", "category": "lbcheck-reference"}),
    ]


def test_words_are_taken_as_a_shell_takes_them_and_never_run(tmp_path: Path) -> None:
    (tmp_path / "my specs").mkdir()
    (tmp_path / "my specs" / "lb.yaml").write_text(SPEC)
    given = "--lb-lab=sim '--lb-only=ALG-01[api]' \"-k ALG-01 and not $(touch ran)\" `touch ran`"
    job = judged(tmp_path, spec="my specs/lb.yaml", arguments=given)
    assert not (tmp_path / "ran").exists()
    assert job.outputs["judge"]["exit-code"] == "4"  # `touch and ran` are no files of tests
    assert not judged(tmp_path, spec="my specs/lb.yaml", arguments="--lb-lab=sim '--lb-only=ALG-01[api]'").failed


def test_an_unmatched_quote_fails_the_step(tmp_path: Path) -> None:
    job = judged(tmp_path, arguments="--lb-only='ALG-01")
    assert job.failed
    assert "unmatched" in job.said


def test_what_cannot_be_carried_out_fails_the_job(tmp_path: Path) -> None:
    job = judged(tmp_path, spec="nowhere.yaml")
    assert job.failed
    assert job.outputs["judge"] == {"exit-code": "4"}
    assert "there is no such file" in job.said


@pytest.mark.slow
def test_it_installs_itself_and_gates_a_configuration(tmp_path: Path) -> None:
    public, a, b = free_ports(3)
    ports = {"public": public, "a": a, "b": b}
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "haproxy.cfg").write_text(CONFIG.format(balance="random", **ports))
    assert main(["init", "--from", str(tmp_path / "conf.d"), "--into", str(tmp_path)]) == 0
    spec = tmp_path / "lb.yaml"
    spec.write_text(spec.read_text().replace("algorithm: power_of_two", "algorithm: round_robin"))
    job = run_action(
        ACTION,
        {"target": "haproxy", "config": "\nconf.d\n", "spec": "lb.yaml", "arguments": "--lb-only=ALG-01"},
        tmp_path,
        _fresh(tmp_path),
    )
    assert job.ran == [INSTALL, DOCTOR, "Judge"]
    assert job.failed
    assert job.outputs["judge"]["headline"] == "NOT CONFORMANT: 1 broken"
    assert "- directive: `conf.d/haproxy.cfg:10` `balance random`" in job.summary


def _fresh(folder: Path) -> dict[str, str]:
    """A Python that has all that lbcheck needs, and no lbcheck; nothing is fetched."""
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True, timeout=120)
    (own,) = (folder / "venv").glob("lib/*/site-packages")
    others = [path for path in sys.path if path.endswith("site-packages")]
    (own / "others.pth").write_text("\n".join(others))
    pip = {"PIP_NO_DEPS": "1", "PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0"}
    found = environment(folder, **pip)
    del found["PYTHONPATH"]
    return found | {"PATH": f"{folder / 'venv' / 'bin'}:{found['PATH']}"}


# --- the workflow of `lbcheck init` ----------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_gate_step_of_the_workflow_runs_as_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    public, a, b = free_ports(3)
    monkeypatch.chdir(tmp_path)
    Path("haproxy.cfg").write_text(CONFIG.format(balance="roundrobin", public=public, a=a, b=b))
    assert main(["init", "--from", "haproxy.cfg"]) == 0
    workflow = yaml.safe_load(WORKFLOW.read_text())
    steps = workflow["jobs"]["gate"]["steps"]
    told = environment(tmp_path, LBCHECK_ONLY="ALG-01,RTE-18")
    ours = [step for step in steps if not re.search("apt-get|pip install", step.get("run", ""))]
    job = run_steps(ours, Job(tmp_path, {}, told, ACTION.parent))
    assert not job.failed, job.said
    assert "## ✅ lbcheck: KEPT: 2 claims" in job.summary
    assert [uses.partition("@")[0] for uses, _ in job.used] == [
        "actions/checkout",
        "actions/setup-python",
        "actions/upload-artifact",
        "github/codeql-action/upload-sarif",
    ]
    assert all(
        (tmp_path / inputs[name]).exists()
        for _, inputs in job.used
        for name in inputs
        if name in ("path", "sarif_file")
    )
