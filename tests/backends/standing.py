"""`lbcheck backend` as a user starts it: a process of its own, ended by the end of the block."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

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
    words = [sys.executable, "-m", "lbcheck.cli", "backend", f"--port={port}", "--control=0", f"--address={address}"]
    process = subprocess.Popen(
        [*words, *([f"--name={name}"] if name else [])],
        env={**os.environ, TOKEN: token},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        try:
            assert process.stdout is not None
            said = json.loads(process.stdout.readline())
            yield Started(said["pid"], said["port"], said["control"])
        finally:
            process.terminate()
            process.wait(ENDS_WITHIN_S)
