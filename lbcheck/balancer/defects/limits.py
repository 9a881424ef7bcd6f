"""ALG: what is full, and who waits."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from lbcheck.balancer import health
from lbcheck.balancer.decisions import Decisions
from lbcheck.balancer.defects.catalogue import Misconfigured, defect
from lbcheck.balancer.state import BackendState, PoolState
from lbcheck.spec.model import Pool


@defect(
    "limit-ignored",
    "ALG",
    "max_connections is read and never looked at.",
    "HAProxy: https://github.com/haproxy/haproxy/issues/2078 (maxconn against counts that were wrong)",
)
class LimitIgnored(Misconfigured):
    def misread(self, pool: Pool) -> Pool:
        return replace(pool, max_connections=0)


@defect(
    "limit-off-by-one",
    "ALG",
    "A backend takes one request more than max_connections.",
    "`<=` where `<` is meant",
)
class LimitOffByOne(Misconfigured):
    def misread(self, pool: Pool) -> Pool:
        return replace(pool, max_connections=pool.max_connections and pool.max_connections + 1)


@defect(
    "bound-over-the-limit",
    "STK",
    "A bound client goes to its backend even when that is full.",
    "affinity that is asked before the limit; HAProxy lets such a request wait for its server instead",
)
class BoundOverTheLimit(Decisions):
    def keeps(self, pool: PoolState, backend: BackendState) -> bool:
        draining = backend.draining and self.spec.claims.sticky_while_draining is True
        return backend in pool.usable or (draining and health.sound(backend))


@defect(
    "abort-frees-nobody",
    "ALG",
    "When a client gives up, its place is not given to who waits: that one waits on, though a backend is free.",
    "a queue that is moved where tries end, well or badly; that a client ends one is the third way",
)
class AbortFreesNobody(Decisions):
    def frees(self, what: str) -> bool:
        return what != "aborted"


@defect(
    "late-stays-in-the-queue",
    "ALG",
    "Who was told 503 after `timeouts.queue` keeps its place in the line, and a backend serves it for nobody.",
    "a timer that answers, and a queue that holds the request still: HAProxy's `pendconn_free` has to come first",
)
class LateStaysInTheQueue(Decisions):
    forgets_the_late: ClassVar[bool] = False


@defect(
    "last-in-first-out",
    "ALG",
    "Of those who wait the last to come goes first.",
    "a stack for a queue: sound against overload where it is chosen, and here first in, first out is declared",
)
class LastInFirstOut(Decisions):
    def next_waiting(self, length: int) -> int:
        return length - 1


@defect(
    "queue-in-pairs",
    "ALG",
    "Of more than two who wait the second goes first.",
    "a priority queue whose keys are equal, and a heap keeps no order among equals",
)
class QueueInPairs(Decisions):
    def next_waiting(self, length: int) -> int:
        return int(length > 2)


@defect(
    "returned-leaves-the-queue",
    "FLO",
    "Who waits for a free backend does not learn of one that is well again meanwhile.",
    "a queue that is moved where requests end, and nowhere else",
)
class ReturnedLeavesTheQueue(Decisions):
    def frees(self, what: str) -> bool:
        return what != "probed"


@defect(
    "joined-leaves-the-queue",
    "FLO",
    "Who waits for a free backend does not learn of one that joins the pool meanwhile.",
    "a queue that is moved where requests end, and nowhere else",
)
class JoinedLeavesTheQueue(Decisions):
    def frees(self, what: str) -> bool:
        return what != "members"


@defect(
    "one-place-for-who-waits",
    "FLO",
    "Of those who wait one is told of a backend that is new, however many it has room for.",
    "a condition variable that is notified once where many may go on: `notify` for `notify_all`",
)
class OnePlaceForWhoWaits(Decisions):
    moves_everybody: ClassVar[bool] = False


@defect(
    "reload-keeps-old-limit",
    "FLO",
    "A reload leaves max_connections as it was.",
    "a semaphore that is made once, with the first configuration's size",
)
class ReloadKeepsOldLimit(Decisions):
    def _taken_over(self, pool: PoolState | None, spec: Pool, now: float) -> PoolState:
        limit = spec.max_connections or None if pool is None else pool.limit
        taken = super()._taken_over(pool, spec, now)
        taken.limit = limit
        return taken


@defect(
    "ejection-ends-unnoticed",
    "ALG",
    "Who waits for a full pool is not looked after when an ejection ends: only a request that ends moves the queue.",
    "time alone moves nothing where only events are looked at; this reference had it until a reader found it",
)
class EjectionEndsUnnoticed(Decisions):
    def frees(self, what: str) -> bool:
        return what != "ejection"


@defect(
    "empty-queue-is-waited-in",
    "ALG",
    "Once somebody has waited for a full pool, whoever comes later waits too, behind nobody.",
    "a line that is looked for by its name and not by who stands in it",
)
class EmptyQueueIsWaitedIn(Decisions):
    forgets_empty_lines: ClassVar[bool] = False
