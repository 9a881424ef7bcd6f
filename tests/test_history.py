"""The history: JSON there and back, the index of what became of an arrival, and the fate of a request."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbcheck.history import (
    EVENTS,
    Answered,
    Arrival,
    BodyRead,
    Event,
    Exchange,
    Fate,
    History,
    from_json,
    to_json,
)

times = st.floats(min_value=0, max_value=1e6)
words = st.text(max_size=12)
numbers = st.integers(min_value=0, max_value=1000)
fields = st.lists(st.tuples(words, words), max_size=4).map(tuple)

exchanges = st.builds(
    Exchange,
    id=words,
    listener=words,
    method=words,
    target=words,
    source=words,
    connection=words,
    index=numbers,
    invoked=times,
    request=st.binary(max_size=40),
    sent=st.none() | times,
    status=st.none() | st.integers(100, 599),
    headers=fields,
    body=st.binary(max_size=40),
    complete=st.booleans(),
    interim=st.lists(st.sampled_from([100, 103]), max_size=2).map(tuple),
)
events: st.SearchStrategy[Event] = st.one_of(
    exchanges, *(st.builds(cls, at=times) for cls in EVENTS.values() if cls is not Exchange)
)


def exchange(id: str = "c-1", **values: object) -> Exchange:
    known = {"listener": "l", "method": "GET", "target": "/", "source": "127.0.0.1", "connection": "1", "index": 0}
    return Exchange(id=id, **{**known, "invoked": 1.0, **values})  # type: ignore[arg-type]


def arrival(backend: str = "a", *, id: str | None = "c-1", connection: int = 1, index: int = 0) -> Arrival:
    return Arrival(backend, connection, index, 2.0, id, "GET", "/", b"GET / HTTP/1.1\r\n\r\n", "127.0.0.1:1")


def signed(backend: str, id: str = "c-1") -> tuple[tuple[str, str], ...]:
    return (("Lbcheck-Backend", backend), ("Lbcheck-Id", id))


@given(events)
def test_an_event_survives_json(event: Event) -> None:
    assert from_json(json.loads(json.dumps(to_json(event)))) == event


def test_fields_that_hold_their_default_are_left_out() -> None:
    assert "error" not in to_json(exchange())
    assert to_json(exchange(error="reset"))["error"] == "reset"


@pytest.mark.parametrize("kind", sorted(EVENTS))
def test_an_unknown_field_is_named(kind: str) -> None:
    with pytest.raises(ValueError, match=f"unknown field 'colour' in a {kind} event"):
        from_json({"kind": kind, "colour": "red"})


def test_what_became_of_an_arrival_is_the_first_event_about_it() -> None:
    first, second = arrival(index=0), arrival(index=1)
    history = History(
        [
            first,
            BodyRead("a", 1, 0, 2.1, 3, "sha"),
            Answered("a", 1, 0, 2.2, "answered", 200),
            Answered("a", 1, 0, 2.3, "abandoned"),
            second,
        ]
    )
    assert history.body_of(first) == BodyRead("a", 1, 0, 2.1, 3, "sha")
    assert history.answered_of(first) == Answered("a", 1, 0, 2.2, "answered", 200)
    assert history.body_of(second) is None
    assert history.answered_of(second) is None


@pytest.mark.parametrize(
    ("reached", "answer", "fate"),
    [
        (["a"], {"status": 200, "complete": True, "headers": signed("a")}, Fate.ANSWERED),
        (["a", "b"], {"status": 200, "complete": True, "headers": signed("b")}, Fate.ANSWERED),
        (["a"], {"status": 200, "complete": True, "headers": signed("b")}, Fate.CROSS_WIRED),
        (["a"], {"status": 200, "complete": True, "headers": signed("a", "c-2")}, Fate.CROSS_WIRED),
        (["a"], {"status": 200, "headers": signed("a")}, Fate.CUT),
        (["a"], {"status": 502, "complete": True}, Fate.FAILED),
        (["a"], {"error": "closed"}, Fate.UNKNOWN),
        ([], {"status": 503, "complete": True}, Fate.REFUSED),
        ([], {"status": 301, "complete": True}, Fate.LOCAL),
        ([], {"status": 403, "complete": True}, Fate.LOCAL),
        ([], {"error": "refused"}, Fate.LOST),
    ],
)
def test_the_fate_of_a_request(reached: list[str], answer: dict[str, object], fate: Fate) -> None:
    sent = exchange(**answer)
    history = History([*(arrival(name) for name in reached), sent])
    (journey,) = history.journeys()
    assert journey.fate is fate
    assert journey.backends == tuple(reached)
    assert journey.repeated == (len(reached) > 1)


def test_probes_and_strays_are_told_apart() -> None:
    probe = Arrival("a", 1, 0, 1.0, None, "GET", "/health", b"", "p", probe=True)
    stray = arrival(id=None, connection=2)
    history = History([stray, probe])
    assert history.probes == [probe]
    assert history.strays == [stray]


@given(st.lists(events, max_size=6))
def test_the_same_history_gives_the_same_lines(recorded: list[Event]) -> None:
    lines = list(History(recorded).lines())
    assert [from_json(json.loads(line)) for line in lines] == recorded
    assert list(History(recorded).lines()) == lines
