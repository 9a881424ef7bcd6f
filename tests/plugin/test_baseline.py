"""The baseline file: what it excuses, until when, and how it is written."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbcheck.errors import SpecError
from lbcheck.plugin.baseline import Baseline, Known, read, write
from lbcheck.verdict import Outcome

pytestmark = pytest.mark.fast

TODAY = date(2026, 11, 23)
LATER = TODAY + timedelta(days=1)
EARLIER = TODAY - timedelta(days=1)


def known(check: str, expires: date = LATER) -> Baseline:
    return Baseline((Known(check, "ticket 4711", expires),))


@pytest.mark.parametrize("word", ["FLO-09", "FLO-09[api]", "FLO-*", "*[api]", "FLO-09[*]"])
def test_an_entry_names_an_id_a_node_or_a_glob(word: str) -> None:
    assert known(word).judge("FLO-09[api]", Outcome.BROKEN, TODAY)[0] is Outcome.KNOWN


@pytest.mark.parametrize("word", ["FLO-0", "FLO-09[web]", "ALG-*", "[FLO]*", "FLO-09[ap]"])
def test_an_entry_names_nothing_else(word: str) -> None:
    assert known(word).judge("FLO-09[api]", Outcome.BROKEN, TODAY) == (Outcome.BROKEN, "")


def test_what_holds_again_is_stale() -> None:
    outcome, why = known("FLO-09").judge("FLO-09[api]", Outcome.HOLDS, TODAY)
    assert outcome is Outcome.STALE
    assert "remove 'FLO-09' (ticket 4711)" in why


def test_an_expired_entry_excuses_nothing_and_says_so() -> None:
    assert known("FLO-09", TODAY).judge("FLO-09[api]", Outcome.BROKEN, TODAY)[0] is Outcome.KNOWN
    outcome, why = known("FLO-09", EARLIER).judge("FLO-09[api]", Outcome.BROKEN, TODAY)
    assert outcome is Outcome.BROKEN
    assert f"expired on {EARLIER}" in why


@given(st.sampled_from([o for o in Outcome if o not in (Outcome.BROKEN, Outcome.HOLDS)]))
def test_only_broken_and_held_claims_are_judged_anew(outcome: Outcome) -> None:
    assert known("FLO-09").judge("FLO-09[api]", outcome, TODAY) == (outcome, "")


outcomes = st.dictionaries(
    st.sampled_from(["ALG-01[a]", "ALG-01[b]", "FLO-09[a]", "RTE-02[x/y]"]),
    st.sampled_from([Outcome.HOLDS, Outcome.BROKEN, Outcome.INCONCLUSIVE, Outcome.UNSUPPORTED]),
)
words = st.lists(st.sampled_from(["ALG-01", "ALG-01[a]", "FLO-*", "STK-01"]), unique=True)


@given(words, st.sampled_from([LATER, EARLIER]), outcomes)
def test_after_an_update_nothing_is_broken_and_what_was_updated_settles(
    entries: list[str], expires: date, ended: dict[str, Outcome]
) -> None:
    before = Baseline(tuple(Known(word, "why", expires) for word in entries))
    after = before.updated(ended.items(), TODAY)
    judged = {node: after.judge(node, outcome, TODAY)[0] for node, outcome in ended.items()}
    assert Outcome.BROKEN not in judged.values()
    assert after.updated(ended.items(), TODAY) == after
    assert all(entry in after.entries for entry in before.entries if not any(entry.names(node) for node in ended))


def test_written_and_read_back(tmp_path: Path) -> None:
    baseline = Baseline((Known("RTE-*[mobile]", 'with "quotes": and a colon', LATER),))
    file = tmp_path / "sub" / "known.yaml"
    write(baseline, file)
    assert read(file) == baseline


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("known: []", "version: 1"),
        ("version: 2\nknown: []", "version: 1"),
        ("version: 1\nknown: [{check: ALG-01, expires: 2027-01-01}]", "entry 1"),
        ("version: 1\nknown: [{check: ALG-01, reason: '', expires: 2027-01-01}]", "entry 1"),
        ("version: 1\nknown: [{check: ALG-01, reason: why, expires: soon}]", "entry 1"),
        ("version: 1\nknown: [{check: ALG-01, reason: why, expires: 2027-01-01, more: 1}]", "entry 1"),
        ("version: 1\nknown: [", "cannot be read"),
    ],
)
def test_a_baseline_without_reason_or_end_is_refused(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "known.yaml"
    file.write_text(text)
    with pytest.raises(SpecError, match=said) as caught:
        read(file)
    assert "known.yaml" in str(caught.value)


def test_a_missing_baseline_is_an_error_unless_it_is_about_to_be_written(tmp_path: Path) -> None:
    with pytest.raises(SpecError):
        read(tmp_path / "none.yaml")
    assert read(tmp_path / "none.yaml", missing_ok=True) == Baseline()
