"""A target on a fast clock: whole gates of configurations with times that production has, right and with a mistake."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from lbcheck.spec.loading import loads
from lbcheck.targets import find
from tests.plugin.conftest import Project, project
from tests.ports import free_ports

from .runs import SLOW_MACHINE

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.slow
__all__ = ["project"]  # a fixture
TRIES = 3

SPEC = """\
version: 1
listeners:
  - {{name: public, address: 127.0.0.1, port: {public}, default: {{forward: api}}}}
pools:
  api:
    algorithm: round_robin
    {health}
    backends:
      - {{name: a, address: "127.0.0.1:{a}"}}
      - {{name: b, address: "127.0.0.1:{b}"}}
      - {{name: c, address: "127.0.0.1:{c}"}}
"""
ACTIVE = "health_check: {path: /health, interval: 30s, timeout: 15s, unhealthy_threshold: 3, initial: healthy}"
PASSIVE = "passive_health: {failures: 3, count: window, within: 30s, ejection: 30s, on: [connect, reset, timeout]}"
CASES = [
    pytest.param("haproxy", ACTIVE, "HLT-03", ("fall 3", "fall 6"), 45, id="haproxy"),
    pytest.param("httpd", ACTIVE, "HLT-03", ("hcfails=3", "hcfails=6"), 30, id="httpd", marks=pytest.mark.nightly),
    pytest.param("nginx", PASSIVE, "HLT-12", ("=30s", "=5s"), 30, id="nginx", marks=pytest.mark.nightly),
]
DEAF = """#!/bin/sh
unset LD_PRELOAD
exec {program} "$@"
"""


@dataclass(frozen=True, slots=True)
class Gate:
    """lb.yaml and the product's own file in a folder; `run` judges the one by the other."""

    project: Project
    target: str
    config: Path

    def run(self, *words: str) -> pytest.RunResult:
        given = (f"--lb-target={self.target}", f"--lb-config={self.config.name}", "--lb-spec=lb.yaml")
        return self.project.pytester.runpytest_subprocess(*given, *words, timeout=300)

    def outcome(self, rate: int, check: str) -> tuple[str, pytest.RunResult]:
        """Of one check that makes one claim; asked again where this machine was too slow to say."""
        for _ in range(TRIES):
            result = self.run(f"--lb-warp={rate}", f"--lb-only={check}")
            (record,) = self.project.record()["checks"]
            if not SLOW_MACHINE.search(record["reason"]):
                break
        return record["outcome"], result


def gate(project: Project, target: str, health: str, mistake: tuple[str, str] = ("", "")) -> Gate:
    folder = project.pytester.path
    public, a, b, c = free_ports(4)
    (folder / "lb.yaml").write_text(SPEC.format(health=health, public=public, a=a, b=b, c=c))
    (text,) = find(target).render(loads((folder / "lb.yaml").read_text()).spec, folder).files.values()
    right, wrong = mistake
    assert right in text
    config = folder / f"{target}.conf"
    config.write_text(text.replace(right, wrong) if right else text)
    return Gate(project, target, config)


@pytest.mark.parametrize(("target", "health", "check", "mistake", "rate"), CASES)
def test_thirty_seconds_are_one(
    project: Project, target: str, health: str, check: str, mistake: tuple[str, str], rate: int
) -> None:
    """The right file keeps its claim, and one with a mistake that shows after the warped time alone breaks it."""
    right = gate(project, target, health)
    outcome, result = right.outcome(rate, check)
    assert (outcome, result.ret) == ("holds", 0)
    result.stdout.fnmatch_lines([f"time warp {rate}: *"])
    assert project.record()["environment"]["warp"] == rate
    wrong = gate(project, target, health, mistake)
    outcome, result = wrong.outcome(rate, check)
    assert (outcome, result.ret) == ("broken", 1)
    result.stdout.fnmatch_lines([f"BROKEN  {check}*", f"  again     *--lb-warp={rate}*"])


def test_a_program_that_does_not_feel_it_decides_nothing(project: Project) -> None:
    """The calibration says so, before any check: in real time each verdict on 30 s would have been wrong."""
    deaf = project.pytester.path / "deaf"
    deaf.write_text(DEAF.format(program=find("haproxy").binary))
    deaf.chmod(0o755)
    result = gate(project, "haproxy", ACTIVE).run("--lb-warp=30", "--lb-only=ALG-01,HLT-03", f"--lb-binary={deaf}")
    assert result.ret == 11
    reasons = {check["reason"] for check in project.record()["checks"] if check["outcome"] == "inconclusive"}
    (reason,) = reasons
    assert "haproxy is not known to feel it" in reason
    assert "without libfaketime" in reason
    assert "leave --lb-warp out" in reason


def test_times_that_cannot_be_told_apart_are_unsupported(project: Project) -> None:
    hasty = gate(project, "haproxy", ACTIVE)
    assert hasty.run("--lb-warp=1000", "--lb-only=ALG-01,HLT-03").ret == 11
    assert {check["reason"] for check in project.record()["checks"]} == {
        "pools.api.health_check.timeout of 15 s is 0.015 s at --lb-warp=1000: less than 0.02 s cannot be told from the "
        "lateness of timers; use --lb-warp=750, or less"
    }


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("exec:true", "exec:true runs in real time, since nobody knows which clocks a command and its children ask"),
        ("reference", "reference runs in real time, since the simulator's time is virtual, and passes at once"),
    ],
)
def test_who_cannot_feel_it_runs_in_real_time_and_says_so(project: Project, target: str, why: str) -> None:
    words = ["--lb-lab=sim"] if target == "reference" else []
    result = project.pytester.runpytest_subprocess(
        f"--lb-target={target}", "--lb-warp=30", "--lb-only=ALG-01", "--collect-only", *words, timeout=60
    )
    result.stdout.fnmatch_lines([f"time warp none: {why}"])
