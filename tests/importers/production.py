"""The production-like configurations of `fixtures/configs`."""

from __future__ import annotations

from pathlib import Path

from lbcheck.importers.directive import Imported, Ruling
from lbcheck.importers.files import imported
from lbcheck.importers.haproxy.reading import read

FOLDER = Path(__file__).parent.parent.parent / "fixtures" / "configs" / "haproxy"
SOURCES = {"shop": FOLDER / "shop" / "haproxy.cfg", "platform": FOLDER / "platform" / "conf.d"}


def texts(name: str) -> list[tuple[str, str]]:
    source = SOURCES[name]
    files = sorted(source.glob("*.cfg")) if source.is_dir() else [source]
    return [(file.name, file.read_text()) for file in files]


def from_fixture(name: str) -> Imported:
    return imported([SOURCES[name]], "haproxy", {})


def from_text(text: str, **environment: str) -> Imported:
    return read([("haproxy.cfg", text)], environment)


def refusals(found: Imported) -> dict[int, str]:
    """Reason by line."""
    return {entry.directive.at.line: entry.reason for entry in found.ruled(Ruling.REFUSED)}
