"""From what happened in a check to its outcome. Pure; who is to blame is told as `definitions.md` says it."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from lbcheck.errors import LbcheckError, TargetDied, TargetError, TargetNeverReady, Unsupported
from lbcheck.verdict import Broken, Inconclusive, Outcome, Verdict

JUDGES = "lbcheck.judges"
ALIVE = "target-alive"
QUARTER = 0.25


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
            return Decision(Outcome.BROKEN, verdict=_died(error))
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


def after_control(decision: Decision, timed: bool, control_failed: str) -> Decision:
    """A broken verdict that rests on times or losses is the harness's fault where it fails without the balancer too."""
    if decision.outcome is Outcome.BROKEN and timed and control_failed:
        return Decision(Outcome.HARNESS_FAULT, f"it fails without the balancer too: {control_failed}")
    return decision


def after_slack(decision: Decision, timed: bool, slack_s: float, shortest_s: float | None) -> Decision:
    """A machine whose timers are late by more than a quarter of the spec's shortest time decides nothing on times."""
    if not timed or shortest_s is None or decision.outcome not in (Outcome.HOLDS, Outcome.BROKEN):
        return decision
    if slack_s <= QUARTER * shortest_s:
        return decision
    return Decision(
        Outcome.INCONCLUSIVE,
        f"the machine is too slow: its timers are {slack_s:.3f} s late, more than a quarter of {shortest_s:g} s",
    )


def _died(error: TargetDied) -> Verdict:
    return Verdict(
        Outcome.BROKEN,
        ALIVE,
        "the target runs until it is told to stop",
        error.message.partition("\n")[0],
        {"log": error.log[-4000:]},
    )


def _one_line(error: BaseException) -> str:
    text = str(error).partition("\n")[0]
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}{': ' if text else ''}{text}{place}"
