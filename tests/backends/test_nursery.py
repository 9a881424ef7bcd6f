"""Backends as processes: forked, commanded, stopped, killed, restarted; and nothing stays behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from lbcheck.backends.journal import Tail
from lbcheck.backends.nursery import Nursery
from lbcheck.backends.process import BackendProcess
from lbcheck.backends.script import Answer, Behaviour, ProbeShape
from lbcheck.client.http import Endpoint, HttpClient
from lbcheck.errors import HarnessFault
from lbcheck.history import Arrival, Connected, Exchange, History
from lbcheck.spec.request import Request

HOST = "127.77.250.1"


class World:
    def __init__(self, nursery: Nursery, folder: Path) -> None:
        self.nursery = nursery
        self.history = History()
        self.client = HttpClient(self.history.append)
        self.journal = folder / "a.jsonl"
        self.folder = folder

    async def spawn(self, name: str = "a", port: int = 0, host: str = HOST) -> BackendProcess:
        return await self.nursery.spawn(name, "p", host, port, ProbeShape(), self.folder / f"{name}.jsonl")

    async def send(self, to: BackendProcess, within: float = 5.0) -> Exchange:
        return await self.client.send(Endpoint(to.name, to.host, to.port), Request(), within=within)


@asynccontextmanager
async def world(folder: Path) -> AsyncIterator[World]:
    nursery = Nursery()
    await nursery.start()
    place = World(nursery, folder)
    try:
        yield place
    finally:
        await place.client.close()
        await nursery.close()


def run(folder: Path, scene: Callable[[World], Awaitable[None]]) -> None:
    async def play() -> None:
        async with world(folder) as place:
            await scene(place)

    asyncio.run(play())


def running(pid: int) -> bool:
    """Is there such a process, zombies aside?"""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it did not come to pass within 5 s")


async def until_gone(pids: list[int]) -> None:
    await until(lambda: not any(running(pid) for pid in pids))


def test_each_backend_is_a_process_that_answers_and_journals(tmp_path: Path) -> None:
    async def scene(at: World) -> None:
        backends = [await at.spawn(name) for name in ("a", "b", "c")]
        assert len({os.getpid(), at.nursery.pid, *(b.pid for b in backends)}) == 5
        for backend in backends:
            exchange = await at.send(backend)
            assert (exchange.backend, exchange.complete) == (backend.name, True)
            arrivals = [e for e in Tail(tmp_path / f"{backend.name}.jsonl").read() if isinstance(e, Arrival)]
            assert [a.id for a in arrivals] == [exchange.id]
            assert exchange.sent is not None
            assert exchange.done is not None
            assert exchange.sent <= arrivals[0].at <= exchange.done  # one clock

    run(tmp_path, scene)


def test_commands_are_in_effect_when_they_return(tmp_path: Path) -> None:
    async def scene(at: World) -> None:
        backend = await at.spawn()
        for status in (500, 404, 200):
            await backend.behave(Behaviour(Answer(status=status, body=b"\x00\xff")))
            exchange = await at.send(backend)
            assert (exchange.status, exchange.body) == (status, b"\x00\xff")
        await backend.behave(Behaviour(accepting=False))
        assert (await at.send(backend)).error == "refused"
        await backend.behave(Behaviour(Answer(hold=True)))
        call = at.client.start(Endpoint("a", backend.host, backend.port), Request())
        await until(lambda: any(isinstance(e, Arrival) and e.id == call.id for e in Tail(at.journal).read()))
        assert not call.over
        await backend.release([call.id])
        assert (await call.done).status == 200

    run(tmp_path, scene)


def test_a_killed_backend_leaves_a_journal_and_returns_at_its_address(tmp_path: Path) -> None:
    async def scene(at: World) -> None:
        backend = await at.spawn()
        await at.send(backend)
        before, port = backend.pid, backend.port
        await backend.kill()
        await backend.kill()  # a dead one may be killed again
        assert not backend.alive()
        assert not running(before)
        assert (await at.send(backend)).error == "refused"
        assert sum(isinstance(e, Arrival) for e in Tail(at.journal).read()) == 1
        await backend.restart()
        assert backend.alive()
        assert (backend.port, backend.pid == before) == (port, False)
        assert (await at.send(backend)).status == 200
        connections = [e.connection for e in Tail(at.journal).read() if isinstance(e, Connected)]
        assert connections == [1, 1_000_001]

    run(tmp_path, scene)


def test_a_stopped_backend_takes_connections_and_answers_only_when_it_continues(tmp_path: Path) -> None:
    async def scene(at: World) -> None:
        backend = await at.spawn()
        backend.stop_signal()
        exchange = await at.send(backend, within=0.2)
        assert exchange.error == "timeout"
        assert exchange.sent is not None
        backend.continue_signal()
        assert (await at.send(backend)).status == 200
        backend.stop_signal()  # and is ended with the others

    run(tmp_path, scene)


def test_a_backend_that_cannot_listen_says_why(tmp_path: Path) -> None:
    async def scene(at: World) -> None:
        first = await at.spawn()
        with pytest.raises(
            HarnessFault, match=rf"backend b cannot listen on {HOST}:{first.port}: .*address already in use"
        ):
            await at.spawn("b", first.port)
        with pytest.raises(HarnessFault, match="cannot assign requested address"):
            await at.spawn("b", host="192.0.2.1")
        at.folder = tmp_path / "missing"
        with pytest.raises(HarnessFault, match="No such file or directory"):
            await at.spawn("c")
        assert (await at.send(first)).status == 200

    run(tmp_path, scene)


def test_a_backend_that_died_by_itself_is_a_fault_of_the_harness(tmp_path: Path) -> None:
    async def scene(at: World) -> None:
        backend = await at.spawn()
        os.kill(backend.pid, signal.SIGKILL)
        await until(lambda: not backend.alive())
        with pytest.raises(HarnessFault, match=r"backend a at .* died without having been told"):
            await backend.behave(Behaviour())

    run(tmp_path, scene)


def test_closing_ends_every_process_stopped_ones_too(tmp_path: Path) -> None:
    async def play() -> None:
        async with world(tmp_path) as at:
            backends = [await at.spawn(name) for name in ("a", "b")]
            backends[0].stop_signal()
            pids = [at.nursery.pid or 0, *(b.pid for b in backends)]
            assert all(running(pid) for pid in pids)
        assert not any(running(pid) for pid in pids)

    asyncio.run(play())


HARNESS = """
import asyncio, sys
from pathlib import Path
from lbcheck.backends.nursery import Nursery

async def main():
    nursery = Nursery()
    await nursery.start()
    backends = [await nursery.spawn(n, "p", "{host}", 0, None, Path(sys.argv[1], n)) for n in "abc"]
    backends[0].stop_signal()
    print(nursery.pid, *(b.pid for b in backends), flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


def test_a_killed_harness_leaves_no_process_behind(tmp_path: Path) -> None:
    harness = subprocess.Popen(
        [sys.executable, "-c", HARNESS.format(host=HOST), str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert harness.stdout is not None
    with harness.stdout:
        pids = [int(word) for word in harness.stdout.readline().split()]
    assert len(pids) == 4
    assert all(running(pid) for pid in pids)
    harness.kill()
    harness.wait()
    asyncio.run(until_gone(pids))


def test_a_killed_nursery_takes_its_backends_with_it(tmp_path: Path) -> None:
    async def scene(at: World) -> None:
        backend = await at.spawn()
        assert at.nursery.pid is not None
        os.kill(at.nursery.pid, signal.SIGKILL)
        await until_gone([backend.pid])
        with pytest.raises(HarnessFault, match="nursery of backends is gone"):
            await at.spawn("b")

    run(tmp_path, scene)
