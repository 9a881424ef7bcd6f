"""HLT: passive health, which learns from requests alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial

from lbcheck.backends.script import HANG, Answer
from lbcheck.checks import check, pools
from lbcheck.features import Level
from lbcheck.history import Exchange, History
from lbcheck.judges.balance import gets_nothing, starves_nobody, takes_turns
from lbcheck.judges.figures import of_less
from lbcheck.judges.passive import ejects_after, keeps_its_turn, keeps_serving
from lbcheck.judges.ramping import promised, ramps, requests_to_see, share_at
from lbcheck.lab.plays import hold_one_at
from lbcheck.lab.stage import Stage, StagedPool
from lbcheck.spec.model import Algorithm, PassiveHealth, Pool
from lbcheck.verdict import expect

ENVOY_OUTLIER = "https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/outlier"
ROUNDS = 4
LONGEST_WINDOW_S = 3.0
LONGEST_RAMP_S = 30.0
MARGIN = 1.5  # requests for each that a judgement of a ramp needs
FAILED = Answer(status=500)
LATE, BACK = 0.8, 1.6  # shares of an ejection: when what was under way fails, and when the backend has to be back


def passive(pool: Pool) -> bool:
    """Is being passed over a sign of ejection, and the full share due as soon as that is over?"""
    return ejecting(pool) and not pool.slow_start


def ejecting(pool: Pool) -> bool:
    plain = all(b.weight > 0 and not b.backup and b.state == "active" for b in pool.backends)
    turns = pool.algorithm is Algorithm.ROUND_ROBIN and pool.stickiness is None and pool.retries.attempts == 0
    alone = pool.health_check is None and pool.passive_health is not None
    return plain and turns and alone and len(pool.backends) > 2


def declared(pool: StagedPool) -> PassiveHealth:
    assert pool.spec.passive_health is not None
    return pool.spec.passive_health


def failure(health: PassiveHealth) -> Answer:
    """An answer that counts as a failure."""
    if "reset" in health.on:
        return Answer(fault="reset")
    return Answer(status=next((int(on) for on in health.on if on.isdigit()), 500))


@check(
    "HLT-12",
    "Passive health ejects a backend at the declared number of failures, for the declared time, and tries it again.",
    level=Level.EXTENDED,
    subject=pools(passive, reads=lambda p: p.passive_health),
    catches={
        "passive-never-ejects": "ejects_after",
        "passive-ejects-at-once": "ejects_after",
        "ejection-cut-short": "ejects_after",
    },
    spec_link=ENVOY_OUTLIER,
    timed=lambda p: {"ejection": p.passive_health.ejection},
    cost_s=6,
)
def test_failures_eject(stage: Stage, pool: StagedPool) -> None:
    health, sick = declared(pool), pool.backends[0]
    width = len(pool.backends)
    sick.answer(failure(health))
    began = stage.now
    exchanges = stage.send(pool, n=width * (health.failures + ROUNDS), method="POST", body=b"x")
    # To just before the end of the ejection, which cannot have begun before the first failure.
    left = began + health.ejection - stage.now - 0.1 * health.ejection - stage.slack
    if left > 0:
        stage.wait(left)
        exchanges += stage.send(pool, n=width, method="POST", body=b"x")
    sick.answer(Answer())
    stage.wait(2 * health.ejection + stage.slack)
    again = stage.send(pool, n=ROUNDS * width)

    expect(ejects_after(stage.sync(), exchanges, sick.name, health.failures, rounds=2 * width))
    expect(starves_nobody(again, [b.name for b in pool.backends]))


def no_failures(health: PassiveHealth) -> list[Answer]:
    """What backends may answer that `on` does not name."""
    codes = [code for code in (404, 500, 503) if not {str(code), f"{code // 100}xx"} & set(health.on)]
    return [Answer(status=code) for code in codes]


@check(
    "HLT-13",
    "What `on` does not name is no failure: a backend that answers so keeps its turn.",
    level=Level.EXTENDED,
    subject=pools(
        lambda p: passive(p) and bool(no_failures(p.passive_health)), reads=lambda p: frozenset(p.passive_health.on)
    ),
    catches={"passive-counts-everything": "keeps_its_turn", "passive-counts-any-5xx": "keeps_its_turn"},
    spec_link=ENVOY_OUTLIER,
)
def test_other_answers_are_no_failures(stage: Stage, pool: StagedPool) -> None:
    sick, width = pool.backends[0], len(pool.backends) * stage.spec.claims.workers
    for answer in no_failures(declared(pool)):
        sick.answer(answer)
        exchanges = stage.send(pool, n=width * (declared(pool).failures + ROUNDS))
        expect(keeps_its_turn(stage.sync(), exchanges, sick.name, width))


def full_share(pool: Pool) -> float:
    return 1 / len(pool.backends)


def ramp_requests(pool: Pool) -> int:
    return math.ceil(MARGIN * requests_to_see(full_share(pool)))


@check(
    "HLT-31",
    "A backend that is back from an ejection has less than its share at first, and all of it after `slow_start`.",
    level=Level.EXTENDED,
    subject=pools(lambda p: ejecting(p) and 0 < p.slow_start <= LONGEST_RAMP_S),
    catches={"slow-start-not-after-ejection": "ramps", "slow-start-skipped": "ramps"},
    spec_link="https://nginx.org/en/docs/http/ngx_http_upstream_module.html#slow_start",
    timed=lambda p: {"ejection": p.passive_health.ejection, "slow start": p.slow_start},
    figures=lambda p: (
        of_less(
            "ramps",
            promised(full_share(p)),
            full_share(p),
            share_at(full_share(p), 1 / 6),
            "a full share after an ejection",
        ),
    ),
    cost_s=8,
)
def test_a_ramp_follows_an_ejection(stage: Stage, pool: StagedPool) -> None:
    """The ramp begins with the first request after the ejection; traffic goes on until it is over."""
    health, sick, width = declared(pool), pool.backends[0], len(pool.backends) * stage.spec.claims.workers
    sick.answer(failure(health))
    stage.send(pool, n=width * (health.failures + 1), method="POST", body=b"x")
    sick.answer(Answer())
    ejected = stage.now
    with stage.traffic(pool, rate=ramp_requests(pool.spec) / (pool.spec.slow_start / 3)):
        back = partial(has_been_at, backend=sick.name, since=ejected)
        stage.wait_for(back, within=2 * health.ejection + stage.slack)  # some products count whole seconds
        stage.wait(pool.spec.slow_start + stage.slack)
    began = first_at(stage.sync(), sick.name, ejected)
    again = stage.send(pool, rounds=ROUNDS)

    expect(ramps(stage.history, pool.spec, sick.name, began, full_share(pool.spec)))
    expect(takes_turns(again, among=[b.name for b in pool.backends], workers=stage.spec.claims.workers))


def first_at(history: History, backend: str, since: float) -> float:
    """When a backend got its first request since then; inf where it got none."""
    times = (a.at for a in history.arrivals if a.backend == backend and a.id is not None and a.at >= since)
    return next(times, math.inf)


def has_been_at(history: History, backend: str, since: float) -> bool:
    return first_at(history, backend, since) < math.inf


KINDS: Mapping[str, Answer] = {
    "reset": Answer(fault="reset"),
    "timeout": HANG,
    "5xx": Answer(status=503),
}


def each_alone(pool: Pool) -> bool:
    """Are there backends enough for one to fail in each way that is named, and time enough to see it?"""
    health = pool.passive_health
    if not passive(pool) or health is None or not {"connect", *KINDS} <= set(health.on) or health.max_ejected < 1:
        return False
    lasts = health.failures * (pool.timeouts.response + pool.timeouts.connect)
    return len(pool.backends) > len(KINDS) + 1 and 2 * lasts < health.ejection


@check(
    "HLT-28",
    "Each kind of failure that `on` names counts: refused connections, resets, timeouts, statuses.",
    level=Level.EXTENDED,
    subject=pools(each_alone),
    catches={"passive-ignores-timeouts": "gets_nothing", "passive-ignores-refusals": "gets_nothing"},
    spec_link=ENVOY_OUTLIER,
    timed=lambda p: {"ejection": p.passive_health.ejection, "response timeout": p.timeouts.response},
    cost_s=3,
)
def test_each_kind_of_failure_counts(stage: Stage, pool: StagedPool) -> None:
    refusing, *others = pool.backends
    refusing.refuse()
    sick = [refusing.name]
    for backend, answer in zip(others, KINDS.values(), strict=False):
        backend.answer(answer)
        sick.append(backend.name)
    stage.send(pool, n=len(pool.backends) * declared(pool).failures, method="POST", body=b"x")
    expect(gets_nothing(stage.send(pool, rounds=2, method="POST", body=b"x"), sick))


def most_ejected(pool: Pool) -> int:
    """How many backends may be out at once: the declared share of all, rounded down."""
    assert pool.passive_health is not None
    return int(pool.passive_health.max_ejected * len(pool.backends) + 1e-9)


@check(
    "HLT-17",
    "No more than the declared share of a pool is ejected, however many of its backends fail.",
    level=Level.EXTENDED,
    subject=pools(lambda p: passive(p) and 0 < most_ejected(p) < len(p.backends) - 1, reads=lambda p: p.passive_health),
    catches={"ejection-share-ignored": "keeps_serving"},
    spec_link=ENVOY_OUTLIER,
    timed=lambda p: {"ejection": p.passive_health.ejection},
    cost_s=2,
)
def test_ejects_no_more_than_its_share(stage: Stage, pool: StagedPool) -> None:
    """One backend more fails than may be out: one of them must still be reached, within the time of an ejection."""
    health, most = declared(pool), most_ejected(pool.spec)
    width = len(pool.backends) * stage.spec.claims.workers
    sick = [backend.name for backend in pool.backends[: most + 1]]
    for name in sick:
        pool[name].answer(failure(health))
    began = stage.now
    exchanges = stage.send(pool, n=width * (health.failures + ROUNDS), method="POST", body=b"x")
    expect(keeps_serving(stage.sync(), exchanges, sick, most, rounds=2 * width, until=began + health.ejection))


@check(
    "HLT-18",
    "A backend that is back from an ejection begins anew: failures from before it do not count again.",
    level=Level.EXTENDED,
    subject=pools(
        lambda p: passive(p) and p.passive_health.failures > 1,
        reads=lambda p: (p.passive_health.count, p.passive_health.within > p.passive_health.ejection),
    ),
    catches={"ejection-keeps-window": "keeps_its_turn"},
    spec_link="https://github.com/envoyproxy/envoy/issues/40697",
    timed=lambda p: {"ejection": p.passive_health.ejection},
    cost_s=3,
)
def test_ejection_ends_the_count(stage: Stage, pool: StagedPool) -> None:
    """Failures eject a backend; back and well again, it then fails once less than it takes, and must keep its turn."""
    health, sick, width = declared(pool), pool.backends[0], len(pool.backends) * stage.spec.claims.workers
    sick.answer(failure(health))
    stage.send(pool, n=width * (health.failures + 1), method="POST", body=b"x")
    sick.answer(Answer())
    stage.wait(2 * health.ejection + stage.slack)  # some products count whole seconds
    # Well again, also for a product that tries a backend with one request before it trusts it.
    stage.send(pool, n=2 * width)
    sick.answer(failure(health))
    exchanges: list[Exchange] = []
    for _ in range(width * health.failures):
        if sum(sick.name in stage.sync().journey(e).backends for e in exchanges) < health.failures - 1:
            exchanges.append(stage.one(pool, method="POST", body=b"x"))
    sick.answer(Answer())
    exchanges += stage.send(pool, n=ROUNDS * width)
    expect(keeps_its_turn(stage.sync(), exchanges, sick.name, width))


def reach(stage: Stage, pool: StagedPool, name: str, answer: Answer, times: int) -> list[Exchange]:
    """Requests one after another until this backend has given this answer so often, or is passed over."""
    exchanges: list[Exchange] = []
    pool[name].answer(answer)
    for _ in range(2 * len(pool.backends) * stage.spec.claims.workers * times):
        if sum(name in stage.history.journey(e).backends for e in exchanges) >= times:
            break
        exchanges.append(stage.one(pool, method="POST", body=b"x"))
    return exchanges


@check(
    "HLT-25",
    "With `count: consecutive` any answer that is no failure ends the run of failures.",
    level=Level.EXTENDED,
    subject=pools(lambda p: passive(p) and p.passive_health.count == "consecutive" and p.passive_health.failures > 1),
    catches={"neutral-answers-keep-the-run": "keeps_its_turn", "passive-failures-accumulate": "keeps_its_turn"},
    spec_link=ENVOY_OUTLIER,
)
def test_any_other_answer_ends_the_run(stage: Stage, pool: StagedPool) -> None:
    health, sick, width = declared(pool), pool.backends[0], len(pool.backends) * stage.spec.claims.workers
    neutral = [Answer()] if {"404", "4xx"} & set(health.on) else [Answer(status=404), Answer()]
    exchanges: list[Exchange] = []
    for other in (*neutral, *neutral, *neutral):
        exchanges += reach(stage, pool, sick.name, failure(health), health.failures - 1)
        exchanges += reach(stage, pool, sick.name, other, 1)
    exchanges += stage.send(pool, n=ROUNDS * width)
    expect(keeps_its_turn(stage.sync(), exchanges, sick.name, width))


@check(
    "HLT-26",
    "With `count: window` answers between the failures do not end the count.",
    level=Level.EXTENDED,
    subject=pools(lambda p: passive(p) and p.passive_health.count == "window" and p.passive_health.failures > 1),
    catches={"success-empties-the-window": "ejects_after"},
    spec_link="https://nginx.org/en/docs/http/ngx_http_upstream_module.html#max_fails",
    timed=lambda p: {"within": p.passive_health.within, "ejection": p.passive_health.ejection},
)
def test_a_window_counts_over_successes(stage: Stage, pool: StagedPool) -> None:
    health, sick, width = declared(pool), pool.backends[0], len(pool.backends) * stage.spec.claims.workers
    failing = reach(stage, pool, sick.name, failure(health), health.failures - 1)
    reach(stage, pool, sick.name, Answer(), 1)
    failing += reach(stage, pool, sick.name, failure(health), 1)
    failing += stage.send(pool, n=ROUNDS * width, method="POST", body=b"x")
    expect(ejects_after(stage.sync(), failing, sick.name, health.failures, rounds=2 * width))


@check(
    "HLT-27",
    "With `count: window` failures that are older than the window do not count.",
    level=Level.EXTENDED,
    subject=pools(
        lambda p: passive(p) and p.passive_health.count == "window" and p.passive_health.failures > 1,
        within=lambda _, p: p.passive_health.within <= LONGEST_WINDOW_S,
    ),
    catches={"window-never-slides": "keeps_its_turn"},
    spec_link="https://nginx.org/en/docs/http/ngx_http_upstream_module.html#fail_timeout",
    timed=lambda p: {"within": p.passive_health.within},
    cost_s=4,
)
def test_a_window_slides(stage: Stage, pool: StagedPool) -> None:
    """One failure less than it takes, and as many again when those have left the window."""
    health, sick, width = declared(pool), pool.backends[0], len(pool.backends) * stage.spec.claims.workers
    exchanges = reach(stage, pool, sick.name, failure(health), health.failures - 1)
    sick.answer(Answer())
    stage.wait(1.5 * health.within + stage.slack)  # some products count whole seconds
    # Well in between, also for a product that forgets failures when the next request succeeds.
    exchanges += stage.send(pool, n=width)
    exchanges += reach(stage, pool, sick.name, failure(health), health.failures - 1)
    sick.answer(Answer())
    exchanges += stage.send(pool, n=ROUNDS * width)
    expect(keeps_its_turn(stage.sync(), exchanges, sick.name, width))


def by_status(pool: Pool) -> bool:
    """Can an answer be a failure, so that one may come late, and not too late for the response timeout?"""
    health = pool.passive_health
    if not passive(pool) or health is None or health.max_ejected < 1:
        return False
    return "5xx" in health.on and LATE * health.ejection + 1.0 < pool.timeouts.response


@check(
    "HLT-24",
    "An ejection lasts as long as declared: failures of what was under way before it do not prolong it.",
    level=Level.EXTENDED,
    subject=pools(by_status),
    catches={"ejection-prolonged": "keeps_serving"},
    spec_link=ENVOY_OUTLIER,
    timed=lambda p: {"ejection": p.passive_health.ejection},
    cost_s=4,
)
def test_late_failures_do_not_prolong_an_ejection(stage: Stage, pool: StagedPool) -> None:
    """Requests are held at a backend that is then ejected, and fail shortly before it is to return."""
    health, sick, width = declared(pool), pool.backends[0], len(pool.backends) * stage.spec.claims.workers
    held = []
    for _ in range(health.failures):
        sick.answer(FAILED)
        held.append(hold_one_at(stage, pool, sick))
    reach(stage, pool, sick.name, FAILED, health.failures)
    ejected = stage.now
    sick.answer(Answer())
    stage.wait(LATE * health.ejection)
    sick.release([pending.id for pending in held])
    for pending in held:
        pending.wait(within=2.0)
    stage.wait(max(0.0, ejected + BACK * health.ejection - stage.now))
    again = stage.send(pool, n=width, method="POST", body=b"x")
    until = ejected + (1 + LATE) * health.ejection - stage.slack
    expect(keeps_serving(stage.sync(), again, [sick.name], 0, rounds=width, until=until))
