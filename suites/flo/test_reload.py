"""FLO: the configuration is read again, the same or another, and the balancer is told to stop."""

from __future__ import annotations

from dataclasses import replace

from lbcheck.backends.script import HANG, Answer
from lbcheck.checks import changes_losslessly, check, listeners, plain_rotation, pools, rules, serves, whole_spec
from lbcheck.features import Feature, Level
from lbcheck.judges.answers import all_answered
from lbcheck.judges.balance import gets_nothing, takes_turns
from lbcheck.judges.connections import given_up_when_idle
from lbcheck.judges.delivery import allowed, honest_error
from lbcheck.judges.heads import arrives_with
from lbcheck.judges.routing import acts
from lbcheck.lab.plays import wait_out
from lbcheck.lab.stage import Stage, StagedPool
from lbcheck.spec.change import with_pool
from lbcheck.spec.model import Forward, Forwarded, Listener, Pool, Respond, Rule, Spec
from lbcheck.verdict import expect

RELOAD = "https://docs.haproxy.org/2.6/management.html#4"
RATE = 100.0
BUSY_S = 0.05
SHORT_S, LATE_S = 1.0, 1.0  # products look for connections that are idle in steps
CLIENT, TOLD = "127.5.6.7", "198.51.100.7"


@check(
    "FLO-25",
    "The same configuration is read again under load: no request fails, and the pool works on.",
    subject=pools(plain_rotation, within=changes_losslessly, reads=lambda p: p.health_check is not None),
    catches={"reload-starts-over": "all_answered"},
    needs={Feature.RELOAD},
    spec_link=RELOAD,
    cost_s=4,
)
def test_reload_loses_nothing(stage: Stage, pool: StagedPool) -> None:
    for backend in pool.backends:
        backend.answer(Answer(delay=BUSY_S))
    with stage.traffic(pool, rate=RATE) as traffic:
        for _ in range(3):
            stage.wait(4 * BUSY_S)
            stage.reload()
        stage.wait(4 * BUSY_S)
    afterwards = stage.send(pool, n=6 * len(pool.backends))

    expect(all_answered(stage.sync(), traffic.exchanges))
    expect(takes_turns(afterwards, among=[b.name for b in pool.backends], workers=stage.spec.claims.workers))


@check(
    "FLO-26",
    "A backend that is out stays out when the configuration is read again.",
    subject=pools(lambda p: plain_rotation(p) and p.health_check is not None, within=changes_losslessly),
    catches={"reload-forgets-health": "gets_nothing"},
    needs={Feature.RELOAD},
    spec_link="https://docs.haproxy.org/2.6/configuration.html#3.1-server-state-base",
    timed=True,
    cost_s=2,
)
def test_reload_keeps_what_is_known_of_health(stage: Stage, pool: StagedPool) -> None:
    sick = pool.backends[-1]
    sick.fail_probes()
    wait_out(stage, pool)

    with stage.traffic(pool, rate=RATE) as traffic:
        stage.reload()
        stage.wait(4 * BUSY_S)

    expect(gets_nothing(traffic.exchanges, [sick.name]))


@check(
    "FLO-27",
    "A rule that a reload changes does what the new configuration says.",
    subject=rules(lambda r: isinstance(r.then, Respond), within=changes_losslessly),
    catches={"reload-ignores-rules": "acts"},
    needs={Feature.RELOAD},
    spec_link=RELOAD,
)
def test_reload_changes_a_rule(stage: Stage, rule: Rule) -> None:
    assert isinstance(rule.then, Respond)
    listener, request = stage.to(rule)
    before = stage.one((listener, request))
    other = replace(rule.then, status=410 if rule.then.status != 410 else 404)

    stage.reload(with_rule(stage.spec, listener, replace(rule, then=other)))
    after = stage.one((listener, request))

    expect(acts(stage.sync(), before, rule.then, stage.spec))
    expect(acts(stage.history, after, other, stage.spec))


@check(
    "FLO-28",
    "A timeout that a reload changes is kept as the new configuration says.",
    subject=pools(
        lambda p: plain_rotation(p) and 0.5 <= p.timeouts.response <= 5 and not p.retries.attempts,
        within=changes_losslessly,
    ),
    catches={"reload-keeps-old-timeouts": "honest_error"},
    needs={Feature.RELOAD},
    spec_link=RELOAD,
    timed=lambda p: {"response timeout": p.timeouts.response},
    cost_s=2,
)
def test_reload_changes_a_timeout(stage: Stage, pool: StagedPool) -> None:
    shorter = pool.spec.timeouts.response / 2
    stage.reload(with_pool(stage.spec, replace(pool.spec, timeouts=replace(pool.spec.timeouts, response=shorter))))
    for backend in pool.backends:
        backend.answer(HANG)

    exchange = stage.one(pool, method="POST", body=b"x", within=4 * shorter + 2.0)

    # Half-way to the old timeout at the latest: what is kept is the one or the other.
    bounds = {"earliest": shorter - stage.slack - 0.01, "latest": 1.5 * shorter + stage.slack}
    expect(honest_error(exchange, allowed(pool.spec.statuses.timeout), **bounds))


def tells_nothing(spec: Spec, listener: Listener) -> bool:
    """Is nothing declared that a reload of another listener's fields would not change in the same way?"""
    return serves(spec, listener) and changes_losslessly(spec, listener) and listener.forwarded is None


def several_serve(spec: Spec) -> bool:
    """Is there more than one listener, and does each send all that it gets by default to backends, without a wait?"""
    plain = all(serves(spec, x) and isinstance(x.default, Forward) for x in spec.listeners)
    return len(spec.listeners) > 1 and plain and spec.claims.reload == "lossless" and not any(map(limited, spec.pools))


def limited(pool: Pool) -> bool:
    return pool.max_connections > 0 or pool.timeouts.response < 1.0


@check(
    "FLO-55",
    "What a reload changes of the fields that backends are told is told from then on, also with known requests.",
    subject=listeners(within=tells_nothing),
    catches={"reload-keeps-told-fields": "arrives_with"},
    needs={Feature.RELOAD},
    spec_link=RELOAD,
    cost_s=1,
)
def test_reload_changes_what_backends_are_told(stage: Stage, listener: Listener) -> None:
    """X-Forwarded-For is appended to by default; after the reload there is none."""
    told = [("X-Forwarded-For", TOLD)]
    for _ in range(4):
        stage.one(listener, source=CLIENT, headers=told)
    changed = replace(stage.spec.listener(listener.name), forwarded=Forwarded(x_forwarded_for="remove"))
    others = [x for x in stage.spec.listeners if x.name != listener.name]
    stage.reload(replace(stage.spec, listeners=(changed, *others)))
    for _ in range(4):
        exchange = stage.one(listener, source=CLIENT, headers=told)
        expect(arrives_with(stage.sync(), exchange, "X-Forwarded-For", []))


@check(
    "FLO-56",
    "An idle time that a reload changes is kept as the new configuration says.",
    level=Level.EXTENDED,
    subject=listeners(within=tells_nothing),
    catches={"reload-keeps-old-idle-times": "given_up_when_idle"},
    needs={Feature.RELOAD},
    spec_link=RELOAD,
    timed=lambda _: {"idle timeout": SHORT_S},
    cost_s=3,
)
def test_reload_changes_an_idle_time(stage: Stage, listener: Listener) -> None:
    changed = replace(stage.spec.listener(listener.name), idle_timeout=SHORT_S)
    others = [x for x in stage.spec.listeners if x.name != listener.name]
    stage.reload(replace(stage.spec, listeners=(changed, *others)))
    client = stage.client(keep_alive=True)
    before = client.send(listener)
    stage.wait(SHORT_S + LATE_S + stage.slack)
    expect(given_up_when_idle(before, client.send(listener), SHORT_S))


@check(
    "FLO-57",
    "A balancer that is told to stop finishes what it has on every listener.",
    subject=whole_spec(several_serve),
    catches={"stop-looks-at-one-listener": "all_answered"},
    spec_link="https://nginx.org/en/docs/control.html",
    cost_s=1,
)
def test_graceful_stop_finishes_every_listener(stage: Stage, spec: Spec) -> None:
    """One request is held behind each listener, and the last one's is let go last."""
    for pool in spec.pools:
        for backend in stage.pool(pool.name).backends:
            backend.hold()
    under_way = [stage.start(listener) for listener in spec.listeners]
    stage.wait_for(lambda history: all(history.arrivals_of(p.id) for p in under_way), within=2.0)
    stage.target.retire()
    stage.wait(0.3)
    done = []
    for pending in under_way:
        for pool in spec.pools:
            for backend in stage.pool(pool.name).backends:
                backend.release([pending.id])
        done.append(pending.wait(2.0))
        stage.wait(0.1)

    expect(all_answered(stage.sync(), done))


@check(
    "FLO-29",
    "A balancer that is told to stop finishes what it has, the last request as well as the first.",
    subject=pools(plain_rotation, within=changes_losslessly),
    catches={"stop-cuts-in-flight": "all_answered", "stop-at-the-first-goodbye": "all_answered"},
    spec_link="https://nginx.org/en/docs/control.html",
    cost_s=1,
)
def test_graceful_stop_finishes_what_it_has(stage: Stage, pool: StagedPool) -> None:
    """One request after another is let go, with time between them for a stop that does not wait for all."""
    for backend in pool.backends:
        backend.hold()
    under_way = [stage.start(pool) for _ in pool.backends]
    stage.wait_for(lambda history: all(history.arrivals_of(p.id) for p in under_way), within=2.0)
    stage.target.retire()
    stage.wait(0.3)
    done = []
    for pending in under_way:
        for backend in pool.backends:
            backend.release([pending.id])
        done.append(pending.wait(2.0))
        stage.wait(0.1)

    expect(all_answered(stage.sync(), done))


def with_rule(spec: Spec, listener: str, rule: Rule) -> Spec:
    """The rule in place of the one of its priority."""
    place = spec.listener(listener)
    changed = replace(place, rules=tuple(rule if r.priority == rule.priority else r for r in place.rules))
    return replace(spec, listeners=tuple(changed if x.name == listener else x for x in spec.listeners))
