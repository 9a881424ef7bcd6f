"""A red run, for whoever has not seen one: the reference with one named defect in the simulator, then without it."""

from __future__ import annotations

import difflib
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lbcheck.balancer.defects import DEFECTS
from lbcheck.checks import Check
from lbcheck.errors import LbcheckError, UsageError
from lbcheck.plugin import catalogue
from lbcheck.plugin.options import OPTIONS
from lbcheck.report import summary
from lbcheck.report.model import CheckRecord, record_from_json
from lbcheck.verdict import Outcome

DEFECT = "post-repeated"  # an order that is placed twice: everybody knows what that costs
FOLDER = "lbcheck-demo"
LIMIT_S = 600.0
ALONE = ("-p", "no:cacheprovider", "-c", os.devnull, "--rootdir=.")  # whatever pytest is told in this folder


@dataclass(frozen=True, slots=True)
class Shown:
    """One run of the plugin, as its run.json tells it."""

    command: str
    headline: str
    checks: tuple[CheckRecord, ...]
    report: Path

    def of(self, outcome: Outcome) -> list[CheckRecord]:
        return [record for record in self.checks if record.outcome == outcome.value]


def catching() -> dict[str, list[Check]]:
    """The checks that name each defect, by the defect's name; those that nobody names cannot be shown."""
    checks = catalogue.everything().values()
    named = {name: [check for check in checks if name in check.catches] for name in DEFECTS}
    return {name: found for name, found in named.items() if found}


def table(known: Mapping[str, list[Check]]) -> str:
    """One line a defect: its name, which checks catch it, what is wrong."""
    width = max(map(len, known))
    return "\n".join(
        f"{name:<{width}}  {', '.join(check.id for check in found):<16}  {DEFECTS[name].sentence}"
        for name, found in known.items()
    )


def play(defect: str, folder: Path, known: Mapping[str, list[Check]]) -> Iterator[str]:
    """What `lbcheck demo` prints, as it becomes known; LbcheckError where the demo did not show what it should."""
    checks = _checks_of(defect, known)
    wrong = DEFECTS[defect]
    yield f"The reference balancer with one defect, {defect}: {wrong.sentence[0].lower()}{wrong.sentence[1:]}"
    yield f"Modelled on: {wrong.source}"
    red = run(checks, folder, defect)
    yield f"\n$ {red.command}"
    broken = [record for record in red.checks if _as_named(record, defect, checks)]
    if not broken:
        raise LbcheckError(f"expected a broken verdict of {_ids(checks)} on {defect}, got: {red.headline}")
    yield summary.failure(broken[0], f"{red.report}/")
    if others := [record.node for record in broken[1:]]:
        yield f"  and so for  {', '.join(others)}"
    yield red.headline
    green = run(checks, folder / "correct", None)
    yield f"\nThe same checks on the reference without it:\n\n$ {green.command}"
    if len(green.of(Outcome.HOLDS)) != len(green.checks) or not green.checks:
        raise LbcheckError(f"expected every verdict to hold on the correct reference, got: {green.headline}")
    yield from (f"HOLDS   {record.node}  {record.claim}" for record in green.checks[:1])
    yield f"{green.headline}\n"
    yield f"report    {red.report / 'index.html'}  (red), {green.report / 'index.html'}  (green)"
    yield f"evidence  {_evidence(broken[0], red.report)}"
    yield f"next      lbcheck explain {broken[0].id}; then your own balancer: pytest --lb-target=haproxy (or nginx)"


def _checks_of(defect: str, known: Mapping[str, list[Check]]) -> list[Check]:
    if defect not in known:
        near = difflib.get_close_matches(defect, known, n=3)
        remedy = f"did you mean {', '.join(near)}?" if near else "lbcheck demo --list names them"
        raise UsageError(f"no defect that can be shown is called {defect!r}", remedy=remedy)
    return known[defect]


def run(checks: list[Check], folder: Path, defect: str | None) -> Shown:
    """Runs these checks on the reference, in the cheapest lab that carries all, in a process of its own."""
    lab = "sim" if all(check.lab == "sim" for check in checks) else "process"
    levels = sorted({check.level.value for check in checks})
    words = ["--lb-target=reference", f"--lb-lab={lab}", f"--lb-only={_ids(checks)}", f"--lb-level={','.join(levels)}"]
    words += [f"--lb-defect={defect}"] if defect else []
    words += [f"--lb-report-dir={folder}"]
    told = folder / "run.json"
    try:
        told.unlink(missing_ok=True)  # an earlier demo's
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *words, *ALONE],
            env=_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LIMIT_S,
        )  # fmt: skip
        if not told.is_file():
            tail = "\n".join(done.stdout.splitlines()[-15:])
            raise LbcheckError(f"the run left no record in {folder} (exit code {done.returncode}):\n{tail}")
        record: dict[str, Any] = json.loads(told.read_text(encoding="utf-8"))
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise LbcheckError(f"no run with its report in {folder}: {error}") from error
    records = tuple(record_from_json(each) for each in record["checks"])
    return Shown(shlex.join(["pytest", *words]), record["headline"], records, folder)


def _environment() -> dict[str, str]:
    """Without what would change the run: the user's settings of lbcheck, and options for every pytest."""
    foreign = {option.variable for option in OPTIONS} | {"PYTEST_ADDOPTS", "CI"}
    return {name: value for name, value in os.environ.items() if name not in foreign}


def _as_named(record: CheckRecord, defect: str, checks: list[Check]) -> bool:
    """Is it broken by the judgement that its card names for this defect?"""
    named = {check.id: check.catches[defect] for check in checks}
    found = {j.judgement for j in record.judgements if j.outcome == Outcome.BROKEN.value}
    return record.outcome == Outcome.BROKEN.value and named.get(record.id) in found


def _ids(checks: list[Check]) -> str:
    return ",".join(check.id for check in checks)


def _evidence(record: CheckRecord, report: Path) -> str:
    history = next((path for path in record.evidence if path.endswith("history.jsonl")), "")
    return f"lbcheck judge {report / history}  (judges this run's history again)" if history else "none was kept"
