"""What cannot be carried out is said before anything starts: exit code 4, one message, no traceback."""

from __future__ import annotations

import pytest

from .conftest import Project

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--lb-target=traefik2"], "*traefik2*"),
        (["--lb-target=haproxy", "--lb-binary=/nowhere/haproxy"], "*expected the program '/nowhere/haproxy'*"),
        (["--lb-target=exec:"], "*names no command*"),
        (["--lb-target=exec:nowhere-lb"], "*expected 'nowhere-lb' to be a program*"),
        (["--lb-target=exec:true", "--lb-binary=/bin/false"], "*the command names its program itself*"),
        (["--lb-target=exec:true", "--lb-config=lb.yaml", "--lb-spec=lb.yaml"], "*a command is told by the file*"),
        (["--lb-target=exec:true", "--lb-lab=sim"], "*the simulator runs the reference alone*"),
        (["--lb-target=exec:true", "--lb-features=-darin"], "*did you mean drain?*"),
        (["--lb-target=reference", "--lb-spec=none.yaml"], "*--lb-spec=none.yaml: there is no such file*"),
        (["--lb-target=reference", "--lb-spec=bad.yaml"], "*bad.yaml:1*"),
        (["--lb-target=haproxy", "--lb-lab=sim"], "*the simulator runs the reference alone*"),
        (["--lb-target=reference", "--lb-ports=dynamic"], "*add --lb-lab=docker*"),
        (["--lb-target=haproxy", "--lb-config=lb.yaml"], "*--lb-config was given without --lb-spec*"),
        (["--lb-target=reference", "--lb-baseline=none.yaml"], "*none.yaml*"),
        (["--lb-target=reference", "--lb-features=+flying"], "*flying*"),
        (["--lb-target=reference", "--lb-defect=turn-skiped"], "*no defect of the reference is called 'turn-skiped'*"),
        (["--lb-target=reference", "--lb-lab=sim", "--lb-defect=turn-skiped"], "*did you mean turn-skipped*"),
        (["--lb-target=reference", "--lb-defect=xyzzy"], "*see docs/detection.md*"),
    ],
)
def test_usage_errors(project: Project, words: list[str], said: str) -> None:
    (project.pytester.path / "bad.yaml").write_text("verzion: 1\n")
    result = project.pytester.runpytest_subprocess(*words)
    assert result.ret == 4
    result.stderr.fnmatch_lines([said])
    assert "Traceback" not in result.stderr.str() + result.stdout.str()
    assert not (project.pytester.path / "reports").exists()
