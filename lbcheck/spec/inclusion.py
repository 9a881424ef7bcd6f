"""Does one set of conditions take all that another does? Sound, not complete: True is a proof, False is silence."""

from __future__ import annotations

import ipaddress
from functools import cache

from lbcheck.spec.model import Conditions
from lbcheck.spec.patterns import glob_includes, has_prefix, matches_glob


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
    return (
        (not wide.path or _path_patterns(wide.path, narrow))
        and (not wide.path_prefix or _path_prefixes(wide.path_prefix, narrow))
        and (not wide.path_exact or (bool(narrow.path_exact) and set(narrow.path_exact) <= set(wide.path_exact)))
        and (not wide.path_regex or (bool(narrow.path_regex) and set(narrow.path_regex) <= set(wide.path_regex)))
    )


def _path_patterns(wide: tuple[str, ...], narrow: Conditions) -> bool:
    if any(set(pattern) == {"*"} for pattern in wide):
        return True
    by_pattern = _each(wide, narrow.path, fold=False) and bool(narrow.path)
    exact = bool(narrow.path_exact) and all(any(matches_glob(w, path) for w in wide) for path in narrow.path_exact)
    below = bool(narrow.path_prefix) and all(
        any(glob_includes(w, prefix) and glob_includes(w, prefix.rstrip("/") + "/*") for w in wide)
        for prefix in map(_literal, narrow.path_prefix)
    )
    return by_pattern or exact or below


def _literal(text: str) -> str:
    """A prefix is no pattern: its own * and ? would read as one, and claiming less is safe, so they match nothing."""
    return text.replace("*", "\0").replace("?", "\0")


def _path_prefixes(wide: tuple[str, ...], narrow: Conditions) -> bool:
    if "/" in wide:
        return True
    candidates = (narrow.path_prefix, narrow.path_exact)
    return any(
        bool(paths) and all(any(has_prefix(path.rstrip("/") or "/", w) for w in wide) for path in paths)
        for paths in candidates
    )


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
