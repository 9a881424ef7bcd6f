"""Backends in containers: `lbcheck backend` at a place of its own, visited by one scene after another."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lbcheck import clock
from lbcheck.backends.control import Greeting
from lbcheck.backends.remote import RemoteBackend
from lbcheck.backends.serve import TOKEN
from lbcheck.errors import HarnessFault, Unsupported
from lbcheck.history import Event
from lbcheck.lab.docker_engine import Container
from lbcheck.lab.docker_site import Place, Site

READY_S = 20.0
LOOK_S = 0.005
PORT = 8080  # of a backend that has an address of its own, and none in the spec


@dataclass(slots=True)
class Task:
    """A backend's process in its container. `port` 0: it takes any of its place's (a dynamic host port)."""

    container: Container
    place: Place
    port: int
    control: Path


class Fleet:
    """Backends that outlive scenes: each is one scene's at a time, and fresh for the next."""

    def __init__(self, site: Site, folder: Path) -> None:
        self.token = secrets.token_urlsafe(32)
        self.site = site
        self._folder = folder
        self._idle: dict[tuple[str, int], list[Task]] = {}
        self._made = 0

    async def task(self, place: Place, port: int) -> Task:
        """One that is idle there, or a new one."""
        idle = self._idle.get((place.host, port), [])
        while idle:
            task = idle.pop()
            if task.container.alive():
                return task
            await task.container.remove()
        control = self._next_control()
        return Task(await self._start(place, port, control), place, port, control)

    async def again(self, task: Task, port: int) -> None:
        """One whose process has ended runs anew at its place, on this port."""
        await task.container.remove()
        task.control = self._next_control()  # a killed one leaves its socket behind
        task.container = await self._start(task.place, port, task.control)

    def beside_balancer(self, task: Task) -> bool:
        return task.place.holder is self.site.front.holder

    def _next_control(self) -> Path:
        self._made += 1
        return self._folder / f"{self._made}.sock"

    def give_back(self, task: Task) -> None:
        self._idle.setdefault((task.place.host, task.port), []).append(task)

    async def _start(self, place: Place, port: int, control: Path) -> Container:
        address = place.host if place.holder is self.site.front.holder else "0.0.0.0"
        command = (sys.executable, "-m", "lbcheck.backends.serve", "--address", address, "--port", str(port))
        program = self.site.program(
            (*command, "--control", f"unix:{control}"),
            control.stem,
            "backend",
            folders=((self._folder, "rw"),),
            env={TOKEN: self.token},
        )
        container = await self.site.run(program, place)
        await self._ready(container, control)
        return container

    async def _ready(self, container: Container, control: Path) -> None:
        """Waits until it can be greeted. HarnessFault with its last words where it ends instead."""
        end = clock.now() + READY_S
        while not await _greetable(control):
            if not container.alive() or clock.now() > end:
                raise HarnessFault(
                    f"a backend in a container is not ready: {container.log().strip()[-1000:] or 'it says nothing'}",
                    remedy="does its image have this version of lbcheck? lbcheck image build",
                )
            await asyncio.sleep(LOOK_S)


async def _greetable(control: Path) -> bool:
    try:
        _, writer = await asyncio.open_unix_connection(control)
    except OSError:
        return False
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    return True


class ContainerBackend(RemoteBackend):
    """A backend in a container of its own, killed, paused and taken off the network by the engine."""

    def __init__(self, greeting: Greeting, task: Task, fleet: Fleet, hear: Callable[[Event], None]) -> None:
        super().__init__(greeting, task.place.host, task.control, hear)
        self._task = task
        self._fleet = fleet
        self._paused = self._off = False

    async def kill(self) -> None:
        """SIGKILL to its container; its place stays, and refuses."""
        if self._killed:
            return
        self._killed = True
        await self._task.container.kill()
        if self._reading is not None:
            await asyncio.wait([self._reading], timeout=READY_S)  # what it told before is heard to its end
        await self._hang_up()

    async def restart(self) -> None:
        """Another container, at the same place and port."""
        await self.kill()
        await self._fleet.again(self._task, self.port)
        again = self._greeting.generation + 1
        self._greeting = Greeting(self._greeting.token, self.name, self.pool, self._greeting.probe, generation=again)
        self._control, self._killed = self._task.control, False
        await self.visit()

    async def pause(self) -> None:
        """Its processes stand still: the kernel still accepts connections for it, and nothing answers."""
        await self._task.container.pause()
        self._paused = True

    async def resume(self) -> None:
        await self._task.container.resume()
        self._paused = False

    async def disconnect(self) -> None:
        """Off the network, with all that share its address: what they are sent vanishes, and what they send."""
        if self._fleet.beside_balancer(self._task):
            raise Unsupported(f"{self.name} has the balancer's own address: it cannot be taken off the network alone")
        await self._fleet.site.disconnect(self._task.place)
        self._off = True

    async def reconnect(self) -> None:
        await self._fleet.site.connect(self._task.place)
        self._off = False

    async def sync(self) -> None:
        """One that stands still tells nothing, and what it told before is on its way already."""
        if not self._paused:
            await super().sync()

    async def leave(self) -> None:
        """Its container stays, for the next scene; whatever was done to it is healed."""
        if self._off:
            await self.reconnect()
        if self._paused:
            await self.resume()
        if not self._killed:
            await super().leave()
        self._fleet.give_back(self._task)
