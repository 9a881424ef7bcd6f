"""Every directive of nginx's is understood, ignored or refused, each exactly once; what is not known is refused."""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbcheck.errors import LbcheckError, UsageError
from lbcheck.importers.directive import Imported, Ruling
from lbcheck.importers.nginx import known
from lbcheck.importers.nginx.parsing import Node, parse
from lbcheck.importers.nginx.reading import read
from lbcheck.importers.writing import lb_yaml
from lbcheck.spec.loading import loads

from .production import NGINX, from_nginx, in_http, refusals

pytestmark = pytest.mark.fast
NAME = r"zz[a-z]{1,6}(_[a-z]{1,4})?"
DATA = ("map", "geo", "split_clients", "types")  # there a line of two words says something, whatever they are
UNKNOWN = {
    "simple": st.from_regex(rf"{NAME}( [a-z0-9]{{1,5}}){{0,2}};", fullmatch=True),
    "block": st.from_regex(rf"{NAME}( [a-z0-9]{{1,5}})? \{{ \}}", fullmatch=True),
    "data": st.from_regex(rf"{NAME}(( [a-z0-9]{{1,5}}){{2,3}})?;", fullmatch=True),
}


def places(nodes: tuple[Node, ...], outer: str = "") -> dict[tuple[str, int], str]:
    """Lines before which a directive may stand, with the block around it."""
    found: dict[tuple[str, int], str] = {}
    for node in nodes:
        found.setdefault((node.at.file, node.at.line), outer)
        found |= places(node.block or (), node.name)
    return found


@cache
def undisturbed(name: str) -> Imported:
    return read(NGINX[name])


@pytest.mark.parametrize("name", NGINX)
def test_each_directive_has_one_entry(name: str) -> None:
    found = undisturbed(name)
    entries = Counter(entry.directive.place for entry in found.entries)
    assert set(entries.values()) == {1}
    assert {entry.directive.place for entry in found.entries} == {d.place for d in parse(NGINX[name]).directives}


@pytest.mark.parametrize("name", NGINX)
@settings(max_examples=40)
@given(data=st.data())
def test_an_unknown_directive_is_refused_wherever_it_stands(name: str, data: st.DataObject) -> None:
    where = places(parse(NGINX[name]).nodes)
    (file, line), outer = data.draw(st.sampled_from(sorted(where.items())))
    words = data.draw(UNKNOWN["data"] if outer in DATA else st.one_of(UNKNOWN["simple"], UNKNOWN["block"]))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "copy"
        shutil.copytree(NGINX[name].parent, folder)
        injected = folder / Path(file).relative_to(NGINX[name].parent)
        lines = injected.read_text().splitlines()
        injected.write_text("\n".join([*lines[: line - 1], words, *lines[line - 1 :]]))
        after = read(folder / "nginx.conf")
    before = undisturbed(name)
    own = [entry for entry in after.entries if entry.directive.words[0].startswith("zz")]
    if outer == "types" and len(own[0].directive.words) > 1:
        return  # a media type with its endings
    assert [(e.ruling, e.directive.at.file, e.directive.at.line) for e in own] == [
        (Ruling.REFUSED, str(injected), line)
    ]
    assert own[0].reason
    rest = [entry for entry in after.entries if entry is not own[0]]
    assert [(e.ruling, str(e.directive)) for e in rest] == [(e.ruling, str(e.directive)) for e in before.entries]
    assert after.spec == before.spec


ODD = st.sampled_from(
    ["0", "-1", "off", "on", "$x", "$uri", "99999999", "~", "~^(", "=", "/", "*", "http://$x", "auto", "''"]
)


@pytest.mark.parametrize("name", NGINX)
@settings(max_examples=40)
@given(data=st.data())
def test_odd_words_are_told_and_never_break_the_reading(name: str, data: st.DataObject) -> None:
    """Whatever stands in a directive, each has one entry, and what is written loads."""
    files = [file for file in sorted(NGINX[name].parent.rglob("*.conf")) if file.read_text().strip()]
    file = data.draw(st.sampled_from(files))
    text = file.read_text()
    word = data.draw(st.sampled_from(list(re.finditer(r"(?<=[ ])[^ ;{}#\n]+(?=[ ;])", text)) or [re.match("", text)]))
    new = data.draw(st.one_of(ODD, st.just("")))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "copy"
        shutil.copytree(NGINX[name].parent, folder)
        (folder / file.relative_to(NGINX[name].parent)).write_text(text[: word.start()] + new + text[word.end() :])
        try:
            found = read(folder / "nginx.conf")
        except LbcheckError:
            return  # nothing listens any longer, or a brace is missing
        assert max(Counter(entry.directive.place for entry in found.entries).values()) == 1
        assert loads(lb_yaml(found, "pytest")).spec == found.spec


@pytest.mark.parametrize("name", NGINX)
@settings(max_examples=60)
@given(data=st.data())
def test_known_directives_with_odd_words_never_break_the_reading(name: str, data: st.DataObject) -> None:
    (file, line), _ = data.draw(st.sampled_from(sorted(places(parse(NGINX[name]).nodes).items())))
    known_word = data.draw(st.sampled_from(sorted(known.READ | known.REFUSED.keys() | known.IGNORED.keys())))
    words = " ".join([known_word, *data.draw(st.lists(ODD, max_size=2))])
    end = data.draw(st.sampled_from([";", " { }", " { return 204; }"]))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "copy"
        shutil.copytree(NGINX[name].parent, folder)
        injected = folder / Path(file).relative_to(NGINX[name].parent)
        lines = injected.read_text().splitlines()
        injected.write_text("\n".join([*lines[: line - 1], f"{words}{end}", *lines[line - 1 :]]))
        found = read(folder / "nginx.conf")
    own = [e for e in found.entries if e.directive.at.file == str(injected) and e.directive.at.line == line]
    assert len(own) == 1 + ("return" in end)
    assert loads(lb_yaml(found, "pytest")).spec == found.spec


def test_directives_of_one_line_are_told_apart(tmp_path: Path) -> None:
    found = in_http("server { listen 80; zzz on; location / { return 204; zzz on; } }", tmp_path)
    assert [entry.directive.nth for entry in found.ruled(Ruling.REFUSED)] == [2, 5]


def test_what_stands_in_a_refused_block_is_refused_with_it(tmp_path: Path) -> None:
    text = (
        "events {}\nhttp { server { listen 80; return 204; } }\nstream {\n server {\n listen 1; proxy_pass a:1; }\n}\n"
    )
    assert sorted({entry.directive.at.line for entry in from_nginx(text, tmp_path).ruled(Ruling.REFUSED)}) == [3, 4, 5]


def test_a_file_that_is_included_twice_has_one_entry_a_line(tmp_path: Path) -> None:
    text = (
        "events {}\nhttp {\n server { listen 80; include part.conf; }\n server { listen 81; include part.conf; }\n}\n"
    )
    found = from_nginx(text, tmp_path, part_conf="return 204;\nzzz;\n")
    assert [entry.ruling for entry in found.entries if entry.directive.at.file.endswith("part.conf")] == [
        Ruling.UNDERSTOOD,
        Ruling.REFUSED,
    ]
    assert len(found.spec.listeners) == 2


def test_a_file_that_is_not_there_is_told_with_its_line(tmp_path: Path) -> None:
    found = in_http("include gone.conf;\ninclude none/*.conf;\nserver { return 204; }", tmp_path)
    assert refusals(found) == {2: "there is no such file, and nginx does not start without it"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("events {}\nhttp {\n server {\n", r"nginx.conf:\d: unexpected end of file, expecting \"}\""),
        ("events {}\n}\n", r"nginx.conf:2: unexpected \"}\""),
        ("events {}\nhttp {}\n", "expected a server in an http block"),
        ("events {}\nhttp { server { listen unix:/run/x; } }\n", "expected a server that listens on a network address"),
        ("include nginx.conf;\n", "nginx.conf includes itself"),
    ],
)
def test_what_nginx_would_not_start_with_is_told(text: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(LbcheckError, match=told):
        from_nginx(text, tmp_path)


def test_a_missing_crossplane_is_told_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "crossplane", None)
    with pytest.raises(UsageError, match=r"pip install 'lbcheck\[nginx\]'"):
        read(NGINX["shop"])
