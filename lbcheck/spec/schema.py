"""The JSON Schema of lb.yaml (draft 2020-12), generated from the model's own types, for editors.

It describes shapes. What only the loader knows (units' bounds, names that refer to each other) is said by its errors.
"""

from __future__ import annotations

from typing import Any

from lbcheck.spec.fields import spec_record

DRAFT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """JSON-able; each dataclass of the model is one of `$defs`."""
    definitions: dict[str, Any] = {}
    body = spec_record().body(definitions)
    return {"$schema": DRAFT, "title": "lb.yaml", **body, "$defs": dict(sorted(definitions.items()))}
