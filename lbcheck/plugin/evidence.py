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


def folder_name(node: str) -> str:
    """`FLO-09[api/web]` as a folder: `FLO-09-api-web`."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", node).strip("-.")[:120]


def write(
    report_dir: Path, node: str, *, history: Iterable[str] | None, log: str, files: Mapping[str, str]
) -> list[str]:
    """Writes history.jsonl, target.log and the target's configuration; their paths relative to the report's folder.

    `history`: its lines, as of `history_lines`.
    """
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
            (folder / name).write_text(clipped(without_secrets(text)), encoding="utf-8", errors="backslashreplace")
    names = ["history.jsonl"] if history is not None else []
    return [str(place / name) for name in (*names, *(name for name, text in texts.items() if text))]


def write_set_up(report_dir: Path, node: str, *, log: str, files: Mapping[str, str]) -> list[str]:
    """For a target that did not get ready: what it said, and what it was told."""
    return write(report_dir, node, history=None, log=log, files=files)


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
