"""A run as SARIF 2.1.0: what is broken, at the configuration's line where an importer knows it, else at the claim's.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html; a result is a claim that was tested and not kept. What
could not be decided is no result but a notification of the tool's own (3.20.21), so that no reader takes it for either.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from lbcheck.report import summary
from lbcheck.report.model import CheckRecord, Run
from lbcheck.report.text import clipped, line
from lbcheck.verdict import Outcome

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
RESULTS = (Outcome.BROKEN.value, Outcome.STALE.value, Outcome.KNOWN.value)
UNDECIDED = (Outcome.INCONCLUSIVE.value, Outcome.HARNESS_FAULT.value, Outcome.NOT_RUN.value)
_TEXT = 2_000  # characters of a message
_LOCATIONS = 20
_PLACE = re.compile(r"(.+):([1-9][0-9]*)")


def document(run: Run) -> str:
    """ASCII JSON, the same for the same run."""
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [_run(run)]}, indent=1) + "\n"


def _run(run: Run) -> dict[str, Any]:
    checks = {record.id: record for record in run.checks}
    ids = sorted(checks)
    where = run.environment
    driver = {
        "name": "lbcheck",
        "version": _plain(where.lbcheck) or "0",
        "rules": [_rule(checks[name]) for name in ids],
    }
    return {
        "tool": {"driver": driver},
        "automationDetails": {"id": f"lbcheck/{_plain(where.target) or 'target'}/"},
        "columnKind": "utf16CodeUnits",
        "originalUriBaseIds": {"%SRCROOT%": {"description": {"text": "the folder in which lbcheck was called"}}},
        "invocations": [_invocation(run)],
        "results": [_result(record, ids.index(record.id)) for record in run.checks if record.outcome in RESULTS],
        "properties": {
            "mode": _plain(run.mode), "headline": _plain(run.headline), "target": _plain(where.target),
            "targetVersion": _plain(where.target_version), "lab": _plain(where.lab), "seed": where.seed,
        },
    }  # fmt: skip


def _rule(record: CheckRecord) -> dict[str, Any]:
    rule: dict[str, Any] = {
        "id": _plain(record.id),
        "shortDescription": {"text": _plain(record.claim) or "a claim"},
        "properties": {"area": _plain(record.area), "level": _plain(record.level), "tags": [_plain(record.area)]},
    }
    if re.fullmatch(r"https?://[!-~]{1,500}", record.spec_link):
        rule["helpUri"] = quote(record.spec_link, safe=":/?#[]@!$&'()*+,;=%-._~")
    return rule


def _result(record: CheckRecord, index: int) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": _plain(record.id),
        "ruleIndex": index,
        "kind": "fail",
        "level": "warning" if record.outcome == Outcome.STALE.value else "error",
        "message": {"text": _message(record)},
        "partialFingerprints": {"lbcheckNode/v1": _plain(record.node)},
        "properties": {"outcome": _plain(record.outcome), "node": _plain(record.node), "again": _plain(record.again)},
    }
    places = [place for place in (record.configured_at, record.claimed_at) if _location(place)]
    if places:
        result["locations"] = [_location(places[0], record)]
    if others := [*_others(places[1:], "claimed here"), *_others(_places_of(record.through), "acts through it")]:
        result["relatedLocations"] = others
    if record.outcome == Outcome.KNOWN.value:
        result["suppressions"] = [{"kind": "external", "justification": _plain(record.reason)}]
    return result


def _message(record: CheckRecord) -> str:
    told = [f"expected {j.expected}; saw {j.saw}" for j in record.judgements if j.outcome != Outcome.HOLDS.value]
    parts = [record.claim, *told, record.reason, *record.differs]
    return _plain(" ".join(part if part.endswith(".") else f"{part}." for part in parts if part)) or "not kept"


def _others(places: Iterable[str], says: str) -> list[dict[str, Any]]:
    """Further places: the claim's own line, where the configuration's is the first, and what acts through that."""
    found = (_location(place) for place in places)
    return [dict(location, message={"text": says}) for location in found if location][:_LOCATIONS]


def _places_of(texts: Iterable[str]) -> list[str]:
    return [text.partition("  ")[0] for text in texts]


def _location(place: str, record: CheckRecord | None = None) -> dict[str, Any]:
    """{} for what is no place in a file."""
    found = _PLACE.fullmatch(place[:_TEXT])
    if not found:
        return {}
    physical: dict[str, Any] = {"artifactLocation": _artifact(found[1]), "region": {"startLine": int(found[2])}}
    if record is None:
        return {"physicalLocation": physical}
    return {"physicalLocation": physical, "logicalLocations": [{"fullyQualifiedName": _plain(record.subject)}]}


def _artifact(file: str) -> dict[str, str]:
    """A file below the folder of the call by its path from there, any other by its URI."""
    path = Path(file)
    if path.is_absolute():
        return {"uri": "file://" + quote(path.as_posix())}
    return {"uri": quote(path.as_posix()), "uriBaseId": "%SRCROOT%"}


def _invocation(run: Run) -> dict[str, Any]:
    undecided = [record for record in run.checks if record.outcome in UNDECIDED]
    invocation: dict[str, Any] = {
        "executionSuccessful": run.exit_code not in (2, 3, 4, 10),
        "exitCode": run.exit_code,
        "commandLine": _plain(run.environment.command),
        "toolExecutionNotifications": [_notification(record) for record in undecided],
    }
    if re.fullmatch(r"[0-9-]{10}T[0-9:.]+(\+00:00|Z)", run.started):
        invocation["startTimeUtc"] = run.started.replace("+00:00", "Z")
    return invocation


def _notification(record: CheckRecord) -> dict[str, Any]:
    text = f"{record.node} is {record.outcome}: {summary.why(record)}"
    level = "note" if record.outcome == Outcome.NOT_RUN.value else "warning"
    return {"level": level, "message": {"text": _plain(text)}, "associatedRule": {"id": _plain(record.id)}}


def _plain(text: str) -> str:
    """On one line, without what hides or reorders, clipped."""
    return line(clipped(text, _TEXT), _TEXT + 100).strip()
