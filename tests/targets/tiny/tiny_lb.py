"""A balancer that hands each connection to the next backend, and the class that tells lbcheck how to judge it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

from lbcheck.errors import Unsupported
from lbcheck.features import Feature
from lbcheck.spec.model import Spec
from lbcheck.targets.base import Rendering, program

CONFIG = "tiny.conf"


class Tiny:
    """`--lb-target=tiny`, by the entry point in pyproject.toml."""

    name = "tiny"
    version = "1.0"
    grain_s = 0.0  # it knows no times
    features = frozenset({Feature.HTTP, Feature.ROUND_ROBIN})

    def __init__(self, binary: str | None = None) -> None:
        self.binary = program("tiny", binary or sys.executable, package="python3")

    def lacks(self, feature: Feature) -> str:
        return "" if feature in self.features else "tiny hands connections on in turn, and no more"

    def unsupported(self, spec: Spec) -> tuple[str, ...]:
        return () if len(spec.listeners) == len(spec.pools) == 1 else ("tiny has one listener and one pool",)

    def render(self, spec: Spec, folder: Path) -> Rendering:
        if reasons := self.unsupported(spec):
            raise Unsupported("; ".join(reasons))
        listener, pool = spec.listeners[0], spec.pools[0]
        lines = [f"{listener.address}:{listener.port}", *(str(backend.address) for backend in pool.backends)]
        return Rendering({CONFIG: "\n".join(lines) + "\n"}, (self.binary, __file__, str(folder / CONFIG)))

    def adopt(self, configs: Sequence[Path], folder: Path) -> Rendering:  # noqa: ARG002
        return Rendering({}, (self.binary, __file__, str(configs[0].absolute())))


# --- the balancer itself ---------------------------------------------------------------------------------------------


async def serve(addresses: Sequence[str]) -> None:
    listen, *backends = (address.split(":") for address in addresses)
    turns = cycle(backends)

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(*next(turns))
        await asyncio.gather(pump(reader, back), pump(there, writer), return_exceptions=True)

    server = await asyncio.start_server(forward, *listen)
    await server.serve_forever()


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]).read_text().split()))
