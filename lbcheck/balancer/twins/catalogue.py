"""What a twin is, and the list that the modules beside this one fill."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from lbcheck.balancer.decisions import Decisions


@dataclass(frozen=True, slots=True)
class Twin:
    """One correct way of doing things that is not the reference's.

    `areas` are those of the checks that see it, `source` is a product that has this way. `workers` is what the spec
    has to claim of such a product.
    """

    name: str
    areas: tuple[str, ...]
    sentence: str
    source: str
    workers: int = 1


D = TypeVar("D", bound=type[Decisions])

found: dict[str, tuple[Twin, type[Decisions]]] = {}


def twin(name: str, areas: str, sentence: str, source: str, *, workers: int = 1) -> Callable[[D], D]:
    """Makes a subclass of `Decisions` a twin of that name; `areas` with spaces between them."""

    def register(other: D) -> D:
        if name in found:
            raise ValueError(f"two twins are called {name}")
        found[name] = (Twin(name, tuple(areas.split()), sentence, source, workers), other)
        return other

    return register
