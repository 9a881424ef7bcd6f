"""The container engine: the one place that speaks to it (docker-py).

Everything that is made carries labels, by which the guardian finds it when the harness dies. Calls take 10 to 120 ms
and are made in threads of their own: the loop is the clock of traffic that goes on meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import socket
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import docker.errors
import requests.exceptions
from docker.types import IPAMConfig, IPAMPool, LogConfig

from lbcheck.errors import HarnessFault, LbcheckError
from lbcheck.lab.guardian import LABEL

T = TypeVar("T")
SOCKET = "unix:///var/run/docker.sock"
NAME, ROLE = "lbcheck.name", "lbcheck.role"
CALL_S = 60.0  # for one call; an engine that takes longer hangs
TRIED_S = 20.0
GONE_S = 2.0  # for a watch to end after its container has
LOG_LINES = 500
THREADS = 16
INSTEAD = "use the next best lab, --lb-lab=sealed: namespaces of the kernel alone; else --lb-lab=process, on loopback"
START = f"start it (systemctl start docker, or dockerd as root), or name its socket in DOCKER_HOST; else {INSTEAD}"
_FAILURES = (docker.errors.DockerException, requests.exceptions.RequestException)


class NoEngine(LbcheckError):  # noqa: N818
    """There is no container engine on this machine, or this user may not speak to it."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A container's place on a network of its own: name of the network, its address there, names that lead to it."""

    network: str
    address: str
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Program:
    """What runs in a container. `binds`: (path here, path there, "ro" or "rw"); `user` "": the image's own."""

    image: str
    argv: tuple[str, ...]
    name: str
    role: str
    env: Mapping[str, str] = field(default_factory=dict)
    binds: tuple[tuple[Path, Path, str], ...] = ()
    cwd: Path | None = None
    user: str = ""


class Engine:
    """A local engine. NoEngine where there is none, with the remedy."""

    def __init__(self, run: str = "") -> None:
        """`run`: the token that everything made here is labelled with."""
        self.run = run
        self.url = os.environ.get("DOCKER_HOST") or SOCKET
        if not self.url.startswith("unix://"):
            raise NoEngine(
                f"DOCKER_HOST is {self.url}: the docker lab needs an engine on this machine",
                remedy=f"unset DOCKER_HOST, or name a Unix socket in it; else {INSTEAD}",
            )
        self.socket = Path(self.url.removeprefix("unix://"))
        self._api = self._connected()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="docker")
        self._watches: list[threading.Thread] = []

    def _connected(self) -> docker.APIClient:
        try:
            with socket.socket(socket.AF_UNIX) as sock:  # docker-py leaves one open that nobody answers
                sock.connect(str(self.socket))
            return docker.APIClient(base_url=self.url, version="auto", timeout=int(CALL_S), num_pools=THREADS)
        except PermissionError as error:
            raise NoEngine(
                f"this user may not speak to the container engine at {self.socket}",
                remedy=f"usermod -aG docker {os.environ.get('USER', 'YOU')}, and log in again; else {INSTEAD}",
            ) from error
        except (*_FAILURES, OSError) as error:
            raise NoEngine(f"no container engine answers at {self.socket}", remedy=START) from error

    def watch(self, thread: threading.Thread) -> None:
        """Starts it, and waits for it at the end."""
        self._watches = [*(other for other in self._watches if other.is_alive()), thread]
        thread.start()

    @property
    def version(self) -> str:
        return str(self._api.version()["Version"])

    def close(self) -> None:
        """Whoever waits for a container's end waits no longer: all of them have to be gone."""
        self._threads.shutdown()
        for watch in self._watches:
            watch.join(GONE_S)
        self._api.close()

    async def _do(self, what: str, call: Callable[..., T], *args: Any, **options: Any) -> T:
        """HarnessFault, with what it was about, where the engine refuses."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, lambda: call(*args, **options))
        except _FAILURES as error:
            why = getattr(error, "explanation", None) or error
            raise HarnessFault(f"the container engine cannot {what}: {why}", remedy="see the engine's log") from error

    def _labels(self, role: str, name: str = "") -> dict[str, str]:
        return {LABEL: self.run, ROLE: role, NAME: name}

    # --- images ------------------------------------------------------------------------------------------------------

    def image_labels(self, image: str) -> dict[str, str] | None:
        """None where the engine has no such image."""
        try:
            return dict(self._api.inspect_image(image)["Config"].get("Labels") or {})  # type: ignore[no-untyped-call]
        except docker.errors.ImageNotFound:
            return None

    def import_image(self, root: bytes, image: str, labels: Mapping[str, str]) -> None:
        """An image of one layer, of a file system as tar. LbcheckError where it is refused."""
        repository, _, tag = image.rpartition(":")
        changes = [f"LABEL {key}={value}" for key, value in labels.items()]
        try:
            self._api.import_image_from_data(root, repository=repository, tag=tag, changes=changes)
        except _FAILURES as error:
            raise LbcheckError(f"the engine does not take the image {image}: {error}") from error

    def build_image(
        self, context: bytes, image: str, arguments: Mapping[str, str], labels: Mapping[str, str], *, offline: bool
    ) -> None:
        """Of a build context as tar. LbcheckError with the last that the build said."""
        options: dict[str, Any] = {"network_mode": "none"} if offline else {}
        said: list[str] = []
        try:
            steps = self._api.build(
                fileobj=io.BytesIO(context),
                custom_context=True,
                tag=image,
                buildargs=dict(arguments),
                labels=dict(labels),
                rm=True,
                forcerm=True,
                decode=True,
                **options,
            )
            for step in steps:
                said.append(str(step.get("stream") or step.get("error") or ""))
                if "error" in step:
                    raise LbcheckError(f"the image {image} cannot be built:\n" + "".join(said[-20:]).strip())
        except _FAILURES as error:
            raise LbcheckError(f"the image {image} cannot be built: {error}") from error

    # --- networks ----------------------------------------------------------------------------------------------------

    async def make_network(self, name: str, subnet: str, gateway: str) -> None:
        """Internal: nothing of it leaves the machine. HarnessFault where the subnet is taken."""
        ipam = IPAMConfig(pool_configs=[IPAMPool(subnet=subnet, gateway=gateway)])
        labels = self._labels("network")
        make = self._api.create_network
        await self._do(f"make the network {subnet}", make, name, "bridge", internal=True, ipam=ipam, labels=labels)

    async def remove_network(self, name: str) -> None:
        with contextlib.suppress(HarnessFault):
            await self._do(f"remove the network {name}", self._api.remove_network, name)

    async def connect(self, container: str, place: Attachment) -> None:
        connect = self._api.connect_container_to_network
        where = {"ipv4_address": place.address, "aliases": list(place.aliases)}
        await self._do(f"connect {place.address}", connect, container, place.network, **where)

    async def disconnect(self, container: str, network: str) -> None:
        leave = self._api.disconnect_container_from_network
        await self._do(f"disconnect {container[:12]}", leave, container, network, force=True)

    # --- containers --------------------------------------------------------------------------------------------------

    async def start(self, program: Program, *, at: Attachment | str, init: bool = False) -> Container:
        """Runs it at a place of its own, or in the network of another container (its id).

        `init` puts a small process before it that passes signals on: the kernel's first process ignores those for
        which it has no handler.
        """
        api, own = self._api, isinstance(at, Attachment)
        host = api.create_host_config(
            binds=[f"{here}:{there}:{how}" for here, there, how in program.binds],
            network_mode=at.network if isinstance(at, Attachment) else f"container:{at}",
            init=init,
            log_config=LogConfig(type="json-file", config={"max-size": "4m"}),
        )
        more: dict[str, Any] = {}
        if isinstance(at, Attachment):
            endpoint = api.create_endpoint_config(aliases=list(at.aliases), ipv4_address=at.address)
            more = {"networking_config": {"EndpointsConfig": {at.network: endpoint}}}
            more["hostname"] = program.name.replace("/", "-").replace("_", "-")[:63]
        made = await self._do(
            f"make a container of {program.image} for {program.name}",
            api.create_container,
            program.image,
            entrypoint=list(program.argv[:1]),
            command=list(program.argv[1:]),
            environment=dict(program.env),
            working_dir=str(program.cwd) if program.cwd else None,
            user=program.user or None,
            labels=self._labels(program.role, program.name),
            host_config=host,
            **more,
        )
        container = Container(self, made["Id"], program.name, isolated=own)
        try:
            await container.start()
        except BaseException:
            await container.remove()
            raise
        return container

    async def tried(self, program: Program, *, at: str) -> tuple[int, str] | None:
        """(exit code, what it said) of a program that ends by itself; None where it does not, or cannot be run."""
        try:
            container = await self.start(program, at=at)
        except HarnessFault:
            return None
        try:
            async with asyncio.timeout(TRIED_S):
                return await container.ended(), container.log()
        except TimeoutError:
            return None
        finally:
            await container.remove()


class Container:
    """One that was started. Whoever holds it ends it; the guardian ends what nobody holds any more."""

    def __init__(self, engine: Engine, id: str, name: str, *, isolated: bool) -> None:
        self.id = id
        self.name = name
        self.isolated = isolated  # has it a network place of its own?
        self.code: int | None = None
        self._engine = engine
        self._api = engine._api
        self._gone = threading.Event()
        self._last = ""

    async def start(self) -> None:
        """Also of one that has ended. HarnessFault with the engine's reason."""
        await self._engine._do(f"start {self.name}", self._api.start, self.id)
        self._gone, self.code = threading.Event(), None
        self._engine.watch(threading.Thread(target=self._watch, args=(self._gone,), daemon=True))

    def _watch(self, gone: threading.Event) -> None:
        """Who waits for an end blocks a thread; as a daemon it holds up nobody's exit."""
        try:
            self.code = int(self._api.wait(self.id, timeout=None)["StatusCode"])
        except (*_FAILURES, ValueError, OSError):
            self.code = -1  # removed, or the engine is gone
        gone.set()

    def alive(self) -> bool:
        return not self._gone.is_set()

    async def ended(self) -> int:
        """Waits for its end; its exit code."""
        await asyncio.get_running_loop().run_in_executor(self._engine._threads, self._gone.wait, CALL_S)
        return -1 if self.code is None else self.code

    async def pid(self) -> int:
        """Of its first process, as the engine's machine counts."""
        told = await self._engine._do(f"look at {self.name}", self._api.inspect_container, self.id)
        return int(told["State"]["Pid"])

    def log(self) -> str:
        """Its last output, also after it is gone."""
        with contextlib.suppress(*_FAILURES):
            self._last = self._api.logs(self.id, tail=LOG_LINES).decode(errors="replace")
        return self._last

    async def signal(self, number: int) -> None:
        """Nothing happens where it has ended."""
        if self.alive():
            with contextlib.suppress(HarnessFault):
                await self._engine._do(f"signal {self.name}", self._api.kill, self.id, int(number))

    async def kill(self) -> None:
        """SIGKILL; returns when it is gone."""
        await self.signal(9)
        await self.ended()

    async def pause(self) -> None:
        await self._engine._do(f"pause {self.name}", self._api.pause, self.id)

    async def resume(self) -> None:
        await self._engine._do(f"resume {self.name}", self._api.unpause, self.id)

    async def remove(self) -> None:
        """Ends it too; nothing happens where it is gone."""
        with contextlib.suppress(HarnessFault):
            await self._engine._do(f"remove {self.name}", self._api.remove_container, self.id, v=True, force=True)
