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
    configured: str = ""  # the directive that the claim rests on, as far as an importer knows it
    configured_at: str = ""  # `haproxy.cfg:31`
    through: list[str] = field(default_factory=list)  # "haproxy.cfg:12  acl ...": what acts through that directive
    differs: list[str] = field(default_factory=list)  # where lb.yaml and the configuration say other things of it
    reads: list[str] = field(default_factory=list)  # fields of the spec that the verdict rests on
    reached: list[str] = field(default_factory=list)  # parts of the spec that requests were sent to
    unkept: str = ""  # why there is no evidence, or not all of it
    met: list[str] = field(default_factory=list)  # lines of the configuration whose rule was the one for a request


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
    catalogue: str = ""  # the version of the set of checks
    warp: int = 1  # seconds of the target's clock in one of the harness's, on which all times of a record are
    real_time: str = ""  # why there was no warp although one was asked for


@dataclass(frozen=True, slots=True)
class Difference:
    """A field in which lb.yaml and the configuration differ; `said`: lb.yaml says it, and not its defaults."""

    path: str
    claimed: str
    claimed_at: str
    configured: str
    configured_at: str
    said: bool = True

    def __str__(self) -> str:
        here = f"{self.claimed_at} says {self.claimed}" if self.said else f"by default {self.claimed}"
        return f"{here}; {self.configured_at} says {self.configured}"


@dataclass(frozen=True, slots=True)
class Part:
    """A listener, rule or pool of the spec; `checks` that were decided sent requests there, `undecided` did too."""

    path: str
    kind: str
    at: str = ""
    checks: list[str] = field(default_factory=list)
    undecided: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Directive:
    """A line of the configuration. `state`: exercised | not exercised | no effect (on claims), with the reason."""

    at: str
    words: str
    state: str
    reason: str = ""
    checks: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Coverage:
    """What of the spec and of the configuration was exercised; `unread` says why there are no directives."""

    parts: list[Part] = field(default_factory=list)
    directives: list[Directive] = field(default_factory=list)
    unread: str = ""

    def of(self, state: str) -> list[Directive]:
        return [directive for directive in self.directives if directive.state == state]

    def missed(self) -> list[Part]:
        return [part for part in self.parts if not part.checks]


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
    coverage: Coverage | None = None
    differences: list[Difference] = field(default_factory=list)
    narrowed: bool = False  # a selection: it cannot speak for its levels

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


def run_from_json(data: dict[str, Any]) -> Run:
    """The inverse of `run_to_json`, and of run.json; fields that an older version did not write hold their defaults."""
    values = {name: value for name, value in data.items() if name != "counts"}
    values["environment"] = Environment(**values["environment"])
    values["checks"] = [record_from_json(record) for record in values["checks"]]
    values["differences"] = [Difference(**each) for each in values.get("differences", [])]
    if (coverage := values.get("coverage")) is not None:
        parts = [Part(**part) for part in coverage["parts"]]
        directives = [Directive(**directive) for directive in coverage["directives"]]
        values["coverage"] = Coverage(parts, directives, coverage["unread"])
    return Run(**values)
