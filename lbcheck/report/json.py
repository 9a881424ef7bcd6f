"""run.json: the whole record for machines. `schema` names its shape; one check stands on one line."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from lbcheck.report.model import Run, run_to_json
from lbcheck.report.text import clipped

TEXT = 20_000  # characters of one string that came from outside
_DEPTH = 20


def document(run: Run) -> str:
    """ASCII JSON, the same for the same run; strings are clipped to `TEXT`, figures beyond JSON (NaN) become words."""
    data = run_to_json(run)
    checks = data.pop("checks")
    head = json.dumps(_plain({"schema": data.pop("schema"), **data, "counts": run.counts()}), indent=1)
    lines = ",\n".join("  " + json.dumps(_plain(check), separators=(",", ":")) for check in checks)
    return f'{head.removesuffix("}").rstrip()},\n "checks": [\n{lines}\n ]\n}}\n'


def _plain(value: Any, depth: int = 0) -> Any:
    if depth > _DEPTH:
        return "..."
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, dict):
        return {_text(str(k)): _plain(v, depth + 1) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v, depth + 1) for v in value]
    return value if value is None or isinstance(value, bool | int) else _text(str(value))


def _text(text: str) -> str:
    """Clipped, and without lone surrogates, which strict readers of JSON refuse (RFC 8259, 8.2)."""
    return re.sub("[\ud800-\udfff]", "\ufffd", clipped(text, TEXT))
