"""The same client and backend on the simulated loop: exact times, the same history each time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, get_args

import pytest

from lbcheck.backends.script import Answer, Behaviour, Moment, ProbeShape
from lbcheck.backends.server import BackendServer
from lbcheck.client.http import Endpoint, HttpClient, Kept
from lbcheck.client.outgoing import Pace
from lbcheck.client.traffic import SteadyTraffic
from lbcheck.history import Answered, BodyRead, Exchange, History, from_json
from lbcheck.lab.simloop import SimLoop
from lbcheck.spec.request import Request

Scene = Callable[[HttpClient, Endpoint, BackendServer], Awaitable[Any]]


def play(scene: Scene) -> History:
    history = History()

    async def whole() -> None:
        backend = BackendServer("a", history.append, ProbeShape())
        port = await backend.start("127.0.1.1", 0)
        client = HttpClient(history.append)
        await scene(client, Endpoint("public", "127.0.1.1", port), backend)
        await client.close()
        await backend.stop()

    loop = SimLoop()
    try:
        loop.run_until_complete(whole())
    finally:
        loop.close()
    return history


async def everything(client: HttpClient, to: Endpoint, backend: BackendServer) -> None:
    """A bit of all that there is."""
    kept = Kept()
    await client.send(to, Request(source="127.0.3.4"))
    await client.send(to, Request("POST"), body=b"x" * 200_000, chunked=True, on=kept)
    await client.send(to, Request("POST"), body=b"abc", expect_continue=True, on=kept)
    await client.send(to, Request("POST"), body=b"abc" * 100, pace=Pace(50, 0.1))
    for fault in ("reset", "close", "hang"):
        for moment in get_args(Moment):
            await backend.behave(Behaviour(Answer(fault=fault, moment=moment, body=b"0123456789")))
            await client.send(to, Request("POST"), body=b"abc", within=1.0)
    await backend.behave(Behaviour(accepting=False))
    await client.send(to, Request())
    await backend.behave(Behaviour(Answer(body_size=300_000, rate=100_000)))
    await client.send(to, Request())
    await client.raw(to, b"GET / HTTP/1.1\r\nHost: h\r\n\r\nNONSENSE\r\n\r\n", within=1.0)
    backend.kill()
    await client.send(to, Request())


def test_the_same_run_gives_the_same_bytes() -> None:
    first, second = play(everything), play(everything)
    assert list(first.lines()) == list(second.lines())
    assert len(first.exchanges) == 24  # 4 and 15 faults, refused, slow, two raw, killed


def test_faults_look_as_they_do_on_real_sockets() -> None:
    exchanges = play(everything).exchanges[4:19]
    assert [e.error for e in exchanges[:5]] == ["reset"] * 5
    assert [e.error for e in exchanges[5:10]] == ["closed", "closed", "closed", "cut", "cut"]
    assert [e.error for e in exchanges[10:]] == ["timeout"] * 5
    assert [e.status for e in exchanges[:5]] == [None, None, None, 200, 200]
    assert [e.body for e in exchanges[4::5]] == [b"01234"] * 3


def test_traffic_is_never_late_here() -> None:
    traffics: list[SteadyTraffic] = []

    async def scene(client: HttpClient, to: Endpoint, backend: BackendServer) -> None:
        await backend.behave(Behaviour(Answer(delay=30.0)))
        traffic = SteadyTraffic(client, to, lambda n: Request(target=f"/{n}"), rate=50, within=60)
        traffics.append(traffic)
        traffic.start()
        await asyncio.sleep(10.001)
        await traffic.stop()

    exchanges = play(scene).exchanges
    assert len(exchanges) == 501
    assert all(late == pytest.approx(0, abs=1e-9) for late in traffics[0].lateness)
    began = exchanges[0].invoked
    assert [e.invoked - began for e in exchanges] == pytest.approx([n / 50 for n in range(501)])
    assert {e.status for e in exchanges} == {200}


def test_a_delay_and_a_rate_take_exactly_their_time() -> None:
    async def scene(client: HttpClient, to: Endpoint, backend: BackendServer) -> None:
        await backend.behave(Behaviour(Answer(delay=2.5, body=b"x" * 1000, rate=100)))
        await client.send(to, Request(), within=60)

    history = play(scene)
    (read,), (answered,) = history.of(BodyRead), history.of(Answered)
    # 500 pieces of two bytes, the last of which ends the answer
    assert answered.at - read.at == pytest.approx(2.5 + 499 * 0.02)


def test_a_timeout_comes_exactly_when_it_is_due() -> None:
    async def scene(client: HttpClient, to: Endpoint, backend: BackendServer) -> None:
        await backend.behave(Behaviour(Answer(hold=True)))
        await client.send(to, Request(), within=7.0)

    (exchange,) = play(scene).exchanges
    assert isinstance(exchange, Exchange)
    assert exchange.done is not None
    assert exchange.done - exchange.invoked == pytest.approx(7.0)


def test_a_saved_run_reads_back() -> None:
    history = play(everything)
    assert [from_json(json.loads(line)) for line in history.lines()] == list(history)
