"""The record of a run as plain values: everything that the page, run.json and the terminal show comes from here.

Records are built from JSON (workers send them to the controller), so every field is a JSON value.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

SCHEMA = "lbcheck-run/1"


@dataclass(frozen=True, slots=True)
class Judgement:
    """One verdict of one judge within a check; see `lbcheck.verdict.Verdict`."""

    judgement: str
    outcome: str
    expected: str
    saw: str
    figures: dict[str, Any] = field(default_factory=dict)
    ids: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class CheckRecord:
    """One check on one subject.

    `node` is `ALG-01[round-robin/web]`; `claimed_at` is `lb.yaml:31`, `claimed` the words there; `reason` says why it
    was not decided; `evidence` lists files relative to the report's folder; `timeline` holds compact events for the
    drawing (see `lbcheck.report.timeline`); `again` is the command that repeats it.
    """

    id: str
    node: str
    claim: str
    area: str
    level: str
    outcome: str
    subject: str = ""
    claimed: str = ""
    claimed_at: str = ""
    reason: str = ""
    judgements: list[Judgement] = field(default_factory=list)
    spec_link: str = ""
    evidence: list[str] = field(default_factory=list)
    timeline: dict[str, Any] = field(default_factory=dict)
    again: str = ""
    seed: int = 0
    duration_s: float = 0.0
    core: bool = True
    worker: str = ""
    features: list[str] = field(default_factory=list)  # that were missing, where unsupported
    left_out: list[str] = field(default_factory=list)  # "path: reason" of what the target's configuration cannot say
    supplied: list[str] = field(default_factory=list)  # "name: what" the lab put in place of what is missing


@dataclass(frozen=True, slots=True)
class Environment:
    lbcheck: str = ""
    python: str = ""
    platform: str = ""
    cpus: int = 0
    target: str = ""
    target_version: str = ""
    lab: str = ""
    slack_s: float = 0.0
    seed: int = 0
    command: str = ""
    config: list[str] = field(default_factory=list)
    spec: str = ""
    profile: str = ""
    filled: list[str] = field(default_factory=list)  # what the profile filled in
    findings: list[str] = field(default_factory=list)  # doubtful places of the spec


@dataclass(frozen=True, slots=True)
class Run:
    """A whole run. `mode`: battery | spec | gate | self-consistency | black box. `headline` is the verdict in words."""

    mode: str
    headline: str
    exit_code: int
    environment: Environment
    checks: list[CheckRecord]
    not_claimed: list[str] = field(default_factory=list)  # ids of checks that no subject claims
    started: str = ""  # ISO 8601, wall clock
    duration_s: float = 0.0
    schema: str = SCHEMA

    def counts(self) -> dict[str, int]:
        out: dict[str, int] = {}
        for record in self.checks:
            out[record.outcome] = out.get(record.outcome, 0) + 1
        return out


def run_to_json(run: Run) -> dict[str, Any]:
    return dataclasses.asdict(run)


def record_from_json(data: dict[str, Any]) -> CheckRecord:
    values = dict(data)
    values["judgements"] = [Judgement(**j) for j in values.get("judgements", [])]
    return CheckRecord(**values)
