"""A server's locations in the order in which nginx looks for one (ngx_http_core_module, "location").

Exact ones first; then the longest prefix is remembered; expressions are tried in order unless that prefix says `^~`;
the first that finds something, else the remembered prefix, is it. Paths are compared as nginx has normalised them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from lbcheck.importers.conjunction import both
from lbcheck.importers.directive import Unreadable
from lbcheck.importers.nginx import patterns
from lbcheck.importers.nginx.parsing import Node
from lbcheck.spec.model import Conditions

MARKS = ("=", "^~", "~", "~*")
PASSES = ("proxy_pass", "fastcgi_pass", "uwsgi_pass", "scgi_pass", "memcached_pass", "grpc_pass")


@dataclass(frozen=True, slots=True)
class Location:
    """`mark` is "" for a prefix."""

    node: Node
    mark: str
    text: str

    @property
    def slashed(self) -> bool:
        """Its path without the last slash is answered by a redirect: it ends with one and passes requests on."""
        passes = any(True for _ in self.node.children(*PASSES))
        return self.mark in ("", "^~", "=") and len(self.text) > 1 and self.text.endswith("/") and passes

    @property
    def by_regex(self) -> bool:
        return self.mark in ("~", "~*")

    def when(self) -> Conditions:
        if self.mark == "=":
            return patterns.exactly(self.text)
        if self.by_regex:
            return patterns.found_in_path(self.text, fold=self.mark == "~*")
        return patterns.begins(self.text)


@dataclass(frozen=True, slots=True)
class Choice:
    """Requests that meet `when` go to the location; `redirect`: they are sent to its path with the slash."""

    when: Conditions
    location: Location
    redirect: bool = False


def location_of(node: Node) -> Location:
    """Unreadable where it is no location for requests."""
    words = node.words
    if len(words) == 2 and words[0] in MARKS:
        return Location(node, words[0], words[1])
    if len(words) != 1:
        raise Unreadable("expected a prefix or an expression")
    if glued := re.fullmatch(r"(=|\^~|~\*|~)(.+)", words[0]):
        return Location(node, glued[1], glued[2])
    return Location(node, "", words[0])


def choices(locations: Sequence[Location]) -> list[Choice]:
    """First match. What is left over is taken by no location."""
    exact = [one for one in locations if one.mark == "="]
    prefixes = sorted((one for one in locations if one.mark in ("", "^~")), key=lambda one: -len(one.text))
    regexes = [one for one in locations if one.by_regex]
    taken = {one.text for one in (*exact, *prefixes)}
    found = [Choice(one.when(), one) for one in exact]
    found += [
        Choice(patterns.exactly(one.text[:-1]), one, redirect=True)
        for one in (*exact, *prefixes)
        if one.slashed and one.text[:-1] not in taken
    ]
    firm = [one.text for one in prefixes if one.mark == "^~"]
    below = [one for one in prefixes if any(one.text.startswith(text) for text in firm)]
    for one in below:
        if one.mark == "":
            met = ((both(one.when(), regex.when()), regex) for regex in regexes)
            found += [Choice(when, regex) for when, regex in met if when is not None]
        found.append(Choice(one.when(), one))
    found += [Choice(one.when(), one) for one in (*regexes, *(one for one in prefixes if one not in below))]
    return found


def located(path: str, locations: Sequence[Location]) -> Location | None:
    """Where this very path goes."""
    for one in locations:
        if one.mark == "=" and one.text == path:
            return one
    prefixes = [one for one in locations if one.mark in ("", "^~") and path.startswith(one.text)]
    longest = max(prefixes, key=lambda one: len(one.text), default=None)
    if longest is None or longest.mark != "^~":
        for one in locations:
            if one.by_regex and _finds(one, path):
                return one
    return longest


def _finds(location: Location, path: str) -> bool:
    regex = patterns.as_re2(location.text, fold=location.mark == "~*")
    return bool(re.search(regex, path, re.ASCII))
