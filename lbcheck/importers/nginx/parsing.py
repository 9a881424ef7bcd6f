"""Files to a tree of directives, with what they include in its place. crossplane cuts the files into words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lbcheck.errors import LbcheckError, Location, UsageError
from lbcheck.importers.directive import Directive

_ESCAPE = re.compile(r"""\\(["'\\trn])""")  # before anything else a backslash stays (ngx_conf_file.c)
_CONTROLS = {"t": "\t", "r": "\r", "n": "\n"}


@dataclass(frozen=True, slots=True)
class Node:
    """A directive; `block` is what stands between its braces, None where it ends with a semicolon."""

    directive: Directive
    block: tuple[Node, ...] | None = None

    @property
    def name(self) -> str:
        return self.directive.words[0]

    @property
    def words(self) -> tuple[str, ...]:
        """What comes after the name."""
        return self.directive.words[1:]

    @property
    def at(self) -> Location:
        return self.directive.at

    def children(self, *names: str) -> Iterator[Node]:
        return (child for child in self.block or () if child.name in names)


@dataclass(frozen=True, slots=True)
class Parsed:
    """`directives`: all in the order of the files, `include` among them. `absent`: those of them that find no file."""

    nodes: tuple[Node, ...]
    directives: tuple[Directive, ...]
    includes: tuple[Directive, ...]
    absent: tuple[Directive, ...]


def parse(file: Path) -> Parsed:
    """UsageError where crossplane is missing or the file is, LbcheckError with the line where it cannot be cut."""
    payload = _payload(file)
    faults = [fault for fault in payload["errors"] if "No such file" not in fault["error"] or not fault["line"]]
    if faults:
        fault = faults[0]
        text = re.sub(r" in \S+$", "", fault["error"]) or "a directive is not ended"
        raise LbcheckError(
            f"{Location(fault['file'], fault['line'] or 0)}: {text}", remedy="`nginx -t` says whether nginx reads it."
        )
    return _Tree(payload).parsed()


def _payload(file: Path) -> dict[str, Any]:
    try:
        import crossplane
    except ImportError:
        raise UsageError(
            "crossplane, which cuts nginx's files into words, is not installed",
            remedy="python -m pip install 'lbcheck[nginx]'",
        ) from None
    if not file.is_file():
        raise UsageError(f"cannot read {file}: No such file", remedy="Name the main file of the configuration.")
    payload: dict[str, Any] = crossplane.parse(str(file), strict=False, check_ctx=False, check_args=False)
    return payload


@dataclass(slots=True)
class _Tree:
    payload: dict[str, Any]
    directives: dict[tuple[Location, int], Directive] = field(default_factory=dict)
    includes: list[Directive] = field(default_factory=list)
    absent: list[Directive] = field(default_factory=list)

    def parsed(self) -> Parsed:
        nodes = self._file(0, ())
        return Parsed(nodes, tuple(self.directives.values()), tuple(self.includes), tuple(self.absent))

    def _file(self, index: int, above: tuple[int, ...]) -> tuple[Node, ...]:
        """A file that is included twice stands in two places, and each of its lines is one directive nonetheless."""
        if index in above:
            raise LbcheckError(f"{self.payload['config'][index]['file']} includes itself", remedy="Break the circle.")
        config = self.payload["config"][index]
        return tuple(self._statements(config["parsed"], config["file"], Counter(), (*above, index)))

    def _statements(
        self, statements: Sequence[dict[str, Any]], file: str, seen: Counter[int], above: tuple[int, ...]
    ) -> Iterator[Node]:
        for statement in statements:
            line = int(statement["line"])
            words = tuple(_unescaped(word) for word in (statement["directive"], *statement["args"]))
            directive = Directive(words, Location(file, line), nth=seen[line])
            seen[line] += 1
            directive = self.directives.setdefault(directive.place, directive)
            if "includes" in statement:
                self.includes.append(directive)
                if not statement["includes"] and not re.search(r"[*?\[]", "".join(words[1:])):
                    self.absent.append(directive)
                for index in statement["includes"]:
                    yield from self._file(index, above)
            else:
                block = statement.get("block")
                inner = None if block is None else tuple(self._statements(block, file, seen, above))
                yield Node(directive, inner)


def _unescaped(word: str) -> str:
    return _ESCAPE.sub(lambda found: _CONTROLS.get(found[1], found[1]), word)
