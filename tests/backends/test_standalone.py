"""Backends that a user started: greeted, scripted, killed, left; strangers and rivals are refused."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lbcheck.backends.control import Greeting, greeting_from_json, greeting_to_json, line
from lbcheck.backends.remote import RemoteBackend
from lbcheck.backends.script import Answer, Behaviour, ProbeShape
from lbcheck.backends.serve import TOKEN
from lbcheck.backends.server import PER_GENERATION
from lbcheck.client.http import Endpoint, HttpClient
from lbcheck.errors import BackendUnreachable, HarnessFault
from lbcheck.history import Arrival, Connected, Exchange, History
from lbcheck.spec.request import Request
from tests.standing import SECRET, Started, backend, said_by

HOST = "127.77.251.1"
GREETING = Greeting(SECRET, "a", "p", ProbeShape(path="/health"))


class World:
    """One harness beside one backend."""

    def __init__(self, started: Started) -> None:
        self.started = started
        self.history = History()
        self.client = HttpClient(self.history.append)
        self.node = self.another()

    def another(self, greeting: Greeting = GREETING) -> RemoteBackend:
        return RemoteBackend(greeting, HOST, self.started.control, self.history.append)

    async def send(self) -> Exchange:
        return await self.client.send(Endpoint("a", HOST, self.started.port), Request(), within=5.0)

    async def until_plain(self) -> Exchange:
        """The first answer that the harness's script has no part in."""
        for _ in range(500):
            if (exchange := await self.send()).backend == f"backend-{self.started.port}":
                return exchange
            await asyncio.sleep(0.02)
        raise AssertionError("it never went back to a plain echo")

    async def arrived(self, id: str) -> None:
        heard = asyncio.Event()
        self.history.heard.append(lambda event: heard.set() if getattr(event, "id", "") == id else None)
        await asyncio.wait_for(heard.wait(), 5)


def run(scene: Callable[[World], Awaitable[None]], name: str = "") -> None:
    async def play(started: Started) -> None:
        world = World(started)
        try:
            await scene(world)
        finally:
            await world.client.close()
            await world.node.leave()

    with backend(name, address=HOST) as started:
        asyncio.run(play(started))


def test_greetings_travel_as_they_are() -> None:
    greeting = replace(GREETING, behaviour=Behaviour(probes=(Answer(status=503),)))
    assert greeting_from_json(json.loads(line(greeting_to_json(greeting)))) == greeting


def test_what_arrives_is_told_before_a_sync_returns() -> None:
    async def scene(world: World) -> None:
        await world.node.visit()
        exchanges = [await world.send() for _ in range(20)]
        await world.node.sync()
        arrived = [world.history.arrivals_of(exchange.id) for exchange in exchanges]
        assert [[a.backend for a in arrivals] for arrivals in arrived] == [["a"]] * 20
        for exchange, (arrival,) in zip(exchanges, arrived, strict=True):
            assert exchange.invoked <= arrival.at <= (exchange.done or 0)

    run(scene)


def test_it_does_what_it_is_told_and_forgets_it_when_the_harness_goes() -> None:
    async def scene(world: World) -> None:
        await world.node.visit()
        await world.node.behave(Behaviour(answer=Answer(status=418)))
        assert (await world.send()).status == 418
        await world.node.leave()
        plain = await world.until_plain()
        assert plain.status == 200
        assert plain.id not in {a.id for a in world.history.arrivals}

    run(scene)


def test_before_any_visit_it_is_the_echo_that_it_is_after_one() -> None:
    async def scene(world: World) -> None:
        before = await world.send()
        await world.node.visit()
        await world.node.leave()
        assert before.backend == (await world.send()).backend == f"backend-{world.started.port}"

    run(scene)


def test_the_greeting_says_how_it_behaves_from_the_start() -> None:
    async def scene(world: World) -> None:
        world.node = world.another(replace(GREETING, behaviour=Behaviour(answer=Answer(status=503))))
        await world.node.visit()
        assert (await world.send()).status == 503

    run(scene)


def test_killed_it_refuses_until_it_is_restarted() -> None:
    async def scene(world: World) -> None:
        await world.node.visit()
        await world.node.behave(Behaviour(answer=Answer(hold=True)))
        held = world.client.start(Endpoint("a", HOST, world.started.port), Request(), within=5.0)
        await world.arrived(held.id)
        await world.node.kill()
        assert (await held.done).error in ("closed", "reset")
        assert (await world.send()).error == "refused"
        assert not world.node.alive()
        with pytest.raises(HarnessFault, match="it was killed"):
            await world.node.behave(Behaviour())
        await world.node.restart()
        assert (await world.send()).status == 200
        await world.node.sync()
        numbers = [event.connection for event in world.history.of(Connected)]
        assert len(set(numbers)) == len(numbers)

    run(scene)


def test_a_harness_that_goes_leaves_no_killed_backend_behind() -> None:
    async def scene(world: World) -> None:
        await world.node.visit()
        await world.node.kill()
        await world.node.leave()
        await world.until_plain()

    run(scene)


@pytest.mark.parametrize("last", [b"", b'{"do": "beha', b"no order\n", b"[]\n", b'{"do": "nothing", "n": 1}\n'])
def test_a_harness_that_is_cut_off_is_forgotten_too(last: bytes) -> None:
    async def scene(world: World) -> None:
        reader, writer = await asyncio.open_connection(HOST, world.started.control)
        greeting = replace(GREETING, behaviour=Behaviour(answer=Answer(status=418)))
        writer.write(line(greeting_to_json(greeting)))
        assert "ready" in json.loads(await reader.readline())
        assert (await world.send()).status == 418
        writer.write(last)
        await writer.drain()
        writer.write_eof()
        await reader.read()
        writer.close()
        await writer.wait_closed()
        await world.until_plain()
        await world.node.visit()
        assert (await world.send()).status == 200

    run(scene)


def test_refusing_it_listens_again_at_the_same_port() -> None:
    async def scene(world: World) -> None:
        await world.node.visit()
        await world.node.behave(Behaviour(accepting=False))
        assert (await world.send()).error == "refused"
        await world.node.behave(Behaviour())
        assert (await world.send()).status == 200

    run(scene)


def test_each_visit_begins_with_connections_of_its_own() -> None:
    async def scene(world: World) -> None:
        reader, writer = await asyncio.open_connection(HOST, world.started.port)
        await world.node.visit()
        assert await reader.read() == b""  # ended in order
        writer.close()
        await writer.wait_closed()
        await world.send()
        await world.node.sync()
        arrivals = {(a.backend, a.connection) for a in world.history.of(Arrival)}
        assert arrivals <= {(c.backend, c.connection) for c in world.history.of(Connected)}

    run(scene)


@pytest.mark.parametrize(
    ("greeting", "reason"),
    [
        (replace(GREETING, token="another secret of that length"), "the token is wrong"),
        (replace(GREETING, token=""), "the token is wrong"),
        (replace(GREETING, name="b"), "it is called 'a', not 'b'"),
    ],
)
def test_whom_it_refuses(greeting: Greeting, reason: str) -> None:
    async def scene(world: World) -> None:
        with pytest.raises(BackendUnreachable, match=reason):
            await world.another(greeting).visit()

    run(scene, name="a")


def test_it_serves_one_harness_at_a_time() -> None:
    async def scene(world: World) -> None:
        await world.node.visit()
        with pytest.raises(BackendUnreachable, match="another harness has it"):
            await world.another().visit()
        assert (await world.send()).status == 200

    run(scene)


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n\r\n", b"[]\n", b"{}\n", b"\xff\xfe\n", b"1" * 70_000])
def test_strangers_get_one_line_and_nothing_else(data: bytes) -> None:
    async def scene(world: World) -> None:
        reader, writer = await asyncio.open_connection(HOST, world.started.control)
        writer.write(data)
        writer.write_eof()
        assert json.loads(await reader.readline()) == {"failed": "expected the greeting of a harness"}
        writer.close()

    run(scene)


def test_nobody_there_is_said_with_the_address() -> None:
    async def scene(world: World) -> None:
        node = RemoteBackend(GREETING, HOST, 1, world.history.append)
        with pytest.raises(BackendUnreachable, match=rf"backend a, control at {HOST}:1: .*refused"):
            await node.visit()

    run(scene)


def test_a_clock_of_another_machine_is_set_within_half_a_round_trip() -> None:
    heard = History()
    node = RemoteBackend(GREETING, HOST, 1, heard.append)
    node._set_clock(100.0, 5000.0, 100.02)
    event = node._timed(Connected("a", 1, 5001.0, "peer"))
    assert isinstance(event, Connected)
    assert event.at == pytest.approx(101.01)
    assert node.clock_error_s == pytest.approx(0.01)


def test_its_control_can_be_a_unix_socket_and_its_lives_before_are_counted(tmp_path: Path) -> None:
    control = tmp_path / "a.sock"
    words = ["backend", "--port=0", f"--control=unix:{control}", f"--address={HOST}"]
    heard = History()

    async def visit(port: int) -> None:
        node = RemoteBackend(replace(GREETING, generation=3), HOST, control, heard.append)
        await node.visit()
        assert node.port == port
        client = HttpClient(heard.append)
        assert (await client.send(Endpoint("a", HOST, port), Request(), within=5.0)).backend == "a"
        await node.sync()
        await client.close()
        await node.leave()
        with pytest.raises(HarnessFault, match=r"a\.sock, has hung up"):
            await node.sync()

    with said_by(words, {TOKEN: SECRET}) as said:
        assert said["control"] == 0
        asyncio.run(visit(said["port"]))
    assert [connected.connection // PER_GENERATION for connected in heard.of(Connected)] == [4]  # one as an echo before


def test_a_short_token_and_a_taken_port_are_told() -> None:
    words = [sys.executable, "-m", "lbcheck.cli", "backend", "--control=0", f"--address={HOST}"]

    def said(port: int, token: str) -> tuple[int, str]:
        env = {**os.environ, TOKEN: token}
        done = subprocess.run([*words, f"--port={port}"], env=env, capture_output=True, text=True, timeout=30)
        return done.returncode, done.stderr

    code, error = said(0, "short")
    assert (code, "expected at least 16" in error) == (2, True)
    with backend(address=HOST) as started:
        code, error = said(started.port, SECRET)
    assert (code, "cannot listen" in error) == (2, True)


def test_without_a_token_it_makes_one() -> None:
    words = [sys.executable, "-m", "lbcheck.cli", "backend", "--port=0", "--control=0", f"--address={HOST}"]
    env = {name: value for name, value in os.environ.items() if name != TOKEN}
    with subprocess.Popen(words, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        process.terminate()
        assert process.wait(10) == 0
    assert len(said["token"]) >= 32
