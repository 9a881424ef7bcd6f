"""What an nginx.conf names outside itself, with what it includes. Citations are to nginx.org/en/docs."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from lbcheck.targets.base import VERSION_TIMEOUT_S
from lbcheck.targets.surroundings import Surroundings

TOKEN = re.compile(r"#[^\n]*|\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|[{};]|[^\s{};]+")
CERTIFICATES = {
    f"{module}ssl_{name}"
    for module in ("", "proxy_", "grpc_", "uwsgi_")
    for name in ("certificate", "certificate_key", "trusted_certificate", "client_certificate")
}
READS = ("auth_basic_user_file",)
WRITES = ("error_log", "access_log", "pid", "lock_file")
FOLDERS = re.compile(r"(?:client_body|proxy|fastcgi|uwsgi|scgi)_temp_path|\w+_cache_path")
BUILT_IN = re.compile(r"--((?:error|http)-log-path|http-[\w-]+-temp-path)=(\S+)")  # "Building nginx from Sources"
DEEPEST = 20  # includes within includes


def surroundings(config: Path, built: str) -> Surroundings:
    """`built`: what `nginx -V` says, for the paths that hold where the file says none."""
    said = list(_directives(config, config.parent))
    paths = [(words[0], str(config.parent / words[1])) for words in said if len(words) > 1 and _is_path(words[1])]
    own = dict(BUILT_IN.findall(built))
    accounts = next((words for words in said if words[0] == "user"), [])
    listens = [words[1] for words in said if words[0] == "listen" and len(words) > 1]
    return Surroundings(
        certificates=tuple(dict.fromkeys(path for name, path in paths if name in CERTIFICATES)),
        reads={path: "" for name, path in paths if name in READS},
        writes=(
            *dict.fromkeys(path for name, path in paths if name in WRITES or FOLDERS.fullmatch(name)),
            *(where.removeprefix("unix:") for where in listens if where.startswith("unix:/")),
            *(path for path in own.values() if path.startswith("/")),
        ),
        users=tuple(accounts[1:2]),
        groups=tuple(accounts[2:3] or accounts[1:2]),  # "user": the group is called as the user unless it is said
    )


def built(binary: str) -> str:
    """How it was configured; "" where it does not say."""
    try:
        done = subprocess.run([binary, "-V"], capture_output=True, text=True, timeout=VERSION_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout + done.stderr


def _is_path(word: str) -> bool:
    """Not `off`, `stderr`, `syslog:server=...`, `memory:...`, `data:...` or one that variables make."""
    return "/" in word and ":" not in word and "$" not in word


def _directives(file: Path, prefix: Path, depth: int = 0) -> Iterator[list[str]]:
    """Every directive with its parameters, of any level; paths of `include` start at the main file's folder."""
    words: list[str] = []
    for token in TOKEN.findall(file.read_text(encoding="utf-8", errors="replace")):
        if token.startswith("#"):
            continue
        if token not in ("{", "}", ";"):
            words.append(token.strip("\"'"))
            continue
        if words:
            yield words
        if words[:1] == ["include"] and len(words) > 1 and depth < DEEPEST:
            for included in sorted(Path("/").glob(str(prefix / words[1]).lstrip("/"))):
                yield from _directives(included, prefix, depth + 1)
        words = []
