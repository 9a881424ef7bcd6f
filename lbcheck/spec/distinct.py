"""Backends of several pools told apart by their names alone, as histories and judges know them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from lbcheck.spec.change import Change, Deregister, Drain, Register, Reload, Reweigh
from lbcheck.spec.model import Pool, Spec


class Names:
    """Two names for each backend: its own, by which the target knows it, and one that no other of the spec has.

    An arrival says which backend it reached by name. Were two of one name, a request that went to the wrong pool would
    pass for one that went to the right one. And were the target told other names than it has, two pools whose backends
    share names would never be tried. `distinct` is the spec with every backend whose name stands in several pools
    called `pool-name`.
    """

    def __init__(self, spec: Spec) -> None:
        taken = Counter(backend.name for pool in spec.pools for backend in pool.backends)
        self._own: dict[tuple[str, str], str] = {}
        self.distinct = spec if max(taken.values(), default=0) < 2 else self._told_apart(spec, taken)

    def _told_apart(self, spec: Spec, taken: Counter[str]) -> Spec:
        shared = {name for name, count in taken.items() if count > 1}

        def renamed(pool: Pool, name: str) -> str:
            if name not in shared:
                return name
            other = _free(f"{pool.name}-{name}", taken)
            self._own[pool.name, other] = name
            return other

        return _named(spec, renamed)

    def own(self, spec: Spec) -> Spec:
        """The spec, whatever became of it in the run, with the backends' own names."""
        return _named(spec, lambda pool, name: self._of(pool.name, name)) if self._own else spec

    def own_change(self, change: Change) -> Change:
        match change:
            case Reload(spec):
                return replace(change, spec=self.own(spec))
            case Register(pool, backend):
                return Register(pool, replace(backend, name=self._of(pool, backend.name)))
            case Drain(pool, name) | Deregister(pool, name) | Reweigh(pool, name):
                return replace(change, backend=self._of(pool, name))

    def _of(self, pool: str, name: str) -> str:
        return self._own.get((pool, name), name)


def _named(spec: Spec, name: Callable[[Pool, str], str]) -> Spec:
    def renamed(pool: Pool) -> Pool:
        return replace(pool, backends=tuple(replace(b, name=name(pool, b.name)) for b in pool.backends))

    return replace(spec, pools=tuple(map(renamed, spec.pools)))


def _free(name: str, taken: Counter[str]) -> str:
    while taken[name]:
        name += "-"
    taken[name] += 1
    return name
