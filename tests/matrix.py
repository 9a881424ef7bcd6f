"""The detection matrix: each check against the named defects of the reference balancer, in the simulator.

`python -m tests.matrix` runs all pairs and writes `docs/detection.md` (`--declared`: the declared ones). The tests
run the declared ones.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, ClassVar

from lbcheck.balancer.decisions import Decisions
from lbcheck.balancer.defects import DEFECTS, decisions_with
from lbcheck.checks import Check
from lbcheck.lab.sim import SimLab
from lbcheck.lab.stage import open_stage
from lbcheck.plugin import catalogue
from lbcheck.plugin.documents import documents_of
from lbcheck.plugin.plan import Case, Planner
from lbcheck.plugin.settings import Settings
from lbcheck.plugin.workbench import Workbench
from lbcheck.verdict import Broken, Outcome, Verdict, collecting

SEED = 1
PAGE = Path(__file__).parent.parent / "docs" / "detection.md"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check said of one defect: the judgements that it found broken, and the worst other outcome."""

    broken: frozenset[str]
    others: frozenset[str]


@lru_cache(maxsize=1)
def checks() -> Mapping[str, Check]:
    return catalogue.everything()


@cache
def cases(check_id: str) -> tuple[Case, ...]:
    """The battery's subjects of a check, as a run would take them."""
    chosen = Settings(target="reference", lab="sim")
    planner = Planner(chosen, documents_of(chosen).loaded, Workbench(chosen).target, {})
    return tuple(planner.cases(checks()[check_id]))


class Recording(Decisions):
    """Notes which decisions are asked for."""

    asked: ClassVar[set[str]] = set()

    def __getattribute__(self, name: str) -> Any:
        Recording.asked.add(name)
        return super().__getattribute__(name)


@cache
def met(check_id: str) -> Mapping[str, frozenset[str]]:
    """Case -> the decisions that the correct reference was asked for."""
    found = {}
    lab = SimLab(SEED, decisions=Recording)
    try:
        for case in cases(check_id):
            Recording.asked.clear()
            run(case, lab)
            found[case.node] = frozenset(Recording.asked)
    finally:
        lab.close()
    return found


@cache
def overridden(defect: str) -> frozenset[str]:
    """The decisions that a defect takes in another way."""
    own = [kind for kind in decisions_with(defect).__mro__ if kind not in Decisions.__mro__]
    return frozenset(name for kind in own for name in vars(kind))


def may_meet(check_id: str, defect: str) -> list[Case]:
    """The cases that can be another with this defect.

    Runs in the simulator are the same until a decision is another: where none of a defect's is asked for, they are.
    """
    names = overridden(defect)
    if "__init__" in names:
        return list(cases(check_id))
    return [case for case in cases(check_id) if names & met(check_id)[case.node]]


def judge(check_id: str, defect: str | None, among: Sequence[Case] | None = None) -> Finding:
    """Runs a check on its subjects (or those `among` them) against one defect, until a subject shows it."""
    broken: set[str] = set()
    others: set[str] = set()
    lab = SimLab(SEED, defect)
    try:
        for case in cases(check_id) if among is None else among:
            verdicts, error = run(case, lab)
            broken |= {v.judgement for v in verdicts if v.outcome is Outcome.BROKEN}
            if error is not None and not isinstance(error, Broken):
                others.add(f"{case.node}: {type(error).__name__}: {error}")
            if set(checks()[check_id].catches.values()) & broken:
                break
    finally:
        lab.close()
    return Finding(frozenset(broken), frozenset(others))


def run(case: Case, lab: SimLab) -> tuple[list[Verdict], Exception | None]:
    """Every verdict of one check on one subject, and what ended it early."""
    with collecting() as verdicts:
        try:
            with open_stage(lab, case.spec, case.subject, seed=SEED, opening=case.check.opening) as stage:
                handed = stage.pool(case.subject.name) if case.subject.kind == "pool" else stage.subject.value
                case.check.function(stage, **{case.subject.kind: handed})
        except Exception as error:
            return verdicts, error
    return verdicts, None


def declared() -> Iterator[tuple[str, str, str]]:
    """(check, defect, judgement) of every card."""
    for check in checks().values():
        for defect, judgement in check.catches.items():
            yield check.id, defect, judgement


def killed(check_id: str, defect: str, finding: Finding) -> bool:
    """Killed is *broken* by the judgement that the card names; any of the card's judgements where it names none."""
    card = checks()[check_id]
    wanted = {card.catches[defect]} if defect in card.catches else set(card.catches.values())
    return bool(wanted & finding.broken)


def against(defect: str) -> dict[str, Finding]:
    """What every check says of one defect."""
    return {check_id: judge(check_id, defect, may_meet(check_id, defect)) for check_id in checks()}


def all_pairs() -> dict[tuple[str, str], Finding]:
    found = {}
    with ProcessPoolExecutor(os.cpu_count()) as workers:
        for number, (defect, findings) in enumerate(zip(DEFECTS, workers.map(against, DEFECTS), strict=True), 1):
            print(f"{number}/{len(DEFECTS)} {defect}", file=sys.stderr, flush=True)
            found |= {(check_id, defect): finding for check_id, finding in findings.items()}
    return found


def faults(found: Mapping[tuple[str, str], Finding]) -> list[str]:
    """What is wrong with the matrix itself: a declared kill that does not happen, a check that kills too many."""
    kills = {pair for pair, finding in found.items() if killed(*pair, finding)}
    wrong = [f"{check} does not kill {defect}" for check, defect, _ in declared() if (check, defect) not in kills]
    for check in checks():
        number = sum(pair[0] == check for pair in kills)
        if 3 * number > len(DEFECTS):
            wrong.append(
                f"{check} kills {number} of {len(DEFECTS)} defects: more than a third, so that it tells little"
            )
    return wrong


def declared_pairs() -> dict[tuple[str, str], Finding]:
    """Only the pairs that cards name: under a minute, and no word on who else would notice."""
    return {(check_id, defect): judge(check_id, defect) for check_id, defect, _ in declared()}


def page(found: Mapping[tuple[str, str], Finding], scope: str) -> str:
    """`scope` says which pairs were judged."""
    kills = {pair for pair, finding in found.items() if killed(*pair, finding)}
    survivors = [d for d in DEFECTS if not any(pair[1] == d for pair in kills)]
    lines = [
        "# What turns each check red",
        "",
        f"Written by {scope} of the reference balancer, in the simulator.",
        "A kill is a *broken* verdict by a judgement of the check's own card.",
        "",
        f"{len(checks())} checks, {len(DEFECTS)} defects, {len(kills)} kills; "
        + (f"survivors: {', '.join(survivors)}." if survivors else "no survivor."),
        "",
        "| defect | what is wrong | modelled on | killed by |",
        "|---|---|---|---|",
    ]
    for name, defect in DEFECTS.items():
        by = ", ".join(check for check in checks() if (check, name) in kills) or "**nobody**"
        lines.append(f"| `{name}` | {defect.sentence} | {defect.source} | {by} |")
    lines += ["", "| check | claim | kills |", "|---|---|---|"]
    for check in checks().values():
        lines.append(f"| {check.id} | {check.claim} | {sum(pair[0] == check.id for pair in kills)} |")
    return "\n".join(lines) + "\n"


ALL = "`make matrix`: every check against every named defect"
DECLARED = "`python -m tests.matrix --declared`: the pairs of checks and named defects that the checks' cards declare,"


def main() -> int:
    """Writes the page; 1 where the matrix is not as it has to be."""
    only_declared = "--declared" in sys.argv[1:]
    found = declared_pairs() if only_declared else all_pairs()
    PAGE.write_text(page(found, DECLARED if only_declared else ALL))
    print(PAGE)
    wrong = faults(found)
    print("\n".join(wrong), file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
