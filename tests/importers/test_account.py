"""Every directive is understood, ignored or refused, each exactly once; what is not known is refused."""

from __future__ import annotations

from collections import Counter
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbcheck.errors import Location
from lbcheck.importers.directive import Directive, Imported, Ledger, Ruling
from lbcheck.importers.files import imported
from lbcheck.importers.haproxy.reading import read

from .production import FOLDER, SOURCES, from_fixture, from_text, refusals, texts

pytestmark = pytest.mark.fast
UNKNOWN = st.from_regex(r"zz[a-z]{1,6}(-[a-z]{1,4})?( [a-z0-9]{1,5}){0,2}", fullmatch=True)


def lines_that_speak(text: str) -> int:
    return sum(bool(line.partition("#")[0].strip()) for line in text.splitlines())


def read_texts(files: list[tuple[str, str]]) -> Imported:
    hosts = (FOLDER / "platform" / "conf.d" / "hosts.map").read_text().splitlines()[1:]
    return read(files, {}, lambda _: hosts)


@cache
def undisturbed(name: str) -> Imported:
    return read_texts(texts(name))


@pytest.mark.parametrize("name", SOURCES)
def test_each_line_has_one_entry(name: str) -> None:
    found = from_fixture(name)
    places = Counter(str(entry.directive.at) for entry in found.entries)
    assert set(places.values()) == {1}
    assert len(places) == sum(lines_that_speak(text) for _, text in texts(name))


@pytest.mark.parametrize("name", SOURCES)
@settings(max_examples=40)
@given(data=st.data(), words=UNKNOWN)
def test_an_unknown_directive_is_refused_wherever_it_stands(name: str, data: st.DataObject, words: str) -> None:
    files = texts(name)
    number = data.draw(st.integers(0, len(files) - 1))
    file, text = files[number]
    lines = text.splitlines()
    at = data.draw(st.integers(0, len(lines)))
    injected = (file, "\n".join([*lines[:at], words, *lines[at:]]))
    before, after = undisturbed(name), read_texts([*files[:number], injected, *files[number + 1 :]])
    own = [entry for entry in after.entries if str(entry.directive) == words]
    assert [(entry.ruling, entry.directive.at.line) for entry in own] == [(Ruling.REFUSED, at + 1)]
    assert own[0].reason
    rest = [entry for entry in after.entries if entry is not own[0]]
    assert [(e.ruling, str(e.directive)) for e in rest] == [(e.ruling, str(e.directive)) for e in before.entries]
    assert after.spec == before.spec


@settings(max_examples=20)
@given(data=st.data(), word=st.from_regex(r"zz[a-z]{1,6}", fullmatch=True))
def test_an_unknown_word_on_a_server_is_refused_with_its_line(data: st.DataObject, word: str) -> None:
    lines = texts("shop")[0][1].splitlines()
    at = data.draw(st.sampled_from([n for n, line in enumerate(lines) if line.strip().startswith("server ")]))
    lines[at] += f" {word}"
    assert f"{word}: not known" in refusals(read([("haproxy.cfg", "\n".join(lines))]))[at + 1]


def test_a_refusal_outweighs_what_was_understood_elsewhere() -> None:
    text = "defaults\n mode http\nlisten a\n bind 127.0.0.1:80\n server s 127.0.0.1:81 check track b/c\n"
    assert refusals(from_text(text)) == {5: "track: its health is another server's"}


def test_what_nobody_ruled_on_is_refused() -> None:
    line = Directive(("word",), Location("file", 1))
    (entry,) = Ledger().entries([line])
    assert (entry.ruling, entry.reason) == (Ruling.REFUSED, "not known")


def test_files_of_a_folder_are_read_by_name() -> None:
    found = imported([SOURCES["platform"]], "haproxy", {})
    assert list(dict.fromkeys(entry.directive.at.file for entry in found.entries)) == [
        str(SOURCES["platform"] / name) for name in ("00-base.cfg", "10-edge.cfg", "20-services.cfg")
    ]
