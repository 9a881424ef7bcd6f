"""What comes from anywhere is visible and bounded."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbcheck.report.text import line, shown


@pytest.mark.parametrize(
    ("text", "visible"),
    [
        ("GET /straße", "GET /straße"),
        ("a\x00b", "a⟨U+0000⟩b"),
        ("\x1b[2J", "⟨U+001B⟩[2J"),
        ("invoice\u202etxt.exe", "invoice⟨U+202E⟩txt.exe"),
        ("\u2066zero\u200bwidth\ufeff", "⟨U+2066⟩zero⟨U+200B⟩width⟨U+FEFF⟩"),
        ("\ud800", "⟨U+D800⟩"),
        ("two\nlines\r\n", "two\nlines⟨U+000D⟩\n"),
        ("z" + "\u0301" * 99, "z" + "\u0301" * 4),
    ],
)
def test_hidden_characters_become_visible(text: str, visible: str) -> None:
    assert shown(text) == visible


def test_an_endless_text_ends_and_says_so() -> None:
    assert shown("x" * 3_000_000, 10) == "xxxxxxxxxx… (2,999,990 more characters)"


@given(st.text(st.characters(codec=None), max_size=300), st.integers(0, 200))
def test_any_text_is_one_harmless_line(text: str, limit: int) -> None:
    seen = line(text, limit)
    assert {unicodedata.category(c) for c in seen} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"} == set()
    assert len(seen) <= limit * 10 + 40
    seen.encode("utf-8")
