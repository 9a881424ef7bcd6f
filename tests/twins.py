"""The battery against the reference's twins, in the simulator: what each check says, and what its history holds."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from hashlib import sha256

from lbcheck.balancer.twins import TWINS
from lbcheck.lab.sim import SimLab
from lbcheck.lab.stage import open_stage
from lbcheck.plugin.plan import Case
from lbcheck.spec.model import Spec
from lbcheck.verdict import Outcome, Verdict, collecting

from . import matrix

SEED = matrix.SEED


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of one check on one subject: `wrong` says each verdict that does not hold and each error."""

    wrong: tuple[str, ...]
    history: str  # digest of all its lines


def run(case: Case, lab: SimLab, *, workers: int = 1, seed: int = SEED) -> Seen:
    """One case; the spec claims the twin's workers."""
    spec: Spec = case.spec
    if workers > 1:
        spec = replace(spec, claims=replace(spec.claims, workers=workers))
    digest = sha256()
    with collecting() as verdicts:
        error: Exception | None = None
        try:
            with open_stage(lab, spec, case.subject, seed=seed, opening=case.check.opening) as stage:
                try:
                    handed = stage.pool(case.subject.name) if case.subject.kind == "pool" else stage.subject.value
                    case.check.function(stage, **{case.subject.kind: handed})
                finally:
                    for line in stage.history.lines():
                        digest.update(line.encode())
        except Exception as caught:
            error = caught
    return Seen((*_told(verdicts, error, case),), digest.hexdigest())


def _told(verdicts: Collection[Verdict], error: Exception | None, case: Case) -> list[str]:
    told = [
        f"{case.node}: {v.outcome.value} by {v.judgement}: expected {v.expected}; saw {v.saw}"
        for v in verdicts
        if v.outcome is not Outcome.HOLDS
    ]
    return told if error is None or told else [f"{case.node}: {type(error).__name__}: {error}"]


@cache
def of_reference(check_id: str) -> tuple[Seen, ...]:
    return of_twin(check_id, None)


@lru_cache(maxsize=256)  # one twin's whole battery
def of_twin(check_id: str, twin: str | None, seed: int = SEED) -> tuple[Seen, ...]:
    """A check on each of its subjects; `twin` None: the reference."""
    lab = SimLab(seed, twin=twin)
    try:
        workers = TWINS[twin].workers if twin else 1
        return tuple(run(case, lab, workers=workers, seed=seed) for case in matrix.cases(check_id))
    finally:
        lab.close()
