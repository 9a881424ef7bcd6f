"""The patterns of rules, each read as naively as it is defined."""

from __future__ import annotations

import re
from functools import lru_cache


@lru_cache(maxsize=4096)
def _glob(pattern: str, fold: bool) -> re.Pattern[str]:
    parts = {"*": ".*", "?": "."}
    flags = re.DOTALL | (re.IGNORECASE | re.ASCII if fold else 0)
    return re.compile("".join(parts.get(c, re.escape(c)) for c in re.sub(r"\*+", "*", pattern)), flags)


def matches_glob(pattern: str, text: str, *, fold: bool = False) -> bool:
    """ALB's wildcards over the whole text: `*` any run (also of slashes and dots), `?` exactly one character."""
    return _glob(pattern, fold).fullmatch(text) is not None


def has_prefix(path: str, prefix: str) -> bool:
    """By elements: /v1 holds /v1 and /v1/x, not /v10; /v1/ holds the same as /v1; / holds all."""
    stem = prefix.rstrip("/")
    return path == stem or path.startswith(f"{stem}/")


def glob_includes(wide: str, narrow: str) -> bool:
    """Every text that matches `narrow` matches `wide`.

    Reads `narrow` as a text in which `?` is a character that only a `?` or `*` of `wide` can take, and `*` one that
    only a `*` can take.
    """
    wide, narrow = _normal(wide), _normal(narrow)
    states = _closure({0}, wide)
    for character in narrow:
        states = _closure(_step(states, character, wide), wide)
        if not states:
            return False
    return len(wide) in states


def _normal(pattern: str) -> str:
    """The same language with each run of wildcards as its `?`, then at most one `*`."""
    return re.sub(r"[*?]{2,}", lambda run: "?" * run[0].count("?") + "*" * ("*" in run[0]), pattern)


def _closure(states: set[int], wide: str) -> set[int]:
    """`*` may take nothing."""
    closed = set(states)
    for state in sorted(states):
        at = state
        while at < len(wide) and wide[at] == "*":
            at += 1
            closed.add(at)
    return closed


def _step(states: set[int], character: str, wide: str) -> set[int]:
    after: set[int] = set()
    for state in states:
        if state == len(wide):
            continue
        if wide[state] == "*":
            after.add(state)  # a run takes any character, and a run of any length in one
        elif character != "*" and wide[state] in ("?", character):
            after.add(state + 1)
    return after
