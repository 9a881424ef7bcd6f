"""A backend's journal: one event a line, on disk before anything that follows from it, read while it grows."""

from __future__ import annotations

import json
import os
from pathlib import Path

from lbcheck.history import Event, from_json, to_json


class JournalFile:
    """Appends events to a file, each by one write, so that what was journalled survives the death of its writer."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        size = os.fstat(self._file).st_size
        if size and os.pread(self._file, 1, size - 1) != b"\n":
            os.write(self._file, b"\n")  # a former life was killed within a line: that line stays alone

    def __call__(self, event: Event) -> None:
        os.write(self._file, json.dumps(to_json(event), separators=(",", ":")).encode() + b"\n")

    def close(self) -> None:
        os.close(self._file)


class Tail:
    """Reads a journal piece by piece. A last line without its end is waited for; `torn` counts those left without."""

    def __init__(self, path: Path) -> None:
        self.torn = 0
        self._path = path
        self._read = 0  # bytes of the file
        self._rest = b""

    def read(self) -> list[Event]:
        """The events that were added since the last call; none while there is no file."""
        *lines, self._rest = (self._rest + self._added()).split(b"\n")
        return [event for line in lines if line and (event := self._event(line)) is not None]

    def _added(self) -> bytes:
        try:
            if self._path.stat().st_size == self._read:
                return b""
            with self._path.open("rb") as file:
                file.seek(self._read)
                added = file.read()
        except FileNotFoundError:
            return b""
        self._read += len(added)
        return added

    def _event(self, line: bytes) -> Event | None:
        try:
            data = json.loads(line)
        except ValueError:
            self.torn += 1
            return None
        return from_json(data)
