"""A history read from a file: the same questions, the same answers, a fraction of the memory."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeAlias

from lbcheck.history import (
    BACKEND_HEADER,
    EVENTS,
    ID_HEADER,
    Answered,
    Arrival,
    BodyRead,
    Connected,
    Disconnected,
    Event,
    Exchange,
    History,
    from_json,
    to_json,
)
from lbcheck.saved.tables import BLANK, NOBODY, Arrivals, Exchanges, Names, Notes, Recalled, Record, Rows, in_order

Table: TypeAlias = Exchanges | Arrivals | Notes
Key: TypeAlias = tuple[str, int, int]  # backend, connection, index

_KINDS = tuple(EVENTS)
_NUMBERS = {kind: number for number, kind in enumerate(_KINDS)}
_FIELDS = {kind: frozenset(cls.__slots__) | {"kind"} for kind, cls in EVENTS.items()}
_NOTES = (BodyRead.kind, Answered.kind, Connected.kind, Disconnected.kind)


class Columns(History):
    """Append-only, as every history; an event is made anew for each look: equal, not the same."""

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self.heard = []
        ids = Names()
        self.exchange_table = Exchanges(ids)
        self.arrival_table = Arrivals(ids)
        self._tables: dict[str, Table] = {Exchange.kind: self.exchange_table, Arrival.kind: self.arrival_table}
        self.note_tables = {kind: Notes(kind) for kind in _NOTES}
        self._tables |= self.note_tables
        self._others: dict[str, list[Any]] = {kind: [] for kind in _KINDS if kind not in self._tables}
        self._order = array("B")  # the kind of each event, in order of recording
        # Of each arrival the row of what became of it; an arrival is open until both are known.
        self._became = {BodyRead.kind: array("i"), Answered.kind: array("i")}
        self._open: dict[Key, int] = {}
        self._early: dict[tuple[str, Key], int] = {}
        for event in events:
            self.append(event)

    def append(self, event: Event) -> None:
        self.add(to_json(event))
        for hear in self.heard:
            hear(event)

    def add(self, record: Record) -> None:
        """An event as JSON. KeyError, TypeError, ValueError or OverflowError for what is none."""
        kind = record.get("kind")
        known = _FIELDS.get(kind) if isinstance(kind, str) else None
        if kind is None or known is None:
            raise ValueError(f"unknown event kind {kind!r}"[:200])
        if not record.keys() <= known:
            raise ValueError(f"unknown field {min(record.keys() - known)!r} in a {kind} event"[:200])
        table = self._tables.get(kind)
        if table is None:
            self._others[kind].append(from_json(dict(record)))
        else:
            table.add(record)
            if kind == Arrival.kind:
                self._arrived(record)
            elif kind in self._became:
                self._told(kind, record)
        self._order.append(_NUMBERS[kind])

    def _arrived(self, record: Record) -> None:
        key = record["backend"], record["connection"], record["index"]
        for kind, rows in self._became.items():
            rows.append(self._early.pop((kind, key), NOBODY))
        self._open.setdefault(key, len(self.arrival_table) - 1)

    def _told(self, kind: str, record: Record) -> None:
        key = record["backend"], record["connection"], record["index"]
        row, arrival = len(self._tables[kind]) - 1, self._open.get(key)
        if arrival is None:
            self._early.setdefault((kind, key), row)
            return
        known = self._became[kind]
        if known[arrival] == NOBODY:
            known[arrival] = row
        if NOBODY not in (self._became[BodyRead.kind][arrival], self._became[Answered.kind][arrival]):
            del self._open[key]

    # --- the questions of a history ----------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Event]:
        events = [iter(self.of(EVENTS[kind])) for kind in _KINDS]
        return (next(events[kind]) for kind in self._order)

    def __len__(self) -> int:
        return len(self._order)

    @property
    def exchanges(self) -> Sequence[Exchange]:
        return Rows(self.exchange_table.at, in_order(self.exchange_table.invoked))

    @property
    def arrivals(self) -> Sequence[Arrival]:
        return Rows(self.arrival_table.at, in_order(self.arrival_table.at_s))

    @property
    def probes(self) -> Sequence[Arrival]:
        return Rows(self.arrival_table.at, self.arrival_table.rows_of_probes())

    @property
    def strays(self) -> Sequence[Arrival]:
        return Rows(self.arrival_table.at, self.arrival_table.rows_of_strays())

    def of(self, kind: type[Any]) -> Sequence[Any]:
        table = self._tables.get(kind.kind)
        return self._others[kind.kind] if table is None else Rows(table.at, range(len(table)))

    def exchanges_at(self, ranges: Iterable[Sequence[int]]) -> Sequence[Exchange]:
        """Exchanges by their places among the exchanges, in order of recording; IndexError for one that is not here."""
        spans = [range(first, beyond) for first, beyond in ranges]
        if any(span.start < 0 or span.stop > len(self.exchange_table) for span in spans):
            raise IndexError("an exchange that is not in the history by then")
        rows = spans[0] if len(spans) == 1 else array("i", (row for span in spans for row in span))
        return Rows(self.exchange_table.at, rows)

    def doubtful(self) -> Iterable[Exchange]:
        """Told by the columns alone, for all but a few of a healthy run's requests."""
        table, reached = self.exchange_table, self._sole_answerers()
        own = [_signed_whole(shape) for shape in table.shapes.all]
        for row in in_order(table.invoked):
            number = table.id[row]
            by = reached[number] if number < len(reached) else None
            if by is None or by != own[table.shape[row]]:
                yield table.at(row)

    def _sole_answerers(self) -> list[str | None]:
        """By the id's number: the backend that answered its one arrival; None where it is not as plain as that."""
        arrivals, answered = self.arrival_table, self.note_tables[Answered.kind]
        names = [str(shape[0]) for shape in arrivals.shapes.all]
        whole = [shape[1] == "answered" for shape in answered.shapes.all]
        became, out = self._became[Answered.kind], list[str | None]()
        for number, arrival in enumerate(arrivals.of_id):
            about = NOBODY if arrival == NOBODY or number in arrivals.more else became[arrival]
            plain = about != NOBODY and whole[answered.shape[about]]
            out.append(names[arrivals.shape[arrival]] if plain else None)
        return out

    def arrivals_of(self, exchange_id: str) -> tuple[Arrival, ...]:
        table = self.arrival_table
        rows = table.rows_of(exchange_id)
        return tuple(table.at(row) for row in (sorted(rows, key=table.at_s.__getitem__) if len(rows) > 1 else rows))

    def _about(self, kind: str, arrival: Arrival) -> Any:
        row = arrival.row if isinstance(arrival, Recalled) else self._row_of(arrival)
        about = self._became[kind][row] if row is not None else NOBODY
        return None if about == NOBODY else self._tables[kind].at(about)

    def _row_of(self, arrival: Arrival) -> int | None:
        """Of an arrival that was made elsewhere."""
        wanted = arrival.backend, arrival.connection, arrival.index
        made = (each for each in map(self.arrival_table.at, range(len(self.arrival_table))))
        return next((row for row, a in enumerate(made) if (a.backend, a.connection, a.index) == wanted), None)


def _signed_whole(shape: tuple[Any, ...]) -> str | None:
    """The backend that signed a complete answer as that of the request itself."""
    status, headers, complete = shape[5], shape[6], shape[10]
    by = next((value for name, value in headers if name.lower() == BACKEND_HEADER.lower()), None)
    of = next((value for name, value in headers if name.lower() == ID_HEADER.lower()), BLANK)
    return by if complete and status is not None and of is None else None
