"""Who got how much: one bar for each backend, and a line where the claim puts its end."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from lbcheck.report.charts.svg import element, percent

_BARS = 24
_FULL = 0.94  # of the width: where the longest bar or line ends


def distribution(figures: Mapping[str, Any]) -> Markup:
    """Bars of `figures["counts"]` ({backend: count}) with `figures["share"]` ({backend: 0..1}) as lines; "" without."""
    counts = _numbers(figures.get("counts"))
    if not counts:
        return Markup("")
    total = sum(counts.values())
    wanted = {name: share * total for name, share in _numbers(figures.get("share")).items()}
    longest = max([*counts.values(), *(wanted.get(name, 0.0) for name in counts)]) or 1.0
    rows = [_row(name, n, wanted.get(name), total, longest) for name, n in list(counts.items())[:_BARS]]
    if len(counts) > _BARS:
        rows.append(element("p", f"and {len(counts) - _BARS:,} more", class_="muted"))
    if wanted:
        key = element("span", class_="expected-key"), element("span", "expected share")
        rows.append(element("p", *key, class_="legend"))
    return element("div", *rows, class_="bars")


def _row(name: str, count: float, wanted: float | None, total: float, longest: float) -> Markup:
    bar = element("rect", x=0, y=4, width=percent(_FULL * count / longest), height=12, rx=2, class_="bar")
    marks = [element("rect", x=0, y=4, width="100%", height=12, rx=2, class_="track"), bar]
    words = f"{_count(count)} · {_share(count, total)}"
    if wanted is not None:
        at = percent(_FULL * wanted / longest)
        marks.append(element("line", x1=at, x2=at, y1=0, y2=20, class_="expected"))
        words += f" (expected {_share(wanted, total)})"
    drawing = element("svg", *marks, width="100%", height=20, role="img", aria_label=f"{name}: {words}")
    return element(
        "div",
        element("span", name, class_="lane-name"),
        drawing,
        element("span", words, class_="num"),
        class_="bar-row",
    )


def _numbers(value: Any) -> dict[str, float]:
    """What of it is a name with a number that can be drawn."""
    if not isinstance(value, Mapping):
        return {}
    return {
        str(k): float(v)
        for k, v in value.items()
        if isinstance(v, int | float) and not isinstance(v, bool) and 0 <= v < 1e15 and math.isfinite(v)
    }


def _count(count: float) -> str:
    return f"{count:,.0f}" if count == int(count) else f"{count:,.2f}"


def _share(part: float, total: float) -> str:
    return f"{100 * part / total:.1f} %" if total else "0 %"
