"""STK: what becomes of bound clients when the pool changes."""

from __future__ import annotations

from dataclasses import replace

from lbcheck.checks import changes_losslessly, check, pools
from lbcheck.features import Feature, Level
from lbcheck.judges.answers import all_answered
from lbcheck.judges.balance import gets_nothing
from lbcheck.judges.hashing import same_key_same_backend
from lbcheck.judges.stickiness import keeps_backend
from lbcheck.lab.plays import source_address, wait_out
from lbcheck.lab.stage import Client, Stage, StagedPool
from lbcheck.spec.change import with_pool
from lbcheck.spec.model import Pool, Spec
from lbcheck.verdict import expect

ALB_STICKY = "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-target-group-attributes.html#sticky-sessions"
DRAIN = "https://docs.haproxy.org/2.6/management.html#9.3-set%20server"
STEPS = 6


def by_cookie(pool: Pool) -> bool:
    return len(pool.backends) > 1 and pool.stickiness is not None and pool.stickiness.type == "lb_cookie"


def by_address(pool: Pool) -> bool:
    return len(pool.backends) > 1 and pool.stickiness is not None and pool.stickiness.type == "source_ip"


def stays(spec: Spec, _: Pool) -> bool:
    return spec.claims.reload == "lossless" and spec.claims.sticky_while_draining is True


def leaves(spec: Spec, _: Pool) -> bool:
    return spec.claims.reload == "lossless" and spec.claims.sticky_while_draining is False


def bound_client(stage: Stage, pool: StagedPool) -> tuple[Client, str]:
    """A client with a cookie, and the backend that it is bound to ("" where nobody answered).

    Several are asked again in another order: a rotation that starts anew must not bind them as before by chance.
    """
    client = stage.client(cookies=True)
    return client, client.send(pool).backend or ""


@check(
    "STK-21",
    "Clients that are bound to a draining backend stay with it, where that is claimed.",
    subject=pools(by_cookie, within=stays),
    catches={"drain-drops-sticky": "all_answered"},
    needs={Feature.DRAIN},
    spec_link=DRAIN,
)
def test_bound_clients_stay_while_draining(stage: Stage, pool: StagedPool) -> None:
    client, home = bound_client(stage, pool)
    pool[home].drain()
    exchanges = [client.send(pool) for _ in range(STEPS)]
    others = stage.send(pool, rounds=4)

    expect(all_answered(stage.sync(), exchanges, by=[home]))
    expect(gets_nothing(others, [home]))


@check(
    "STK-22",
    "Clients that are bound to a draining backend leave it at once and stay where they go, where that is claimed.",
    subject=pools(by_cookie, within=leaves),
    catches={"drain-keeps-sticky": "gets_nothing"},
    needs={Feature.DRAIN},
    spec_link=DRAIN,
)
def test_bound_clients_leave_when_draining(stage: Stage, pool: StagedPool) -> None:
    client, home = bound_client(stage, pool)
    pool[home].drain()
    exchanges = [client.send(pool) for _ in range(STEPS)]

    expect(gets_nothing(exchanges, [home]))
    expect(keeps_backend(exchanges))


@check(
    "STK-23",
    "A cookie that was set before a reload still binds after it.",
    subject=pools(by_cookie, within=changes_losslessly),
    catches={"reload-forgets-cookies": "all_answered"},
    needs={Feature.RELOAD},
    spec_link=ALB_STICKY,
)
def test_cookies_outlive_a_reload(stage: Stage, pool: StagedPool) -> None:
    bound = [bound_client(stage, pool) for _ in range(2 * len(pool.backends))]
    stage.reload()
    for client, home in reversed(bound):
        expect(all_answered(stage.history, [client.send(pool) for _ in range(2)], by=[home]))


@check(
    "STK-24",
    "An address that was bound before a reload keeps its backend after it.",
    level=Level.EXTENDED,
    subject=pools(by_address, within=changes_losslessly),
    catches={"reload-forgets-addresses": "same_key_same_backend"},
    needs={Feature.RELOAD},
    spec_link="https://docs.haproxy.org/2.6/configuration.html#4-stick-table",
)
def test_addresses_outlive_a_reload(stage: Stage, pool: StagedPool) -> None:
    addresses = [source_address(i) for i in range(20)]
    rounds = [(address, stage.one(pool, source=address)) for address in addresses]
    stage.reload()
    rounds += [(address, stage.one(pool, source=address)) for address in reversed(addresses)]

    expect(same_key_same_backend(rounds))


@check(
    "STK-25",
    "A new weight leaves bound clients where they are.",
    level=Level.EXTENDED,
    subject=pools(by_cookie, within=changes_losslessly),
    catches={"reweigh-forgets-bindings": "all_answered"},
    needs={Feature.REWEIGH},
    spec_link=ALB_STICKY,
)
def test_a_new_weight_keeps_bound_clients(stage: Stage, pool: StagedPool) -> None:
    bound = [bound_client(stage, pool) for _ in range(2 * len(pool.backends))]
    pool.backends[0].reweigh(pool.backends[0].spec.weight + 4)
    for client, home in reversed(bound):
        expect(all_answered(stage.sync(), [client.send(pool) for _ in range(2)], by=[home]))


@check(
    "STK-26",
    "A reload that changes something else of the pool leaves bound clients where they are.",
    level=Level.EXTENDED,
    subject=pools(by_cookie, within=changes_losslessly),
    catches={"reload-forgets-cookies": "all_answered"},
    needs={Feature.RELOAD},
    spec_link=ALB_STICKY,
)
def test_a_reload_elsewhere_keeps_bound_clients(stage: Stage, pool: StagedPool) -> None:
    bound = [bound_client(stage, pool) for _ in range(2 * len(pool.backends))]
    changed = replace(pool.spec, timeouts=replace(pool.spec.timeouts, idle=pool.spec.timeouts.idle + 1))
    stage.reload(with_pool(stage.spec, changed))
    for client, home in reversed(bound):
        expect(all_answered(stage.sync(), [client.send(pool) for _ in range(2)], by=[home]))


@check(
    "STK-28",
    "Clients that are bound to a draining backend leave it when its probes fail, and stay where they go.",
    level=Level.EXTENDED,
    subject=pools(lambda p: by_cookie(p) and p.health_check is not None and p.all_unhealthy == "refuse", within=stays),
    catches={"draining-keeps-though-sick": "gets_nothing"},
    needs={Feature.DRAIN},
    spec_link=DRAIN,
    timed=True,
    cost_s=2,
)
def test_bound_clients_leave_the_draining_that_fail(stage: Stage, pool: StagedPool) -> None:
    client, home = bound_client(stage, pool)
    pool[home].drain()
    pool[home].fail_probes()
    wait_out(stage, pool)
    exchanges = [client.send(pool) for _ in range(STEPS)]

    expect(gets_nothing(exchanges, [home]))
    expect(keeps_backend(exchanges))
