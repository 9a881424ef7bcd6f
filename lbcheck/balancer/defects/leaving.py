"""FLO: what is left of who has gone: a backend, its namesake, a pool, a listener's old fields and times."""

from __future__ import annotations

from collections.abc import Sequence

from lbcheck.balancer.decisions import Decisions
from lbcheck.balancer.defects.catalogue import defect
from lbcheck.balancer.state import BackendState, PoolState
from lbcheck.spec.model import Listener, Spec


@defect(
    "deregistered-never-ended",
    "FLO",
    "What a deregistered backend is still at goes on for ever, since nobody knows it by name any more.",
    "who goes is looked up after it has gone",
)
class DeregisteredNeverEnded(Decisions):
    def cuts_off(self, pool: PoolState | None, backend: BackendState) -> bool:
        return super().cuts_off(pool, backend) and pool is not None and backend in pool.backends


@defect(
    "namesake-saves-from-the-cut",
    "FLO",
    "What a dropped backend is still at goes on while a backend of its name is at work in any pool.",
    "sets of names taken over all pools, where names are of one pool",
)
class NamesakeSavesFromTheCut(Decisions):
    def cuts_off(self, pool: PoolState | None, backend: BackendState) -> bool:
        working = {b.name for each in self.pools.values() for b in each.backends if not b.draining}
        return super().cuts_off(pool, backend) and backend.name not in working


@defect(
    "dropped-pool-cut-at-once",
    "FLO",
    "A reload that drops a whole pool ends its requests at once, since there is nobody to ask for the delay.",
    "settings looked up in the new configuration for what only the old one has; this reference had it",
)
class DroppedPoolCutAtOnce(Decisions):
    def time_to_finish(self, pool: PoolState, backend: BackendState) -> float:
        return super().time_to_finish(pool, backend) if pool.name in self.pools else 0.0


@defect(
    "drains-by-name",
    "FLO",
    "A backend that is told to drain takes its namesakes in other pools along.",
    "HAProxy's `set server` names backend and server for this reason; a table of servers by name alone",
)
class DrainsByName(Decisions):
    def drain(self, pool: str, backend: str, now: float) -> None:
        super().drain(pool, backend, now)
        for state in self.pools.values():
            for other in state.backends:
                other.draining = other.draining or other.name == backend
            state.stale()


@defect(
    "reload-keeps-told-fields",
    "FLO",
    "After a reload backends are told the fields that the old configuration had them told.",
    "what is made of a configuration once, when a listener opens, and is not made anew",
)
class ReloadKeepsToldFields(Decisions):
    def reload(self, spec: Spec, now: float) -> None:
        before = self._upstream
        super().reload(spec, now)
        self._upstream |= before


@defect(
    "stop-looks-at-one-listener",
    "FLO",
    "A balancer that is told to stop goes when its first listener has nothing left, whatever others are at.",
    "a loop over listeners that returns what the first has to say",
)
class StopLooksAtOneListener(Decisions):
    def stopped(self, left: Sequence[int]) -> bool:
        return super().stopped(left[:1])


@defect(
    "reload-keeps-old-idle-times",
    "FLO",
    "A reload leaves the idle times of listeners as they were.",
    "what is made of a configuration once, when a listener opens, and is not made anew",
)
class ReloadKeepsOldIdleTimes(Decisions):
    def idle_s(self, listener: Listener) -> float:
        first: dict[str, float] = self.__dict__.setdefault("_idle", {})
        return first.setdefault(listener.name, listener.idle_timeout)

    def reload(self, spec: Spec, now: float) -> None:
        for listener in self.spec.listeners:
            self.idle_s(listener)
        super().reload(spec, now)
