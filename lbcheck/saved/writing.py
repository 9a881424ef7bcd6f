"""A history as a file that can be judged again: what it is of, its events, and each judgement where it was made."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import lbcheck
from lbcheck.history import Event, Exchange, History, to_json
from lbcheck.saved.arguments import Unwritable, Writer
from lbcheck.saved.lines import END, SCHEMA, sealed
from lbcheck.spec.document import to_document
from lbcheck.spec.model import Spec
from lbcheck.verdict import Call, Outcome, Verdict

JUDGEMENT = "judgement"
LEFT_OUT = "the history was too large to be kept whole"


@dataclass(frozen=True, slots=True)
class Heading:
    """What a history is of. `spec` is the placed one; `redacted` names the fields whose values were taken out."""

    check: str
    node: str
    claim: str
    subject: str  # "pool web"
    spec: Spec
    target: str = ""
    lab: str = ""
    seed: int = 0
    slack_s: float = 0.0
    catalogue: str = ""
    redacted: tuple[str, ...] = ()
    left_out: int = 0  # events
    lbcheck: str = lbcheck.__version__


def lines(
    heading: Heading,
    history: History,
    verdicts: Sequence[Verdict] = (),
    *,
    events: Sequence[Event] | None = None,
    without: Callable[[Event], Event] = lambda event: event,
) -> Iterator[str]:
    """The lines of the file; the same history gives the same bytes.

    `events` are what is kept of the history where that is not all: then no judgement can be repeated. `without` takes
    secrets out of an event.
    """
    kept = list(history) if events is None else list(events)
    writer = Writer(history, _rows(history), without)
    ends = [number for number, event in enumerate(history, 1) if isinstance(event, Exchange)]
    entries = [_Entry(verdict, writer, ends, whole=events is None) for verdict in verdicts]
    return sealed(_records(heading, [to_json(without(event)) for event in kept], _placed(entries, len(kept))))


def _rows(history: History) -> dict[int, int]:
    exchanges = (event for event in history if isinstance(event, Exchange))
    return {id(exchange): row for row, exchange in enumerate(exchanges)}


def _records(heading: Heading, events: list[dict[str, Any]], entries: list[_Entry]) -> Iterator[dict[str, Any]]:
    yield header(heading)
    waiting = iter(entries)
    entry = next(waiting, None)
    for number, event in enumerate((*events, None)):
        while entry is not None and entry.after <= number:
            yield entry.record
            entry = next(waiting, None)
        if event is not None:
            yield event
    yield {"kind": END, "events": len(events), "judgements": len(entries)}


def header(heading: Heading) -> dict[str, Any]:
    """The first line's record."""
    fields = {name: getattr(heading, name) for name in Heading.__slots__ if name not in ("spec", "lbcheck")}
    own = {"schema": SCHEMA, "lbcheck": heading.lbcheck}
    return {**own, **fields, "redacted": list(heading.redacted), "spec": to_document(heading.spec)}


class _Entry:
    """A judgement's line, and after how many events it stands."""

    def __init__(self, verdict: Verdict, writer: Writer, ends: Sequence[int], *, whole: bool) -> None:
        call = verdict.call
        self.record: dict[str, Any] = {"kind": JUDGEMENT, "then": then(verdict)}
        self.after = 0
        try:
            if call is None:
                raise Unwritable("it was not made from the history")
            if not whole:
                raise Unwritable(LEFT_OUT)
            arguments = {name: writer.write(value) for name, value in call.arguments.items()}
            self.record |= {"judge": call.judge, "arguments": arguments}
            self.after = max(call.events or 0, _last(call, writer, ends))
        except Unwritable as reason:
            self.record["why_not"] = str(reason)


def _last(call: Call, writer: Writer, ends: Sequence[int]) -> int:
    """After how many events everything that the call names is there."""

    def rows(value: Any) -> Iterator[int]:
        if isinstance(value, list | tuple):
            for each in value:
                yield from rows(each)
        elif isinstance(value, dict):
            yield from rows(list(value.values()))
        elif id(value) in writer.rows:
            yield writer.rows[id(value)]

    last = max(rows(list(call.arguments.values())), default=None)
    return 0 if last is None else ends[last]


def _placed(entries: list[_Entry], events: int) -> list[_Entry]:
    """In the order in which the check made them, as far as histories that grew meanwhile let them be."""
    reached = 0
    for entry in entries:
        if not _looks(entry.record.get("arguments", {})):
            entry.after = reached = max(reached, entry.after)
        else:
            reached = max(reached, entry.after)
    return sorted(entries, key=lambda entry: min(entry.after, events))


def _looks(arguments: dict[str, Any]) -> bool:
    """Does this judge see the history itself, as long as it was then?"""
    return any(isinstance(value, dict) and "history" in value for value in arguments.values())


def then(verdict: Verdict) -> dict[str, Any]:
    """What was found, as JSON."""
    return {
        "outcome": verdict.outcome.value,
        "judgement": verdict.judgement,
        "expected": verdict.expected,
        "saw": verdict.saw,
        "figures": _finite(verdict.figures),
        "ids": list(verdict.ids),
        "rests_on": verdict.rests_on,
    }


def _finite(value: Any) -> Any:
    """JSON has no word for infinity."""
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def found(then: Mapping[str, Any]) -> Verdict:
    """The inverse of `then`, as far as JSON tells values apart. KeyError, TypeError or ValueError for what is none."""
    judgement, expected, saw = (str(then[name]) for name in ("judgement", "expected", "saw"))
    outcome, figures, ids = Outcome(then["outcome"]), dict(then["figures"]), tuple(then["ids"])
    return Verdict(outcome, judgement, expected, saw, figures, ids, then["rests_on"])
