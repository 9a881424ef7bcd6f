"""Steps that several checks take on a stage: a backend leaves and returns, a key travels in a request."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from lbcheck.backends.script import Answer
from lbcheck.errors import HarnessFault
from lbcheck.history import Exchange, History
from lbcheck.judges.health import grace_of, results_of
from lbcheck.judges.ramping import LEAST
from lbcheck.judges.routing import acts, arrives_as
from lbcheck.judges.sequential import LOOK
from lbcheck.lab.aiming import Destination
from lbcheck.lab.pending import Client, Pending
from lbcheck.lab.stage import Stage, StagedBackend, StagedPool
from lbcheck.spec.model import Forward, HealthCheck, Pool, Redirect
from lbcheck.spec.request import Request
from lbcheck.spec.routing import Routed, location, route
from lbcheck.verdict import Inconclusive, expect, inconclusive

STREAM_BYTES = 30_000


def check_of(pool: Pool | StagedPool) -> HealthCheck:
    """The active check that the caller's subject is known to have."""
    spec = pool.spec if isinstance(pool, StagedPool) else pool
    if spec.health_check is None:
        raise HarnessFault(f"pool {spec.name} has no health check, and a check was run that needs one")
    return spec.health_check


def wait_out(stage: Stage, pool: StagedPool) -> None:
    """The longest that a backend may take to be found failing, from now."""
    check = check_of(pool)
    _, latest = check.detection()
    stage.wait(latest + grace_of(check, stage.slack))


def wait_probes(stage: Stage, pool: StagedPool, backend: StagedBackend, count: int, since: float) -> None:
    """Waits until that many probes since then have had their result."""
    check = check_of(pool)
    within = (count + 1) * (check.interval + check.timeout) + stage.slack + 1.0
    stage.wait_for(
        lambda h: sum(p.ended <= stage.now for p in results_of(h, backend.name, check, since=since)) >= count, within
    )


def wait_in(stage: Stage, pool: StagedPool, backend: StagedBackend) -> None:
    """`wait_up`, and the slow start after it: then the backend has its full share."""
    wait_up(stage, pool, backend)
    wait_ramp(stage, pool)


def wait_ramp(stage: Stage, pool: StagedPool) -> None:
    """The longest that somebody in this pool may have less than its share, from now."""
    if pool.spec.slow_start > 0:
        stage.wait(pool.spec.slow_start + stage.slack)


def run_out(stage: Stage, pool: StagedPool) -> None:
    """Where somebody ramped, also since the start: what was scheduled with those weights is served first.

    Who was scheduled at the least share may wait for that many cycles of the full ones (Envoy's EDF schedulers do so).
    """
    if pool.spec.slow_start > 0:
        stage.send(pool, n=round(sum(b.weight for b in pool.spec.backends) / LEAST))


def wait_up(stage: Stage, pool: StagedPool, backend: StagedBackend) -> None:
    """Waits until a healed backend has passed `healthy_threshold` probes, and this has had its effect."""
    check, since = check_of(pool), stage.now
    good = check.healthy_threshold

    def passed(history: History) -> bool:
        return sum(p.passed for p in results_of(history, backend.name, check, since=since)) >= good

    _, latest = check.detection(good + 1)
    stage.wait_for(passed, within=latest + stage.slack + 1.0)
    stage.wait(grace_of(check, stage.slack))


def settle_in(stage: Stage, pool: StagedPool, backend: StagedBackend) -> None:
    """Waits until a backend that was registered may get traffic: at once, where nobody probes it and none ramps."""
    if pool.spec.health_check is not None:
        wait_in(stage, pool, backend)
    else:
        wait_ramp(stage, pool)


def has_arrived(pending: Pending, history: History) -> bool:
    return bool(history.arrivals_of(pending.id))


def hold_one_at(stage: Stage, pool: StagedPool, backend: StagedBackend) -> Pending:
    """A request that this backend has read and holds until it is released; later ones it answers as usual."""
    backend.hold()
    return _one_at(stage, pool, backend, within=10.0)


def stream_one_at(stage: Stage, pool: StagedPool, backend: StagedBackend, lasts_s: float) -> Pending:
    """A request whose answer this backend sends steadily for so long; later ones it answers as usual."""
    backend.answer(Answer(body_size=STREAM_BYTES, rate=STREAM_BYTES / lasts_s))
    return _one_at(stage, pool, backend, within=lasts_s + 10.0)


def _one_at(stage: Stage, pool: StagedPool, backend: StagedBackend, *, within: float) -> Pending:
    tries = 4 * len(pool.backends)
    for _ in range(tries):
        pending = stage.start(pool, within=within)
        stage.wait_for(partial(has_arrived, pending), within=2.0)
        if any(arrival.backend == backend.name for arrival in stage.history.arrivals_of(pending.id)):
            backend.answer(Answer())
            return pending
        pending.wait(within)
    wanted = f"a request that is under way at {backend.name}"
    raise Inconclusive(inconclusive("one_at", wanted, f"none of {tries} requests came to {backend.name}"))


def send_until(
    stage: Stage, to: Destination, enough: Callable[[Sequence[Exchange]], bool], *, most: int
) -> list[Exchange]:
    """Requests one after another until there are enough of them, asked at each `LOOK` of a sequential test."""
    exchanges: list[Exchange] = []
    while len(exchanges) < most and not (exchanges and enough(exchanges)):
        exchanges += stage.send(to, n=min(LOOK, most - len(exchanges)))
    return exchanges


def keyed(stage: Stage, pool: StagedPool, key: str, number: int) -> dict[str, Any]:
    """The parts of a request that carry a hash key as the pool's `hash_key` says; addresses count by `number`."""
    kind, _, name = pool.spec.hash_key.partition(":")
    _, request = stage.to(pool)
    if kind == "header":
        return {"headers": [(name, key)]}
    if kind == "cookie":
        return {"headers": [("Cookie", f"{name}={key}")]}
    if kind == "query":
        return {"target": f"{request.path}?{name}={key}"}
    if kind == "path":
        return {"target": f"{request.path.rstrip('/')}/{key}"}
    return {"source": source_address(number)}


def source_address(number: int) -> str:
    """The n-th of many loopback addresses; the third byte varies first, since some products hash a /24."""
    return f"127.{10 + number // 40000}.{1 + number % 200}.{1 + number // 200 % 200}"


def ask(stage: Stage, listener: str, request: Request, *, by: Client | None = None) -> tuple[Exchange, Routed]:
    """Sends this request, from a client of its own or by this one, and says what the oracle makes of it."""
    send = stage.one if by is None else by.send
    exchange = send(
        stage.spec.listener(listener),
        method=request.method,
        target=request.target,
        host=request.host,
        headers=request.headers,
        source=request.source,
    )
    return exchange, route(stage.spec, listener, request)


def expect_routed(stage: Stage, listener: str, request: Request, *, by: Client | None = None) -> Exchange:
    """Sends this request and judges that it met the action, and arrived as the target, that the oracle says."""
    exchange, routed = ask(stage, listener, request, by=by)
    place = stage.spec.listener(listener)
    url = location(routed.action, place, request) if isinstance(routed.action, Redirect) else ""
    expect(acts(stage.sync(), exchange, routed.action, stage.spec, location=url))
    if isinstance(routed.action, Forward):
        expect(arrives_as(stage.history, exchange, routed.target))
    return exchange
