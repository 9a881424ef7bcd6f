"""Named defects: what the reference balancer gets wrong when it is told to, so that checks prove that they can fail.

Each is a subclass of `Decisions` that overrides one decision: a balancer that is off by one thing, not a dead one.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches

from lbcheck.balancer.decisions import Decisions
from lbcheck.balancer.defects import (  # noqa: F401  (they fill the catalogue)
    actions,
    bindings,
    change,
    connections,
    counting,
    delivery,
    exchanges,
    fields,
    forwarded,
    hashing,
    lasting,
    leaving,
    limits,
    membership,
    messages,
    passive,
    probing,
    rules,
    slow_start,
    stickiness,
    turns,
)
from lbcheck.balancer.defects.catalogue import Defect, found
from lbcheck.errors import UsageError

__all__ = ["DEFECTS", "Defect", "decisions_with"]

DEFECTS: Mapping[str, Defect] = {name: card for name, (card, _) in sorted(found.items())}


def decisions_with(name: str) -> type[Decisions]:
    """The decisions with this defect; UsageError for a name that is not in `DEFECTS`."""
    if name not in found:
        close = get_close_matches(name, DEFECTS, n=3)
        raise UsageError(f"no defect is called {name!r}", remedy=f"did you mean {', '.join(close)}?" if close else "")
    return found[name][1]
