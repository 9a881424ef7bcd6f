"""Which processes run without a library that they were started with: the proof that it was not lost on the way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path


def in_real_time(processes: Iterable[int], library: str = "libfaketime") -> Iterator[str]:
    """ "nginx (process 123)" for each of these that runs without the library; what cannot be looked at is left out."""
    for process in processes:
        place = Path("/proc") / str(process)
        try:
            maps, name = (place / "maps").read_text(errors="replace"), (place / "comm").read_text().strip()
        except OSError:
            continue  # gone meanwhile, or not ours to look at
        if maps and library not in maps:
            yield f"{name} (process {process})"
