"""Lines cut into words as the manual's examples have them; conditions of `.if`; times."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbcheck.importers.directive import Ruling
from lbcheck.importers.haproxy.conditional import decided
from lbcheck.importers.haproxy.words import cut, seconds

from .production import from_text, refusals

pytestmark = pytest.mark.fast
SERVED = "defaults\n mode http\nlisten a\n bind 127.0.0.1:80\n"


@pytest.mark.parametrize(
    "line",
    [
        r"log-format %{+Q}o\ %t\ %s\ %{-Q}r",
        'log-format "%{+Q}o %t %s %{-Q}r"',
        "log-format '%{+Q}o %t %s %{-Q}r'",
        "log-format \"%{+Q}o %t\"' %s %{-Q}r'",
        "log-format \"%{+Q}o %t\"' %s'\\ %{-Q}r  # all the same (section 2.2)",
    ],
)
def test_quotes_and_escapes(line: str) -> None:
    assert cut(line, {}).words == ["log-format", "%{+Q}o %t %s %{-Q}r"]


def test_a_backslash_before_anything_else_stays() -> None:
    assert cut(r"replace-path /foo/(.*) /\1 '\1' \x41 \#", {}).words == [
        "replace-path",
        "/foo/(.*)",
        "/\\1",
        "\\1",
        "A",
        "#",
    ]


@given(st.lists(st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="'"), min_size=1)))
def test_between_single_quotes_nothing_is_special(words: list[str]) -> None:
    assert cut(" ".join(f"'{word}'" for word in words), {}).words == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('"$HOST:80"', ["web:80"]),
        ('"${HOST}x" ${HOST}', ["webx", "${HOST}"]),  # between double quotes alone
        ('"${PORT-81}"', ["81"]),
        ('a "${LIST[*]}" b', ["a", "1", "2", "b"]),
    ],
)
def test_variables(text: str, words: list[str]) -> None:
    line = cut(text, {"HOST": "web", "LIST": "1 2"})
    assert (line.words, line.flaw) == (words, "")


def test_a_variable_that_is_not_set_is_refused_with_its_line() -> None:
    text = f'{SERVED} server s "${{WEB}}:81"\n server t 127.0.0.1:82\n'
    assert refusals(from_text(text)) == {5: "the environment variable WEB is not set here"}
    assert refusals(from_text(text, WEB="127.0.0.2")) == {}


def test_setenv_acts_on_the_lines_after_it() -> None:
    found = from_text(f'global\n setenv WEB 127.0.0.9\n{SERVED} server s "$WEB:81"\n')
    assert found.spec.pools[0].backends[0].address == "127.0.0.9:81"


@pytest.mark.parametrize("line", ["server s 'x", 'server s "x', "server s x\\"])
def test_a_line_that_cannot_be_cut_is_refused(line: str) -> None:
    assert list(refusals(from_text(f"{SERVED} server t 127.0.0.1:82\n {line}"))) == [6]


@pytest.mark.parametrize(
    ("condition", "answer"),
    [
        ("", False),
        ("0", False),
        ("1", True),
        ("defined(HOST)", True),
        ("!defined(HOST) || streq(a,a)", True),
        ("strneq(a,a)", False),
        ("feature(OPENSSL)", None),
        ("feature(OPENSSL) && 0", False),
        ("feature(OPENSSL) || (1 && 1)", True),
        ("version_atleast(2.4)", None),
        ("nonsense", None),
        ("(1", None),
    ],
)
def test_conditions(condition: str, answer: bool | None) -> None:
    assert decided(condition, {"HOST": ""}) is answer


def test_blocks() -> None:
    text = f"""{SERVED}
 server s 127.0.0.1:81
.if defined(TWO)
 server t 127.0.0.1:82
.else
 server u 127.0.0.1:83
.endif
.if feature(OPENSSL)
 server v 127.0.0.1:84
.endif
"""
    found = from_text(text)
    assert [backend.name for backend in found.spec.pools[0].backends] == ["s", "u"]
    assert refusals(found) == {13: "stands under a condition that HAProxy alone can decide"}
    assert [entry.directive.at.line for entry in found.ruled(Ruling.IGNORED)] == [8]


@pytest.mark.parametrize(
    ("word", "expected_s"), [("500", 0.5), ("500ms", 0.5), ("5s", 5.0), ("2m", 120.0), ("1d", 86400.0), ("7us", 7e-6)]
)
def test_times(word: str, expected_s: float) -> None:
    assert seconds(word) == expected_s


@pytest.mark.parametrize("word", ["", "5 s", "1.5s", "5x", "-1"])
def test_no_times(word: str) -> None:
    with pytest.raises(ValueError, match="expected a time"):
        seconds(word)
