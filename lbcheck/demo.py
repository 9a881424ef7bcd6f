"""A red run, for whoever has not seen one: the reference with one named defect in the simulator, then without it."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path

from lbcheck.balancer.defects import DEFECTS
from lbcheck.checks import Check
from lbcheck.errors import LbcheckError, UsageError
from lbcheck.plugin import catalogue
from lbcheck.report import summary
from lbcheck.report.model import CheckRecord
from lbcheck.running import Finished, run_plugin
from lbcheck.verdict import Outcome

DEFECT = "post-repeated"  # an order that is placed twice: everybody knows what that costs
FOLDER = "lbcheck-demo"
LIMIT_S = 600.0


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
    broken = [record for record in red.run.checks if _as_named(record, defect, checks)]
    if not broken:
        raise LbcheckError(f"expected a broken verdict of {_ids(checks)} on {defect}, got: {red.run.headline}")
    yield summary.failure(broken[0], f"{red.report}/")
    if others := [record.node for record in broken[1:]]:
        yield f"  and so for  {', '.join(others)}"
    yield red.run.headline
    green = run(checks, folder / "correct", None)
    yield f"\nThe same checks on the reference without it:\n\n$ {green.command}"
    if any(record.outcome != Outcome.HOLDS.value for record in green.run.checks) or not green.run.checks:
        raise LbcheckError(f"expected every verdict to hold on the correct reference, got: {green.run.headline}")
    yield from (f"HOLDS   {record.node}  {record.claim}" for record in green.run.checks[:1])
    yield f"{green.run.headline}\n"
    yield f"report    {red.report / 'index.html'}  (red), {green.report / 'index.html'}  (green)"
    yield f"evidence  {_evidence(broken[0], red.report)}"
    yield f"next      lbcheck explain {broken[0].id}; then your own balancer: pytest --lb-target=haproxy (or nginx)"


def _checks_of(defect: str, known: Mapping[str, list[Check]]) -> list[Check]:
    if defect not in known:
        near = difflib.get_close_matches(defect, known, n=3)
        remedy = f"did you mean {', '.join(near)}?" if near else "lbcheck demo --list names them"
        raise UsageError(f"no defect that can be shown is called {defect!r}", remedy=remedy)
    return known[defect]


def run(checks: list[Check], folder: Path, defect: str | None) -> Finished:
    """Runs these checks on the reference, in the cheapest lab that carries all."""
    lab = "sim" if all(check.lab == "sim" for check in checks) else "process"
    levels = sorted({check.level.value for check in checks})
    words = ["--lb-target=reference", f"--lb-lab={lab}", f"--lb-only={_ids(checks)}", f"--lb-level={','.join(levels)}"]
    words += [f"--lb-defect={defect}"] if defect else []
    return run_plugin(words, folder, limit_s=LIMIT_S)


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
