"""What a claim is about: one pool, rule or listener of a spec, or the whole of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from lbcheck.spec.model import Listener, Pool, Rule, Spec

SubjectKind: TypeAlias = Literal["pool", "rule", "listener", "spec"]


@dataclass(frozen=True, slots=True)
class Subject:
    """One thing in a spec that makes the claim. `path` is where it stands: `pools.api`, `listeners.public.rules.10`."""

    kind: SubjectKind
    name: str
    path: str
    value: Pool | Rule | Listener | Spec
    listener: str | None = None  # of a rule
