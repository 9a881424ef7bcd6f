"""Both of two sets of conditions as one, and either of two as one, exactly or not at all."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable
from dataclasses import fields, replace

from lbcheck.importers.directive import Unreadable
from lbcheck.spec.model import Conditions
from lbcheck.spec.patterns import glob_includes, has_prefix, matches_glob
from lbcheck.spec.regex import compiled

Pairs = tuple[tuple[str, tuple[str, ...]], ...]
ALWAYS = Conditions()


def both(one: Conditions, two: Conditions) -> Conditions | None:
    """What meets both; None where nothing can. Unreadable where lb.yaml cannot say it."""
    one, two = _apart(one, two)
    parts = {
        "path": _globs(one.path, two.path),
        "path_prefix": _meet(one.path_prefix, two.path_prefix, lambda wide, narrow: has_prefix(narrow, wide)),
        "path_exact": _meet(one.path_exact, two.path_exact, lambda wide, narrow: wide == narrow),
        "path_regex": _regexes(one.path_regex, two.path_regex),
        "host": _globs(one.host, two.host),
        "method": _meet(one.method, two.method, lambda wide, narrow: wide == narrow),
        "header": _named(one.header, two.header, fold=True),
        "query": _named(one.query, two.query, fold=False),
        "cookie": _named(one.cookie, two.cookie, fold=False),
        "source": _meet(one.source, two.source, _holds),
    }
    if any(part is None for part in parts.values()):
        return None
    return _possible(Conditions(**parts))  # type: ignore[arg-type]


def either(choices: Iterable[Conditions]) -> tuple[Conditions, ...]:
    """The same alternatives in fewer: neighbours that differ in one field only are joined."""
    joined: list[Conditions] = []
    for choice in choices:
        one = _joined(joined[-1], choice) if joined else None
        if one is None:
            joined.append(choice)
        else:
            joined[-1] = one
    return tuple(joined)


def _apart(one: Conditions, two: Conditions) -> tuple[Conditions, Conditions]:
    """The second one's patterns of the path as regular expressions, where only so both can be said at once."""
    overlap = any(_may_overlap(a, b) for a in one.path for b in two.path)
    if not overlap or one.path_regex or two.path_regex:
        return one, two
    return one, replace(two, path=(), path_regex=tuple(f"^{_regex(pattern)}$" for pattern in two.path))


def _regex(pattern: str) -> str:
    return "".join({"*": ".*", "?": "."}.get(letter) or re.escape(letter) for letter in pattern)


def _possible(conditions: Conditions) -> Conditions | None:
    """With paths named exactly, the other kinds of path conditions only choose among them."""
    if not conditions.path_exact:
        return conditions
    rest = replace(conditions, path_exact=())
    left = tuple(path for path in conditions.path_exact if _path_meets(rest, path))
    bare = replace(conditions, path=(), path_prefix=(), path_regex=(), path_exact=left)
    return bare if left else None


def _path_meets(conditions: Conditions, path: str) -> bool:
    return (
        (not conditions.path or any(matches_glob(pattern, path) for pattern in conditions.path))
        and (not conditions.path_prefix or any(has_prefix(path, prefix) for prefix in conditions.path_prefix))
        and (not conditions.path_regex or any(compiled(regex).search(path) for regex in conditions.path_regex))
    )


def _meet(one: tuple[str, ...], two: tuple[str, ...], includes: Callable[[str, str], bool]) -> tuple[str, ...] | None:
    """Values of which any one will do, on both sides; two values are nested or have nothing in common."""
    if not one or not two:
        return one or two
    kept = [value for value in one if any(includes(other, value) for other in two)]
    kept += [value for value in two if any(includes(other, value) for other in one)]
    return tuple(dict.fromkeys(kept)) or None


def _globs(one: tuple[str, ...], two: tuple[str, ...]) -> tuple[str, ...] | None:
    found = _meet(one, two, glob_includes)
    if one and two and any(_may_overlap(a, b) for a in one for b in two):
        raise Unreadable(f"{'|'.join(one)} and {'|'.join(two)} at once cannot be said as one pattern")
    return found


def _may_overlap(one: str, two: str) -> bool:
    """Two patterns that are neither nested nor plainly apart, by what they begin and end with."""
    if glob_includes(one, two) or glob_includes(two, one):
        return False
    wild = re.compile(r"[*?]")
    if not wild.search(one) or not wild.search(two):
        return False
    heads = [wild.split(pattern)[0] for pattern in (one, two)]
    tails = [wild.split(pattern)[-1] for pattern in (one, two)]
    apart = not (heads[0].startswith(heads[1]) or heads[1].startswith(heads[0]))
    return not apart and (tails[0].endswith(tails[1]) or tails[1].endswith(tails[0]))


def _regexes(one: tuple[str, ...], two: tuple[str, ...]) -> tuple[str, ...]:
    if one and two and set(one) != set(two):
        raise Unreadable("two regular expressions on the path at once cannot be said as one")
    return one or two


def _named(one: Pairs, two: Pairs, *, fold: bool) -> Pairs | None:
    merged = {(name.lower() if fold else name): (name, patterns) for name, patterns in one}
    for name, patterns in two:
        key = name.lower() if fold else name
        found = _globs(merged[key][1], patterns) if key in merged else patterns
        if found is None:
            return None
        merged[key] = (merged[key][0] if key in merged else name, found)
    return tuple(merged.values())


def _holds(wide: str, narrow: str) -> bool:
    outer, inner = ipaddress.ip_network(wide), ipaddress.ip_network(narrow)
    return outer.version == inner.version and outer.supernet_of(inner)  # type: ignore[arg-type]


def _joined(one: Conditions, two: Conditions) -> Conditions | None:
    """One set of conditions for either of two, where they differ in one field that lists values."""
    differing = [f.name for f in fields(Conditions) if getattr(one, f.name) != getattr(two, f.name)]
    if not differing:
        return one
    if len(differing) == 1:
        name = differing[0]
        first, second = getattr(one, name), getattr(two, name)
        if name in ("header", "query", "cookie"):
            pairs = _either_named(first, second)
            return replace(one, **{name: pairs}) if pairs else None  # type: ignore[arg-type]
        return replace(one, **{name: tuple(dict.fromkeys((*first, *second)))}) if first and second else None
    return _prefixes(one, two) if set(differing) == {"path", "path_exact"} else None


def _either_named(one: Pairs, two: Pairs) -> Pairs:
    """Where the same names are asked for, and all but one for the same."""
    differing = [at for at, (first, second) in enumerate(zip(one, two, strict=False)) if first != second]
    if len(one) != len(two) or len(differing) != 1 or one[differing[0]][0] != two[differing[0]][0]:
        return ()
    (at,) = differing
    merged = (one[at][0], tuple(dict.fromkeys((*one[at][1], *two[at][1]))))
    return (*one[:at], merged, *one[at + 1 :])


def _prefixes(one: Conditions, two: Conditions) -> Conditions | None:
    """`/v1/*` or exactly `/v1`: that is the prefix /v1, by elements."""
    below, exact = (one, two) if one.path else (two, one)
    stems = [pattern.removesuffix("/*") for pattern in below.path]
    plain = not any(set(stem) & set("*?") or stem == "" for stem in stems)
    fits = plain and not below.path_exact and not exact.path and set(exact.path_exact) == set(stems)
    return replace(below, path=(), path_prefix=tuple(stems)) if fits and not below.path_prefix else None
