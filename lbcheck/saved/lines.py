"""The lines of a saved history, sealed: each carries the checksum of everything up to it.

A line that is changed, missing, doubled or out of place is known by its number, and so is a file that was cut.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NoReturn
from zlib import crc32

import lbcheck
from lbcheck.errors import HistoryError, Location

SCHEMA = "lbcheck-history/2"
END = "end"
LONGEST = 64 << 20  # bytes of one line
SEAL = b',"crc":"%08x"}\n'
SEALED = len(SEAL % 0)  # bytes

FROM_WHERE = "give the history.jsonl of a run's evidence folder (--lb-evidence=on keeps it for every check)"
AGAIN = "copy the file again from where it was written, or run the check again with --lb-evidence=on"


def sealed(records: Iterable[dict[str, Any]]) -> Iterator[str]:
    """JSON objects as the lines of a file; none of them may be empty, or hold a key `crc`."""
    crc = 0
    for record in records:
        text = json.dumps(record, separators=(",", ":"), allow_nan=False)[:-1]
        crc = crc32(text.encode(), crc)
        yield text + (SEAL % crc).decode()


def unsealed(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(number, record) of each line up to the last, which says that it is; HistoryError names the first wrong one."""
    crc, number, record = 0, 0, {"kind": ""}
    try:
        with path.open("rb") as file:
            for number, line in enumerate(iter(partial(file.readline, LONGEST), b""), 1):
                if record.get("kind") == END:
                    refuse(path, number, "nothing may follow the last line", AGAIN)
                body = line[:-SEALED]
                crc = crc32(body, crc)
                if line[-SEALED:] != SEAL % crc:
                    _refuse_line(path, number, line)
                record = _read(path, number, body)
                yield number, record
    except OSError as error:
        raise HistoryError(f"cannot be read: {error.strerror}", at=Location(str(path)), remedy=FROM_WHERE) from error
    if number == 0:
        refuse(path, 1, f"expected a header with schema {SCHEMA}, got an empty file", FROM_WHERE)
    if record.get("kind") != END:
        refuse(path, number + 1, "the file ends here, before its last line: it is truncated", AGAIN)


def refuse(path: Path, number: int, message: str, remedy: str) -> NoReturn:
    raise HistoryError(message, at=Location(str(path), number), remedy=remedy)


def _constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number")


_DECODER = json.JSONDecoder(parse_constant=_constant)


def _read(path: Path, number: int, body: bytes) -> dict[str, Any]:
    try:
        text = body.decode() + "}"
        record, end = _DECODER.raw_decode(text)
        if end != len(text) or not isinstance(record, dict):
            raise ValueError("more than one value")
    except (ValueError, RecursionError) as error:
        refuse(path, number, f"expected one JSON object: {error}", FROM_WHERE)
    if number == 1 and record.get("schema") != SCHEMA:
        _refuse_schema(path, record.get("schema"), record.get("lbcheck"))
    return record


def _refuse_line(path: Path, number: int, line: bytes) -> NoReturn:
    if number == 1:
        _refuse_header(path, line)
    if not line.endswith(b"\n"):
        refuse(path, number, "the file ends within this line: it is truncated", AGAIN)
    refuse(path, number, "its checksum fits neither the line nor what stands before it: the file was changed", AGAIN)


def _refuse_header(path: Path, line: bytes) -> NoReturn:
    try:
        header = json.loads(line)
    except (ValueError, RecursionError):
        header = None
    if isinstance(header, dict) and header.get("schema") != SCHEMA and "schema" in header:
        _refuse_schema(path, header["schema"], header.get("lbcheck"))
    got = line[:60].decode(errors="backslashreplace").strip()
    if isinstance(header, dict) and "schema" in header:
        refuse(path, 1, "its checksum does not fit the header: the file was changed", AGAIN)
    refuse(path, 1, f"expected the header of a saved history (schema {SCHEMA}), got {got!r}", FROM_WHERE)


def _refuse_schema(path: Path, schema: object, by: object) -> NoReturn:
    wrote = f", which is {by}" if isinstance(by, str) else ""
    refuse(
        path,
        1,
        f"expected schema {SCHEMA}, got {schema!r}",
        f"judge it with the lbcheck that wrote it{wrote} (this is {lbcheck.__version__}), or run the check again",
    )
