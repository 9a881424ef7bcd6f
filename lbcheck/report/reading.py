"""run.json read back."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from lbcheck.errors import UsageError
from lbcheck.report.model import SCHEMA, CheckRecord, Environment, Judgement, Run

R = TypeVar("R")
NAME = "run.json"


def read(path: Path) -> Run:
    """The run of a file, or of a report's folder. UsageError where there is none, or none of this schema.

    What a later version added is left out; what an earlier one did not know has its default.
    """
    file = path / NAME if path.is_dir() else path
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{file}: expected a run's {NAME}, got: {error}", remedy="see --lb-report-dir") from error
    schema = data.get("schema") if isinstance(data, dict) else None
    if schema != SCHEMA:
        raise UsageError(
            f"{file}: expected the schema {SCHEMA}, got {schema!r}", remedy="take the run.json of a report"
        )
    try:
        return run_of(data)
    except (KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{file}: a run that cannot be read: {error}", remedy="make the report again") from error


def run_of(data: dict[str, Any]) -> Run:
    """A run of its document's value, without what a gate says of its configuration.

    KeyError, TypeError or AttributeError where that has another shape.
    """
    checks = [_check(check) for check in data["checks"]]
    data = {name: value for name, value in data.items() if name not in ("coverage", "differences")}
    return _record(Run, {**data, "environment": _record(Environment, data["environment"]), "checks": checks})


def _check(data: dict[str, Any]) -> CheckRecord:
    judgements = [_record(Judgement, judgement) for judgement in data.get("judgements", [])]
    return _record(CheckRecord, {**data, "judgements": judgements})


def _record(cls: type[R], data: dict[str, Any]) -> R:
    known = {field.name for field in fields(cls)}  # type: ignore[arg-type]
    return cls(**{name: value for name, value in data.items() if name in known})
