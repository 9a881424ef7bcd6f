"""Change while requests are under way: nothing that has begun is lost."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from dataclasses import replace

import pytest

from lbcheck import clock
from lbcheck.balancer.decisions import Decisions
from lbcheck.balancer.server import Balancer
from lbcheck.errors import LbcheckError, Unsupported
from lbcheck.spec.model import Algorithm, Forwarded, HealthCheck, Protocol, Respond, Timeouts
from tests.balancer.conftest import Run
from tests.balancer.standing import Message, ScriptedBackend, echo, hanging, spec_of, standing, until


def test_a_reload_under_load_loses_nothing(run: Run) -> None:
    async def scene() -> None:
        async with standing(echo, echo, echo) as stand:
            spec = stand.balancer.decisions.spec
            done = 0
            over = asyncio.Event()

            async def client(number: int) -> None:
                nonlocal done
                streams = await stand.connect()
                while not over.is_set():
                    answer = await stand.ask(streams, f"/{number}")
                    assert answer.body == f"GET /{number} HTTP/1.1".encode()
                    done += 1

            clients = [asyncio.ensure_future(client(i)) for i in range(8)]
            for i in range(20):
                [pool] = spec.pools
                algorithm = (Algorithm.ROUND_ROBIN, Algorithm.LEAST_CONNECTIONS)[i % 2]
                stand.balancer.reload(replace(spec, pools=(replace(pool, algorithm=algorithm),)))
                seen = done
                await until(lambda n=seen: done > n + 10, "requests go on")  # type: ignore[misc]
            over.set()
            await asyncio.gather(*clients)
            assert stand.in_flight() == 0

    run(scene())


def test_a_reload_changes_rules_for_the_next_request(run: Run) -> None:
    async def scene() -> None:
        async with standing(echo) as stand:
            streams = await stand.connect()
            assert (await stand.ask(streams)).status == 200
            spec = stand.balancer.decisions.spec
            closed = replace(spec.listeners[0], default=Respond(410, "gone"))
            stand.balancer.reload(replace(spec, listeners=(closed,)))
            assert (await stand.ask(streams)).status == 410

    run(scene())


def test_a_reload_changes_the_fields_of_the_next_request(run: Run) -> None:
    async def scene() -> None:
        async with standing(echo) as stand:
            streams = await stand.connect()
            spec = stand.balancer.decisions.spec
            for rule in ("append", "remove", "append"):
                forwarded = replace(spec.listeners[0], forwarded=Forwarded(x_forwarded_for=rule))
                stand.balancer.reload(replace(spec, listeners=(forwarded,)))
                for _ in range(2):
                    await stand.ask(streams)
            told = [r.header("x-forwarded-for") for r in stand.backends[0].requests]
            assert told == ["127.0.0.1", "127.0.0.1", None, None, "127.0.0.1", "127.0.0.1"]

    run(scene())


def test_a_reload_that_moves_a_listener_is_refused_and_changes_nothing(run: Run) -> None:
    async def scene() -> None:
        async with standing(echo) as stand:
            spec = stand.balancer.decisions.spec
            moved = replace(spec.listeners[0], port=1, default=Respond(410))
            with pytest.raises(LbcheckError, match="listeners"):
                stand.balancer.reload(replace(spec, listeners=(moved,)))
            assert (await stand.get()).status == 200

    run(scene())


def test_a_draining_backend_finishes_what_it_has_and_gets_nothing_new(run: Run) -> None:
    release = asyncio.Event()

    async def held(request: Message, writer: asyncio.StreamWriter) -> None:
        if request.target == "/held":
            await release.wait()
        await echo(request, writer)

    async def scene() -> None:
        async with standing(held, held) as stand:
            under_way = [asyncio.ensure_future(stand.get("/held")) for _ in range(2)]
            await until(lambda: stand.in_flight() == 2, "both are busy")
            stand.balancer.drain("web", "a")
            for _ in range(4):
                await stand.get("/new")
            release.set()
            assert [(await x).status for x in under_way] == [200, 200]
            assert [r.target for r in stand.backends[0].requests] == ["/held"]

    run(scene())


@pytest.mark.parametrize("how", ["drain", "deregister"])
def test_what_outlasts_the_deregistration_delay_is_ended(run: Run, how: str) -> None:
    async def scene() -> None:
        async with standing(hanging, deregistration_delay=0.1) as stand:
            held = asyncio.ensure_future(stand.get())
            await until(lambda: stand.in_flight() == 1, "it is under way")
            backend = stand.pool.backends[0]
            getattr(stand.balancer, how)("web", "a")
            assert (await held).status == 502
            assert backend.in_flight == 0

    run(scene())


def test_an_idle_connection_to_who_leaves_is_closed_at_once(run: Run) -> None:
    async def scene() -> None:
        async with standing(echo, echo) as stand:
            await stand.get()
            await stand.get()
            stand.balancer.deregister("web", "a")
            await until(lambda: stand.backends[0].writers[0].is_closing(), "the connection ends")
            assert not stand.backends[1].writers[0].is_closing()

    run(scene())


def test_a_registered_backend_gets_its_turns(run: Run) -> None:
    async def scene() -> None:
        new = ScriptedBackend()
        await new.start()
        try:
            async with standing(echo) as stand:
                stand.balancer.register("web", "new", f"127.0.0.1:{new.port}")
                for _ in range(4):
                    assert (await stand.get()).status == 200
                assert len(new.requests) == 2
        finally:
            await new.stop()

    run(scene())


def test_a_graceful_stop_finishes_what_is_under_way(run: Run) -> None:
    release = asyncio.Event()

    async def held(request: Message, writer: asyncio.StreamWriter) -> None:
        await release.wait()
        await echo(request, writer)

    async def scene() -> None:
        async with standing(held) as stand:
            busy = asyncio.ensure_future(stand.get("/busy"))
            idle_reader, _ = await stand.connect()
            await until(lambda: stand.in_flight() == 1, "it is under way")
            stop = asyncio.ensure_future(stand.balancer.stop(10.0))
            assert await idle_reader.read() == b"", "an idle client is let go at once"
            with pytest.raises(OSError, match="onnect"):
                await stand.connect()
            assert not stop.done()
            release.set()
            answer = await busy
            assert (answer.status, answer.header("connection")) == (200, "close")
            await stop

    run(scene())


def test_a_graceful_stop_does_not_wait_for_ever(run: Run) -> None:
    async def scene() -> None:
        async with standing(hanging) as stand:
            reader, writer = await stand.connect()
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            await until(lambda: stand.in_flight() == 1, "it is under way")
            await stand.balancer.stop(0.1)
            with suppress(ConnectionError):
                assert await reader.read() == b"", "no answer is made up"
            assert stand.in_flight() == 0

    run(scene())


def test_a_taken_port_is_named(run: Run) -> None:
    async def scene() -> None:
        async with standing(echo) as stand:
            again = Balancer(Decisions(stand.balancer.decisions.spec, random.Random(1), clock.now()))
            with pytest.raises(LbcheckError, match=f"127.0.0.1:{stand.port}: the port is taken"):
                await again.start()

    run(scene())


@pytest.mark.parametrize(
    ("listener", "pool"),
    [
        ({"protocol": Protocol.TCP}, {}),
        ({"http2": True}, {}),
        ({}, {"protocol": Protocol.H2C}),
        ({}, {"proxy_protocol": "v1"}),
        ({}, {"health_check": HealthCheck(protocol=Protocol.GRPC)}),
    ],
)
def test_what_is_not_carried_out_is_refused_at_the_start(
    run: Run, listener: dict[str, object], pool: dict[str, object]
) -> None:
    async def scene() -> None:
        backend = ScriptedBackend()
        await backend.start()
        try:
            spec = spec_of((backend,), 1, listener, pool)
            with pytest.raises(Unsupported):
                await Balancer(Decisions(spec, random.Random(1), clock.now())).start()
        finally:
            await backend.stop()

    run(scene())


# --- probes ----------------------------------------------------------------------------------------------------------

CHECK = HealthCheck(path="/health", interval=0.05, timeout=0.04, healthy_threshold=2, unhealthy_threshold=2)


def answering_probes(status: dict[str, int]) -> ScriptedBackend:
    async def answer(request: Message, writer: asyncio.StreamWriter) -> None:
        if request.target == "/health" and status["now"] == 0:
            await asyncio.sleep(60)
        code = status["now"] if request.target == "/health" else 200
        writer.write(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % code)

    return ScriptedBackend(answer)


@pytest.mark.parametrize("sick", [500, 301, 0], ids=["500", "a redirect", "silence"])
def test_probes_take_a_backend_out_and_bring_it_back(run: Run, sick: int) -> None:
    status = {"now": 200}

    async def scene() -> None:
        async with standing(answering_probes(status), health_check=CHECK) as stand:
            backend = stand.pool.backends[0]
            await until(lambda: backend.healthy is True, "the first probe decides")
            status["now"] = sick
            await until(lambda: backend.healthy is False, "it is taken out")
            assert (await stand.get()).status == 503
            status["now"] = 200
            await until(lambda: backend.healthy is True, "it comes back")
            assert (await stand.get()).status == 200
            probes = [r for r in stand.backends[0].requests if r.target == "/health"]
            assert len({r.connection for r in probes}) == len(probes), "one connection a probe"

    run(scene())


PROBE_ANSWERS = [
    b"garbage\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Le",
    b"HTTP/1.1 200 OK\n\n",
    b"HTTP/1.1 100 C\r\n\r\n",
]


@pytest.mark.parametrize("data", PROBE_ANSWERS)
def test_a_probe_that_meets_no_whole_head_has_failed(run: Run, data: bytes) -> None:
    async def answer(_: Message, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        writer.close()

    async def scene() -> None:
        async with standing(answer, health_check=CHECK) as stand:
            await until(lambda: stand.pool.backends[0].healthy is False, "the first probe decides")

    run(scene())


def test_a_tcp_check_asks_for_a_connection_alone(run: Run) -> None:
    check = replace(CHECK, protocol=Protocol.TCP)

    async def scene() -> None:
        async with standing(echo, health_check=check) as stand:
            backend = stand.pool.backends[0]
            await until(lambda: backend.healthy is True, "it accepts")
            stand.backends[0].refuse()
            await until(lambda: backend.healthy is False, "it refuses")
            assert stand.backends[0].requests == []

    run(scene())


def test_a_reload_does_not_stop_the_probes(run: Run) -> None:
    async def scene() -> None:
        slow = replace(CHECK, interval=0.2)
        async with standing(echo, health_check=slow) as stand:
            await until(lambda: len(stand.backends[0].requests) == 1, "the first probe comes at once")
            for _ in range(50):
                stand.balancer.reload(stand.balancer.decisions.spec)
            await asyncio.sleep(0.1)
            assert len(stand.backends[0].requests) == 1, "a reload is no reason to probe again"
            await until(lambda: len(stand.backends[0].requests) == 2, "the second keeps its pace")

    run(scene())


def test_who_waits_in_line_goes_when_a_backend_is_registered(run: Run) -> None:
    async def scene() -> None:
        new = ScriptedBackend()
        await new.start()
        try:
            async with standing(hanging, max_connections=1, timeouts=Timeouts(queue=10)) as stand:
                first = asyncio.ensure_future(stand.get())
                await until(lambda: stand.in_flight() == 1, "the backend is full")
                waits = asyncio.ensure_future(stand.get("/waits"))
                await until(lambda: len(stand.balancer.queue) == 1, "one waits")
                stand.balancer.register("web", "new", f"127.0.0.1:{new.port}")
                assert (await waits).body == b"GET /waits HTTP/1.1"
                first.cancel()
        finally:
            await new.stop()

    run(scene())
