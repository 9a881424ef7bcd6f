"""STK: the balancer's own cookie."""

from __future__ import annotations

from collections.abc import Sequence

from lbcheck.checks import check, pools
from lbcheck.features import Level
from lbcheck.history import Exchange
from lbcheck.judges.balance import starves_nobody, takes_turns
from lbcheck.judges.figures import of_coincidence, of_silence
from lbcheck.judges.statistics import ALPHA, silence_for
from lbcheck.judges.stickiness import (
    answers_normally,
    cookie_as_declared,
    cookie_named,
    hides_addresses,
    keeps_backend,
    lets_go,
    rebinds_once,
    sets_once,
    spreads_out,
    stays_while_bound,
)
from lbcheck.lab.plays import wait_out
from lbcheck.lab.stage import Stage, StagedPool
from lbcheck.spec.model import Algorithm, Pool, Stickiness
from lbcheck.spec.warp import told
from lbcheck.verdict import expect

ALB_STICKY = "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-target-group-attributes.html#sticky-sessions"
RFC_COOKIE = "https://www.rfc-editor.org/rfc/rfc6265#section-4.1"
STEPS = 20
STAGGER_S = 2.0  # clients come at two moments: a clock of coarse steps shows at one of them, whenever the check starts

CLIENTS = 8  # that all of them are where they were by chance happens once in some thousand times
VISITS = (0.0, 0.8)  # in durations


def by_cookie(pool: Pool) -> bool:
    return len(pool.backends) > 1 and pool.stickiness is not None and pool.stickiness.type == "lb_cookie"


def short_lived(pool: Pool) -> bool:
    return by_cookie(pool) and pool.stickiness is not None and 0 < (pool.stickiness.duration or 0) <= 5


def shares_of(pool: Pool) -> dict[str, float]:
    total = sum(b.weight for b in pool.backends)
    return {b.name: b.weight / total for b in pool.backends}


def newcomers(pool: Pool) -> int:
    """Enough clients that none of the backends is passed over by chance."""
    return max(silence_for(share, ALPHA / len(pool.backends)) for share in shares_of(pool).values() if share)


def returning(pool: Pool) -> int:
    """Enough clients that all of them landing where they were is no accident."""
    return silence_for(1 - max(shares_of(pool).values()))


def declared(pool: StagedPool) -> Stickiness:
    assert pool.spec.stickiness is not None
    return pool.spec.stickiness


def cookie(name: str, value: str) -> list[tuple[str, str]]:
    return [("Cookie", f"{name}={value}")]


@check(
    "STK-01",
    "A client that brings its cookie keeps its backend, while others come and go.",
    subject=pools(by_cookie, reads=lambda p: p.stickiness.duration is None),
    catches={"sticky-never-matches": "keeps_backend"},
    spec_link=ALB_STICKY,
)
def test_client_keeps_its_backend(stage: Stage, pool: StagedPool) -> None:
    client = stage.client(cookies=True)
    exchanges = []
    for _ in range(STEPS):
        exchanges.append(client.send(pool))
        # As many others as chance wants: a rotation in step with the client would look like affinity.
        stage.send(pool, n=stage.rng.randint(1, 3))
    expect(keeps_backend(exchanges))


@check(
    "STK-02",
    "New clients still spread over all backends.",
    subject=pools(by_cookie),
    catches={"sticky-for-everybody": "starves_nobody"},
    spec_link=ALB_STICKY,
    figures=lambda p: (of_silence("starves_nobody", newcomers(p), shares_of(p), "a backend that gets no client"),),
)
def test_new_clients_spread(stage: Stage, pool: StagedPool) -> None:
    exchanges = stage.send(pool, n=newcomers(pool.spec))
    expect(starves_nobody(exchanges, [b.name for b in pool.spec.backends if b.weight]))


@check(
    "STK-03",
    "The cookie has the declared name, Path, lifetime and flags.",
    level=Level.EXTENDED,
    subject=pools(by_cookie, reads=lambda p: p.stickiness),
    catches={
        "cookie-without-httponly": "cookie_as_declared",
        "cookie-without-secure": "cookie_as_declared",
        "cookie-without-same-site": "cookie_as_declared",
        "cookie-without-max-age": "cookie_as_declared",
        "cookie-for-one-path": "cookie_as_declared",
    },
    spec_link=RFC_COOKIE,
)
def test_cookie_attributes(stage: Stage, pool: StagedPool) -> None:
    _, request = stage.to(pool)
    # A page below the root, where that reaches the pool: the cookie is for the whole site all the same.
    deep = "/below/the/root" if request.target == "/" else request.target
    expect(cookie_as_declared(stage.one(pool, target=deep), told(declared(pool), stage.rate)))


@check(
    "STK-04",
    "When its backend dies a client is bound to one other, once, and stays there.",
    subject=pools(lambda p: by_cookie(p) and p.health_check is not None),
    catches={"dead-binding-wanders": "rebinds_once", "sticky-to-the-dead": "rebinds_once"},
    spec_link=ALB_STICKY,
    timed=True,
    cost_s=1.5,
)
def test_dead_backend_rebinds_once(stage: Stage, pool: StagedPool) -> None:
    client = stage.client(cookies=True)
    home = client.send(pool).backend
    assert home is not None
    pool[home].kill()
    wait_out(stage, pool)

    exchanges = [client.send(pool) for _ in range(STEPS)]

    expect(rebinds_once(exchanges, home))


@check(
    "STK-05",
    "A tampered, foreign, empty, oversized or repeated cookie gets a normal answer from the pool.",
    subject=pools(by_cookie),
    catches={"bad-cookie-refused": "answers_normally"},
    spec_link=ALB_STICKY,
)
def test_bad_cookies_are_harmless(stage: Stage, pool: StagedPool) -> None:
    name = declared(pool).cookie
    given = cookie_named(stage.one(pool), name)
    value = given.value if given else "none"
    bad = {
        "tampered": value[:-1] + ("A" if value[-1:] != "A" else "B"),
        "cut short": value[: len(value) // 2],
        "an address": "127.0.0.1:22",
        "a number": "2130706433.5632.0000",
        "empty": "",
        "oversized": "x" * 3000,
        "quoted": f'"{value}"',
    }
    names = [b.name for b in pool.backends]
    for what, forged in bad.items():
        expect(answers_normally(stage.one(pool, headers=cookie(name, forged)), names, f"a cookie that is {what}"))
    twice = [("Cookie", f"{name}=nonsense; {name}={value}")]
    expect(answers_normally(stage.one(pool, headers=twice), names, "a cookie given twice"))


@check(
    "STK-12",
    "A cookie that was tampered with binds nobody.",
    level=Level.EXTENDED,
    subject=pools(by_cookie),
    catches={"cookie-signature-unchecked": "spreads_out", "unknown-cookie-first-backend": "spreads_out"},
    spec_link=ALB_STICKY,
)
def test_tampered_cookie_binds_nobody(stage: Stage, pool: StagedPool) -> None:
    name = declared(pool).cookie
    given = cookie_named(stage.one(pool), name)
    value = given.value if given else ""
    for at in {0, len(value) // 2, max(0, len(value) - 2)}:
        other = "A" if value[at : at + 1] != "A" else "B"
        forged = value[:at] + other + value[at + 1 :]
        expect(spreads_out(stage.send(pool, n=1 + returning(pool.spec), headers=cookie(name, forged))))


@check(
    "STK-06",
    "The cookie says nothing of a backend's name or address.",
    level=Level.EXTENDED,
    subject=pools(by_cookie),
    catches={"cookie-carries-address": "hides_addresses", "cookie-encodes-address": "hides_addresses"},
    spec_link="https://owasp.org/www-project-web-security-testing-guide/latest/4-Web_Application_Security_Testing/01-Information_Gathering/10-Map_Application_Architecture",
)
def test_cookie_hides_addresses(stage: Stage, pool: StagedPool) -> None:
    secrets = [b.address for b in pool.backends] + [b.address.rpartition(":")[0] for b in pool.backends]
    secrets += [b.address.rpartition(":")[2] for b in pool.backends]
    for exchange in stage.send(pool, rounds=1):
        expect(hides_addresses(exchange, declared(pool).cookie, secrets))


@check(
    "STK-07",
    "When the declared duration is over, so is the affinity, even for a client that keeps its cookie.",
    level=Level.EXTENDED,
    subject=pools(short_lived),
    catches={"sticky-never-expires": "lets_go"},
    spec_link=ALB_STICKY,
    figures=lambda p: (of_coincidence("lets_go", returning(p), shares_of(p), "affinity that never ends"),),
    timed=lambda p: {"stickiness": p.stickiness.duration},
    cost_s=6,
)
def test_affinity_expires(stage: Stage, pool: StagedPool) -> None:
    sticky = declared(pool)
    n = returning(pool.spec)
    early = stage.send(pool, n=n)
    stage.wait(STAGGER_S)
    late = stage.send(pool, n=n)

    stage.wait(max(0.0, (sticky.duration or 0) + 1.0 + stage.slack - STAGGER_S))
    expect(lets_go(come_back(stage, pool, early)))
    stage.wait(STAGGER_S)
    expect(lets_go(come_back(stage, pool, late)))


def come_back(stage: Stage, pool: StagedPool, firsts: Sequence[Exchange]) -> list[tuple[Exchange, Exchange]]:
    """Each client's first exchange and its next; in another order, or a rotation would bring all where they were."""
    name = declared(pool).cookie
    pairs = []
    for first in stage.rng.sample(firsts, len(firsts)):
        given = cookie_named(first, name)
        again = stage.one(pool, headers=cookie(name, given.value if given else "none"))
        pairs.append((first, again))
    return pairs


@check(
    "STK-14",
    "A binding lasts as long as declared, counted from the answer that made it.",
    level=Level.EXTENDED,
    subject=pools(short_lived),
    catches={"sticky-expires-early": "stays_while_bound"},
    spec_link=RFC_COOKIE,
    timed=lambda p: {"stickiness": p.stickiness.duration},
    cost_s=3,
)
def test_binding_lasts(stage: Stage, pool: StagedPool) -> None:
    """Clients with jars come, and again after 0.8 durations, in another order: each must be where it was."""
    sticky, began = declared(pool), stage.now
    duration = sticky.duration or 0
    clients = [stage.client(cookies=True) for _ in range(CLIENTS)]
    sent: list[list[Exchange]] = [[] for _ in clients]
    for moment in VISITS:
        stage.wait(max(0.0, began + moment * duration - stage.now))
        # In another order each time, or a rotation would bring all of them where they were.
        for number in stage.rng.sample(range(CLIENTS), CLIENTS):
            sent[number].append(clients[number].send(pool))
    for exchanges in sent:
        expect(stays_while_bound(exchanges, sticky, margin=stage.slack))


@check(
    "STK-13",
    "Requests of bound clients take no turn: new clients find the rotation as if there had been none of them.",
    level=Level.EXTENDED,
    subject=pools(
        lambda p: by_cookie(p) and all(b.weight == 1 and not b.backup and b.state == "active" for b in p.backends),
        algorithm=Algorithm.ROUND_ROBIN,
    ),
    catches={"sticky-hit-takes-a-turn": "takes_turns"},
    spec_link="https://docs.haproxy.org/2.6/configuration.html#4.2-cookie",
)
def test_bound_clients_take_no_turn(stage: Stage, pool: StagedPool) -> None:
    """A bound client sends a random number of requests between those of new clients, whose order alone is judged."""
    bound, new = stage.client(cookies=True), []
    bound.send(pool)
    for _ in range(6 * len(pool.backends)):
        new.append(stage.one(pool))
        for _ in range(stage.rng.randint(0, 2)):
            bound.send(pool)
    expect(takes_turns(new, among=[b.name for b in pool.backends], workers=stage.spec.claims.workers))


@check(
    "STK-08",
    "The cookie is found among others by its whole name, wherever it stands.",
    subject=pools(by_cookie),
    catches={"cookie-name-substring": "keeps_backend", "cookie-only-when-alone": "keeps_backend"},
    spec_link="https://www.rfc-editor.org/rfc/rfc6265#section-5.4",
)
def test_cookie_among_others(stage: Stage, pool: StagedPool) -> None:
    name = declared(pool).cookie
    by_backend = {}
    for exchange in stage.send(pool, n=4 * len(pool.backends)):
        found = cookie_named(exchange, name)
        if found and exchange.backend:
            by_backend[exchange.backend] = (exchange, found.value)
    for exchange, value in by_backend.values():
        other = next(v for e, v in by_backend.values() if e is not exchange) if len(by_backend) > 1 else "x"
        lines = (
            f"a=1; {name}={value}; b=2",
            f"{name}x={other}; {name}={value}",
            f"x{name}={other}; {name}={value}",
            f"{name.swapcase()}={other}; {name}={value}; {name.capitalize()}x=1",
            f'q="; {name}2={other}"; {name}={value}',
        )
        expect(keeps_backend([exchange, *(stage.one(pool, headers=[("Cookie", line)]) for line in lines)]))


@check(
    "STK-09",
    "A client that brings a valid cookie is not given it again on every answer.",
    level=Level.EXTENDED,
    subject=pools(by_cookie),
    catches={"cookie-set-each-time": "sets_once"},
    spec_link="https://docs.haproxy.org/2.6/configuration.html#4.2-cookie",
)
def test_cookie_is_not_set_each_time(stage: Stage, pool: StagedPool) -> None:
    client = stage.client(cookies=True)
    expect(sets_once([client.send(pool) for _ in range(6)], declared(pool).cookie))
