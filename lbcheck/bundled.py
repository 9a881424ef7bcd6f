"""Where the bundled suites and fixtures are: inside the installed package, or beside it in a checkout."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from lbcheck.errors import LbcheckError


def bundled(name: Literal["suites", "fixtures"]) -> Path:
    """The folder of that name."""
    package = Path(__file__).parent
    for place in (package / name, package.parent / name):
        if place.is_dir():
            return place
    raise LbcheckError(f"the bundled {name} are missing beside {package}", remedy="reinstall lbcheck")
