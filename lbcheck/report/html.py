"""The page: one self-contained HTML file."""

from __future__ import annotations

from html import escape

from lbcheck.report.model import Run
from lbcheck.report.text import line


def page(run: Run) -> str:
    """The whole page."""
    rows = "".join(
        f"<li>{escape(line(c.outcome))} <code>{escape(line(c.node))}</code> {escape(line(c.claim))}</li>"
        for c in run.checks
    )
    return f"<!doctype html><meta charset=utf-8><title>lbcheck</title><h1>{escape(line(run.headline))}</h1><ul>{rows}</ul>\n"
