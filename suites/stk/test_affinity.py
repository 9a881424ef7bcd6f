"""STK: affinity by an application's cookie and by source address."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Network, ip_network

from lbcheck.backends.script import Answer
from lbcheck.checks import check, pools
from lbcheck.features import Level
from lbcheck.judges.balance import starves_nobody
from lbcheck.judges.hashing import same_key_same_backend
from lbcheck.judges.stickiness import keeps_backend
from lbcheck.lab.plays import source_address
from lbcheck.lab.stage import Stage, StagedPool
from lbcheck.spec.model import Forward, Pool, Spec
from lbcheck.verdict import expect

ALB_APP = "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-target-group-attributes.html#application-based-stickiness"


ADDRESSES = 200
LOOPBACK = IPv4Network("127.0.0.0/8")


def bound_by(kind: str) -> Callable[[Pool], bool]:
    return lambda pool: len(pool.backends) > 1 and pool.stickiness is not None and pool.stickiness.type == kind


@check(
    "STK-10",
    "A client is bound when the application sets its cookie, not before, and stays bound when that changes.",
    subject=pools(bound_by("app_cookie")),
    catches={
        "app-cookie-not-learned": "keeps_backend",
        "app-cookie-learned-once": "keeps_backend",
        "app-cookie-first-line-only": "keeps_backend",
    },
    spec_link=ALB_APP,
)
def test_application_cookie_binds(stage: Stage, pool: StagedPool) -> None:
    assert pool.spec.stickiness is not None
    name = pool.spec.stickiness.cookie
    before = stage.send(pool, rounds=4)
    set_cookie(pool, name, "session-at")
    client = stage.client(cookies=True)

    exchanges = [client.send(pool)]
    for backend in pool.backends:
        backend.answer(Answer())
    exchanges += [client.send(pool) for _ in range(10)]
    home = exchanges[0].backend
    if home is not None:
        set_cookie(pool, name, "changed")
        exchanges.append(client.send(pool))
        for backend in pool.backends:
            backend.answer(Answer())
    exchanges += [client.send(pool) for _ in range(10)]

    expect(starves_nobody(before, [b.name for b in pool.backends]))
    expect(keeps_backend(exchanges))


@check(
    "STK-11",
    "With source-address affinity an address keeps its backend, and addresses are not all at one.",
    subject=pools(bound_by("source_ip")),
    catches={"source-affinity-forgets": "same_key_same_backend"},
    spec_link="https://docs.aws.amazon.com/elasticloadbalancing/latest/network/edit-target-group-attributes.html#sticky-sessions",
)
def test_source_affinity(stage: Stage, pool: StagedPool) -> None:
    addresses = [source_address(i) for i in range(ADDRESSES)]
    # Each time in another order, or a rotation would bring all of them where they were.
    orders = [stage.rng.sample(addresses, len(addresses)) for _ in range(2)]
    rounds = [(address, stage.one(pool, source=address)) for order in orders for address in order]

    expect(same_key_same_backend(rounds))
    expect(starves_nobody([e for _, e in rounds], [b.name for b in pool.backends]))


def told_of(spec: Spec, pool: Pool) -> bool:
    """Is the pool behind a listener that believes all the peers from whom clients are sent here?"""
    places = [x for x in spec.listeners if isinstance(x.default, Forward) and x.default.pools == ((pool.name, 1),)]
    blocks = [ip_network(block) for x in places if x.forwarded is not None for block in x.forwarded.trust]
    return any(block.version == 4 and LOOPBACK.subnet_of(block) for block in blocks)


@check(
    "STK-38",
    "Of the clients of a trusted peer each is bound by the address that the peer tells.",
    level=Level.EXTENDED,
    subject=pools(bound_by("source_ip"), within=told_of),
    catches={"peers-bound-for-clients": "starves_nobody", "sticky-never-matches": "same_key_same_backend"},
    spec_link="https://www.rfc-editor.org/rfc/rfc7239#section-8.1",
)
def test_clients_of_a_trusted_peer_are_bound_each(stage: Stage, pool: StagedPool) -> None:
    addresses = [f"198.51.100.{number}" for number in range(1, 41)]
    orders = [stage.rng.sample(addresses, len(addresses)) for _ in range(2)]
    told = [(a, [("X-Forwarded-For", f"203.0.113.9, {a}")]) for order in orders for a in order]
    rounds = [(address, stage.one(pool, headers=lines)) for address, lines in told]

    expect(starves_nobody([e for _, e in rounds], [b.name for b in pool.backends]))
    expect(same_key_same_backend(rounds))


def fails_over(pool: Pool) -> bool:
    """Does a retry bring a bound client elsewhere when its backend is dead, with no check to notice it?"""
    retried = pool.retries.attempts >= 1 and {"connect", "reset"} <= set(pool.retries.on)
    return bound_by("app_cookie")(pool) and retried and pool.health_check is None and pool.passive_health is None


@check(
    "STK-15",
    "When its backend died a client is bound where the application set its cookie anew, also once the first is back.",
    level=Level.EXTENDED,
    subject=pools(fails_over),
    catches={"app-cookie-bound-to-the-dead": "keeps_backend"},
    spec_link=ALB_APP,
)
def test_application_cookie_moves_on_failover(stage: Stage, pool: StagedPool) -> None:
    """The bound backend is killed, a retry finds another, which sets the cookie anew; then the first one is back."""
    assert pool.spec.stickiness is not None
    name, client = pool.spec.stickiness.cookie, stage.client(cookies=True)
    set_cookie(pool, name, "session-at")
    home = client.send(pool).backend
    assert home is not None
    pool[home].kill()
    set_cookie(pool, name, "moved-to", but=home)
    exchanges = [client.send(pool)]
    pool[home].restart()
    for backend in pool.backends:
        backend.answer(Answer())
    for _ in range(4 * len(pool.backends)):
        exchanges.append(client.send(pool))
        stage.send(pool, n=stage.rng.randint(0, 2))

    expect(keeps_backend(exchanges))


def set_cookie(pool: StagedPool, name: str, what: str, *, but: str = "") -> None:
    """The application sets its session cookie, between others, at every backend but one."""
    for backend in pool.backends:
        if backend.name != but:
            pairs = ("theme=dark", f"{name}={what}-{backend.name}", f"x{name}=none")
            backend.answer(Answer(headers=tuple(("Set-Cookie", f"{pair}; Path=/; HttpOnly") for pair in pairs)))
