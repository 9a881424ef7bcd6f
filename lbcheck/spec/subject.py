"""What a claim is about: one pool, rule or listener of a spec, or the whole of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
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

    def within(self, spec: Spec) -> Subject:
        """The same subject as it stands in another form of its spec, such as the placed one."""
        match self.value:
            case Pool(name=name):
                return replace(self, value=spec.pool(name))
            case Listener(name=name):
                return replace(self, value=spec.listener(name))
            case Spec():
                return replace(self, value=spec)
        return self
