"""Does one set of conditions take all that another does? Sound, not complete: True is a proof, False is silence."""

from __future__ import annotations

import ipaddress
from functools import cache

from lbcheck.spec.model import Conditions
from lbcheck.spec.patterns import glob_includes, has_prefix, matches_glob
from lbcheck.spec.regex import compiled


def includes(wide: Conditions, narrow: Conditions) -> bool:
    """Every request that meets `narrow` meets `wide`."""
    return (
        _paths(wide, narrow)
        and _each(wide.host, narrow.host, fold=True)
        and (not wide.method or (bool(narrow.method) and set(narrow.method) <= set(wide.method)))
        and _named(wide.header, narrow.header, fold_names=True, fold=True)
        and _named(wide.query, narrow.query, fold_names=False, fold=False)
        and _named(wide.cookie, narrow.cookie, fold_names=False, fold=False)
        and _sources(wide.source, narrow.source)
    )


def _paths(wide: Conditions, narrow: Conditions) -> bool:
    """The kinds of `narrow` are joined by AND, so it is enough where one of them lies within each kind of `wide`."""
    exact = _exact(narrow)
    return (
        (not wide.path or _in_patterns(wide.path, narrow, exact))
        and (not wide.path_prefix or _in_prefixes(wide.path_prefix, narrow, exact))
        and (not wide.path_exact or (bool(exact) and set(exact) <= set(wide.path_exact)))
        and (not wide.path_regex or _in_regexes(wide.path_regex, narrow, exact))
    )


def _exact(conditions: Conditions) -> tuple[str, ...]:
    """The only paths that can meet the conditions, where they are few and named; () is no knowledge."""
    literal = all(_head(pattern) == pattern for pattern in conditions.path)
    return conditions.path_exact or (conditions.path if literal else ())


def _head(pattern: str) -> str:
    """A pattern up to its first wildcard."""
    return pattern.partition("*")[0].partition("?")[0]


def _in_patterns(wide: tuple[str, ...], narrow: Conditions, exact: tuple[str, ...]) -> bool:
    return (
        "*" in wide
        or "/*" in wide
        or (bool(narrow.path) and _each(wide, narrow.path, fold=False))
        or (bool(exact) and all(any(matches_glob(pattern, path) for pattern in wide) for path in exact))
        or (bool(narrow.path_prefix) and all(_prefix_in_patterns(wide, prefix) for prefix in narrow.path_prefix))
    )


def _prefix_in_patterns(wide: tuple[str, ...], prefix: str) -> bool:
    """The prefix itself and all below it. Its own * and ? are no wildcards, so they count as unlike anything."""
    stem = prefix.rstrip("/").replace("*", "\0").replace("?", "\0")
    return any(glob_includes(w, stem) for w in wide) and any(glob_includes(w, f"{stem}/*") for w in wide)


def _in_prefixes(wide: tuple[str, ...], narrow: Conditions, exact: tuple[str, ...]) -> bool:
    return (
        "/" in wide
        or (bool(exact) and all(any(has_prefix(path, w) for w in wide) for path in exact))
        or _all_below(wide, [prefix.rstrip("/") for prefix in narrow.path_prefix])
        or _all_below(wide, [_head(pattern).rpartition("/")[0] for pattern in narrow.path])
    )


def _all_below(wide: tuple[str, ...], stems: list[str]) -> bool:
    """Whatever starts with the elements of one of the stems has one of the prefixes."""
    return bool(stems) and all(any(has_prefix(stem, prefix) for prefix in wide) for stem in stems)


def _in_regexes(wide: tuple[str, ...], narrow: Conditions, exact: tuple[str, ...]) -> bool:
    if narrow.path_regex and set(narrow.path_regex) <= set(wide):
        return True
    if exact:
        return all(any(compiled(regex).search(path) for regex in wide) for path in exact)
    return bool(narrow.path_regex) and set(narrow.path_regex) <= set(wide)


def _each(wide: tuple[str, ...], narrow: tuple[str, ...], *, fold: bool) -> bool:
    """Every narrow pattern lies in some wide one; no wide one: everything is taken."""
    if not wide:
        return True
    if not narrow:
        return any(set(pattern) == {"*"} for pattern in wide)
    wide, narrow = (tuple(p.lower() for p in ps) for ps in (wide, narrow)) if fold else (wide, narrow)
    return all(any(glob_includes(w, n) for w in wide) for n in narrow)


Pairs = tuple[tuple[str, tuple[str, ...]], ...]


def _named(wide: Pairs, narrow: Pairs, *, fold_names: bool, fold: bool) -> bool:
    """A header that must be present is never implied by silence, so each wide name must be among the narrow ones."""

    def same(one: str, two: str) -> bool:
        return one.lower() == two.lower() if fold_names else one == two

    return all(
        any(same(name, other) and _each(patterns, others, fold=fold) for other, others in narrow)
        for name, patterns in wide
    )


def _sources(wide: tuple[str, ...], narrow: tuple[str, ...]) -> bool:
    if not wide:
        return True
    return bool(narrow) and all(any(_within(n, w) for w in wide) for n in narrow)


@cache
def _within(narrow: str, wide: str) -> bool:
    one, two = ipaddress.ip_network(narrow), ipaddress.ip_network(wide)
    if isinstance(one, ipaddress.IPv4Network) and isinstance(two, ipaddress.IPv4Network):
        return one.subnet_of(two)
    if isinstance(one, ipaddress.IPv6Network) and isinstance(two, ipaddress.IPv6Network):
        return one.subnet_of(two)
    return False
