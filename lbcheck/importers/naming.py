"""Names of a configuration as names of the spec."""

from __future__ import annotations

import re
from collections.abc import Sequence


def spec_names(names: Sequence[str]) -> dict[str, str]:
    """The spec's names have no dots and colons in them; what would be the same name twice gets a number."""
    found: dict[str, str] = {}
    for name in names:
        plain = re.sub(r"[^A-Za-z0-9_-]", "-", name).lstrip("-") or "unnamed"
        taken = list(found.values())
        found[name] = plain if plain not in taken else f"{plain}-{len(taken) + 1}"
    return found
