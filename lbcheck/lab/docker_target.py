"""A balancer under test in a container, at the front of a docker lab."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lbcheck.errors import HarnessFault, TargetNeverReady
from lbcheck.lab.docker_engine import Container, Program
from lbcheck.lab.docker_site import Site
from lbcheck.lab.product import LOG_BYTES, Product
from lbcheck.targets.base import Rendering, Target


class ContainerTarget(Product):
    """Its folder is the same inside and outside: control sockets and files that are replaced are seen on both sides."""

    def __init__(self, target: Target, rendering: Rendering, folder: Path, site: Site, configs: Sequence[Path]) -> None:
        super().__init__(target, rendering, folder)
        self._site = site
        self._configs = [config.absolute() for config in configs]
        self._container: Container | None = None

    def alive(self) -> bool:
        return self._container is not None and self._container.alive()

    def log(self) -> str:
        return self._container.log()[-LOG_BYTES:] if self._container is not None else ""

    async def _run(self) -> None:
        try:
            if self._container is None:
                self._container = await self._site.run(self._program(self._rendering.argv), self._site.front)
            else:
                await self._container.start()
        except HarnessFault as error:
            raise TargetNeverReady(
                f"target {self.name} cannot be run: {error}", remedy="has its image that program? see --lb-binary"
            ) from error

    def _program(self, argv: Sequence[str]) -> Program:
        folders = [(self._folder, "rw"), *((config, "ro") for config in self._configs)]
        return self._site.program(argv, self.name, "target", folders=folders, env=self._rendering.env, cwd=self._cwd)

    def _code(self) -> int | None:
        return self._container.code if self._container is not None else None

    async def _tried(self, argv: Sequence[str]) -> tuple[int, str] | None:
        return await self._site.engine.tried(self._program(argv), at=self._site.front.holder.id)

    async def _signal(self, number: int) -> None:
        if self._container is not None:
            await self._container.signal(number)

    async def kill(self) -> None:
        if self._container is not None:
            await self._container.kill()

    async def stop(self) -> None:
        """Gone when this returns; its log stays."""
        if self._container is not None:
            self._container.log()
            await self._container.remove()
