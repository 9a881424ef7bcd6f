"""Settings: conversions, defaults, clashes and selections."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lbcheck.checks import Check, check, whole_spec
from lbcheck.errors import UsageError
from lbcheck.features import Level
from lbcheck.plugin.options import OPTIONS
from lbcheck.plugin.settings import Settings, settings_of

pytestmark = pytest.mark.fast


def settings(folder: Path, environ: dict[str, str] | None = None, **given: Any) -> Settings:
    values = {option.name: None for option in OPTIONS} | {"target": "reference"}
    return settings_of(values | {k.replace("_", "-"): v for k, v in given.items()}, environ or {}, folder)


def card(id: str, level: Level = Level.CORE, since: str = "1.0") -> Check:
    def function(stage: Any, spec: Any) -> None: ...

    check(id, "A claim.", subject=whole_spec(), catches={}, spec_link="", level=level, since=since)(function)
    found: Check = function.__lbcheck__  # type: ignore[attr-defined]
    return found


def test_defaults(tmp_path: Path) -> None:
    plain = settings(tmp_path)
    assert (plain.mode, plain.lab, plain.seed, plain.strict) == ("battery", "process", 1, False)
    assert plain.levels == (Level.CORE, Level.EXTENDED)
    assert plain.report_dir == tmp_path / "reports"


def test_strict_is_the_default_where_ci_is_set(tmp_path: Path) -> None:
    assert settings(tmp_path, {"CI": "true"}).strict
    assert not settings(tmp_path, {"CI": "true"}, strict=False).strict
    assert not settings(tmp_path, {"CI": "true"}, strict="no").strict
    assert settings(tmp_path, strict="yes").strict


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"lab": "cloud"}, "expected process, sim, sealed or docker"),
        ({"ports": "dynamic"}, "--lb-lab=docker"),
        ({"lab": "docker", "ports": "any"}, "expected own or dynamic"),
        ({"lab": "sim", "target": "haproxy"}, "runs the reference alone"),
        ({"defect": "x", "target": "haproxy"}, "only the reference"),
        ({"spec": "none.yaml"}, "no such file"),
        ({"config": ["here.yaml"]}, "without --lb-spec"),
        ({"level": "expert"}, "--lb-level: expected a list of core, extended"),
        ({"seed": "x"}, "whole number"),
        ({"budget": "10"}, "say 10s"),
        ({"catalogue": "new"}, "version such as 1.0"),
        ({"baseline_update": True}, "--lb-baseline=FILE"),
        ({"strict": "perhaps"}, "expected true or false"),
        ({"evidence": "some"}, "expected off or retain-on-failure or on"),
    ],
)
def test_what_cannot_be_carried_out_is_refused(tmp_path: Path, given: dict[str, Any], said: str) -> None:
    (tmp_path / "here.yaml").write_text("version: 1")
    with pytest.raises(UsageError, match=said):
        settings(tmp_path, **given)


def test_modes(tmp_path: Path) -> None:
    (tmp_path / "lb.yaml").write_text("")
    assert settings(tmp_path, spec="lb.yaml").mode == "spec"
    assert settings(tmp_path, spec="lb.yaml", config=["lb.yaml"]).mode == "gate"


@pytest.mark.parametrize(
    ("text", "levels"),
    [
        ("core", ["core"]),
        ("extended", ["core", "extended"]),
        ("extended,chaos", ["core", "extended", "chaos"]),
        ("load", ["load"]),
    ],
)
def test_levels_are_cumulative_up_to_extended(tmp_path: Path, text: str, levels: list[str]) -> None:
    assert [level.value for level in settings(tmp_path, level=text).levels] == levels


def test_levels_and_catalogue_choose_checks(tmp_path: Path) -> None:
    core, extended, newer = card("SET-01"), card("SET-02", Level.EXTENDED), card("SET-03", since="1.10")
    assert [settings(tmp_path, level="core").takes(c) for c in (core, extended)] == [True, False]
    assert [settings(tmp_path, catalogue="1.9").takes(c) for c in (core, newer)] == [True, False]
    assert settings(tmp_path, catalogue="1.10").takes(newer)


@pytest.mark.parametrize(
    ("only", "skip", "taken"),
    [
        ([], [], True),
        (["SET-01"], [], True),
        (["SET"], [], True),
        (["SET-*,X-1"], [], True),
        (["SET-01[a/b]"], [], True),
        (["*[a/*]"], [], True),
        (["SET-02"], [], False),
        (["SET-01[a]"], [], False),
        (["S"], [], False),
        ([], ["SET"], False),
        ([], ["SET-01[a/b]"], False),
        (["SET-01"], ["SET-02"], True),
        (["SET"], ["SET-01"], False),
    ],
)
def test_only_and_skip_take_ids_areas_nodes_and_globs(
    tmp_path: Path, only: list[str], skip: list[str], taken: bool
) -> None:
    chosen = settings(tmp_path, only=only, skip=skip)
    check = card("SET-01")
    assert (chosen.takes(check) and chosen.takes_node(check, "SET-01[a/b]")) == taken


def test_a_rate_is_a_whole_number_within_reason(tmp_path: Path) -> None:
    assert settings(tmp_path).warp == 1
    assert settings(tmp_path, warp="30").warp == 30
    for wrong in ("0", "-1", "1001", "2.5", "fast"):
        with pytest.raises(UsageError, match="--lb-warp: expected a"):
            settings(tmp_path, warp=wrong)
