"""A warm parent that has everything imported and forks a backend in milliseconds.

    harness --- socket pair, one message a birth, with the backend's end of its control channel ---> nursery
    harness --- the control channel ---> backend

When the harness ends, however it ends, the nursery reads the end of its socket and ends; the kernel then kills its
children, stopped ones too, and they read the end of their control channels besides.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from lbcheck.backends.control import Birth, birth_from_json, birth_to_json, line
from lbcheck.backends.life import live
from lbcheck.backends.process import BackendProcess, wait_for_end
from lbcheck.backends.script import ProbeShape
from lbcheck.errors import HarnessFault

START_S = 20.0  # a cold interpreter on a busy machine
READY = b"ready"
MESSAGE_LIMIT = 64 * 1024


class Nursery:
    """The harness's side. `environment` is added to that of the nursery and its children."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._environment = dict(environment or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._backends: list[BackendProcess] = []

    @property
    def pid(self) -> int | None:
        """Of the nursery, which leads a process group, and a session, of its own."""
        return self._process.pid if self._process else None

    async def start(self) -> None:
        """Starts the parent and waits until it is warm. HarnessFault if it does not get there."""
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.setblocking(False)
        with theirs:
            self._process = _launch(theirs, self._environment)
        try:
            async with asyncio.timeout(START_S):
                said = await asyncio.get_running_loop().sock_recv(self._socket, MESSAGE_LIMIT)
        except (TimeoutError, ConnectionError):
            said = b""
        if said != READY:
            await self.close()
            raise HarnessFault(
                f"the nursery of backends did not start: exit code {self._process.returncode}",
                remedy=f"Run `{sys.executable} -c 'import {__name__}'` to see why.",
            )

    async def spawn(
        self, name: str, pool: str, host: str, port: int, probe: ProbeShape | None, journal: Path
    ) -> BackendProcess:
        """A backend that listens on host:port (0: the system chooses). HarnessFault says why it can't."""
        birth = Birth(name, pool, host, port, _absolute(journal), probe)
        backend = BackendProcess(birth, self._fork)
        await backend.start()
        self._backends = [b for b in self._backends if b.alive()] + [backend]
        return backend

    async def close(self) -> None:
        """Ends the nursery and all its backends; returns when they are gone."""
        if self._process is None:
            return
        self._socket.close()
        pidfd = os.pidfd_open(self._process.pid)
        try:
            await wait_for_end(pidfd, "the nursery of backends")
        except HarnessFault:
            self._process.kill()
            raise
        finally:
            os.close(pidfd)
            self._process.wait()
        for backend in self._backends:
            await backend.gone()
        self._backends = []

    def _fork(self, birth: Birth, control: socket.socket) -> None:
        message = json.dumps(birth_to_json(birth)).encode()
        try:
            socket.send_fds(self._socket, [message], [control.fileno()])
        except OSError as error:
            raise HarnessFault(f"the nursery of backends is gone: backend {birth.name} cannot be started") from error


def _absolute(path: Path) -> str:
    return str(path.absolute())  # the nursery keeps the folder in which it was started


def _launch(control: socket.socket, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-P", "-m", __name__, str(control.fileno())],  # -P: the user's folder is not searched
        pass_fds=[control.fileno()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env={**os.environ, **environment},
        start_new_session=True,  # a Ctrl-C on the terminal is not for it
    )


def main() -> None:
    """The nursery itself: forks what it is told to until its socket closes. Children are reaped by the kernel."""
    control = socket.socket(fileno=int(sys.argv[1]))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.collect()
    gc.freeze()  # children share these pages for good
    control.send(READY)
    me = os.getpid()
    while True:
        message, fds, _, _ = socket.recv_fds(control, MESSAGE_LIMIT, 1)
        if not message:
            return
        with socket.socket(fileno=fds[0]) as channel:
            _bear(birth_from_json(json.loads(message)), channel, control, me)


def _bear(birth: Birth, channel: socket.socket, control: socket.socket, parent: int) -> None:
    try:
        pid = os.fork()
    except OSError as error:
        with contextlib.suppress(OSError):
            channel.send(line({"failed": f"no process could be made: {error}"}))
        return
    if pid == 0:
        control.close()
        live(birth, channel, parent)


if __name__ == "__main__":
    main()
