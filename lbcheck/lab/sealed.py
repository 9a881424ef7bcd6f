"""The `sealed` lab: a process lab in a network and mounts of its own, so that any address, port and name can be had.

The harness itself goes inside, with the processes that it starts: its client, its backends and the target share a
loopback that has every address of the spec and of the configuration, and no way out. Everything ends with the last
process that is inside.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from lbcheck import clock
from lbcheck.backends.nursery import Nursery
from lbcheck.backends.process import BackendProcess
from lbcheck.backends.script import ProbeShape
from lbcheck.checks import Opening
from lbcheck.errors import LbcheckError
from lbcheck.lab.belongings import Belongings
from lbcheck.lab.placing import Ground
from lbcheck.lab.process import Births, ProcessLab, ProcessScene
from lbcheck.lab.sealed_folders import Folders
from lbcheck.lab.sealed_names import NameServer
from lbcheck.lab.sealed_namespaces import Namespaces, NoNamespaces, entitle, in_own_user_namespace
from lbcheck.lab.sealed_network import (
    CONTROL,
    Network,
    answering,
    listening,
    mentioned,
    resolved,
    sources,
    texts_of,
    usual,
)
from lbcheck.spec.model import Spec
from lbcheck.targets.base import Rendering, Target


class Seal:
    """Private network, mounts and names, entered when it is made; `notes` says what was supplied inside."""

    def __init__(self, keep: Sequence[Path] = ()) -> None:
        """NoNamespaces where there can be none."""
        self._namespaces = Namespaces()
        try:
            needed = [Path.cwd(), Path(tempfile.gettempdir()), Path(sys.prefix), Path(sys.base_prefix)]
            self.network = Network(self._namespaces)
            self.folders = Folders([*needed, *keep])
            self._name()
            self._server = NameServer(self.network.names)
        except BaseException:
            self._namespaces.leave()
            raise

    def add(self, spec: Spec, texts: Sequence[str] = ()) -> Spec:
        """Everything that they mention is there from now on; the spec with addresses in place of names."""
        self.network.add(listening(spec), answering(spec), sources(spec))
        for text in texts:
            self.network.add(mentioned(text))
        self._name()
        return resolved(spec, self.network.names)

    def _name(self) -> None:
        self.folders.hosts(self.network.hosts_file())

    @property
    def notes(self) -> list[str]:
        return list(self.folders.notes)

    def behind(self) -> AbstractContextManager[None]:
        """Who is started meanwhile lives where the backends' addresses are."""
        return self._namespaces.behind()

    def leave(self) -> None:
        self._server.close()
        self._namespaces.leave()


class SealedGround(Ground):
    """As in the process lab, but a control run has to reach backends that are far."""

    __slots__ = ()

    @property
    def control(self) -> str:
        return str(CONTROL)


class FarNursery:
    """Starts backends on the side where their addresses are; a second nursery is there once one is far."""

    def __init__(self, near: Births, seal: Seal, belongings: Belongings) -> None:
        self._near = near
        self._seal = seal
        self._belongings = belongings
        self._far: Nursery | None = None
        self._starting = asyncio.Lock()

    async def spawn(
        self, name: str, pool: str, host: str, port: int, probe: ProbeShape | None, journal: Path
    ) -> BackendProcess:
        births = await self._started() if usual(host) in self._seal.network.far else self._near
        return await births.spawn(name, pool, host, port, probe, journal)

    async def _started(self) -> Nursery:
        async with self._starting:
            if self._far is None:
                far = Nursery(self._belongings.environment)
                with self._seal.behind():
                    await far.start()
                if far.pid is not None:
                    self._belongings.own(far.pid)
                self._far = far
        return self._far

    async def close(self) -> None:
        if self._far is not None:
            await self._far.close()


class SealedLab(ProcessLab):
    """As the process lab, with any addresses. `configs` are run byte for byte; `keep`: folders to be written to."""

    name = "sealed"

    def __init__(
        self,
        target: Target,
        *,
        worker: int = 0,
        keep: bool = False,
        configs: Sequence[Path] = (),
        writable: Sequence[Path] = (),
    ) -> None:
        self._texts = [text for config in configs for text in texts_of(config)]
        self.seal = Seal([*writable, *(config.absolute().parent for config in configs)])
        try:
            super().__init__(target, worker=worker, keep=keep, configs=configs)
        except BaseException:
            self.seal.leave()
            raise
        self.ground = SealedGround(worker)
        self._far: FarNursery | None = None
        render = self._render
        self._render = lambda spec, folder: self._supplied(render(spec, folder))

    async def open(self, spec: Spec, *, seed: int, opening: Opening = "settled") -> ProcessScene:
        return await super().open(self.seal.add(spec, self._texts), seed=seed, opening=opening)

    def refuse(self, spec: Spec) -> None:
        """Every address is its own."""

    async def _ready(self) -> tuple[Belongings, Births]:
        belongings, near = await super()._ready()
        self._far = self._far or FarNursery(near, self.seal, belongings)
        return belongings, self._far

    async def _end(self) -> None:
        await super()._end()
        if self._far is not None:
            await self._far.close()

    def _supplied(self, rendering: Rendering) -> Rendering:
        self.seal.folders.supply(rendering.surroundings)
        return rendering

    def close(self) -> None:
        try:
            super().close()
        finally:
            self.seal.leave()


def prepare() -> None:
    """For a process whose children will have sealed labs: NoNamespaces where they could not."""
    entered()
    entitle()


def entered() -> str:
    """Whose rights serve and how long it takes, tried in a child; NoNamespaces says why there can be none."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        os.write(writing, _trial().encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as said:
        word, _, rest = said.read().partition("\n")
    os.waitpid(pid, 0)
    if word != "ok":
        message, _, remedy = rest.partition("\n")
        raise NoNamespaces(message or "the trial of a sealed lab ended without a word", remedy=remedy)
    return rest


def _trial() -> str:
    began = clock.process_now()
    try:
        Seal()
    except LbcheckError as error:
        return f"no\n{error.message}\n{error.remedy}"
    except Exception as error:
        return f"no\n{error!r}\n"
    who = "in a user namespace of one's own" if in_own_user_namespace() else "as root"
    return f"ok\n{who}, made in {clock.process_now() - began:.3f} s"
