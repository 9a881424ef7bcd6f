"""Every public judge is one by name, and its verdict says with what it was asked."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

import pytest

from lbcheck import judges
from lbcheck.history import Act, History
from lbcheck.judges.balance import takes_turns
from lbcheck.judges.delivery import none_cross_wired
from lbcheck.judges.draws import picks_are_independent
from lbcheck.judges.judging import JUDGES, judge
from lbcheck.judges.routing import refused_or_as
from lbcheck.verdict import Verdict, decided
from tests.judges.made import exchanges

pytestmark = pytest.mark.fast


def test_every_public_function_that_gives_a_verdict_is_a_judge() -> None:
    for module in pkgutil.iter_modules(judges.__path__, f"{judges.__name__}."):
        for name, function in inspect.getmembers(importlib.import_module(module.name), inspect.isfunction):
            if function.__module__ == module.name and function.__annotations__.get("return") == "Verdict":
                assert name.startswith("_") or name in JUDGES, f"{module.name}.{name} lacks @judge"


def test_a_verdict_says_who_was_asked_and_with_what() -> None:
    growing = exchanges("ababab")
    verdict = takes_turns(growing, (name for name in "ab"))
    asked = list(growing)
    growing.append(asked[0])
    assert verdict.holds
    assert verdict.call is not None
    assert verdict.call.judge == "takes_turns"
    assert verdict.call.arguments == {"exchanges": asked, "among": ["a", "b"]}
    assert verdict.call.events is None


def test_a_history_is_noted_with_the_events_that_it_had() -> None:
    history = History([Act(0.0, "settled"), Act(1.0, "kill")])
    verdict = none_cross_wired(history, [])
    history.append(Act(2.0, "heal"))
    assert verdict.call is not None
    assert verdict.call.events == 2


def test_the_outermost_judge_is_the_one_that_was_asked() -> None:
    (exchange,) = exchanges("a")
    verdict = refused_or_as(History(), exchange, "/")
    assert verdict.judgement == "arrives_as"
    assert verdict.call is not None
    assert verdict.call.judge == "refused_or_as"


def test_verdicts_are_equal_whoever_was_asked() -> None:
    seen, shares = exchanges("abba"), {"a": 0.5, "b": 0.5}
    assert picks_are_independent(seen, shares) == JUDGES["picks_are_independent"](seen, shares)


def test_two_judges_of_one_name_are_refused() -> None:
    def takes_turns() -> Verdict:
        return decided(True, "takes_turns", "", "")

    with pytest.raises(ValueError, match="two judges are called takes_turns"):
        judge(takes_turns)
