"""`lbcheck certify`: the whole battery on several balancers, and one page and one JSON of what each keeps."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml

from lbcheck.errors import UsageError
from lbcheck.plugin.evidence import folder_name
from lbcheck.report import certificate as table
from lbcheck.report.certificate import Certificate
from lbcheck.report.html import certificate_page
from lbcheck.report.summary import counts_line
from lbcheck.running import Finished, run_plugin
from lbcheck.targets import find
from lbcheck.targets.registry import is_command

FOLDER = "lbcheck-certificate"
LIMIT_S = 1800.0  # of one balancer's battery


def certify(targets: Sequence[str], folder: Path, *, workers: int, only: str = "", features: str = "") -> Iterator[str]:
    """Runs the battery on one target after another and writes the table; what it prints, as it becomes known.

    `features` corrects what commands are said to be able to do: products know it themselves. Each run has its report in
    a folder of the target's name. TargetError before anything starts where a target is unknown or its program is
    missing.
    """
    if len(set(targets)) != len(targets):
        raise UsageError("a balancer is named twice", remedy="name each once; another version is another run")
    if features and not any(map(is_command, targets)):
        raise UsageError("--features was given: it is about commands, and none is named", remedy="name exec:COMMAND")
    for name in targets:
        find(name, features=features if is_command(name) else "")
    finished: list[tuple[str, Finished]] = []
    for name in targets:
        words = [f"--lb-target={name}", *(["-n", str(workers)] if workers else [])]
        words += [f"--lb-only={only}"] if only else []
        words += [f"--lb-features={features}"] if features and is_command(name) else []
        done = run_plugin(words, folder / folder_name(name), limit_s=LIMIT_S)
        finished.append((name, done))
        yield f"{name:<10} {counts_line(done.run)}  ({done.run.duration_s:.0f} s)"
    written = table.certificate([(folder_name(name), done.run) for name, done in finished])
    for path in write(written, folder):
        yield f"written    {path}"


def write(certificate: Certificate, folder: Path) -> list[Path]:
    """The page, the table for a repository, the JSON, and the outcomes alone."""
    texts = {
        "index.html": certificate_page(certificate),
        "balancers.md": table.markdown(certificate),
        "certificate.json": json.dumps(table.to_json(certificate), indent=1) + "\n",
        "outcomes.yaml": yaml.safe_dump(table.outcomes(certificate), sort_keys=True),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in texts]


def compare(expected: Path, folder: Path) -> list[str]:
    """What is not as the committed outcomes say, both ways. UsageError where the file cannot be read."""
    found = yaml.safe_load((folder / "outcomes.yaml").read_text(encoding="utf-8"))
    try:
        known = yaml.safe_load(expected.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UsageError(f"--expected {expected} cannot be read: {error}") from error
    if not isinstance(known, dict) or not all(isinstance(checks, dict) for checks in known.values()):
        raise UsageError(f"--expected {expected}: no table of outcomes", remedy="take the outcomes.yaml of a run")
    return table.differences(known, found)
