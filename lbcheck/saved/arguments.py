"""What a judge was asked with, as JSON and back.

Numbers, texts and lists stand for themselves; anything else is an object with one key that says what it is: exchanges
by their place in the history, things of a spec as its document has them, the judges' own records by their fields.
"""

from __future__ import annotations

import base64
import dataclasses
import importlib
import math
import pkgutil
import zlib
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any, TypeAlias, cast

from lbcheck import judges
from lbcheck.history import EVENTS, Event, Exchange, History, from_json, to_json
from lbcheck.spec import model, request
from lbcheck.spec.fields import record_of
from lbcheck.spec.kinds import Reading
from lbcheck.spec.nodes import from_value
from lbcheck.spec.shapes import Record

Json: TypeAlias = Any
LARGEST = 64 << 20  # bytes of one value
_EVENT_CLASSES = frozenset(EVENTS.values())


class Unwritable(Exception):  # noqa: N818  (a reason, not a mistake)
    """An argument that has no form in JSON; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes arguments of calls about one history.

    `rows` gives an exchange's place among the exchanges by its identity; `without` takes secrets out of an event.
    """

    history: History
    rows: Mapping[int, int]
    without: Callable[[Event], Event] = lambda event: event

    def write(self, value: Any) -> Json:
        """Unwritable for what has no form."""
        if value is None or type(value) in (str, bool, int):
            return value
        if type(value) is float:
            return value if math.isfinite(value) else {"float": str(value)}
        if isinstance(value, bytes):
            return {"bytes": base64.b64encode(zlib.compress(value, 9)).decode()}
        if isinstance(value, list | tuple):
            return self._items(value)
        if isinstance(value, frozenset):
            return {"set": sorted(map(self.write, value), key=repr)}
        if isinstance(value, dict):
            return {"map": [[self.write(key), self.write(each)] for key, each in value.items()]}
        return self._record(value)

    def _items(self, value: Sequence[Any]) -> Json:
        if value and all(id(each) in self.rows for each in value):
            return {"exchanges": _ranges([self.rows[id(each)] for each in value])}
        items = [self.write(each) for each in value]
        return {"tuple": items} if isinstance(value, tuple) else items

    def _record(self, value: Any) -> Json:
        cls = type(value)
        if isinstance(value, History):
            if value is not self.history:
                raise Unwritable("it looked at another history than the check's own")
            return {"history": "up to here"}
        if id(value) in self.rows:
            return {"exchange": self.rows[id(value)]}
        if cls in _EVENT_CLASSES:
            return {"event": to_json(self.without(value))}
        name = cls.__name__
        if spec_classes().get(name) is cls:
            return {name: value.value if isinstance(value, Enum) else _record_of(cls).write(value)}
        if records().get(name) is cls:
            return {name: {f.name: self.write(getattr(value, f.name)) for f in dataclasses.fields(value)}}
        raise Unwritable(f"an argument is a {name}, which has no form in a file")


def _ranges(rows: Sequence[int]) -> list[list[int]]:
    """Rows as [first, beyond the last] of each ascending run."""
    runs: list[list[int]] = []
    for row in rows:
        if runs and runs[-1][1] == row:
            runs[-1][1] = row + 1
        else:
            runs.append([row, row + 1])
    return runs


@dataclass(frozen=True, slots=True)
class Reader:
    """The inverse: `exchanges` gives those of these ranges, as the history holds them."""

    history: History
    exchanges: Callable[[Sequence[Sequence[int]]], Sequence[Exchange]]

    def read(self, data: Json) -> Any:
        """ValueError, TypeError, KeyError, IndexError or LbcheckError for what no writer has written."""
        if isinstance(data, list):
            return [self.read(each) for each in data]
        if not isinstance(data, dict):
            return data
        ((name, value),) = data.items()
        known = self._forms().get(name)
        if known is not None:
            return known(value)
        if cls := spec_classes().get(name):
            if issubclass(cls, Enum):
                return cls(value)
            return _record_of(cls).read(from_value(value, "history"), name, Reading(document=True))
        return records()[name](**{field: self.read(each) for field, each in value.items()})

    def _forms(self) -> Mapping[str, Callable[[Any], Any]]:
        return {
            "float": float,
            "bytes": _inflated,
            "exchanges": self.exchanges,
            "exchange": lambda row: self.exchanges([[row, row + 1]])[0],
            "event": from_json,
            "history": lambda _: self.history,
            "tuple": lambda items: tuple(map(self.read, items)),
            "set": lambda items: frozenset(map(self.read, items)),
            "map": lambda pairs: {self.read(key): self.read(each) for key, each in pairs},
        }


def _record_of(cls: type[Any]) -> Record:
    return record_of(cast(Hashable, cls))


def _inflated(text: str) -> bytes:
    inflating = zlib.decompressobj()
    try:
        data = inflating.decompress(base64.b64decode(text, validate=True), LARGEST)
    except zlib.error as error:
        raise ValueError(f"no compressed bytes: {error}") from error
    if not inflating.eof:
        raise ValueError(f"bytes that are cut, or more than {LARGEST}")
    return data


@cache
def spec_classes() -> Mapping[str, type[Any]]:
    """What a spec is made of, by name: written as the spec's document writes it."""
    return {name: cls for name, cls in vars(model).items() if _is_record(cls, model.__name__) or _is_word(cls)}


@cache
def records() -> Mapping[str, type[Any]]:
    """The judges' own records, and the request of the routing oracle, by name."""
    names = [module.name for module in pkgutil.iter_modules(judges.__path__, f"{judges.__name__}.")]
    found = {"Request": request.Request}
    for module in map(importlib.import_module, names):
        found |= {name: cls for name, cls in vars(module).items() if _is_record(cls, module.__name__)}
    return found


def _is_record(cls: Any, module: str) -> bool:
    return isinstance(cls, type) and dataclasses.is_dataclass(cls) and cls.__module__ == module


def _is_word(cls: Any) -> bool:
    return isinstance(cls, type) and issubclass(cls, Enum) and cls.__module__ == model.__name__
