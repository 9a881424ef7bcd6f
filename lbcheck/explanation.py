"""A check explained in words, from its card: what it claims, how it is judged, how right that is, what it catches."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import textwrap
from collections.abc import Iterable, Iterator

from lbcheck import judges
from lbcheck.balancer.defects import DEFECTS
from lbcheck.checks import Check, Figure
from lbcheck.judges.judging import JUDGES
from lbcheck.report.outcomes import AREAS
from lbcheck.spec.battery import battery

WIDTH = 100
TIMES = "times: a machine whose timers are late leaves it undecided, and a control run follows a broken verdict"
COUNTS = "counts; a control run follows where requests were lost"


def table(checks: Iterable[Check]) -> str:
    """One line a check, by area."""
    areas: dict[str, list[str]] = {}
    for check in checks:
        areas.setdefault(check.area, []).append(f"  {check.id:<8}{check.level.value:<10}{check.claim}")
    order = [*(area for area in AREAS if area in areas), *(area for area in areas if area not in AREAS)]
    return "\n\n".join("\n".join([AREAS.get(area, area), *areas[area]]) for area in order)


def card(check: Check) -> str:
    """The claim, what it rests on, how it is judged and how right that is, what it catches, and its code."""
    rows = [
        ("level", check.level.value),
        ("about", f"each {check.subject.kind} that claims it"),
        ("source", check.spec_link),
        ("needs", ", ".join(sorted(feature.value for feature in check.needs))),
        ("lab", f"{check.lab} and up"),
        ("rests on", TIMES if check.timed else COUNTS),
        ("cost", f"about {check.cost_s:g} s"),
        ("since", check.since),
        ("method", inspect.getdoc(check.function) or ""),
        *_labelled("judged by", methods(check)),
        *_labelled("figures", figures(check)),
        *_labelled("catches", caught(check)),
    ]
    head = textwrap.fill(f"{check.id}  {check.claim}", WIDTH)
    body = "\n".join(_row(label, text) for label, text in rows if text)
    return f"{head}\n\n{body}\n\n{textwrap.indent(inspect.getsource(check.function).rstrip(), '  ')}"


def methods(check: Check) -> Iterator[str]:
    """Each judgement that the card names, and what its judge says that it looks at."""
    for module in pkgutil.iter_modules(judges.__path__, f"{judges.__name__}."):
        importlib.import_module(module.name)
    for judgement in dict.fromkeys(check.catches.values()):
        said = inspect.getdoc(JUDGES[judgement]) if judgement in JUDGES else ""
        yield f"{judgement}: {' '.join((said or '').split())}".rstrip(": ")


def figures(check: Check) -> Iterator[str]:
    """How right its statistical judgements are on the battery's subjects; none where no chance is in it."""
    found: dict[Figure, list[str]] = {}
    for file, loaded in battery().items():
        for subject in check.subject.of(loaded.spec):
            for figure in check.figures(subject.value):
                found.setdefault(figure, []).append(f"{file}/{subject.name}")
    for figure, subjects in found.items():
        yield f"{figure} (as for {subjects[0]})" if len(found) > 1 else str(figure)


def caught(check: Check) -> Iterator[str]:
    """Each defect that the card names: what is wrong, what finds it, and the real bug that it is modelled on."""
    for name, judgement in check.catches.items():
        defect = DEFECTS.get(name)
        yield (
            f"{name} (by {judgement}): {defect.sentence} Modelled on: {defect.source}"
            if defect
            else f"{name} (by {judgement})"
        )


def _labelled(label: str, texts: Iterable[str]) -> Iterator[tuple[str, str]]:
    for number, text in enumerate(texts):
        yield ("" if number else label), text


def _row(label: str, text: str) -> str:
    return textwrap.fill(
        text,
        WIDTH,
        initial_indent=f"  {label:<10}",
        subsequent_indent=" " * 12,
        break_long_words=False,
        break_on_hyphens=False,
    )
