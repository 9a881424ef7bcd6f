"""What the exec contract promises to a command: its words, its file, its signals, its end."""

from __future__ import annotations

import contextlib
import json
import shlex
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbcheck.errors import TargetError, TargetNeverReady, Unsupported, UsageError
from lbcheck.features import Feature
from lbcheck.lab import guardian
from lbcheck.lab.process import ProcessLab
from lbcheck.lab.stage import Stage, open_stage
from lbcheck.spec.battery import battery
from lbcheck.spec.change import Change, Deregister, Drain, Register, Reload, Reweigh, changed
from lbcheck.spec.document import from_document
from lbcheck.spec.model import Backend, Spec
from lbcheck.targets import Rendering, find
from lbcheck.targets.base import Signal
from tests.lab.specs import api, one_pool

from .reduced import fixed

TOLD = Path(__file__).with_name("told.py")
SPECS = {name: fixed(loaded.spec) for name, loaded in battery().items()}
WORKER = 9


def rendered(spec: Spec, folder: Path = Path("/run")) -> Rendering:
    return find("exec:true").render(spec, folder)


# --- words -----------------------------------------------------------------------------------------------------------


def test_command_is_split_as_a_shell_would_and_expands_nothing() -> None:
    target = find("""exec:sh -c 'two words' "$HOME" *.py a\\ b""")
    argv = target.render(SPECS["round-robin"], Path("/run")).argv
    assert argv[1:] == ("-c", "two words", "$HOME", "*.py", "a b")
    assert Path(argv[0]).is_absolute()
    assert target.binary == argv[0]


def test_command_may_name_a_url() -> None:
    argv = find("exec:sh -c true --admin=http://127.0.0.1:9000").render(SPECS["round-robin"], Path("/run")).argv
    assert argv[-1] == "--admin=http://127.0.0.1:9000"


def test_program_beside_the_caller_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("#!/bin/sh\n")
    (tmp_path / "mine").chmod(0o755)
    monkeypatch.chdir(tmp_path)
    assert find("exec:./mine").binary == str(tmp_path / "mine")
    assert find("exec:./mine").render(SPECS["round-robin"], Path("/run")).cwd == tmp_path


@pytest.mark.parametrize(
    ("command", "error", "said"),
    [
        ("", UsageError, r'names no command\n.*--lb-target="exec:node balancer\.mjs"'),
        ("sh -c 'open", UsageError, "No closing quotation"),
        ("nowhere-lb --port 1", TargetError, r"expected 'nowhere-lb' to be a program, found none on PATH or in /"),
        ("./nowhere-lb", TargetError, "no shell takes part"),
    ],
)
def test_command_that_cannot_be_run_is_refused_before_anything_starts(
    command: str, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        find(f"exec:{command}")


def test_another_binary_or_a_configuration_has_no_meaning(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the command names its program itself"):
        find("exec:true", binary="/bin/false")
    with pytest.raises(Unsupported, match="takes no configuration"):
        find("exec:true").adopt([tmp_path / "lb.conf"], tmp_path)


def test_everything_is_expected_but_what_lbcheck_itself_cannot_ask_for() -> None:
    target = find("exec:true")
    assert all(bool(target.lacks(feature)) != (feature in target.features) for feature in Feature)
    assert {Feature.DRAIN, Feature.WEBSOCKET, Feature.TCP, Feature.RELOAD} <= target.features
    assert not {Feature.TLS, Feature.HTTP2, Feature.UDP, Feature.RESOLVE} & target.features
    without = find("exec:true", features="-drain,-websocket")
    assert target.features - without.features == {Feature.DRAIN, Feature.WEBSOCKET}


# --- the file --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(SPECS))
def test_file_says_the_whole_spec(name: str) -> None:
    told = json.loads(rendered(SPECS[name]).files["spec.json"])
    assert told["generation"] == 1
    assert from_document(told, placed=True) == SPECS[name]


def test_defaults_are_filled_in_and_durations_are_seconds() -> None:
    told = json.loads(rendered(SPECS["round-robin"]).files["spec.json"])
    pool = told["pools"]["web"]
    assert pool["timeouts"] == {"connect": 1.0, "response": 60.0, "idle": 60.0, "queue": 5.0}
    assert isinstance(pool["timeouts"]["idle"], float)
    assert pool["health_check"] is None
    assert {type(told["listeners"][0][key]) for key in ("address", "port")} == {str, int}


CHANGES: tuple[Change, ...] = (
    Drain("web", "a"),
    Deregister("web", "b"),
    Register("web", Backend("d", "127.0.1.1:9100")),
    Reweigh("web", "a", 3),
    Reload(SPECS["round-robin"]),
    Reload(SPECS["round-robin"], again=True),
)


@given(st.lists(st.sampled_from(CHANGES), min_size=1, max_size=6))
def test_every_change_is_the_whole_file_one_generation_higher_and_a_hangup(told: list[Change]) -> None:
    rendering = rendered(SPECS["round-robin"])
    assert rendering.orders is not None
    files = [rendering.files["spec.json"]]
    for change in told:
        after = changed(SPECS["round-robin"], change)
        orders = rendering.orders(change, after)
        assert orders.steps == (Signal(1),)
        files.append(orders.files["spec.json"])
        assert from_document(json.loads(files[-1]), placed=True) == after
    generations = [json.loads(file)["generation"] for file in files]
    assert all(later == earlier + 1 for earlier, later in pairwise(generations))


# --- a real command --------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def staged(command: str) -> Iterator[Stage]:
    spec = one_pool()
    spec = replace(spec, claims=replace(spec.claims, reload_within=0.5))
    lab = ProcessLab(find(f"exec:{command}"), worker=WORKER)
    try:
        with open_stage(lab, spec, api(spec)) as stage:
            yield stage
    finally:
        lab.close()


def said(stage: Stage, what: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in stage.target.log.splitlines()]
    return [line for line in lines if line["what"] == what]


def told_until(stage: Stage, what: str) -> list[dict[str, Any]]:
    stage.wait_for(lambda _: bool(said(stage, what)), within=5.0)
    return said(stage, what)


@pytest.mark.slow
def test_command_is_told_as_the_contract_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    with staged(shlex.join([sys.executable, str(TOLD), "two words", "$HOME"])) as stage:
        (started,) = said(stage, "started")
        assert started["words"] == ["two words", "$HOME"]
        assert started["folder"] == str(tmp_path)
        assert started["group"] == started["pid"]
        (child,) = told_until(stage, "child")
        stage.pool("api")["a"].drain()
        stage.pool("api")["b"].deregister()
        heard = said(stage, "SIGHUP")
        assert [line["spec"]["generation"] for line in heard] == [2, 3]
        assert {line["pid"] for line in heard} == {started["pid"]}
        backends = heard[-1]["spec"]["pools"]["api"]["backends"]
        assert [(b["name"], b["state"]) for b in backends] == [("a", "draining"), ("c", "active")]
        stage.target.retire()
        assert {line["pid"] for line in told_until(stage, "SIGTERM")} == {started["pid"]}
    assert guardian.stat_of(started["pid"])[:1] in ([], ["Z"])
    assert guardian.stat_of(child["pid"])[:1] in ([], ["Z"])


@pytest.mark.slow
def test_command_that_ends_at_once_is_shown_with_what_it_said() -> None:
    with (
        pytest.raises(TargetNeverReady, match=r"(?s)exited with code 3 before it accepted.*\| no licence"),
        staged("sh -c 'echo no licence >&2; exit 3'"),
    ):
        pass


@pytest.mark.slow
def test_command_that_never_listens_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lbcheck.lab.product.READY_WITHIN_S", 0.3)
    with (
        pytest.raises(TargetNeverReady, match=r"(?s)target exec:sh .* did not accept on 127\.77\.9\.200.*\| thinking"),
        staged("sh -c 'echo thinking; exec sleep 60'"),
    ):
        pass
