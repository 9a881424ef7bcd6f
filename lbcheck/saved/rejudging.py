"""A saved history judged again: each judgement that its check made, when it was made, and what always holds.

The file is read line by line. A judgement stands in it after the events that its judge saw, so that the history read so
far is the history as it was.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lbcheck.errors import SpecError
from lbcheck.judges.invariants import invariants
from lbcheck.judges.judging import JUDGES
from lbcheck.saved.arguments import Reader, records
from lbcheck.saved.columns import Columns
from lbcheck.saved.lines import AGAIN, END, FROM_WHERE, refuse, unsealed
from lbcheck.saved.writing import JUDGEMENT, LEFT_OUT, Heading, found, then
from lbcheck.spec.document import from_document
from lbcheck.verdict import Outcome, Verdict

WRONG = (KeyError, TypeError, ValueError, OverflowError, IndexError, AttributeError, SpecError)


@dataclass(frozen=True, slots=True)
class Again:
    """One judgement then and now. `now` is None where it could not be repeated, and `why` says why."""

    then: Verdict
    now: Verdict | None
    why: str = ""

    @property
    def differs(self) -> bool:
        """Also in its words and figures: what was seen is part of a judgement."""
        return self.now is not None and as_read(self.now) != as_read(self.then)


def as_read(verdict: Verdict) -> Any:
    """A verdict as a file gives it back."""
    return json.loads(json.dumps(then(verdict)))


@dataclass(frozen=True, slots=True)
class Judged:
    """A whole file. `always` are the judgements that need no claim."""

    heading: Heading
    history: Columns
    repeated: tuple[Again, ...]
    always: tuple[Verdict, ...]

    @property
    def outcome(self) -> Outcome:
        """As a run's: broken if anything is, inconclusive if anything could not be decided, or nothing was to be."""
        now = [again.now.outcome if again.now else Outcome.INCONCLUSIVE for again in self.repeated]
        outcomes = {*now, *(verdict.outcome for verdict in self.always)}
        if Outcome.BROKEN in outcomes:
            return Outcome.BROKEN
        return Outcome.HOLDS if now and outcomes == {Outcome.HOLDS} else Outcome.INCONCLUSIVE


def judge_again(path: Path) -> Judged:
    """HistoryError, with the line, for a file that is truncated, changed, foreign or of another version."""
    records()  # every judge is known from here on
    history, repeated = Columns(), list[Again]()
    reader = Reader(history, history.exchanges_at)
    lines = unsealed(path)
    heading = _heading(path, next(lines)[1])
    for number, record in lines:
        kind = record.get("kind")
        try:
            if kind == JUDGEMENT:
                repeated.append(_again(record, reader))
            elif kind != END:
                history.add(record)
            elif (record["events"], record["judgements"]) != (len(history), len(repeated)):
                refuse(path, number, f"expected {record['events']} events, got {len(history)}", AGAIN)
        except WRONG as error:
            refuse(path, number, f"expected an event or a judgement: {_told(error)}", FROM_WHERE)
    always = () if heading.left_out else invariants(history, heading.spec)
    return Judged(heading, history, tuple(repeated), always)


def _heading(path: Path, header: Mapping[str, Any]) -> Heading:
    values: dict[str, Any] = {name: header.get(name) for name in Heading.__slots__}
    try:
        spec = from_document(header["spec"], f"{path}:1")
        values |= {"spec": spec, "redacted": tuple(header["redacted"])}
        for name in ("lbcheck", "check", "node", "claim", "subject", "target", "lab", "catalogue"):
            if not isinstance(values[name], str):
                raise TypeError(f"{name} is no text")
        if type(values["left_out"]) is not int or not all(isinstance(name, str) for name in values["redacted"]):
            raise TypeError("what was left out is not told as it should be")
        return Heading(**values)
    except WRONG as error:
        refuse(path, 1, f"expected a header that says what the history is of: {_told(error)}", FROM_WHERE)


def _again(record: Mapping[str, Any], reader: Reader) -> Again:
    before = found(record["then"])
    if why := record.get("why_not"):
        return Again(before, None, str(why))
    judge = JUDGES.get(record["judge"])
    if judge is None:
        return Again(before, None, f"this lbcheck has no judge {record['judge']}")
    arguments = {name: reader.read(value) for name, value in record["arguments"].items()}
    try:
        return Again(before, judge(**arguments))
    except Exception as error:  # a judge of this version may not take what that of another did
        return Again(before, None, f"the judge {record['judge']} crashed on it: {_told(error)}")


def _told(error: Exception) -> str:
    words = f"{error} is missing" if isinstance(error, KeyError) else f"{type(error).__name__}: {error}"
    return words.partition("\n")[0][:200]


def lines_of(judged: Judged) -> Iterator[str]:
    """What `lbcheck judge` prints."""
    heading, history = judged.heading, judged.history
    yield f"{heading.node}  {heading.claim}"
    where = f"{heading.target or 'a target'} in lab {heading.lab}, seed {heading.seed}"
    yield (
        f"  recorded by lbcheck {heading.lbcheck}: {where}; {_plural(len(history), 'event')}, "
        f"{_plural(len(history.exchange_table), 'request')}"
    )
    for again in judged.repeated:
        yield from _repeated(again, heading)
    if heading.left_out:
        yield f"  not judged: whether anything was lost or repeated ({LEFT_OUT}: {heading.left_out:,} events left out)"
    for verdict in judged.always:
        yield _line(verdict.outcome.value, verdict, "always")
    differing = sum(again.differs for again in judged.repeated)
    alike = "all as then" if not differing else f"{differing} not as then"
    yield f"{judged.outcome.value.upper()}: {_plural(len(judged.repeated), 'judgement')}, {alike}"


def _repeated(again: Again, heading: Heading) -> Iterator[str]:
    if again.now is None:
        yield _line("not repeated", again.then, f"then {again.then.outcome.value}; {again.why}")
        return
    yield _line(again.now.outcome.value, again.now, "" if not again.differs else "DIFFERS")
    if again.differs:
        yield f"    then {again.then.outcome.value}: expected {again.then.expected}; saw {again.then.saw}"
        if heading.redacted:
            yield f"    (values of {', '.join(heading.redacted)} were taken out of the file)"


def _line(outcome: str, verdict: Verdict, note: str) -> str:
    told = f"{verdict.judgement}: expected {verdict.expected}; saw {verdict.saw}"
    return f"  {outcome:<13}{told}{f'  [{note}]' if note else ''}"


def _plural(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
