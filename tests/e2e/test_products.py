"""The battery on real products: what they keep, and exactly what they break."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from lbcheck.plugin.catalogue import everything

from .runs import WholeRun, slow_machine_only, whole_run

pytestmark = pytest.mark.slow
EXPECTED = Path(__file__).parent / "expected"
LEAST = {"haproxy": 60, "nginx": 40, "envoy": 60, "caddy": 40, "httpd": 40}  # different claims kept, of the core
WORKERS = 4  # on two cores: most of a battery is waiting
CORE = [pytest.param((name, "core"), id=f"{name}-core") for name in sorted(LEAST)]
WHOLE = [pytest.param((name, "extended"), id=f"{name}-whole", marks=pytest.mark.nightly) for name in sorted(LEAST)]


@dataclass(frozen=True, slots=True)
class Judged:
    name: str
    expected: set[str]  # to be broken at this level
    run: WholeRun


@pytest.fixture(scope="module", params=CORE + WHOLE)
def product(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Judged:
    name, level = request.param
    run = whole_run(tmp_path_factory.mktemp(name), f"--lb-target={name}", f"--lb-level={level}", f"-n{WORKERS}")
    broken = set(yaml.safe_load((EXPECTED / f"{name}.yaml").read_text())["broken"])
    cards = everything()
    core = {node for node in broken if cards[node.partition("[")[0]].level.value == "core"}
    return Judged(name, core if level == "core" else broken, run)


def test_breaks_exactly_what_the_findings_say(product: Judged) -> None:
    run = product.run
    assert run.of("broken") | (set(run.undecided) & product.expected) == product.expected


def test_keeps_many_claims_and_leaves_none_open_but_for_the_machine(product: Judged) -> None:
    different = {node.partition("[")[0] for node in product.run.of("holds")}
    assert len(different) >= LEAST[product.name]
    assert slow_machine_only(product.run), product.run.undecided


def test_says_why_the_rest_is_unsupported_and_is_not_green(product: Judged) -> None:
    run = product.run
    unsupported = [c for c in run.record["checks"] if c["outcome"] == "unsupported"]
    assert unsupported
    assert all(check["reason"] for check in unsupported)
    assert run.exit_code == 1
    assert "NOT CONFORMANT" in run.record["headline"]
