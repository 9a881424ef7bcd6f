"""A saved history that was touched is refused with its line, or reads as it did; never a crash."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lbcheck.errors import HistoryError
from lbcheck.judges.answers import all_answered
from lbcheck.judges.balance import takes_turns
from lbcheck.saved.lines import SCHEMA, sealed, unsealed
from lbcheck.saved.rejudging import Judged, judge_again, lines_of
from tests.judges.made import history_of
from tests.saved.made import saved

pytestmark = pytest.mark.fast

quietly = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    history = history_of("abcabcabc")
    verdicts = [all_answered(history, history.exchanges), takes_turns(history.exchanges, "abc")]
    return saved(tmp_path_factory.mktemp("saved") / "history.jsonl", history, verdicts).read_bytes()


def read(path: Path, data: bytes) -> list[str] | HistoryError:
    path.write_bytes(data)
    try:
        return list(lines_of(judge_again(path)))
    except HistoryError as error:
        return error


def line_of(error: HistoryError) -> int:
    assert error.at is not None
    assert str(error).startswith(f"{error.at.file}:{error.at.line}: ")
    assert error.remedy
    return error.at.line


def of_lines(change: Callable[[list[bytes], int], list[bytes]]) -> Callable[[bytes, int], bytes]:
    def changed(data: bytes, place: int) -> bytes:
        lines = data.splitlines(keepends=True)
        return b"".join(change(lines, place % len(lines)))

    return changed


TOUCHES: dict[str, Callable[[bytes, int], bytes]] = {
    "cut": lambda data, place: data[:place],
    "a byte less": lambda data, place: data[:place] + data[place + 1 :],
    "a bit flipped": lambda data, place: data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :],
    "a byte doubled": lambda data, place: data[:place] + data[place : place + 1] + data[place:],
    "a line less": of_lines(lambda lines, n: lines[:n] + lines[n + 1 :]),
    "a line doubled": of_lines(lambda lines, n: lines[: n + 1] + lines[n:]),
    "two lines swapped": of_lines(lambda lines, n: [*lines[:n], *reversed(lines[n : n + 2]), *lines[n + 2 :]]),
    "something after it": lambda data, place: data + data[:place],
    "nonsense instead": lambda data, place: data[place::-1],
}


@quietly
@given(how=st.sampled_from(sorted(TOUCHES)), place=st.integers(0, 1 << 20))
def test_whatever_is_done_to_a_file_is_refused_with_its_line_or_changes_nothing(
    whole: bytes, tmp_path: Path, how: str, place: int
) -> None:
    touched = TOUCHES[how](whole, place % len(whole))
    came = read(tmp_path / "touched", touched)
    if isinstance(came, HistoryError):
        same = 0
        for left, right in zip(whole.splitlines(keepends=True), touched.splitlines(keepends=True), strict=False):
            if left != right:
                break
            same += 1
        assert line_of(came) == same + 1
    else:
        assert came == read(tmp_path / "whole", whole)


values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=4,
)


@quietly
@given(line=st.integers(0, 60), spot=st.integers(0, 60), value=values, remove=st.booleans())
@example(line=0, spot=6, value=[None], remove=False)  # left_out
@example(line=0, spot=8, value=[None], remove=False)  # redacted
def test_a_sealed_file_with_foreign_content_is_refused_with_its_line_or_judged(
    whole: bytes, tmp_path: Path, line: int, spot: int, value: Any, remove: bool
) -> None:
    records = [json.loads(text) for text in whole.splitlines()]
    for record in records:
        del record["crc"]
    record = records[line % len(records)]
    key = sorted(record)[spot % len(record)]
    if remove:
        del record[key]
    else:
        record[key] = value
    came = read(tmp_path / "foreign", "".join(sealed(each for each in records if each)).encode())
    assert isinstance(came, list) or 1 <= line_of(came) <= len(records) + 1


@pytest.mark.parametrize(
    ("data", "line", "said"),
    [
        (b"", 1, "got an empty file"),
        (b"\x7fELF\x02\x01\x01\x00", 1, "expected the header of a saved history"),
        (b'{"version": 1}\n', 1, "expected the header of a saved history"),
        (b'{"schema": "lbcheck-history/1"}\n', 1, f"expected schema {SCHEMA}, got 'lbcheck-history/1'"),
        (
            b'{"schema": "lbcheck-history/9", "lbcheck": "4.0"}\n',
            1,
            "judge it with the lbcheck that wrote it, which is 4.0",
        ),
        (b"[" * 100_000, 1, "expected the header of a saved history"),
    ],
)
def test_foreign_files_and_other_versions_are_refused(tmp_path: Path, data: bytes, line: int, said: str) -> None:
    came = read(tmp_path / "foreign", data)
    assert isinstance(came, HistoryError)
    assert line_of(came) == line
    assert said in str(came)


@pytest.mark.parametrize("name", ["none.jsonl", "."])
def test_what_is_no_file_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(HistoryError, match="cannot be read: "):
        judge_again(tmp_path / name)


def test_a_truncated_file_says_so(whole: bytes, tmp_path: Path) -> None:
    lines = whole.splitlines(keepends=True)
    within, between = read(tmp_path / "a", whole[:-30]), read(tmp_path / "b", b"".join(lines[:-1]))
    assert re.search(rf":{len(lines)}: the file ends within this line: it is truncated", str(within))
    assert re.search(rf":{len(lines)}: the file ends here, before its last line: it is truncated", str(between))


def test_what_is_sealed_is_unsealed(tmp_path: Path) -> None:
    records: list[dict[str, Any]] = [{"schema": SCHEMA}, {"kind": "é\u2028"}, {"kind": "end"}]
    (tmp_path / "f").write_text("".join(sealed(records)))
    assert [record for _, record in unsealed(tmp_path / "f")] == records
    assert all("crc" in json.loads(line) for line in (tmp_path / "f").read_text().splitlines())


def test_lines_are_told_apart_from_judgements(whole: bytes, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(whole)
    judged: Judged = judge_again(tmp_path / "f")
    assert len(judged.history) == 18
    assert [again.then.judgement for again in judged.repeated] == ["all_answered", "takes_turns"]
