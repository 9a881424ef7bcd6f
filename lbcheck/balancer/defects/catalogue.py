"""What a defect is, and the list that the modules beside this one fill."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from lbcheck.balancer.decisions import Decisions
from lbcheck.balancer.state import PoolState
from lbcheck.spec.model import Pool


@dataclass(frozen=True, slots=True)
class Defect:
    """One wrong decision on purpose. `area` is that of the checks (ALG, HLT ...).

    `source` is the real bug that it is modelled on, or what it breaks where no single report stands for it.
    """

    name: str
    area: str
    sentence: str
    source: str


class Misconfigured(Decisions):
    """Decides right for another pool than the declared one."""

    def misread(self, pool: Pool) -> Pool:
        return pool

    def _taken_over(self, pool: PoolState | None, spec: Pool, now: float) -> PoolState:
        return super()._taken_over(pool, self.misread(spec), now)


D = TypeVar("D", bound=type[Decisions])

found: dict[str, tuple[Defect, type[Decisions]]] = {}


def defect(name: str, area: str, sentence: str, source: str) -> Callable[[D], D]:
    """Makes a subclass of `Decisions` a defect of that name."""

    def register(wrong: D) -> D:
        if name in found:
            raise ValueError(f"two defects are called {name}")
        found[name] = (Defect(name, area, sentence, source), wrong)
        return wrong

    return register
