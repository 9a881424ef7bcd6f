"""The committed table of outcomes: how each case of the battery ends on each product at its version.

What is in neither list of a product's file holds. `python -m tests.e2e.expectation FOLDER` writes the files anew from
the runs of `lbcheck certify` in that folder: what is broken has to stand in docs/findings.md then, with a reproduction.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from .runs import UNDECIDED

FOLDER = Path(__file__).parent / "expected"
PRODUCTS = tuple(sorted(path.stem for path in FOLDER.glob("*.yaml")))
LISTED = ("broken", "unsupported")
UNSTEADY = "unsteady"  # broken cases of which chance decides whether a run meets what is wrong


@dataclass(frozen=True, slots=True)
class Expectation:
    """`listed[outcome]` are cases, as in `ALG-01[change/web]`; those `unsteady` are broken, and not in every run."""

    version: str
    listed: Mapping[str, frozenset[str]]
    unsteady: frozenset[str]

    def of(self, node: str, found: str = "") -> str:
        """How the case ends; where that is not steady, as it was `found`, if it holds or is broken."""
        if node in self.unsteady and found == "holds":
            return found
        return next((outcome for outcome, nodes in self.listed.items() if node in nodes), "holds")

    @property
    def broken(self) -> frozenset[str]:
        return self.listed["broken"]


def expectation(product: str) -> Expectation:
    told = yaml.safe_load((FOLDER / f"{product}.yaml").read_text())
    listed = {outcome: frozenset(told[outcome]) for outcome in LISTED}
    unsteady = frozenset(told.get(UNSTEADY, ()))
    assert unsteady <= listed["broken"]
    return Expectation(told["version"], listed, unsteady)


def text(run: Mapping[str, Any], before: Mapping[str, Any]) -> str:
    """The file of the product that this run.json is of; what was not decided stays as the present file has it."""
    where = run["environment"]
    lines = [
        f"# How the battery ends on {where['target']} of this version: what is not listed holds. Each claim that is",
        "# broken stands in docs/findings.md with a reproduction.",
        f"version: {where['target_version']}",
    ]
    for outcome in LISTED:
        nodes = sorted(
            check["node"]
            for check in run["checks"]
            if check["outcome"] == outcome
            or (check["outcome"] in UNDECIDED and check["node"] in before.get(outcome, ()))
            or (outcome == "broken" and check["node"] in before.get(UNSTEADY, ()))
        )
        lines += [f"{outcome}:", *(f"  - {node}" for node in nodes)] if nodes else [f"{outcome}: []"]
    if before.get(UNSTEADY):
        lines += [f"{UNSTEADY}:", *(f"  - {node}" for node in before[UNSTEADY])]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    for product in PRODUCTS:
        run = json.loads((Path(sys.argv[1]) / product / "run.json").read_text())
        file = FOLDER / f"{product}.yaml"
        file.write_text(text(run, yaml.safe_load(file.read_text())))
