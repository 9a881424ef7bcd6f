from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbcheck.spec.duration import format_duration, format_share, parse_duration, parse_share

pytestmark = pytest.mark.fast


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("250ms", 0.25), ("30s", 30.0), ("5m", 300.0), ("1h30m", 5400.0), ("1d", 86400.0), ("1.5s", 1.5), ("0", 0.0)],
)
def test_durations_are_read_with_their_units(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["5", "1.5", "5 s", "s", "-5s", "5sec", "5S", "", "1e3s", "٣s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a duration"):
        parse_duration(text)


@pytest.mark.parametrize(("text", "share"), [("0.1%", 0.001), ("100%", 1.0), ("0%", 0.0), ("33.3%", 0.333)])
def test_shares_are_read_from_per_cent(text: str, share: float) -> None:
    assert parse_share(text) == share


@pytest.mark.parametrize("text", ["0.1", "101%", "-1%", "%", ""])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a share"):
        parse_share(text)


@given(st.floats(0, 1e9))
def test_a_shown_duration_is_read_back_exactly(seconds: float) -> None:
    assert parse_duration(format_duration(seconds)) == seconds


@given(st.floats(0, 1))
def test_a_shown_share_is_read_back_exactly(share: float) -> None:
    assert parse_share(format_share(share)) == share


def test_durations_are_shown_in_the_largest_whole_unit() -> None:
    assert [format_duration(s) for s in (0.25, 30.0, 90.0, 120.0, 86400.0, 0.0)] == [
        "250ms",
        "30s",
        "90s",
        "2m",
        "1d",
        "0",
    ]
