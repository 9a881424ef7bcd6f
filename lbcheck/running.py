"""The plugin in a process of its own, as a user would start it, and what its run.json says."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lbcheck.errors import LbcheckError
from lbcheck.plugin.options import OPTIONS
from lbcheck.report.model import Run, run_from_json

ALONE = ("-p", "no:cacheprovider", "-c", os.devnull, "--rootdir=.")  # whatever pytest is told in this folder


@dataclass(frozen=True, slots=True)
class Finished:
    """A run that left its record: the command that repeats it, the folder of its report, and the record."""

    command: str
    report: Path
    run: Run


def run_plugin(words: Sequence[str], report: Path, *, limit_s: float) -> Finished:
    """Runs `pytest WORDS`, its report in this folder. LbcheckError with its last lines where it leaves no record."""
    told = report / "run.json"
    given = [*words, f"--lb-report-dir={report}"]
    try:
        told.unlink(missing_ok=True)  # an earlier run's
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *given, *ALONE],
            env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=limit_s,
        )  # fmt: skip
        if not told.is_file():
            tail = "\n".join(done.stdout.splitlines()[-15:])
            raise LbcheckError(f"the run left no record in {report} (exit code {done.returncode}):\n{tail}")
        return Finished(
            shlex.join(["pytest", *given]), report, run_from_json(json.loads(told.read_text(encoding="utf-8")))
        )
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise LbcheckError(f"no run with its report in {report}: {error}") from error


def environment() -> dict[str, str]:
    """Without what would change the run: the user's settings of lbcheck, and options for every pytest."""
    foreign = {option.variable for option in OPTIONS} | {"PYTEST_ADDOPTS", "CI", "GITHUB_STEP_SUMMARY"}
    return {name: value for name, value in os.environ.items() if name not in foreign}
