"""What every balancer under test says about itself, and how it turns a placed spec into files and a command."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from lbcheck.errors import TargetError, Unsupported
from lbcheck.features import Feature
from lbcheck.spec.change import Change, Reload
from lbcheck.spec.model import Spec
from lbcheck.targets.surroundings import Surroundings

VERSION_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Tell:
    """Bytes for the target's control socket, a Unix socket in its folder; the whole answer must match `accepted`."""

    socket: str
    data: bytes
    accepted: str


@dataclass(frozen=True, slots=True)
class Signal:
    """To the process that was started, alone. A change by signal is in force within `claims.reload_within`."""

    number: int


@dataclass(frozen=True, slots=True)
class Wait:
    """For files that the target watches by itself: what they say is in force within `claims.reload_within`."""


Step = Tell | Signal | Wait


@dataclass(frozen=True, slots=True)
class Orders:
    """How a running target is told of a change: files, replaced by rename, and then steps in order."""

    steps: tuple[Step, ...]
    files: Mapping[str, str] = field(default_factory=dict)


def only_again(number: int) -> Callable[[Change, Spec], Orders]:
    """Orders for a user's own configuration, which is never written: by this signal it is read again, and no more."""

    def orders(change: Change, _: Spec) -> Orders:
        if not (isinstance(change, Reload) and change.again):
            raise Unsupported("the configuration is the user's own, and lbcheck does not write into it")
        return Orders((Signal(number),))

    return orders


@dataclass(frozen=True, slots=True)
class Rendering:
    """A target made ready to run in a folder.

    `files`: path relative to the folder -> text; the lab writes them, and they are evidence.
    `argv`: the command, in the foreground, as one process group; paths in it are absolute.
    `check_argv`: the product's own test of the configuration (exit code 0: accepted), None where it has none.
    `env`: variables to add to the environment of both.
    `cwd`: where both run, None for the folder.
    `left_out`: "path: reason" of fields that the product cannot say, where all other claims can still be judged.
    `orders`: how it is told of a change while it runs, given the change and the spec that holds after it; it raises
    Unsupported for one that the product does not take. None: it takes none.
    `stop_signal`: what makes the product finish what it has and then exit.
    `surroundings`: what a user's own configuration names outside itself.
    `retirement`: where no signal does, what it is told instead; it may wait to be ended once it has finished.
    """

    files: Mapping[str, str]
    argv: tuple[str, ...]
    check_argv: tuple[str, ...] | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    left_out: tuple[str, ...] = ()
    orders: Callable[[Change, Spec], Orders] | None = field(default=None, compare=False)
    stop_signal: int = signal.SIGTERM
    retirement: tuple[Tell, ...] = ()
    surroundings: Surroundings = field(default_factory=Surroundings)


class Target(Protocol):
    """A balancer under test at one version. It does no I/O but asking the binary for its version when it is found."""

    @property
    def name(self) -> str:
        """The word for `--lb-target`."""
        ...

    @property
    def version(self) -> str:
        """As the binary says it: "2.6.12"."""
        ...

    @property
    def binary(self) -> str:
        """Absolute path of the program that runs."""
        ...

    @property
    def features(self) -> frozenset[Feature]:
        """What it can carry out at this version."""
        ...

    @property
    def grain_s(self) -> float:
        """Smallest step of time, in seconds, that its configuration can say; finer subjects are unsupported."""
        ...

    def lacks(self, feature: Feature) -> str:
        """Why a feature is not in `features`; "" where it is."""
        ...

    def unsupported(self, spec: Spec) -> tuple[str, ...]:
        """Reasons finer than a feature why this spec cannot be expressed as it stands; empty: `render` will do.

        Features are not asked again: they are compared by whoever plans the run.
        """
        ...

    def render(self, spec: Spec, folder: Path) -> Rendering:
        """The plain, documented configuration for a placed spec (every address literal), to be run in `folder`.

        Unsupported where the spec cannot be expressed: never a configuration that says something else.
        """
        ...

    def adopt(self, configs: Sequence[Path], folder: Path) -> Rendering:
        """Runs a user's own configuration, unmodified, in the foreground. Unsupported where the target takes none."""
        ...


def real_time(target: Target) -> str:
    """Why `--lb-warp` does not reach this target's program; "" where libfaketime does.

    A target says so by its attribute of that name, which those of third parties may lack.
    """
    said: str = getattr(target, "real_time", f"the target {target.name} does not say that libfaketime reaches it")
    return said


class Factory(Protocol):
    """What an entry point of the group `lbcheck.targets` names: a Target class or a function."""

    def __call__(self, binary: str | None = None) -> Target:
        """`binary`: a name on PATH or a path; None: the product's usual name. TargetError if it is not there."""
        ...


def program(name: str, binary: str | None, *, package: str) -> str:
    """Absolute path of a product's program, or TargetError that says how to get it."""
    wanted = binary or name
    # Distributions put daemons in sbin, which is not on every user's PATH.
    found = shutil.which(wanted) or shutil.which(wanted, path="/usr/local/sbin:/usr/sbin:/sbin")
    if found is None:
        raise TargetError(
            f"target {name}: expected the program {wanted!r}, found none on PATH",
            remedy=f"install it (Debian, Ubuntu: apt-get install {package}) or name another with --lb-binary=PATH",
        )
    return str(Path(found).absolute())


def version_of(name: str, argv: Sequence[str], pattern: str) -> str:
    """The first group of `pattern` in what the command prints on either stream, or TargetError."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=VERSION_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TargetError(
            f"target {name}: expected {' '.join(argv)} to print a version, got: {error}",
            remedy="check that --lb-binary names the product's own program",
        ) from error
    said = done.stdout + done.stderr
    match = re.search(pattern, said)
    if match is None:
        raise TargetError(
            f"target {name}: expected {' '.join(argv)} to print a version like {pattern!r}",
            log=said,
            remedy="check that --lb-binary names the product's own program",
        )
    return match.group(1)


def version_key(version: str) -> tuple[int, ...]:
    """(2, 6, 12) of "2.6.12-1+deb12u4": for comparing."""
    match = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(part) for part in match.group().split(".")) if match else ()
