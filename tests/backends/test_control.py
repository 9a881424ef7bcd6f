"""Scripts as JSON between processes."""

from __future__ import annotations

import json
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from lbcheck.backends.control import Birth, behaviour_from_json, behaviour_to_json, birth_from_json, birth_to_json, line
from lbcheck.backends.script import Answer, Behaviour, Moment, ProbeShape

seconds = st.floats(0, 100)
answers = st.builds(
    Answer,
    status=st.integers(100, 999),
    headers=st.lists(st.tuples(st.text(max_size=5), st.text(max_size=5)), max_size=3).map(tuple),
    body=st.none() | st.binary(max_size=20),
    body_size=st.none() | st.integers(0, 10**9),
    framing=st.sampled_from(["length", "chunked", "close"]),
    delay=seconds,
    rate=st.none() | seconds,
    fault=st.sampled_from([None, "reset", "close", "hang"]),
    moment=st.sampled_from(get_args(Moment)),
    hold=st.booleans(),
    early=st.booleans(),
    signed=st.booleans(),
    keep_alive=st.booleans(),
    raw=st.none() | st.binary(max_size=20),
)
behaviours = st.builds(
    Behaviour,
    answer=answers,
    by_id=st.lists(st.tuples(st.text(max_size=5), answers), max_size=2).map(tuple),
    probes=st.lists(answers, max_size=2).map(tuple),
    probe=answers,
    accepting=st.booleans(),
)


@given(behaviours)
def test_a_script_survives_its_journey(behaviour: Behaviour) -> None:
    sent = line(behaviour_to_json(behaviour))
    assert sent.count(b"\n") == 1
    assert behaviour_from_json(json.loads(sent)) == behaviour


def test_a_birth_survives_its_journey() -> None:
    for probe in (None, ProbeShape("HEAD", "/health")):
        birth = Birth("a", "p", "127.0.0.1", 0, "/j", probe, generation=3)
        assert birth_from_json(json.loads(line(birth_to_json(birth)))) == birth
