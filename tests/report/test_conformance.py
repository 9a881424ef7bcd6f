"""conformance.yaml: a statement that says no more than was judged."""

from __future__ import annotations

import dataclasses

import pytest
import yaml

from lbcheck.report.conformance import document, result, statement
from lbcheck.report.model import CheckRecord

from .hostile_run import hostile
from .sample_run import gate, sample

pytestmark = pytest.mark.fast


def records(*outcomes: str, core: bool = True) -> list[CheckRecord]:
    return [CheckRecord(f"ALG-{n}", f"ALG-{n}[a]", "c", "ALG", "core", o, core=core) for n, o in enumerate(outcomes)]


@pytest.mark.parametrize(
    ("outcomes", "core", "said"),
    [
        (("holds", "holds"), True, "success"),
        (("holds", "unsupported"), False, "success"),
        (("holds", "unsupported"), True, "partial"),
        (("holds", "inconclusive"), True, "partial"),
        (("holds", "not run"), True, "partial"),
        (("unsupported",), False, "partial"),
        ((), True, "partial"),
        (("holds", "broken"), True, "failure"),
        (("holds", "known", "inconclusive"), True, "failure"),
        (("stale",), True, "failure"),
    ],
)
def test_the_result_of_a_level(outcomes: tuple[str, ...], core: bool, said: str) -> None:
    assert result(records(*outcomes, core=core)) == said


def test_a_selection_is_never_a_success() -> None:
    assert result(records("holds"), narrowed=True) == "partial"


def test_the_statement() -> None:
    said = yaml.safe_load(document(dataclasses.replace(gate(), narrowed=True)))
    assert said == statement(dataclasses.replace(gate(), narrowed=True))
    assert (said["schema"], said["kind"]) == ("lbcheck-conformance/1", "ConformanceReport")
    assert said["implementation"] == {"name": "examplelb", "version": "1.4.0", "configuration": []}
    core = said["levels"][0]
    assert core["result"] == "failure"
    assert core["broken"] == [r.node for r in sample().checks if r.outcome == "broken" and r.level == "core"]
    assert sum(core["statistics"].values()) == sum(r.level == "core" for r in sample().checks)
    assert "least-response-time" in said["features"]["unsupported"]


def test_hostile_text_is_yaml_and_bounded() -> None:
    assert yaml.safe_load(document(hostile()))["kind"] == "ConformanceReport"
    assert len(document(hostile("x" * 1_000_000))) < 100_000
