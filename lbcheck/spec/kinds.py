"""What each field holds, read off the model's types: every kind reads a node, writes JSON, shows text, gives a schema.

`kind_of(Spec)` is the root. The loader, the documents of the exec contract and the JSON Schema all walk these kinds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import Enum
from typing import Any, Protocol, TypeAlias

from lbcheck.errors import Location, SpecError
from lbcheck.spec.duration import (
    DURATION,
    SHARE,
    format_duration,
    format_share,
    parse_duration,
    parse_share,
)
from lbcheck.spec.nodes import Entry, Items, Node, Scalar, Table
from lbcheck.spec.syntax import Range, Syntax

Json: TypeAlias = Any


@dataclass(slots=True)
class Reading:
    """What one load knows and collects. In a document numbers are seconds and shares, and None stands for silence."""

    document: bool = False
    defaults: dict[type, dict[str, Any]] = field(default_factory=dict)
    places: dict[str, Location] = field(default_factory=dict)
    filled: list[str] = field(default_factory=list)


class Kind(Protocol):
    def read(self, node: Node, path: str, reading: Reading) -> Any:
        """The value; SpecError with the node's place."""

    def write(self, value: Any) -> Json:
        """JSON, every default filled in."""

    def show(self, value: Any) -> str:
        """As a user would write it."""

    def schema(self, definitions: dict[str, Json]) -> Json:
        """JSON Schema of what lb.yaml may hold."""


def refuse(node: Node, path: str, expected: str, remedy: str = "") -> SpecError:
    return SpecError(f"{path}: {expected}, got {described(node)}", at=node.at, remedy=remedy)


def unknown(entry: Entry, path: str, known: list[str]) -> SpecError:
    where = f" in {path}" if path else ""
    return SpecError(f"unknown key {entry.key!r}{where}", at=entry.at, remedy=nearest(entry.key, known))


def described(node: Node) -> str:
    if isinstance(node, Table):
        return "a mapping"
    if isinstance(node, Items):
        return "a list"
    if isinstance(node.value, str):
        return f"the text {node.text!r}"
    return "nothing" if node.value is None else node.text


def nearest(word: str, words: list[str]) -> str:
    """A remedy: the nearest right word, and all of them where they are few."""
    close = get_close_matches(word, words, 1, cutoff=0.6) or get_close_matches(word.lower(), words, 1, cutoff=0.6)
    meant = f"Did you mean {close[0]!r}? " if close else ""
    return f"{meant}Known here: {', '.join(words)}." if words else meant


@dataclass(frozen=True, slots=True)
class Text:
    """Any scalar as it is written; `syntaxes` refuse some."""

    syntaxes: tuple[Syntax, ...] = ()

    def read(self, node: Node, path: str, reading: Reading) -> str:  # noqa: ARG002
        noun = self.syntaxes[0].noun if self.syntaxes else "a text"
        if not isinstance(node, Scalar) or node.value is None:
            raise refuse(node, path, f"expected {noun}")
        for syntax in self.syntaxes:
            if problem := syntax.refuses(node.text):
                raise refuse(node, path, problem)
        return node.text

    def write(self, value: str) -> Json:
        return value

    def show(self, value: str) -> str:
        return value

    def schema(self, definitions: dict[str, Json]) -> Json:  # noqa: ARG002
        noun = self.syntaxes[0].noun if self.syntaxes else ""
        return {"type": ["string", "number", "boolean"]} | ({"description": noun} if noun else {})


@dataclass(frozen=True, slots=True)
class Whole:
    range: Range

    def read(self, node: Node, path: str, reading: Reading) -> int:  # noqa: ARG002
        expected = f"expected a whole number {self.range}"
        if not isinstance(node, Scalar) or type(node.value) is not int:
            quoted = isinstance(node, Scalar) and isinstance(node.value, str) and node.text.isdigit()
            raise refuse(node, path, expected, "Leave the quotes away." if quoted else "")
        if node.value < self.range.low or (self.range.high is not None and node.value > self.range.high):
            raise refuse(node, path, expected)
        return node.value

    def write(self, value: int) -> Json:
        return value

    def show(self, value: int) -> str:
        return str(value)

    def schema(self, definitions: dict[str, Json]) -> Json:  # noqa: ARG002
        most = {} if self.range.high is None else {"maximum": self.range.high}
        return {"type": "integer", "minimum": self.range.low} | most


@dataclass(frozen=True, slots=True)
class Quantity:
    """A float that users write with a unit and documents carry as a number."""

    noun: str
    parse: Callable[[str], float]
    format: Callable[[float], str]
    pattern: str
    positive: bool
    most: float

    def read(self, node: Node, path: str, reading: Reading) -> float:
        if not isinstance(node, Scalar) or node.value is None or isinstance(node.value, bool):
            raise refuse(node, path, f"expected {self.noun}")
        value = self._document(node, path) if reading.document else self._parsed(node, path)
        if not 0 <= value <= self.most or (self.positive and value == 0):
            raise refuse(node, path, f"expected {self.noun}{' of more than 0' if self.positive else ''}")
        return value

    def _document(self, node: Scalar, path: str) -> float:
        if isinstance(node.value, str) or node.value is None:
            raise refuse(node, path, f"expected {self.noun} as a number")
        return float(node.value)

    def _parsed(self, node: Scalar, path: str) -> float:
        try:
            return self.parse(node.text)
        except ValueError as error:
            raise SpecError(f"{path}: {error}", at=node.at) from error

    def write(self, value: float) -> Json:
        return float(value)

    def show(self, value: float) -> str:
        return self.format(value)

    def schema(self, definitions: dict[str, Json]) -> Json:  # noqa: ARG002
        texts = {"type": "string", "pattern": f"^{self.pattern}$"}
        zero = [] if self.positive else [{"enum": [0, "0"]}]
        return {"description": self.noun, "anyOf": [texts, *zero]} if zero else {"description": self.noun, **texts}


def duration(positive: bool) -> Quantity:
    noun = "a duration such as 250ms, 30s, 5m, 1h or 1d"
    return Quantity(noun, parse_duration, format_duration, DURATION.pattern, positive, float(10**9))


def share() -> Quantity:
    return Quantity("a share such as 0.1% or 100%", parse_share, format_share, SHARE.pattern, False, 1.0)


@dataclass(frozen=True, slots=True)
class Truth:
    def read(self, node: Node, path: str, reading: Reading) -> bool:  # noqa: ARG002
        if not isinstance(node, Scalar) or not isinstance(node.value, bool):
            raise refuse(node, path, "expected true or false")
        return node.value

    def write(self, value: bool) -> Json:
        return value

    def show(self, value: bool) -> str:
        return "true" if value else "false"

    def schema(self, definitions: dict[str, Json]) -> Json:  # noqa: ARG002
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True)
class Word:
    """One of a few words; `values` maps each to what stands for it in code (an enumeration's member or the text)."""

    values: dict[str, Any]

    def read(self, node: Node, path: str, reading: Reading) -> Any:  # noqa: ARG002
        if not isinstance(node, Scalar) or node.text not in self.values:
            text = node.text if isinstance(node, Scalar) else ""
            raise refuse(node, path, "expected one of the words known here", nearest(text, list(self.values)))
        return self.values[node.text]

    def write(self, value: Any) -> Json:
        return value.value if isinstance(value, Enum) else value

    def show(self, value: Any) -> str:
        return str(self.write(value))

    def schema(self, definitions: dict[str, Json]) -> Json:  # noqa: ARG002
        return {"enum": list(self.values)}


@dataclass(frozen=True, slots=True)
class Maybe:
    """Something, or silence: `null`, or the word that stands for it."""

    kind: Kind
    word: str = ""

    def read(self, node: Node, path: str, reading: Reading) -> Any:
        if isinstance(node, Scalar) and (node.value is None or (self.word and node.text == self.word)):
            return None
        return self.kind.read(node, path, reading)

    def write(self, value: Any) -> Json:
        return None if value is None else self.kind.write(value)

    def show(self, value: Any) -> str:
        return (self.word or "null") if value is None else self.kind.show(value)

    def schema(self, definitions: dict[str, Json]) -> Json:
        words = [{"const": self.word}] if self.word else []
        return {"anyOf": [self.kind.schema(definitions), *words, {"type": "null"}]}
