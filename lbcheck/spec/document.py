"""The spec as JSON: every default filled in, durations as numbers of seconds (the exec contract), and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lbcheck.errors import Location, SpecError
from lbcheck.spec.fields import spec_record
from lbcheck.spec.kinds import Reading
from lbcheck.spec.loading import loads
from lbcheck.spec.model import Spec
from lbcheck.spec.nodes import from_value
from lbcheck.spec.validity import validate

BESIDE = frozenset({"generation"})  # what the exec contract adds to the spec in the same file


def to_document(spec: Spec) -> dict[str, Any]:
    """JSON-able; the keys of lb.yaml, in the model's order. `null` is silence."""
    document: dict[str, Any] = spec_record().write(spec)
    return document


def from_document(document: Mapping[str, Any], file: str = "spec.json", *, placed: bool = False) -> Spec:
    """The inverse. SpecError as from a file; `placed` also refuses listeners and backends without an address."""
    node = from_value({key: value for key, value in document.items() if key not in BESIDE}, file)
    spec: Spec = spec_record().read(node, "", Reading(document=True))
    validate(spec, {}, file, placed=placed)
    return spec


def read(path: str | Path) -> Spec:
    """A spec to be carried out, from either form: `*.json` holds a document, anything else is lb.yaml."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix != ".json":
            return loads(text, file=str(path)).spec
        document = json.loads(text)
    except (OSError, ValueError) as error:
        raise SpecError(f"cannot be read: {error}", at=Location(str(path))) from error
    if not isinstance(document, dict):
        raise SpecError("expected a JSON object", at=Location(str(path)))
    return from_document(document, str(path), placed=True)
