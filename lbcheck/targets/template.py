"""Jinja2 templates of products' configurations, and the words that all of them write alike."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import jinja2

from lbcheck.spec.model import Rule, Seconds

_WILDCARDS = {"*": ".*", "?": "."}


def fill(template: str, **values: Any) -> str:
    """The text of `templates/<template>`; a name that is missing is an error, never an empty string."""
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("lbcheck.targets"),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # configuration files, not HTML; each product's own quoting is applied to every value
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["ms"] = milliseconds
    return environment


def milliseconds(duration_s: Seconds) -> str:
    """1.5 -> "1500ms": the finest unit that HAProxy and nginx keep."""
    return f"{round(duration_s * 1000)}ms"


def whole_milliseconds(duration_s: Seconds) -> bool:
    """Can `milliseconds` say it without rounding?"""
    return abs(duration_s * 1000 - round(duration_s * 1000)) < 1e-6


def pattern_regex(pattern: str) -> str:
    """An ALB pattern (`*` any run, `?` one character) as the inside of an anchored regular expression."""
    return "".join(_WILDCARDS.get(character) or re.escape(character) for character in pattern)


def in_order(rules: tuple[Rule, ...]) -> list[Rule]:
    """By priority: the lowest that matches acts."""
    return sorted(rules, key=lambda rule: rule.priority)
