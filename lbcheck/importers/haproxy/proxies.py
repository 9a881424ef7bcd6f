"""Proxies with what they inherit: each section's own lines after those of its `defaults` (section 4)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lbcheck.importers.directive import Directive, Ledger
from lbcheck.importers.haproxy.sections import PROXIES, Section

_FAMILIES = """
    option timeout http-request http-response http-after-response http-check tcp-check tcp-request tcp-response
    stick stats capture email-alert monitor external-check declare persist rate-limit
"""

_TWO_WORDS = frozenset(_FAMILIES.split())


def key_of(directive: Directive) -> str:
    """The keyword, with its second word where one alone says little; `no option x` has the key of `option x`."""
    words = directive.words[1:] if directive.words[0] in ("no", "default") else directive.words
    return " ".join(words[: 2 if words and words[0] in _TWO_WORDS else 1])


@dataclass(frozen=True, slots=True)
class Proxy:
    """`inherited` are its defaults' lines."""

    section: Section
    inherited: tuple[Directive, ...]

    @property
    def kind(self) -> str:
        return self.section.kind

    @property
    def name(self) -> str:
        return self.section.name

    @property
    def listens(self) -> bool:
        return self.kind in ("frontend", "listen")

    @property
    def balances(self) -> bool:
        return self.kind in ("backend", "listen")

    def all(self, *keys: str) -> Iterator[Directive]:
        """In order, inherited ones first."""
        return (d for d in (*self.inherited, *self.section.directives) if key_of(d) in keys)

    def last(self, ledger: Ledger, *keys: str) -> Directive | None:
        """The one in force; those before it are ruled to be outdone. None too where the last one says `no`."""
        found = list(self.all(*keys))
        for outdone in found[:-1]:
            ledger.ignored(outdone, f"a later line takes its place ({found[-1].at})")
        if found and found[-1].words[0] == "no":
            ledger.understood(found[-1])
            return None
        return found[-1] if found else None

    def has(self, ledger: Ledger, option: str) -> bool:
        """Is the option set? It is ruled as understood."""
        found = self.last(ledger, f"option {option}")
        if found:
            ledger.understood(found)
        return found is not None

    def acts_through_its_head(self, ledger: Ledger, key: str) -> None:
        """What says something of the whole proxy acts where that does."""
        for line in list(self.all(key))[-1:]:
            ledger.acts_through(line, self.section.head)

    @property
    def http(self) -> bool:
        """`mode` is tcp where nobody says another ("mode")."""
        modes = [d.words[1:2] for d in self.all("mode")]
        return bool(modes) and modes[-1] == ("http",)


def proxies(sections: Sequence[Section], ledger: Ledger) -> list[Proxy]:
    """A proxy takes the defaults that it names by `from`, else the last ones above it."""
    named: dict[str, tuple[Directive, ...]] = {}
    latest: tuple[Directive, ...] = ()
    found: list[Proxy] = []
    for section in sections:
        base, reason = _base(section, named, latest)
        if reason:
            ledger.refused(section.head, reason)
        if section.kind == "defaults":
            latest = (*base, *section.directives)
            if section.name and section.name != "from":
                named[section.name] = latest
        elif section.kind in PROXIES:
            found.append(Proxy(section, base))
    return found


def _base(
    section: Section, named: dict[str, tuple[Directive, ...]], latest: tuple[Directive, ...]
) -> tuple[tuple[Directive, ...], str]:
    """`defaults` itself starts from nothing but what its own `from` names."""
    words = section.head.words
    if "from" in words[1:]:
        name = "".join(words[words.index("from", 1) + 1 :][:1])
        return named.get(name, ()), "" if name in named else f"there is no defaults section {name!r} above"
    return (() if section.kind == "defaults" else latest), ""
