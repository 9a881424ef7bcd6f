"""The `docker` lab: balancer and backends as containers with addresses of their own, on networks that lead nowhere."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from lbcheck import clock
from lbcheck.backends.control import Greeting
from lbcheck.checks import Opening
from lbcheck.client.http import LOOPBACK
from lbcheck.errors import HarnessFault, Unsupported
from lbcheck.history import History
from lbcheck.lab.base import first_behaviour, probe_shape
from lbcheck.lab.belongings import Belongings
from lbcheck.lab.docker_backends import PORT, ContainerBackend, Fleet, Task
from lbcheck.lab.docker_engine import Engine
from lbcheck.lab.docker_image import IMAGE, is_host
from lbcheck.lab.docker_site import Place, Site
from lbcheck.lab.docker_target import ContainerTarget
from lbcheck.lab.local import LocalLab
from lbcheck.lab.placing import Ground, placed
from lbcheck.lab.presence import refuses
from lbcheck.lab.visiting import VisitingScene
from lbcheck.spec.change import Change, changed
from lbcheck.spec.distinct import Names
from lbcheck.spec.model import Backend, Listener, Pool, Spec
from lbcheck.targets.base import Target

T = TypeVar("T")
Ports = Literal["own", "dynamic"]
INSTANCES = 2  # machines that backends with dynamic ports share
FOLDER = "backends"


@dataclass(frozen=True, slots=True)
class DockerGround(Ground):
    """`front`: where the balancer is."""

    front: str = ""

    @property
    def listeners(self) -> str:
        return self.front

    @property
    def control(self) -> str:
        """Whichever address leads to the backend: these requests are known by their ids."""
        return LOOPBACK


class DockerScene(VisitingScene):
    """One placed spec in its containers."""

    spec: Spec
    target: ContainerTarget

    def __init__(self, names: Names, site: Site, fleet: Fleet, ports: Ports) -> None:
        super().__init__(History())
        self.names = names
        self._site = site
        self._fleet = fleet
        self._ports = ports
        self._numbered = 0  # backends that the spec gives no address

    # --- backends ----------------------------------------------------------------------------------------------------

    async def start_backends(self, spec: Spec, opening: Opening) -> None:
        """All of them. HarnessFault where one does not start."""
        wanted = [(pool, backend.name, *self._where(backend)) for pool in spec.pools for backend in pool.backends]
        hosts = dict.fromkeys(where for _, _, where, _ in wanted)
        places = dict(zip(hosts, await all_of(self._site.place(*where) for where in hosts), strict=True))
        await all_of(self._start(pool, name, places[where], port, opening) for pool, name, where, port in wanted)
        self.backends = {(pool.name, name): self.backends[pool.name, name] for pool, name, _, _ in wanted}

    def _where(self, backend: Backend) -> tuple[tuple[str, str], int]:
        """The place that the spec gives it, or the next one, as (host, the place's name); and its port, 0 for any."""
        if backend.address is not None:
            return (backend.host, backend.name), backend.port
        self._numbered += 1
        if self._ports == "dynamic":
            number = (self._numbered - 1) % INSTANCES + 1
            return (self._site.plan.backend(number), f"instance-{number}"), 0
        return (self._site.plan.backend(self._numbered), f"backend-{self._numbered}"), PORT

    async def _start(self, pool: Pool, name: str, place: Place, port: int, opening: Opening) -> ContainerBackend:
        task = await self._fleet.task(place, port)
        greeting = Greeting(self._fleet.token, name, pool.name, probe_shape(pool), first_behaviour(pool, opening))
        node = ContainerBackend(greeting, task, self._fleet, self.hear)
        await self.take(node)
        return node

    async def add_backend(self, pool: str, name: str) -> ContainerBackend:
        where, port = self._where(Backend(name))
        return await self._start(self.spec.pool(pool), name, await self._site.place(*where), port, "settled")

    # --- the target --------------------------------------------------------------------------------------------------

    async def change(self, change: Change) -> None:
        after = changed(self.spec, change)
        await self.target.change(self.names.own_change(change), self.names.own(after))
        self.spec = after


class DockerLab(LocalLab):
    """Owns networks, places and backends in containers; opens one scene after another before them.

    `ports`: whether each backend has an address of its own, or backends share machines and take any port of theirs, as
    tasks with dynamic host ports do on ECS.
    """

    name = "docker"

    def __init__(
        self,
        target: Target,
        *,
        worker: int = 0,
        keep: bool = False,
        configs: Sequence[Path] = (),
        ports: Ports = "own",
    ) -> None:
        """NoEngine where this machine has none; LbcheckError where there is no image."""
        self._engine = engine_with(IMAGE)
        super().__init__(target, Ground(worker), keep=keep, configs=configs)
        self._configs = configs
        self._ports = ports
        self._site: Site | None = None
        self._fleet: Fleet | None = None
        self._next_port = self.rng.randrange(len(self.ground.ports))

    @property
    def notes(self) -> list[str]:
        """What a reader of the verdicts should know."""
        if self._site is None or self._site.near:
            return []
        return ["clients: one, this machine's side of the network; checks with many clients' addresses need root"]

    # --- scenes ------------------------------------------------------------------------------------------------------

    async def open(self, spec: Spec, *, seed: int, opening: Opening = "settled") -> DockerScene:
        """As `Lab.open`; `seed` is not used: real processes draw for themselves."""
        del seed
        refuse_shared_check_ports(spec, self._ports)
        site, fleet = await self._ready(spec)
        folder = self._next_folder(self._owned())
        names = Names(spec)
        scene = DockerScene(names, site, fleet, self._ports)
        if not self._keep:
            scene.ending.callback(shutil.rmtree, folder)
        try:
            await self._set_up(scene, names.distinct, folder, site, opening)
        except BaseException:
            await scene.close()
            raise
        return scene

    async def _ready(self, spec: Spec) -> tuple[Site, Fleet]:
        """The front, in whose network the harness is from then on, and the networks of this spec."""
        if self._site is None or self._fleet is None:
            belongings = self._owned()
            belongings.engine(self._engine.socket)
            self._engine.run = belongings.token
            self._site = Site(self._engine, belongings, IMAGE, [self._target.binary])
            folder = belongings.folder / FOLDER
            folder.mkdir(mode=0o755)
            self._fleet = Fleet(self._site, folder)
            await self._site.prepare(spec)
            near = self._site.near
            self.ground = DockerGround(self.ground.worker, abroad=not near, front=self._site.plan.front)
            await self.measure()
        else:
            await self._site.prepare(spec)
        return self._site, self._fleet

    async def _set_up(self, scene: DockerScene, spec: Spec, folder: Path, site: Site, opening: Opening) -> None:
        await scene.start_backends(spec, opening)
        nodes = {key: (node.host, node.port) for key, node in scene.backends.items()}
        scene.spec = placed(spec, {listener.name: self._listens(listener) for listener in spec.listeners}, nodes)
        told = scene.names.own(scene.spec)
        scene.target = ContainerTarget(self._target, self._render(told, folder), folder, site, self._configs)
        scene.ending.push_async_callback(scene.target.stop)
        await scene.target.start()
        await scene.target.ready(told)
        scene.listen()
        self._time(scene.ending)

    def _listens(self, listener: Listener) -> tuple[str, int]:
        """At the front nobody else has a port; each scene takes others, since connections linger."""
        if listener.port is not None:
            return listener.address or self.ground.listeners, listener.port
        self._next_port += 1
        return listener.address or self.ground.listeners, self.ground.ports[self._next_port % len(self.ground.ports)]

    # --- its end -----------------------------------------------------------------------------------------------------

    async def _end(self) -> None:
        await super()._end()
        if self._site is not None:
            self._site.leave()

    def close(self) -> None:
        try:
            super().close()
        finally:
            self._engine.close()


def refuse_shared_check_ports(spec: Spec, ports: Ports) -> None:
    """Unsupported where backends that share an address would share the port of their probes."""
    for pool in spec.pools:
        if ports == "dynamic" and pool.health_check is not None and pool.health_check.port is not None:
            raise Unsupported(
                f"pool {pool.name} checks health on port {pool.health_check.port}, which backends with dynamic ports "
                "would have to share",
                remedy="use --lb-ports=own",
            )


def prepare() -> None:
    """Before anything starts: NoEngine, or LbcheckError where the image is missing."""
    engine_with(IMAGE).close()


def tried() -> str:
    """What engine and image there are, and how long a backend takes in a container; nothing of it is left.

    NoEngine, LbcheckError or HarnessFault say what is missing.
    """
    engine = engine_with(IMAGE)
    belongings = Belongings()
    try:
        belongings.engine(engine.socket)
        engine.run = belongings.token
        began = clock.process_now()
        near = asyncio.run(_three_backends(Site(engine, belongings, IMAGE, ()), belongings.folder))
        took_s = clock.process_now() - began
        who = "every client's address can be had" if near else "one client's address; more need root"
        return f"engine {engine.version}, {IMAGE}; three backends in containers after {took_s:.1f} s; {who}"
    finally:
        belongings.close()
        engine.close()


async def _three_backends(site: Site, folder: Path) -> bool:
    """Is the harness in the balancer's own network?"""
    fleet = Fleet(site, folder)

    async def one(number: int) -> Task:
        return await fleet.task(await site.place(site.plan.backend(number), f"backend-{number}"), PORT)

    try:
        await site.prepare(Spec((), ()))
        for task in await all_of(map(one, (1, 2, 3))):
            if await refuses(task.place.host, task.port):
                raise HarnessFault(
                    f"nobody accepts at {task.place.host}:{task.port}, where a container listens",
                    remedy="is the engine in another machine (Docker Desktop), or does a firewall drop such packets?",
                )
        return site.near
    finally:
        site.leave()


def engine_with(image: str) -> Engine:
    """An engine that has this image. NoEngine or LbcheckError say what to do where there is none."""
    engine = Engine()
    try:
        is_host(engine, image)
    except BaseException:
        engine.close()
        raise
    return engine


async def all_of(work: Iterable[Awaitable[T]]) -> list[T]:
    """Like gather, but none is on its way any more when the first failure is raised."""
    done = await asyncio.gather(*work, return_exceptions=True)
    for each in done:
        if isinstance(each, BaseException):
            raise each
    return [each for each in done if not isinstance(each, BaseException)]
