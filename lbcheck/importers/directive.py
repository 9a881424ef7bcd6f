"""A directive of a configuration, and what became of it: understood, ignored or refused, each exactly once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

from lbcheck.errors import Location
from lbcheck.spec.model import Spec

Place: TypeAlias = tuple[Location, int]  # a line, and which directive of it


class Ruling(str, Enum):
    """`understood` may carry a reason (in part); `ignored` has no effect on claims; `refused` changes behaviour."""

    UNDERSTOOD = "understood"
    IGNORED = "ignored"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Directive:
    """What a product cuts into words at once; `flaw` says why it cannot be read, `nth` tells those of a line apart."""

    words: tuple[str, ...]
    at: Location
    flaw: str = ""
    nth: int = 0

    @property
    def place(self) -> Place:
        return self.at, self.nth

    def __str__(self) -> str:
        return " ".join(self.words)


@dataclass(frozen=True, slots=True)
class Entry:
    directive: Directive
    ruling: Ruling
    reason: str = ""

    @property
    def in_part(self) -> bool:
        return self.ruling is Ruling.UNDERSTOOD and bool(self.reason)

    def __str__(self) -> str:
        return f"{self.directive.at}: {self.directive}" + (f"  ({self.reason})" if self.reason else "")


@dataclass(frozen=True, slots=True)
class Imported:
    """`sources` maps paths of the spec (`pools.api.backends.a.weight`) to the line that they rest on.

    `through`: lines that have no field of their own, and those that they act through: an `acl` through the rules
    that ask it.
    """

    spec: Spec
    sources: Mapping[str, Location]
    entries: tuple[Entry, ...]
    through: Mapping[Location, tuple[Location, ...]] = field(default_factory=dict)

    def ruled(self, ruling: Ruling) -> tuple[Entry, ...]:
        return tuple(entry for entry in self.entries if entry.ruling is ruling)


class Unreadable(Exception):  # noqa: N818  (becomes the reason of a refusal)
    """What the spec has no words for; the text is the reason."""


class Ledger:
    """Collects rulings. A refusal outweighs that a directive was understood elsewhere, and that outweighs ignoring."""

    def __init__(self) -> None:
        self._rulings: dict[Place, dict[Ruling, list[str]]] = {}
        self._through: dict[Location, list[Location]] = {}

    def understood(self, directive: Directive, but: str = "") -> None:
        self._rule(directive, Ruling.UNDERSTOOD, but)

    def ignored(self, directive: Directive, reason: str) -> None:
        self._rule(directive, Ruling.IGNORED, reason)

    def refused(self, directive: Directive, reason: str) -> None:
        self._rule(directive, Ruling.REFUSED, reason)

    def acts_through(self, directive: Directive, other: Directive) -> None:
        """The directive has its effect where the other one has: no field of the spec rests on it alone."""
        known = self._through.setdefault(directive.at, [])
        if other.at != directive.at and other.at not in known:
            known.append(other.at)

    @property
    def through(self) -> dict[Location, tuple[Location, ...]]:
        return {at: tuple(others) for at, others in self._through.items()}

    def knows(self, directive: Directive) -> bool:
        return directive.place in self._rulings

    def entries(self, directives: Iterable[Directive]) -> tuple[Entry, ...]:
        """One for each; what nobody ruled on is refused."""
        return tuple(self._entry(directive) for directive in directives)

    def _rule(self, directive: Directive, ruling: Ruling, reason: str) -> None:
        reasons = self._rulings.setdefault(directive.place, {}).setdefault(ruling, [])
        if reason and reason not in reasons:
            reasons.append(reason)

    def _entry(self, directive: Directive) -> Entry:
        rulings = self._rulings.get(directive.place, {Ruling.REFUSED: ["not known"]})
        for ruling in (Ruling.REFUSED, Ruling.UNDERSTOOD, Ruling.IGNORED):
            if ruling in rulings:
                return Entry(directive, ruling, "; ".join(rulings[ruling]))
        raise AssertionError(directive)
