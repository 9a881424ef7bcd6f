"""Thresholds from made-up journals: exactly at the threshold, one sooner, one later, and too little to say."""

from __future__ import annotations

import pytest

from lbcheck.history import Connected, Disconnected, History
from lbcheck.judges.health import (
    WATCHED,
    Probe,
    keeps_pace,
    leaves_after,
    never_ejected,
    probe_shape,
    probes_at_their_port,
    probes_no_more_often,
    probes_of,
    refuses_all,
    returns_after,
    silence_limit,
    stays_out,
    tcp_probes_of,
    waits_for_first_result,
)
from lbcheck.judges.statistics import ALPHA
from lbcheck.spec.model import Algorithm, Backend, HealthCheck, Pool
from lbcheck.verdict import Outcome

from .made import answered, arrival, exchanges, probe

CHECK = HealthCheck(path="/health", interval=1.0, timeout=0.5, healthy_threshold=2, unhealthy_threshold=3)
POOL = Pool("web", tuple(Backend(n) for n in "abc"), health_check=CHECK)
GRACE = 0.1


def traffic(history: History, start: float, end: float, names: str, first: int) -> None:
    """Fifty requests a second in turn."""
    for i in range(round((end - start) * 50)):
        at = start + i / 50
        history.append(arrival(names[i % len(names)], first + i, at=at))


def journal(out_from: float, out_to: float, failing: tuple[float, ...], end: float = 10.0) -> History:
    """`a` is out of rotation in the given span; its probes fail at these seconds."""
    history = History()
    traffic(history, 0.0, out_from, "abc", 0)
    traffic(history, out_from, out_to, "bc", 10_000)
    traffic(history, out_to, end, "abc", 20_000)
    for second in range(int(end)):
        probe(history, "a", second + 0.01, 500 if second in failing else 200, connection=50_000 + second)
    return history


@pytest.mark.parametrize(
    ("left_at", "outcome"), [(4.05, Outcome.HOLDS), (3.05, Outcome.BROKEN), (5.05, Outcome.BROKEN)]
)
def test_leaves_exactly_at_the_threshold(left_at: float, outcome: Outcome) -> None:
    history = journal(left_at, 10.0, (2, 3, 4, 5, 6, 7, 8, 9))
    probes = probes_of(history, "a", CHECK, since=1.5)
    verdict = leaves_after(history, POOL, "a", probes, 3, end=8.0, grace=GRACE)
    assert verdict.outcome is outcome, verdict.saw


def test_too_little_traffic_or_too_few_probes_say_nothing() -> None:
    history = History()
    for second in range(6):
        probe(history, "a", second + 0.01, 500, connection=second)
    probes = probes_of(history, "a", CHECK)
    assert leaves_after(history, POOL, "a", probes, 3, end=8.0, grace=GRACE).outcome is Outcome.INCONCLUSIVE
    assert leaves_after(history, POOL, "a", probes[:2], 3, end=8.0, grace=GRACE).outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize(("back_at", "outcome"), [(6.05, Outcome.HOLDS), (5.05, Outcome.BROKEN), (8.0, Outcome.BROKEN)])
def test_returns_exactly_at_the_threshold(back_at: float, outcome: Outcome) -> None:
    history = journal(1.0, back_at, (0, 1, 2, 3, 4))
    probes = probes_of(history, "a", CHECK, since=3.5)
    verdict = returns_after(history, POOL, "a", probes, 2, end=9.0, grace=GRACE)
    assert verdict.outcome is outcome, verdict.saw


def test_never_ejected_and_stays_out() -> None:
    in_turn, out = journal(10.0, 10.0, ()), journal(2.0, 8.0, ())
    assert never_ejected(in_turn, POOL, "a", 0.0, 9.0).holds
    assert never_ejected(out, POOL, "a", 0.0, 9.0).outcome is Outcome.BROKEN
    assert stays_out(out, POOL, "a", 2.5, 7.5).holds
    assert stays_out(in_turn, POOL, "a", 2.5, 7.5).outcome is Outcome.BROKEN
    assert never_ejected(History(), POOL, "a", 0.0, 9.0).outcome is Outcome.INCONCLUSIVE
    assert stays_out(History(), POOL, "a", 0.0, 9.0).outcome is Outcome.INCONCLUSIVE


def test_a_stalled_probe_has_failed_at_its_timeout() -> None:
    history = History()
    probe(history, "a", 1.0, None, connection=1)
    probe(history, "a", 2.0, 200, connection=2, took=0.7)
    probe(history, "a", 3.0, 200, connection=3, took=0.1)
    seen = probes_of(history, "a", CHECK)
    assert [(p.passed, p.ended) for p in seen] == [(False, 1.5), (False, 2.5), (True, 3.1)]


def test_tcp_checks_are_connections_without_a_byte() -> None:
    history = History([Connected("a", 1, 1.0, "x"), Disconnected("a", 1, 1.1, 0, "peer")])
    history.append(Connected("a", 2, 2.0, "x"))
    history.append(Disconnected("a", 2, 2.1, 40, "peer"))
    assert [p.began for p in tcp_probes_of(history, "a")] == [1.0]


def test_silence_is_limited_by_the_policy() -> None:
    assert silence_limit(POOL, "a") == 9
    weighted = Pool("w", (Backend("a", weight=1), Backend("b", weight=9)), algorithm=Algorithm.WEIGHTED_ROUND_ROBIN)
    assert silence_limit(weighted, "a") == 30
    drawn = Pool("r", POOL.backends, algorithm=Algorithm.RANDOM)
    assert (2 / 3) ** silence_limit(drawn, "a") <= 1e-6


def test_pace_is_a_median_with_measured_slack() -> None:
    history = History()
    for second in range(8):
        probe(history, "a", float(second), 200, connection=second)
    seen = probes_of(history, "a", CHECK)
    assert keeps_pace(seen, CHECK, 0.01).holds
    twice = HealthCheck(path="/health", interval=2.0, timeout=0.5)
    assert keeps_pace(seen, twice, 0.01).outcome is Outcome.BROKEN
    assert keeps_pace(seen, CHECK, 0.3).outcome is Outcome.INCONCLUSIVE
    assert keeps_pace(seen[:3], CHECK, 0.01).outcome is Outcome.INCONCLUSIVE


def test_probe_shape_reads_the_head() -> None:
    history = History(
        [arrival("a", 1, id=None, probe=True, target="/health", head=b"GET /health HTTP/1.1\r\nHost: H\r\n\r\n")]
    )
    assert probe_shape(history, "a", CHECK, {"h"}).holds
    assert probe_shape(history, "a", CHECK, {"other"}).outcome is Outcome.BROKEN
    assert probe_shape(history, "b", CHECK, {"h"}).outcome is Outcome.BROKEN
    stray = History([arrival("a", 1, id=None, target="/")])
    assert probe_shape(stray, "a", CHECK, {"lb.test"}).outcome is Outcome.BROKEN


def test_no_request_before_the_first_result() -> None:
    history = History([arrival("a", 1, at=1.0), arrival("b", 2, at=3.0)])
    assert waits_for_first_result(history, POOL, {"a": 0.5, "b": 2.0}).holds
    assert waits_for_first_result(history, POOL, {"a": 0.5, "b": 4.0}).outcome is Outcome.BROKEN


def test_refusal_must_be_the_balancers_own() -> None:
    assert refuses_all([answered(None, 1, status=503)], {503}).holds
    assert refuses_all([answered("a", 1, status=503)], {503}).outcome is Outcome.BROKEN
    assert refuses_all([answered(None, 1, status=404)], {503}).outcome is Outcome.BROKEN
    assert refuses_all(exchanges([]), {503}).outcome is Outcome.INCONCLUSIVE


def test_where_the_policy_draws_no_silence_among_all_that_are_watched_is_an_accident() -> None:
    pool = Pool("p", tuple(Backend(name) for name in "abc"), algorithm=Algorithm.RANDOM)
    limit = silence_limit(pool, "a")
    assert WATCHED * (2 / 3) ** limit <= ALPHA < WATCHED * (2 / 3) ** (limit - 1)
    turns = Pool("p", tuple(Backend(name) for name in "abc"), algorithm=Algorithm.ROUND_ROBIN)
    assert silence_limit(turns, "a") == 9


def test_probes_at_their_port_are_all_that_comes_without_an_id() -> None:
    check = HealthCheck(path="/health", port=9)
    history = History()
    assert not probes_at_their_port(history, "a", check).holds
    probe(history, "a", 1.0, 200, connection=1)
    assert probes_at_their_port(history, "a", check).holds
    history.append(arrival("a", 2, id=None))  # of whatever shape: it came to another port
    assert not probes_at_their_port(history, "a", check).holds


def test_probes_in_pairs_are_more_than_one_an_interval() -> None:
    check = HealthCheck(interval=1.0, timeout=0.5)
    single = [Probe(float(n), float(n), True) for n in range(9)]
    assert probes_no_more_often(single, check, 0.01).holds
    assert (
        probes_no_more_often(sorted([*single, *single[::2]], key=lambda p: p.began), check, 0.01).outcome
        is Outcome.BROKEN
    )
    assert probes_no_more_often(single[:3], check, 0.01).outcome is Outcome.INCONCLUSIVE


def test_who_stood_still_was_not_passed_over() -> None:
    """Backends whose processes stood still say of all that came meanwhile that it came late, one after another."""
    history = History()
    for number in range(60):
        name = "abc"[number % 3]
        history.append(arrival(name, number, at=number * 0.005 if number < 20 else 0.3 + 0.001 * "abc".index(name)))
        history.append(answered(name, number, sent=number * 0.005))
    assert never_ejected(history, POOL, "a", -1.0, 9.0).holds
