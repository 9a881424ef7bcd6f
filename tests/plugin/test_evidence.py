"""Evidence: without secrets, bounded, and still readable as a history."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from lbcheck.history import Act, Arrival, Exchange, History
from lbcheck.judges.delivery import none_cross_wired
from lbcheck.plugin.evidence import LEAST, Room, clipped, folder_name, history_lines, shown_size, write
from lbcheck.plugin.settings import EVIDENCE_LIMIT
from lbcheck.saved.columns import Columns
from lbcheck.saved.rejudging import judge_again
from lbcheck.verdict import Outcome
from tests.saved.made import HEADING

pytestmark = pytest.mark.fast

HEAD = b"GET / HTTP/1.1\r\nHost: a\r\nCookie: AWSALB=abc\r\nauthorization : Bearer s3cr3t\r\n\r\n"


def read_back(path: Path, lines: Iterable[str]) -> Columns:
    path.write_text("".join(lines))
    return judge_again(path).history


def history() -> History:
    exchange = Exchange(
        "c1", "public", "GET", "/", "127.0.0.1", "k", 0, 1.0, HEAD, headers=(("Set-Cookie", "sid=1"), ("X", "y"))
    )
    return History([exchange, Arrival("b1", 1, 0, 1.1, "c1", "GET", "/", HEAD, "127.0.0.1:1")])


def test_credentials_never_reach_a_file_and_cookies_only_where_they_are_the_subject(tmp_path: Path) -> None:
    plain = read_back(tmp_path / "plain", history_lines(history(), HEADING, keep_cookies=False))
    exchange, arrival = plain.exchanges[0], plain.arrivals[0]
    for head in (exchange.request, arrival.head):
        assert head == HEAD.replace(b"AWSALB=abc", b"[redacted]").replace(b"Bearer s3cr3t", b"[redacted]").replace(
            b"Cookie: ", b"Cookie: "
        )
    assert exchange.headers == (("Set-Cookie", "[redacted]"), ("X", "y"))
    kept = read_back(tmp_path / "kept", history_lines(history(), HEADING, keep_cookies=True))
    assert b"AWSALB=abc" in kept.exchanges[0].request
    assert b"s3cr3t" not in kept.exchanges[0].request
    assert kept.exchanges[0].header("Set-Cookie") == "sid=1"


def test_a_history_that_is_too_long_keeps_its_ends_and_says_what_is_missing(tmp_path: Path) -> None:
    long = History(Act(float(n), "step", detail="x" * 50) for n in range(1000))
    verdict = none_cross_wired(long, [])
    first, *lines = history_lines(long, HEADING, [verdict], keep_cookies=False, limit=10_000)
    assert sum(len(line) for line in lines) < 11_000
    (tmp_path / "long").write_text("".join([first, *lines]))
    judged = judge_again(tmp_path / "long")
    assert [again.why for again in judged.repeated] == ["the history was too large to be kept whole"]
    assert judged.outcome is Outcome.INCONCLUSIVE
    acts = judged.history.of(Act)
    left_out = next(act for act in acts if act.what == "left-out")
    assert left_out.detail == f"{1000 - (len(acts) - 1)} events, too many to keep"
    assert (acts[0].at, acts[-1].at) == (0.0, 999.0)


def test_long_texts_keep_their_ends() -> None:
    text = clipped("a" * 500 + "b" * 500, 100)
    assert text.startswith("a" * 50 + "\n[... 900 characters left out")
    assert text.endswith("b" * 50)


@pytest.mark.parametrize(
    ("node", "folder"), [("FLO-09[api]", "FLO-09-api"), ("A-1[../../x y]", "A-1-..-..-x-y"), ("A[" + "x" * 300, None)]
)
def test_a_node_is_one_folder(node: str, folder: str | None) -> None:
    name = folder_name(node)
    assert folder is None or name == folder
    assert "/" not in name
    assert len(name) <= 120


def test_files_stay_inside_the_folder(tmp_path: Path) -> None:
    names = write(
        tmp_path,
        "A-1[x]",
        Room(EVIDENCE_LIMIT),
        history=history_lines(history(), HEADING, keep_cookies=False),
        log="started\x00",
        files={"../../haproxy.cfg": "balance", "sub/a.conf": "b", "empty": ""},
    )
    assert names == [f"evidence/A-1-x/{n}" for n in ("history.jsonl", "target.log", "haproxy.cfg", "sub-a.conf")]
    assert sorted(p.name for p in (tmp_path / "evidence" / "A-1-x").iterdir()) == sorted(
        n.split("/")[-1] for n in names
    )


def kept(folder: Path, node: str, room: Room, size: int) -> list[str]:
    """Evidence of about so many bytes."""
    long = History(Act(float(n), "step", detail="x" * 100) for n in range(size // 150))
    lines = history_lines(long, HEADING, keep_cookies=False, limit=room.history_limit)
    return write(folder, node, room, history=lines, log="y" * size, files={"lb.cfg": "z" * size})


def test_evidence_of_a_whole_run_is_bounded(tmp_path: Path) -> None:
    room = Room(1 << 20)
    written = [kept(tmp_path, f"A-{n}[x]", room, 300_000) for n in range(20)]
    size = sum(file.stat().st_size for file in tmp_path.rglob("*") if file.is_file())
    assert size <= 1 << 20
    assert written[0]
    assert written[-1] == []
    assert room.unkept == "left out: the run's evidence has reached its limit of 1M (--lb-evidence-limit)"


def test_workers_share_the_limit_and_what_is_left_is_never_negative(tmp_path: Path) -> None:
    room = Room(1 << 20, 4)
    assert room.left == 1 << 18
    for n in range(10):
        kept(tmp_path, f"A-{n}[x]", room, 200_000)
    assert 0 <= room.left < LEAST


@pytest.mark.parametrize(("size", "shown"), [(256 << 20, "256M"), (1 << 30, "1G"), (3 << 10, "3K"), (1500, "1500")])
def test_a_size_is_shown_as_it_is_given(size: int, shown: str) -> None:
    assert shown_size(size) == shown
