"""A judgement's outcome with its evidence, and `expect`, which puts it into effect inside a check."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal, TypeAlias

Basis: TypeAlias = Literal["counts", "times", "losses"]


class Outcome(str, Enum):
    HOLDS = "holds"
    BROKEN = "broken"
    INCONCLUSIVE = "inconclusive"
    UNSUPPORTED = "unsupported"
    KNOWN = "known"
    STALE = "stale"
    HARNESS_FAULT = "harness fault"
    NOT_RUN = "not run"


@dataclass(frozen=True, slots=True)
class Call:
    """Which judge was asked, with what, and how many events its history had by then (None: it saw none)."""

    judge: str
    arguments: dict[str, Any]
    events: int | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one judge says of one history.

    `judgement` is the judge's name (what a check's `catches` and the matrix refer to). `expected` and `saw` are
    sentences for a user, without a final stop. `figures` holds JSON values: n, alpha, detects, counts per backend ...
    `counts` in figures, where present, is {backend: count} with `share` {backend: expected share}: the report draws it.
    `ids` names the requests that prove it. `rests_on`: what it would take to make it wrong, where the judge knows: a
    machine that was late (times), one that lost something (losses), nothing that a machine does (counts). `call` says
    how to ask again; verdicts are equal whoever was asked.
    """

    outcome: Outcome
    judgement: str
    expected: str
    saw: str
    figures: dict[str, Any] = field(default_factory=dict)
    ids: tuple[str, ...] = ()
    rests_on: Basis | None = None
    call: Call | None = field(default=None, compare=False, repr=False)

    @property
    def holds(self) -> bool:
        return self.outcome is Outcome.HOLDS


def decided(
    ok: bool,
    judgement: str,
    expected: str,
    saw: str,
    *,
    ids: tuple[str, ...] = (),
    rests_on: Basis | None = None,
    **figures: Any,
) -> Verdict:
    """A verdict that is either holds or broken."""
    return Verdict(Outcome.HOLDS if ok else Outcome.BROKEN, judgement, expected, saw, figures, ids, rests_on)


def inconclusive(judgement: str, expected: str, why: str, **figures: Any) -> Verdict:
    """A verdict that could not be decided; `why` says what was missing."""
    return Verdict(Outcome.INCONCLUSIVE, judgement, expected, why, figures)


class Broken(AssertionError):  # noqa: N818
    """Raised by `expect` for a broken verdict."""

    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict
        super().__init__(f"expected {verdict.expected}; saw {verdict.saw}")


class Inconclusive(Exception):  # noqa: N818
    """Raised by `expect` for an inconclusive verdict, and by a stage that cannot decide."""

    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict
        super().__init__(f"{verdict.judgement}: {verdict.saw}")


_verdicts: ContextVar[list[Verdict] | None] = ContextVar("lbcheck_verdicts", default=None)


@contextmanager
def collecting() -> Iterator[list[Verdict]]:
    """Collects every verdict that `expect` sees inside, held ones too: passing evidence is kept."""
    verdicts: list[Verdict] = []
    token = _verdicts.set(verdicts)
    try:
        yield verdicts
    finally:
        _verdicts.reset(token)


def expect(verdict: Verdict) -> None:
    """Records the verdict; raises `Broken` or `Inconclusive` where it does not hold."""
    kept = _verdicts.get()
    if kept is not None:
        kept.append(verdict)
    if verdict.outcome is Outcome.BROKEN:
        raise Broken(verdict)
    if verdict.outcome is not Outcome.HOLDS:
        raise Inconclusive(verdict)
