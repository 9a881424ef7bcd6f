"""The shop of `fixtures/configs` beside its intended lb.yaml, with one line of the configuration changed."""

from __future__ import annotations

from pathlib import Path

from lbcheck.gate.configuration import Configuration, read
from lbcheck.spec.loading import LoadedSpec, load
from tests.importers.production import FOLDER

CONFIG = FOLDER / "shop" / "haproxy.cfg"
INTENDED = FOLDER / "shop" / "lb.yaml"


def intended() -> LoadedSpec:
    return load(INTENDED)


def shop(folder: Path, line: str = "", becomes: str = "") -> Configuration:
    """`line` must stand there once."""
    text = CONFIG.read_text()
    if line:
        assert text.count(f"    {line}\n") == 1, line
        text = text.replace(f"    {line}\n", f"    {becomes}\n")
    path = folder / "haproxy.cfg"
    path.write_text(text)
    found, why_not = read("haproxy", [path], intended(), {})
    assert found is not None, why_not
    return found


def words_at(configuration: Configuration, place: str) -> str:
    return configuration.words[place]
