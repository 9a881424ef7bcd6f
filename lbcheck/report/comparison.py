"""Two runs side by side: which claims a balancer keeps that it did not, and the other way round (pure).

The runs may be of another configuration, version or product. What is compared is behaviour: a claim that was broken
and is now *known* to be is no better, and one in the baseline that holds now is kept, whatever its run made of that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from lbcheck.report import summary
from lbcheck.report.model import CheckRecord, Run
from lbcheck.report.text import line
from lbcheck.verdict import Outcome

_LINE = 300  # characters of one reason
_NOTHING = "nothing changed"


class Behaviour(Enum):
    """What a run showed of a claim."""

    KEPT = "kept"
    BROKEN = "broken"
    UNSUPPORTED = "unsupported"
    UNDECIDED = "undecided"


BEHAVIOURS = {
    Outcome.HOLDS.value: Behaviour.KEPT,
    Outcome.STALE.value: Behaviour.KEPT,
    Outcome.BROKEN.value: Behaviour.BROKEN,
    Outcome.KNOWN.value: Behaviour.BROKEN,
    Outcome.UNSUPPORTED.value: Behaviour.UNSUPPORTED,
}


class Kind(Enum):
    """How a claim fares in the new run; in the order in which they are told."""

    WORSE = "worse"
    OPEN = "no longer decided"
    BETTER = "better"
    VANISHED = "vanished"
    APPEARED = "appeared"
    OTHER = "changed"  # the word of its outcome alone, or from one gap into another


@dataclass(frozen=True, slots=True)
class Change:
    """A case whose outcome is another; `before` or `after` is "" where that run did not have it."""

    node: str
    claim: str
    before: str
    after: str
    kind: Kind
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """`setting` holds (what, before, after) of the runs themselves; `changes` are by kind, then by node."""

    setting: tuple[tuple[str, str, str], ...]
    changes: tuple[Change, ...]
    unchanged: int

    def of(self, kind: Kind) -> list[Change]:
        return [change for change in self.changes if change.kind is kind]


def compared(before: Run, after: Run) -> Comparison:
    """What is another in `after`. Cases are the same where their nodes are."""
    old, new = _by_node(before), _by_node(after)
    found = [_change(old.get(node), new.get(node)) for node in {**old, **new}]
    changes = [change for change in found if change is not None]
    order = {kind: number for number, kind in enumerate(Kind)}
    changes.sort(key=lambda change: (order[change.kind], change.node))
    return Comparison(tuple(_setting(before, after)), tuple(changes), len(found) - len(changes))


def kind_of(before: str, after: str) -> Kind | None:
    """How the outcome `after` compares with `before`; "" is a case that is not there; None: nothing changed."""
    old, new = _behaviour(before), _behaviour(after)
    if before == after:
        return None
    if new is Behaviour.BROKEN and old is not Behaviour.BROKEN:
        return Kind.WORSE
    if not before or not after:
        return Kind.APPEARED if after else Kind.VANISHED
    if old is Behaviour.KEPT and new is Behaviour.UNSUPPORTED:
        return Kind.WORSE
    if new is Behaviour.UNDECIDED and old in (Behaviour.KEPT, Behaviour.BROKEN):
        return Kind.OPEN
    return Kind.BETTER if new is Behaviour.KEPT and old is not Behaviour.KEPT else Kind.OTHER


def _behaviour(outcome: str) -> Behaviour:
    return BEHAVIOURS.get(outcome, Behaviour.UNDECIDED)


def _by_node(run: Run) -> dict[str, CheckRecord]:
    return {record.node: record for record in run.checks}


def _change(before: CheckRecord | None, after: CheckRecord | None) -> Change | None:
    record = after if after is not None else before
    assert record is not None
    old, new = before.outcome if before is not None else "", after.outcome if after is not None else ""
    kind = kind_of(old, new)
    if kind is None:
        return None
    told = _behaviour(new) is not Behaviour.KEPT and after is not None
    return Change(record.node, record.claim, old, new, kind, summary.why(record) if told else "")


def _setting(before: Run, after: Run) -> Iterator[tuple[str, str, str]]:
    old, new = _of(before), _of(after)
    yield from ((what, old[what], new[what]) for what in old if old[what] != new[what])


def _of(run: Run) -> dict[str, str]:
    where = run.environment
    return {
        "target": f"{where.target} {where.target_version}".strip(),
        "configuration": ", ".join(where.config),
        "spec": where.spec or f"the {run.mode}",
        "lab": where.lab,
        "time warp": str(where.warp),
        "seed": str(where.seed),
        "lbcheck": where.lbcheck,
    }


# --- as text ---------------------------------------------------------------------------------------------------------


def lines(comparison: Comparison) -> list[str]:
    """For a terminal: what the runs were, each change with its reason, and the sum."""
    out = [f"{what:<14} {line(old)} -> {line(new)}" for what, old, new in comparison.setting]
    for kind in Kind:
        for change in comparison.of(kind):
            out.append(f"{kind.value.upper()}  {line(change.node)}  {line(change.claim, _LINE)}")
            out.append(f"  {_step(change)}{f': {line(change.reason, _LINE)}' if change.reason else ''}")
    return [*out, headline(comparison)]


def markdown(comparison: Comparison) -> str:
    """For a pull request: a table of the runs, and one of the changes."""
    out = [f"**{headline(comparison)}**"]
    if comparison.setting:
        out += ["", "| | before | after |", "|---|---|---|"]
        out += [_row(what, old, new) for what, old, new in comparison.setting]
    if comparison.changes:
        out += ["", "| | case | claim | outcome | why |", "|---|---|---|---|---|"]
        out += [_row(c.kind.value, c.node, c.claim, _step(c), c.reason) for c in comparison.changes]
    return "\n".join(out) + "\n"


def headline(comparison: Comparison) -> str:
    """`1 worse, 2 better, 30 unchanged`."""
    parts = [f"{len(found)} {kind.value}" for kind in Kind if (found := comparison.of(kind))]
    same = f"{comparison.unchanged} unchanged"
    return ", ".join([*parts, same]) if parts else f"{_NOTHING}, {same}"


def _step(change: Change) -> str:
    return f"{change.before or 'not there'} -> {change.after or 'not there'}"


def _row(*cells: str) -> str:
    return f"| {' | '.join(_cell(cell) for cell in cells)} |"


def _cell(text: str) -> str:
    # What a table or HTML would take for its own is shown as it is.
    shown = line(text, _LINE).replace("&", "&amp;").replace("<", "&lt;").replace("\\", "\\\\")
    return "".join(f"\\{c}" if c in "|`*_[]" else c for c in shown)


def worst(changes: Sequence[Change]) -> Kind | None:
    """The first kind in the order in which they are told; None where there is no change."""
    kinds = {change.kind for change in changes}
    return next((kind for kind in Kind if kind in kinds), None)
