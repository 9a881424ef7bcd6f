"""Writing a file so that a reader never meets half of it."""

from __future__ import annotations

import os
from pathlib import Path

from lbcheck.errors import LbcheckError


def replace(path: Path, text: str) -> Path:
    """Writes the text as UTF-8 beside the path and renames it there; LbcheckError where the folder forbids it."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(text.encode("utf-8"))
        beside.replace(path)
    except OSError as error:
        raise LbcheckError(
            f"the report {path} cannot be written: {error.strerror or error}",
            remedy="name a folder that you may write to: --lb-report-dir=FOLDER",
        ) from error
    finally:
        beside.unlink(missing_ok=True)
    return path
