"""The steps of a composite action or of a workflow's job, run as GitHub's runner runs them.

Each `run` is a file of its own for `bash --noprofile --norc -eo pipefail`, told by its environment alone, with files
for outputs, variables, paths and the summary; what follows a failure runs where its condition says so. Steps that use
other actions are told with their inputs, and not run.

    python -m tests.runner action.yml target=reference spec=lb.yaml 'arguments=--lb-only=ALG-01'
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

BASH = ("bash", "--noprofile", "--norc", "-eo", "pipefail")
LIMIT_S = 600
_EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")
_COMPARISON = re.compile(r"([\w.-]+) (==|!=) '([^']*)'")


@dataclass(slots=True)
class Job:
    """`used`: the steps of other actions, each with its inputs; `outputs` by the step's id; `failed` once one has."""

    folder: Path
    inputs: Mapping[str, str]
    environment: dict[str, str]
    action_path: Path
    failed: bool = False
    used: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    ran: list[str] = field(default_factory=list)
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)
    said: str = ""
    summary: str = ""

    def value(self, name: str) -> str:
        """What an expression's name stands for. KeyError for one that the runner would leave empty without a word."""
        if name == "github.action_path":
            return str(self.action_path)
        kind, _, rest = name.partition(".")
        if kind == "inputs":
            return self.inputs[rest]
        if kind == "steps":
            step, _, output = rest.partition(".outputs.")
            return self.outputs.get(step, {}).get(output, "")
        raise KeyError(name)

    def filled(self, text: str) -> str:
        return _EXPRESSION.sub(lambda found: self.value(found[1]), text)

    def wanted(self, condition: str) -> bool:
        """Conditions joined by `&&`: always(), without which nothing follows a failure, and comparisons with a text."""
        terms = [term.strip() for term in _EXPRESSION.sub(r"\1", condition).split("&&") if term.strip()]
        after_failure = "always()" in terms
        others = [term for term in terms if term != "always()"]
        return (after_failure or not self.failed) and all(self._holds(term) for term in others)

    def _holds(self, term: str) -> bool:
        found = _COMPARISON.fullmatch(term)
        if found is None:
            raise ValueError(f"a condition that this runner cannot read: {term}")
        return (self.value(found[1]) == found[3]) == (found[2] == "==")


def inputs_of(action: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, str]:
    """With the defaults; ValueError for one that is missing or unknown."""
    declared: dict[str, dict[str, Any]] = action["inputs"]
    missing = [name for name, about in declared.items() if about.get("required") and name not in given]
    if missing or given.keys() - declared.keys():
        raise ValueError(f"missing: {missing}, unknown: {sorted(given.keys() - declared.keys())}")
    return {name: str(given.get(name, about.get("default", ""))) for name, about in declared.items()}


def run_action(
    path: Path, given: Mapping[str, str], folder: Path, environment: Mapping[str, str], *, skip: Sequence[str] = ()
) -> Job:
    """The composite action in `path`, called from `folder`, without the steps of these names."""
    action = yaml.safe_load(path.read_text(encoding="utf-8"))
    job = Job(folder, inputs_of(action, given), dict(environment), path.parent)
    return run_steps([step for step in action["runs"]["steps"] if step["name"] not in skip], job)


def run_steps(steps: Sequence[Mapping[str, Any]], job: Job) -> Job:
    for step in steps:
        if not job.wanted(str(step.get("if", ""))):
            continue
        if "uses" in step:
            job.used.append((step["uses"], {k: job.filled(str(v)) for k, v in step.get("with", {}).items()}))
        else:
            _run(step, job)
    return job


def _run(step: Mapping[str, Any], job: Job) -> None:
    with tempfile.TemporaryDirectory() as place:
        files = {name: Path(place) / name for name in ("OUTPUT", "ENV", "PATH", "STEP_SUMMARY")}
        for file in files.values():
            file.touch()
        script = Path(place) / "step.sh"
        script.write_text(job.filled(step["run"]), encoding="utf-8")
        own = {name: job.filled(str(value)) for name, value in step.get("env", {}).items()}
        told = {f"GITHUB_{name}": str(file) for name, file in files.items()}
        done = subprocess.run(
            [*BASH, str(script)], cwd=job.folder, env={**job.environment, **told, **own}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=LIMIT_S, check=False,
        )  # fmt: skip
        job.ran.append(step.get("name", step["run"]))
        job.said += done.stdout
        job.failed = job.failed or done.returncode != 0
        job.outputs[step.get("id", "")] = _pairs(files["OUTPUT"])
        job.environment |= _pairs(files["ENV"])
        paths = [*reversed(files["PATH"].read_text().split()), job.environment["PATH"]]
        job.environment["PATH"] = os.pathsep.join(paths)
        job.summary += files["STEP_SUMMARY"].read_text(encoding="utf-8")


def _pairs(file: Path) -> dict[str, str]:
    """`name=value` a line, as the runner's files have it."""
    lines = file.read_text(encoding="utf-8").splitlines()
    if wrong := [line for line in lines if not re.match(r"[A-Za-z_][\w-]*=", line)]:
        raise ValueError(f"no name=value in {file.name}: {wrong[0]!r}")
    return dict(line.split("=", 1) for line in lines)


def main(words: Sequence[str]) -> int:
    action, *given = words
    job = run_action(Path(action).resolve(), dict(word.split("=", 1) for word in given), Path.cwd(), os.environ)
    print(job.said, end="")
    for uses, inputs in job.used:
        print(f"not run: {uses} {inputs}")
    print(f"outputs: {job.outputs}")
    return int(job.failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
