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
    """Every text that matches `narrow` matches `wide`; exact, by walking both patterns over the same texts.

    All characters that stand in neither pattern are alike, so one of them (NUL) speaks for the rest.
    """
    letters = [*sorted((set(wide) | set(narrow)) - {"*", "?"}), "\0"]
    start = (_closure({0}, narrow), _closure({0}, wide))
    seen, waiting = {start}, [start]
    while waiting:
        within, around = waiting.pop()
        if len(narrow) in within and len(wide) not in around:
            return False
        for letter in letters:
            after = (_step(within, letter, narrow), _step(around, letter, wide))
            if after[0] and after not in seen:
                seen.add(after)
                waiting.append(after)
    return True


def _closure(states: set[int] | frozenset[int], pattern: str) -> frozenset[int]:
    """`*` may take nothing."""
    closed = set(states)
    for state in states:
        at = state
        while at < len(pattern) and pattern[at] == "*":
            at += 1
            closed.add(at)
    return frozenset(closed)


def _step(states: frozenset[int], letter: str, pattern: str) -> frozenset[int]:
    after: set[int] = set()
    for state in states:
        if state < len(pattern) and pattern[state] == "*":
            after.add(state)
        elif state < len(pattern) and pattern[state] in ("?", letter):
            after.add(state + 1)
    return _closure(after, pattern)
