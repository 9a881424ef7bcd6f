"""What a pipeline reads: SARIF where it is asked for, the summary of GitHub's step where that is set."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lbcheck.plugin.settings import Settings
from lbcheck.report.model import Run

STEP_SUMMARY = "GITHUB_STEP_SUMMARY"


def folders(settings: Settings, environ: Mapping[str, str]) -> list[Path]:
    """Those that are written to at the end of a run; the report's own is there from now on."""
    settings.report_dir.mkdir(parents=True, exist_ok=True)
    files = [settings.sarif, Path(environ[STEP_SUMMARY]) if environ.get(STEP_SUMMARY) else None]
    return [settings.report_dir, *(file.absolute().parent for file in files if file and file.parent.is_dir())]


def write(run: Run, settings: Settings, environ: Mapping[str, str]) -> dict[str, Path]:
    """Their paths by kind; LbcheckError where a file cannot be written. Other steps' words stay in the summary."""
    paths: dict[str, Path] = {}
    if settings.sarif is not None:
        from lbcheck.report import sarif
        from lbcheck.report.files import replace

        paths["sarif"] = replace(settings.sarif, sarif.document(run))
    if place := environ.get(STEP_SUMMARY):
        from lbcheck.report.step_summary import markdown

        with Path(place).open("a", encoding="utf-8", errors="backslashreplace") as out:
            out.write(markdown(run, f"The whole report is {settings.report_dir.name}/index.html of this job's files."))
    return paths
