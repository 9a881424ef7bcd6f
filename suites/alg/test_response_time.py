"""ALG: least response time has no formula; the claim is dominance, and that nobody starves."""

from __future__ import annotations

from lbcheck.backends.script import Answer
from lbcheck.checks import check, pools
from lbcheck.features import Level
from lbcheck.judges.balance import prefers, prefers_the_sound, starves_nobody
from lbcheck.judges.figures import of_preference
from lbcheck.lab.stage import Stage, StagedPool
from lbcheck.spec.model import Algorithm
from lbcheck.verdict import expect

SLOW = Answer(delay=0.03)
REQUESTS = 120


@check(
    "ALG-15",
    "Least response time prefers the faster backend, follows a change, and starves nobody.",
    subject=pools(lambda p: len(p.backends) > 1 and p.stickiness is None, algorithm=Algorithm.LEAST_RESPONSE_TIME),
    catches={
        "slowest-preferred": "prefers",
        "first-response-time-kept": "prefers",
        "response-time-never-explores": "starves_nobody",
    },
    spec_link="https://docs.nginx.com/nginx/admin-guide/load-balancer/http-load-balancer/#least-time",
    figures=lambda _: (of_preference("prefers", REQUESTS),),
    cost_s=4,
)
def test_least_response_time_prefers_the_faster(stage: Stage, pool: StagedPool) -> None:
    fast, slow, *rest = pool.backends
    for backend in (slow, *rest):
        backend.answer(SLOW)
    first = stage.send(pool, n=REQUESTS)
    fast.answer(SLOW)
    slow.answer(Answer())
    stage.send(pool, n=REQUESTS)
    after = stage.send(pool, n=REQUESTS)

    expect(prefers(first, fast.name, slow.name))
    expect(starves_nobody(first + after, [b.name for b in pool.backends]))
    expect(prefers(after, slow.name, fast.name))


@check(
    "ALG-26",
    "A backend that fails at once is not taken for a fast one: it gets less than one that answers.",
    level=Level.EXTENDED,
    subject=pools(
        lambda p: len(p.backends) > 1 and p.stickiness is None and not (p.health_check or p.passive_health),
        algorithm=Algorithm.LEAST_RESPONSE_TIME,
    ),
    catches={"failure-measured-as-fast": "prefers_the_sound"},
    spec_link="https://github.com/Netflix/astyanax/issues/17",
    figures=lambda _: (of_preference("prefers_the_sound", REQUESTS),),
    cost_s=2,
)
def test_failing_fast_is_not_fast(stage: Stage, pool: StagedPool) -> None:
    """One backend resets every request at once, others take 30 ms: an even coin must not explain who is tried more."""
    broken, *others = pool.backends
    for other in others:
        other.answer(SLOW)
    broken.answer(Answer(fault="reset"))
    # A POST, so that no retry hides where a request went first.
    exchanges = stage.send(pool, n=REQUESTS, method="POST", body=b"x")
    for other in others:
        expect(prefers_the_sound(stage.sync(), exchanges, other.name, broken.name))
