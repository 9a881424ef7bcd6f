"""Checks against balancers: cells by their heaviest outcome, differences both ways, and what the texts tell."""

from __future__ import annotations

import json
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from lbcheck.report.certificate import certificate, differences, markdown, outcomes, to_json
from lbcheck.report.html import certificate_page
from lbcheck.report.model import CheckRecord, Environment, Judgement, Run

HOSTILE = '"><script>alert(1)</script>'


def record(check: str, subject: str, outcome: str, **more: object) -> CheckRecord:
    values = {"claim": f"What {check} claims.", "area": check[:3], "level": "core", **more}
    return CheckRecord(id=check, node=f"{check}[{subject}]", outcome=outcome, **values)  # type: ignore[arg-type]


def run(target: str, *checks: CheckRecord, version: str = "1.0") -> tuple[str, Run]:
    where = Environment(target=target, target_version=version, lbcheck="0.1", python="3.11", cpus=2)
    return target, Run("battery", "NOT CONFORMANT", 1, where, list(checks), duration_s=12.0)


SAW = Judgement("takes_turns", "broken", "a rotation", f"a a a {HOSTILE}")
TABLE = certificate(
    [
        run("one", record("ALG-01", "a", "holds"), record("ALG-01", "b", "unsupported", reason="no weights")),
        run(
            "two",
            record("ALG-01", "a", "holds"),
            record("ALG-01", "b", "broken", judgements=[SAW], evidence=["evidence/ALG-01-b/history.jsonl"]),
            record("STK-01", "c", "unsupported", reason="no cookies"),
        ),
    ]
)


def test_a_cell_is_the_heaviest_outcome_of_what_could_be_carried_out() -> None:
    turns, sticky = TABLE.rows
    assert turns.cells["one"].outcome == "holds"
    assert turns.cells["one"].cases == {"holds": 1, "unsupported": 1}
    assert turns.cells["one"].reason == "no weights"
    assert turns.cells["two"].outcome == "broken"
    assert turns.cells["two"].nodes == ["ALG-01[b]"]
    assert turns.cells["two"].evidence == ["two/evidence/ALG-01-b/history.jsonl"]
    assert sticky.cells["two"].outcome == "unsupported"
    assert "one" not in sticky.cells
    assert (TABLE.count("two", "broken"), TABLE.count("two", "broken", "extended")) == (1, 0)


def test_the_texts_tell_every_outcome_and_reason() -> None:
    text = markdown(TABLE)
    assert "| ALG-01 | core | holds (1 unsupported) | **broken** | What ALG-01 claims. |" in text
    assert "| STK-01 | core |  | unsupported | What STK-01 claims. |" in text
    assert "- unsupported: STK-01: no cookies" in text
    assert json.loads(json.dumps(to_json(TABLE)))["rows"][0]["cells"]["one"]["outcome"] == "holds"


def test_the_page_runs_nothing_and_links_to_the_runs() -> None:
    class Tags(HTMLParser):
        seen: list[str]
        links: list[str | None]

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.seen.append(tag)
            self.links.extend(value for name, value in attrs if name == "href")

    page = certificate_page(TABLE)
    tags = Tags()
    tags.seen, tags.links = [], []
    tags.feed(page)
    assert "script" not in tags.seen
    assert {"one/index.html", "two/index.html", "two/evidence/ALG-01-b/history.jsonl"} <= {
        str(link).removeprefix("./") for link in tags.links
    }
    assert all(not str(link).startswith(("http:", "javascript:")) for link in tags.links)
    assert "&lt;script&gt;" in page


def test_differences_are_told_both_ways() -> None:
    found = outcomes(TABLE)
    assert differences(found, found) == []
    changed = {"one 1.0": {"ALG-01": "broken", "ALG-02": "holds"}}
    assert differences(changed, found) == [
        "one 1.0: ALG-01 was expected to be broken, and is holds",
        "one 1.0: ALG-02 was expected to be holds, and is nothing",
        "two 1.0: nothing is expected of this version",
    ]


OUTCOMES = st.sampled_from(["holds", "broken", "inconclusive", "unsupported", "harness fault"])


@given(st.lists(OUTCOMES, min_size=1, max_size=5))
def test_a_cell_holds_only_where_nothing_else_was_found(found: list[str]) -> None:
    table = certificate([run("x", *(record("ALG-01", str(n), outcome) for n, outcome in enumerate(found)))])
    cell = table.rows[0].cells["x"]
    assert (cell.outcome == "holds") == (set(found) <= {"holds", "unsupported"} and "holds" in found)
    assert sum(cell.cases.values()) == len(found)
