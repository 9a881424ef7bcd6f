"""Reading: the files of a configuration, in the order in which their product takes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lbcheck.errors import UsageError
from lbcheck.importers.directive import Imported, Unreadable
from lbcheck.importers.haproxy.reading import read as read_haproxy

Reader = Callable[[Sequence[tuple[str, str]], Mapping[str, str], Callable[[str], list[str]]], Imported]


@dataclass(frozen=True, slots=True)
class Importer:
    """`suffix`: of the files that are taken from a folder. `unread`: fields of the spec that it never reads."""

    read: Reader
    suffix: str
    unread: frozenset[str] = frozenset()


_UNREAD_IN_HAPROXY = frozenset(
    {
        "all_unhealthy", "deregistration_delay", "order", "passive_health", "reload", "reload_within", "resolve",
        "statuses", "sticky_while_draining", "trust",
    }
)  # fmt: skip
IMPORTERS = {"haproxy": Importer(read_haproxy, ".cfg", _UNREAD_IN_HAPROXY)}


def importer_of(target: str) -> Importer:
    if target not in IMPORTERS:
        known = ", ".join(IMPORTERS)
        raise UsageError(f"there is no importer for {target!r}", remedy=f"Known: {known}. Write lb.yaml by hand.")
    return IMPORTERS[target]


def imported(paths: Sequence[Path], target: str, environment: Mapping[str, str]) -> Imported:
    """UsageError names the path that cannot be read; LbcheckError where a configuration listens nowhere."""
    importer = importer_of(target)
    files = [file for path in paths for file in _files(path, importer.suffix)]
    texts = [(str(file), _text(file)) for file in files]
    return importer.read(texts, environment, lambda name: _lines(name, files))


def _files(path: Path, suffix: str) -> list[Path]:
    """Of a folder those with the suffix, by name (Management Guide, section 3, `-f`)."""
    if not path.is_dir():
        return [path]
    found = sorted(
        (file for file in path.iterdir() if file.suffix == suffix and not file.name.startswith(".")),
        key=lambda file: file.name.encode(),
    )
    if not found:
        raise UsageError(f"expected files named *{suffix} in {path}, found none")
    return found


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}", remedy="Name a file, or a folder of them.") from error


def _lines(name: str, files: Sequence[Path]) -> list[str]:
    """Of a file that the configuration names: as it is named, or beside the configuration under the same name."""
    for place in (
        Path(name),
        *(file.parent / name for file in files),
        *(file.parent / Path(name).name for file in files),
    ):
        if place.is_file():
            lines = (line.strip() for line in _text(place).splitlines())
            return [line for line in lines if line and not line.startswith("#")]
    raise Unreadable(f"there is no file {name}, and none of that name beside the configuration")
