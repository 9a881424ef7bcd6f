"""What a run owns on the machine: one temporary folder and its process groups, told to the guardian beforehand."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from lbcheck.errors import HarnessFault
from lbcheck.lab import guardian

GUARDIAN_ENDS_WITHIN_S = 15.0 + guardian.EMPTY_WITHIN_S


class Belongings:
    """A folder and processes that are gone when `close` returns, or soon after the harness has died."""

    def __init__(self, *, keep: bool = False) -> None:
        """`keep` leaves the folder, for a look at it."""
        self.token = secrets.token_hex(8)
        self.folder = Path(tempfile.gettempdir()) / f"{guardian.PREFIX}{self.token}"
        self._guardian = subprocess.Popen(
            [sys.executable, "-I", "-S", guardian.__file__, self.token],
            stdin=subprocess.PIPE,
            start_new_session=True,  # a Ctrl-C on the terminal is not for it
        )
        if not keep:
            self._tell(f"folder {self.folder}")
        self.folder.mkdir(mode=0o755)

    @property
    def environment(self) -> dict[str, str]:
        """For every process of the run: the guardian knows its processes by it, whatever group they go to."""
        return {guardian.VARIABLE: self.token}

    def start(self, argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, output: Path) -> subprocess.Popen[bytes]:
        """Starts a command as a process group of its own; both output streams go to a file. OSError if it cannot."""
        with output.open("ab") as file:
            process = subprocess.Popen(
                argv,
                env={**os.environ, **env, **self.environment},
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
        self.own(process.pid)
        return process

    def own(self, group: int) -> None:
        """A process group, by its leader's pid, that must not outlive the run."""
        self._tell(f"group {group} {guardian.start_time(group)}")

    def engine(self, socket: Path) -> None:
        """A container engine at which everything is labelled with the run's token, and must not outlive it."""
        self._tell(f"engine {socket}")

    def disown(self, group: int) -> None:
        self._tell(f"gone {group}")

    def end(self, process: subprocess.Popen[bytes], *, grace_s: float, by: signal.Signals = signal.SIGTERM) -> None:
        """This signal to the group; SIGKILL to what is left of it after `grace_s`."""
        started = guardian.start_time(process.pid)
        _signal_group(process.pid, by)
        try:
            process.wait(grace_s)
        except subprocess.TimeoutExpired:
            _signal_group(process.pid, signal.SIGKILL)
            process.wait(guardian.GONE_WITHIN_S)
        if guardian.members(process.pid, started):
            _signal_group(process.pid, signal.SIGKILL)
        self.disown(process.pid)

    def close(self) -> None:
        """Ends what is left and removes the folder."""
        if self._guardian.stdin is None or self._guardian.stdin.closed:
            return
        self._guardian.stdin.close()
        try:
            self._guardian.wait(GUARDIAN_ENDS_WITHIN_S)
        except subprocess.TimeoutExpired as error:
            self._guardian.kill()
            self._guardian.wait()
            raise HarnessFault(
                f"the guardian did not clean up within {GUARDIAN_ENDS_WITHIN_S:g} s",
                remedy=f"look for processes with {guardian.VARIABLE}={self.token}, and remove {self.folder}",
            ) from error

    def _tell(self, line: str) -> None:
        pipe = self._guardian.stdin
        assert pipe is not None
        try:
            pipe.write(line.encode() + b"\n")
            pipe.flush()
        except (BrokenPipeError, ValueError) as error:
            raise HarnessFault("the guardian process is gone", remedy="run again; nothing may run unguarded") from error


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)
