"""A target on a fast clock: its program runs under libfaketime, everything else about it is its own.

libfaketime (https://github.com/wolfcw/libfaketime) stands in for the C library's clocks, sleeps and timeouts of what is
started with it. The configuration stays as it is: 30 s in it pass in one second at a rate of 30.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from lbcheck.errors import TargetError
from lbcheck.features import Feature
from lbcheck.spec.change import Change, Reload
from lbcheck.spec.model import Spec
from lbcheck.spec.warp import told
from lbcheck.targets.base import Orders, Rendering, Target

LIBRARY = "libfaketimeMT.so.1"  # that for programs with threads
FOLDERS = ("/usr/lib/*/faketime", "/usr/lib/faketime", "/usr/lib64/faketime", "/usr/local/lib/faketime")


def library() -> Path:
    """Where libfaketime is. TargetError where it is not."""
    found = [path for folder in FOLDERS for path in sorted(Path("/").glob(f"{folder[1:]}/{LIBRARY}"))]
    if not found:
        raise TargetError(
            f"--lb-warp: expected {LIBRARY} in one of {', '.join(FOLDERS)}, found none",
            remedy="install libfaketime (Debian, Ubuntu: apt-get install faketime) or leave --lb-warp out",
        )
    return found[0]


def environment(rate: int, preloaded: str) -> dict[str, str]:
    """For a program whose clocks start at the true time and run `rate` times as fast; `preloaded` stays so."""
    return {
        "LD_PRELOAD": ":".join(filter(None, (preloaded, str(library())))),
        "FAKETIME": f"+0 x{rate}",
        "NO_FAKE_STAT": "1",  # the times of files are nobody's clock
    }


class Warped:
    """Takes specs as the harness meets them (`lbcheck.spec.warp.seen`), and tells the target what they are to it."""

    def __init__(self, target: Target, rate: int) -> None:
        """TargetError where libfaketime is missing."""
        self.rate = rate
        self._target = target
        self._environment: Mapping[str, str] = environment(rate, os.environ.get("LD_PRELOAD", ""))

    @property
    def name(self) -> str:
        return self._target.name

    @property
    def version(self) -> str:
        return self._target.version

    @property
    def binary(self) -> str:
        return self._target.binary

    @property
    def features(self) -> frozenset[Feature]:
        return self._target.features

    @property
    def grain_s(self) -> float:
        return self._target.grain_s / self.rate

    def lacks(self, feature: Feature) -> str:
        return self._target.lacks(feature)

    def unsupported(self, spec: Spec) -> tuple[str, ...]:
        return self._target.unsupported(told(spec, self.rate))

    def render(self, spec: Spec, folder: Path) -> Rendering:
        return self._hurried(self._target.render(told(spec, self.rate), folder))

    def adopt(self, configs: Sequence[Path], folder: Path) -> Rendering:
        return self._hurried(self._target.adopt(configs, folder))

    def _hurried(self, rendering: Rendering) -> Rendering:
        orders = self._told(rendering.orders) if rendering.orders else None
        return replace(rendering, env={**rendering.env, **self._environment}, orders=orders)

    def _told(self, orders: Callable[[Change, Spec], Orders]) -> Callable[[Change, Spec], Orders]:
        def in_its_own_time(change: Change, after: Spec) -> Orders:
            if isinstance(change, Reload):
                change = replace(change, spec=told(change.spec, self.rate))
            return orders(change, told(after, self.rate))

        return in_its_own_time
