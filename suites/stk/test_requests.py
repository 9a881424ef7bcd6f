"""STK: the balancer's cookie on connections, in lines and beside answers that are not the plainest."""

from __future__ import annotations

from lbcheck.backends.script import Answer
from lbcheck.checks import check, pools
from lbcheck.features import Level
from lbcheck.history import Exchange
from lbcheck.judges.stickiness import cookie_as_declared, cookie_named, keeps_backend
from lbcheck.lab.stage import Stage, StagedPool
from lbcheck.spec.model import Pool
from lbcheck.verdict import expect

RFC_COOKIE = "https://www.rfc-editor.org/rfc/rfc6265#section-5.4"
STEPS = 4


def by_cookie(pool: Pool) -> bool:
    return len(pool.backends) > 1 and pool.stickiness is not None and pool.stickiness.type == "lb_cookie"


def bound(stage: Stage, pool: StagedPool) -> list[tuple[Exchange, str]]:
    """Clients, at least one at each backend as far as chance allows: the answers that bound them, and their cookies."""
    assert pool.spec.stickiness is not None
    name = pool.spec.stickiness.cookie
    found = ((e, cookie_named(e, name)) for e in stage.send(pool, n=2 * len(pool.backends)))
    return [(exchange, f"{name}={given.value}") for exchange, given in found if given is not None]


@check(
    "STK-33",
    "Each request of a connection goes where its own cookie says, whoever else's came before it.",
    subject=pools(by_cookie),
    catches={"bound-once-a-connection": "keeps_backend"},
    spec_link="https://www.rfc-editor.org/rfc/rfc9110#section-3.3",
)
def test_clients_share_a_connection(stage: Stage, pool: StagedPool) -> None:
    """As behind a proxy that sends the requests of many clients on."""
    shared, clients = stage.client(keep_alive=True), bound(stage, pool)
    seen: dict[str, list[Exchange]] = {cookie: [first] for first, cookie in clients}
    for _ in range(STEPS):
        for cookie in stage.rng.sample(list(seen), len(seen)):
            seen[cookie].append(shared.send(pool, headers=[("Cookie", cookie)]))
    for exchanges in seen.values():
        expect(keeps_backend(exchanges))


@check(
    "STK-34",
    "The cookie is found in any of several Cookie lines, and with any method.",
    level=Level.EXTENDED,
    subject=pools(by_cookie),
    catches={"cookie-first-line-only": "keeps_backend"},
    spec_link="https://www.rfc-editor.org/rfc/rfc9113#section-8.2.3",
)
def test_cookie_in_any_line(stage: Stage, pool: StagedPool) -> None:
    for first, cookie in bound(stage, pool):
        lines = [("Cookie", "a=1"), ("Cookie", cookie)]
        exchanges = [stage.one(pool, headers=order) for order in (lines, lines, lines[::-1])]
        exchanges += [stage.one(pool, headers=lines[1:], method=method) for method in ("POST", "HEAD", "DELETE")]
        expect(keeps_backend([first, *exchanges]))


@check(
    "STK-35",
    "A client is bound by its first answer also where that is an error or sets cookies of its own.",
    level=Level.EXTENDED,
    subject=pools(by_cookie),
    catches={"cookie-withheld-beside-others": "cookie_as_declared"},
    spec_link=RFC_COOKIE,
)
def test_bound_by_any_answer(stage: Stage, pool: StagedPool) -> None:
    assert pool.spec.stickiness is not None
    own = (("Set-Cookie", "theme=dark; Path=/"), ("set-cookie", "lang=de; Path=/"))
    for first in (
        Answer(status=404),
        Answer(status=302, headers=(("Location", "/"), *own)),
        Answer(headers=own),
        Answer(status=503, headers=own[1:], framing="chunked"),
    ):
        client = stage.client(cookies=True)
        for backend in pool.backends:
            backend.answer(first)
        exchanges = [client.send(pool)]
        expect(cookie_as_declared(exchanges[0], pool.spec.stickiness))
        for backend in pool.backends:
            backend.answer(Answer())
        for _ in range(2 * STEPS):
            exchanges.append(client.send(pool))
            stage.send(pool, n=stage.rng.randint(0, 2))
        expect(keeps_backend(exchanges))
