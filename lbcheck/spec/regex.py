"""The regular expressions of `path_regex`: the subset that RE2 and Python read alike, parsed to a small tree.

No lookaround, no backreferences, no possessive or atomic groups (https://github.com/google/re2/wiki/Syntax). Matching
is `re.search` in ASCII mode; the tree exists to refuse the rest with a reason and to write texts that match.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

PRINTABLE = tuple(chr(code) for code in range(0x20, 0x7F))
MOST_REPEATS = 1000  # RE2's own bound on {n,m}
_DIGITS = frozenset("0123456789")
_WORD = _DIGITS | frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_")
_SPACE = frozenset(" \t\n\r\f\v")
_ALL = frozenset(chr(code) for code in range(0x80))
_CLASSES = {"d": _DIGITS, "w": _WORD, "s": _SPACE, "D": _ALL - _DIGITS, "W": _ALL - _WORD, "S": _ALL - _SPACE}
_CONTROLS = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "v": "\v", "a": "\a"}


class RegexError(ValueError):
    """Outside the subset; the text says what and where."""


@dataclass(frozen=True, slots=True)
class Chars:
    """One character of a set (ASCII)."""

    among: frozenset[str]


@dataclass(frozen=True, slots=True)
class Sequence:
    parts: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    branches: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    part: Tree
    least: int
    most: int | None


@dataclass(frozen=True, slots=True)
class Anchor:
    """`^` (also `\\A`), `$`, `\\b`, `\\B`."""

    mark: str


Tree: TypeAlias = Chars | Sequence | Choice | Repeat | Anchor


@lru_cache(maxsize=1024)
def parse(pattern: str) -> Tree:
    """The tree of a pattern; RegexError where it leaves the subset."""
    parser = _Parser(pattern)
    tree = parser.choice()
    if parser.at < len(pattern):
        raise parser.error("an unopened )")
    try:
        re.compile(pattern, re.ASCII)
    except re.error as error:
        raise RegexError(str(error)) from error
    return tree


@lru_cache(maxsize=1024)
def compiled(pattern: str) -> re.Pattern[str]:
    """For search, ASCII classes, as RE2 has them."""
    return re.compile(pattern, re.ASCII)


class _Parser:
    """Recursive descent, one method for each level of precedence."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0
        self.ignores_case = False

    def error(self, what: str) -> RegexError:
        return RegexError(f"{what} at column {self.at + 1}")

    def next(self, length: int = 1) -> str:
        return self.pattern[self.at : self.at + length]

    def take(self, text: str) -> bool:
        if not self.pattern.startswith(text, self.at):
            return False
        self.at += len(text)
        return True

    def choice(self) -> Tree:
        branches = [self.sequence()]
        while self.take("|"):
            branches.append(self.sequence())
        return branches[0] if len(branches) == 1 else Choice(tuple(branches))

    def sequence(self) -> Tree:
        parts: list[Tree] = []
        while self.at < len(self.pattern) and self.next() not in "|)":
            parts.append(self.repeated(self.atom()))
        return Sequence(tuple(parts))

    def repeated(self, part: Tree) -> Tree:
        bounds = self.bounds()
        if bounds is None:
            return part
        self.take("?")  # lazy: the same language
        if self.bounds() is not None:
            raise self.error("a repeat of a repeat (possessive quantifiers are not RE2)")
        return Repeat(part, *bounds)

    def bounds(self) -> tuple[int, int | None] | None:
        for mark, bounds in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self.take(mark):
                return bounds
        if self.next(2) == "{,":
            raise self.error("{,n}, which RE2 reads as text and Python as a repeat (write {0,n}),")
        counted = re.compile(r"\{([0-9]+)(,?)([0-9]*)\}").match(self.pattern, self.at)
        if counted is None:
            return None
        self.at = counted.end()
        least = int(counted[1])
        most = int(counted[3]) if counted[3] else (None if counted[2] else least)
        if max(least, most or 0) > MOST_REPEATS or (most is not None and most < least):
            raise self.error(f"a repeat out of order or over {MOST_REPEATS}")
        return least, most

    def atom(self) -> Tree:
        character = self.next()
        if character in "*+?":
            raise self.error("a repeat of nothing")
        self.at += 1
        if character == "(":
            return self.group()
        if character == "[":
            return self.bracket()
        if character in "^$":
            return Anchor(character)
        if character == ".":
            return Chars(_ALL - {"\n"})
        if character == "\\":
            return self.escape()
        return self.literal(character)

    def literal(self, character: str) -> Chars:
        return Chars(_either_case({character}) if self.ignores_case else frozenset(character))

    def group(self) -> Tree:
        if self.take("?"):
            if self.next() in ("=", "!") or self.next(2) in ("<=", "<!"):
                raise self.error("lookaround (?= ?! ?<= ?<!), which RE2 does not have,")
            if self.take("i)"):
                if self.at != len("(?i)"):
                    raise self.error("(?i) that is not at the start")
                self.ignores_case = True
                return Sequence(())
            named = re.compile(r"P<\w+>").match(self.pattern, self.at)
            if named:
                self.at = named.end()
            elif not self.take(":"):
                raise self.error("a group other than ( ), (?: ), (?P<name> ) and (?i)")
        tree = self.choice()
        if not self.take(")"):
            raise self.error("a ( without its )")
        return tree

    def escape(self) -> Tree:
        character = self.next()
        self.at += 1
        if character in _CLASSES and character:
            return Chars(_CLASSES[character])
        if character in ("b", "B", "A"):
            return Anchor("^" if character == "A" else f"\\{character}")
        if character.isdigit():
            raise self.error("a backreference, which RE2 does not have,")
        return self.literal(self.escaped(character))

    def escaped(self, character: str) -> str:
        if character in _CONTROLS and character:
            return _CONTROLS[character]
        if character == "x" and re.fullmatch(r"[0-7][0-9A-Fa-f]", self.next(2)):
            self.at += 2
            return chr(int(self.pattern[self.at - 2 : self.at], 16))
        if not character or character.isalnum() or not character.isascii():
            raise self.error(f"the escape \\{character}")
        return character

    def bracket(self) -> Tree:
        negated = self.take("^")
        among: set[str] = set()
        first = True
        while first or self.next() != "]":
            if self.at >= len(self.pattern):
                raise self.error("a [ without its ]")
            first = False
            among |= self.bracket_item()
        self.at += 1
        chosen = _either_case(among) if self.ignores_case else frozenset(among)
        return Chars(_ALL - chosen if negated else chosen)

    def bracket_item(self) -> set[str]:
        if self.next() == "[":
            raise self.error("a [ inside [ ] (write \\[)")
        if self.next() == "\\" and self.next(2)[1:] in _CLASSES and self.next(2)[1:]:
            self.at += 2
            return set(_CLASSES[self.pattern[self.at - 1]])
        low = self.bracket_character()
        if self.next() != "-" or self.next(2) == "-]":
            return {low}
        self.at += 1
        high = self.bracket_character()
        if high < low:
            raise self.error(f"the range {low}-{high}, which is backwards,")
        return {chr(code) for code in range(ord(low), ord(high) + 1)}

    def bracket_character(self) -> str:
        character = self.next()
        if not character:
            raise self.error("a [ without its ]")
        self.at += 1
        if character != "\\":
            return character
        escaped = self.next()
        self.at += 1
        return self.escaped(escaped)


def _either_case(among: set[str]) -> frozenset[str]:
    return frozenset(form for character in among for form in (character.lower(), character.upper()))
