"""HTT, FLO: who waits for whom, and what is passed on when."""

from __future__ import annotations

from collections.abc import Collection

from lbcheck.balancer.decisions import Decisions, Nobody
from lbcheck.balancer.defects.catalogue import defect
from lbcheck.balancer.request import Request
from lbcheck.balancer.state import BackendState, PoolState


@defect(
    "early-answer-connection-kept",
    "HTT",
    "A backend's connection is used again although its answer came before all of the request's body had been sent.",
    "Membrane: https://github.com/membrane/api-gateway/issues/3187 (pooled with a rest of the body still to come)",
)
class EarlyAnswerConnectionKept(Decisions):
    keeps_early = True


@defect(
    "pipelined-request-dropped",
    "HTT",
    "A request that comes before the answer to the one ahead of it is thrown away.",
    "Aether: https://github.com/aether-lang-dev/aether/issues/1834 (the rest of the buffer is discarded)",
)
class PipelinedRequestDropped(Decisions):
    pipelines = False


@defect(
    "behind-a-body-dropped",
    "HTT",
    "Of the bytes in which a body ends, those behind it are thrown away: the next request, or its beginning.",
    "Aether: https://github.com/aether-lang-dev/aether/issues/1834 (the rest of the buffer is discarded)",
)
class BehindABodyDropped(Decisions):
    reads_behind_bodies = False


@defect(
    "client-ahead-never-read-on",
    "HTT",
    "A client that sends more requests ahead than are kept is read no more, also when its answers have gone.",
    "a reader that is paused when its buffer is full, and resumed by an event that a full buffer never has",
)
class ClientAheadNeverReadOn(Decisions):
    reads_on = False


@defect(
    "half-a-head-kept",
    "HTT",
    "The beginning of an answer's head that came in two pieces is kept, and put before the next answer's.",
    "a buffer that is emptied where a message came at once, and not where it came in pieces",
)
class HalfAHeadKept(Decisions):
    forgets_halves = False


@defect(
    "answers-held-until-whole",
    "HTT",
    "An answer's body is passed on when all of it is there: events reach nobody while they happen.",
    "Caddy: https://github.com/caddyserver/caddy/issues/4247 (event streams not flushed)",
)
class AnswersHeldUntilWhole(Decisions):
    streams = False


@defect(
    "one-request-at-a-time",
    "HTT",
    "A pool serves one request at a time, so that one slow client holds up all others.",
    "proxies with a worker a request and one worker: https://github.com/shekyan/slowhttptest looks for them",
)
class OneRequestAtATime(Decisions):
    def choose(
        self, pool: PoolState, request: Request, now: float, tried: Collection[str] = ()
    ) -> BackendState | Nobody:
        busy = any(b.in_flight for b in pool.backends)
        return Nobody.FULL if busy else super().choose(pool, request, now, tried)


@defect(
    "idling-goes-on-into-a-body",
    "FLO",
    "The idle time that began with the last answer ends the next request in the middle of its body.",
    "Node 8.0: https://github.com/nodejs/node/issues/13391 (keepAliveTimeout, begun after one request, ends the next)",
)
class IdlingGoesOnIntoABody(Decisions):
    bodies_end_idling = False
