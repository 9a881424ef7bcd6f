"""Checks against balancers: what each whole run said, in one table; its JSON and its Markdown. Pure."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from lbcheck.report import summary
from lbcheck.report.model import CheckRecord, Run
from lbcheck.report.outcomes import weight
from lbcheck.verdict import Outcome

SCHEMA = "lbcheck-certificate/1"


@dataclass(frozen=True, slots=True)
class Balancer:
    """One column: a target at its version, its run's verdict in words, and how many cases ended in which way."""

    name: str
    version: str
    headline: str
    counts: dict[str, int]
    duration_s: float
    report: str  # of its run, relative to the page

    @property
    def title(self) -> str:
        return f"{self.name} {self.version}".strip()


@dataclass(frozen=True, slots=True)
class Cell:
    """What a check came to on a balancer: its heaviest outcome over all subjects, unsupported ones aside.

    `cases` counts all of them; `reason` says why it does not hold, or why some subject is unsupported; `evidence` lists
    files relative to the page; `nodes` are the cases that `outcome` speaks of.
    """

    outcome: str
    cases: dict[str, int]
    reason: str = ""
    evidence: list[str] = dataclasses.field(default_factory=list)
    nodes: list[str] = dataclasses.field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Row:
    id: str
    claim: str
    area: str
    level: str
    cells: dict[str, Cell]  # by the balancer's name; none where it was not planned


@dataclass(frozen=True, slots=True)
class Certificate:
    """`conditions` tells of the machine and the version of lbcheck, in words."""

    balancers: list[Balancer]
    rows: list[Row]
    conditions: str
    schema: str = SCHEMA

    def count(self, balancer: str, outcome: str, level: str | None = None) -> int:
        """How many checks (of this level) came to this outcome there."""
        cells = (row.cells.get(balancer) for row in self.rows if level is None or row.level == level)
        return sum(cell is not None and cell.outcome == outcome for cell in cells)


def certificate(runs: Sequence[tuple[str, Run]]) -> Certificate:
    """`runs`: (folder of the run's report relative to the page, the run), in the order of the columns."""
    balancers, cells = [], dict[str, dict[str, Cell]]()
    cards: dict[str, CheckRecord] = {}
    for folder, run in runs:
        where = run.environment
        report = f"{folder}/index.html"
        balancers.append(
            Balancer(where.target, where.target_version, run.headline, run.counts(), run.duration_s, report)
        )
        for check, records in _by_check(run.checks).items():
            cards.setdefault(check, records[0])
            cells.setdefault(check, {})[where.target] = _cell(records, folder)
    rows = [Row(check, c.claim, c.area, c.level, cells[check]) for check, c in sorted(cards.items())]
    return Certificate(balancers, rows, _conditions([run for _, run in runs]))


def to_json(certificate: Certificate) -> dict[str, Any]:
    return dataclasses.asdict(certificate)


def outcomes(certificate: Certificate) -> dict[str, dict[str, str]]:
    """Balancer at its version -> check -> outcome: what a committed table of expectations holds."""
    return {
        balancer.title: {
            row.id: row.cells[balancer.name].outcome for row in certificate.rows if balancer.name in row.cells
        }
        for balancer in certificate.balancers
    }


def differences(expected: dict[str, dict[str, str]], found: dict[str, dict[str, str]]) -> list[str]:
    """Each change, both ways: an outcome that is another, a check that came or went."""
    told = []
    for balancer, checks in found.items():
        if balancer not in expected:
            told.append(f"{balancer}: nothing is expected of this version")
            continue
        known = expected[balancer]
        for check in sorted({*checks, *known}):
            before, now = known.get(check, "nothing"), checks.get(check, "nothing")
            if before != now:
                told.append(f"{balancer}: {check} was expected to be {before}, and is {now}")
    return told


def markdown(certificate: Certificate) -> str:
    """The table for a repository: a line a check, a column a balancer, and the reasons of what does not hold."""
    names = [balancer.title for balancer in certificate.balancers]
    lines = [
        "# Balancers",
        "",
        "Written by `lbcheck certify`: every check of the battery on each balancer, plainly configured. `holds` was",
        "tested and kept, `broken` tested and not kept ([findings.md](findings.md) says what, with reproductions); the",
        "rest is told below. *core* is what any balancer that claims the feature must keep.",
        "",
        certificate.conditions,
        "",
        f"| | {' | '.join(names)} |",
        f"|---|{'---|' * len(names)}",
    ]
    for level in ("core", "extended"):
        for outcome in (
            Outcome.HOLDS.value,
            Outcome.BROKEN.value,
            Outcome.UNSUPPORTED.value,
            Outcome.INCONCLUSIVE.value,
        ):
            numbers = [certificate.count(balancer.name, outcome, level) for balancer in certificate.balancers]
            lines.append(f"| {level}: {outcome} | {' | '.join(map(str, numbers))} |")
    lines += ["", f"| check | level | {' | '.join(names)} | claim |", f"|---|---|{'---|' * len(names)}---|"]
    for row in certificate.rows:
        words = [_word(row.cells.get(balancer.name)) for balancer in certificate.balancers]
        lines.append(f"| {row.id} | {row.level} | {' | '.join(words)} | {row.claim} |")
    lines += ["", "## Why not", ""]
    for balancer in certificate.balancers:
        lines += [f"### {balancer.title}", "", *_reasons(certificate, balancer), ""]
    return "\n".join(lines).rstrip() + "\n"


def _by_check(records: Iterable[CheckRecord]) -> dict[str, list[CheckRecord]]:
    found: dict[str, list[CheckRecord]] = {}
    for record in records:
        found.setdefault(record.id, []).append(record)
    return found


def _cell(records: Sequence[CheckRecord], folder: str) -> Cell:
    carried = [r for r in records if r.outcome != Outcome.UNSUPPORTED.value] or list(records)
    worst = min((r.outcome for r in carried), key=weight)
    those = [r for r in carried if r.outcome == worst]
    telling = those if worst != Outcome.HOLDS.value else [r for r in records if r.outcome == Outcome.UNSUPPORTED.value]
    evidence = [f"{folder}/{path}" for record in those for path in record.evidence]
    cases = dict(sorted(Counter(r.outcome for r in records).items()))
    return Cell(worst, cases, summary.why(telling[0]) if telling else "", evidence, [r.node for r in those])


def _word(cell: Cell | None) -> str:
    if cell is None:
        return ""
    aside = cell.cases.get(Outcome.UNSUPPORTED.value, 0)
    partly = aside and cell.outcome != Outcome.UNSUPPORTED.value
    word = f"**{cell.outcome}**" if cell.outcome == Outcome.BROKEN.value else cell.outcome
    return f"{word} ({aside} unsupported)" if partly else word


def _reasons(certificate: Certificate, balancer: Balancer) -> list[str]:
    """One line a reason, with the checks that it is told of."""
    groups: dict[tuple[str, str], list[str]] = {}
    for row in certificate.rows:
        cell = row.cells.get(balancer.name)
        if cell is not None and cell.reason:
            outcome = cell.outcome if cell.outcome != Outcome.HOLDS.value else f"in part {Outcome.UNSUPPORTED.value}"
            groups.setdefault((outcome, cell.reason), []).append(row.id)
    ordered = sorted(groups.items(), key=lambda item: (weight(item[0][0]), item[1]))
    return [f"- {outcome}: {', '.join(ids)}: {reason}" for (outcome, reason), ids in ordered]


def _conditions(runs: Sequence[Run]) -> str:
    if not runs:
        return ""
    where = runs[0].environment
    seconds = ", ".join(f"{run.environment.target} {run.duration_s:.0f} s" for run in runs)
    return f"lbcheck {where.lbcheck}, Python {where.python}, {where.cpus} cores; {seconds}."
