"""Writing a file so that a reader never meets half of it."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from lbcheck.errors import LbcheckError


def replace(path: Path, text: str) -> Path:
    """Writes the text as UTF-8 beside the path and renames it there; LbcheckError where the folder forbids it.

    No link that lies there is followed: what stood at the path is replaced, not written through.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.unlink(missing_ok=True)
        with beside.open("xb") as file:
            file.write(text.encode("utf-8"))
        beside.replace(path)
    except OSError as error:
        with suppress(OSError):
            beside.unlink()
        raise LbcheckError(
            f"the report {path} cannot be written: {error.strerror or error}",
            remedy="name a folder that you may write to: --lb-report-dir=FOLDER",
        ) from error
    return path
