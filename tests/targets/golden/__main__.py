"""`make golden`."""

from __future__ import annotations

import sys

from . import write

for path in write():
    sys.stdout.write(f"{path}\n")
