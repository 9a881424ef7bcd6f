"""The battery on real products: every case ends as the committed table says."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from .expectation import PRODUCTS, Expectation, expectation
from .runs import WholeRun, slow_machine_only, whole_run

pytestmark = pytest.mark.slow
LEAST = {"haproxy": 60, "nginx": 40, "envoy": 60, "caddy": 40, "httpd": 40}  # different claims kept, of the core
WORKERS = 4  # on two cores: most of a battery is waiting
CORE = [pytest.param((name, "core"), id=f"{name}-core") for name in PRODUCTS]
WHOLE = [pytest.param((name, "extended"), id=f"{name}-whole", marks=pytest.mark.nightly) for name in PRODUCTS]


@dataclass(frozen=True, slots=True)
class Judged:
    name: str
    expected: Expectation
    run: WholeRun


@pytest.fixture(scope="module", params=CORE + WHOLE)
def product(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Judged:
    name, level = request.param
    run = whole_run(tmp_path_factory.mktemp(name), f"--lb-target={name}", f"--lb-level={level}", f"-n{WORKERS}")
    return Judged(name, expectation(name), run)


def test_the_version_is_the_one_that_the_table_speaks_of(product: Judged) -> None:
    """Patches are to change no outcome; where one does, the next test says so."""
    found = product.run.record["environment"]["target_version"]
    assert found.split(".")[:2] == product.expected.version.split(".")[:2]


def test_every_case_ends_as_the_table_says(product: Judged) -> None:
    decided = {node: outcome for node, outcome in product.run.outcomes.items() if node not in product.run.undecided}
    assert decided == {node: product.expected.of(node, outcome) for node, outcome in decided.items()}


def test_what_the_table_lists_is_still_tried(product: Judged) -> None:
    planned = {check["node"] for check in product.run.record["checks"]}
    ids = {check["id"] for check in product.run.record["checks"]}  # those of this level
    listed = frozenset[str]().union(*product.expected.listed.values())
    assert {node for node in listed if node.partition("[")[0] in ids} <= planned


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
