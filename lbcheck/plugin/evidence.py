"""Evidence of a check as files: bounded in size, without secrets, written before its world is torn down."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from lbcheck.history import SCHEMA, Act, Event, History, to_json

HISTORY_LIMIT = 16 << 20  # bytes
TEXT_LIMIT = 1 << 20  # characters of a log or a configuration
GONE = "[redacted]"
_COOKIES = ("cookie", "set-cookie")
_SECRET_FIELDS = ("authorization", "proxy-authorization", "x-api-key", "x-auth-token")
_SECRET_WORDS = re.compile(
    r"(?i)\b((?:insecure-)?password|passwd|passphrase|secret|token|api[_-]?key|private[_-]?key|bearer|basic)"
    r"(\"?\s*[:= ]\s*\"?)([^\s\"',;]+)"
)
_LOGIN = re.compile(r"(?i)\b(auth\s+[^\s:]+:)\S+")  # "stats auth admin:secret"
_PEM = re.compile(r"-----BEGIN ([A-Z ]*PRIVATE KEY)-----.*?-----END \1-----", re.DOTALL)


def folder_name(node: str) -> str:
    """`FLO-09[api/web]` as a folder: `FLO-09-api-web`."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", node).strip("-.")[:120]


def write(
    report_dir: Path, node: str, *, history: History | None, log: str, files: Mapping[str, str], keep_cookies: bool
) -> list[str]:
    """Writes history.jsonl, target.log and the target's configuration; their paths relative to the report's folder."""
    place = PurePosixPath("evidence") / folder_name(node)
    folder = report_dir / place
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.iterdir():  # by an earlier run
        left.unlink()
    texts = {"target.log": log, **{_safe_name(name): text for name, text in files.items()}}
    if history is not None:
        with (folder / "history.jsonl").open("w", encoding="utf-8") as out:
            out.writelines(f"{line}\n" for line in history_lines(history, keep_cookies=keep_cookies))
    for name, text in texts.items():
        if text:
            (folder / name).write_text(clipped(without_secrets(text)), encoding="utf-8", errors="backslashreplace")
    names = ["history.jsonl"] if history is not None else []
    return [str(place / name) for name in (*names, *(name for name, text in texts.items() if text))]


def write_set_up(report_dir: Path, node: str, *, log: str, files: Mapping[str, str]) -> list[str]:
    """For a target that did not get ready: what it said, and what it was told."""
    return write(report_dir, node, history=None, log=log, files=files, keep_cookies=False)


def _safe_name(name: str) -> str:
    return folder_name(name.replace("/", "-")) or "file"


def clipped(text: str, limit: int = TEXT_LIMIT) -> str:
    """The beginning and the end of a text that is too long."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half} characters left out ...]\n{text[-half:]}"


def without_secrets(text: str) -> str:
    text = _SECRET_WORDS.sub(rf"\1\2{GONE}", _LOGIN.sub(rf"\1{GONE}", text))
    return _PEM.sub(rf"-----{GONE}-----", text)


# --- histories -------------------------------------------------------------------------------------------------------


def history_lines(history: History, *, keep_cookies: bool, limit: int = HISTORY_LIMIT) -> Iterator[str]:
    """The history's JSON lines without secrets; beyond `limit` bytes the middle is left out, and an act says so."""
    yield json.dumps({"schema": SCHEMA})
    fields = _SECRET_FIELDS if keep_cookies else _SECRET_FIELDS + _COOKIES
    events = [_without(event, fields) for event in history]
    lines = [json.dumps(to_json(event), separators=(",", ":")) for event in events]
    head, tail = _ends([len(line) + 1 for line in lines], limit)
    yield from lines[:head]
    if head + tail < len(lines):
        note = Act(events[head].at, "left-out", detail=f"{len(lines) - head - tail} events, too many to keep")
        yield json.dumps(to_json(note), separators=(",", ":"))
        yield from lines[len(lines) - tail :]


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
        changed["headers"] = tuple((n, GONE if n.lower() in fields else v) for n, v in headers)
    return dataclasses.replace(event, **changed) if changed else event


def _head_without(raw: bytes, fields: tuple[str, ...]) -> bytes:
    names = "|".join(map(re.escape, fields)).encode()
    return re.sub(rb"(?im)^(" + names + rb")(\s*:)[^\r\n]*", rb"\1\2 " + GONE.encode(), raw)
