"""STK: bindings that the balancer keeps itself, by address and by an application's cookie: how long, and for whom."""

from __future__ import annotations

import base64

from lbcheck.backends.script import Answer
from lbcheck.checks import check, pools
from lbcheck.features import Level
from lbcheck.history import Exchange
from lbcheck.judges.balance import starves_nobody
from lbcheck.judges.figures import of_coincidence
from lbcheck.judges.hashing import same_key_same_backend
from lbcheck.judges.statistics import silence_for
from lbcheck.judges.stickiness import keeps_backend, lets_go, rebinds_once
from lbcheck.lab.plays import source_address, wait_out
from lbcheck.lab.stage import Stage, StagedPool
from lbcheck.spec.model import Pool
from lbcheck.verdict import expect

STICK_TABLE = "https://docs.haproxy.org/2.6/configuration.html#4-stick-table"
VISIT = 0.8  # durations after the first
STEPS = 8
PAUSE_S = 4.0


def kept(pool: Pool) -> bool:
    sticky = pool.stickiness
    return len(pool.backends) > 1 and sticky is not None and sticky.type in ("app_cookie", "source_ip")


def short_lived(pool: Pool) -> bool:
    return kept(pool) and pool.stickiness is not None and 0 < (pool.stickiness.duration or 0) <= 5


def long_lived(pool: Pool) -> bool:
    """For an hour at least, which read as milliseconds would be over within the pause."""
    sticky = pool.stickiness
    return len(pool.backends) > 1 and sticky is not None and (sticky.duration is None or sticky.duration >= 3600)


def by_application(pool: Pool) -> bool:
    return kept(pool) and pool.stickiness is not None and pool.stickiness.type == "app_cookie"


def shares_of(pool: Pool) -> dict[str, float]:
    total = sum(b.weight for b in pool.backends)
    return {b.name: b.weight / total for b in pool.backends}


def returning(pool: Pool) -> int:
    """Enough clients that all of them landing where they were is no accident."""
    return silence_for(1 - max(shares_of(pool).values()))


def value_of(number: int) -> str:
    """A session's value as frameworks make them: base64, with its padding; of every fourth in quotes."""
    plain = base64.b64encode(f"session {number:06}".encode()).decode()
    return f'"{plain}"' if number % 4 == 3 else plain


def visit(stage: Stage, pool: StagedPool, number: int, *, anew: bool = False) -> Exchange:
    """A request of the n-th client; `anew`: the application answers with a session of its own for it."""
    sticky = pool.spec.stickiness
    if sticky is None or sticky.type == "source_ip":
        return stage.one(pool, source=source_address(number))
    session = f"{sticky.cookie}={value_of(number)}"
    for backend in pool.backends if anew else ():
        backend.answer(Answer(headers=(("set-cookie", f"{session}; Path=/; Max-Age=3600; HttpOnly"),)))
    exchange = stage.one(pool, headers=() if anew else [("Cookie", session)])
    for backend in pool.backends if anew else ():
        backend.answer(Answer())
    return exchange


@check(
    "STK-30",
    "A binding by address or by the application's cookie is over when its duration is.",
    level=Level.EXTENDED,
    subject=pools(short_lived, reads=lambda p: p.stickiness.type),
    catches={"sticky-never-expires": "lets_go"},
    spec_link=STICK_TABLE,
    figures=lambda p: (of_coincidence("lets_go", returning(p), shares_of(p), "affinity that never ends"),),
    timed=lambda p: {"stickiness": p.stickiness.duration},
    cost_s=4,
)
def test_binding_ends(stage: Stage, pool: StagedPool) -> None:
    assert pool.spec.stickiness is not None
    numbers = range(returning(pool.spec))
    firsts = {number: visit(stage, pool, number, anew=True) for number in numbers}
    stage.wait((pool.spec.stickiness.duration or 0) + 1.0 + stage.slack)
    # In another order, or a rotation would bring all of them where they were.
    again = [(firsts[number], visit(stage, pool, number)) for number in stage.rng.sample(numbers, len(numbers))]

    expect(lets_go(again))


@check(
    "STK-31",
    "A binding by address or by the application's cookie lasts for its duration.",
    level=Level.EXTENDED,
    subject=pools(short_lived, reads=lambda p: p.stickiness.type),
    catches={"table-halves-duration": "same_key_same_backend"},
    spec_link=STICK_TABLE,
    timed=lambda p: {"stickiness": p.stickiness.duration * (1 - VISIT)},
    cost_s=3,
)
def test_binding_lasts(stage: Stage, pool: StagedPool) -> None:
    assert pool.spec.stickiness is not None
    rounds: list[tuple[str, Exchange]] = []
    for _ in range(2):
        numbers = [len(rounds) + number for number in range(STEPS)]
        firsts = [(f"client {number}", visit(stage, pool, number, anew=True)) for number in numbers]
        began = firsts[0][1].invoked
        stage.wait(max(0.0, began + VISIT * (pool.spec.stickiness.duration or 0) - stage.now))
        # In another order, or a rotation would bring all of them where they were.
        again = [(f"client {number}", visit(stage, pool, number)) for number in stage.rng.sample(numbers, len(numbers))]
        rounds += firsts + again

    expect(same_key_same_backend(rounds))


@check(
    "STK-37",
    "A binding that is to last for long, or for a browser's session, outlives a pause of its client.",
    level=Level.EXTENDED,
    subject=pools(long_lived, reads=lambda p: (p.stickiness.type, p.stickiness.duration is None)),
    catches={"long-bindings-end-soon": "same_key_same_backend"},
    spec_link=STICK_TABLE,
    cost_s=5,
)
def test_long_bindings_outlive_a_pause(stage: Stage, pool: StagedPool) -> None:
    clients = [stage.client(cookies=True) for _ in range(STEPS)]

    def come(number: int, *, anew: bool = False) -> tuple[str, Exchange]:
        if pool.spec.stickiness is not None and pool.spec.stickiness.type == "lb_cookie":
            return f"client {number}", clients[number].send(pool)
        return f"client {number}", visit(stage, pool, number, anew=anew)

    visits = [come(number, anew=True) for number in range(STEPS)]
    stage.wait(PAUSE_S)
    # In another order, or a rotation would bring all of them where they were.
    visits += [come(number) for number in stage.rng.sample(range(STEPS), STEPS)]

    expect(same_key_same_backend(visits))


@check(
    "STK-32",
    "Sessions are kept apart, each found among other cookies; one that no application has set binds nobody.",
    level=Level.EXTENDED,
    subject=pools(lambda p: by_application(p) and not short_lived(p)),
    catches={
        "app-cookie-learned-once": "keeps_backend",
        "app-cookie-of-a-client": "starves_nobody",
        "app-cookie-quotes-one-side": "keeps_backend",
    },
    spec_link="https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-target-group-attributes.html#application-based-stickiness",
)
def test_many_sessions(stage: Stage, pool: StagedPool) -> None:
    assert pool.spec.stickiness is not None
    name, numbers = pool.spec.stickiness.cookie, range(4 * len(pool.backends))
    first = value_of(0)
    sessions = {number: [visit(stage, pool, number, anew=True)] for number in numbers}
    for number in stage.rng.sample(numbers, len(numbers)):
        session = f"{name}={value_of(number)}"
        other = f"{name.swapcase()}={first}; {session}"  # names are case-sensitive
        for line in (f"a=1; {session}; b=2", f"x{name}={first}; {session}", f"{session}; {name}x={first}", other):
            sessions[number].append(stage.one(pool, headers=[("Cookie", line)]))
    unknown = stage.send(pool, rounds=4, headers=[("Cookie", f"{name}=made-up")])

    for exchanges in sessions.values():
        expect(keeps_backend(exchanges))
    expect(starves_nobody(unknown, [b.name for b in pool.backends]))


@check(
    "STK-36",
    "When its backend dies an address is bound to one other, once, and stays there.",
    level=Level.EXTENDED,
    subject=pools(lambda p: kept(p) and p.stickiness.type == "source_ip" and p.health_check is not None),
    catches={"dead-binding-wanders": "rebinds_once", "sticky-to-the-dead": "rebinds_once"},
    spec_link=STICK_TABLE,
    timed=True,
    cost_s=3,
)
def test_address_of_a_dead_backend_rebinds_once(stage: Stage, pool: StagedPool) -> None:
    home = visit(stage, pool, 0).backend
    assert home is not None
    pool[home].kill()
    wait_out(stage, pool)
    exchanges = []
    for _ in range(2 * STEPS):
        exchanges.append(visit(stage, pool, 0))
        for _ in range(stage.rng.randint(0, 2)):
            stage.one(pool, source=source_address(stage.rng.randint(1, 1000)))

    expect(rebinds_once(exchanges, home))
