"""What happened, as recorded: events on one monotonic clock, and the fate of each request on its two axes.

Clients, backends, probes and faults append events; judges only read. One event is one JSON object on one line
(`to_json`, `from_json`); `lbcheck.saved` makes files of histories, and reads them back.

The id of a request travels in the header `Lbcheck-Id`, never in path or query. A backend signs its answers with
`Lbcheck-Backend` (its name) and repeats the id that it read in `Lbcheck-Id`: an answer without the signature was made
by the balancer, one signed for another id is cross-wired.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar, Literal, TypeAlias

ID_HEADER = "Lbcheck-Id"
BACKEND_HEADER = "Lbcheck-Backend"
GIVEN = re.compile(r"c[0-9]+-[0-9]+")  # an id that the client gave to one request, and no check wrote into raw bytes
REDACTED = "[redacted]"  # in a saved history, in the place of a field's value that may be a secret

Headers: TypeAlias = tuple[tuple[str, str], ...]

# --- events ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request as the client lived it. Times are None where the moment never came.

    `error`: refused | reset | timeout | closed (before a whole head) | cut (body incomplete) | garbage (not HTTP, and
    `body` shows it) | aborted (the client went away on purpose). `done` is when it was over, whichever way.
    `headers` are the answer's fields in order, names as received; `body` is at most the first 4 KiB, `body_sha` of all.
    `interim` lists 1xx statuses. `connection` is the client's own name for the connection, `index` counts from 0 on it.
    """

    kind: ClassVar[str] = "exchange"
    id: str
    listener: str
    method: str
    target: str
    source: str
    connection: str
    index: int
    invoked: float
    request: bytes = b""  # the raw head as sent
    sent: float | None = None
    first_byte: float | None = None
    done: float | None = None
    status: int | None = None
    headers: Headers = ()
    body: bytes = b""
    body_len: int = 0
    body_sha: str = ""
    complete: bool = False
    error: str | None = None
    interim: tuple[int, ...] = ()

    @property
    def at(self) -> float:
        return self.invoked

    def header(self, name: str) -> str | None:
        lower = name.lower()
        for known, value in self.headers:  # millions of times in a long history: no generator
            if known == name or known.lower() == lower:
                return value
        return None

    def all_headers(self, name: str) -> tuple[str, ...]:
        return tuple(v for n, v in self.headers if n.lower() == name.lower())

    @property
    def backend(self) -> str | None:
        """The backend that signed the answer."""
        return self.header(BACKEND_HEADER)


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request's whole head has been read by a backend. `id` None: a probe or a stray (`probe` tells)."""

    kind: ClassVar[str] = "arrival"
    backend: str
    connection: int
    index: int
    at: float
    id: str | None
    method: str
    target: str
    head: bytes  # raw, from the request line to the empty line
    peer: str  # host:port of the balancer's side
    probe: bool = False


@dataclass(frozen=True, slots=True)
class BodyRead:
    """The request's body was read to its end (also when empty), or the connection ended before (`complete` False)."""

    kind: ClassVar[str] = "body"
    backend: str
    connection: int
    index: int
    at: float
    length: int
    sha: str
    complete: bool = True
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """What the backend did with an arrival: `how` is answered | reset | cut | abandoned (peer went first) | hung."""

    kind: ClassVar[str] = "answered"
    backend: str
    connection: int
    index: int
    at: float
    how: str
    status: int | None = None


@dataclass(frozen=True, slots=True)
class Connected:
    kind: ClassVar[str] = "connected"
    backend: str
    connection: int
    at: float
    peer: str


@dataclass(frozen=True, slots=True)
class Disconnected:
    """A connection to a backend is over; one with `bytes_in` 0 has the shape of a TCP check. `by`: peer | backend."""

    kind: ClassVar[str] = "disconnected"
    backend: str
    connection: int
    at: float
    bytes_in: int
    by: str
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Garbage:
    """A backend read what is no request; `raw` is at most 64 KiB of it."""

    kind: ClassVar[str] = "garbage"
    backend: str
    connection: int
    at: float
    raw: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class Act:
    """The harness did something on purpose: `what` is a word (inject, heal, drain, kill, script ...), `on` the node."""

    kind: ClassVar[str] = "act"
    at: float
    what: str
    on: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class FaultBegan:
    kind: ClassVar[str] = "fault-began"
    at: float
    fault: str
    on: str
    witnessed: bool = False


@dataclass(frozen=True, slots=True)
class FaultEnded:
    kind: ClassVar[str] = "fault-ended"
    at: float
    fault: str
    on: str


Event: TypeAlias = (
    Exchange | Arrival | BodyRead | Answered | Connected | Disconnected | Garbage | Act | FaultBegan | FaultEnded
)
EVENTS: dict[str, type[Any]] = {
    cls.kind: cls
    for cls in (Exchange, Arrival, BodyRead, Answered, Connected, Disconnected, Garbage, Act, FaultBegan, FaultEnded)
}


_FIELDS: dict[str, tuple[tuple[str, Any], ...]] = {
    kind: tuple((f.name, f.default) for f in dataclasses.fields(cls)) for kind, cls in EVENTS.items()
}
_NAMES: dict[str, frozenset[str]] = {kind: frozenset(name for name, _ in fields) for kind, fields in _FIELDS.items()}


def to_json(event: Event) -> dict[str, Any]:
    """One JSON object: `kind` first; bytes as base64 in {"b64": ...}; fields that hold their default are left out."""
    out: dict[str, Any] = {"kind": event.kind}
    for name, default in _FIELDS[event.kind]:  # a field without a default never equals MISSING
        value = getattr(event, name)
        if value != default:
            out[name] = {"b64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value
    return out


def from_json(data: dict[str, Any]) -> Event:
    """The inverse of `to_json`; ValueError for an unknown kind or field."""
    values = dict(data)
    cls = EVENTS.get(values.pop("kind", ""))
    if cls is None:
        raise ValueError(f"unknown event kind {data.get('kind')!r}")
    if unknown := values.keys() - _NAMES[cls.kind]:
        raise ValueError(f"unknown field {sorted(unknown)[0]!r} in a {data['kind']} event")
    return cls(**{k: _value(v) for k, v in values.items()})  # type: ignore[no-any-return]


def _value(value: Any) -> Any:
    if isinstance(value, dict):
        return base64.b64decode(value["b64"])
    if isinstance(value, list):
        return tuple(tuple(x) if isinstance(x, list) else x for x in value)
    return value


# --- fate ------------------------------------------------------------------------------------------------------------


class Fate(str, Enum):
    """Where a request stands on its axes (see `History.fate`); `repeated` is told by the count of arrivals."""

    ANSWERED = "answered"  # at least one arrival, answered by the backend that had the last one
    LOST = "lost"  # no arrival, no answer
    REFUSED = "refused"  # no arrival, a 5xx made by the balancer
    LOCAL = "local"  # no arrival, a redirect, fixed response or 4xx made by the balancer
    FAILED = "failed"  # arrived, a 5xx made by the balancer
    UNKNOWN = "unknown"  # arrived, no answer
    CUT = "cut"  # the answer began and is incomplete
    CROSS_WIRED = "cross-wired"  # the answer of another request, or signed by a backend that this one never reached


Answer: TypeAlias = Literal["own", "cross-wired", "balancer", "none"]


@dataclass(frozen=True, slots=True)
class Journey:
    """A request with everything that became of it; `arrivals` in order of time, probes never among them."""

    exchange: Exchange
    arrivals: tuple[Arrival, ...]
    answer: Answer
    fate: Fate

    @property
    def backends(self) -> tuple[str, ...]:
        return tuple(a.backend for a in self.arrivals)

    @property
    def repeated(self) -> bool:
        return len(self.arrivals) > 1


def _answer(exchange: Exchange, arrivals: Iterable[Arrival]) -> Answer:
    if exchange.status is None:
        return "none"
    if exchange.backend is None:
        return "balancer"
    reached = {a.backend for a in arrivals}
    own = exchange.header(ID_HEADER) == exchange.id and exchange.backend in reached
    return "own" if own else "cross-wired"


def _fate(exchange: Exchange, answer: Answer, arrived: bool) -> Fate:
    if answer == "cross-wired":
        return Fate.CROSS_WIRED
    if answer == "none":
        return Fate.UNKNOWN if arrived else Fate.LOST
    if not exchange.complete:
        return Fate.CUT
    if answer == "own":
        return Fate.ANSWERED
    if (exchange.status or 0) >= 500:
        return Fate.FAILED if arrived else Fate.REFUSED
    return Fate.FAILED if arrived and (exchange.status or 0) >= 400 else Fate.LOCAL


# --- the history -----------------------------------------------------------------------------------------------------


class History:
    """Events in order of recording; queries sort by time. Append-only; listeners hear of each event."""

    witnessed = True  # do backends tell what arrives?

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self._events: list[Event] = []
        self._by_kind: dict[str, list[Any]] = defaultdict(list)
        self._arrivals: dict[str, list[Arrival]] = defaultdict(list)
        self._about_arrival: dict[tuple[str, str, int, int], Any] = {}  # the first event of a kind about an arrival
        self.heard: list[Callable[[Event], None]] = []
        for event in events:
            self.append(event)

    def append(self, event: Event) -> None:
        self._events.append(event)
        self._by_kind[event.kind].append(event)
        if isinstance(event, Arrival):
            if event.id is not None:
                self._arrivals[event.id].append(event)
        elif isinstance(event, (BodyRead, Answered)):
            self._about_arrival.setdefault((event.kind, event.backend, event.connection, event.index), event)
        for hear in self.heard:
            hear(event)

    def __iter__(self) -> Iterator[Event]:
        return iter(self._events)

    def __len__(self) -> int:
        return len(self._events)

    @property
    def exchanges(self) -> Sequence[Exchange]:
        """In order of invocation."""
        return sorted(self._by_kind[Exchange.kind], key=lambda e: e.invoked)

    @property
    def arrivals(self) -> Sequence[Arrival]:
        """Every arrival, probes and strays too, by time."""
        return sorted(self._by_kind[Arrival.kind], key=lambda e: e.at)

    @property
    def probes(self) -> Sequence[Arrival]:
        """HTTP probes by time; TCP checks are `Connected`/`Disconnected` pairs without a byte."""
        return [a for a in self.arrivals if a.probe]

    @property
    def strays(self) -> Sequence[Arrival]:
        return [a for a in self.arrivals if a.id is None and not a.probe]

    def of(self, kind: type[Any]) -> Sequence[Any]:
        """All events of a class, in order of recording."""
        return list(self._by_kind[kind.kind])

    def arrivals_of(self, exchange_id: str) -> tuple[Arrival, ...]:
        return tuple(sorted(self._arrivals.get(exchange_id, ()), key=lambda a: a.at))

    def body_of(self, arrival: Arrival) -> BodyRead | None:
        event: BodyRead | None = self._about(BodyRead.kind, arrival)
        return event

    def answered_of(self, arrival: Arrival) -> Answered | None:
        event: Answered | None = self._about(Answered.kind, arrival)
        return event

    def _about(self, kind: str, arrival: Arrival) -> Any:
        return self._about_arrival.get((kind, arrival.backend, arrival.connection, arrival.index))

    def journey(self, exchange: Exchange) -> Journey:
        arrivals = self.arrivals_of(exchange.id)
        answer = _answer(exchange, arrivals)
        return Journey(exchange, arrivals, answer, _fate(exchange, answer, bool(arrivals)))

    def journeys(self) -> list[Journey]:
        return [self.journey(e) for e in self.exchanges]

    def doubtful(self) -> Iterable[Exchange]:
        """In order of invocation, the exchanges that are not known to be answered, whole, by their sole arrival."""
        return self.exchanges

    def lines(self) -> Iterator[str]:
        """The events as JSON lines; the same history always gives the same bytes."""
        for event in self._events:
            yield json.dumps(to_json(event), separators=(",", ":"))
