"""Balancers and backends as a user starts them: processes of their own, ended by the end of the block."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lbcheck.backends.serve import TOKEN

SECRET = "sixteen characters"
ENDS_WITHIN_S = 10.0


@dataclass(frozen=True, slots=True)
class Started:
    pid: int
    port: int
    control: int


@contextmanager
def backend(name: str = "", *, address: str = "127.0.0.1", port: int = 0, token: str = SECRET) -> Iterator[Started]:
    words = ["backend", f"--port={port}", "--control=0", f"--address={address}"]
    with said_by([*words, *([f"--name={name}"] if name else [])], {TOKEN: token}) as said:
        yield Started(said["pid"], said["port"], said["control"])


@contextmanager
def reference(spec: Path) -> Iterator[int]:
    """The reference balancer on this spec: its process."""
    with said_by(["serve", str(spec)], {}) as said:
        yield said["pid"]


@contextmanager
def said_by(words: Sequence[str], environment: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Runs `lbcheck WORDS` for the block, and gives what it says when it is ready."""
    process = subprocess.Popen(
        [sys.executable, "-m", "lbcheck.cli", *words],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()
            process.wait(ENDS_WITHIN_S)
