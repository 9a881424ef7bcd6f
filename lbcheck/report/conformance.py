"""conformance.yaml: what a product at a version was found to keep, short enough to be published and compared.

Its shape follows the conformance reports of the Gateway API (GEP-1709): a result and statistics for each level, and the
names of what failed, was not decided or is not supported.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from lbcheck.report.model import CheckRecord, Run
from lbcheck.report.outcomes import LOOKS
from lbcheck.report.text import line
from lbcheck.verdict import Outcome

SCHEMA = "lbcheck-conformance/1"
SUCCESS, PARTIAL, FAILURE = "success", "partial", "failure"
_NODES = 500
_NAME = 300  # characters
_LISTED = {
    "broken": (Outcome.BROKEN, Outcome.STALE),
    "known": (Outcome.KNOWN,),
    "undecided": (Outcome.INCONCLUSIVE, Outcome.HARNESS_FAULT, Outcome.NOT_RUN),
    "unsupported": (Outcome.UNSUPPORTED,),
}


def document(run: Run) -> str:
    return yaml.safe_dump(statement(run), sort_keys=False, allow_unicode=False, width=120)


def statement(run: Run) -> dict[str, Any]:
    """Plain values. `narrowed`: only a part of what the levels hold was judged, so no level is a success."""
    where = run.environment
    levels = dict.fromkeys(record.level for record in run.checks)
    return {
        "schema": SCHEMA,
        "kind": "ConformanceReport",
        "date": _name(run.started),
        "implementation": {
            "name": _name(where.target),
            "version": _name(where.target_version),
            "configuration": [_name(path) for path in where.config],
        },
        "lbcheck": {"version": _name(where.lbcheck), "catalogue": _name(where.catalogue), "seed": where.seed},
        "mode": _name(run.mode),
        "lab": _name(where.lab),
        "headline": _name(run.headline),
        "narrowed": run.narrowed,
        "levels": [_level(level, run) for level in levels],
        "features": {
            "unsupported": sorted({_name(feature) for record in run.checks for feature in record.features}),
        },
    }


def _level(level: str, run: Run) -> dict[str, Any]:
    records = [record for record in run.checks if record.level == level]
    found: dict[str, Any] = {
        "name": _name(level),
        "result": result(records, narrowed=run.narrowed),
        "statistics": {
            look.outcome: n for look in reversed(LOOKS) if (n := sum(r.outcome == look.outcome for r in records))
        },
    }
    for name, outcomes in _LISTED.items():
        words = {outcome.value for outcome in outcomes}
        nodes = [_name(record.node) for record in records if record.outcome in words]
        if nodes:
            found[name] = nodes[:_NODES] + ([f"and {len(nodes) - _NODES} more"] if len(nodes) > _NODES else [])
    return found


def result(records: Sequence[CheckRecord], *, narrowed: bool = False) -> str:
    """failure: a claim is not kept. success: each was tested and kept, or is beyond core and not supported."""
    outcomes = {record.outcome for record in records}
    if outcomes & {Outcome.BROKEN.value, Outcome.KNOWN.value, Outcome.STALE.value}:
        return FAILURE
    open_ = outcomes - {Outcome.HOLDS.value, Outcome.UNSUPPORTED.value}
    lacking = any(record.core and record.outcome == Outcome.UNSUPPORTED.value for record in records)
    if open_ or lacking or narrowed or Outcome.HOLDS.value not in outcomes:
        return PARTIAL
    return SUCCESS


def _name(text: str) -> str:
    return line(text, _NAME)
