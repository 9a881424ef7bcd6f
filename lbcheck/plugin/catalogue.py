"""Where the bundled suites are, and how their modules come in without a name that a user's module could have.

In a wheel they are `lbcheck/suites`; in a checkout they stand beside the package. Either way their modules are called
`lbcheck.suites.<area>.<file>`. Nothing here knows pytest.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import lbcheck
from lbcheck.checks import ATTRIBUTE, Check
from lbcheck.errors import LbcheckError

PACKAGE = "lbcheck.suites"


def suites_folder() -> Path:
    """The folder of the bundled suites: inside the package where it is installed, beside it in a checkout."""
    package = Path(lbcheck.__file__).resolve().parent
    for folder in (package / "suites", package.parent / "suites"):
        if (folder / "__init__.py").is_file():
            return folder
    raise LbcheckError(f"expected the bundled suites in {package / 'suites'}", remedy="install lbcheck again")


def files(folder: Path | None = None) -> list[Path]:
    """Every file of checks, in the order in which they run."""
    return sorted((folder or suites_folder()).rglob("test_*.py"))


def module_of(file: Path) -> ModuleType:
    """Imports one file of the bundled suites."""
    _import_package()
    parts = file.resolve().relative_to(suites_folder()).with_suffix("").parts
    return importlib.import_module(".".join((PACKAGE, *parts)))


def checks_in(module: ModuleType) -> list[Check]:
    """The checks that a module defines, in order of definition."""
    found = [getattr(value, ATTRIBUTE, None) for value in vars(module).values()]
    return [card for card in found if isinstance(card, Check) and card.function.__module__ == module.__name__]


def everything() -> dict[str, Check]:
    """All bundled checks, by id."""
    cards = [card for file in files() for card in checks_in(module_of(file))]
    return {card.id: card for card in sorted(cards, key=lambda card: card.id)}


def _import_package() -> None:
    if PACKAGE in sys.modules:
        return
    folder = suites_folder()
    spec = importlib.util.spec_from_file_location(
        PACKAGE, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    if spec is None or spec.loader is None:
        raise LbcheckError(f"expected a Python package in {folder}", remedy="install lbcheck again")
    module = importlib.util.module_from_spec(spec)
    sys.modules[PACKAGE] = module
    spec.loader.exec_module(module)
