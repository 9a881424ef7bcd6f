"""`lbcheck init`: from a balancer's own configuration to lb.yaml and a workflow, with a list of what was not read."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from lbcheck.errors import UsageError
from lbcheck.importers.directive import Entry, Imported, Ruling
from lbcheck.importers.files import imported, importer_of, product_of
from lbcheck.importers.writing import lb_yaml
from lbcheck.spec.loading import loads

SPEC = "lb.yaml"
WORKFLOW = Path(".github") / "workflows" / "lbcheck.yml"

_WORKFLOW = """\
name: lbcheck
on: [push, pull_request]
permissions:
  contents: read
  security-events: write  # for code scanning: failures at the configuration's lines
jobs:
  gate:
    runs-on: ubuntu-latest
    timeout-minutes: 30
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with:
          python-version: "3.11"
      - run: sudo apt-get update && sudo apt-get install --yes {package}
      - run: python -m pip install lbcheck
      - run: {command} --lb-sarif=reports/lbcheck.sarif --junitxml=reports/junit.xml
      - uses: actions/upload-artifact@v4
        if: always()
        with:
          name: lbcheck-reports
          path: reports
      - uses: github/codeql-action/upload-sarif@v3
        if: always()
        continue-on-error: true  # where the repository has no code scanning
        with:
          sarif_file: reports/lbcheck.sarif
"""


def write(sources: Sequence[Path], target: str | None, folder: Path, *, force: bool) -> Iterator[str]:
    """Lines to print; without `target` the files tell.

    UsageError where a file would be overwritten without `force`, before anything is written.
    """
    places = [folder / SPEC, folder / WORKFLOW]
    there = [place for place in places if place.exists()]
    if there and not force:
        raise UsageError(f"{there[0]} is there already", remedy="Say --force to overwrite it, or another --into.")
    target = target or product_of(sources)
    found = imported(sources, target, os.environ)
    command = gate_command(importer_of(target).main(sources), target)
    text = lb_yaml(found, command)
    loaded = loads(text, str(places[0]))
    for place, content in zip(places, (text, _WORKFLOW.format(package=target, command=command)), strict=True):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(content, encoding="utf-8")
        yield f"wrote {place}"
    yield from account(found)
    yield from (f"doubtful: {finding}" for finding in loaded.findings)
    yield f"next: {command}"


def gate_command(sources: Sequence[Path], target: str) -> str:
    configs = " ".join(f"--lb-config={source}" for source in sources)
    return f"python -m pytest --lb-target={target} {configs} --lb-spec={SPEC}"


def account(found: Imported) -> Iterator[str]:
    """How many directives were understood, and every other one with its reason."""
    count = len(found.entries)
    whole = [entry for entry in found.ruled(Ruling.UNDERSTOOD) if not entry.in_part]
    yield f"{len(whole)} of {count} directives understood"
    yield from _listed("understood in part", [entry for entry in found.entries if entry.in_part])
    yield from _listed("ignored, as no claim depends on it", found.ruled(Ruling.IGNORED))
    yield from _listed(
        "refused: it changes what the balancer does, and lb.yaml cannot say it", found.ruled(Ruling.REFUSED)
    )


def _listed(title: str, entries: Sequence[Entry]) -> Iterator[str]:
    if entries:
        yield f"{title} ({len(entries)}):"
        yield from (f"  {entry}" for entry in entries)
