"""The battery: small specs without addresses, one configuration each, which certify a product."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

from lbcheck.errors import UsageError
from lbcheck.spec.loading import LoadedSpec, load

PACKAGE = Path(__file__).resolve().parent.parent
FOLDERS = (PACKAGE / "fixtures" / "specs", PACKAGE.parent / "fixtures" / "specs")  # installed, checkout


def folder() -> Path:
    """Where the files are; UsageError where the package came without them."""
    found = next((folder for folder in FOLDERS if folder.is_dir()), None)
    if found is None:
        raise UsageError(
            f"no battery in {' or '.join(str(folder) for folder in FOLDERS)}", remedy="Install lbcheck from its wheel."
        )
    return found


@cache
def battery() -> Mapping[str, LoadedSpec]:
    """Every file by its name without suffix, sorted."""
    files = sorted(folder().glob("*.yaml"), key=lambda file: file.stem)
    return MappingProxyType({file.stem: load(file, battery=True) for file in files})
