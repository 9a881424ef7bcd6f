"""What is in force at a place: a directive of an inner level replaces those of the levels around it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from lbcheck.importers.directive import Directive, Ledger
from lbcheck.importers.nginx.parsing import Node
from lbcheck.importers.nginx.units import seconds

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Levels:
    """Blocks from the innermost outwards: location, server, http."""

    blocks: tuple[Node, ...]
    ledger: Ledger

    def within(self, block: Node) -> Levels:
        return Levels((block, *self.blocks), self.ledger)

    def all(self, *names: str) -> list[Node]:
        """Of the innermost level that has any: the others are inherited only where there are none."""
        for block in self.blocks:
            if found := list(block.children(*names)):
                return found
        return []

    def last(self, name: str) -> Node | None:
        found = self.all(name)
        return found[-1] if found else None

    def time(self, name: str) -> tuple[float, Directive] | None:
        """Seconds, and the line that says so; None where none does, or where it is refused."""
        return self.value(name, seconds)

    def value(self, name: str, convert: Callable[[str], T]) -> tuple[T, Directive] | None:
        node = self.last(name)
        if node is None:
            return None
        try:
            value = convert(node.words[0])
        except (ValueError, IndexError) as error:
            self.ledger.refused(node.directive, str(error) if isinstance(error, ValueError) else "a word is missing")
            return None
        self.ledger.understood(node.directive)
        return value, node.directive
