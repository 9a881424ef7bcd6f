from __future__ import annotations

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbcheck.spec.instances import regex_texts
from lbcheck.spec.regex import RegexError, compiled, parse

pytestmark = pytest.mark.fast

RIGHT = [
    "^/api/v[0-9]+$",
    r"\.(png|jpe?g|gif)$",
    "^/(?:a|b|c){2,3}/x*?$",
    r"^/(?P<year>\d{4})/\w+",
    "(?i)^/admin",
    r"^/[^/]+/[a-z_\-.]+$",
    r"^/\x61+[]x]$",
    r"\Bfoo\b",
    r"^/a{0,3}b{2}c{1,}$",
    "",
]


@pytest.mark.parametrize("pattern", RIGHT)
def test_texts_grown_from_an_expression_match_it(pattern: str) -> None:
    texts = regex_texts(pattern, random.Random(1))
    assert [text for text in texts if text.startswith("/") and compiled(pattern).search(text)]


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("^/(?!api)", "lookaround"),
        ("^/(?=api)", "lookaround"),
        ("(?<=a)b", "lookaround"),
        ("(?<!a)b", "lookaround"),
        (r"(a)\1", "backreference"),
        ("(?P<a>x)(?P=a)", "a group other than"),
        ("(?>a)", "a group other than"),
        ("(?#note)", "a group other than"),
        ("a++", "a repeat of a repeat"),
        ("a**", "a repeat of a repeat"),
        ("*a", "a repeat of nothing"),
        ("a{,3}", "write {0,n}"),
        ("a{1001}", "over 1000"),
        ("a{3,2}", "out of order"),
        ("(a", r"a \( without its \)"),
        ("a)", r"an unopened \)"),
        ("[a", r"a \[ without its \]"),
        ("[z-a]", "backwards"),
        ("[[:alpha:]]", r"a \[ inside"),
        ("a\\", "the escape"),
        (r"\pL", "the escape"),
        (r"\Z", "the escape"),
        ("a(?i)b", "not at the start"),
        ("(?P<a>x)(?P<a>y)", "redefinition"),
    ],
)
def test_what_leaves_the_subset_is_refused_with_its_reason(pattern: str, reason: str) -> None:
    with pytest.raises(RegexError, match=reason):
        parse(pattern)


def test_classes_are_ascii() -> None:
    assert not compiled(r"^/\d$").search("/٣")


@given(st.text(r"ab/.*+?()[]{}|^$\d-1,:P<>i=!", max_size=12))
def test_any_text_is_parsed_or_refused_and_what_is_parsed_python_takes_too(pattern: str) -> None:
    try:
        parse(pattern)
    except RegexError:
        return
    re.compile(pattern, re.ASCII)


@given(st.lists(st.sampled_from(["a", "[bc]", "d+", "(e|f)", "g?", r"\d", "h{1,2}", "."]), min_size=1, max_size=6))
def test_every_grown_text_of_a_whole_expression_matches(parts: list[str]) -> None:
    pattern = "".join(parts)
    texts = regex_texts(pattern, random.Random(7))
    assert texts
    assert all(compiled(pattern).search(text) for text in texts)
