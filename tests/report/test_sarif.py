"""SARIF: valid by the schema that OASIS publishes, and with the lines that a reviewer needs."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbcheck.report.model import CheckRecord, Environment, Run
from lbcheck.report.sarif import SCHEMA, document

from .hostile_run import HOSTILE, hostile
from .sample_run import gate, sample

pytestmark = pytest.mark.fast

# Of OASIS, unchanged: https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/
PUBLISHED = json.loads((Path(__file__).parent / "schemas" / "sarif-schema-2.1.0.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft4Validator(PUBLISHED, format_checker=jsonschema.Draft4Validator.FORMAT_CHECKER)


def read(run: Run) -> dict[str, Any]:
    text = document(run)
    assert text.isascii()
    found: dict[str, Any] = json.loads(text)
    VALIDATOR.validate(found)
    return found


def one(**values: Any) -> dict[str, Any]:
    """The only result of a run of one check."""
    record = CheckRecord("ALG-01", "ALG-01[api]", "Turns are taken.", "ALG", "core", values.pop("outcome", "broken"))
    (result,) = read(Run("gate", "", 1, Environment(), [dataclasses.replace(record, **values)]))["runs"][0]["results"]
    return dict(result)


def lines(place: dict[str, Any]) -> tuple[str, int]:
    physical = place["physicalLocation"]
    return physical["artifactLocation"]["uri"], physical["region"]["startLine"]


def test_the_schema_is_the_one_that_is_named() -> None:
    assert PUBLISHED["id"] == SCHEMA


@pytest.mark.parametrize("run", [sample(), gate(), hostile(), Run("battery", "", 11, Environment(), [])])
def test_every_run_is_valid(run: Run) -> None:
    read(run)


@settings(max_examples=20)
@given(
    text=st.text(max_size=30),
    place=st.sampled_from(["", "lb.cfg:3", "/etc/a b/lb.cfg:3", "ü.cfg:1", "nowhere", ":4", "a:0"]),
)
def test_whatever_the_texts_are(text: str, place: str) -> None:
    one(claim=text, subject=text, reason=text, spec_link=text, configured_at=place, claimed_at=place, differs=[text])


def test_a_failure_stands_at_the_configurations_line_and_the_claims_is_related() -> None:
    result = one(
        configured_at="conf/lb.cfg:12", claimed_at="lb.yaml:31",
        through=["conf/lb.cfg:3  acl a", "nowhere"], differs=["lb.yaml:31 says a; b says c"],
    )  # fmt: skip
    assert lines(result["locations"][0]) == ("conf/lb.cfg", 12)
    assert lines(result["relatedLocations"][0]) == ("lb.yaml", 31)
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uriBaseId"] == "%SRCROOT%"
    assert lines(result["relatedLocations"][1]) == ("conf/lb.cfg", 3)
    assert result["message"]["text"] == "Turns are taken. lb.yaml:31 says a; b says c."


def test_without_an_importer_it_stands_at_the_claim() -> None:
    result = one(claimed_at="lb.yaml:31")
    assert lines(result["locations"][0]) == ("lb.yaml", 31)
    assert "relatedLocations" not in result
    assert "locations" not in one()
    assert lines(one(claimed_at="/srv/my lb.yaml:2")["locations"][0]) == ("file:///srv/my%20lb.yaml", 2)


def test_what_is_known_is_suppressed_with_its_reason() -> None:
    assert one(outcome="known", reason="ticket 4711")["suppressions"] == [
        {"kind": "external", "justification": "ticket 4711"}
    ]
    assert one(outcome="stale")["level"] == "warning"


def test_what_is_undecided_is_no_result_but_a_notification() -> None:
    (run,) = read(gate())["runs"]
    results = {result["properties"]["outcome"] for result in run["results"]}
    assert results <= {"broken", "known", "stale"}
    told = run["invocations"][0]["toolExecutionNotifications"]
    assert any(note["message"]["text"].startswith("HLT-07[") for note in told)
    assert all(run["tool"]["driver"]["rules"][r["ruleIndex"]]["id"] == r["ruleId"] for r in run["results"])


def test_no_text_reaches_a_reader_unseen() -> None:
    told = json.dumps(read(hostile(HOSTILE)), ensure_ascii=False)
    assert not set(told) & {"\x1b", "\r", "\x07", "\x00", "\u202e"}
    assert len(document(hostile("x" * 1_000_000))) < 400_000
