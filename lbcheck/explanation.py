"""A check explained in words, from its card."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterable

from lbcheck.checks import Check

WIDTH = 100
TIMES = "times: a machine whose timers are late leaves it undecided, and a control run follows a broken verdict"
COUNTS = "counts; a control run follows where requests were lost"


def table(checks: Iterable[Check]) -> str:
    """One line a check."""
    return "\n".join(f"{check.id:<8}{check.level.value:<10}{check.claim}" for check in checks)


def card(check: Check) -> str:
    """The claim, what it rests on, the defects that it catches, and how it is tested."""
    rows = [
        ("level", check.level.value),
        ("about", f"each {check.subject.kind} that claims it"),
        ("source", check.spec_link),
        ("needs", ", ".join(sorted(feature.value for feature in check.needs))),
        ("lab", f"{check.lab} and up"),
        ("rests on", TIMES if check.timed else COUNTS),
        ("cost", f"about {check.cost_s:g} s"),
        ("since", check.since),
        ("catches", "; ".join(f"{defect} (by {judgement})" for defect, judgement in check.catches.items())),
    ]
    head = textwrap.fill(f"{check.id}  {check.claim}", WIDTH)
    body = "\n".join(_row(label, text) for label, text in rows if text)
    return f"{head}\n\n{body}\n\n{textwrap.indent(inspect.getsource(check.function).rstrip(), '  ')}"


def _row(label: str, text: str) -> str:
    return textwrap.fill(
        text,
        WIDTH,
        initial_indent=f"  {label:<10}",
        subsequent_indent=" " * 12,
        break_long_words=False,
        break_on_hyphens=False,
    )
