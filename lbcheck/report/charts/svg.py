"""SVG elements with everything escaped. Colours come from classes: the page's policy allows no style attribute."""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup, escape

from lbcheck.report.text import line

Value = str | int | float


def element(name: str, *content: str, **attributes: Value | None) -> Markup:
    """`<name ...>content</name>`; `class_` and `text_anchor` become `class` and `text-anchor`, None is left out."""
    shown = "".join(f' {_name(key)}="{_value(value)}"' for key, value in attributes.items() if value is not None)
    inner = "".join(_escaped(part) for part in content)
    return Markup(f"<{name}{shown}>{inner}</{name}>")  # each part is escaped by now, or ours


def _name(key: str) -> str:
    return {"view_box": "viewBox", "preserve_aspect_ratio": "preserveAspectRatio"}.get(key) or (
        key.rstrip("_").replace("_", "-")
    )


def _value(value: Value) -> str:
    return _escaped(value) if isinstance(value, str) else _number(value)


def _escaped(text: str) -> Markup:
    return text if isinstance(text, Markup) else escape(line(text))


def ticks(xs: Iterable[float], top: float, bottom: float, class_: str) -> Markup:
    """Vertical strokes at these shares (0..1) of the width, in one path; those in the same place are drawn once."""
    columns = sorted({round(x * _COLUMNS) for x in xs})
    path = "".join(f"M{column} {_number(top)}V{_number(bottom)}" for column in columns)
    return element("path", d=Markup(path), class_=class_)


_COLUMNS = 2000  # of the stretched layer that holds ticks


def layer(height: float, *content: str) -> Markup:
    """A layer stretched over the whole width, in which `ticks` draw."""
    return element(
        "svg",
        *content,
        view_box=f"0 0 {_COLUMNS} {_number(height)}",
        preserve_aspect_ratio="none",
        width="100%",
        height=height,
    )


def percent(share: float) -> str:
    """A share of the width as an attribute, clamped to 0..100 %."""
    return f"{_number(100 * min(max(share, 0.0), 1.0))}%"


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
