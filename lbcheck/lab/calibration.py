"""Does the clock of a product run as fast as it was asked to, and how evenly? Measured before any verdict rests on it.

In a small world of its own the product gets times that lbcheck chose: an answer that never comes ends by its timeout,
and where it makes active checks its probes come at their interval, with and without traffic. Each is a timer of the
product's own.

A fast clock is uneven. libfaketime cuts waits to whole milliseconds of the machine's, and a product that corrects its
date by how long it meant to wait (HAProxy: `clock_update_local_date`) gains what was cut, and loses what a late machine
adds: at a rate of 30 some 3 % either way, more with more servers. So no time is known better than `UNEVEN` says.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import cast

from lbcheck.backends.script import HANG
from lbcheck.errors import LbcheckError
from lbcheck.features import Feature
from lbcheck.history import Arrival, History
from lbcheck.lab.base import Lab
from lbcheck.lab.process import ProcessLab
from lbcheck.lab.stage import Stage, open_stage
from lbcheck.spec.model import Backend, Forward, HealthCheck, Listener, Pool, Spec, Timeouts
from lbcheck.spec.subject import Subject
from lbcheck.spec.warp import seen
from lbcheck.targets.warped import Warped

SEEN_S = 0.2  # about what each time takes here; the product is told whole seconds, which all of them can say
TRIES = 3
GAPS = 4
PATIENCE = 1.8  # times as long as they take at the rate; a clock that does not run at twice the rate takes longer
RATE = 150.0  # requests a second: as many as checks of health send
WORST = 0.4  # share by which a clock may be off and is still said to run fast, if not evenly
ENOUGH = 0.1  # a clock that is off by less is not measured again
MARGIN = 1.5  # what was measured for a second is no bound for all that comes
IN_REAL_TIME = "leave --lb-warp out: then it runs in real time"
UNEVEN = 0.002  # share by which times may be off for each unit of the rate


@dataclass(frozen=True, slots=True)
class Reading:
    """A time of the product's configuration in seconds of its clock, and what passed here meanwhile."""

    what: str
    told_s: float
    took_s: float

    def error(self, rate: float, slack_s: float = 0.0) -> float:
        """The share by which the clock was off its rate, beyond what so much lateness explains."""
        wanted_s = self.told_s / rate
        return max(abs(self.took_s - wanted_s) - slack_s, 0.0) / wanted_s

    def __str__(self) -> str:
        return f"{self.what} of {self.told_s:g} s took {self.took_s:.3f} s"


@dataclass(frozen=True, slots=True)
class Calibration:
    """`fault`: why the target's clock is not known to run at its rate; "" where it does.

    `error` is the share by which times on it may be off.
    """

    fault: str = ""
    error: float = 0.0


def calibrate(target: Warped, worker: int = 0) -> Calibration:
    """What the target makes of its rate. It says so where the target cannot be started, and raises nothing."""
    found: list[Calibration] = []
    while len(found) < TRIES:  # a machine that is busy for a second makes every clock uneven
        try:
            readings, slack_s = _measured(target, worker)
        except LbcheckError as error:
            return Calibration(f"{_unfelt(target)}, since the calibration failed: {error}; {IN_REAL_TIME}")
        found.append(judged(readings, target.rate, slack_s, _unfelt(target)))
        if not found[-1].fault and found[-1].error <= max(ENOUGH, UNEVEN * target.rate):
            break
    return min(found, key=lambda calibration: (bool(calibration.fault), calibration.error))


def _unfelt(target: Warped) -> str:
    return f"--lb-warp={target.rate}: {target.name} is not known to feel it"


def _measured(target: Warped, worker: int) -> tuple[list[Reading], float]:
    lab = cast("Lab", ProcessLab(target, worker=worker))
    try:
        return _readings(lab, target)
    finally:
        lab.close()


def judged(readings: Iterable[Reading], rate: int, slack_s: float, what: str) -> Calibration:
    """What these readings say of a clock (pure)."""
    readings = list(readings)
    wrong = [str(reading) for reading in readings if reading.error(rate, slack_s) > WORST]
    if not wrong:
        return Calibration(error=max(UNEVEN * rate, MARGIN * max(reading.error(rate) for reading in readings)))
    said = f"{', '.join(wrong)} (this machine's slack is {slack_s:.3f} s)"
    return Calibration(f"{what}: {said}; use a lower rate, or {IN_REAL_TIME}")


def _readings(lab: Lab, target: Warped) -> tuple[list[Reading], float]:
    told_s = float(max(1, round(target.rate * SEEN_S)))
    spec = seen(world(told_s, probed=Feature.HTTP_CHECK in target.features), target.rate)
    with open_stage(lab, spec, Subject("spec", "spec", "", spec)) as stage:
        readings = [_timeout(stage, told_s)]
        if len(spec.pools) > 1:
            readings.append(_interval(stage, told_s, "between probes"))
            with stage.traffic(stage.pool("probed"), rate=RATE):
                readings.append(_interval(stage, told_s, "between probes under traffic"))
        return readings, stage.slack


def world(told_s: float, *, probed: bool) -> Spec:
    """A pool whose answers time out after so long, and one that is probed as often."""
    check = HealthCheck(
        path="/lbcheck-calibration",
        interval=told_s,
        timeout=told_s,
        healthy_threshold=1,
        unhealthy_threshold=1,
        initial="healthy",
    )
    pools = [Pool("timed", (Backend("timed"),), timeouts=Timeouts(response=told_s))]
    pools += [Pool("probed", (Backend("probed"),), health_check=check)] if probed else []
    return Spec(tuple(Listener(pool.name, Forward(((pool.name, 1),))) for pool in pools), tuple(pools))


def _timeout(stage: Stage, told_s: float) -> Reading:
    """The shortest of some: a late machine makes one of them long, and none short."""
    pool, took = stage.pool("timed"), list[float]()
    pool.backends[0].answer(HANG)
    for _ in range(TRIES):
        began = stage.now
        stage.one(pool, within=PATIENCE * told_s / stage.rate)
        took.append(stage.now - began)
    return Reading("a response timeout", told_s, min(took))


def _interval(stage: Stage, told_s: float, what: str) -> Reading:
    """Over several intervals: what a clock is off by adds up, and what a machine is late by does not."""
    since = stage.now
    stage.wait_for(partial(_probed, since), PATIENCE * (GAPS + 1) * told_s / stage.rate)
    moments = _probes(stage.sync().probes, since)[: GAPS + 1]
    took_s = moments[-1] - moments[0] if len(moments) > GAPS else stage.now - since
    return Reading(f"{GAPS} intervals {what}", GAPS * told_s, took_s)


def _probed(since: float, history: History) -> bool:
    return len(_probes(history.probes, since)) > GAPS


def _probes(probes: Iterable[Arrival], since: float) -> list[float]:
    return [probe.at for probe in probes if probe.backend == "probed" and probe.at > since]
