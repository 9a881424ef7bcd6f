"""A spec as lb.yaml for a reader: what differs from the defaults, with the line that it rests on behind each field."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields
from typing import Any

from lbcheck.errors import Location
from lbcheck.importers.directive import Imported, Ruling
from lbcheck.spec.fields import spec_record
from lbcheck.spec.kinds import Kind, Maybe, Quantity, Truth, Whole
from lbcheck.spec.model import HealthCheck, Listener, Pool, Redirect, Respond, Rule, Spec, Timeouts
from lbcheck.spec.shapes import Act, KeyedRecords, Many, Named, Pair, Record
from lbcheck.spec.validity import place

BLOCKS = (Spec, Listener, Rule, Pool, HealthCheck, Timeouts)  # a line for each field; other records stand on one line
COLUMN = 64  # where comments begin, if the line is shorter
_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./-]*")
_RESERVED = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})


def lb_yaml(imported: Imported, command: str) -> str:
    """The file; `command` runs the gate with it."""
    head = [
        "# What the configuration says, read by `lbcheck init`: behind each field the line that it rests on.",
        "# Change it to what is meant: the gate then tells where the balancer does otherwise.",
        f"#   {command}",
    ]
    refused = imported.ruled(Ruling.REFUSED)
    tail = ["", "# Not in here, though it changes what the balancer does:"] if refused else []
    tail += [f"#   {_one_line(str(entry))}" for entry in refused]
    return "\n".join([*head, "", *_Writer(imported.sources).lines(imported.spec), *tail, ""])


def _one_line(text: str) -> str:
    return re.sub(r"[\x00-\x1f\x7f]+", " ", text)


class _Writer:
    def __init__(self, sources: Mapping[str, Location]) -> None:
        self._sources = sources

    def lines(self, spec: Spec) -> list[str]:
        return ["version: 1", *self._record(spec_record(), spec, "", "")]

    def _record(self, record: Record, value: Any, path: str, indent: str, *, skip: str = "") -> Iterator[str]:
        for name, kind in said(record, value):
            if name not in (skip, "version"):
                here = f"{path}.{name}" if path else name
                yield from self._field(name, kind, getattr(value, name), here, indent)

    def _field(self, name: str, kind: Kind, value: Any, path: str, indent: str) -> Iterator[str]:
        inner = kind.kind if isinstance(kind, Maybe) and value is not None else kind
        key = f"{indent}{_text(name)}:"
        if isinstance(inner, Record) and inner.cls in BLOCKS and list(said(inner, value)):
            yield key
            yield from self._record(inner, value, path, f"{indent}  ")
        elif isinstance(inner, KeyedRecords):
            yield key
            for item in value:
                own = getattr(item, inner.keyed.field)
                yield self._said(f"{indent}  {_text(own)}:", f"{path}.{own}")
                yield from self._record(inner.record, item, f"{path}.{own}", f"{indent}    ", skip=inner.keyed.field)
        elif isinstance(inner, Many) and isinstance(inner.kind, Record) and inner.called:
            yield key
            for item in value:
                yield from self._item(inner.kind, item, f"{path}.{getattr(item, inner.called.field)}", f"{indent}  ")
        else:
            yield self._said(f"{key} {flow(inner, value)}", path)

    def _item(self, record: Record, item: Any, path: str, indent: str) -> Iterator[str]:
        if record.cls not in BLOCKS:
            yield self._said(f"{indent}- {flow(record, item)}", path)
            return
        first, *rest = self._record(record, item, path, f"{indent}  ")
        yield f"{indent}- {first.removeprefix(indent + '  ')}"
        yield from rest

    def _said(self, text: str, path: str) -> str:
        at = place(path, self._sources, "")
        return f"{text:<{COLUMN}}  # {_one_line(str(at))}" if at.line else text


def said(record: Record, value: Any) -> Iterator[tuple[str, Kind]]:
    """The fields that are not what they are by default."""
    for field in fields(record.cls):
        if field.default is MISSING or getattr(value, field.name) != field.default:
            yield field.name, record.kinds[field.name]


def flow(kind: Kind, value: Any) -> str:
    """On one line."""
    if isinstance(kind, Maybe):
        return flow(kind.kind, value) if value is not None else (kind.word or "null")
    if isinstance(kind, Record):
        return _mapping({name: flow(part, getattr(value, name)) for name, part in said(kind, value)})
    if isinstance(kind, (Many, Pair)):
        return "[" + ", ".join(flow(kind.kind, item) for item in value) + "]"
    if isinstance(kind, Named):
        return _mapping({name: flow(kind.value, item) for name, item in value})
    if isinstance(kind, Act):
        return _action(kind, value)
    if isinstance(kind, (Whole, Truth, Quantity)):
        return kind.show(value)
    return _text(kind.show(value))


def _action(kind: Act, value: Any) -> str:
    if isinstance(value, (Redirect, Respond)):
        redirects = isinstance(value, Redirect)
        answer = flow(kind.redirect if redirects else kind.respond, value)
        return _mapping({"redirect" if redirects else "respond": answer})
    (first, weight), *others = value.pools
    pools = _text(first) if not others and weight == 1 else flow(kind.forward, value.pools)
    return _mapping({"forward": pools})


def _mapping(parts: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{_text(name)}: {text}" for name, text in parts.items()) + "}"


def _text(text: str) -> str:
    """Between double quotes where it could be read as something else: JSON's texts are YAML's (YAML 1.2, 7.3.1)."""
    plain = _PLAIN.fullmatch(text) and text.lower() not in _RESERVED
    return text if plain else json.dumps(text)
