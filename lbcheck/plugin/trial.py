"""One check on one subject: its world opened, the check run, the control where it is due, its record and evidence."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from lbcheck import clock
from lbcheck.errors import LbcheckError, TargetDied, TargetError, Unsupported
from lbcheck.judges.blame import rests_on
from lbcheck.plugin import evidence, outcome
from lbcheck.plugin.baseline import Baseline
from lbcheck.plugin.outcome import Decision
from lbcheck.plugin.plan import Case, hard_limit_s
from lbcheck.plugin.settings import Settings
from lbcheck.plugin.watchdog import Budget, hard_limit
from lbcheck.plugin.workbench import Workbench
from lbcheck.report.model import CheckRecord, Judgement
from lbcheck.spec.model import Pool
from lbcheck.spec.slicing import only
from lbcheck.spec.warp import shortest
from lbcheck.verdict import Basis, Broken, Outcome, Verdict, collecting

if TYPE_CHECKING:
    from lbcheck.history import History
    from lbcheck.lab.stage import Stage

Doing: TypeAlias = Callable[[], str]
LATEST_S = 1.0  # for an answer of a backend that is asked directly, where the check rests on no times
FAILED = (Outcome.BROKEN, Outcome.HARNESS_FAULT, Outcome.INCONCLUSIVE, Outcome.STALE, Outcome.KNOWN)


@dataclass(slots=True)
class Trial:
    """What is known of a check that runs, filled as it goes on; `record` makes the report's entry of it."""

    case: Case
    at: Callable[[Doing], object] = repr  # where nobody listens
    verdicts: list[Verdict] = field(default_factory=list)
    evidence: list[str] = field(default_factory=list)
    unkept: str = ""  # why there is none
    timeline: dict[str, Any] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    supplied: list[str] = field(default_factory=list)
    departed: str = ""  # why the target is gone, looked at when the check was over
    log: str = ""  # the last that such a target said
    basis: Basis = "counts"
    control_failed: str = ""
    uncontrolled: str = ""  # why there can be no control run
    slack_s: float = 0.0
    haste: tuple[str, float] | None = None  # where the target's clock runs fast: the shortest time of the spec
    late_s: float = 0.0  # the worst of the slack
    uneven: float = 0.0  # the share by which times on that clock are off
    strays: int = 0
    reached: list[str] = field(default_factory=list)
    met: list[str] = field(default_factory=list)
    error: BaseException | None = None
    called: bool = False  # did its world stand?


@dataclass(frozen=True, slots=True)
class Ended:
    """A check that is over: its record, and what the run as a whole wants to know of it."""

    record: CheckRecord
    never_ready: bool = False
    strays: int = 0
    slack_s: float = 0.0
    error: BaseException | None = None


def run(
    case: Case, bench: Workbench, budget: Budget, baseline: Baseline, worker: str, at: Callable[[Doing], None]
) -> Ended:
    """Runs one check to its outcome. `at` hears what goes on. Raises nothing but a user's own interruption."""
    settings = bench.settings
    if case.lacking:
        return _ended(Trial(case), Decision(Outcome.UNSUPPORTED, case.lacking), settings, worker, 0.0)
    if not budget.allows(case.check.cost_s):
        return _ended(Trial(case), Decision(Outcome.NOT_RUN, "the budget of the run is spent"), settings, worker, 0.0)
    trial, began = Trial(case, at), clock.process_now()
    limit_s = budget.limit_s(hard_limit_s(case))
    with collecting() as trial.verdicts:
        trial.error = _try(trial, bench, limit_s)
    trial.supplied = bench.supplied
    decision = _decision(trial, limit_s, bench.was_ready)
    decision = outcome.after_death(decision, trial.error, bench.died_in, bench.cleared)
    if decision.verdict is not None and decision.verdict.judgement == outcome.ALIVE:
        bench.bury(case.node)
    elif decision.never_ready or isinstance(trial.error, outcome.HardLimit):
        bench.renew()
    judged, why = baseline.judge(case.node, decision.outcome, datetime.now(UTC).date())
    if why:
        decision = Decision(judged, why, decision.verdict, decision.never_ready)
    return _ended(trial, decision, settings, worker, clock.process_now() - began)


def _try(trial: Trial, bench: Workbench, limit_s: float) -> BaseException | None:
    trial.at(lambda: "its backends and its target get ready")
    case = trial.case
    opening, longest_s = case.check.opening, case.check.longest_s(case.subject)
    try:
        with hard_limit(limit_s):
            if case.check.timed:
                trial.slack_s = bench.slack_now()
        with hard_limit(limit_s), bench.stage(case.spec, case.subject, case.node, opening, longest_s) as stage:
            error = _call(trial, stage)
            # What follows still has the world of the check before it: the control, the evidence, the drawing.
            _look_back(trial, stage, bench, error)
            return error
    except outcome.HardLimit as limit:
        return limit
    except Exception as error:
        if isinstance(error, TargetError) and bench.settings.evidence != "off":
            trial.unkept = bench.room.unkept
            trial.evidence = evidence.write_set_up(
                bench.settings.report_dir, trial.case.node, bench.room, log=str(error), files=bench.own_files()
            )
        return error


def _call(trial: Trial, stage: Stage) -> BaseException | None:
    case, trial.called, trial.left_out = trial.case, True, stage.target.left_out
    trial.at(lambda: _doing(stage))
    try:
        case.check.function(stage, **{case.subject.kind: _subject(stage, trial)})
    except outcome.HardLimit as limit:
        return limit
    except Exception as error:
        return error
    return None


def _doing(stage: Stage) -> str:
    """What a check waits for, and for how long at most."""
    waits = stage.waits
    return f"waits {waits[0]}, {max(waits[1] - stage.now, 0):.0f} s more at most" if waits else "sends and receives"


def _subject(stage: Stage, trial: Trial) -> Any:
    """What a check is handed: a pool on the stage, or the placed spec's own rule or listener."""
    subject, spec = trial.case.subject, stage.spec
    if subject.kind == "pool":
        return stage.pool(subject.name)
    if subject.kind == "listener":
        return spec.listener(subject.name)
    if subject.kind == "rule" and subject.listener is not None:
        priority = getattr(subject.value, "priority", None)
        return next(rule for rule in spec.listener(subject.listener).rules if rule.priority == priority)
    return spec


def _look_back(trial: Trial, stage: Stage, bench: Workbench, error: BaseException | None) -> None:
    trial.at(lambda: "evidence is gathered")
    first = outcome.decide(error)
    trial.slack_s = max(trial.slack_s, bench.lab.slack())
    if stage.rate > 1:
        trial.haste, trial.late_s = shortest(only(trial.case.spec, trial.case.subject)), bench.lab.worst()
        trial.uneven = bench.calibrate()
    trial.basis = _basis(trial.case, error, _recorded(stage.history))
    if not isinstance(error, LbcheckError | outcome.HardLimit):
        trial.departed = stage.departed(ask=first.outcome is not Outcome.HOLDS or _lossy(stage.history))
        trial.log = stage.target.log if trial.departed else ""
    if first.outcome is Outcome.BROKEN and trial.basis != "counts" and not (trial.departed or _is_death(error)):
        trial.at(lambda: "the control run, without the balancer")
        _control(trial, stage)
    history = _recorded(stage.history if trial.departed or isinstance(error, LbcheckError) else stage.sync())
    trial.strays = len(history.strays)
    from lbcheck.report.timeline import timeline_of

    trial.timeline = timeline_of(history, stage.spec, trial.case.subject)
    _cover(trial, stage, bench)
    when = bench.settings.evidence
    if when == "on" or (when == "retain-on-failure" and (trial.departed or first.outcome in FAILED)):
        trial.unkept = bench.room.unkept
        trial.evidence = evidence.write(
            bench.settings.report_dir,
            trial.case.node,
            bench.room,
            history=_history_lines(trial, stage, bench, history),
            log=stage.target.log,
            files=stage.target.files or bench.own_files(),
        )


def _cover(trial: Trial, stage: Stage, bench: Workbench) -> None:
    """What of a user's spec and configuration its requests were sent to."""
    if bench.claimed is None:
        return
    from lbcheck.gate import reach

    trial.reached = reach.reached(stage.history, trial.case.spec, bench.claimed)
    if bench.configuration is not None:
        trial.met = reach.met(stage.history, trial.case.spec, bench.configuration)


def _recorded(history: History) -> History:
    """What the report shows: where backends told nothing, what clients saw."""
    if history.witnessed:
        return history
    from lbcheck.history import History as Recorded

    return Recorded(history)


def _history_lines(trial: Trial, stage: Stage, bench: Workbench, history: History) -> Iterator[str]:
    case = trial.case
    heading = evidence.heading_of(case, bench.settings, stage.spec, target=stage.target.name, slack_s=trial.slack_s)
    return evidence.history_lines(
        history, heading, trial.verdicts, keep_cookies=_about_cookies(case), limit=bench.room.history_limit
    )


def _lossy(history: History) -> bool:
    """Did a request end without an answer that the client did not give up on purpose?"""
    return any(exchange.error not in (None, "aborted") for exchange in history.exchanges)


def _basis(case: Case, error: BaseException | None, history: History) -> Basis:
    """What the check's end rests on: the verdict that ended it, or where it holds what its card says."""
    if isinstance(error, Broken):
        return rests_on(error.verdict, history, timed=case.check.timed)
    return "times" if case.check.timed else "counts"


def _is_death(error: BaseException | None) -> bool:
    return isinstance(error, TargetDied)


def _control(trial: Trial, stage: Stage) -> None:
    """The control run of a broken verdict; what came of it is kept beside the verdict."""
    # On a fast clock every time of the spec is short, whatever the check itself rests on.
    times = [trial.case.check.shortest_s(trial.case.subject), trial.haste[1] if trial.haste else None]
    late_limit_s = min((s * outcome.QUARTER for s in times if s is not None), default=LATEST_S)
    try:
        control = stage.rehearse()
    except Unsupported as reason:
        trial.uncontrolled = reason.message
        return
    except LbcheckError as error:
        trial.control_failed = str(error)
        return
    trial.control_failed = control.fault(late_limit_s)
    ended = Outcome.HARNESS_FAULT if trial.control_failed else Outcome.HOLDS
    expected = f"without the balancer nothing is lost, and nothing later than {late_limit_s:.3g} s"
    trial.verdicts.append(Verdict(ended, "control", expected, str(control), asdict(control)))


def _about_cookies(case: Case) -> bool:
    value = case.subject.value
    return isinstance(value, Pool) and value.stickiness is not None


def _decision(trial: Trial, limit_s: float, was_ready: bool) -> Decision:
    decision = outcome.decide(trial.error, limit_s, was_ready, trial.called)
    decision = outcome.after_departure(decision, trial.error, trial.departed, trial.log)
    shortest_s = trial.case.check.shortest_s(trial.case.subject)
    decision = outcome.after_slack(decision, trial.basis, trial.slack_s, shortest_s)
    decision = outcome.after_no_control(decision, trial.basis, trial.uncontrolled)
    decision = outcome.after_control(decision, trial.basis, trial.control_failed)
    decision = outcome.after_drift(decision, trial.basis, trial.uneven)
    return outcome.after_haste(decision, trial.late_s, trial.haste)


# --- records ---------------------------------------------------------------------------------------------------------


def _ended(trial: Trial, decision: Decision, settings: Settings, worker: str, duration_s: float) -> Ended:
    verdicts = [*trial.verdicts, *([decision.verdict] if decision.verdict else [])]
    record = record_of(
        trial.case, decision.outcome, settings, reason=decision.reason, verdicts=verdicts, worker=worker,
        evidence=trial.evidence, timeline=trial.timeline, left_out=trial.left_out,
        supplied=trial.supplied, reached=trial.reached, met=trial.met, unkept=trial.unkept, duration_s=duration_s,
    )  # fmt: skip
    return Ended(record, decision.never_ready, trial.strays, trial.slack_s, trial.error)


def record_of(
    case: Case, ended: Outcome, settings: Settings, *, reason: str, verdicts: Sequence[Verdict] = (), **more: Any
) -> CheckRecord:
    check, lacking = case.check, [feature.value for feature in case.missing]
    return CheckRecord(
        id=check.id, node=case.node, claim=check.claim, area=check.area, level=check.level.value, outcome=ended.value,
        subject=f"{case.subject.kind} {case.subject.name}", claimed=case.claimed, claimed_at=case.claimed_at,
        reason=reason, judgements=[_judgement(v) for v in verdicts], spec_link=check.spec_link,
        again=again(settings, case.node), seed=settings.seed, core=check.level.value == "core",
        features=lacking if ended is Outcome.UNSUPPORTED else [], configured=case.configured,
        configured_at=case.configured_at, through=list(case.through), differs=list(case.differs),
        reads=list(case.reads), **more,
    )  # fmt: skip


def _judgement(verdict: Verdict) -> Judgement:
    return Judgement(
        verdict.judgement,
        verdict.outcome.value,
        verdict.expected,
        verdict.saw,
        dict(verdict.figures),
        list(verdict.ids),
    )


def again(settings: Settings, node: str) -> str:
    """The command that repeats one check."""
    words = ["pytest", f"--lb-target={settings.target}"]
    words += [f"--lb-binary={settings.binary}"] if settings.binary else []
    words += [f"--lb-config={path}" for path in settings.configs]
    words += [f"--lb-spec={settings.spec}"] if settings.spec else []
    words += [f"--lb-backend={backend}" for backend in settings.backends]
    words += [f"--lb-identify={settings.identify}"] if settings.identify else []
    words += [f"--lb-cafile={settings.cafile}"] if settings.cafile else []
    words += ["--lb-allow-remote"] if settings.allow_remote else []
    words += [f"--lb-lab={settings.lab}"] if settings.lab in ("sim", "sealed", "docker") else []
    words += [f"--lb-ports={settings.ports}"] if settings.ports != "own" else []
    words += [f"--lb-warp={settings.warp}"] if settings.warp > 1 else []
    words += [f"--lb-features={settings.features}"] if settings.features else []
    words += [f"--lb-defect={settings.defect}"] if settings.defect else []
    words += [f"--lb-only={node}", f"--lb-seed={settings.seed}"]
    return shlex.join(words)


def not_run(case: Case, settings: Settings, reason: str, worker: str = "") -> Ended:
    return Ended(record_of(case, Outcome.NOT_RUN, settings, reason=reason, worker=worker))
