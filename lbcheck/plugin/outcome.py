"""From what happened in a check to its outcome. Pure; who is to blame is told as `definitions.md` says it."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

from lbcheck.errors import LbcheckError, TargetDied, TargetError, TargetNeverReady, Unsupported
from lbcheck.verdict import Basis, Broken, Inconclusive, Outcome, Verdict

JUDGES = "lbcheck.judges"
ALIVE = "target-alive"
QUARTER = 0.25
HALF = 0.5


class HardLimit(KeyboardInterrupt):
    """A check was given up by the watchdog. Event loops let a KeyboardInterrupt through, and it only."""


@dataclass(frozen=True, slots=True)
class Decision:
    """`reason` says why a check was not decided, or whose fault it was; a verdict that was added is in `verdict`.

    `never_ready`: the target has not been ready for any check yet, so the set-up is in doubt and not a claim.
    """

    outcome: Outcome
    reason: str = ""
    verdict: Verdict | None = None
    never_ready: bool = False


def decide(error: BaseException | None, limit_s: float = 0.0, was_ready: bool = True, called: bool = True) -> Decision:
    """The outcome of a check that ended with `error` (None: it came to its end).

    `was_ready`: the target got ready in this process before, for this check or another. `called`: the check's world
    stood, so that it had its turn.
    """
    match error:
        case None:
            return Decision(Outcome.HOLDS)
        case Broken():
            return Decision(Outcome.BROKEN)
        case Inconclusive():
            return Decision(Outcome.INCONCLUSIVE, str(error))
        case Unsupported():
            return Decision(Outcome.UNSUPPORTED, str(error))
        case TargetDied():
            return Decision(Outcome.BROKEN, verdict=gone(error.message, error.log))
        case TargetError() if not was_ready:
            return Decision(Outcome.INCONCLUSIVE, f"the target never got ready: {error}", never_ready=True)
        case TargetNeverReady():
            return Decision(Outcome.INCONCLUSIVE, f"the target did not get ready for this check: {error}")
        case TargetError():
            return Decision(Outcome.HARNESS_FAULT, f"the target could not be set up: {error}")
        case LbcheckError():
            return Decision(Outcome.HARNESS_FAULT, str(error))
        case HardLimit():
            return Decision(Outcome.INCONCLUSIVE, f"given up: it did not end within its hard limit of {limit_s:.0f} s")
    if crashed_in_a_judge(error.__traceback__):
        return Decision(Outcome.INCONCLUSIVE, f"a judge crashed: {_one_line(error)}")
    who = "the check itself crashed" if called else "the lab crashed before the check had its turn"
    return Decision(Outcome.HARNESS_FAULT, f"{who}: {_one_line(error)}")


def crashed_in_a_judge(trace: TracebackType | None) -> bool:
    while trace is not None:
        name = trace.tb_frame.f_globals.get("__name__", "")
        if name == JUDGES or name.startswith(f"{JUDGES}."):
            return True
        trace = trace.tb_next
    return False


def after_control(decision: Decision, basis: Basis, control_failed: str) -> Decision:
    """A broken verdict that rests on times or losses is the harness's fault where it fails without the balancer too."""
    if decision.outcome is Outcome.BROKEN and basis != "counts" and control_failed:
        return Decision(Outcome.HARNESS_FAULT, f"it fails without the balancer too: {control_failed}")
    return decision


def after_no_control(decision: Decision, basis: Basis, why_none: str) -> Decision:
    """Nothing that rests on times or losses is blamed on a target where no control run can be made."""
    if decision.outcome is Outcome.BROKEN and basis != "counts" and why_none:
        return Decision(Outcome.INCONCLUSIVE, f"it rests on {basis}, and no control run can be made: {why_none}")
    return decision


def after_slack(decision: Decision, basis: Basis, slack_s: float, shortest_s: float | None) -> Decision:
    """A machine whose timers are late by more than a quarter of the spec's shortest time decides nothing on times.

    It widens times and never counts: what counts alone prove stays broken on any machine.
    """
    if basis == "counts" or shortest_s is None or decision.outcome not in (Outcome.HOLDS, Outcome.BROKEN):
        return decision
    if slack_s <= QUARTER * shortest_s:
        return decision
    return Decision(
        Outcome.INCONCLUSIVE,
        f"the machine is too slow: its timers are {slack_s:.3f} s late, more than a quarter of {shortest_s:g} s",
    )


def after_drift(decision: Decision, basis: Basis, error: float) -> Decision:
    """A clock whose seconds are off by more than a quarter decides nothing on times."""
    if basis == "counts" or error <= QUARTER or decision.outcome not in (Outcome.HOLDS, Outcome.BROKEN):
        return decision
    return Decision(
        Outcome.INCONCLUSIVE,
        f"the machine is too slow for --lb-warp: times on the target's clock are off by {error:.0%}; use a lower rate",
    )


def after_haste(decision: Decision, late_s: float, shortest: tuple[str, float] | None) -> Decision:
    """While the target's clock runs fast, a machine's hiccup is long to it, and may break whatever it is asked.

    `late_s` is the latest that a timer was during the check, `shortest` the shortest of the spec's times and its path.
    """
    if decision.outcome is not Outcome.BROKEN or shortest is None or late_s < HALF * shortest[1]:
        return decision
    path, here_s = shortest
    return Decision(
        Outcome.INCONCLUSIVE,
        f"the machine is too slow for --lb-warp: a timer was {late_s:.3f} s late, and {path} passes in {here_s:.3f} s; "
        "use a lower rate",
        decision.verdict,
    )


def after_departure(decision: Decision, error: BaseException | None, departed: str, log: str) -> Decision:
    """A target found gone when its check was over is broken, whatever the check came to.

    Two things stand: a fault of the harness that was told, since a machine in disorder takes targets with it, and what
    the target was never asked for.
    """
    if not departed or isinstance(error, LbcheckError):
        return decision
    return Decision(Outcome.BROKEN, verdict=gone(departed, log))


def after_death(decision: Decision, error: BaseException | None, died_in: str, cleared: bool) -> Decision:
    """What a check is worth that ran after the target had died in another one, in `died_in`.

    It had a target of its own. Only where what the dead one left could not be ended (`cleared` False) may the two have
    met, and then nothing is decided. A fresh target that does not get ready is no accident after a death, and names it.
    """
    if not died_in:
        return decision
    told = f"the target died in {died_in}; a fresh one was started"
    if cleared:
        unready = isinstance(error, TargetNeverReady)
        return replace(decision, reason=f"{decision.reason} ({told})") if unready else decision
    if decision.outcome not in (Outcome.HOLDS, Outcome.BROKEN):
        return decision
    return Decision(Outcome.INCONCLUSIVE, f"{told}, but what the dead one left could not be ended")


def gone(saw: str, log: str) -> Verdict:
    expected = "the target runs and serves until it is told to stop"
    return Verdict(Outcome.BROKEN, ALIVE, expected, saw.partition("\n")[0], {"log": log[-4000:]})


def _one_line(error: BaseException) -> str:
    text = str(error).partition("\n")[0]
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}{': ' if text else ''}{text}{place}"
