"""A real product in front of instrumented backends, on addresses of this file's own."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from lbcheck.backends.server import BackendServer
from lbcheck.history import Event
from lbcheck.lab.placing import placed
from lbcheck.spec.model import Spec
from lbcheck.spec.request import Request
from lbcheck.targets import Rendering, Target

OWN = f"127.78.{os.getpid() % 250}"  # by process, since workers and other runs start products side by side
LISTEN = f"{OWN}.200"
BACKENDS = f"{OWN}.1"
FIRST_PORT = 9600  # below the ephemeral range, and below what labs use
WITHIN_S = 10.0
GRACE_S = 2.0


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


@dataclass(frozen=True, slots=True)
class Running:
    spec: Spec  # placed
    journal: list[Event]

    async def ask(self, listener: str, request: Request) -> Answer:
        where = self.spec.listener(listener)
        return await exchange(str(where.address), int(where.port or 0), request)


def prepare(rendering: Rendering, folder: Path) -> None:
    """Writes the files; the product's own test of them has to say yes, and nothing else of weight."""
    for name, text in rendering.files.items():
        (folder / name).write_text(text)
    if rendering.check_argv is not None:
        tested = subprocess.run(rendering.check_argv, cwd=folder, capture_output=True, text=True, timeout=WITHIN_S)
        assert tested.returncode == 0, tested.stderr
        assert "warn" not in tested.stderr.lower(), tested.stderr


@asynccontextmanager
async def running(target: Target, spec: Spec, folder: Path) -> AsyncIterator[Running]:
    journal: list[Event] = []
    addresses = {}
    servers = []
    for pool in spec.pools:
        for backend in pool.backends:
            server = BackendServer(f"{pool.name}/{backend.name}", journal.append, pool=pool.name)
            addresses[pool.name, backend.name] = (BACKENDS, await server.start(BACKENDS, 0))
            servers.append(server)
    listeners = {listener.name: (LISTEN, FIRST_PORT + n) for n, listener in enumerate(spec.listeners)}
    whole = placed(spec, listeners, addresses)
    rendering = target.render(whole, folder)
    prepare(rendering, folder)
    try:
        async with process(rendering, folder) as log:
            for host, port in listeners.values():
                await accepts(host, port, log)
            yield Running(whole, journal)
    finally:
        for server in servers:
            await server.stop()


@asynccontextmanager
async def process(rendering: Rendering, folder: Path) -> AsyncIterator[Path]:
    """Runs it; ended by its own id. Yields where its output goes."""
    log = folder / "target.log"
    with log.open("wb") as output:
        child = await asyncio.create_subprocess_exec(
            *rendering.argv, cwd=folder, stdout=output, stderr=output, process_group=0
        )
    try:
        yield log
        assert child.returncode is None, text_of(log)
    finally:
        if child.returncode is None:
            child.terminate()
            try:
                await asyncio.wait_for(child.wait(), GRACE_S)
            except TimeoutError:  # httpd gives a worker that is still at a tunnel more than ten seconds
                os.killpg(child.pid, signal.SIGKILL)
        await asyncio.wait_for(child.wait(), WITHIN_S)


def text_of(log: Path) -> str:
    return log.read_text(errors="replace")


async def accepts(host: str, port: int, log: Path) -> None:
    """Readiness: the port takes a connection."""
    deadline = asyncio.get_running_loop().time() + WITHIN_S
    while True:
        try:
            _, writer = await asyncio.open_connection(host, port)
        except OSError as error:
            if asyncio.get_running_loop().time() > deadline:
                raise AssertionError(f"{host}:{port} never accepted: {error}; {text_of(log)}") from error
            await asyncio.sleep(0.02)
            continue
        writer.close()
        await writer.wait_closed()
        return


async def exchange(host: str, port: int, request: Request) -> Answer:
    fields = [("Host", request.host), *request.headers, ("Connection", "close")]
    head = [f"{request.method} {request.target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields)]
    reader, writer = await asyncio.open_connection(host, port, local_addr=(request.source, 0))
    try:
        writer.write(("\r\n".join(head) + "\r\n\r\n").encode("latin-1"))
        raw = await asyncio.wait_for(reader.read(), WITHIN_S)
    finally:
        writer.close()
        await writer.wait_closed()
    return _parsed(raw)


def _parsed(raw: bytes) -> Answer:
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = tuple((name, value.strip()) for name, _, value in (line.partition(":") for line in lines))
    return Answer(int(first.split()[1]), headers, body)
