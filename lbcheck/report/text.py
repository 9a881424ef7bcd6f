"""Text from anywhere made fit to be seen: what is invisible becomes visible, what is endless gets an end."""

from __future__ import annotations

import unicodedata

FIELD = 2_000  # characters of one field on the page

# What reorders or hides text is of category Cf; surrogates, private use and unassigned are Cs, Co, Cn.
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_STACK = 4  # combining marks on one letter


def shown(text: str, limit: int = FIELD) -> str:
    """The text on the page: controls and other hidden characters as their code, clipped; newlines stay."""
    text = clipped(text, limit)
    if text.isascii() and text.isprintable():  # most are
        return text
    out: list[str] = []
    marks = 0
    for character in text:
        category = unicodedata.category(character)
        marks = marks + 1 if category in {"Mn", "Me"} else 0
        if marks <= _STACK:
            out.append(character if category not in _HIDDEN or character == "\n" else _visible(character))
    return "".join(out)


def line(text: str, limit: int = FIELD) -> str:
    """As `shown`, on one line."""
    return shown(text, limit).replace("\n", " ")


def clipped(text: str, limit: int) -> str:
    """At most `limit` characters, then how many are missing."""
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text) - limit:,} more characters)"


def _visible(character: str) -> str:
    return f"⟨U+{ord(character):04X}⟩"
