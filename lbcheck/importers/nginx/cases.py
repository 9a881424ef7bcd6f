"""What a text comes to, request by request: the first case whose conditions hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from itertools import product
from typing import Generic, TypeVar

from lbcheck.importers.conjunction import ALWAYS, both, either
from lbcheck.importers.directive import Unreadable
from lbcheck.importers.rules import Choices, Term
from lbcheck.spec.inclusion import includes
from lbcheck.spec.model import Conditions

MOST_TEXTS = 4096  # that a text of several variables may come to

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Case(Generic[T]):
    when: Conditions
    value: T


Cases = tuple[Case[T], ...]  # the last one has no conditions


@dataclass(frozen=True, slots=True)
class Lot:
    """A text that is drawn; the shares sum to 1."""

    shares: tuple[tuple[str, Fraction], ...]


def always(value: T) -> Cases[T]:
    return (Case(ALWAYS, value),)


def decided(parts: Sequence[Cases[str]], answer: Callable[[str], T]) -> Cases[T]:
    """Of a text that is made of several; a part is asked only where the answer still depends on it."""
    values = [tuple(dict.fromkeys(case.value for case in part)) for part in parts]
    size = 1
    for several in values:
        size *= len(several)
    if size > MOST_TEXTS:
        raise Unreadable(f"more than {MOST_TEXTS} texts come of it")

    @cache
    def answers(head: str, at: int) -> tuple[T, ...]:
        return tuple(dict.fromkeys(answer(head + "".join(rest)) for rest in product(*values[at:])))

    def walk(head: str, at: int, when: Conditions) -> list[Case[T]]:
        possible = answers(head, at)
        if len(possible) == 1:
            return [Case(when, possible[0])]
        found: list[Case[T]] = []
        for case in parts[at]:
            met = both(when, case.when)
            if met is not None:
                found += walk(head + case.value, at + 1, met)
        return found

    return simplified(walk("", 0, ALWAYS))


def simplified(cases: Sequence[Case[T]]) -> Cases[T]:
    """Without those that come to the same as what follows."""
    kept: list[Case[T]] = []
    for case in reversed(_neighbours(cases)):
        if includes(case.when, ALWAYS):
            kept = []
        if not _said_by(case, kept):
            kept.insert(0, case)
    return tuple(kept)


def _neighbours(cases: Sequence[Case[T]]) -> list[Case[T]]:
    """Those in a row that come to the same are one, where one set of conditions can say so."""
    found: list[Case[T]] = []
    for case in cases:
        alike = bool(found) and found[-1].value == case.value and ALWAYS not in (found[-1].when, case.when)
        one = either((found[-1].when, case.when)) if alike else ()
        if alike and len(one) > 1:
            one = either((_as_patterns(found[-1].when), _as_patterns(case.when)))
        if len(one) == 1:
            found[-1] = Case(one[0], case.value)
        else:
            found.append(case)
    return found


def _as_patterns(when: Conditions) -> Conditions:
    """An exact path is a pattern without wildcards."""
    plain = when.path_exact and not when.path and not any(set(path) & set("*?") for path in when.path_exact)
    return replace(when, path=when.path_exact, path_exact=()) if plain else when


def _said_by(case: Case[T], later: Sequence[Case[T]]) -> bool:
    for other in later:
        if other.value != case.value:
            return False
        if includes(other.when, case.when):
            return True
    return False


def terms_of(cases: Cases[bool]) -> tuple[Term, ...]:
    """Where it holds."""
    found: list[Term] = []
    against: list[Choices] = []
    for case in cases:
        if case.value:
            wanted = ((case.when,),) if case.when != ALWAYS else ()
            found.append(Term(wanted, tuple(against)))
        else:
            against.append((case.when,))
    return tuple(found)


def turned(cases: Cases[bool]) -> Cases[bool]:
    return tuple(Case(case.when, not case.value) for case in cases)
