"""What a run shows: the record of a run, and the page, JSON and lines made from it."""

from __future__ import annotations

from pathlib import Path

from lbcheck.report.model import Run

__all__ = ["write"]


def write(run: Run, folder: Path | str) -> dict[str, Path]:
    """Writes the run as `index.html` (one self-contained page), `run.json` and `conformance.yaml`; their paths by kind.

    The folder is made where it is missing; a file is replaced whole or not at all. The same run gives the same bytes.
    """
    # The page's template engine is loaded when a report is written, not before.
    from lbcheck.report import conformance
    from lbcheck.report.files import replace
    from lbcheck.report.html import page
    from lbcheck.report.json import document

    folder = Path(folder)
    return {
        "html": replace(folder / "index.html", page(run)),
        "json": replace(folder / "run.json", document(run)),
        "conformance": replace(folder / "conformance.yaml", conformance.document(run)),
    }
