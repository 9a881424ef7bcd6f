"""From a history to the drawing's events."""

from __future__ import annotations

import dataclasses
import json
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbcheck.checks import pools
from lbcheck.history import Act, Arrival, Connected, Disconnected, Event, Exchange, FaultBegan, FaultEnded, History
from lbcheck.report.timeline import BALANCER, timeline_of
from lbcheck.spec.model import Backend, HealthCheck, Pool, Spec

from .sample_run import NAMES, POOL, SPEC, outage, probe, request


def test_an_empty_history_has_lanes_and_nothing_else() -> None:
    events = timeline_of(History(), SPEC)
    assert events["lanes"] == list(NAMES)
    assert events["until_s"] == 0
    assert [events[kind] for kind in ("requests", "probes", "acts", "faults", "expected_out")] == [[]] * 5
    assert events["promise"] == {"interval_s": 1.0, "timeout_s": 0.5, "healthy_threshold": 2, "unhealthy_threshold": 3}


def test_requests_stand_in_the_lane_that_they_reached() -> None:
    refused, lost = request("c-2", 6.0, None, status=503), request("c-3", 7.0, None, error="refused")
    events = timeline_of(History([*request("c-1", 5.0, "api-2"), *refused, *lost]), SPEC)
    assert events["requests"] == [[0.001, 1, "answered"], [1.0, BALANCER, "refused"], [2.0, BALANCER, "lost"]]
    assert events["until_s"] == 2.004


def test_a_retried_request_shows_each_arrival() -> None:
    first, exchange = cast(tuple[Arrival, Exchange], tuple(request("c-1", 0.0, "api-1")))
    again = dataclasses.replace(first, backend="api-3", at=0.002)
    signed = dataclasses.replace(exchange, headers=(("Lbcheck-Backend", "api-3"), ("Lbcheck-Id", "c-1")))
    assert timeline_of(History([first, again, signed]), SPEC)["requests"] == [
        [0.001, 0, "retried"],
        [0.002, 2, "answered"],
    ]


def test_what_belongs_to_no_exchange_is_stray() -> None:
    arrivals = [Arrival("api-1", 1, n, n, name, "GET", "/", b"", "p") for n, name in enumerate((None, "smuggled"))]
    assert timeline_of(History(arrivals), SPEC)["requests"] == [[0.0, 0, "stray"], [1.0, 0, "stray"]]


def test_an_unexpected_backend_gets_a_lane_of_its_own() -> None:
    events = timeline_of(History([*request("c-1", 0.0, "stranger")]), SPEC)
    assert events["lanes"] == [*NAMES, "stranger"]
    assert events["requests"] == [[0.001, 3, "answered"]]


def test_lanes_may_be_named() -> None:
    assert timeline_of(History(), backends=["b", "a"])["lanes"] == ["b", "a"]


def test_a_pool_as_subject_shows_its_own_backends() -> None:
    spec = dataclasses.replace(SPEC, pools=(POOL, Pool("web", (Backend("web-1"),))))
    subject = next(s for s in pools().of(spec) if s.name == "web")
    assert timeline_of(History(), spec, subject)["lanes"] == ["web-1"]
    assert timeline_of(History(), spec)["lanes"] == [*NAMES, "web-1"]


def test_backends_of_one_name_in_two_pools_are_told_apart() -> None:
    spec = Spec((), (Pool("a", (Backend("one"),)), Pool("b", (Backend("one"),))))
    events = timeline_of(History([*request("c-1", 0.0, "a/one"), *request("c-2", 1.0, "b/one")]), spec)
    assert events["lanes"] == ["a/one", "b/one"]


@pytest.mark.parametrize(
    ("statuses", "spans"),
    [
        ("FFF", [[2.002, None, 0]]),
        ("FFSFFS", []),
        ("FFFS", [[2.002, None, 0]]),
        ("FFFSS", [[2.002, 4.002, 0]]),
        ("FFFSFSS", [[2.002, 6.002, 0]]),
        ("SFFFFSSFFF", [[3.002, 6.002, 0], [9.002, None, 0]]),
    ],
)  # fmt: skip
def test_out_is_expected_from_threshold_to_threshold(statuses: str, spans: list[list[object]]) -> None:
    probes = [
        e for n, word in enumerate(statuses) for e in probe("api-1", n, float(n), status=200 if word == "S" else 503)
    ]
    events = timeline_of(History(probes), SPEC)
    assert events["expected_out"] == spans
    assert [row[2] for row in events["probes"]] == [{"S": "passed", "F": "failed"}[word] for word in statuses]


def test_a_stalled_probe_has_failed_when_its_timeout_is_over() -> None:
    arrivals = [next(iter(probe("api-1", n, float(n)))) for n in range(3)]
    assert timeline_of(History(arrivals), SPEC)["expected_out"] == [[2.5, None, 0]]


def test_a_status_that_is_declared_good_is_good() -> None:
    odd = dataclasses.replace(POOL, health_check=HealthCheck(success_codes="418"))
    history = History([*probe("api-1", 0, 0.0, status=418), *probe("api-1", 1, 1.0, status=200)])
    assert [row[2] for row in timeline_of(history, Spec((), (odd,)))["probes"]] == ["passed", "failed"]


def test_a_connection_without_a_byte_is_a_tcp_check() -> None:
    history = History([Connected("api-1", 4, 1.0, "p"), Disconnected("api-1", 4, 1.5, 0, "peer"),
                       Connected("api-1", 5, 2.0, "p"), Disconnected("api-1", 5, 2.5, 80, "peer")])  # fmt: skip
    assert timeline_of(history, SPEC)["probes"] == [[0.0, 0, "tcp"]]


def test_acts_and_faults_name_their_lane() -> None:
    history = History([Act(1.0, "kill", "api-2", "SIGKILL"), FaultBegan(2.0, "slow", "api-3", witnessed=True),
                       FaultEnded(4.0, "slow", "api-3"), FaultBegan(5.0, "slow", "target")])  # fmt: skip
    events = timeline_of(history, SPEC)
    assert events["acts"] == [[0.0, 1, "kill", "api-2", "SIGKILL"]]
    assert events["faults"] == [[1.0, 3.0, 2, "slow", "api-3", True], [4.0, None, BALANCER, "slow", "target", False]]


def test_thinning_keeps_what_went_wrong_and_says_what_is_missing() -> None:
    events: list[Event] = [
        e for n in range(1000) for e in request(f"c-{n}", n / 100, "api-1", error="reset" if n % 100 == 0 else None)
    ]
    thin = timeline_of(History(events), SPEC, limit=100)
    assert len(thin["requests"]) == 100
    assert sum(row[2] == "unknown" for row in thin["requests"]) == 10
    assert thin["left_out"] == {"requests": 900}
    assert thin["requests"] == sorted(thin["requests"])


def test_a_crowd_of_acts_faults_and_backends_is_bounded() -> None:
    acts: list[Event] = [Act(float(n), "w" * 1000, "o" * 1000, "d" * 100_000) for n in range(500)]
    crowd = [e for n in range(100) for e in request(f"c-{n}", float(n), f"b{n}")]
    events = timeline_of(History([*acts, *crowd]), SPEC)
    assert events["left_out"] == {"acts": 300, "backends": 71}
    assert len(json.dumps(events)) < 200_000


times, numbers = st.floats(0, 1e4, allow_nan=False), st.integers(0, 50)
histories = st.lists(
    st.one_of(
        st.builds(lambda n, at, to: list(request(f"c-{n}", at, to)), numbers, times, st.sampled_from([*NAMES, None])),
        st.builds(lambda n, at, s: list(probe("api-1", n, at, status=s)), numbers, times, st.sampled_from([200, 503])),
        st.builds(lambda at: [Act(at, "act")], times),
    ),
    max_size=60,
)


@given(histories, st.integers(0, 40))
def test_any_history_gives_a_bounded_drawing_in_order(parts: list[list[Event]], limit: int) -> None:
    history = History(event for part in parts for event in part)
    events = timeline_of(history, SPEC, limit=limit)
    assert json.loads(json.dumps(events)) == events
    assert len(events["requests"]) + len(events["probes"]) <= limit
    for kind in ("requests", "probes", "acts"):
        assert all(
            0 <= row[0] <= events["until_s"] and BALANCER <= row[1] < len(events["lanes"]) for row in events[kind]
        )
    whole = timeline_of(history, SPEC, limit=10_000)
    for kind in ("requests", "probes"):
        assert len(events[kind]) + events["left_out"].get(kind, 0) == len(whole[kind])
    assert events["expected_out"] == whole["expected_out"]


def test_the_sample_outage_is_seen() -> None:
    events = timeline_of(outage(stubborn=True), SPEC)
    ((began, ended, lane),) = events["expected_out"]
    assert (lane, round(began), round(ended)) == (1, 5, 9)
    assert any(row[1] == 1 and began < row[0] < ended for row in events["requests"])
