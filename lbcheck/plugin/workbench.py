"""The target and the lab of one process: found once, opened when the first check needs them, renewed after a mishap."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, cast

from lbcheck.errors import HarnessFault
from lbcheck.plugin import outputs
from lbcheck.plugin.evidence import Room
from lbcheck.plugin.outcome import HardLimit
from lbcheck.plugin.settings import Settings
from lbcheck.plugin.watchdog import hard_limit
from lbcheck.verdict import Inconclusive, inconclusive

if TYPE_CHECKING:
    from lbcheck.checks import Opening
    from lbcheck.gate.configuration import Configuration
    from lbcheck.lab.base import Lab
    from lbcheck.lab.calibration import Calibration
    from lbcheck.lab.docker import DockerLab
    from lbcheck.lab.sealed import Seal
    from lbcheck.lab.stage import Stage
    from lbcheck.spec.model import Spec
    from lbcheck.spec.subject import Subject
    from lbcheck.targets import Target


CLOSING_S = 30.0


class Workbench:
    """`worker` counts pytest-xdist's workers, of which there are `workers`; without them it is 0.

    Each owns addresses of its own.
    """

    def __init__(self, settings: Settings, worker: int = 0, workers: int = 1) -> None:
        self.settings = settings
        self.room = Room(settings.evidence_limit, workers)
        self.worker = worker
        target = _target(settings)
        self.real_time = _real_time(settings, target)  # why the target's clock is not warped although it was to be
        self.rate = 1 if self.real_time else settings.warp
        self.target: Target = _warped(target, self.rate)
        self._calibration: Calibration | None = None
        self.was_ready = False  # has the target been ready at least once?
        self.died_in = ""  # the last check in which the target died
        self.cleared = True  # is what that target left behind gone?
        self.claimed: Spec | None = None  # a user's spec, whole
        self.configuration: Configuration | None = None  # the user's own, as far as an importer reads it
        self._lab: Lab | None = None
        self._seal: Seal | None = None
        self._containers: DockerLab | None = None

    @property
    def lab(self) -> Lab:
        if self._lab is None:
            self._lab = self._new_lab()
        return self._lab

    def _new_lab(self) -> Lab:
        if self.settings.lab == "sim":
            from lbcheck.lab.sim import SimLab

            return cast("Lab", SimLab(self.settings.seed, self.settings.defect))
        if self.settings.lab == "attached":
            return self._attached()
        if self.settings.lab == "sealed":
            return self._sealed()
        if self.settings.lab == "docker":
            return self._docker()
        from lbcheck.lab.process import ProcessLab

        lab = ProcessLab(self.target, worker=self.worker, keep=self.settings.keep, configs=self.settings.configs)
        return cast("Lab", lab)

    @property
    def supplied(self) -> list[str]:
        """What the lab put in place of things that a user's configuration names and this machine lacks."""
        notes = self._seal.notes if self._seal is not None else []
        return [*notes, *(self._containers.notes if self._containers is not None else [])]

    def _sealed(self) -> Lab:
        from lbcheck.lab.sealed import SealedLab

        settings = self.settings
        lab = SealedLab(
            self.target,
            worker=self.worker,
            keep=settings.keep,
            configs=settings.configs,
            writable=outputs.folders(settings, os.environ),  # what is made inside may stay inside
        )
        self._seal = lab.seal
        return cast("Lab", lab)

    def _docker(self) -> Lab:
        from lbcheck.lab.docker import DockerLab

        given = self.settings
        self._containers = DockerLab(
            self.target,
            worker=self.worker,
            keep=given.keep,
            configs=given.configs,
            ports=given.ports,
        )
        return cast("Lab", self._containers)

    def _attached(self) -> Lab:
        from lbcheck.lab.attached import AttachedLab
        from lbcheck.lab.attaching import control_places
        from lbcheck.lab.identity import identity_of
        from lbcheck.targets.attached import url_of

        url, places = url_of(self.settings.target), control_places(self.settings.backends)
        identity = identity_of(self.settings.identify) if self.settings.identify else None
        token, cafile = self.settings.token, self.settings.cafile
        lab = AttachedLab(self.target.name, url, places, token=token, identity=identity, cafile=cafile)
        return cast("Lab", lab)

    @contextmanager
    def stage(
        self, spec: Spec, subject: Subject, node: str, opening: Opening = "settled", longest_s: float = 0.0
    ) -> Iterator[Stage]:
        """A check's own world. The seed depends on the run's seed and the node alone, never on order or worker.

        `longest_s`: the longest of the times that the check rests on.
        """
        from lbcheck.lab.stage import open_stage

        seed = seed_of(self.settings.seed, node)
        drift_s = self.calibrate() * longest_s
        with open_stage(self.lab, spec, subject, seed=seed, opening=opening, drift_s=drift_s) as stage:
            self.was_ready = True
            yield stage

    def calibrate(self) -> float:
        """The share by which times on the target's clock may be off, 0.0 in real time; measured once.

        Inconclusive where nothing shows that its clock runs at its rate.
        """
        from lbcheck.targets.warped import Warped

        if not isinstance(self.target, Warped):
            return 0.0
        if self._calibration is None:
            from lbcheck.lab.calibration import calibrate

            self._calibration = calibrate(self.target, self.worker)
        if self._calibration.fault:
            expected = f"the target's clock at {self.rate} times the rate of this machine's"
            raise Inconclusive(inconclusive("time-warp", expected, self._calibration.fault))
        return self._calibration.error

    def slack_now(self) -> float:
        """The slack of a timed check's machine, measured before its world is set up."""
        self.lab.run(self.lab.measure())
        return self.lab.slack()

    def own_files(self) -> dict[str, str]:
        """The user's configuration, where the target runs that (the gate)."""
        return {path.name: path.read_text(errors="replace") for path in self.settings.configs if path.is_file()}

    def renew(self) -> bool:
        """Puts a lab away that a mishap may have left in disorder; the next check gets a fresh one.

        False where the old one did not come to its end in time.
        """
        lab, self._lab = self._lab, None
        if lab is not None:
            with suppress(HardLimit), hard_limit(CLOSING_S):
                lab.close()
                return True
        return lab is None

    def close(self) -> None:
        self.renew()

    def bury(self, node: str) -> None:
        """The target died in this check: nothing of its lab is used again."""
        self.died_in = node
        try:
            self.cleared = self.renew() and self.cleared
        except HarnessFault:  # of the guardian, which could not end everything
            self.cleared = False


def seed_of(seed: int, node: str) -> int:
    return int.from_bytes(hashlib.blake2b(f"{seed} {node}".encode(), digest_size=6).digest(), "big")


def _target(settings: Settings) -> Target:
    """TargetError, with how to get it, where the target is missing."""
    from lbcheck.targets import find

    if settings.defect is not None:
        from lbcheck.targets.reference import Reference

        return Reference(settings.binary, settings.defect)
    return find(settings.target, binary=settings.binary, features=settings.features)


def _real_time(settings: Settings, target: Target) -> str:
    from lbcheck.targets.base import real_time

    if settings.warp == 1:
        return ""
    return "the simulator's time is virtual, and passes at once" if settings.lab == "sim" else real_time(target)


def _warped(target: Target, rate: int) -> Target:
    """TargetError where libfaketime is missing."""
    from lbcheck.targets.warped import Warped

    return Warped(target, rate) if rate > 1 else target
