"""ALG: connection limits."""

from __future__ import annotations

from functools import partial

from lbcheck.backends.script import Answer
from lbcheck.checks import check, pools
from lbcheck.client.outgoing import Pace
from lbcheck.features import Level
from lbcheck.history import History
from lbcheck.judges.answers import all_answered, reach_nobody
from lbcheck.judges.counting import keeps_limit, served_in_order
from lbcheck.judges.delivery import honest_error, whole_body
from lbcheck.lab.stage import Stage, StagedPool
from lbcheck.spec.model import Pool
from lbcheck.verdict import expect

WAITING = 4
UPLOAD, PACE = b"0123456789" * 150, Pace(500, 0.02)
SETTLING_S = 0.02  # what a balancer may take to notice that a client is gone


def limited(pool: Pool) -> bool:
    plain = all(b.weight > 0 and not b.backup and b.state == "active" for b in pool.backends)
    return plain and 0 < pool.max_connections <= 16 and pool.stickiness is None


def all_arrived(ids: list[str], history: History) -> bool:
    return all(history.arrivals_of(identity) for identity in ids)


def some_arrived(ids: list[str], count: int, history: History) -> bool:
    return sum(bool(history.arrivals_of(identity)) for identity in ids) >= count


@check(
    "ALG-18",
    "A backend never has more requests than `max_connections`; others wait in a queue, and are refused in time.",
    level=Level.EXTENDED,
    subject=pools(limited),
    catches={
        "limit-ignored": "keeps_limit",
        "limit-off-by-one": "keeps_limit",
        "late-stays-in-the-queue": "reach_nobody",
        "empty-queue-is-waited-in": "all_answered",
    },
    spec_link="https://docs.haproxy.org/2.6/configuration.html#5.2-maxconn",
    timed=lambda p: {"queue timeout": p.timeouts.queue},
    cost_s=3,
)
def test_connection_limit(stage: Stage, pool: StagedPool) -> None:
    room = pool.spec.max_connections * len(pool.backends)
    for backend in pool.backends:
        backend.hold()
    inside = [stage.start(pool, within=60.0) for _ in range(room)]
    stage.wait_for(partial(all_arrived, [p.id for p in inside]), within=5.0)
    waiting = stage.start(pool, within=60.0, method="POST", body=UPLOAD, pace=PACE)
    late = stage.start(pool, within=60.0)
    stage.wait(pool.spec.timeouts.queue / 2)
    later = stage.start(pool, within=60.0)  # who comes later waits longer than who is refused
    held = stage.sync()
    expect(keeps_limit(held, [p.id for p in (*inside, waiting, late)], pool.spec.max_connections))

    arrived = held.arrivals_of(inside[0].id)[0]
    pool[arrived.backend].release([inside[0].id])
    served = inside[0].wait(within=5.0)
    stage.wait_for(partial(all_arrived, [waiting.id]), within=5.0)
    refused = late.wait(within=pool.spec.timeouts.queue + 5.0)
    for backend in pool.backends:
        backend.release()
    rest = [p.wait(within=5.0) for p in (*inside[1:], waiting, later)]
    after = stage.send(pool, n=2 * len(pool.backends))  # nobody waits any more

    expect(all_answered(stage.sync(), [served, *rest, *after]))
    expect(whole_body(stage.history, rest[-2], UPLOAD, "a POST whose body came while it waited"))
    expect(reach_nobody(stage.history, [refused]))
    latest = pool.spec.timeouts.queue + 1.0 + stage.slack
    expect(honest_error(refused, {503}, earliest=pool.spec.timeouts.queue - stage.slack - 0.05, latest=latest))


@check(
    "ALG-29",
    "A place that a client gives up, at a backend or in the queue, goes to the next who waits.",
    level=Level.EXTENDED,
    subject=pools(limited),
    catches={"abort-frees-nobody": "all_answered"},
    spec_link="https://docs.haproxy.org/2.6/configuration.html#5.2-maxconn",
    timed=lambda p: {"queue timeout": p.timeouts.queue},
    cost_s=2,
)
def test_a_place_given_up_goes_to_the_next(stage: Stage, pool: StagedPool) -> None:
    """Who is gone is answered at once by the backends: a balancer may well let them finish what nobody waits for."""
    for backend in pool.backends:
        backend.hold()
    inside = [stage.start(pool, within=60.0) for _ in range(pool.spec.max_connections * len(pool.backends))]
    stage.wait_for(partial(all_arrived, [p.id for p in inside]), within=5.0)
    leaving, *patient = [stage.start(pool, within=60.0) for _ in range(3)]
    stage.wait(pool.spec.timeouts.queue / 4)
    gone = (leaving, inside[0], inside[-1])
    for pending in gone:
        pending.abort(reset=True)
        stage.wait(SETTLING_S + stage.slack)
        for backend in pool.backends:
            backend.answer(Answer(), id=pending.id)
            backend.release([pending.id])
    stage.wait_for(partial(all_arrived, [p.id for p in patient]), within=pool.spec.timeouts.queue + 1.0)
    for backend in pool.backends:
        backend.release()

    expect(all_answered(stage.sync(), [p.wait(within=5.0) for p in (*patient, *inside[1:-1])]))


def limited_and_ejecting(pool: Pool) -> bool:
    """Is one failure that counts enough to be out, for a time that is much shorter than who waits may wait?"""
    health = pool.passive_health
    if not limited(pool) or len(pool.backends) < 2 or health is None or pool.health_check is not None:
        return False
    alone = health.failures == 1 and "5xx" in health.on and pool.retries.attempts == 0
    return alone and 2 * health.ejection < pool.timeouts.queue and health.max_ejected * len(pool.backends) >= 1


@check(
    "ALG-43",
    "Who waits for a full pool goes to a backend whose ejection is over as soon as that is so.",
    level=Level.EXTENDED,
    subject=pools(limited_and_ejecting),
    catches={"ejection-ends-unnoticed": "all_answered"},
    spec_link="https://docs.haproxy.org/2.6/configuration.html#5.2-maxconn",
    timed=lambda p: {"ejection": p.passive_health.ejection, "queue timeout": p.timeouts.queue},
    cost_s=3,
)
def test_an_ejections_end_is_heard_by_who_waits(stage: Stage, pool: StagedPool) -> None:
    """One backend fails, and is out; the others are full; nothing but time makes room."""
    health = pool.spec.passive_health
    assert health is not None
    ejected, *others = pool.backends
    ejected.answer(Answer(status=500))
    stage.send(pool, n=2 * len(pool.backends))
    ejected.answer(Answer())
    for backend in others:
        backend.hold()
    inside = [stage.start(pool, within=60.0) for _ in range(pool.spec.max_connections * len(others))]
    stage.wait_for(partial(all_arrived, [p.id for p in inside]), within=1.0)
    waiting = stage.start(pool, within=60.0)
    stage.wait_for(partial(all_arrived, [waiting.id]), within=pool.spec.timeouts.queue + stage.slack)
    for backend in others:
        backend.release()

    expect(all_answered(stage.sync(), [waiting.wait(within=5.0)], by=[ejected.name]))


@check(
    "ALG-33",
    "Those who wait for a full pool are served in the order of their coming.",
    level=Level.EXTENDED,
    subject=pools(limited),
    catches={"last-in-first-out": "served_in_order", "queue-in-pairs": "served_in_order"},
    spec_link="https://docs.haproxy.org/2.6/configuration.html#5.2-maxconn",
    timed=lambda p: {"queue timeout": p.timeouts.queue},
    cost_s=1,
)
def test_the_queue_keeps_its_order(stage: Stage, pool: StagedPool) -> None:
    """One place after another is given back, each when who came before has been served."""
    for backend in pool.backends:
        backend.hold()
    inside = [stage.start(pool, within=60.0) for _ in range(pool.spec.max_connections * len(pool.backends))]
    stage.wait_for(partial(all_arrived, [p.id for p in inside]), within=5.0)
    line = []
    for _ in range(min(WAITING, len(inside))):
        line.append(stage.start(pool, within=60.0))
        stage.wait(SETTLING_S + stage.slack)
    for number, pending in enumerate(inside, 1):
        for backend in pool.backends:
            backend.release([pending.id])
        served = partial(some_arrived, [p.id for p in line], min(number, len(line)))
        stage.wait_for(served, within=pool.spec.timeouts.queue)
    for backend in pool.backends:
        backend.release()

    expect(all_answered(stage.sync(), [p.wait(within=5.0) for p in (*inside, *line)]))
    expect(served_in_order(stage.history, [p.id for p in line]))
