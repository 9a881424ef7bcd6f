"""The page as text: one file, the same for the same run, with everything where a reader looks for it."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import os
import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from lbcheck.errors import LbcheckError
from lbcheck.report import write
from lbcheck.report.html import coded, figures, file_link, judgements, page, seconds, subject, web_link
from lbcheck.report.model import CheckRecord, Coverage, Environment, Judgement, Run
from lbcheck.report.text import FIELD
from lbcheck.verdict import Outcome

from .hostile_run import HOSTILE, hostile
from .sample_run import gate, record, sample


class Outline(HTMLParser):
    """Ids, links and unclosed elements of a page."""

    VOID = frozenset({"meta", "input", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attributes}
        self.ids += [values["id"]] if "id" in values else []
        self.links += [values["href"]] if "href" in values else []
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """`<circle .../>` is over at once."""

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize(
    "run", [sample(), gate(), hostile(), Run("battery", "no check was decided", 11, Environment(), [])]
)
def test_the_page_is_well_formed(run: Run) -> None:
    outline = Outline(page(run))
    assert outline.open == []
    assert len(outline.ids) == len(set(outline.ids))
    assert {link[1:] for link in outline.links if link.startswith("#")} <= set(outline.ids)


def test_the_same_run_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = write(sample(), tmp_path / "a"), write(sample(), tmp_path / "b")
    assert set(first) == {"html", "json", "conformance"}
    for kind in first:
        assert first[kind].read_bytes() == second[kind].read_bytes()
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [
        "conformance.yaml",
        "index.html",
        "run.json",
    ]


def test_the_sample_in_the_repository_is_what_the_command_writes(tmp_path: Path) -> None:
    kept = Path(__file__).parents[2] / "reports" / "sample"
    for path in write(sample(), tmp_path).values():
        assert path.read_text("utf-8") == (kept / path.name).read_text("utf-8")


def test_the_policy_allows_our_style_and_our_script_alone() -> None:
    text = page(sample())
    policy = unescape(re.findall(r'Content-Security-Policy" content="([^"]*)"', text)[0])
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    for element in ("style", "script"):
        (content,) = re.findall(rf"<{element}>(.*?)</{element}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{element}-src 'sha256-{digest}'" in policy


def test_a_fast_clock_is_told_and_so_is_one_that_could_not_be_had() -> None:
    def told(**where: Any) -> str:
        return page(dataclasses.replace(run, environment=dataclasses.replace(run.environment, **where)))

    run, deaf = sample(), "it asks the kernel"
    assert "time warp <" in told(warp=30)
    assert f"no time warp: {deaf}" in told(real_time=deaf)
    assert "time warp <" not in told()
    assert "no time warp" not in told()


def test_a_huge_run_stays_small() -> None:
    assert len(page(hostile("x" * 1_000_000))) < 400 * FIELD
    many = dataclasses.replace(sample(), checks=sample().checks * 20)
    assert len(page(many)) < 4_000_000


def test_each_check_has_its_own_deep_link() -> None:
    nodes = ["ALG-01[a/b]", "ALG-01[a b]", "ALG-01[ä]", "verdict", "", "../../x", "search"]
    run = dataclasses.replace(
        sample(), checks=[dataclasses.replace(record("ALG-01", "c"), node=node) for node in nodes]
    )
    ids = Outline(page(run)).ids
    assert [link for link in ids if link.startswith(("ALG-01", "check-"))] == [
        "check-", "check-x", "ALG-01-a-b..2", "ALG-01-a-b", "ALG-01", "check-search", "check-verdict",
    ]  # fmt: skip
    assert ids.count("verdict") == 1


@pytest.mark.parametrize("outcome", [outcome.value for outcome in Outcome])
def test_every_outcome_has_an_icon_and_a_word(outcome: str) -> None:
    text = page(dataclasses.replace(sample(), checks=[record("ALG-01", "c", outcome)]))
    icons = set(re.findall(r'href="#(icon-[a-z-]+)"', text))
    assert len(icons) == 1
    assert f'<symbol id="{icons.pop()}"' in text
    assert f"<span>{outcome}</span>" in text


def test_what_was_not_decided_is_told_by_reason() -> None:
    reason = "the target lacks drain"
    checks = [record("FLO-09", "c", "unsupported", subject=s, features=["drain"]) for s in ("a", "b")]
    text = page(dataclasses.replace(sample(), checks=checks))
    assert len(re.findall(f"<dt>{reason}</dt>", text)) == 1
    assert re.search(rf"<dt>{reason}</dt>\s*<dd>.*FLO-09\[a\].*FLO-09\[b\]", text)
    assert "Every check that was claimed has been decided" not in text
    assert "Every check that was claimed has been decided" in page(
        dataclasses.replace(sample(), checks=[record("A-1", "c")])
    )


def test_a_self_consistency_run_says_what_it_is() -> None:
    text = page(dataclasses.replace(sample(), mode="self-consistency", headline="CONFORMANT"))
    assert "CONFORMANT" not in text
    assert "A file cannot contradict itself" in text


def test_a_folder_that_cannot_be_written_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LbcheckError, match=r"index\.html cannot be written: .*\n.*--lb-report-dir"):
        write(sample(), tmp_path / "file" / "reports")


def test_a_report_is_replaced_through_no_link(tmp_path: Path) -> None:
    """A link that waits in the report's folder must not lead the writing elsewhere."""
    victim = tmp_path / "victim"
    victim.write_text("mine")
    folder = tmp_path / "reports"
    folder.mkdir()
    for name in ("index.html", f".index.html.{os.getpid()}"):
        (folder / name).symlink_to(victim)
    write(sample(), folder)
    assert victim.read_text() == "mine"
    assert not (folder / "index.html").is_symlink()


@pytest.mark.parametrize(
    ("duration_s", "text"),
    [(0.0, "0 ms"), (0.34, "340 ms"), (12.34, "12.3 s"), (125.0, "2 min 05 s"), (-1.0, "-"), (float("nan"), "-")],
)
def test_durations(duration_s: float, text: str) -> None:
    assert seconds(duration_s) == text


def test_figures_leave_out_what_is_drawn() -> None:
    values: dict[str, object] = {
        "n": 12_000,
        "alpha": 1e-6,
        "p": 0.123456,
        "ok": True,
        "none": None,
        "names": ["a", 1],
        "counts": {},
        "share": {},
    }
    assert figures(values) == [
        ("n", "12,000"), ("alpha", "1e-6"), ("p", "0.1235"), ("ok", "yes"), ("none", "-"), ("names", "a, 1"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "markup"),
    [
        ("a `b` c", "a <code>b</code> c"),
        ("`<b>`", "<code>&lt;b&gt;</code>"),
        ("one ` is no code", "one ` is no code"),
        ("plain <b>", "plain &lt;b&gt;"),
    ],
)
def test_backticks_become_code(text: str, markup: str) -> None:
    assert coded(text) == markup


@pytest.mark.parametrize(
    "text", ["javascript:alert(1)", "RFC 9112 6.3", "//x.example", 'http://x/"a', "http://x/ a", HOSTILE]
)
def test_only_a_plain_address_becomes_a_link(text: str) -> None:
    assert web_link(text) is None
    assert web_link("https://www.rfc-editor.org/rfc/rfc9112.html#section-6.3") is not None


@pytest.mark.parametrize(
    ("path", "link"),
    [
        ("evidence/ALG-01-api/history.jsonl", "./evidence/ALG-01-api/history.jsonl"),
        ("evidence/a b[c]/x", "./evidence/a%20b%5Bc%5D/x"),
        ("javascript:alert(1)", "./javascript%3Aalert%281%29"),
        ("../../etc/passwd", None),
        ("/etc/passwd", None),
        ("a\x00b", None),
    ],
)
def test_evidence_links_stay_below_the_report(path: str, link: str | None) -> None:
    assert file_link(path) == link


def test_an_unreadable_timeline_says_so() -> None:
    broken: list[dict[str, Any]] = [
        {"lanes": ["a"]},
        {"lanes": 3, "requests": 4},
        {"lanes": ["a"], "until_s": float("inf")},
        {"lanes": ["a"], "until_s": "x"},
    ]
    for events in broken:
        checks = [CheckRecord("A-1", "A-1[a]", "c", "A", "core", "holds", timeline=events)]
        assert "cannot be read" in page(dataclasses.replace(sample(), checks=checks))


def test_a_crowd_of_judgements_is_bounded_and_what_is_against_the_target_is_told() -> None:
    held = [Judgement(f"held_{n}", "holds", "e", "s") for n in range(200)]
    crowd = dataclasses.replace(
        record("RTE-19", "c", "broken"), judgements=[*held, Judgement("acts", "broken", "e", "s")]
    )
    told, left_out = judgements(crowd)
    assert [j.judgement for j in told] == [*(f"held_{n}" for n in range(6)), "acts"]
    assert left_out == 194
    assert "194 more judgements told in run.json" in page(dataclasses.replace(sample(), checks=[crowd]))


@pytest.mark.parametrize(
    ("subject_", "node", "said"),
    [
        ("pool web", "HLT-08[failover-health/web]", "pool web in failover-health"),
        ("rule public/all", "RTE-11[routing/public/all]", "rule public/all in routing"),
        ("rule public/all", "RTE-11[public/all]", "rule public/all"),
        ("pool api", "ALG-01[api]", "pool api"),
        ("spec", "FLO-01", "spec"),
    ],
)
def test_a_subject_names_its_document(subject_: str, node: str, said: str) -> None:
    assert subject(dataclasses.replace(record("A-1", "c"), subject=subject_, node=node)) == said


def test_the_gate_shows_what_was_exercised_and_where_a_failure_is_configured() -> None:
    text = page(gate())
    assert '<dt>Directive</dt><dd><code>lb.cfg:12</code> <span class="text">spread random</span></dd>' in text
    assert "<strong>nothing</strong>, but by checks that decided nothing: <code>HLT-07</code>" in text
    assert "lb.yaml cannot say it: answers are compressed" in text
    assert "<em>queue: 5s</em>" in text
    assert "No effect on claims" in text
    assert 'href="#coverage"' in text
    assert 'id="coverage"' not in page(sample())


def test_a_configuration_that_no_importer_reads_is_told() -> None:
    unread = dataclasses.replace(gate(), coverage=Coverage(unread="no importer reads it"))
    assert "Which directives were exercised is not known: no importer reads it" in page(unread)
