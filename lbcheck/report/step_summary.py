"""The verdict as GitHub's Markdown for the summary of a job's step: what a reviewer reads first, bounded in size."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from lbcheck.report import summary
from lbcheck.report.model import CheckRecord, Run
from lbcheck.report.outcomes import FAILURES, weight
from lbcheck.report.text import line
from lbcheck.verdict import Outcome

LIMIT = 64 * 1024  # bytes; GitHub takes 1 MiB of a step, and drops all of what is longer
_CELL = 300
_FAILURES, _REASONS = 25, 20
_SIGNS = {"broken": "❌", "undecided": "⚠️", "gap": "⚠️", "holds": "✅"}


def markdown(run: Run, report: str = "") -> str:
    """`report`: where the whole report is, in words. At most `LIMIT` bytes: whole parts are left out, and told."""
    left, kept = 0, list[str]()
    room = LIMIT - 200
    for part in _parts(run, report):
        size = len(part.encode()) + 2
        if size <= room:
            kept.append(part)
            room -= size
        else:
            left += 1
    if left:
        kept.append(f"{summary.plural(left, 'part')} left out here: the report has all of it.")
    return "\n\n".join(kept) + "\n"


def _parts(run: Run, report: str) -> Iterator[str]:
    where = run.environment
    yield f"## {_SIGNS[summary.tone(run)]} lbcheck: {_text(summary.headline(run))}"
    about = [f"**{_text(where.target)}** {_text(where.target_version)}", *map(_text, where.config), _text(where.spec)]
    yield " · ".join(part for part in [*about, f"{_text(where.lab)} lab", f"seed {where.seed}"] if part)
    yield _table(("outcome", "checks"), [(_text(word), str(n)) for word, n in summary.counts(run.checks)])
    failures = sorted((r for r in run.checks if r.outcome in FAILURES), key=lambda r: weight(r.outcome))
    for record in failures[:_FAILURES]:
        yield _failure(record)
    if len(failures) > _FAILURES:
        yield f"{len(failures) - _FAILURES} more failures are in the report."
    yield from _undecided(run)
    if lines := [*summary.coverage_lines(run), *summary.difference_lines(run)]:
        body = "\n".join(f"- {_text(text.strip())}" for text in lines)
        yield f"<details><summary>Coverage</summary>\n\n{body}\n\n</details>"
    if report:
        yield _text(report)


def _failure(record: CheckRecord) -> str:
    rows = [
        ("claimed", f"{_code(record.claimed_at)} {_code(record.claimed)}" if record.claimed_at else ""),
        ("directive", f"{_code(record.configured_at)} {_code(record.configured)}" if record.configured_at else ""),
        *(("through it", _code(text)) for text in record.through[: summary.DIFFERENCES]),
        *(("differs", _text(text)) for text in record.differs[: summary.DIFFERENCES]),
        *(
            (f"expected {_text(j.expected)}", f"saw {_text(j.saw)}")
            for j in record.judgements[:10]
            if j.outcome != Outcome.HOLDS.value
        ),
        ("reason", _text(record.reason)),
        ("again", _code(record.again)),
    ]
    head = f"### {_text(record.outcome)}: {_code(record.node)} {_text(record.claim)}"
    return "\n".join([head, "", *(f"- {label}: {text}" for label, text in rows if text.strip())])


def _undecided(run: Run) -> Iterator[str]:
    for outcome in (Outcome.INCONCLUSIVE, Outcome.NOT_RUN, Outcome.UNSUPPORTED, Outcome.KNOWN):
        groups = summary.by_reason(run.checks, outcome)
        rows = [(_text(reason), str(len(records))) for reason, records in groups[:_REASONS]]
        if len(groups) > _REASONS:
            rows.append((f"{len(groups) - _REASONS} more reasons, in the report", ""))
        if rows:
            table = _table(("why", "checks"), rows)
            yield f"<details><summary>{_text(outcome.value)}</summary>\n\n{table}\n\n</details>"


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _text(text: str) -> str:
    """As words alone: nothing in it is Markdown, HTML or a mention."""
    return re.sub(r"[\\`*_{}\[\]<>()#+!|~@&]", lambda found: f"&#{ord(found[0])};", line(text, _CELL))


def _code(text: str) -> str:
    """Between backticks, more of them than it holds in a row (GitHub Flavored Markdown, 6.3)."""
    plain = line(text, _CELL).replace("|", "¦").strip()
    if not plain:
        return ""
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", plain)), default=0))
    pad = " " if plain.startswith("`") or plain.endswith("`") else ""
    return f"{fence}{pad}{plain}{pad}{fence}"
