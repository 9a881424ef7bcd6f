"""STK: bound clients of a backend that is full."""

from __future__ import annotations

from lbcheck.checks import check, pools
from lbcheck.features import Level
from lbcheck.judges.answers import all_answered
from lbcheck.judges.counting import keeps_limit
from lbcheck.lab.stage import Stage, StagedPool
from lbcheck.spec.model import Pool
from lbcheck.verdict import expect


def limited(pool: Pool) -> bool:
    plain = all(b.weight > 0 and not b.backup and b.state == "active" for b in pool.backends)
    by_cookie = pool.stickiness is not None and pool.stickiness.type == "lb_cookie"
    return plain and by_cookie and len(pool.backends) > 1 and 0 < pool.max_connections <= 16


@check(
    "STK-27",
    "A backend's limit holds for its bound clients too: they wait, or go elsewhere.",
    level=Level.EXTENDED,
    subject=pools(limited),
    catches={"bound-over-the-limit": "keeps_limit"},
    spec_link="https://docs.haproxy.org/2.6/configuration.html#5.2-maxconn",
    timed=lambda p: {"queue timeout": p.timeouts.queue},
    cost_s=2,
)
def test_bound_clients_keep_the_limit(stage: Stage, pool: StagedPool) -> None:
    client = stage.client(cookies=True)
    home = pool[client.send(pool).backend or pool.backends[0].name]
    bound = [("Cookie", "; ".join(f"{name}={value}" for name, value in client.jar.items()))]
    home.hold()
    together = [stage.start(pool, headers=bound, within=60.0) for _ in range(pool.spec.max_connections + 1)]
    stage.wait(pool.spec.timeouts.queue / 2)
    expect(keeps_limit(stage.sync(), [p.id for p in together], pool.spec.max_connections))
    home.release()

    expect(all_answered(stage.history, [p.wait(within=5.0) for p in together]))
