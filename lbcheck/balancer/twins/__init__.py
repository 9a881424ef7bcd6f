"""Twins: the reference balancer with one thing done in another way that is just as right.

Each is a subclass of `Decisions`, like a defect, and has the ways of some real product. No check may find fault with
one: what it does is lawful by the specification of the protocol and left open by the spec.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches

from lbcheck.balancer.decisions import Decisions
from lbcheck.balancer.twins import choosing, hashing, heads, health, trying  # noqa: F401  (they fill the catalogue)
from lbcheck.balancer.twins.catalogue import Twin, found
from lbcheck.errors import UsageError

__all__ = ["TWINS", "Twin", "twin_named"]

TWINS: Mapping[str, Twin] = {name: card for name, (card, _) in sorted(found.items())}


def twin_named(name: str) -> type[Decisions]:
    """The decisions of this twin; UsageError for a name that is not in `TWINS`."""
    if name not in found:
        close = get_close_matches(name, TWINS, n=3)
        raise UsageError(f"no twin is called {name!r}", remedy=f"did you mean {', '.join(close)}?" if close else "")
    return found[name][1]
