"""FLO: whose time runs: a backend's while it is waited for, and not while a client sends or reads slowly."""

from __future__ import annotations

from lbcheck.backends.script import Answer
from lbcheck.checks import check, listeners, pools, serves
from lbcheck.client.outgoing import Pace
from lbcheck.features import Feature, Level
from lbcheck.judges.answers import all_answered
from lbcheck.judges.connections import asked_anew
from lbcheck.judges.pressure import held_back
from lbcheck.lab.stage import Stage, StagedBackend, StagedPool
from lbcheck.spec.model import Forward, Listener, Pool, Spec
from lbcheck.verdict import expect

SHORT_S = 1.0
SEEN_S = 0.05  # until a close has been seen, on any machine
PIECES = 15
DEAF_S = 0.5
UPLOAD = b"x" * 1_500
DOWNLOAD = 24_000_000  # more than all buffers on the way
SOME = tuple(2**power for power in range(16, 22))  # one ends just as a buffer is full


def plain(pool: Pool) -> bool:
    usable = all(b.weight > 0 and not b.backup and b.state == "active" for b in pool.backends)
    return usable and pool.timeouts.response <= SHORT_S


@check(
    "FLO-40",
    "A slow upload takes none of the response timeout, which begins when all of the request has been sent.",
    level=Level.EXTENDED,
    subject=pools(plain),
    catches={"upload-takes-response-time": "all_answered"},
    spec_link="https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_read_timeout",
    timed=lambda p: {"response timeout": p.timeouts.response},
    cost_s=3,
)
def test_a_slow_upload_is_not_late(stage: Stage, pool: StagedPool) -> None:
    """Bodies in pieces for one and a half timeouts; the backends then take half of one for their answer."""
    patience = pool.spec.timeouts.response
    for backend in pool.backends:
        backend.answer(Answer(delay=0.5 * patience))
    pace = Pace(len(UPLOAD) // PIECES, 1.5 * patience / PIECES)
    together = [
        stage.start(pool, method="POST", body=UPLOAD, chunked=chunked, pace=pace, within=4 * patience + 5.0)
        for chunked in (False, True)
    ]
    exchanges = [pending.wait(within=4 * patience + 5.0) for pending in together]
    expect(all_answered(stage.sync(), exchanges))


def waits_for_readers(spec: Spec, pool: Pool) -> bool:
    """Is a client that does nothing for one and a half response timeouts let be?"""
    return all(listener.idle_timeout > 2 * pool.timeouts.response for listener in spec.listeners)


@check(
    "FLO-41",
    "A client that reads slowly takes none of the response timeout: its answer is held back, not cut.",
    level=Level.EXTENDED,
    subject=pools(plain, within=waits_for_readers),
    catches={"slow-reader-is-cut": "all_answered", "held-connection-stays-held": "all_answered"},
    spec_link="https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_buffering",
    timed=lambda p: {"response timeout": p.timeouts.response},
    cost_s=3,
)
def test_a_slow_reader_is_not_cut(stage: Stage, pool: StagedPool) -> None:
    """An answer larger than all buffers, of which nothing is read for one and a half timeouts."""
    patience = pool.spec.timeouts.response
    for backend in pool.backends:
        backend.answer(Answer(body_size=DOWNLOAD))
    within = 3 * patience + 10.0
    slowly = [stage.one(pool, deaf_s=1.5 * patience, within=within)]
    for size in SOME:
        for backend in pool.backends:
            backend.answer(Answer(body_size=size))
        slowly += [stage.one(pool, deaf_s=DEAF_S / 2, within=within) for _ in pool.backends]
    for backend in pool.backends:
        backend.answer(Answer())
    after = stage.send(pool, n=4 * len(pool.backends))  # on connections that were held back to their answer's end
    expect(all_answered(stage.sync(), [*slowly, *after]))


@check(
    "FLO-45",
    "An answer that its client does not read is left with its backend, not taken as a whole by the balancer.",
    level=Level.EXTENDED,
    subject=pools(plain),
    needs={Feature.BACKPRESSURE},
    catches={"answer-piles-up": "held_back"},
    spec_link="https://www.envoyproxy.io/docs/envoy/latest/faq/configuration/flow_control",
    cost_s=2,
)
def test_an_answer_that_nobody_reads_is_held_back(stage: Stage, pool: StagedPool) -> None:
    """Of an answer larger than all buffers nothing is read for a second: its backend must not get to its end."""
    for backend in pool.backends:
        backend.answer(Answer(body_size=DOWNLOAD))
    pending = stage.start(pool, deaf_s=2 * DEAF_S, within=20.0)
    stage.wait(DEAF_S)
    expect(held_back(stage.sync(), pending.id, DOWNLOAD))
    expect(all_answered(stage.sync(), [pending.wait(within=20.0)]))


@check(
    "FLO-43",
    "A kept connection that its backend has closed meanwhile costs nobody an answer.",
    subject=pools(plain),
    catches={"closed-connection-kept": "all_answered"},
    spec_link="https://www.rfc-editor.org/rfc/rfc9112#section-9.5",
    cost_s=1,
)
def test_closed_kept_connections_cost_nothing(stage: Stage, pool: StagedPool) -> None:
    """Backends answer as if they kept the connection, and close it; each next request comes when that was seen."""
    for backend in pool.backends:
        backend.answer(Answer(headers=(("Connection", "keep-alive"),), keep_alive=False))
    exchanges = []
    for method in ("GET", "POST"):
        for _ in range(3 * len(pool.backends)):
            exchanges.append(stage.one(pool, method=method, body=b"x" if method == "POST" else None))
            stage.wait(SEEN_S)
    expect(all_answered(stage.sync(), exchanges))


@check(
    "FLO-58",
    "A connection to a backend on which nothing is asked is given up after the pool's idle time.",
    level=Level.EXTENDED,
    subject=pools(lambda p: p.timeouts.idle <= SHORT_S and p.health_check is None),
    needs={Feature.UPSTREAM_IDLE},
    catches={"idle-upstream-kept": "asked_anew"},
    spec_link="https://nginx.org/en/docs/http/ngx_http_upstream_module.html#keepalive_timeout",
    timed=lambda p: {"idle timeout": p.timeouts.idle},
    cost_s=3,
)
def test_idle_upstream_connections_are_given_up(stage: Stage, pool: StagedPool) -> None:
    before = stage.send(pool, n=2 * len(pool.backends))
    stage.wait(1.5 * pool.spec.timeouts.idle + SEEN_S + stage.slack)
    expect(asked_anew(stage.sync(), before, stage.send(pool, n=2 * len(pool.backends))))


def patient(spec: Spec, listener: Listener) -> bool:
    """May its backends take longer than its clients may be idle?"""
    if not serves(spec, listener) or not isinstance(listener.default, Forward) or listener.idle_timeout > SHORT_S:
        return False
    return all(spec.pool(name).timeouts.response > 2 * listener.idle_timeout for name, _ in listener.default.pools)


def backends_behind(stage: Stage) -> list[StagedBackend]:
    return [backend for pool in stage.spec.pools for backend in stage.pool(pool.name).backends]


@check(
    "FLO-44",
    "A client that sends, or waits for its answer, is not idle, however long either takes and it was idle before.",
    level=Level.EXTENDED,
    subject=listeners(within=patient),
    catches={"waiting-client-is-idle": "all_answered", "idling-goes-on-into-a-body": "all_answered"},
    spec_link="https://nginx.org/en/docs/http/ngx_http_core_module.html#keepalive_timeout",
    timed=lambda it: {"idle timeout": it.idle_timeout},
    cost_s=6,
)
def test_who_waits_is_not_idle(stage: Stage, listener: Listener) -> None:
    """Uploads in pieces for one and a half idle times, then answers after as long, also to a second request.

    Before that an upload that pauses for half an idle time, where its client has been idle for three quarters of one.
    """
    client = stage.client(keep_alive=True)
    first = client.send(listener)
    stage.wait(0.75 * listener.idle_timeout)
    halves = Pace(len(UPLOAD) // 2, 0.5 * listener.idle_timeout)
    late = client.send(listener, method="POST", body=UPLOAD, pace=halves)
    for backend in backends_behind(stage):
        backend.answer(Answer(delay=1.5 * listener.idle_timeout))
    pace = Pace(len(UPLOAD) // PIECES, 1.5 * listener.idle_timeout / PIECES)
    within = 4 * listener.idle_timeout + 5.0
    together = [
        stage.start(listener, method="POST", body=UPLOAD, chunked=chunked, pace=pace, within=within)
        for chunked in (False, True)
    ]
    second = client.send(listener, within=within)
    exchanges = [first, late, second, *(pending.wait(within=within) for pending in together)]
    expect(all_answered(stage.sync(), exchanges))
