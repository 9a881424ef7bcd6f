"""`use_backend %[...,map(FILE)]`: a file of keys and backends (section 7.3.1, "map") as a rule for each line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from lbcheck.importers.directive import Directive, Unreadable

_MAP = re.compile(
    r"%\[(?P<sample>.+?),map(?P<kind>_str|_beg|_end|_sub|_dom|_dir|_reg|_ip)?\((?P<file>[^(),]+)(?:,(?P<other>[^()]+))?\)\]"
)


def unfolded(lines: Iterable[Directive], read: Callable[[str], list[str]]) -> Iterator[Directive]:
    """Lines as if somebody had written one `use_backend` for each line of the map. Unreadable is kept as a flaw."""
    for line in lines:
        found = _MAP.fullmatch(line.words[1]) if line.words[0] == "use_backend" and len(line.words) > 1 else None
        if not found:
            yield line
            continue
        try:
            yield from _rules(line, found, read(found["file"].strip()))
        except Unreadable as error:
            yield Directive(line.words, line.at, str(error))


def _rules(line: Directive, found: re.Match[str], entries: list[str]) -> Iterator[Directive]:
    if line.words[2:]:
        raise Unreadable("a map under a condition")
    kind = (found["kind"] or "_str").removeprefix("_")
    pairs = [entry.split(None, 1) for entry in entries]
    if any(len(pair) != 2 for pair in pairs):
        raise Unreadable("a map's line without a value")
    if kind == "beg":  # the longest prefix wins
        pairs = sorted(pairs, key=lambda pair: -len(pair[0]))
    match = [] if kind == "ip" else ["-m", kind]
    for key, pool in pairs:
        condition = ("if", "{", found["sample"], *match, "--", key, "}")
        yield Directive(("use_backend", pool.strip(), *condition), line.at)
    if found["other"]:
        yield Directive(("use_backend", found["other"].strip()), line.at)
