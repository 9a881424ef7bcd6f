"""The machine and the versions that a page's figures are from."""

from __future__ import annotations

import os
import platform
import re
import subprocess


def machine() -> str:
    versions = [
        f"Python {platform.python_version()}",
        f"HAProxy {_version(['haproxy', '-v'], r'version ([0-9.]+)')}",
        f"nginx {_version(['nginx', '-v'], r'nginx/([0-9.]+)')}",
    ]
    return f"{platform.system()} on {platform.machine()}, {len(os.sched_getaffinity(0))} cores; {', '.join(versions)}."


def _version(argv: list[str], pattern: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=10)
    match = re.search(pattern, done.stdout + done.stderr)
    return match[1] if match else "of an unknown version"
