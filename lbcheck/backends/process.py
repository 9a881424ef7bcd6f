"""A backend in its own process, in the harness's hands."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import select
import signal
import socket
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from lbcheck.backends.control import LINE_LIMIT, Birth, behaviour_to_json, line
from lbcheck.backends.script import Behaviour
from lbcheck.errors import HarnessFault

ANSWER_S = 10.0  # for a command over a socket pair; a backend that takes longer is stopped or broken

Fork = Callable[[Birth, socket.socket], None]


class BackendProcess:
    """Implements `lbcheck.lab.base.BackendNode`. Every call returns when it is in effect; HarnessFault otherwise."""

    pid: int

    def __init__(self, birth: Birth, fork: Fork) -> None:
        self.name = birth.name
        self.pool = birth.pool
        self.host = birth.host
        self.port = birth.port
        self._birth = birth
        self._fork = fork
        self._pidfd = -1
        self._lock = asyncio.Lock()
        self._orders = 0

    # --- its script --------------------------------------------------------------------------------------------------

    async def behave(self, behaviour: Behaviour) -> None:
        await self._ask({"do": "behave", "behaviour": behaviour_to_json(behaviour)})

    async def release(self, ids: Sequence[str] | None = None) -> None:
        await self._ask({"do": "release", "ids": None if ids is None else list(ids)})

    # --- its life ----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Forks, and waits until it listens. HarnessFault says why it can't."""
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                self._fork(self._birth, theirs)
            self._reader, self._writer = await asyncio.open_unix_connection(sock=ours, limit=LINE_LIMIT)
        except BaseException:
            ours.close()
            raise
        try:
            answer = await self._answer("start")
        except HarnessFault:
            await self._hang_up()
            raise
        if "failed" in answer:
            await self._hang_up()
            raise HarnessFault(
                f"backend {self.name} cannot listen on {self.host}:{self._birth.port}: {answer['failed']}",
                remedy="Free the address, or let the lab choose one (port 0).",
            )
        self.port, self.pid = answer["ready"], answer["pid"]
        self._pidfd = os.pidfd_open(self.pid)

    def alive(self) -> bool:
        return self._pidfd >= 0 and not _ended(self._pidfd)

    async def kill(self) -> None:
        """SIGKILL; returns when the process is gone and with it its sockets. Nothing happens to one that is dead."""
        if self._pidfd < 0:
            return
        self._signal(signal.SIGKILL)
        await self.gone()

    async def gone(self) -> None:
        """Waits for the end of a process that has been told to end. HarnessFault if it does not."""
        pidfd, self._pidfd = self._pidfd, -1
        if pidfd < 0:
            return
        try:
            await wait_for_end(pidfd, f"backend {self.name} (process {self.pid})")
        finally:
            os.close(pidfd)
            await self._hang_up()

    async def restart(self) -> None:
        """The next life: at the same address, with the default behaviour and the same journal."""
        await self.kill()
        self._birth = replace(self._birth, port=self.port, generation=self._birth.generation + 1)
        await self.start()

    def stop_signal(self) -> None:
        """SIGSTOP: the kernel still accepts connections for it, and nothing answers."""
        self._signal(signal.SIGSTOP)

    def continue_signal(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, number)

    # --- the control channel -----------------------------------------------------------------------------------------

    async def _ask(self, command: dict[str, Any]) -> None:
        async with self._lock:
            self._orders += 1
            self._writer.write(line({**command, "n": self._orders}))
            while (answer := await self._answer(command["do"])).get("n") != self._orders:
                pass  # a late answer to an order that was given up
        if "failed" in answer:
            raise HarnessFault(f"backend {self.name} at {self.host}:{self.port}: {command['do']}: {answer['failed']}")

    async def _answer(self, doing: str) -> dict[str, Any]:
        try:
            async with asyncio.timeout(ANSWER_S):
                answered = await self._reader.readline()
        except TimeoutError:
            raise HarnessFault(f"backend {self.name} did not answer to {doing!r} within {ANSWER_S:g} s") from None
        except ConnectionError:
            answered = b""
        if not answered:
            raise HarnessFault(
                f"backend {self.name} at {self.host}:{self.port} died without having been told ({doing})"
            )
        return json.loads(answered)  # type: ignore[no-any-return]

    async def _hang_up(self) -> None:
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()


def _ended(pidfd: int) -> bool:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(0))


async def wait_for_end(pidfd: int, who: str, within: float = ANSWER_S) -> None:
    """A pidfd gets readable when its process has ended, its files closed (pidfd_open(2))."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()
    if _ended(pidfd):
        return
    loop.add_reader(pidfd, lambda: None if ended.done() else ended.set_result(None))
    try:
        await asyncio.wait([ended], timeout=within)
    finally:
        loop.remove_reader(pidfd)
    if not ended.done():
        raise HarnessFault(f"{who} is still there {within:g} s after it was told to end")
