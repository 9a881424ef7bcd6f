"""Ejection by what requests met: counted failures, then silence, then another chance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lbcheck.history import Exchange, History
from lbcheck.judges.judging import judge
from lbcheck.spec.model import Seconds
from lbcheck.verdict import Verdict, decided, inconclusive


@judge
def ejects_after(history: History, exchanges: Sequence[Exchange], backend: str, failures: int, rounds: int) -> Verdict:
    """Sequential requests reach a failing backend exactly `failures` times, and not in the `rounds` requests after."""
    expected = f"{backend} gets exactly {failures} requests that fail, then none"
    reached = [backend in history.journey(e).backends for e in exchanges]
    hits = sum(reached)
    last = max((i for i, hit in enumerate(reached) if hit), default=-1)
    silent = len(exchanges) - 1 - last
    figures: dict[str, Any] = {"n": len(exchanges), "failures": hits, "silent": silent}
    if hits > failures:
        return decided(False, "ejects_after", expected, f"{hits} requests there", **figures)
    if silent < rounds:
        return inconclusive("ejects_after", expected, f"only {silent} requests after the last one there", **figures)
    return decided(hits == failures, "ejects_after", expected, f"{hits} there, then none in {silent}", **figures)


@judge
def keeps_its_turn(history: History, exchanges: Sequence[Exchange], backend: str, width: int) -> Verdict:
    """What is no failure by the spec ejects nobody: the backend is reached in every `width` sequential requests."""
    expected = f"{backend} reached once in every {width} requests"
    reached = [backend in history.journey(e).backends for e in exchanges]
    windows = [reached[i : i + width] for i in range(0, len(reached) - width + 1, width)]
    missed = sum(not any(window) for window in windows)
    saw = f"passed over in {missed} of {len(windows)} rounds"
    return decided(bool(windows) and not missed, "keeps_its_turn", expected, saw, n=len(exchanges))


@judge
def keeps_serving(
    history: History, exchanges: Sequence[Exchange], failing: Sequence[str], most: int, *, rounds: int, until: Seconds
) -> Verdict:
    """Of `failing` backends at most `most` are out: the others are reached in the last `rounds` requests.

    Nothing is said where these ended after `until`, when an ejection may be over.
    """
    last = exchanges[-rounds:]
    reached = {name for e in last for name in history.journey(e).backends}
    out = [name for name in failing if name not in reached]
    expected = f"at most {most} of {' and '.join(failing)} out at once"
    if len(last) < rounds or any(e.done is None or e.done > until for e in last):
        return inconclusive("keeps_serving", expected, "the requests took longer than an ejection")
    saw = f"{' and '.join(out) or 'none'} passed over in the last {rounds} requests"
    return decided(len(out) <= most, "keeps_serving", expected, saw, n=len(exchanges))
