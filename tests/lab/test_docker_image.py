"""The image of the docker lab: what it is made of, and that what is made of it serves."""

from __future__ import annotations

import io
import sys
import tarfile
from pathlib import Path

import pytest

from lbcheck.cli import main
from lbcheck.errors import LbcheckError
from lbcheck.lab.docker_engine import Engine
from lbcheck.lab.docker_image import BASE_LABEL, DEBIAN_IMAGE, HOST, build, context, host_folders, outermost, skeleton

HOST_IMAGE, DEBIAN_BASED = "lbcheck-test:host", "lbcheck-test:debian"


def names(data: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return tar.getnames()


def test_an_empty_image_has_folders_and_the_machines_links(tmp_path: Path) -> None:
    (tmp_path / "usr").mkdir()
    (tmp_path / "lib64").mkdir()
    (tmp_path / "bin").symlink_to("usr/bin")
    (tmp_path / "sbin").symlink_to("usr/sbin")
    with tarfile.open(fileobj=io.BytesIO(skeleton(tmp_path))) as tar:
        assert tar.getmember("bin").linkname == "usr/bin"
        assert tar.getmember("sbin").isdir()
        assert tar.getmember("tmp").mode == 0o1777
        assert {"usr", "lib64"}.isdisjoint(tar.getnames())


def test_what_is_bound_holds_python_lbcheck_and_the_program(tmp_path: Path) -> None:
    program = tmp_path / "balancer"
    program.touch()
    folders = host_folders([str(program), "relative", "/nowhere/at/all"])
    for needed in (Path(sys.prefix), Path(sys.base_prefix), program, Path("/usr/bin")):
        assert any(needed.is_relative_to(folder) for folder in folders)
    assert Path("/") not in folders
    assert Path("/etc/shadow") not in folders
    assert not any(inner != outer and inner.is_relative_to(outer) for inner in folders for outer in folders)


def test_folders_inside_others_are_not_bound_again() -> None:
    paths = [Path("/usr/lib"), Path("/usr"), Path("/opt/x"), Path("/usr"), Path("/usrs")]
    assert outermost(paths) == [Path("/usr"), Path("/usrs"), Path("/opt/x")]


def test_the_build_context_is_a_dockerfile_and_this_package() -> None:
    found = names(context())
    assert {"Dockerfile", "lbcheck/backends/serve.py", "lbcheck/balancer/serve.py"} <= set(found)
    assert not any("__pycache__" in name for name in found)


def test_the_dockerfile_takes_another_base() -> None:
    with tarfile.open(fileobj=io.BytesIO(context())) as tar:
        text = tar.extractfile("Dockerfile")
        assert text is not None
        assert b"ARG BASE=python:3.12-slim\nFROM ${BASE}\n" in text.read()


@pytest.mark.nightly  # it needs an engine
@pytest.mark.slow
def test_image_build_by_its_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["image", "build", "--base=host", f"--tag={HOST_IMAGE}"]) == 0
    assert f"{HOST_IMAGE}: empty" in capsys.readouterr().out
    engine = Engine()
    labels = engine.image_labels(HOST_IMAGE)
    engine.close()
    assert labels is not None
    assert labels[BASE_LABEL] == HOST


@pytest.mark.nightly  # it needs an engine
@pytest.mark.slow
def test_a_base_that_nobody_has_is_told_with_what_needs_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["image", "build", "--base=lbcheck-none.invalid/base:1", f"--tag={HOST_IMAGE}-none"]) == 4
    said = capsys.readouterr().err
    assert "cannot be built" in said
    assert "--base=host" in said


@pytest.mark.slow
@pytest.mark.nightly  # half a minute, from the machine's package sources
def test_an_image_on_a_base_of_its_own_runs_the_lab(monkeypatch: pytest.MonkeyPatch) -> None:
    from lbcheck.lab import docker
    from lbcheck.lab.stage import open_stage
    from lbcheck.targets import find
    from tests.lab.specs import api, checked

    build("debian", DEBIAN_BASED, print)
    monkeypatch.setattr(docker, "IMAGE", DEBIAN_BASED)
    engine = Engine()
    labels = engine.image_labels(DEBIAN_BASED)
    engine.close()
    assert labels is not None
    assert labels[BASE_LABEL] == DEBIAN_IMAGE
    lab, spec = docker.DockerLab(find("reference"), worker=12), checked()
    try:
        with open_stage(lab, spec, api(spec)) as stage:
            assert {e.backend for e in stage.send(stage.pool("api"), rounds=2)} == {"a", "b", "c"}
            stage.pool("api")["a"].kill()
            stage.pool("api")["a"].restart()
            assert stage.settle()
    finally:
        lab.close()


@pytest.mark.nightly  # it needs an engine
@pytest.mark.slow
def test_a_failed_build_says_the_last_that_was_said() -> None:
    engine = Engine()
    try:
        with pytest.raises(LbcheckError, match=r"(?s)cannot be built"):
            engine.build_image(b"no tar", HOST_IMAGE, {}, {}, offline=True)
    finally:
        engine.close()
