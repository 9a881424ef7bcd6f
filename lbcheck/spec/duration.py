"""Durations with units ("250ms", "30s", "1h30m") and shares ("0.1%"): text to float and back, exactly."""

from __future__ import annotations

import re
from decimal import Decimal

UNITS_S = {
    "d": Decimal(86400),
    "h": Decimal(3600),
    "m": Decimal(60),
    "s": Decimal(1),
    "ms": Decimal("0.001"),
    "us": Decimal("0.000001"),
}
DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:us|ms|s|m|h|d))+")
SHARE = re.compile(r"[0-9]+(?:\.[0-9]+)?%")
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(us|ms|s|m|h|d)")


def parse_duration(text: str) -> float:
    """Seconds. "0" needs no unit; anything else does. ValueError says what was expected."""
    if text == "0":
        return 0.0
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        raise ValueError(f"expected a duration with its unit, got the bare number {text}; say {text}s or {text}ms")
    if not DURATION.fullmatch(text):
        raise ValueError(f"expected a duration such as 250ms, 30s, 5m, 1h or 1d, got {text!r}")
    return float(sum(Decimal(number) * UNITS_S[unit] for number, unit in _PART.findall(text)))


def format_duration(duration_s: float) -> str:
    """The shortest text in one unit that `parse_duration` reads back to the same float."""
    if duration_s == 0:
        return "0"
    exact = Decimal(repr(duration_s))
    for unit, size_s in UNITS_S.items():
        count = exact / size_s
        if count == count.to_integral_value():
            return f"{count.to_integral_value():f}{unit}"
    return f"{exact:f}s"


def parse_share(text: str) -> float:
    """A share between 0 and 1 from per cent: "0.1%" is 0.001. ValueError says what was expected."""
    if not SHARE.fullmatch(text):
        raise ValueError(f"expected a share in per cent such as 0.1% or 100%, got {text!r}")
    share = float(Decimal(text[:-1]) / 100)
    if share > 1:
        raise ValueError(f"expected a share of at most 100%, got {text}")
    return share


def format_share(share: float) -> str:
    """0.001 is "0.1%"."""
    percent = (Decimal(repr(share)) * 100).normalize()
    return f"{percent:f}%"
