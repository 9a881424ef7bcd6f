"""The battery on real products: what they keep, and exactly what they break."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from .runs import WholeRun, slow_machine_only, whole_run

pytestmark = pytest.mark.slow
EXPECTED = Path(__file__).parent / "expected"
LEAST = {"haproxy": 20, "nginx": 15, "envoy": 60, "caddy": 60, "httpd": 60}


@pytest.fixture(scope="module", params=sorted(LEAST))
def product(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, WholeRun]:
    name = request.param
    return name, whole_run(tmp_path_factory.mktemp(name), f"--lb-target={name}", "-n", "2")


def test_breaks_exactly_what_the_findings_say(product: tuple[str, WholeRun]) -> None:
    name, run = product
    expected = set(yaml.safe_load((EXPECTED / f"{name}.yaml").read_text())["broken"])
    assert run.of("broken") | (set(run.undecided) & expected) == expected
    assert run.of("harness fault") == set()


def test_keeps_many_claims_and_leaves_none_open_but_for_the_machine(product: tuple[str, WholeRun]) -> None:
    name, run = product
    different = {node.partition("[")[0] for node in run.of("holds")}
    assert len(different) >= LEAST[name]
    assert slow_machine_only(run), run.undecided


def test_says_why_the_rest_is_unsupported_and_is_not_green(product: tuple[str, WholeRun]) -> None:
    _, run = product
    unsupported = [c for c in run.record["checks"] if c["outcome"] == "unsupported"]
    assert unsupported
    assert all(check["reason"] for check in unsupported)
    assert run.exit_code == 1
    assert "NOT CONFORMANT" in run.record["headline"]
