"""What docs/findings.md says of products is so: each reproduction runs, without lbcheck."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from lbcheck.plugin.catalogue import everything

from .e2e.expectation import PRODUCTS, expectation

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "findings.md").read_text()
SCRIPTS = sorted((ROOT / "docs" / "findings").glob("*-*.sh"))


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_finding_stands(script: Path) -> None:
    # What pip has installed beside this Python stands there too.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", str(script)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PATH": path},
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_reproduction_is_told_and_every_told_one_is_there() -> None:
    assert set(re.findall(r"\(findings/([\w-]+\.sh)\)", PAGE)) == {script.name for script in SCRIPTS}


def test_the_checks_that_the_page_names_exist_and_are_those_expected_to_break() -> None:
    named = set(re.findall(r"\b[A-Z]{3}-\d\d\b", PAGE))
    assert named <= set(everything())
    for product in PRODUCTS:
        section = PAGE.lower().partition(f"## {product}")[2].partition("\n## ")[0].upper()
        broken = {node.partition("[")[0] for node in expectation(product).broken}
        assert broken == set(re.findall(r"\b[A-Z]{3}-\d\d\b", section))


def test_the_table_lists_cases_of_checks_that_exist() -> None:
    for product in PRODUCTS:
        for nodes in expectation(product).listed.values():
            assert {node.partition("[")[0] for node in nodes} <= set(everything())


def test_the_public_table_says_the_same_as_that_of_cases() -> None:
    public = yaml.safe_load((ROOT / "docs" / "outcomes.yaml").read_text())
    assert {outcome for checks in public.values() for outcome in checks.values()} <= {"holds", "broken", "unsupported"}
    for product in PRODUCTS:
        checks = public[f"{product} {expectation(product).version}"]
        broken = {node.partition("[")[0] for node in expectation(product).broken}
        assert {check for check, outcome in checks.items() if outcome == "broken"} == broken
        assert set(checks) == set(everything())
