"""A balancer's list of steps, each with a condition, as rules of which the first that matches acts.

Steps may negate, rewrite the path and draw lots; a rule of the spec only asks. So each step is folded into the rules
that come after it: what a negation lets pass is put before, a draw becomes the weights of a forward.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import groupby, pairwise, product
from math import lcm

from lbcheck.errors import Location
from lbcheck.importers.conjunction import ALWAYS, both, either
from lbcheck.importers.directive import Unreadable
from lbcheck.spec.inclusion import includes
from lbcheck.spec.model import Conditions, Forward, Redirect, Respond, Rewrite, Rule

MOST_RULES = 400  # of a listener, before a step is refused
STEP = 10  # between priorities, so that a reader can put one between
MOST_WEIGHT = 999

Choices = tuple[Conditions, ...]


@dataclass(frozen=True, slots=True)
class Draw:
    """True in `below` of `total` cases. Draws of one `name` are one draw; "" is a fresh one each time."""

    below: int
    total: int
    name: str = ""


@dataclass(frozen=True, slots=True)
class Term:
    """All of `wanted` (any choice of each), none of `unwanted`, and the draw."""

    wanted: tuple[Choices, ...] = ()
    unwanted: tuple[Choices, ...] = ()
    draw: Draw | None = None


@dataclass(frozen=True, slots=True)
class Lots:
    """Pools with their shares in order; sums to 1."""

    shares: tuple[tuple[str, Fraction], ...]
    name: str = ""


Outcome = Lots | Redirect | Respond


@dataclass(frozen=True, slots=True)
class Branch:
    """Requests that meet `when` end here. `at`, `rewritten_at`: the lines that say so."""

    when: Conditions
    then: Outcome
    at: Location
    rewrite: Rewrite | None = None
    rewritten_at: Location | None = None


@dataclass(frozen=True, slots=True)
class Act:
    """A step that ends a request's way where one of the terms holds."""

    terms: tuple[Term, ...]
    then: Outcome
    at: Location


@dataclass(frozen=True, slots=True)
class Replace:
    """A step that changes the path of what meets `paths` and goes on. `whole`: all that the rewrite itself changes."""

    terms: tuple[Term, ...]
    paths: Conditions
    rewrite: Rewrite
    whole: bool
    at: Location


Step = Act | Replace


def to_pool(name: str) -> Lots:
    return Lots(((name, Fraction(1)),))


def compiled_branches(steps: Sequence[Step], rest: Sequence[Branch]) -> list[Branch]:
    """First-match branches, of which the last takes all that is left."""
    branches = list(rest)
    for _, group in groupby(reversed([s for s in steps if s.terms]), type):
        run = list(group)
        if replaces := [step for step in run[::-1] if isinstance(step, Replace)]:
            branches = _bounded([*_replaced_by(replaces, branches), *branches])
        for step in run:
            for term in reversed(step.terms) if isinstance(step, Act) else ():
                assert isinstance(step, Act)
                branches = _bounded([*_acted(step, term, branches), *branches])
    return joined(branches)


def sayable_branches(
    steps: Sequence[Step], rest: Sequence[Branch], refused: Callable[[Step, str], None]
) -> list[Branch]:
    """The same without the steps that the spec cannot say, each of which is told with the reason."""
    left = list(steps)
    while True:
        for start in range(len(left), -1, -1):
            try:
                branches = compiled_branches(left[start:], rest)
            except Unreadable as error:
                refused(left.pop(start), str(error))
                break
        else:
            return branches


def _bounded(branches: Sequence[Branch]) -> list[Branch]:
    found = distinct(branches)
    if len(found) > MOST_RULES:
        raise Unreadable(f"more than {MOST_RULES} rules come of it")
    return found


def distinct(branches: Iterable[Branch]) -> list[Branch]:
    """Without those that an earlier one takes all of."""
    kept: list[Branch] = []
    for branch in branches:
        if not any(includes(earlier.when, branch.when) for earlier in kept):
            kept.append(branch)
    return kept


def joined(branches: Sequence[Branch]) -> list[Branch]:
    """Neighbours that end alike are one where their conditions can be."""
    found: list[Branch] = []
    for branch in branches:
        previous = found[-1] if found else None
        alike = previous and (previous.then, previous.rewrite) == (branch.then, branch.rewrite)
        one = either((previous.when, branch.when)) if previous and alike and ALWAYS not in (branch.when,) else ()
        if previous and len(one) == 1:
            found[-1] = replace(previous, when=one[0])
        else:
            found.append(branch)
    return found


def within(branches: Iterable[Branch], conditions: Conditions) -> list[Branch]:
    """What becomes of the requests that meet the conditions."""
    met = ((branch, both(conditions, branch.when)) for branch in branches)
    return [replace(branch, when=when) for branch, when in met if when is not None]


def _acted(step: Act, term: Term, rest: Sequence[Branch]) -> list[Branch]:
    passed = [branch for when in _unwanted(term) for branch in within(rest, when)]
    if term.draw is None:
        return [*passed, *(Branch(when, step.then, step.at) for when in _wanted(term))]
    drawn = [_drawn(branch, step, term.draw) for when in _wanted(term) for branch in within(rest, when)]
    return [*passed, *drawn]


def _drawn(other: Branch, step: Act, draw: Draw) -> Branch:
    """The step's pool in so many cases, else what would have come after it."""
    share = Fraction(draw.below, draw.total)
    if not isinstance(step.then, Lots) or len(step.then.shares) != 1 or not isinstance(other.then, Lots):
        raise Unreadable("a draw between anything but pools")
    if other.rewrite is not None:
        raise Unreadable("a draw among pools of which one rewrites the path")
    (pool, _), shares = step.then.shares[0], other.then.shares
    if draw.name and draw.name == other.then.name:
        first, taken = shares[0]
        left = ((first, taken - share), *shares[1:])
    else:
        left = tuple((name, (1 - share) * part) for name, part in shares)
    merged = {name: Fraction(0) for name, _ in ((pool, share), *left)}
    for name, part in ((pool, share), *left):
        merged[name] += part
    if any(part < 0 for part in merged.values()):
        raise Unreadable("the bounds of a draw do not rise")
    return replace(other, then=Lots(tuple((n, p) for n, p in merged.items() if p), draw.name), at=step.at)


def _replaced_by(steps: Sequence[Replace], rest: Sequence[Branch]) -> list[Branch]:
    """Steps in a row, of which each looks at paths of its own."""
    alone = len(steps) == 1
    return [branch for step in steps for term in step.terms for branch in _replaced(step, term, rest, alone)]


def _replaced(step: Replace, term: Term, rest: Sequence[Branch], alone: bool) -> list[Branch]:
    if term.draw is not None:
        raise Unreadable("a path that is rewritten by lot")
    passed = [branch for when in _unwanted(term) for branch in within(rest, when)]
    return [*passed, *_rewritten(step, _wanted(term), rest, step.whole and alone)]


def _rewritten(step: Replace, wanted: Sequence[Conditions], rest: Sequence[Branch], whole: bool) -> list[Branch]:
    found = []
    for when, branch in product(wanted, rest):
        if any((branch.when.path, branch.when.path_prefix, branch.when.path_exact, branch.when.path_regex)):
            raise Unreadable("conditions that are asked later see the path that it has changed")
        if branch.rewrite is not None:
            raise Unreadable("the path is rewritten twice")
        met = both(when, branch.when)
        met = met and both(met, ALWAYS if whole else step.paths)
        if met is not None and isinstance(branch.then, Lots):
            found.append(replace(branch, when=met, rewrite=step.rewrite, rewritten_at=step.at))
    return found


def _wanted(term: Term) -> list[Conditions]:
    met = (_all(choice) for choice in product(*term.wanted))
    return list(either(when for when in met if when is not None))


def _all(conditions: Iterable[Conditions]) -> Conditions | None:
    found: Conditions | None = ALWAYS
    for one in conditions:
        found = found and both(found, one)
    return found


def _unwanted(term: Term) -> list[Conditions]:
    """Requests that meet all that is wanted, and one of what is not."""
    met = (both(wanted, no) for choices in term.unwanted for no in choices for wanted in _wanted(term))
    return [when for when in met if when is not None]


# --- to the spec -----------------------------------------------------------------------------------------------------


def rules_of(branches: Sequence[Branch], priorities: Sequence[int] = ()) -> tuple[list[tuple[Rule, Branch]], Branch]:
    """Rules in order, and the branch of all others. `priorities` are taken where they are one for each rule."""
    numbered: list[Branch] = []
    for branch in branches:
        numbered.append(branch)
        if branch.when == ALWAYS:
            break
    *ruled, last = numbered
    if last.rewrite is not None:  # the spec's default does not rewrite: a rule for all that is rewritten does
        ruled.append(replace(last, when=Conditions(path_prefix=(last.rewrite.path_prefix[0],))))
        last = replace(last, rewrite=None)
    rising = len(priorities) == len(ruled) and all(a < b for a, b in pairwise(priorities))
    order = priorities if rising else range(STEP, STEP * (len(ruled) + 1), STEP)
    rules = [Rule(n, b.when, action_of(b.then), rewrite=b.rewrite) for n, b in zip(order, ruled, strict=True)]
    return list(zip(rules, ruled, strict=True)), last


def action_of(outcome: Outcome) -> Forward | Redirect | Respond:
    if not isinstance(outcome, Lots):
        return outcome
    whole = lcm(*(share.denominator for _, share in outcome.shares))
    weights = tuple((name, int(share * whole)) for name, share in outcome.shares)
    if any(weight > MOST_WEIGHT for _, weight in weights):
        weights = tuple((name, max(1, round(share * MOST_WEIGHT))) for name, share in outcome.shares)
    return Forward(weights)
