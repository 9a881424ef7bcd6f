"""Recorded runs of correct checks, corrupted by one event, and judged again by all who can judge.

What may go unnoticed is decided here from the true history alone (`harmless`), not by asking the judges.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any, Literal, TypeAlias

from lbcheck.history import Answered, Arrival, BodyRead, Connected, Disconnected, Event, Exchange, History
from lbcheck.judges.coherence import coherent
from lbcheck.judges.health import Probe, results_of
from lbcheck.judges.invariants import invariants
from lbcheck.judges.judging import JUDGES
from lbcheck.lab.sim import SimLab
from lbcheck.lab.stage import open_stage
from lbcheck.spec.model import Spec
from lbcheck.verdict import Call, Verdict, collecting
from tests import matrix

Kind: TypeAlias = Literal["client", "arrival", "departure", "probe"]
Moved: TypeAlias = Exchange | Arrival | Answered
KINDS: tuple[Kind, ...] = ("client", "arrival", "departure", "probe")


@dataclass(frozen=True, eq=False)
class Run:
    """A check on one subject as the correct reference was found by it: events in order of recording, and judgements."""

    node: str
    spec: Spec
    events: tuple[Event, ...]
    calls: tuple[Call, ...]

    @cached_property
    def history(self) -> History:
        return History(self.events)

    @cached_property
    def probes(self) -> frozenset[tuple[str, int, int]]:
        return frozenset((a.backend, a.connection, a.index) for a in self.history.probes)

    def places(self, kind: Kind) -> list[int]:
        """Where the events of a kind stand; a probe is its arrival and its departure."""
        return [number for number, event in enumerate(self.events) if self.kind_of(event) == kind]

    def reads(self, event: Arrival | Answered) -> bool:
        """Does a judgement of the check look at what this probe asked, or at its result?"""
        for call in self.calls:
            if event.backend != call.arguments.get("backend"):
                continue
            if isinstance(event, Arrival) and call.judge == "probe_shape":
                return True
            streak = deciding(call) if isinstance(event, Answered) else []
            if streak and streak[0].began <= event.at <= streak[-1].ended:
                return True
        return False

    def kind_of(self, event: Event) -> Kind | None:
        if isinstance(event, Exchange):
            return "client"
        if not isinstance(event, Arrival | Answered):
            return None
        if (event.backend, event.connection, event.index) in self.probes:
            return "probe"
        return "arrival" if isinstance(event, Arrival) else "departure"


@cache
def recorded(check_id: str) -> Run:
    """The first subject of a check that every judge finds in order."""
    case = matrix.cases(check_id)[0]
    lab = SimLab(matrix.SEED)
    try:
        with (
            collecting() as verdicts,
            open_stage(lab, case.spec, case.subject, seed=matrix.SEED, opening=case.check.opening) as stage,
        ):
            handed = stage.pool(case.subject.name) if case.subject.kind == "pool" else stage.subject.value
            case.check.function(stage, **{case.subject.kind: handed})
            events, spec = tuple(stage.sync()), stage.spec
    finally:
        lab.close()
    run = Run(case.node, spec, events, tuple(v.call for v in verdicts if v.call is not None))
    assert run.calls
    assert not caught(run, list(enumerate(events)))
    return run


# --- corruptions -----------------------------------------------------------------------------------------------------

Numbered: TypeAlias = list[tuple[int, Event]]  # each event with its place in the true history


@dataclass(frozen=True, slots=True)
class Corruption:
    """One thing done to the events at one or two places."""

    what: Literal["drop", "duplicate", "delay", "swap", "cross-wire"]
    at: int
    other: int = -1
    by_s: float = 0.0

    def applied(self, events: Sequence[Event]) -> Numbered:
        out: Numbered = list(enumerate(events))
        if self.what == "drop":
            del out[self.at]
        elif self.what == "duplicate":
            out.insert(self.at, out[self.at])
        else:
            for place, event in self.changed(events):
                out[place] = place, event
        return out

    def changed(self, events: Sequence[Any]) -> list[tuple[int, Moved]]:
        """The events that are others now."""
        one = events[self.at]
        if self.what == "delay":
            return [(self.at, shifted(one, self.by_s))]
        other = events[self.other]
        if self.what == "swap":
            apart = other.at - one.at
            return [(self.at, shifted(one, apart)), (self.other, shifted(other, -apart))]
        return [(self.at, with_content_of(one, other)), (self.other, with_content_of(other, one))]


def shifted(event: Moved, by_s: float) -> Moved:
    if not isinstance(event, Exchange):
        return replace(event, at=event.at + by_s)
    later = {
        name: None if moment is None else moment + by_s
        for name in ("invoked", "sent", "first_byte", "done")
        for moment in (getattr(event, name),)
    }
    return replace(event, **later)  # type: ignore[arg-type]


CONTENT: dict[type[Any], tuple[str, ...]] = {
    Exchange: ("status", "headers", "body", "body_len", "body_sha", "complete", "error", "interim"),
    Arrival: ("id", "method", "target", "head", "probe"),
    Answered: ("how", "status"),
}


def with_content_of(event: Moved, other: Moved) -> Moved:
    """At the same place and time, what the other says: a client's answer, a backend's request, a request's end."""
    assert type(event) is type(other)
    return replace(event, **{name: getattr(other, name) for name in CONTENT[type(event)]})


# --- judging again ---------------------------------------------------------------------------------------------------


def caught(run: Run, events: Numbered) -> list[Verdict]:
    """Every verdict that does not hold: the check's own judgements, the invariants, and whether it can have been."""
    history = History(event for _, event in events)
    verdicts = [coherent(history), *invariants(history, run.spec)]
    verdicts += [verdict for call in run.calls if (verdict := _again(call, events)) is not None]
    return [verdict for verdict in verdicts if not verdict.holds]


def _again(call: Call, events: Numbered) -> Verdict | None:
    """The judgement with what was corrupted in place of the true; None where what it was asked about is gone."""
    present: dict[str, list[Exchange]] = {}
    for _, event in events:
        if isinstance(event, Exchange):
            present.setdefault(event.id, []).append(event)

    def now(value: Any) -> Any:
        if isinstance(value, History):
            known = len(events) if call.events is None else call.events
            return History(event for place, event in events if place < known)
        if isinstance(value, list | tuple):
            items = [
                x for each in value for x in (present.get(each.id, []) if isinstance(each, Exchange) else [now(each)])
            ]
            return type(value)(items)
        return present[value.id][0] if isinstance(value, Exchange) else value

    try:
        arguments = {name: now(value) for name, value in call.arguments.items()}
    except KeyError:
        return None
    if probes := arguments.get("probes"):  # what the check had read from the history is read again
        check = arguments["pool"].health_check
        arguments["probes"] = results_of(arguments["history"], arguments["backend"], check, since=probes[0].began)
    return JUDGES[call.judge](**arguments)


def deciding(call: Call) -> list[Probe]:
    """The probes that a judgement of thresholds rests on: from the first that it saw to the end of the streak."""
    probes: list[Probe] = call.arguments.get("probes", [])
    wanted = call.arguments.get("failures", call.arguments.get("successes", 0))
    passed, streak = "successes" in call.arguments, 0
    for number, probe in enumerate(probes, 1):
        streak = streak + 1 if probe.passed is passed else 0
        if streak == wanted:
            return probes[:number]
    return []


# --- what may go unnoticed -------------------------------------------------------------------------------------------


def harmless(run: Run, corruption: Corruption) -> str | None:
    """Why nobody need notice, or None: then somebody must.

    - A request that reached nobody and was the last on its connection leaves no trace but its own: dropped, it is one
      piece of evidence less.
    - An end on a connection that has none itself, of which no client has the whole answer, may not have come yet.
    - A moment may be any other between its causes and its effects: times of one machine are no more exact than that,
      and what a check says of times it says of many.
    - How a try ended of which no client has a whole answer is between balancer and backend.
    - Contents that are equal are not told apart.
    - Probes carry no names: what two of them asked, and what became of them, matters to the checks of their shape and
      of thresholds alone, and there up to the result that decides.
    """
    event: Any = run.events[corruption.at]
    if corruption.what == "duplicate":
        return None
    if corruption.what == "drop":
        return _leaves_no_trace(run, event)
    changed = corruption.changed(run.events)
    if all(event == run.events[place] for place, event in changed):
        return "contents that are equal"
    if corruption.what != "cross-wire":
        bounds = [(window(run, run.events[place]), event) for place, event in changed]
        return "between causes and effects" if all(low <= e.at <= high for (low, high), e in bounds) else None
    if run.kind_of(event) == "probe" and not any(run.reads(run.events[place]) for place, _ in changed):
        return "probes that nothing is said of"
    if isinstance(event, Answered) and not any(_answered_own(run, run.events[place]) for place, _ in changed):
        return "ends of tries that nobody had a whole answer of"
    return None


def _answered_own(run: Run, departure: Event) -> bool:
    """Has a client the whole answer of this backend's that ended so?"""
    assert isinstance(departure, Answered)
    return any(e.complete and e.backend == departure.backend for e in _asked_by(run, departure))


def _leaves_no_trace(run: Run, event: Any) -> str | None:
    history = run.history
    if isinstance(event, Exchange):
        last = max(e.index for e in history.exchanges if e.connection == event.connection)
        return "reached nobody" if not history.arrivals_of(event.id) and event.index == last else None
    if isinstance(event, Answered):
        open_yet = _of_line(run, Disconnected, event) is None
        whole = any(e.complete and e.backend == event.backend for e in _asked_by(run, event))
        return "may not have come yet" if open_yet and not whole else None
    return None


def window(run: Run, event: Any) -> tuple[float, float]:
    """The moments, first and last, at which this event's own moment stands between its causes and its effects."""
    if isinstance(event, Exchange):
        return _client_window(run, event)
    here = _of_line(run, Connected, event).at
    causes, effects = [here], [e.at for e in (_of_line(run, Disconnected, event),) if e is not None]
    exchanges = _asked_by(run, event)
    if isinstance(event, Answered):
        arrival = next(a for a in run.history.arrivals if _place(a) == _place(event))
        body = run.history.body_of(arrival)
        causes += [arrival.at] + ([body.at] if body and event.how == "answered" else [])
        effects += [
            e.done
            for e in exchanges
            if event.how == "answered" and e.complete and e.backend == event.backend and e.done
        ]
    else:
        own = [a for a in run.history.arrivals if (a.backend, a.connection) == (event.backend, event.connection)]
        causes += [a.at for a in own if a.index == event.index - 1] + [e.invoked for e in exchanges]
        effects += [a.at for a in own if a.index == event.index + 1]
        effects += [e.first_byte for e in exchanges if e.backend == event.backend and e.first_byte]
        effects += [e.at for e in run.events if isinstance(e, BodyRead | Answered) and _place(e) == _place(event)]
    return max(causes), min(effects, default=math.inf)


def _client_window(run: Run, exchange: Exchange) -> tuple[float, float]:
    """Of `invoked`, as all four moments of the request move together."""
    arrivals = run.history.arrivals_of(exchange.id)
    latest = min((a.at for a in arrivals), default=math.inf)
    earliest = -math.inf
    for arrival in (a for a in arrivals if a.backend == exchange.backend):
        if exchange.first_byte is not None:
            earliest = max(earliest, arrival.at - (exchange.first_byte - exchange.invoked))
        end = run.history.answered_of(arrival)
        if end is not None and end.how == "answered" and exchange.complete and exchange.done is not None:
            earliest = max(earliest, end.at - (exchange.done - exchange.invoked))
    return earliest, latest


def _place(event: Any) -> tuple[str, int, int]:
    return event.backend, event.connection, event.index


def _of_line(run: Run, kind: type[Any], event: Any) -> Any:
    """The event of this kind on the same connection to a backend."""
    return next(
        (e for e in run.history.of(kind) if (e.backend, e.connection) == (event.backend, event.connection)), None
    )


def _asked_by(run: Run, event: Any) -> list[Exchange]:
    """The request that an arrival or a departure belongs to."""
    identity = next((a.id for a in run.history.arrivals if _place(a) == _place(event)), None)
    return [e for e in run.history.exchanges if identity is not None and e.id == identity]


def singles(run: Run, what: Literal["drop", "duplicate"]) -> Iterator[Corruption]:
    for kind in KINDS:
        for place in run.places(kind):
            yield Corruption(what, place)
