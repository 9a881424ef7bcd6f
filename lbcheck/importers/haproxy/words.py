"""A line of haproxy.cfg cut into words (section 2.2: quoting, escaping, comments; 2.3: environment variables)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_ESCAPABLE = " \t\\#'\"$"  # before anything else a backslash stays, as in the manual's own `/\\1`
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(\[\*\])?(?:-((?:[^}\\]|\\.)*))?\}|\$([A-Za-z_][A-Za-z0-9_]*)")
_HEX = re.compile(r"x([0-9A-Fa-f]{2})")


@dataclass(slots=True)
class Line:
    """`flaw` says why the words are not what HAProxy would read."""

    words: list[str] = field(default_factory=list)
    flaw: str = ""


def cut(text: str, environment: Mapping[str, str]) -> Line:
    """The words of one line, without its comment."""
    return _Cutter(text, environment).line()


class _Cutter:
    def __init__(self, text: str, environment: Mapping[str, str]) -> None:
        self._text, self._environment = text, environment
        self._at = 0
        self._word: str | None = None
        self._line = Line()

    def line(self) -> Line:
        while self._at < len(self._text):
            character = self._text[self._at]
            if character == "#":
                break
            if character in " \t\r\n":
                self._end_word()
                self._at += 1
            elif character in "'\"":
                self._quoted(character)
            else:
                self._add(self._escaped() if character == "\\" else self._plain())
        self._end_word()
        return self._line

    def _plain(self) -> str:
        self._at += 1
        return self._text[self._at - 1]

    def _escaped(self) -> str:
        rest = self._text[self._at + 1 :]
        if number := _HEX.match(rest):
            self._at += 4
            return chr(int(number[1], 16))
        self._at += 2
        if not rest:
            self._line.flaw = "a backslash ends the line"
        return _ESCAPES.get(rest[:1]) or (rest[:1] if rest[:1] in _ESCAPABLE else f"\\{rest[:1]}")

    def _quoted(self, quote: str) -> None:
        self._add("")
        self._at += 1
        while self._at < len(self._text) and self._text[self._at] != quote:
            character = self._text[self._at]
            if quote == "'" or character not in ("\\", "$"):
                self._add(self._plain())
            elif character == "\\":
                self._add(self._escaped())
            else:
                self._variable()
        if self._at >= len(self._text):
            self._line.flaw = f"the quote {quote} is not closed"
        self._at += 1

    def _variable(self) -> None:
        found = _VARIABLE.match(self._text, self._at)
        if not found:
            self._add(self._plain())
            return
        self._at = found.end()
        name = found[1] or found[4]
        value: str | None = self._environment.get(name, found[3])
        if value is None:
            self._line.flaw = f"the environment variable {name} is not set here"
        elif found[2]:
            parts = value.split()
            for part in parts[:-1]:
                self._add(part)
                self._end_word()
            self._add(parts[-1] if parts else "")
        else:
            self._add(value)

    def _add(self, text: str) -> None:
        self._word = (self._word or "") + text

    def _end_word(self) -> None:
        if self._word is not None:
            self._line.words.append(self._word)
        self._word = None


def seconds(word: str) -> float:
    """A time (section 2.5): milliseconds unless a unit us, ms, s, m, h or d follows. ValueError for anything else."""
    found = re.fullmatch(r"([0-9]+)(us|ms|s|m|h|d)?", word)
    if not found:
        raise ValueError(f"expected a time such as 500ms, 5s or 1m, got {word!r}")
    size = {"us": 1_000_000, "ms": 1000, "s": 1}.get(found[2] or "ms")
    number = int(found[1])
    return number / size if size else float(number * {"m": 60, "h": 3600, "d": 86400}[found[2]])
