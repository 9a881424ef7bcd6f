"""The part of JSON Schema (draft 2020-12) that the generated schema uses, read as its text says."""

from __future__ import annotations

import re
from typing import Any

TYPES = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "null": type(None),
    "integer": int,
    "number": (int, float),
}
SAID_ONLY = {"description", "title", "$schema", "$defs"}


def mismatches(value: Any, schema: dict[str, Any], root: dict[str, Any], path: str = "") -> list[str]:
    """What of the value does not fit, each with its path; AssertionError for a keyword that is not known here."""
    found: list[str] = []
    for keyword, rule in schema.items():
        if keyword not in SAID_ONLY:
            found += _keyword(keyword, rule, value, schema, root, path)
    return found


def _keyword(keyword: str, rule: Any, value: Any, schema: dict[str, Any], root: dict[str, Any], path: str) -> list[str]:
    if keyword == "$ref":
        return mismatches(value, root["$defs"][rule.removeprefix("#/$defs/")], root, path)
    if keyword == "anyOf":
        tries = [mismatches(value, option, root, path) for option in rule]
        return [] if any(not tried for tried in tries) else min(tries, key=len)
    if keyword == "properties":
        table = value if isinstance(value, dict) else {}
        return [x for key in table if key in rule for x in mismatches(table[key], rule[key], root, f"{path}.{key}")]
    if keyword == "additionalProperties":
        return _additional(rule, value, schema, root, path)
    if keyword == "items":
        items = value if isinstance(value, list) else []
        return [x for index, item in enumerate(items) for x in mismatches(item, rule, root, f"{path}[{index}]")]
    fits = {
        "type": lambda: any(_is(value, name) for name in ([rule] if isinstance(rule, str) else rule)),
        "enum": lambda: value in rule,
        "const": lambda: value == rule,
        "pattern": lambda: not isinstance(value, str) or re.search(rule, value) is not None,
        "minimum": lambda: not isinstance(value, int | float) or value >= rule,
        "maximum": lambda: not isinstance(value, int | float) or value <= rule,
        "required": lambda: not isinstance(value, dict) or all(name in value for name in rule),
        "minItems": lambda: not isinstance(value, list) or len(value) >= rule,
        "maxItems": lambda: not isinstance(value, list) or len(value) <= rule,
        "minProperties": lambda: not isinstance(value, dict) or len(value) >= rule,
        "maxProperties": lambda: not isinstance(value, dict) or len(value) <= rule,
    }
    assert keyword in fits, f"the schema uses {keyword}"
    return [] if fits[keyword]() else [f"{path}: {value!r} is not {keyword} {rule}"]


def _additional(rule: Any, value: Any, schema: dict[str, Any], root: dict[str, Any], path: str) -> list[str]:
    if not isinstance(value, dict):
        return []
    others = {key: item for key, item in value.items() if key not in schema.get("properties", {})}
    if rule is False:
        return [f"{path}.{key}: no such key" for key in others]
    return [x for key, item in others.items() for x in mismatches(item, rule, root, f"{path}.{key}")]


def _is(value: Any, name: str) -> bool:
    if name in ("integer", "number") and isinstance(value, bool):
        return False
    return isinstance(value, TYPES[name])
