"""The drawings say what they show."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbcheck.report.charts.distribution import distribution
from lbcheck.report.charts.outcomes import proportions
from lbcheck.report.charts.svg import element, ticks
from lbcheck.report.charts.timeline import timeline
from lbcheck.report.timeline import timeline_of

from .sample_run import SPEC, outage


def lane(until_s: float, requests: list[list[object]]) -> dict[str, Any]:
    nothing: dict[str, Any] = {kind: [] for kind in ("acts", "faults", "expected_out")}
    return {
        "lanes": ["a"],
        "until_s": until_s,
        "requests": requests,
        "probes": requests,
        "promise": {},
        "left_out": {},
    } | nothing


def test_an_element_escapes_what_it_holds() -> None:
    drawn = element("text", "<b>\x00", x=1.5, class_='a"b', text_anchor=None, view_box="0 0 1 1")
    assert drawn == '<text x="1.5" class="a&#34;b" viewBox="0 0 1 1">&lt;b&gt;⟨U+0000⟩</text>'


def test_ticks_in_one_place_are_drawn_once() -> None:
    assert ticks([0.5, 0.50001, 1.0], 2, 22.5, "tick") == '<path d="M1000 2V22.5M2000 2V22.5" class="tick"></path>'


def test_bars_and_the_expected_line() -> None:
    drawn = distribution({"counts": {"a": 30, "b": 10}, "share": {"a": 0.5, "b": 0.5}})
    assert [float(w) for w in re.findall(r'width="([\d.]+)%" height="12" rx="2" class="bar"', drawn)] == [94.0, 31.33]
    assert re.findall(r'x1="([\d.]+)%"', drawn) == ["62.67", "62.67"]
    assert "a: 30 · 75.0 % (expected 50.0 %)" in drawn


@pytest.mark.parametrize(
    "figures", [{}, {"counts": {}}, {"counts": 3}, {"counts": {"a": "x", "b": True, "c": float("nan")}}]
)
def test_no_counts_no_bars(figures: dict[str, object]) -> None:
    assert distribution(figures) == ""


def test_nobody_got_anything() -> None:
    assert "a: 0 · 0 %" in distribution({"counts": {"a": 0, "b": 0}})


def test_two_hundred_bars_are_too_many() -> None:
    drawn = distribution({"counts": {f"k{n}": 1 for n in range(200)}})
    assert drawn.count("bar-row") == 24
    assert "and 176 more" in drawn


def test_the_whole_run_as_one_bar() -> None:
    drawn = proportions([("broken", 1), ("holds", 3)])
    assert re.findall(r'x="([\d.]+)%" width="([\d.]+)%"', drawn) == [("0", "25"), ("25", "75")]
    assert 'aria-label="1 broken, 3 holds"' in drawn


def test_the_timeline_says_in_words_what_it_shows() -> None:
    drawn = timeline(timeline_of(outage(stubborn=True), SPEC))
    assert re.findall(r'aria-label="(api-\d: [^"]*)"', drawn) == [
        "api-1: 100 requests answered, probe answered well: 12",
        "api-2: 93 requests answered, 7 requests unknown, probe failed: 5, probe answered well: 7",
        "api-3: 100 requests answered, probe answered well: 12",
    ]
    assert "fail-probes on api-2, until 8.00 s" in drawn
    assert "3 failed in a row, 2 good to return" in drawn


def test_a_timeline_of_nothing_is_nothing() -> None:
    assert timeline({}) == ""


@pytest.mark.parametrize("until", [1e-4, 0.003, 0.24, 1.0, 11.6, 59.0, 3600.0, 9e7])
def test_the_axis_has_few_marks(until: float) -> None:
    events = lane(until, [])
    marks = re.findall(r'class="axis">([^<]*)<', timeline(events))
    assert 3 <= len(marks) <= 8
    assert marks[0] == "0 s"


@given(st.lists(st.floats(0, 10, allow_nan=False), max_size=3000))
def test_any_crowd_of_requests_is_a_short_drawing(times: list[float]) -> None:
    rows = [[at, 0, "answered"] for at in sorted(times)]
    events = lane(10.0, rows)
    assert len(timeline(events)) < 80_000
