"""Files to sections: what `global`, `defaults`, `frontend`, `backend`, `listen` and the others hold, in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from lbcheck.errors import Location
from lbcheck.importers.directive import Directive
from lbcheck.importers.haproxy.conditional import Blocks
from lbcheck.importers.haproxy.words import cut

PROXIES = ("frontend", "backend", "listen")
OTHERS = (
    "peers",
    "resolvers",
    "userlist",
    "mailers",
    "cache",
    "program",
    "ring",
    "log-forward",
    "http-errors",
    "fcgi-app",
    "crt-store",
    "traces",
)
KINDS = ("global", "defaults", *PROXIES, *OTHERS)
BLOCKS = (".if", ".elif", ".else", ".endif")
MESSAGES = (".diag", ".notice", ".warning", ".alert")


@dataclass(slots=True)
class Section:
    kind: str
    name: str
    head: Directive
    directives: list[Directive] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Parsed:
    """`directives`: every line that says something, in order. Sections hold those of them that are in force."""

    sections: tuple[Section, ...]
    directives: tuple[Directive, ...]


def parse(files: Iterable[tuple[str, str]], environment: Mapping[str, str]) -> Parsed:
    """`files` are (name, text) in the order of `-f`; a section does not go on into the next file."""
    known = dict(environment)
    sections: list[Section] = []
    directives: list[Directive] = []
    for name, text in files:
        current: Section | None = None
        for directive in _directives(name, text, known):
            directives.append(_homeless(directive, current))
            if directives[-1].flaw or directive.words[0].startswith("."):
                continue
            if directive.words[0] in KINDS:
                current = Section(directive.words[0], "".join(directive.words[1:2]), directive)
                sections.append(current)
            elif current is not None:
                current.directives.append(directive)
                _set_variable(current, directive, known)
    return Parsed(tuple(sections), tuple(directives))


def _directives(name: str, text: str, environment: Mapping[str, str]) -> Iterator[Directive]:
    blocks = Blocks()
    for number, raw in enumerate(text.splitlines(), 1):
        line = cut(raw, environment)
        at = Location(name, number)
        if not line.words:
            if line.flaw:
                yield Directive((raw.strip(),), at, line.flaw)
        elif line.words[0] in BLOCKS:
            yield Directive(tuple(line.words), at, blocks.turn(line.words, environment))
        elif blocks.taken is None:
            yield Directive(tuple(line.words), at, "stands under a condition that HAProxy alone can decide")
        else:
            flaw = line.flaw if blocks.taken else NOT_TAKEN
            yield Directive(tuple(line.words), at, flaw)


NOT_TAKEN = "stands under a condition that does not hold"


def _homeless(directive: Directive, current: Section | None) -> Directive:
    alone = current is None and directive.words[0] not in KINDS and not directive.words[0].startswith(".")
    if directive.flaw or not alone:
        return directive
    return Directive(directive.words, directive.at, "stands before the first section of its file")


def _set_variable(section: Section, directive: Directive, environment: dict[str, str]) -> None:
    """`setenv` and its like act on the lines that follow (section 3.1)."""
    if section.kind != "global":
        return
    match directive.words:
        case ("setenv", name, value):
            environment[name] = value
        case ("presetenv", name, value):
            environment.setdefault(name, value)
        case ("unsetenv", *names):
            for name in names:
                environment.pop(name, None)
        case ("resetenv", *names):
            for name in [known for known in environment if known not in names]:
                del environment[name]
