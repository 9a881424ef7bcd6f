"""Texts that match: patterns, prefixes and regular expressions filled with a fresh word, the plainest first."""

from __future__ import annotations

import random
import string
from collections.abc import Callable, Iterable

from lbcheck.spec.regex import Anchor, Chars, Choice, Repeat, Tree, parse
from lbcheck.spec.regex import Sequence as Parts

ALPHANUMERIC = string.ascii_lowercase + string.digits + string.ascii_uppercase
IN_PATHS = ALPHANUMERIC + "-._~/!$&'()*+,;=:@"  # RFC 3986, 3.3
REGEX_TRIES = 24
MOST = 16  # candidates of one dimension


class NoTextError(ValueError):
    """The regular expression asks for a character that a path cannot hold."""


def globs(patterns: Iterable[str], fills: tuple[str, ...]) -> list[str]:
    """Each pattern with each fill for its `*`; `?` becomes the fill's first character, or x."""
    texts: list[str] = []
    for pattern in patterns:
        for fill in fills if "*" in pattern or "?" in pattern else ("",):
            one = next((c for c in fill if c.isalnum()), "x")
            texts.append("".join({"*": fill, "?": one}.get(c, c) for c in pattern))
    return texts


def path_fills(word: str) -> tuple[str, ...]:
    return (word, f"/{word}", "", f"{word}/{word}", f"{word}.{word}", f"/{word}/{word}.{word}")


def plain_paths(word: str) -> list[str]:
    """For a rule that says nothing about paths."""
    return ["/", f"/{word}", f"/{word}/{word}", f"/{word}.{word}", f"/{word}/"]


def below(prefix: str, word: str) -> list[str]:
    stem = prefix.rstrip("/")
    return [stem or "/", f"{stem}/{word}", f"{stem}/", f"{stem}/{word}/{word}"]


def regex_texts(pattern: str, rng: random.Random) -> list[str]:
    """Paths that the expression, searched for, may find; the caller verifies."""
    tree = parse(pattern)
    texts: list[str] = []
    for attempt in range(REGEX_TRIES):
        try:
            text = _text(tree, rng, long=attempt % 3)
        except NoTextError:
            continue
        texts += [text, f"/{text}", f"/x{text}", f"/{text}/x"]
    return texts


def _text(tree: Tree, rng: random.Random, long: int) -> str:
    """One text of the tree; anchors are left to the caller's verification."""
    if isinstance(tree, Anchor):
        return ""
    if isinstance(tree, Chars):
        return _character(tree, rng)
    if isinstance(tree, Choice):
        return _text(rng.choice(tree.branches), rng, long)
    if isinstance(tree, Repeat):
        most = tree.least + long if tree.most is None else min(tree.most, tree.least + long)
        return "".join(_text(tree.part, rng, long) for _ in range(rng.randint(tree.least, most)))
    assert isinstance(tree, Parts)
    return "".join(_text(part, rng, long) for part in tree.parts)


def _character(chars: Chars, rng: random.Random) -> str:
    for alphabet in (ALPHANUMERIC, IN_PATHS):
        allowed = [c for c in alphabet if c in chars.among]
        if allowed:
            return rng.choice(allowed)
    raise NoTextError("no character of a path fits")


def looks_odd(path: str) -> bool:
    """Paths that some products normalise: empty and dot segments, a trailing slash, percent."""
    segments = path.split("/")[1:]
    return any(segment in (".", "..") for segment in segments) or ("" in segments and path != "/") or "%" in path


def distinct(texts: Iterable[str], holds: Callable[[str], bool]) -> list[str]:
    """Those that hold, once each, in order, at most MOST."""
    return list(dict.fromkeys(text for text in texts if holds(text)))[:MOST]
