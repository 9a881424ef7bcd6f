"""What a haproxy.cfg names outside itself. Citations are to the Configuration Manual, version 2.6."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from lbcheck.targets.surroundings import Surroundings

CERTIFICATES = ("crt", "ca-file", "ca-verify-file", "crt-ignore")  # "Bind options", "Server and default-server options"
BASES = {"crt": "crt-base", "ca-file": "ca-base", "ca-verify-file": "ca-base"}  # section 3.1
MAP = re.compile(r"\bmap(?:_\w+)?\(([^,)]+)")  # converters of section 7.3.1
ERROR_PAGE = (
    "HTTP/1.0 {code} lbcheck\r\nCache-Control: no-cache\r\nConnection: close\r\nContent-Type: text/html\r\n\r\n"
)


def surroundings(configs: Sequence[Path]) -> Surroundings:
    """Of all files together, as `-f` takes them; a folder stands for its *.cfg files (Management Guide, 3)."""
    lines = [words for config in configs for words in _lines(config)]
    bases = {words[0]: words[1] for words in lines if words[0] in ("crt-base", "ca-base") and len(words) > 1}
    return Surroundings(
        certificates=tuple(dict.fromkeys(path for words in lines for path in _certificates(words, bases))),
        reads={path: text for words in lines for path, text in _reads(words)},
        writes=tuple(dict.fromkeys(path for words in lines for path in _writes(words))),
        folders=tuple(words[1] for words in lines if words[0] == "chroot" and len(words) > 1),
        users=_named(lines, "user"),
        groups=_named(lines, "group"),
    )


def _lines(config: Path) -> Iterator[list[str]]:
    files = sorted(config.glob("*.cfg")) if config.is_dir() else [config]
    for file in files:
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            if words := _words(line):
                yield words


def _words(line: str) -> list[str]:
    """Quoting is as in a shell (section 2.2)."""
    try:
        return shlex.split(line, comments=True)
    except ValueError:
        return line.partition("#")[0].split()


def _certificates(words: list[str], bases: dict[str, str]) -> Iterator[str]:
    for keyword, path in pairwise(words):
        if keyword not in CERTIFICATES or words[0] not in ("bind", "server", "default-server", "server-template"):
            continue
        base = bases.get(BASES.get(keyword, ""), "")
        full = path if path.startswith("/") else f"{base}/{path}" if base.startswith("/") else ""
        if full and not path.startswith("@"):
            yield full if Path(full).suffix or full.endswith("/") else f"{full}/"


def _reads(words: list[str]) -> Iterator[tuple[str, str]]:
    if words[0] == "errorfile" and len(words) > 2 and words[2].startswith("/"):
        yield words[2], ERROR_PAGE.format(code=words[1])
    patterns = [path for flag, path in pairwise(words) if flag == "-f"]
    patterns += [path for word in words for path in MAP.findall(word)]
    yield from ((path, "") for path in patterns if path.startswith("/"))


def _writes(words: list[str]) -> Iterator[str]:
    """Sockets that are bound (section 4.2, "bind"); -p of the command wins over `pidfile`."""
    place = words[2:3] if words[:2] == ["stats", "socket"] else words[1:2] if words[0] == "bind" else []
    for path in place:
        bare = path.removeprefix("unix@")
        if bare.startswith("/"):
            yield bare


def _named(lines: list[list[str]], keyword: str) -> tuple[str, ...]:
    """Accounts of the process, and of the sockets that it binds ("uid", "user", "gid", "group" of section 5.1)."""
    owned = ("bind", "stats", "unix-bind")
    found = [words[1] for words in lines if words[0] == keyword and len(words) == 2]
    for words in lines:
        if words[0] in owned:
            found += [name for key, name in pairwise(words) if key == keyword]
    return tuple(dict.fromkeys(found))
