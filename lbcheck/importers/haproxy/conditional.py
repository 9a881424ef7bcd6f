"""`.if` and its like (section 2.4): decided where the file and the environment alone decide."""

from __future__ import annotations

import re
from collections.abc import Mapping

_PREDICATE = re.compile(r"(defined|streq|strneq|feature|version_atleast|version_before)\(([^()]*)\)")
_TOKEN = re.compile(rf"\s*({_PREDICATE.pattern}|&&|\|\||!|\(|\)|-?[0-9]+)")


class Blocks:
    """The nested blocks around a line: each taken, not taken, or (None) not to be decided."""

    def __init__(self) -> None:
        self._blocks: list[list[bool | None]] = []  # for each level, what its branches so far came to

    @property
    def taken(self) -> bool | None:
        """Of the innermost line: None where one of the conditions around it cannot be decided."""
        answers = [branches[-1] for branches in self._blocks]
        return False if False in answers else None if None in answers else True

    def turn(self, words: list[str], environment: Mapping[str, str]) -> str:
        """Reads `.if`, `.elif`, `.else` or `.endif`; the flaw of that line, or nothing."""
        keyword, condition = words[0], " ".join(words[1:])
        if keyword == ".if":
            self._blocks.append([decided(condition, environment)])
            return ""
        if not self._blocks:
            return f"{keyword} without .if"
        if keyword == ".endif":
            self._blocks.pop()
            return ""
        branches = self._blocks[-1]
        own = True if keyword == ".else" else decided(condition, environment)
        branches.append(False if True in branches or own is False else None if None in branches else own)
        return ""


def decided(condition: str, environment: Mapping[str, str]) -> bool | None:
    """None where it takes the product itself to know (`feature`, `version_atleast`), or the condition is not read."""
    if not condition.strip():
        return False
    try:
        tokens = _tokens(condition)
        answer = _any(tokens, environment)
    except (ValueError, IndexError):
        return None
    return answer if not tokens else None


def _tokens(condition: str) -> list[str]:
    tokens, at = [], 0
    while condition[at:].strip():
        found = _TOKEN.match(condition, at)
        if not found:
            raise ValueError(condition)
        tokens.append(found[1])
        at = found.end()
    return tokens


def _any(tokens: list[str], environment: Mapping[str, str]) -> bool | None:
    answers = [_all(tokens, environment)]
    while tokens[:1] == ["||"]:
        tokens.pop(0)
        answers.append(_all(tokens, environment))
    return True if True in answers else None if None in answers else False


def _all(tokens: list[str], environment: Mapping[str, str]) -> bool | None:
    answers = [_one(tokens, environment)]
    while tokens[:1] == ["&&"]:
        tokens.pop(0)
        answers.append(_one(tokens, environment))
    return False if False in answers else None if None in answers else True


def _one(tokens: list[str], environment: Mapping[str, str]) -> bool | None:
    token = tokens.pop(0)
    if token == "!":
        answer = _one(tokens, environment)
        return None if answer is None else not answer
    if token == "(":
        answer = _any(tokens, environment)
        if tokens.pop(0) != ")":
            raise ValueError(token)
        return answer
    if predicate := _PREDICATE.fullmatch(token):
        return _predicate(predicate[1], [part.strip() for part in predicate[2].split(",")], environment)
    return int(token) != 0


def _predicate(name: str, values: list[str], environment: Mapping[str, str]) -> bool | None:
    if name == "defined":
        return values[0] in environment
    if name in ("streq", "strneq"):
        first, second = values
        return (first == second) == (name == "streq")
    return None
