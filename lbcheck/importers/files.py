"""Reading: the files of a configuration, in the order in which their product takes them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lbcheck.errors import UsageError
from lbcheck.importers.directive import Imported, Unreadable
from lbcheck.importers.haproxy.reading import read as read_haproxy
from lbcheck.importers.nginx.reading import read as read_nginx

NGINX_CONF = "nginx.conf"


@dataclass(frozen=True, slots=True)
class Importer:
    """`main`: of what was named, what the product itself is given. `shape`: what stands in such a file alone.

    `unread`: fields of the spec that it never reads.
    """

    read: Callable[[Sequence[Path], Mapping[str, str]], Imported]
    main: Callable[[Sequence[Path]], list[Path]]
    shape: re.Pattern[str]
    unread: frozenset[str]


def importer_of(target: str) -> Importer:
    if target not in IMPORTERS:
        known = ", ".join(IMPORTERS)
        raise UsageError(f"there is no importer for {target!r}", remedy=f"Known: {known}. Write lb.yaml by hand.")
    return IMPORTERS[target]


def imported(paths: Sequence[Path], target: str, environment: Mapping[str, str]) -> Imported:
    """UsageError names the path that cannot be read; LbcheckError where a configuration listens nowhere."""
    return importer_of(target).read(paths, environment)


def product_of(paths: Sequence[Path]) -> str:
    """Whose configuration it is, by what it holds. UsageError where nothing or too much tells."""
    texts = [_text(file) for path in paths for file in (_sample(path) if path.is_dir() else [path])]
    fitting = [name for name, importer in IMPORTERS.items() if any(importer.shape.search(text) for text in texts)]
    if len(fitting) == 1:
        return fitting[0]
    what = " ".join(str(path) for path in paths)
    could = f"could be for {' or '.join(fitting)}" if fitting else f"looks like none of {', '.join(IMPORTERS)}"
    raise UsageError(f"{what} {could}", remedy="Say whose it is: --target NAME.")


def _sample(folder: Path) -> list[Path]:
    found = sorted(file for file in folder.iterdir() if file.suffix in (".cfg", ".conf") and file.is_file())
    if not found:
        raise UsageError(f"expected files named *.cfg or *.conf in {folder}, found none")
    return found


# --- nginx -----------------------------------------------------------------------------------------------------------


def _nginx(paths: Sequence[Path], _: Mapping[str, str]) -> Imported:
    (main,) = _nginx_main(paths)
    return read_nginx(main)


def _nginx_main(paths: Sequence[Path]) -> list[Path]:
    """One file, which includes the others; of a folder its nginx.conf."""
    if len(paths) != 1:
        raise UsageError(f"nginx takes one configuration file, not {len(paths)}", remedy="Name the main file.")
    main = paths[0] / NGINX_CONF if paths[0].is_dir() else paths[0]
    if not main.is_file():
        where = f"{NGINX_CONF} in {paths[0]}, found none" if paths[0].is_dir() else f"a file, and {main} is none"
        raise UsageError(f"expected {where}", remedy="Name the main file, which includes the others.")
    return [main]


# --- HAProxy ---------------------------------------------------------------------------------------------------------


def _haproxy(paths: Sequence[Path], environment: Mapping[str, str]) -> Imported:
    files = [file for path in paths for file in _files(path, ".cfg")]
    texts = [(str(file), _text(file)) for file in files]
    return read_haproxy(texts, environment, lambda name: _lines(name, files))


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


_OF_HAPROXY = re.compile(r"^[ \t]*(global|defaults|frontend|backend|listen)\b[^;{]*$", re.MULTILINE)
_OF_NGINX = re.compile(r"^[ \t]*(http|events|stream|server|upstream[ \t]+\S+)\s*\{", re.MULTILINE)
_UNREAD_IN_BOTH = frozenset(
    {
        "all_unhealthy", "deregistration_delay", "order", "reload", "reload_within", "resolve", "statuses",
        "sticky_while_draining",
    }
)  # fmt: skip
_UNREAD_IN_HAPROXY = _UNREAD_IN_BOTH | {"passive_health", "trust"}
_UNREAD_IN_NGINX = _UNREAD_IN_BOTH | {"health_check", "stickiness", "slow_start", "proxy_protocol"}
IMPORTERS = {
    "haproxy": Importer(_haproxy, list, _OF_HAPROXY, _UNREAD_IN_HAPROXY),
    "nginx": Importer(_nginx, _nginx_main, _OF_NGINX, _UNREAD_IN_NGINX),
}
