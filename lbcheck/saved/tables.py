"""Events in columns: a million requests in a few hundred megabytes, each event made again when somebody looks at it.

What differs from event to event (times, numbers, names) stands in arrays. The rest of an event is its *shape*: most
requests of a run have the same one but for their id, so the id is taken out of it and each shape is kept once.
"""

from __future__ import annotations

import math
from array import array
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, fields
from itertools import islice
from typing import Any, Generic, TypeAlias, TypeVar, overload

from lbcheck.history import BACKEND_HEADER, EVENTS, Arrival, Event, Exchange

T = TypeVar("T")
Record: TypeAlias = Mapping[str, Any]  # an event as `lbcheck.history.to_json` gives it

NEVER = math.nan  # a moment that never came
NOBODY = -1  # in place of a row or of a name's number
_set = object.__setattr__  # what is frozen is still to be made
BLANK = b"\0"  # where the id stood in bytes
RECENT = 1 << 17  # names that are kept once while they are in use


class Rows(Sequence[T], Generic[T]):
    """Events of a table in a given order, made when they are looked at."""

    def __init__(self, at: Callable[[int], T], rows: Sequence[int]) -> None:
        self._at = at
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[T]:
        return map(self._at, self._rows)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Rows[T]: ...
    def __getitem__(self, index: int | slice) -> T | Rows[T]:
        if isinstance(index, slice):
            return Rows(self._at, self._rows[index])
        return self._at(self._rows[index])


class Names:
    """Ids by number, each kept once."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._numbers: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self.texts)

    def add(self, text: str) -> int:
        number = self._numbers.setdefault(text, len(self.texts))
        if number == len(self.texts):
            self.texts.append(_text(text))
        return number

    def find(self, text: str) -> int:
        """NOBODY for one that is not here."""
        return self._numbers.get(text, NOBODY)


class Shapes:
    """What many events of a class have in common, each kept once; types are looked at when one is new."""

    def __init__(self, cls: type[Any], *names: str) -> None:
        self.all: list[tuple[Any, ...]] = []
        self._numbers: dict[tuple[Any, ...], int] = {}
        hints = {field.name: str(field.type) for field in fields(cls)}
        self._fields = tuple((name, _ALLOWED[hints[name]]) for name in names)

    def add(self, values: tuple[Any, ...]) -> int:
        """TypeError for a value that has not the type of its field, KeyError for one that is not there."""
        number = self._numbers.get(values)
        if number is None:
            for value, (name, allowed) in zip(values, self._fields, strict=True):
                if value is MISSING:
                    raise KeyError(name)
                if not allowed(value):
                    raise TypeError(f"{name} cannot be {value!r}"[:200])
            number = self._numbers[values] = len(self.all)
            self.all.append(values)
        return number


def _text(value: Any) -> str:
    if type(value) is not str:
        raise TypeError(f"expected a text, got {value!r}"[:200])
    return value


def _blanked_field(value: Any) -> bool:
    name, text = value
    return type(name) is str and (text is None or type(text) is str)


_ALLOWED: Mapping[str, Callable[[Any], bool]] = {
    "str": lambda value: type(value) is str,
    "str | None": lambda value: value is None or type(value) is str,
    "int": lambda value: type(value) is int,
    "int | None": lambda value: value is None or type(value) is int,
    "bool": lambda value: type(value) is bool,
    "bytes": lambda value: type(value) in (bytes, tuple),
    "Headers": lambda value: all(map(_blanked_field, value)),
    "tuple[int, ...]": lambda value: all(type(each) is int for each in value),
}


def _blanked(record: Record, name: str, id: str | None) -> Any:
    """Bytes without the id; those that hold the blank themselves stay whole, in a tuple of one."""
    value = record.get(name)
    raw = b64decode(value["b64"], validate=True) if value else b""
    if BLANK in raw:
        return (raw,)
    return raw.replace(id.encode(), BLANK) if id else raw


def _filled(value: Any, id: str | None) -> bytes:
    if type(value) is tuple:
        return bytes(value[0])
    return value.replace(BLANK, id.encode()) if id else value  # type: ignore[no-any-return]


def _moment(value: float | None) -> float:
    return NEVER if value is None else value


def _seen(value: float) -> float | None:
    return None if value != value else value


class Recent:
    """Names that come again soon or never, such as those of connections: kept once while they are in use."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def __call__(self, text: str) -> str:
        known = self._known.get(text)
        if known is None:
            if len(self._known) >= RECENT:
                self._known.clear()
            known = self._known[text] = _text(text)
        return known


class Recollected(Exchange):
    """An exchange of a table. What judges ask of every one is there at once, the rest is read when it is asked for."""

    __slots__ = ("row", "table")
    row: int
    table: Exchanges

    @property
    def backend(self) -> str | None:
        return self.header(BACKEND_HEADER)

    def header(self, name: str) -> str | None:
        value = self.table.header(self.row, name)
        return self.id if isinstance(value, bytes) else value

    def __getattr__(self, name: str) -> Any:
        if name in ("row", "table"):
            raise AttributeError(name)
        self.table.fill(self, self.row)
        return object.__getattribute__(self, name)


OWN = b"own"  # in place of a header's value: the id of the request itself


class Exchanges:
    """Requests as the client lived them."""

    def __init__(self, ids: Names) -> None:
        self.ids = ids
        self.id, self.shape, self.index = array("i"), array("i"), array("q")
        self.invoked, self.sent, self.first_byte, self.done = array("d"), array("d"), array("d"), array("d")
        self.connection: list[str] = []
        self._recent = Recent()
        self._headers: dict[tuple[int, str], str | bytes | None] = {}  # by shape and name
        self.shapes = Shapes(
            Exchange, "listener", "method", "target", "source", "request", "status", "headers", "body", "body_len",
            "body_sha", "complete", "error", "interim",
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.id)

    def add(self, record: Record) -> None:
        get, identity = record.get, record["id"]
        headers = tuple([(name, None if text == identity else text) for name, text in get("headers", ())])
        shape = self.shapes.add((
            record["listener"], record["method"], record["target"], record["source"],
            _blanked(record, "request", identity), get("status"), headers, _blanked(record, "body", identity),
            get("body_len", 0), get("body_sha", ""), get("complete", False), get("error"), tuple(get("interim", ())),
        ))  # fmt: skip
        self.index.append(record["index"])
        self.invoked.append(record["invoked"])
        self.sent.append(_moment(get("sent")))
        self.first_byte.append(_moment(get("first_byte")))
        self.done.append(_moment(get("done")))
        self.connection.append(self._recent(record["connection"]))
        self.id.append(self.ids.add(identity))
        self.shape.append(shape)

    def at(self, row: int) -> Exchange:
        exchange = object.__new__(Recollected)
        shape = self.shapes.all[self.shape[row]]
        _set(exchange, "table", self)
        _set(exchange, "row", row)
        _set(exchange, "id", self.ids.texts[self.id[row]])
        _set(exchange, "status", shape[5])
        _set(exchange, "complete", shape[10])
        return exchange

    def fill(self, exchange: Exchange, row: int) -> None:
        """Every field of the exchange in this row."""
        identity = self.ids.texts[self.id[row]]
        (listener, method, target, source, request, status, headers, body, body_len, body_sha, complete, error, interim
        ) = self.shapes.all[self.shape[row]]  # fmt: skip
        Exchange.__init__(
            exchange, identity, listener, method, target, source, self.connection[row], self.index[row],
            self.invoked[row], _filled(request, identity), _seen(self.sent[row]), _seen(self.first_byte[row]),
            _seen(self.done[row]), status,
            tuple([(name, identity if text is None else text) for name, text in headers]),
            _filled(body, identity), body_len, body_sha, complete, error, interim,
        )  # fmt: skip

    def header(self, row: int, name: str) -> str | bytes | None:
        """The first value of a field; OWN where it is the request's id."""
        key = self.shape[row], name
        if key not in self._headers:
            fields = self.shapes.all[key[0]][6]
            lower = name.lower()
            self._headers[key] = next((OWN if v is None else v for n, v in fields if n.lower() == lower), None)
        return self._headers[key]


class Recalled(Arrival):
    """An arrival that knows its row, so that what became of it is found at once."""

    __slots__ = ("row",)
    row: int


class Arrivals:
    """Requests as backends read them. `of_id` gives the first of an id's rows, `more` all where there are several."""

    def __init__(self, ids: Names) -> None:
        self.ids = ids
        self.id, self.shape, self.at_s = array("i"), array("i"), array("d")
        self.connection, self.index = array("q"), array("q")
        self.peer: list[str] = []
        self.of_id = array("i")
        self.more: dict[int, list[int]] = {}
        self._recent = Recent()
        self.shapes = Shapes(Arrival, "backend", "method", "target", "head", "probe")

    def __len__(self) -> int:
        return len(self.shape)

    def add(self, record: Record) -> None:
        identity, row = record["id"], len(self.shape)
        shape = self.shapes.add((
            record["backend"], record["method"], record["target"], _blanked(record, "head", identity),
            record.get("probe", False),
        ))  # fmt: skip
        self.connection.append(record["connection"])
        self.index.append(record["index"])
        self.at_s.append(record["at"])
        self.peer.append(self._recent(record["peer"]))
        number = NOBODY if identity is None else self.ids.add(identity)
        self.id.append(number)
        self.shape.append(shape)
        if number != NOBODY:
            self._index(number, row)

    def _index(self, number: int, row: int) -> None:
        if number >= len(self.of_id):
            self.of_id.extend([NOBODY] * (number + 1 - len(self.of_id)))
        if self.of_id[number] == NOBODY:
            self.of_id[number] = row
        else:
            self.more.setdefault(number, [self.of_id[number]]).append(row)

    def rows_of(self, id: str) -> Sequence[int]:
        number = self.ids.find(id)
        if not NOBODY < number < len(self.of_id) or self.of_id[number] == NOBODY:
            return ()
        return self.more.get(number) or (self.of_id[number],)

    def at(self, row: int) -> Arrival:
        number = self.id[row]
        identity = None if number == NOBODY else self.ids.texts[number]
        backend, method, target, head, probe = self.shapes.all[self.shape[row]]
        arrival = Recalled(
            backend, self.connection[row], self.index[row], self.at_s[row], identity, method, target,
            _filled(head, identity), self.peer[row], probe,
        )  # fmt: skip
        _set(arrival, "row", row)
        return arrival

    def rows_of_probes(self) -> list[int]:
        """By time."""
        return self._where(lambda _, probe: probe)

    def rows_of_strays(self) -> list[int]:
        """Those without an id that are no probes, by time."""
        return self._where(lambda row, probe: not probe and self.id[row] == NOBODY)

    def _where(self, wanted: Callable[[int, bool], bool]) -> list[int]:
        probes = [bool(shape[-1]) for shape in self.shapes.all]
        rows = (row for row, shape in enumerate(self.shape) if wanted(row, probes[shape]))
        return sorted(rows, key=self.at_s.__getitem__)


class Notes:
    """Events of one kind about a connection or an arrival: whole numbers, a moment, and a shape."""

    def __init__(self, kind: str) -> None:
        self.cls = EVENTS[kind]
        given = fields(self.cls)
        numbers = [f.name for f in given if f.name in ("connection", "index", "length", "bytes_in")]
        self.rest = tuple((f.name, f.default) for f in given if f.name not in (*numbers, "at"))
        self.numbers = {name: array("q") for name in numbers}
        self.at_s, self.shape = array("d"), array("i")
        self.shapes = Shapes(self.cls, *(name for name, _ in self.rest))

    def __len__(self) -> int:
        return len(self.shape)

    def add(self, record: Record) -> None:
        shape = self.shapes.add(tuple([record.get(name, default) for name, default in self.rest]))
        for name, column in self.numbers.items():
            column.append(record[name])
        self.at_s.append(record["at"])
        self.shape.append(shape)

    def at(self, row: int) -> Event:
        values = {name: value for (name, _), value in zip(self.rest, self.shapes.all[self.shape[row]], strict=True)}
        numbers = {name: column[row] for name, column in self.numbers.items()}
        return self.cls(at=self.at_s[row], **numbers, **values)  # type: ignore[no-any-return]


def in_order(moments: array[float]) -> Sequence[int]:
    """Rows by their moments; those of one moment as they were recorded."""
    if all(earlier <= later for earlier, later in zip(moments, islice(moments, 1, None), strict=False)):
        return range(len(moments))
    return array("i", sorted(range(len(moments)), key=moments.__getitem__))
