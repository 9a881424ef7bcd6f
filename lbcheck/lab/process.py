"""The `process` lab: the target and each backend as local processes on loopback; no root, no containers."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from lbcheck.backends.journal import Tail
from lbcheck.backends.nursery import Nursery
from lbcheck.backends.process import BackendProcess
from lbcheck.backends.script import ProbeShape
from lbcheck.checks import Opening
from lbcheck.history import History
from lbcheck.lab.base import first_behaviour, probe_shape
from lbcheck.lab.belongings import Belongings
from lbcheck.lab.journals import Recorder
from lbcheck.lab.local import LocalLab
from lbcheck.lab.placing import (
    BackendKey,
    Ground,
    placed,
    refuse_other_check_ports,
    refuse_remote,
    reserve_literal,
    reserve_one_of,
)
from lbcheck.lab.product import ProcessTarget
from lbcheck.spec.change import Change, changed
from lbcheck.spec.distinct import Names
from lbcheck.spec.model import Listener, Pool, Spec
from lbcheck.targets.base import Target


class Births(Protocol):
    """Whoever starts backends, as `Nursery.spawn` does."""

    async def spawn(
        self, name: str, pool: str, host: str, port: int, probe: ProbeShape | None, journal: Path
    ) -> BackendProcess: ...


LOOK_S = 0.005  # how often journals are read while the loop runs


class ProcessScene:
    """One placed spec with its processes; `ending` holds what undoes it, last begun first."""

    spec: Spec
    target: ProcessTarget

    def __init__(self, names: Names, record: Recorder, births: Births, ground: Ground, folder: Path) -> None:
        self.names = names
        self.history: History = record.history
        self.backends: dict[BackendKey, BackendProcess] = {}
        self.ending = contextlib.AsyncExitStack()
        self._record = record
        self._births = births
        self._ground = ground
        self._folder = folder
        self._tails: list[Tail] = []

    async def start_backends(self, spec: Spec, opening: Opening) -> None:
        """All of them, each with its journal in the folder. HarnessFault where one does not start."""
        places = self._ground.backends(spec)
        keys = [(pool, backend.name) for pool in spec.pools for backend in pool.backends]
        nodes = await asyncio.gather(*(self._start_backend(pool, name, places[pool.name, name]) for pool, name in keys))
        self.backends = {(pool.name, name): node for (pool, name), node in zip(keys, nodes, strict=True)}
        if opening != "settled":
            for (pool, _), node in zip(keys, nodes, strict=True):
                await node.behave(first_behaviour(pool, opening))

    async def _start_backend(self, pool: Pool, name: str, place: tuple[str, int]) -> BackendProcess:
        journal = self._folder / f"{pool.name}.{name}.jsonl"
        node = await self._births.spawn(name, pool.name, *place, probe_shape(pool), journal)
        self.ending.push_async_callback(node.kill)
        self._tails.append(Tail(journal))
        await node.behave(first_behaviour(pool))
        return node

    async def add_backend(self, pool: str, name: str) -> BackendProcess:
        place = self._ground.host(len(self.backends) + 1), 0
        self.backends[pool, name] = node = await self._start_backend(self.spec.pool(pool), name, place)
        return node

    async def change(self, change: Change) -> None:
        after = changed(self.spec, change)
        await self.target.change(self.names.own_change(change), self.names.own(after))
        self.spec = after

    def listen_to_journals(self) -> None:
        """From now on they are read while the loop runs, so that conditions on the history see what happens."""
        task = asyncio.get_running_loop().create_task(self._keep_reading())
        self.ending.callback(task.cancel)

    async def sync(self) -> None:
        """A backend writes its event before it answers: the ends of the files hold all that had happened."""
        # Each journal is in order of time; together they have to be merged.
        events = [event for tail in self._tails for event in tail.read()]
        for event in sorted(events, key=lambda event: event.at):
            self._record(event)

    async def _keep_reading(self) -> None:
        while True:
            await self.sync()
            await asyncio.sleep(LOOK_S)

    async def close(self) -> None:
        """Ends the target, then the backends, and removes the folder."""
        await self.ending.aclose()


class ProcessLab(LocalLab):
    """A guarded folder and a nursery of backends; opens one scene after another."""

    name = "process"

    def __init__(self, target: Target, *, worker: int = 0, keep: bool = False, configs: Sequence[Path] = ()) -> None:
        super().__init__(target, Ground(worker), keep=keep, configs=configs)
        self._nursery: Nursery | None = None
        self._next_port = self.rng.randrange(len(self.ground.ports))

    # --- scenes ------------------------------------------------------------------------------------------------------

    async def open(self, spec: Spec, *, seed: int, opening: Opening = "settled") -> ProcessScene:
        """As `Lab.open`; `seed` is not used: real processes draw for themselves."""
        del seed
        self.refuse(spec)
        refuse_other_check_ports(spec)
        belongings, births = await self._ready()
        folder = self._next_folder(belongings)
        names = Names(spec)
        scene = ProcessScene(names, Recorder(History(), self.ground.control), births, self.ground, folder)
        if not self._keep:
            scene.ending.callback(shutil.rmtree, folder)
        try:
            await self._set_up(scene, names.distinct, folder, belongings, opening)
        except BaseException:
            await scene.close()
            raise
        return scene

    def refuse(self, spec: Spec) -> None:
        """Unsupported where the spec leads beyond this machine."""
        refuse_remote(spec, self.name)

    async def _ready(self) -> tuple[Belongings, Births]:
        """The guarded folder and the nursery, started with the first scene; the first slack is measured then."""
        belongings = self._owned()
        if self._nursery is None:
            self._nursery = Nursery(belongings.environment)
            await self._nursery.start()
            if self._nursery.pid is not None:
                belongings.own(self._nursery.pid)
            await self.measure()
        return belongings, self._nursery

    async def _set_up(
        self, scene: ProcessScene, spec: Spec, folder: Path, belongings: Belongings, opening: Opening
    ) -> None:
        listeners = {listener.name: self._hold(scene, listener) for listener in spec.listeners}
        await scene.start_backends(spec, opening)
        scene.spec = placed(spec, listeners, {key: (node.host, node.port) for key, node in scene.backends.items()})
        told = scene.names.own(scene.spec)
        scene.target = ProcessTarget(self._target, self._render(told, folder), folder, belongings)
        scene.ending.callback(scene.target.stop)
        await scene.target.start()
        await scene.target.ready(told)
        await scene.target.refuse_real_time(self.rate)
        scene.listen_to_journals()
        self._time(scene.ending)

    def _hold(self, scene: ProcessScene, listener: Listener) -> tuple[str, int]:
        """The listener's address, held until the scene ends, so that no other run can take it."""
        host = listener.address or self.ground.listeners
        if listener.port is None:
            held = reserve_one_of(host, self.ground.ports, self._next_port)
            self._next_port += 1
        else:
            held = reserve_literal(host, listener.port)
        scene.ending.callback(held.close)
        return held.address

    async def _end(self) -> None:
        await super()._end()
        if self._nursery is not None:
            await self._nursery.close()
