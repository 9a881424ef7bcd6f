"""A backend that runs by itself (`lbcheck backend`), in the harness's hands for one scene."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lbcheck.backends.control import LINE_LIMIT, Greeting, behaviour_to_json, greeting_to_json, line
from lbcheck.backends.process import ANSWER_S
from lbcheck.backends.script import Behaviour
from lbcheck.clock import now
from lbcheck.errors import BackendUnreachable, HarnessFault
from lbcheck.history import Event, from_json


class RemoteBackend:
    """Implements `lbcheck.lab.base.BackendNode`. Every call returns when it is in effect; HarnessFault otherwise.

    `control`: a port of `host`, or the path of a Unix socket.
    `hear` gets each event as it comes, its time on this machine's clock; after `sync` none of before is missing.
    """

    port = 0

    def __init__(self, greeting: Greeting, host: str, control: int | Path, hear: Callable[[Event], None]) -> None:
        self.name = greeting.name
        self.pool = greeting.pool
        self.host = host
        self.clock_error_s = 0.0  # by which its events may be early or late
        self._greeting = greeting
        self._control = control
        self._hear = hear
        self._offset_s = 0.0  # from its clock to ours
        self._killed = False
        self._orders = 0
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._reading: asyncio.Task[None] | None = None

    # --- a visit -----------------------------------------------------------------------------------------------------

    async def visit(self) -> None:
        """From now on it is ours. BackendUnreachable says why it can't be."""
        where = f"backend {self.name}, control at {self.host}:{self._control}"
        try:
            async with asyncio.timeout(ANSWER_S):
                self._reader, self._writer = await self._connect()
                asked = now()
                self._writer.write(line(greeting_to_json(self._greeting)))
                answered = await self._reader.readline()
        except OSError as error:
            why = os.strerror(error.errno) if error.errno else f"no answer within {ANSWER_S:g} s"
            raise BackendUnreachable(
                f"{where}: {why}",
                remedy="start `lbcheck backend` there, or correct --lb-backend",
            ) from error
        answer = _parsed(answered)
        if "ready" not in answer:
            await self._hang_up()
            raise BackendUnreachable(
                f"{where}: {answer.get('failed', 'it speaks no language of an `lbcheck backend`')}",
                remedy="the token is read from LBCHECK_TOKEN, here and there; a backend serves one run at a time",
            )
        self.port = answer["ready"]
        self._set_clock(asked, answer["now"], now())
        self._reading = asyncio.get_running_loop().create_task(self._read())

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self._control, Path):
            return await asyncio.open_unix_connection(self._control, limit=LINE_LIMIT)
        return await asyncio.open_connection(self.host, self._control, limit=LINE_LIMIT)

    def _set_clock(self, asked: float, theirs: float, answered: float) -> None:
        """One machine has one clock; another's is off by what half a round trip cannot explain."""
        if asked <= theirs <= answered:
            return
        self._offset_s = (asked + answered) / 2 - theirs
        self.clock_error_s = (answered - asked) / 2

    async def leave(self) -> None:
        """It is a plain echo again when this returns."""
        if self._reading is None:
            return
        with contextlib.suppress(HarnessFault, ConnectionError):
            await self._ask("leave")
        self._reading.cancel()
        await self._hang_up()

    async def _hang_up(self) -> None:
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()

    async def _read(self) -> None:
        """Answers to whom they belong, events to the history, until the connection ends."""
        with contextlib.suppress(ConnectionError, ValueError):
            while said := await self._reader.readline():
                message = json.loads(said)
                if "event" in message:
                    self._hear(self._timed(from_json(message["event"])))
                elif (waiting := self._answers.pop(message.get("n"), None)) is not None and not waiting.done():
                    waiting.set_result(message)
        for waiting in self._answers.values():
            if not waiting.done():
                waiting.set_result({"failed": "it hung up"})

    def _timed(self, event: Event) -> Event:
        # An exchange has several times, and only clients have exchanges.
        return event if not self._offset_s else replace(event, at=event.at + self._offset_s)  # type: ignore[arg-type]

    @property
    def connected(self) -> bool:
        """Does it still listen to us? A killed one does."""
        return self._reading is not None and not self._reading.done()

    # --- its script and its life -------------------------------------------------------------------------------------

    def alive(self) -> bool:
        return self.connected and not self._killed

    async def behave(self, behaviour: Behaviour) -> None:
        await self._ask("behave", behaviour=behaviour_to_json(behaviour))

    async def release(self, ids: Sequence[str] | None = None) -> None:
        await self._ask("release", ids=None if ids is None else list(ids))

    async def kill(self) -> None:
        """As SIGKILL, as far as its peers can see."""
        await self._ask("kill")
        self._killed = True

    async def restart(self) -> None:
        await self._ask("restart")
        self._killed = False

    async def sync(self) -> None:
        """All that it recorded before has been heard."""
        await self._ask("sync")

    async def _ask(self, doing: str, **more: Any) -> None:
        if not self.connected:
            raise HarnessFault(f"backend {self.name}, control {self._control}, has hung up ({doing})")
        self._orders += 1
        waiting = asyncio.get_running_loop().create_future()
        self._answers[self._orders] = waiting
        self._writer.write(line({"do": doing, **more, "n": self._orders}))
        try:
            answer = await asyncio.wait_for(waiting, ANSWER_S)
        except TimeoutError:
            raise HarnessFault(f"backend {self.name} did not answer to {doing!r} within {ANSWER_S:g} s") from None
        if "failed" in answer:
            raise HarnessFault(f"backend {self.name} at {self.host}:{self.port}: {doing}: {answer['failed']}")


def _parsed(answered: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(answered)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}
