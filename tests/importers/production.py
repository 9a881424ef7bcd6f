"""The production-like configurations of `fixtures/configs`."""

from __future__ import annotations

from pathlib import Path

from lbcheck.importers.directive import Imported, Ruling
from lbcheck.importers.files import imported
from lbcheck.importers.haproxy.reading import read
from lbcheck.importers.nginx.reading import read as read_nginx

CONFIGS = Path(__file__).parent.parent.parent / "fixtures" / "configs"
FOLDER = CONFIGS / "haproxy"
SOURCES = {"shop": FOLDER / "shop" / "haproxy.cfg", "platform": FOLDER / "platform" / "conf.d"}
NGINX = {name: CONFIGS / "nginx" / name / "nginx.conf" for name in ("shop", "platform")}


def texts(name: str) -> list[tuple[str, str]]:
    source = SOURCES[name]
    files = sorted(source.glob("*.cfg")) if source.is_dir() else [source]
    return [(file.name, file.read_text()) for file in files]


def from_fixture(name: str) -> Imported:
    return imported([SOURCES[name]], "haproxy", {})


def from_text(text: str, **environment: str) -> Imported:
    return read([("haproxy.cfg", text)], environment)


def from_nginx(text: str, folder: Path, **others: str) -> Imported:
    """Of a main file, and others by name with `_` for a dot."""
    for name, content in others.items():
        (folder / name.replace("_", ".")).write_text(content)
    (folder / "nginx.conf").write_text(text)
    return read_nginx(folder / "nginx.conf")


def in_http(text: str, folder: Path) -> Imported:
    """What stands in an http block, from line 2 on."""
    return from_nginx(f"events {{}} http {{\n{text}\n}}\n", folder)


def refusals(found: Imported) -> dict[int, str]:
    """Reason by line."""
    return {entry.directive.at.line: entry.reason for entry in found.ruled(Ruling.REFUSED)}
