"""A real product on a user's own configuration: kept, broken, never ready, refused, died."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.ports import free_ports

from .conftest import Project

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.slow

SPEC = """\
version: 1
listeners:
  - {{name: public, address: 127.0.0.1, port: {public}, default: {{forward: api}}}}
pools:
  api:
    algorithm: round_robin
    backends: [{{name: a, address: "127.0.0.1:{a}"}}, {{name: b, address: "127.0.0.1:{b}"}}]
"""
CONFIG = """\
defaults
  mode http
  timeout connect 1s
  timeout client 30s
  timeout server 30s
frontend public
  bind 127.0.0.1:{public}
  default_backend api
backend api
  balance {balance}
  server a 127.0.0.1:{a}
  server b 127.0.0.1:{b}
"""
KILLER = """
from lbcheck.checks import check, pools

@check("OWN-11", "The balancer stays.", subject=pools(), catches={}, spec_link="")
def test_it_stays(stage, pool):
    stage.one(pool)
    stage._scene.target._process.kill()  # as a crash would
    stage._scene.target._process.wait()
    stage.one(pool)
"""


@dataclass(frozen=True, slots=True)
class Gate:
    project: Project
    ports: dict[str, int]

    def configure(self, *, balance: str = "roundrobin", **ports: int) -> None:
        text = CONFIG.format(balance=balance, **(self.ports | ports))
        (self.project.pytester.path / "haproxy.cfg").write_text(text)

    def run(self, *words: str) -> pytest.RunResult:
        given = ("--lb-target=haproxy", "--lb-config=haproxy.cfg", "--lb-spec=lb.yaml")
        return self.project.pytester.runpytest_subprocess(*given, *words, timeout=120)


@pytest.fixture
def gate(project: Project) -> Gate:
    public, a, b = free_ports(3)
    ports = {"public": public, "a": a, "b": b}
    (project.pytester.path / "lb.yaml").write_text(SPEC.format(**ports))
    return Gate(project, ports)


def test_a_configuration_that_keeps_its_claims(gate: Gate) -> None:
    gate.configure()
    result = gate.run("--lb-only=ALG-01,RTE-18,RTE-01")
    assert result.ret == 0
    assert set(gate.project.outcomes().values()) == {"holds"}
    assert gate.project.record()["mode"] == "gate"
    assert "RTE-01" in gate.project.record()["not_claimed"]


def test_a_configuration_that_breaks_one(gate: Gate) -> None:
    gate.configure(balance="random")
    result = gate.run("--lb-only=ALG-01")
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "BROKEN  ALG-01*",
            "  claimed   lb.yaml:6  algorithm: round_robin  (pool api)",
            "  directive haproxy.cfg:10  balance random",
            "  differs   lb.yaml:6 says algorithm: round_robin; haproxy.cfg:10 says algorithm: power_of_two",
            "  expected  2 backends in one fixed rotation; saw *",
            "  evidence  reports/evidence/ALG-01-api/  history.jsonl*haproxy.cfg",
            "  again     pytest --lb-target=haproxy --lb-config=haproxy.cfg --lb-spec=lb.yaml *",
        ]
    )


def test_what_was_exercised_is_told(gate: Gate) -> None:
    gate.configure()
    result = gate.run("--lb-only=ALG-01")
    result.stdout.fnmatch_lines(
        [
            "coverage  sent to: listeners 1 of 1, defaults 1 of 1, pools 1 of 1",
            "coverage  12 directives: 8 exercised, 3 not exercised, 1 no effect",
            "  not exercised: haproxy.cfg:3: timeout connect 1s  (no check of this run rests on it)",
        ]
    )
    found = {line["at"]: line for line in gate.project.record()["coverage"]["directives"]}
    assert found["haproxy.cfg:10"]["checks"] == ["ALG-01"]
    assert found["haproxy.cfg:11"]["words"].startswith("server a ")
    assert found["haproxy.cfg:11"]["state"] == "exercised"


def test_a_configuration_that_listens_elsewhere_is_never_ready(gate: Gate) -> None:
    gate.configure(public=free_ports(1)[0])
    result = gate.run("--lb-only=ALG-01,RTE-18")
    assert result.ret == 10
    assert list(gate.project.outcomes().values()) == ["inconclusive", "not run"]
    result.stdout.fnmatch_lines(["  ... ALG-01*", "TARGET NEVER READY*", "*does its configuration listen there?*"])
    result.stdout.fnmatch_lines(["*1 error, 1 not run in *"])


def test_a_configuration_that_is_refused_is_shown_with_the_products_words(gate: Gate) -> None:
    (gate.project.pytester.path / "haproxy.cfg").write_text("nonsense here")
    result = gate.run("--lb-only=ALG-01")
    assert result.ret == 10
    result.stdout.fnmatch_lines(["TARGET NEVER READY*", "*unknown keyword 'nonsense'*"])
    (check,) = gate.project.record()["checks"]
    assert check["evidence"] == ["evidence/ALG-01-api/target.log", "evidence/ALG-01-api/haproxy.cfg"]


@pytest.mark.parametrize("words", [(), ("-n", "2")])
def test_never_ready_with_workers_too(gate: Gate, words: tuple[str, ...]) -> None:
    (gate.project.pytester.path / "haproxy.cfg").write_text("nonsense here")
    assert gate.run("--lb-only=ALG-01,RTE-18", *words).ret == 10


def test_workers_have_the_addresses_of_a_configuration_each_in_a_network_of_its_own(gate: Gate) -> None:
    gate.configure()
    result = gate.run("--lb-only=ALG-01,RTE-18,HTT-08,HTT-12", "-n", "2")
    assert result.ret == 0
    record = gate.project.record()
    assert list(gate.project.outcomes().values()) == ["holds"] * 4
    assert {check["worker"] for check in record["checks"]} == {"gw0", "gw1"}
    result.stdout.fnmatch_lines(["lbcheck *, lab sealed, *"])


def test_workers_cannot_share_addresses_in_one_network(gate: Gate) -> None:
    gate.configure()
    result = gate.run("--lb-only=ALG-01", "--lb-lab=process", "-n", "2")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [f"*listener public is at 127.0.0.1:{gate.ports['public']}, which one worker at a time *", "*leave -n *out"]
    )


def test_a_target_that_dies_has_broken_the_claim_in_progress(gate: Gate) -> None:
    gate.configure()
    own = gate.project.pytester.path / "own"
    own.mkdir()
    (own / "test_own.py").write_text(KILLER)
    result = gate.run("own")
    assert result.ret == 1
    (judgement,) = gate.project.record()["checks"][0]["judgements"]
    assert judgement["judgement"] == "target-alive"
    assert judgement["outcome"] == "broken"
