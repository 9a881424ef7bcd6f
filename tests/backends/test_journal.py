"""The journal on disk: whole lines only, whatever the writer's fate."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from lbcheck.backends.journal import JournalFile, Tail
from lbcheck.history import Act, Event, Garbage


def acts(*names: str) -> list[Event]:
    return [Act(1.0, name) for name in names]


def test_a_tail_reads_what_was_added_since(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    tail = Tail(path)
    assert tail.read() == []
    journal = JournalFile(path)
    assert tail.read() == []
    journal(Act(1.0, "one"))
    journal(Garbage("a", 1, 2.0, b"\x00\n\xff", "no request line"))
    assert tail.read() == [Act(1.0, "one"), Garbage("a", 1, 2.0, b"\x00\n\xff", "no request line")]
    journal(Act(1.0, "two"))
    assert tail.read() == acts("two")
    assert tail.read() == []
    journal.close()


def test_a_line_torn_by_a_kill_is_passed_over_and_the_next_life_starts_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    journal = JournalFile(path)
    journal(Act(1.0, "one"))
    journal.close()
    with path.open("ab") as file:
        file.write(b'{"kind":"act","at":1.0,"wh')
    tail = Tail(path)
    assert tail.read() == acts("one")
    assert tail.torn == 0
    journal = JournalFile(path)
    journal(Act(1.0, "two"))
    journal.close()
    assert tail.read() == acts("two")
    assert tail.torn == 1


@given(st.lists(st.text(max_size=8), max_size=8), st.lists(st.integers(0, 400), max_size=8).map(sorted))
def test_a_journal_read_at_any_moment_gives_the_same_events(names: list[str], moments: list[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        whole, growing = Path(folder, "whole"), Path(folder, "growing")
        journal = JournalFile(whole)
        for name in names:
            journal(Act(1.0, name))
        journal.close()
        data = whole.read_bytes()
        tail = Tail(growing)
        events: list[Event] = []
        for moment in [*moments, len(data)]:
            growing.write_bytes(data[:moment]) if moment >= (
                growing.stat().st_size if growing.exists() else 0
            ) else None
            events += tail.read()
    assert events == acts(*names)
    assert tail.torn == 0
