"""The run in a few lines of text, for the terminal and the head of the page. Nothing here can move a cursor."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from lbcheck.report.model import CheckRecord, Coverage, Part, Run
from lbcheck.report.outcomes import FAILURES, LOOKS, weight
from lbcheck.report.text import line
from lbcheck.verdict import Outcome

SELF_CONSISTENCY = "self-consistency"
DIFFERENCES = 4  # that a failure tells of
_LINE = 400  # characters of one field in the terminal


def headline(run: Run) -> str:
    """The verdict in words. A configuration judged by itself is never called conformant, whoever wrote the headline."""
    if run.mode == SELF_CONSISTENCY and (not run.headline or "conformant" in run.headline.lower()):
        failed = sum(n for outcome, n in counts(run.checks) if outcome in FAILURES)
        kept = run.counts().get(Outcome.HOLDS.value, 0)
        state = "Not self-consistent" if failed else "Self-consistent"
        return f"{state}: {kept} of {plural(len(run.checks), 'claim')} kept"
    return run.headline or "No verdict"


def counts(checks: Iterable[CheckRecord]) -> list[tuple[str, int]]:
    """(outcome, how many) of those that occur, heaviest first."""
    found: dict[str, int] = {}
    for record in checks:
        found[record.outcome] = found.get(record.outcome, 0) + 1
    return sorted(found.items(), key=lambda item: (weight(item[0]), item[0]))


def counts_line(run: Run) -> str:
    """`2 broken, 1 inconclusive, 30 holds`."""
    return ", ".join(f"{n} {line(outcome, _LINE)}" for outcome, n in counts(run.checks)) or "no check"


def failure(record: CheckRecord, evidence_folder: str = "") -> str:
    """One failure, as the terminal shows it; `evidence_folder` is put before the paths of the evidence."""
    rows = [("claimed", _joined(record.claimed_at, record.claimed, record.subject and f"({record.subject})"))]
    rows.append(("directive", _joined(record.configured_at, record.configured)))
    rows += [("through", text) for text in record.through[:DIFFERENCES]]
    rows += [("differs", text) for text in record.differs[:DIFFERENCES]]
    rows += [("expected", f"{j.expected}; saw {j.saw}") for j in record.judgements if j.outcome != Outcome.HOLDS.value]
    rows.append(("reason", record.reason))
    if record.evidence:
        folder, names = evidence_names(record.evidence)
        rows.append(("evidence", _joined(f"{evidence_folder}{folder}", *names)))
    rows += [("evidence", record.unkept), ("again", record.again)]
    level = "core" if record.core else record.level
    head = f"{record.outcome.upper()}  {record.id}  {record.claim}   [{level}]"
    body = [f"  {label:<9} {line(text, _LINE)}" for label, text in rows if text]
    return "\n".join([line(head, _LINE), *body])


def by_reason(
    checks: Iterable[CheckRecord], outcome: Outcome, reason: Callable[[CheckRecord], str] | None = None
) -> list[tuple[str, list[CheckRecord]]]:
    """(reason, checks) of one outcome, in order of first appearance; without a reason the first judgement speaks."""
    groups: dict[str, list[CheckRecord]] = {}
    for record in checks:
        if record.outcome == outcome.value:
            groups.setdefault((reason or why)(record), []).append(record)
    return list(groups.items())


def left_out(checks: Iterable[CheckRecord]) -> list[tuple[str, list[CheckRecord]]]:
    """(what the target's configuration could not say and why, the checks that ran without it), by first appearance."""
    groups: dict[str, list[CheckRecord]] = {}
    for record in checks:
        for text in record.left_out:
            groups.setdefault(text, []).append(record)
    return list(groups.items())


def why(record: CheckRecord) -> str:
    """Why this check was not decided, or what went against it."""
    if record.reason:
        return record.reason
    if record.features:
        return f"the target lacks {', '.join(record.features)}"
    told = next((j.saw for j in record.judgements if j.outcome != Outcome.HOLDS.value), "")
    return told or "no reason was recorded"


def coverage_lines(run: Run, most: int = 8) -> list[str]:
    """What of the spec and of the configuration was exercised, in short; the report has all of it."""
    coverage = run.coverage
    if coverage is None:
        return []
    if not any(part.checks for part in coverage.parts) and not coverage.of("exercised"):
        return ["coverage  nothing was exercised: no check that was decided sent or read anything"]
    told = [f"{kind} {sent} of {n}" for kind, sent, n in sent_to(coverage)]
    lines = [f"coverage  sent to: {', '.join(told)}"]
    missed = [f"{part.kind} {part_name(part)}{_at(part.at)}{_undecided(part.undecided)}" for part in coverage.missed()]
    lines += _listed("  nothing was sent to ", missed, most)
    if coverage.directives:
        counts = ", ".join(f"{len(coverage.of(state))} {state}" for state in STATES)
        lines.append(f"coverage  {plural(len(coverage.directives), 'directive')}: {counts}")
        silent = [f"{d.at}: {d.words}  ({d.reason})" for d in coverage.of("not exercised")]
        lines += _listed("  not exercised: ", silent, most)
    elif coverage.unread:
        lines.append(f"coverage  of the configuration is not known: {coverage.unread}")
    return [line(text, _LINE) for text in lines]


STATES = ("exercised", "not exercised", "no effect")


def difference_lines(run: Run, most: int = 8) -> list[str]:
    """Where the configuration says something else than lb.yaml does itself; its defaults are told in the report."""
    if not run.differences:
        return []
    said = [str(difference) for difference in run.differences if difference.said]
    more = len(run.differences) - len(said)
    lines = [f"differs   {plural(len(said), 'field')} of the spec, and {more} by default (a note, no verdict)"]
    return [line(text, _LINE) for text in [*lines, *_listed("  ", said, most)]]


def sent_to(coverage: Coverage) -> list[tuple[str, int, int]]:
    """(kind in the plural, how many a decided check sent to, of how many) of those that there are."""
    kinds = {"listener": "listeners", "rule": "rules", "default": "defaults", "pool": "pools"}
    found = {kind: [part for part in coverage.parts if part.kind == kind] for kind in kinds}
    return [(kinds[k], sum(bool(part.checks) for part in parts), len(parts)) for k, parts in found.items() if parts]


def part_name(part: Part) -> str:
    """`api`, `public/10`, `public`."""
    return part.path.partition(".")[2].replace(".rules.", "/").removesuffix(".default")


def _at(place: str) -> str:
    return f" ({place})" if place else ""


def _undecided(checks: list[str]) -> str:
    return f", but by checks that decided nothing: {', '.join(checks)}" if checks else ""


def _listed(before: str, texts: list[str], most: int) -> list[str]:
    more = [f"{before}{len(texts) - most} more, which the report lists"] if len(texts) > most else []
    return [f"{before}{text}" for text in texts[:most]] + more


def evidence_names(paths: list[str]) -> tuple[str, list[str]]:
    """(the folder that they share with its slash or "", the names below it)."""
    folders = {path.rpartition("/")[0] for path in paths}
    folder = folders.pop() + "/" if len(folders) == 1 and "" not in folders else ""
    return folder, [path.removeprefix(folder) for path in paths]


def plural(n: int, noun: str) -> str:
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def tone(run: Run) -> str:
    """broken | undecided | gap (a core claim is unsupported) | holds: what the whole looks like."""
    outcomes = run.counts()
    if outcomes.get(Outcome.BROKEN.value) or outcomes.get(Outcome.STALE.value) or run.exit_code == 1:
        return "broken"
    undecided = {look.outcome for look in LOOKS if look.key in {"harness", "inconclusive", "not-run"}}
    if run.exit_code or undecided & set(outcomes) or not outcomes.get(Outcome.HOLDS.value):
        return "undecided"
    return "gap" if any(c.core and c.outcome == Outcome.UNSUPPORTED.value for c in run.checks) else "holds"


def _joined(*parts: str) -> str:
    return "  ".join(part for part in parts if part)
