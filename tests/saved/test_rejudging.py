"""The judgements of a check, made again from its file: as they were, and where they differ."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lbcheck.cli import main
from lbcheck.history import Exchange, History
from lbcheck.judges.answers import all_answered
from lbcheck.judges.balance import takes_turns
from lbcheck.judges.counting import Pick, picks_a_minimum
from lbcheck.judges.delivery import bounded_outage, whole_body
from lbcheck.judges.health import Probe, keeps_pace, never_ejected
from lbcheck.judges.judging import JUDGES, judge
from lbcheck.saved.arguments import Reader, Unwritable, Writer
from lbcheck.saved.columns import Columns
from lbcheck.saved.lines import sealed
from lbcheck.saved.rejudging import judge_again
from lbcheck.spec.battery import battery
from lbcheck.spec.model import HealthCheck
from lbcheck.verdict import Call, Outcome, Verdict, decided, inconclusive
from tests.judges.made import answered, arrival, exchanges, history_of
from tests.saved.made import POOL, saved

pytestmark = pytest.mark.fast


def there_and_back(value: Any) -> Any:
    history = History()
    columns = Columns()
    data = json.loads(json.dumps(Writer(history, {}).write(value), allow_nan=False))
    return Reader(columns, columns.exchanges_at).read(data)


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        7,
        1.5,
        float("-inf"),
        "text",
        b"\x00\xff" * 200_000,
        [1, (2, "x"), {"a": 1, 2: (3,)}],
        frozenset({502, 503}),
        POOL,
        POOL.algorithm,
        HealthCheck(path="/up", unhealthy_threshold=4),
        Pick("c1-1", {"a": 1, "b": 0}, "b"),
        [Probe(1.0, 1.1, True), Probe(2.0, 2.5, False)],
        answered("a", 3, body=b"\x00"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_argument_survives_the_file(value: Any) -> None:
    assert there_and_back(value) == value


def test_every_part_of_the_battery_survives_the_file() -> None:
    for loaded in battery().values():
        spec = loaded.spec
        parts = [spec, *spec.pools, *spec.listeners, *(rule for each in spec.listeners for rule in each.rules)]
        actions = [each.default for each in spec.listeners]
        for part in (*parts, *actions, *(rule.then for each in spec.listeners for rule in each.rules)):
            assert there_and_back(part) == part


def test_what_has_no_form_is_said() -> None:
    with pytest.raises(Unwritable, match="an argument is a function, which has no form in a file"):
        Writer(History(), {}).write([lambda: 0])
    with pytest.raises(Unwritable, match="another history"):
        Writer(History(), {}).write(History())


def test_judgements_are_repeated_on_the_history_as_it_was(tmp_path: Path) -> None:
    history = history_of("abcabcabc")
    first = all_answered(history, history.exchanges)
    early = never_ejected(history, POOL, "a", 0.0, 100.0)
    history.append(arrival("b", 3))  # a repeat that nobody knew of then
    late = all_answered(history, history.exchanges)
    picks = picks_a_minimum([Pick("r0", {"a": 0, "b": 1}, "b")])
    pace = keeps_pace([Probe(1.0, 1.1, True)], HealthCheck(), 0.0)
    body = whole_body(history, history.exchanges[0], b"x", "a body")
    outage = bounded_outage(history, history.exchanges, began=2.0, bound=1.0)
    made = [first, early, late, picks, pace, body, outage]
    judged = judge_again(saved(tmp_path / "history.jsonl", history, made))
    assert sorted(a.then.judgement for a in judged.repeated) == sorted(verdict.judgement for verdict in made)
    assert not any(again.differs for again in judged.repeated)
    assert {a.then.outcome for a in judged.repeated} == {Outcome.HOLDS, Outcome.BROKEN, Outcome.INCONCLUSIVE}
    assert judged.outcome is Outcome.BROKEN


def test_a_judge_that_finds_otherwise_now_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    history = history_of("abcabcabc")
    path = saved(tmp_path / "history.jsonl", history, [takes_turns(history.exchanges, "abc")])
    monkeypatch.setitem(JUDGES, "takes_turns", lambda **_: inconclusive("takes_turns", "more", "too little"))
    assert main(["judge", str(path)]) == 12
    said = capsys.readouterr().out
    assert (
        "  inconclusive takes_turns: expected more; saw too little  [DIFFERS]\n    then holds: expected 3 back" in said
    )
    assert said.endswith("INCONCLUSIVE: 1 judgement, 1 not as then\n")


@pytest.mark.parametrize(
    ("backends", "code", "said"),
    [("abcabcabc", 0, "HOLDS: 1 judgement, all as then\n"), ("abcabcacb", 1, "BROKEN: 1 judgement, all as then\n")],
)
def test_exit_codes_are_the_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], backends: str, code: int, said: str
) -> None:
    history = history_of(backends)
    path = saved(tmp_path / "history.jsonl", history, [takes_turns(history.exchanges, "abc")])
    assert main(["judge", str(path)]) == code
    assert capsys.readouterr().out.endswith(said)


def test_what_cannot_be_repeated_is_said_with_its_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def asks_back(exchanges: list[Exchange], how: Any) -> Verdict:
        return decided(bool(exchanges and how), "asks_back", "an answer", "one")

    asked = judge(asks_back)
    monkeypatch.delitem(JUDGES, "asks_back")
    history = history_of("abc")
    unknown = replace(asked(exchanges("a"), 1), call=Call("gone", {}, None))
    path = saved(tmp_path / "h", history, [asked(exchanges("a"), len), decided(True, "control", "x", "y"), unknown])
    assert main(["judge", str(path)]) == 12
    said = capsys.readouterr().out
    assert "asks_back: expected an answer; saw one  [then holds; an argument is a builtin_function_or_method" in said
    assert "control: expected x; saw y  [then holds; it was not made from the history]" in said
    assert "asks_back: expected an answer; saw one  [then holds; this lbcheck has no judge gone]" in said


def test_a_judge_that_crashes_on_a_file_is_no_traceback(tmp_path: Path) -> None:
    path = saved(tmp_path / "h", history_of("abc"), [takes_turns(history_of("abc").exchanges, "abc")])
    records = [json.loads(line) for line in path.read_text().splitlines()]
    for record in records:
        del record["crc"]
        if record.get("kind") == "judgement":
            record["arguments"]["among"] = 7
    path.write_text("".join(sealed(records)))
    (again,) = judge_again(path).repeated
    assert again.now is None
    assert again.why.startswith("the judge takes_turns crashed on it: TypeError")


def test_a_bad_file_is_refused_by_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "h").write_text("GET / HTTP/1.1\n")
    assert main(["judge", str(tmp_path / "h")]) == 4
    assert capsys.readouterr().err.startswith(f"lbcheck: {tmp_path / 'h'}:1: expected the header of a saved history")
