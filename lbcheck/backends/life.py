"""The life of a backend in its own process, from its fork to its end."""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import signal
import socket
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from lbcheck.backends.control import LINE_LIMIT, Birth, behaviour_from_json, line
from lbcheck.backends.journal import JournalFile
from lbcheck.backends.server import BackendServer

new_event_loop: Callable[[], asyncio.AbstractEventLoop]
try:
    from uvloop import new_event_loop
except ImportError:
    from asyncio import new_event_loop

PR_SET_PDEATHSIG = 1  # prctl(2)
_libc = ctypes.CDLL(None, use_errno=True)


def live(birth: Birth, control: socket.socket, parent: int) -> NoReturn:
    """Serves until the control channel closes or the parent dies; never returns into the forked parent's code."""
    code = 1
    try:
        die_with(parent)
        new_event_loop().run_until_complete(_serve(birth, control))
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def die_with(parent: int) -> None:
    """The kernel kills this process when the parent ends; if it has ended already, this process does too."""
    if _libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    if os.getppid() != parent:
        os._exit(0)


async def _serve(birth: Birth, control: socket.socket) -> None:
    reader, writer = await asyncio.open_unix_connection(sock=control, limit=LINE_LIMIT)
    try:
        journal = JournalFile(Path(birth.journal))
        server = BackendServer(birth.name, journal, birth.probe, birth.pool, generation=birth.generation)
        port = await server.start(birth.host, birth.port)
    except OSError as error:
        writer.write(line({"failed": str(error)}))
        await writer.drain()
        return
    writer.write(line({"ready": port, "pid": os.getpid()}))
    while command := await reader.readline():
        order = json.loads(command)
        writer.write(line({**await obey(server, order), "n": order["n"]}))


async def obey(server: BackendServer, command: dict[str, Any]) -> dict[str, Any]:
    """Carries out one command; the answer is sent when it is in effect."""
    try:
        if command["do"] == "behave":
            await server.behave(behaviour_from_json(command["behaviour"]))
        else:
            await server.release(command["ids"])
    except OSError as error:
        return {"failed": str(error)}
    return {"done": command["do"]}
