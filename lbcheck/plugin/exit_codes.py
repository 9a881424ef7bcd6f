"""From a run's outcomes to its exit code and its headline. Pure; the order is that of the manual's table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from lbcheck.report.model import CheckRecord
from lbcheck.verdict import Outcome

CONTESTED = (Outcome.BROKEN, Outcome.STALE, Outcome.KNOWN, Outcome.HOLDS)


class Exit(IntEnum):
    """0 to 5 are pytest's own."""

    OK = 0
    FAILED = 1
    INTERRUPTED = 2
    INTERNAL_ERROR = 3
    USAGE_ERROR = 4
    NOTHING_COLLECTED = 5
    NEVER_READY = 10
    NOTHING_DECIDED = 11
    INCONCLUSIVE = 12
    STALE = 13


@dataclass(frozen=True, slots=True)
class Tally:
    """How a run came out. `narrowed`: it took less than its levels hold. `others_failed`: tests that are no checks."""

    counts: dict[Outcome, int]
    core_broken: int = 0
    core_unsupported: int = 0
    never_ready: bool = False
    narrowed: bool = False
    others_failed: bool = False

    def n(self, *outcomes: Outcome) -> int:
        return sum(self.counts.get(outcome, 0) for outcome in outcomes)

    @property
    def decided(self) -> int:
        return self.n(*CONTESTED)

    @property
    def undecided(self) -> int:
        return self.n(Outcome.INCONCLUSIVE, Outcome.NOT_RUN)


def tally_of(
    records: Iterable[CheckRecord], *, never_ready: bool = False, narrowed: bool = False, others_failed: bool = False
) -> Tally:
    counts: dict[Outcome, int] = {}
    core_broken = core_unsupported = 0
    for record in records:
        outcome = Outcome(record.outcome)
        counts[outcome] = counts.get(outcome, 0) + 1
        core_broken += record.core and outcome in (Outcome.BROKEN, Outcome.KNOWN)
        core_unsupported += record.core and outcome is Outcome.UNSUPPORTED
    return Tally(counts, core_broken, core_unsupported, never_ready, narrowed, others_failed)


def exit_code(tally: Tally, pytest_code: int, *, strict: bool, style: str = "lbcheck") -> int:
    """`pytest_code` is what pytest itself would exit with; `style` pytest folds all to 0 to 5."""
    code = _code(tally, pytest_code, strict)
    return code if style == "lbcheck" else int(_folded(code))


def _code(tally: Tally, pytest_code: int, strict: bool) -> int:
    if pytest_code in (Exit.INTERRUPTED, Exit.INTERNAL_ERROR, Exit.USAGE_ERROR):
        return pytest_code
    if tally.never_ready:
        return Exit.NEVER_READY
    if tally.n(Outcome.BROKEN, Outcome.HARNESS_FAULT) or tally.others_failed:
        return Exit.FAILED
    if tally.n(Outcome.STALE):
        return Exit.FAILED if strict else Exit.STALE
    if not tally.decided:
        return Exit.NOTHING_DECIDED
    if tally.undecided:
        return Exit.FAILED if strict else Exit.INCONCLUSIVE
    return Exit.FAILED if strict and tally.core_unsupported else Exit.OK


def _folded(code: int) -> int:
    if code == Exit.NOTHING_DECIDED:
        return Exit.NOTHING_COLLECTED
    return Exit.FAILED if code > Exit.NOTHING_COLLECTED else code


def headline(tally: Tally, *, levels: str) -> str:
    """The verdict in one line; `levels` is the highest level that the run took."""
    if tally.never_ready:
        return "TARGET NEVER READY: nothing can be said of it"
    if not tally.decided:
        return f"NOTHING DECIDED: no check was decided{_in_brackets(_open(tally))}"
    if faults := _faults(tally):
        return f"NOT CONFORMANT: {', '.join(faults)}{_still_core(tally, levels)}"
    if open_ := _open(tally):
        return f"UNDECIDED: {', '.join(open_)}; {tally.n(Outcome.HOLDS)} kept"
    if tally.narrowed:
        return f"KEPT: {_claims(tally.n(Outcome.HOLDS))} of a selection (no word on conformance)"
    beyond = tally.n(Outcome.UNSUPPORTED)
    return f"CONFORMANT at {levels}{f' ({beyond} unsupported beyond core)' if beyond else ''}"


def _faults(tally: Tally) -> list[str]:
    stated = (
        (tally.n(Outcome.BROKEN), "broken"),
        (tally.n(Outcome.KNOWN), "broken and known"),
        (tally.n(Outcome.STALE), "stale in the baseline"),
    )
    faults = [f"{n} {word}" for n, word in stated if n]
    if tally.core_unsupported:
        faults.append(f"{tally.core_unsupported} at core unsupported")
    return faults


def _open(tally: Tally) -> list[str]:
    outcomes = (Outcome.HARNESS_FAULT, Outcome.INCONCLUSIVE, Outcome.NOT_RUN)
    return [f"{tally.n(outcome)} {outcome.value}" for outcome in outcomes if tally.n(outcome)]


def _still_core(tally: Tally, levels: str) -> str:
    core_kept = not tally.core_broken and not tally.core_unsupported and not tally.n(Outcome.STALE)
    settled = not _open(tally) and not tally.narrowed
    return " (core is kept)" if core_kept and settled and levels != "core" else ""


def _in_brackets(parts: list[str]) -> str:
    return f" ({', '.join(parts)})" if parts else ""


def _claims(n: int) -> str:
    return f"{n} claim" if n == 1 else f"{n} claims"
