"""False alarms: the whole battery again and again on balancers that are right, in the simulator and on busy machines.

`python -m tests.soak` goes on where it was left (`.soak/`), and writes `docs/soak.md` from all that it has by then.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lbcheck.errors import HarnessFault
from lbcheck.lab.sim import SimLab
from lbcheck.lab.stage import open_stage
from lbcheck.plugin.plan import Case
from lbcheck.plugin.workbench import seed_of
from lbcheck.verdict import Broken, Inconclusive, collecting

from . import matrix
from .e2e.expectation import PRODUCTS, expectation
from .e2e.runs import whole_run

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "soak.md"
KEPT = ROOT / ".soak"
CONFIDENCE = 0.95
BURN_S = 1200.0  # the longest that a burner lives


@dataclass(frozen=True, slots=True)
class Round:
    """One whole battery: how many checks ended in which way, and which of them were not to end so."""

    where: str  # sim reference | process reference | process haproxy
    number: int  # in the simulator the seed
    outcomes: dict[str, int]
    broken: tuple[str, ...] = ()  # beyond what is known of this target, and harness faults
    undecided: tuple[str, ...] = ()


# --- in the simulator ------------------------------------------------------------------------------------------------


def simulated(seed: int, checks: Sequence[str] = ()) -> Round:
    """Every case of the battery, or of these checks, with the seeds that a run of this seed gives them."""
    outcomes: Counter[str] = Counter()
    wrong, undecided = [], []
    lab = SimLab(seed)
    try:
        for check_id in checks or matrix.checks():
            for case in matrix.cases(check_id):
                outcome, told = _ended(case, lab, seed)
                outcomes[outcome] += 1
                wrong += [told] if outcome in ("broken", "error") else []
                undecided += [told] if outcome == "inconclusive" else []
    finally:
        lab.close()
    return Round("sim reference", seed, dict(sorted(outcomes.items())), tuple(wrong), tuple(undecided))


def _ended(case: Case, lab: SimLab, seed: int) -> tuple[str, str]:
    own = seed_of(seed, case.node)
    try:
        with collecting(), open_stage(lab, case.spec, case.subject, seed=own, opening=case.check.opening) as stage:
            handed = stage.pool(case.subject.name) if case.subject.kind == "pool" else stage.subject.value
            case.check.function(stage, **{case.subject.kind: handed})
    except Broken as broken:
        return "broken", f"{case.node}: {broken}"
    except Inconclusive as reason:
        return "inconclusive", f"{case.node}: {reason}"
    except (HarnessFault, Exception) as error:
        return "error", f"{case.node}: {type(error).__name__}: {error}"
    return "holds", ""


# --- on real sockets -------------------------------------------------------------------------------------------------


@contextmanager
def busy_cores(count: int) -> Iterator[None]:
    """That many processes that do nothing but reckon, each bound to end by itself."""
    burn = f"import time\nend = time.monotonic() + {BURN_S}\nwhile time.monotonic() < end: sum(range(10_000))"
    burners = [subprocess.Popen([sys.executable, "-c", burn]) for _ in range(count)]
    try:
        yield
    finally:
        for burner in burners:
            burner.kill()
        for burner in burners:
            burner.wait()


def real(target: str, number: int, words: Sequence[str] = ()) -> Round:
    """A whole run with every core kept busy; what the findings say of this target is known of it."""
    known = expectation(target).broken if target in PRODUCTS else frozenset()
    with tempfile.TemporaryDirectory() as folder, busy_cores(os.cpu_count() or 1):
        run = whole_run(Path(folder), f"--lb-target={target}", f"--lb-seed={number}", *words)
    reasons = {check["node"]: check["reason"] for check in run.record["checks"]}
    wrong = (run.of("broken") - known) | run.of("harness fault")
    told = tuple(f"{node}: {reasons[node]}" for node in sorted(wrong))
    undecided = tuple(f"{node}: {reason}" for node, reason in sorted(run.undecided.items()))
    return Round(f"process {target}", number, dict(sorted(Counter(run.outcomes.values()).items())), told, undecided)


# --- all of it -------------------------------------------------------------------------------------------------------


def soak(seeds: int, rounds: int, targets: Sequence[str], kept: Path, *, checks: Sequence[str] = ()) -> list[Round]:
    """Runs what is not in the folder yet, and returns all that is wanted."""
    kept.mkdir(exist_ok=True)
    done = read(kept)
    have = {(lap.where, lap.number) for lap in done}
    with ProcessPoolExecutor(os.cpu_count()) as workers:
        left = [seed for seed in range(1, seeds + 1) if ("sim reference", seed) not in have]
        for ended in as_completed([workers.submit(simulated, seed, checks) for seed in left]):
            done.append(keep(kept, ended.result()))
    words = [f"--lb-only={','.join(checks)}"] if checks else []
    for target in targets:
        for number in range(1, rounds + 1):
            if (f"process {target}", number) not in have:
                done.append(keep(kept, real(target, number, words)))
    return done


def keep(folder: Path, lap: Round) -> Round:
    with (folder / "rounds.jsonl").open("a") as file:
        file.write(json.dumps(asdict(lap)) + "\n")
    print(f"{lap.where} {lap.number}: {lap.outcomes}", *lap.broken, sep="\n  ", file=sys.stderr, flush=True)
    return lap


def read(folder: Path) -> list[Round]:
    file = folder / "rounds.jsonl"
    lines = file.read_text().splitlines() if file.exists() else []
    return [_round(json.loads(line)) for line in lines]


def _round(data: dict[str, Any]) -> Round:
    return Round(**{**data, "broken": tuple(data["broken"]), "undecided": tuple(data["undecided"])})


def upper_limit(events: int, n: int) -> float:
    """The largest probability of an event that `events` in `n` still fit (Clopper and Pearson 1934, one-sided)."""
    from scipy.stats import beta

    return 1.0 if events >= n else float(beta.ppf(CONFIDENCE, events + 1, n - events))


# --- the page --------------------------------------------------------------------------------------------------------


def page(rounds: Iterable[Round], command: str) -> str:
    by_place: dict[str, list[Round]] = {}
    for lap in rounds:
        by_place.setdefault(lap.where, []).append(lap)
    lines = [
        "# False alarms",
        "",
        f"Written by `{command}`: the whole battery on balancers that are right, again and again. In the simulator",
        "each run has a seed of its own; on real sockets every core is kept busy meanwhile. What HAProxy",
        "is known to break ([findings](findings.md)) is no alarm. The limit is what the number of runs shows at 95 %",
        "(Clopper and Pearson; 3/n where nothing happened); that the true figure is far lower follows from alpha.",
        "",
        "| where | runs | verdicts | runs with a false alarm | at most | inconclusive |",
        "|---|---|---|---|---|---|",
    ]
    for where, own in sorted(by_place.items()):
        alarms = sum(bool(lap.broken) for lap in own)
        verdicts = sum(sum(n for what, n in r.outcomes.items() if what != "unsupported") for r in own)
        undecided = sum(lap.outcomes.get("inconclusive", 0) for lap in own)
        share = f"{undecided} ({undecided / max(verdicts, 1):.2%})"
        lines.append(
            f"| {where} | {len(own)} | {verdicts} | {alarms} | {upper_limit(alarms, len(own)):.2g} | {share} |"
        )
    told = sorted({f"{r.where} {r.number}: {what}" for own in by_place.values() for r in own for what in r.broken})
    lines += ["", "Alarms:", "", *(f"- {what}" for what in told)] if told else []
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="runs in the simulator")
    parser.add_argument("--rounds", type=int, default=20, help="runs on real sockets for each target")
    parser.add_argument("--targets", default="reference,haproxy", help="on real sockets")
    chosen = parser.parse_args(arguments)
    rounds = soak(chosen.seeds, chosen.rounds, [t for t in chosen.targets.split(",") if t], KEPT)
    PAGE.write_text(page(rounds, f"make soak SEEDS={chosen.seeds} ROUNDS={chosen.rounds}"))
    print(PAGE)
    return int(any(lap.broken for lap in rounds))


if __name__ == "__main__":
    sys.exit(main())
