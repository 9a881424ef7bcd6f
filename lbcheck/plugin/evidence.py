"""Evidence of a check as files: bounded in size, without secrets, written before its world is torn down."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from lbcheck.checks import newest
from lbcheck.history import REDACTED, Act, Event, History, to_json
from lbcheck.plugin.plan import Case
from lbcheck.plugin.settings import Settings
from lbcheck.redaction import COOKIES, SECRET_FIELDS, without_secrets
from lbcheck.saved import writing
from lbcheck.saved.lines import SEALED
from lbcheck.saved.writing import Heading
from lbcheck.spec.model import Spec
from lbcheck.verdict import Verdict

HISTORY_LIMIT = 16 << 20  # bytes
TEXT_LIMIT = 1 << 20  # characters of a log or a configuration


LEAST = 64 << 10  # bytes; with less room nothing is written that a reader could use


class Room:
    """How much more evidence one process of a run may write: its share of the run's limit."""

    def __init__(self, limit: int, processes: int = 1) -> None:
        self.limit = limit
        self.left = limit // max(processes, 1)

    @property
    def history_limit(self) -> int:
        """Bytes for the next history: the logs beside it find room too."""
        return min(HISTORY_LIMIT, self.left * 3 // 4)

    @property
    def text_limit(self) -> int:
        """Characters of the next text."""
        return min(TEXT_LIMIT, self.left // 16)

    def take(self, report_dir: Path, paths: Iterable[str]) -> None:
        self.left -= sum((report_dir / path).stat().st_size for path in paths)

    @property
    def unkept(self) -> str:
        """Why nothing more is kept; "" where there is room."""
        if self.left >= LEAST:
            return ""
        return f"left out: the run's evidence has reached its limit of {shown_size(self.limit)} (--lb-evidence-limit)"


def shown_size(n: int) -> str:
    """`256M`, as the option takes it."""
    for shift, unit in ((30, "G"), (20, "M"), (10, "K")):
        if n >> shift and not n % (1 << shift):
            return f"{n >> shift}{unit}"
    return str(n)


def folder_name(node: str) -> str:
    """`FLO-09[api/web]` as a folder: `FLO-09-api-web`."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", node).strip("-.")[:120]


def write(
    report_dir: Path, node: str, room: Room, *, history: Iterable[str] | None, log: str, files: Mapping[str, str]
) -> list[str]:
    """Writes history.jsonl, target.log and the target's configuration; their paths relative to the report's folder.

    `history`: its lines, as of `history_lines`. Nothing where there is no room.
    """
    if room.unkept:
        return []
    text_limit = room.text_limit
    place = PurePosixPath("evidence") / folder_name(node)
    folder = report_dir / place
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.iterdir():  # by an earlier run
        left.unlink()
    texts = {"target.log": log, **{_safe_name(name): text for name, text in files.items()}}
    if history is not None:
        with (folder / "history.jsonl").open("w", encoding="utf-8") as out:
            out.writelines(history)
    for name, text in texts.items():
        if text:
            (folder / name).write_text(
                clipped(without_secrets(text), text_limit), encoding="utf-8", errors="backslashreplace"
            )
    names = ["history.jsonl"] if history is not None else []
    kept = [str(place / name) for name in (*names, *(name for name, text in texts.items() if text))]
    room.take(report_dir, kept)
    return kept


def write_set_up(report_dir: Path, node: str, room: Room, *, log: str, files: Mapping[str, str]) -> list[str]:
    """For a target that did not get ready: what it said, and what it was told."""
    return write(report_dir, node, room, history=None, log=log, files=files)


def _safe_name(name: str) -> str:
    return folder_name(name.replace("/", "-")) or "file"


def clipped(text: str, limit: int = TEXT_LIMIT) -> str:
    """The beginning and the end of a text that is too long."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half} characters left out ...]\n{text[-half:]}"


# --- histories -------------------------------------------------------------------------------------------------------


def heading_of(case: Case, settings: Settings, spec: Spec, *, target: str, slack_s: float) -> Heading:
    """What a case's history is of, with the placed spec."""
    return Heading(
        check=case.check.id,
        node=case.node,
        claim=case.check.claim,
        subject=f"{case.subject.kind} {case.subject.name}",
        spec=spec,
        target=f"{target}, defect {settings.defect}" if settings.defect else target,
        lab=settings.lab,
        seed=settings.seed,
        slack_s=slack_s,
        catalogue=settings.catalogue or newest(),
    )


def history_lines(
    history: History,
    heading: Heading,
    verdicts: Sequence[Verdict] = (),
    *,
    keep_cookies: bool,
    limit: int = HISTORY_LIMIT,
) -> Iterator[str]:
    """The lines of a saved history without secrets; beyond `limit` bytes its middle is left out, and an act says so."""
    fields = SECRET_FIELDS if keep_cookies else SECRET_FIELDS + COOKIES
    heading = dataclasses.replace(heading, redacted=fields)

    def without(event: Event) -> Event:
        return _without(event, fields)

    events = list(history)
    head, tail = _ends(
        [len(json.dumps(to_json(without(event)), separators=(",", ":"))) + 20 for event in events], limit
    )
    left_out = len(events) - head - tail
    if not left_out:
        return writing.lines(heading, history, verdicts, without=without)
    note = Act(events[head].at, "left-out", detail=f"{left_out} events, too many to keep")
    kept = [*events[:head], note, *events[len(events) - tail :]]
    heading = dataclasses.replace(heading, left_out=left_out)
    return writing.lines(heading, history, verdicts, events=kept, without=without)


def _size(event: Event) -> int:
    return len(json.dumps(to_json(event), separators=(",", ":"))) + SEALED


def _ends(sizes: list[int], limit: int) -> tuple[int, int]:
    """How many entries of the beginning and of the end fit into `limit`."""
    if sum(sizes) <= limit:
        return len(sizes), 0
    return _fitting(sizes, limit // 2), _fitting(reversed(sizes), limit // 2)


def _fitting(sizes: Iterable[int], limit: int) -> int:
    count = 0
    for size in sizes:
        limit -= size
        if limit < 0:
            break
        count += 1
    return count


def _without(event: Event, fields: tuple[str, ...]) -> Event:
    changed: dict[str, Any] = {}
    for name in ("request", "head"):
        raw = getattr(event, name, None)
        if isinstance(raw, bytes):
            changed[name] = _head_without(raw, fields)
    headers = getattr(event, "headers", None)
    if headers:
        changed["headers"] = tuple((n, REDACTED if n.lower() in fields else v) for n, v in headers)
    return dataclasses.replace(event, **changed) if changed else event


def _head_without(raw: bytes, fields: tuple[str, ...]) -> bytes:
    names = "|".join(map(re.escape, fields)).encode()
    return re.sub(rb"(?im)^(" + names + rb")(\s*:)[^\r\n]*", rb"\1\2 " + REDACTED.encode(), raw)
