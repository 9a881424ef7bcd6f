"""The whole run as one bar, a part for each outcome."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from lbcheck.report.charts.svg import element, percent
from lbcheck.report.outcomes import look


def proportions(counts: Sequence[tuple[str, int]], height: int = 10) -> Markup:
    """(outcome, how many) from left to right in their order."""
    total = sum(n for _, n in counts)
    parts, begin = [], 0
    for outcome, n in counts:
        title = element("title", f"{n:,} {outcome}")
        box: dict[str, str] = {"x": percent(begin / total), "width": percent(n / total)}
        parts.append(element("rect", title, **box, y=0, height=height, class_=f"part fill-{look(outcome).key}"))
        begin += n
    words = ", ".join(f"{n} {outcome}" for outcome, n in counts)
    return element("svg", *parts, width="100%", height=height, role="img", aria_label=words, class_="proportions")
