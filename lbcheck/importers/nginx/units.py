"""Times and numbers of nginx ("Configuration file measurement units")."""

from __future__ import annotations

import re

_SIZES = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "M": 2592000, "y": 31536000}
_PART = re.compile(r"\s*([0-9]+)(ms|[smhdwMy]?)")


def whole(word: str, low: int, high: int) -> int:
    """A number that the spec can hold. ValueError for anything else."""
    if not re.fullmatch(r"[0-9]+", word) or not low <= int(word) <= high:
        raise ValueError(f"expected a number between {low} and {high}, got {word!r}")
    return int(word)


def more_than_none(word: str) -> float:
    """Seconds, of which there are some. ValueError for anything else."""
    time_s = seconds(word)
    if not time_s:
        raise ValueError(f"expected a time of more than 0, got {word!r}")
    return time_s


def seconds(word: str) -> float:
    """Seconds where no unit follows; units may be combined (`1h 30m`). ValueError for anything else."""
    at, total = 0, 0.0
    while found := _PART.match(word, at):
        number = int(found[1])
        total += number / 1000 if found[2] == "ms" else number * _SIZES[found[2] or "s"]
        at = found.end()
    if at < len(word) or not word:
        raise ValueError(f"expected a time such as 500ms, 30s or 1m, got {word!r}")
    return total
