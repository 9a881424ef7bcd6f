"""Backends of several pools told apart by their names alone, as histories and judges know them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from lbcheck.spec.model import Pool, Spec


def distinct(spec: Spec) -> Spec:
    """The spec with every backend whose name stands in several pools called `pool-name`, and all others as they were.

    An arrival says which backend it reached by name. Were two of one name, a request that went to the wrong pool would
    pass for one that went to the right one.
    """
    taken = Counter(backend.name for pool in spec.pools for backend in pool.backends)
    if max(taken.values(), default=0) < 2:
        return spec
    return replace(spec, pools=tuple(_renamed(pool, taken) for pool in spec.pools))


def _renamed(pool: Pool, taken: Counter[str]) -> Pool:
    backends = tuple(
        replace(backend, name=_free(f"{pool.name}-{backend.name}", taken)) if taken[backend.name] > 1 else backend
        for backend in pool.backends
    )
    return replace(pool, backends=backends)


def _free(name: str, taken: Counter[str]) -> str:
    while taken[name]:
        name += "-"
    taken[name] += 1
    return name
