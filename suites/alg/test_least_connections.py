"""ALG: policies that count what is in flight. Requests are held inside the backends, so that the counts are known."""

from __future__ import annotations

from functools import partial

from lbcheck.backends.script import Answer
from lbcheck.checks import check, pools
from lbcheck.client.outgoing import Pace
from lbcheck.features import Level
from lbcheck.history import History
from lbcheck.judges.counting import Pick, avoids_the_busiest, picks_a_minimum, picks_a_weighted_minimum
from lbcheck.judges.figures import of_repetition
from lbcheck.judges.statistics import silence_for
from lbcheck.lab.heads import request_head
from lbcheck.lab.stage import Pending, Stage, StagedBackend, StagedPool
from lbcheck.spec.model import Algorithm, Pool
from lbcheck.verdict import expect

STEPS = 24
DEPTH = 3
SENT_AGAIN_S = 2.0  # a SYN that met a full queue comes again after a second: who does not hear its client leave goes on
SETTLING_S = 0.02  # what a balancer may take to notice that an answer is over


def plain(pool: Pool) -> bool:
    usable = all(b.state == "active" and not b.backup and b.weight > 0 for b in pool.backends)
    return len(pool.backends) > 1 and usable and pool.stickiness is None and pool.max_connections == 0


def has_arrived(identity: str, history: History) -> bool:
    return bool(history.arrivals_of(identity))


class Held:
    """Requests held in backends, with the count at each; `add` makes one decision and `finish` ends a request."""

    def __init__(self, stage: Stage, pool: StagedPool) -> None:
        self.stage, self.pool = stage, pool
        self.by_backend: dict[str, list[Pending]] = {b.name: [] for b in pool.backends}
        for backend in pool.backends:
            backend.hold()

    def add(self) -> Pick:
        counts = {name: len(held) for name, held in self.by_backend.items()}
        pending = self.stage.start(self.pool, within=60.0)
        self.stage.wait_for(partial(has_arrived, pending.id), within=2.0)
        arrivals = self.stage.sync().arrivals_of(pending.id)
        where = arrivals[0].backend if arrivals else None
        if where in self.by_backend:
            self.by_backend[where].append(pending)
        return Pick(pending.id, counts, where)

    def finish(self, name: str) -> None:
        pending = self.by_backend[name].pop(self.stage.rng.randrange(len(self.by_backend[name])))
        self.pool[name].release([pending.id])
        pending.wait(within=5.0)
        self.stage.wait(SETTLING_S + self.stage.slack)

    def finish_some(self) -> None:
        """Ends a request at a backend drawn among those that hold one."""
        busy = [name for name, held in self.by_backend.items() if held]
        self.finish(self.stage.rng.choice(busy))

    def finish_all(self) -> None:
        for name, held in self.by_backend.items():
            while held:
                self.finish(name)


def decisions(stage: Stage, pool: StagedPool, steps: int = STEPS) -> list[Pick]:
    """Decisions on growing and shrinking counts."""
    held = Held(stage, pool)
    picks = []
    for step in range(steps):
        picks.append(held.add())
        if step % 3 == 2:
            held.finish_some()
    held.finish_all()
    return picks


@check(
    "ALG-06",
    "Least connections sends each request to a backend with the fewest in flight.",
    subject=pools(plain, algorithm=Algorithm.LEAST_CONNECTIONS),
    catches={"first-not-fewest": "picks_a_minimum", "in-flight-ignored": "picks_a_minimum"},
    spec_link="https://docs.haproxy.org/2.6/configuration.html#4.2-balance",
)
def test_least_connections_picks_a_minimum(stage: Stage, pool: StagedPool) -> None:
    expect(picks_a_minimum(decisions(stage, pool)))


@check(
    "ALG-07",
    "Weighted least connections sends each request to a backend with the fewest in flight for its weight.",
    level=Level.EXTENDED,
    subject=pools(plain, algorithm=Algorithm.WEIGHTED_LEAST_CONNECTIONS),
    catches={"least-connections-weights-ignored": "picks_a_weighted_minimum"},
    spec_link="http://kb.linuxvirtualserver.org/wiki/Weighted_Least-Connection_Scheduling",
)
def test_weighted_least_connections_picks_a_minimum(stage: Stage, pool: StagedPool) -> None:
    weights = {b.name: b.weight for b in pool.spec.backends}
    expect(picks_a_weighted_minimum(decisions(stage, pool), weights))


@check(
    "ALG-08",
    "Requests that end badly are no longer counted as in flight.",
    subject=pools(plain, reads=lambda p: p.retries.attempts > 0, algorithm=Algorithm.LEAST_CONNECTIONS),
    catches={
        "abort-leaks-count": "picks_a_minimum",
        "reset-leaks-count": "picks_a_minimum",
        "refusal-leaks-count": "picks_a_minimum",
        "retried-status-leaks-count": "picks_a_minimum",
    },
    spec_link="https://github.com/haproxy/haproxy/issues/1133",
    cost_s=1.5,
)
def test_counts_do_not_leak(stage: Stage, pool: StagedPool) -> None:
    victim, *_ = pool.backends
    for _ in range(3):
        _abort_while_held(stage, pool, victim.name)
        _abort_in_body(stage, pool, victim)
        _reset_in_body(stage, pool, victim)
        _refuse(stage, pool, victim)
        _turn_away(stage, pool, victim)
    stage.wait(SETTLING_S + stage.slack)

    picks = decisions(stage, pool, steps=4 * len(pool.backends))

    expect(picks_a_minimum(picks))


def _abort_while_held(stage: Stage, pool: StagedPool, victim: str) -> None:
    """The client goes away while its request is held at the victim; the others are finished."""
    held = Held(stage, pool)
    while not held.by_backend[victim]:
        if held.add().backend is None:
            return
    held.by_backend[victim].pop().abort()
    stage.wait(SETTLING_S + stage.slack)
    held.pool[victim].release()
    held.finish_all()
    for backend in pool.backends:
        backend.answer(Answer())


def _abort_in_body(stage: Stage, pool: StagedPool, victim: StagedBackend) -> None:
    """The client goes away while the victim's answer comes in, too large for any buffer between the two."""
    victim.answer(Answer(body_size=8_000_000, rate=4_000_000.0))
    for _ in range(2 * len(pool.backends)):
        pending = stage.start(pool, within=60.0)
        stage.wait_for(partial(has_arrived, pending.id), within=2.0)
        arrivals = stage.sync().arrivals_of(pending.id)
        stage.wait(SETTLING_S)
        if arrivals and arrivals[0].backend == victim.name:
            pending.abort()
        else:
            pending.wait(within=5.0)
    victim.answer(Answer())


def _reset_in_body(stage: Stage, pool: StagedPool, victim: StagedBackend) -> None:
    """The victim resets the connection in mid-answer; the request is a POST, so that nobody tries again."""
    victim.answer(Answer(fault="reset", moment="within_body", body_size=100_000))
    stage.send(pool, n=2 * len(pool.backends), method="POST", body=b"x")
    victim.answer(Answer())


def _refuse(stage: Stage, pool: StagedPool, victim: StagedBackend) -> None:
    victim.refuse()
    stage.send(pool, n=2 * len(pool.backends))
    victim.accept()


def _turn_away(stage: Stage, pool: StagedPool, victim: StagedBackend) -> None:
    """The victim answers 503, which is passed on or tried elsewhere."""
    victim.answer(Answer(status=503))
    stage.send(pool, n=2 * len(pool.backends))
    victim.answer(Answer())


@check(
    "ALG-42",
    "Requests that are given up before a backend has all of them are no longer counted as in flight.",
    subject=pools(plain, reads=lambda p: p.retries.attempts > 0, algorithm=Algorithm.LEAST_CONNECTIONS),
    catches={
        "broken-upload-leaks-count": "picks_a_minimum",
        "abort-in-upload-leaks-count": "picks_a_minimum",
        "unsent-leaks-count": "picks_a_minimum",
    },
    spec_link="https://github.com/haproxy/haproxy/issues/1133",
    cost_s=4,
)
def test_counts_do_not_leak_of_what_was_never_whole(stage: Stage, pool: StagedPool) -> None:
    """At one backend bodies break, and clients leave that wait for its connection."""
    victim, *_ = pool.backends
    # Who vanishes ends what it is at, and with it what would be counted for ever: that comes first.
    for give_up in (_leave_unconnected, _leave_unconnected, _break_off, _break_off, _leave_in_upload, _leave_in_upload):
        others = _only_free(stage, pool, victim)
        give_up(stage, pool, victim)
        others.finish_all()
        for backend in pool.backends:
            backend.answer(Answer())
    tries = 1 + pool.spec.retries.attempts
    stage.wait(max(tries * pool.spec.timeouts.connect, SENT_AGAIN_S) + SETTLING_S + stage.slack)

    expect(picks_a_minimum(decisions(stage, pool, steps=4 * len(pool.backends))))


def _only_free(stage: Stage, pool: StagedPool, victim: StagedBackend) -> Held:
    """Everybody but the victim holds some requests, so that the next one is the victim's, had it leaked before."""
    held = Held(stage, pool)
    for _ in range(2 * DEPTH * len(pool.backends)):
        if all(len(pending) >= DEPTH for pending in held.by_backend.values()):
            break
        held.add()
    while held.by_backend[victim.name]:
        held.finish(victim.name)
    victim.release()
    return held


def _break_off(stage: Stage, pool: StagedPool, victim: StagedBackend) -> None:
    """A body in chunks of which the second is none."""
    del victim
    _, request = stage.to(pool)
    begun = request_head(request, "broken", ("Transfer-Encoding", "chunked"), method="POST") + b"a\r\n0123456789\r\n"
    stage.raw(pool, begun + b"zz\r\n", pace=Pace(len(begun), SETTLING_S), within=1.0)


def _leave_in_upload(stage: Stage, pool: StagedPool, victim: StagedBackend) -> None:
    """Its client resets the connection in mid-body."""
    del victim
    pending = stage.start(pool, method="POST", body=b"0123456789" * 100, pace=Pace(500, 10.0), within=60.0)
    stage.wait_for(partial(has_arrived, pending.id), within=2.0)
    pending.abort(reset=True)
    stage.wait(SETTLING_S + stage.slack)


def _leave_unconnected(stage: Stage, pool: StagedPool, victim: StagedBackend) -> None:
    """Its client goes while the victim, to which it would go, takes no connection."""
    victim.vanish()
    pending = stage.start(pool, within=60.0)
    stage.wait(SETTLING_S + stage.slack)
    pending.abort(reset=True)
    stage.wait(SETTLING_S + stage.slack)
    victim.appear()


def same_twice(pool: Pool) -> float:
    """How probable it is that two picks with replacement are both the busiest."""
    return 1 / len(pool.backends) ** 2


@check(
    "ALG-14",
    "Power of two never sends a request to the single busiest backend.",
    level=Level.EXTENDED,
    subject=pools(lambda p: plain(p) and len(p.backends) > 2, algorithm=Algorithm.POWER_OF_TWO),
    catches={"power-of-two-one-pick": "avoids_the_busiest"},
    spec_link="https://www.eecs.harvard.edu/~michaelm/postscripts/mythesis.pdf",
    figures=lambda p: (of_repetition("avoids_the_busiest", same_twice(p), "draws with replacement"),),
    cost_s=6,
)
def test_power_of_two_avoids_the_busiest(stage: Stage, pool: StagedPool) -> None:
    held = Held(stage, pool)
    busiest = held.add().backend  # it holds one, and nobody else does
    picks: list[Pick] = []
    # A balancer that draws with replacement sends there when both draws fall on it: enough for that to be seen.
    for _ in range(silence_for(same_twice(pool.spec))):
        picks.append(held.add())
        where = picks[-1].backend
        if where is None or busiest is None or where == busiest:
            break
        held.finish(busiest)  # whoever got this one is the busiest next: some products spare certain places of the list
        busiest = where
    held.finish_all()

    expect(avoids_the_busiest(picks))
