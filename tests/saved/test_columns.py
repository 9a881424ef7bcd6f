"""A history in columns answers every question as the one in memory does."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbcheck.history import (
    EVENTS,
    Act,
    Answered,
    Arrival,
    BodyRead,
    Connected,
    Disconnected,
    Event,
    Exchange,
    FaultBegan,
    FaultEnded,
    Garbage,
    History,
    to_json,
)
from lbcheck.judges.invariants import invariants
from lbcheck.saved.columns import Columns
from lbcheck.saved.rejudging import as_read, judge_again
from lbcheck.saved.writing import lines
from tests.saved import long_run
from tests.saved.made import HEADING, SPEC
from tests.test_history import exchanges, numbers, times, words

REQUESTS = 20_000

names = st.sampled_from(["a", "b"])
ids = st.sampled_from(["c1-1", "c1-11", "", "b"])
heads = st.sampled_from([b"", b"GET / HTTP/1.1\r\nLbcheck-Id: c1-1\r\n\r\n", b"\0id\0", b"c1-11"])
arrivals = st.builds(
    Arrival, names, numbers, numbers, times, st.none() | ids, words, words, heads, words, probe=st.booleans()
)
signed = st.builds(
    lambda exchange, own, name, of, head: Exchange(
        **{f: getattr(exchange, f) for f in Exchange.__slots__}
        | {"id": own, "request": head, "body": head, "headers": (("lbcheck-backend", name), ("Lbcheck-Id", of))}
    ),
    exchanges, ids, names, ids, heads,
)  # fmt: skip

connections = st.builds(Connected, names, numbers, times, words) | st.builds(
    Disconnected, names, numbers, times, numbers, words, st.none() | words
)
acts = st.one_of(
    st.builds(Act, times, words, words),
    st.builds(Garbage, names, numbers, times, heads, words),
    st.builds(FaultBegan, times, words, words, st.booleans()),
    st.builds(FaultEnded, times, words, words),
)


@st.composite
def recorded(draw: st.DrawFn) -> list[Event]:
    """Events of all kinds, in any order; what became of an arrival may be told before it, twice, or never."""
    reached = draw(st.lists(arrivals, max_size=5, unique_by=lambda a: (a.backend, a.connection, a.index)))
    about: list[Event] = []
    for arrival in reached:
        place = arrival.backend, arrival.connection, arrival.index
        about += draw(st.lists(st.builds(BodyRead, *map(st.just, place), times, numbers, words), max_size=2))
        about += draw(st.lists(st.builds(Answered, *map(st.just, place), times, st.just("answered")), max_size=2))
    sent = draw(st.lists(signed | exchanges, max_size=4))
    others = draw(st.lists(st.one_of(connections, acts), max_size=4))
    return draw(st.permutations([*reached, *about, *sent, *others]))


@pytest.mark.fast
@settings(max_examples=200, deadline=None)
@given(recorded())
def test_every_question_has_the_same_answer(happened: list[Event]) -> None:
    history, columns = History(happened), Columns(happened)
    assert len(columns) == len(history)
    assert told(columns) == told(history)
    for kind in EVENTS.values():
        assert told(columns.of(kind)) == told(history.of(kind))
    for question in ("exchanges", "arrivals", "probes", "strays"):
        assert told(getattr(columns, question)) == told(getattr(history, question))
    for made, kept in zip(columns.exchanges, history.exchanges, strict=True):
        assert (made.backend, made.header("LBCHECK-ID")) == (kept.backend, kept.header("LBCHECK-ID"))
        assert made.header("X-Other") is None
        assert repr(made).partition("(")[2] == repr(kept).partition("(")[2]
        assert made == columns.exchanges[history.exchanges.index(kept)]
    for exchange in history.exchanges:
        assert told(columns.arrivals_of(exchange.id)) == told(history.arrivals_of(exchange.id))
        one, other = columns.journey(exchange), history.journey(exchange)
        assert (one.fate, one.answer, one.backends) == (other.fate, other.answer, other.backends)
    for reached, arrived in zip(columns.arrivals, history.arrivals, strict=True):
        for arrival in (reached, arrived):
            assert columns.body_of(arrival) == history.body_of(arrived)
            assert columns.answered_of(arrival) == history.answered_of(arrived)
    assert invariants(columns, SPEC) == invariants(history, SPEC)


def told(happened: object) -> list[object]:
    return [to_json(event) for event in happened]  # type: ignore[attr-defined]


@pytest.mark.fast
@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"kind": "rumour"}, "unknown event kind 'rumour'"),
        ({"kind": ["act"]}, "unknown event kind"),
        ({"kind": "act", "at": 1.0, "what": "kill", "colour": 1}, "unknown field 'colour' in a act event"),
        ({"kind": "body", "backend": "a", "connection": "1", "index": 0, "at": 1.0, "length": 0, "sha": ""}, "str"),
        (
            {"kind": "answered", "backend": 7, "connection": 1, "index": 0, "at": 1.0, "how": "cut"},
            "backend cannot be 7",
        ),
        ({"kind": "connected", "backend": "a", "connection": 1 << 70, "at": 1.0, "peer": ""}, "int"),
        ({"kind": "disconnected", "backend": "a"}, "by"),
    ],
)
def test_what_is_no_event_is_refused(record: dict[str, object], said: str) -> None:
    with pytest.raises((ValueError, TypeError, KeyError, OverflowError), match=said):
        Columns().add(record)


def test_a_long_run_is_judged_as_it_is_in_memory(tmp_path: Path) -> None:
    history = History(long_run.events(REQUESTS))
    verdicts = long_run.verdicts(history)
    path = tmp_path / "history.jsonl"
    path.write_text("".join(lines(HEADING, history, verdicts)))
    judged = judge_again(path)
    now = [again.now for again in judged.repeated]
    assert [as_read(verdict) for verdict in now if verdict] == [as_read(verdict) for verdict in verdicts]
    assert [verdict.outcome.value for verdict in verdicts] == ["holds", "broken", "holds"]
    assert judged.always == invariants(history, SPEC)
    assert all(verdict.holds for verdict in judged.always)
    assert len(list(judged.history.doubtful())) == REQUESTS // long_run.RESET_EACH


def test_the_generator_writes_what_the_writer_writes(tmp_path: Path) -> None:
    history = History(long_run.events(3000))
    long_run.write(tmp_path / "long", 3000)
    assert (tmp_path / "long").read_text() == "".join(lines(HEADING, history, long_run.verdicts(history)))
