"""What of lb.yaml and of the configuration a run exercised, from its records. Pure.

A part of the spec is exercised by the requests that a decided check sent there; a directive by a decided check whose
verdict rests on a field that this line is the source of, or whose requests met it. What an importer ruled to be without
effect on claims cannot be exercised, and what lb.yaml has no words for no check can look at.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from lbcheck.errors import Location
from lbcheck.gate.configuration import Configuration
from lbcheck.importers.directive import Entry, Ruling
from lbcheck.redaction import without_secrets
from lbcheck.report.model import CheckRecord, Coverage, Directive, Part
from lbcheck.spec.loading import LoadedSpec
from lbcheck.spec.validity import place
from lbcheck.verdict import Outcome

EXERCISED, MISSED, NO_EFFECT = "exercised", "not exercised", "no effect"
DECIDED = frozenset({Outcome.HOLDS.value, Outcome.BROKEN.value, Outcome.KNOWN.value, Outcome.STALE.value})
OF_A_LISTENER = ("address", "port", "protocol", "certificates", "http2")  # what a connection to it meets


def coverage(
    claimed: LoadedSpec, records: Sequence[CheckRecord], configuration: Configuration | None, unread: str = ""
) -> Coverage:
    """`unread`: why there is no configuration."""
    parts = [_part(path, kind, claimed, records) for path, kind in _parts(claimed)]
    return Coverage(parts, _directives(configuration, records) if configuration else [], unread)


def _parts(claimed: LoadedSpec) -> Iterator[tuple[str, str]]:
    for listener in claimed.spec.listeners:
        path = f"listeners.{listener.name}"
        yield path, "listener"
        yield from ((f"{path}.rules.{rule.priority}", "rule") for rule in listener.rules)
        yield f"{path}.default", "default"
    yield from ((f"pools.{pool.name}", "pool") for pool in claimed.spec.pools)


def _part(path: str, kind: str, claimed: LoadedSpec, records: Iterable[CheckRecord]) -> Part:
    at = place(path, claimed.places, "")
    sent = [record for record in records if path in record.reached]
    return Part(path, kind, str(at) if at.line else "", *_told(sent))


def _told(records: Iterable[CheckRecord]) -> tuple[list[str], list[str]]:
    """(ids of checks that were decided, of those that were not), each once and in order."""
    decided = dict.fromkeys(record.id for record in records if record.outcome in DECIDED)
    others = dict.fromkeys(record.id for record in records if record.outcome not in DECIDED)
    return list(decided), [check for check in others if check not in decided]


# --- directives ------------------------------------------------------------------------------------------------------


def _directives(configuration: Configuration, records: Sequence[CheckRecord]) -> list[Directive]:
    by_line: dict[str, list[CheckRecord]] = {}
    for record in records:
        for at in _lines(record, configuration):
            by_line.setdefault(at, []).append(record)
    found = configuration.imported
    fielded = {str(at) for at in found.sources.values()}
    return [_directive(entry, _through(entry, found.through), fielded, by_line) for entry in found.entries]


def _through(entry: Entry, through: Mapping[Location, tuple[Location, ...]]) -> list[str]:
    """The line and those that it acts through, over any number of steps."""
    found = [entry.directive.at]
    for at in found:
        found += [other for other in through.get(at, ()) if other not in found]
    return [str(at) for at in found]


def _directive(
    entry: Entry, places: Sequence[str], fielded: set[str], by_line: Mapping[str, Sequence[CheckRecord]]
) -> Directive:
    at, words = str(entry.directive.at), without_secrets(str(entry.directive))
    if entry.ruling is Ruling.IGNORED:
        return Directive(at, words, NO_EFFECT, entry.reason)
    if entry.ruling is Ruling.REFUSED:
        return Directive(at, words, MISSED, f"lb.yaml cannot say it: {entry.reason}")
    if not any(place in fielded for place in places):
        return Directive(at, words, NO_EFFECT, "no field of lb.yaml rests on it")
    touched = {record.node: record for place in places for record in by_line.get(place, ())}
    decided, others = _told(touched.values())
    if decided:
        return Directive(at, words, EXERCISED, entry.reason, sorted(decided))
    undecided = f"only by checks that decided nothing: {', '.join(sorted(others))}"
    return Directive(at, words, MISSED, undecided if others else "no check of this run rests on it")


def _lines(record: CheckRecord, configuration: Configuration) -> set[str]:
    """Places of the directives that a check has to do with. Rules are exercised by what met them alone."""
    sources, found = configuration.imported.sources, set(record.met)
    for path in record.reached:
        there = configuration.alignment.nodes.get(path)
        if there is not None and ".rules." not in there:
            own = [there, *(f"{there}.{name}" for name in OF_A_LISTENER if there.startswith("listeners."))]
            found |= {str(sources[name]) for name in own if name in sources}
    nodes = frozenset(configuration.alignment.nodes.values())
    for path in record.reads:
        there = configuration.alignment.configured(path)
        if there is not None and ".rules." not in there:
            found |= {str(at) for at in _sources_of(there, sources, nodes)}
    return found


def _sources_of(path: str, sources: Mapping[str, Location], parts: frozenset[str]) -> list[Location]:
    """Of a field and all that it holds, else of the nearest field around it; a part's own line is no field's."""
    inner = [at for name, at in sources.items() if name == path or name.startswith(f"{path}.")]
    if inner:
        return inner
    while (path := path.rpartition(".")[0]) and path not in parts:
        if path in sources:
            return [sources[path]]
    return []
