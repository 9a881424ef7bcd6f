"""The asyncio contract on the in-memory network; each of these holds for real sockets too."""

from __future__ import annotations

import asyncio
import errno
import random
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbcheck.errors import HarnessFault
from lbcheck.lab.simloop import EPOCH_S, Deadlock, SimLoop
from lbcheck.lab.simnet import SimNetwork

pytestmark = pytest.mark.fast

T = TypeVar("T")
HOST = "127.0.0.2"


def simulate(work: Callable[[], Coroutine[Any, Any, T]], network: SimNetwork | None = None) -> T:
    loop = SimLoop(network)
    try:
        return loop.run_until_complete(work())
    finally:
        loop.close()


class Recorder(asyncio.Protocol):
    """Keeps every callback, in order; `keep_open` answers eof_received."""

    def __init__(self, keep_open: bool = False) -> None:
        self.calls: list[Any] = []
        self.data = b""
        self.keep_open = keep_open
        self.lost: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.calls.append("made")

    def data_received(self, data: bytes) -> None:
        self.data += data
        self.calls.append("data")

    def eof_received(self) -> bool:
        self.calls.append("eof")
        return self.keep_open

    def pause_writing(self) -> None:
        self.calls.append("pause")

    def resume_writing(self) -> None:
        self.calls.append("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self.calls.append("lost")
        self.lost.set_result(exc)


async def joined(near_open: bool = False, far_open: bool = False) -> tuple[Recorder, Recorder]:
    """Two connected recorders: (client's, server's)."""
    loop = asyncio.get_running_loop()
    made: asyncio.Future[Recorder] = loop.create_future()

    def accept() -> Recorder:
        recorder = Recorder(far_open)
        made.set_result(recorder)
        return recorder

    server = await loop.create_server(accept, HOST, 8080)
    _, near = await loop.create_connection(lambda: Recorder(near_open), HOST, 8080)
    far = await made
    server.close()
    return near, far


async def instant() -> None:
    """Long enough for everything under way to land."""
    await asyncio.sleep(0.01)


# --- streams ---------------------------------------------------------------------------------------------------------


def test_streams_echo() -> None:
    async def scene() -> bytes:
        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while data := await reader.read(1000):
                writer.write(data)
                await writer.drain()
            writer.close()

        server = await asyncio.start_server(echo, HOST, 0)
        host, port = server.sockets[0].getsockname()
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"hello " * 20_000)
        writer.write_eof()
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        server.close()
        await server.wait_closed()
        return answer

    assert simulate(scene) == b"hello " * 20_000


def test_names_of_both_ends() -> None:
    async def scene() -> None:
        loop = asyncio.get_running_loop()
        recorders: list[Recorder] = []

        def accept() -> Recorder:
            recorders.append(Recorder())
            return recorders[-1]

        server = await loop.create_server(accept, HOST, 8080)
        transport, _ = await loop.create_connection(Recorder, HOST, 8080, local_addr=("127.9.9.9", 0))
        near = transport.get_extra_info("sockname")
        assert near[0] == "127.9.9.9"
        assert transport.get_extra_info("peername") == (HOST, 8080)
        assert transport.get_extra_info("socket") is None
        assert recorders[0].transport.get_extra_info("peername") == near
        assert recorders[0].transport.get_extra_info("sockname") == (HOST, 8080)
        server.close()

    simulate(scene)


def test_default_source_is_localhost() -> None:
    async def scene() -> str:
        near, _ = await joined()
        return str(near.transport.get_extra_info("sockname")[0])

    assert simulate(scene) == "127.0.0.1"


# --- refused, taken, silent ------------------------------------------------------------------------------------------


def test_nobody_listens() -> None:
    async def scene() -> None:
        with pytest.raises(ConnectionRefusedError) as caught:
            await asyncio.open_connection(HOST, 8080)
        assert caught.value.errno == errno.ECONNREFUSED

    simulate(scene)


def test_closed_server_refuses_and_leaves_connections_alone() -> None:
    async def scene() -> None:
        near, far = await joined()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(HOST, 8080)
        near.transport.write(b"still here")
        await instant()
        assert far.data == b"still here"

    simulate(scene)


def test_taken_address() -> None:
    async def scene() -> None:
        loop = asyncio.get_running_loop()
        first = await loop.create_server(Recorder, HOST, 8080)
        with pytest.raises(OSError, match=f"{HOST}:8080") as caught:
            await loop.create_server(Recorder, HOST, 8080)
        assert caught.value.errno == errno.EADDRINUSE
        other = await loop.create_server(Recorder, "127.0.0.3", 8080)
        first.close()
        again = await loop.create_server(Recorder, HOST, 8080)
        assert again.sockets[0].getsockname() == (HOST, 8080)
        other.close()
        again.close()

    simulate(scene)


def test_wildcard_listens_on_every_address() -> None:
    async def scene() -> None:
        server = await asyncio.get_running_loop().create_server(Recorder, None, 8080)
        _, writer = await asyncio.open_connection("127.4.4.4", 8080)
        writer.close()
        server.close()

    simulate(scene)


def test_dark_address_swallows_the_attempt() -> None:
    network = SimNetwork()
    network.dark.add(HOST)

    async def scene() -> float:
        with pytest.raises(TimeoutError):
            await asyncio.open_connection(HOST, 8080)
        return asyncio.get_running_loop().time() - EPOCH_S

    assert simulate(scene, network) == pytest.approx(127.0)


def test_refusing_address() -> None:
    network = SimNetwork()
    network.refusing.add(HOST)

    async def scene() -> None:
        server = await asyncio.get_running_loop().create_server(Recorder, HOST, 8080)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(HOST, 8080)
        server.close()

    simulate(scene, network)


@pytest.mark.parametrize("after_s", [0.0, 25e-6, 75e-6])
def test_attempt_given_up_leaves_nothing(after_s: float) -> None:
    async def scene() -> list[Any]:
        loop = asyncio.get_running_loop()
        accepted: list[Recorder] = []

        def accept() -> Recorder:
            accepted.append(Recorder())
            return accepted[-1]

        server = await loop.create_server(accept, HOST, 8080)
        attempt = loop.create_task(loop.create_connection(Recorder, HOST, 8080))  # type: ignore[arg-type]
        await asyncio.sleep(after_s)
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
        await instant()
        server.close()
        return [call for recorder in accepted for call in recorder.calls]

    assert simulate(scene) in ([], ["made", "lost"])


# --- ending ----------------------------------------------------------------------------------------------------------


def test_close_sends_what_is_buffered_then_fin() -> None:
    async def scene() -> None:
        near, far = await joined()
        near.transport.write(b"x" * 1_000_000)
        near.transport.close()
        assert near.transport.is_closing()
        assert await near.lost is None
        assert await far.lost is None
        assert far.data == b"x" * 1_000_000
        assert far.calls[-2:] == ["eof", "lost"]

    simulate(scene)


def test_half_close_keeps_the_other_direction() -> None:
    async def scene() -> None:
        near, far = await joined(far_open=True)
        near.transport.write(b"question")
        near.transport.write_eof()
        with pytest.raises(RuntimeError):
            near.transport.write(b"more")
        await instant()
        assert far.calls == ["made", "data", "eof"]
        far.transport.write(b"answer")
        far.transport.close()
        assert await near.lost is None
        assert near.data == b"answer"

    simulate(scene)


def test_abort_is_reset() -> None:
    async def scene() -> None:
        near, far = await joined()
        near.transport.abort()
        assert await near.lost is None
        assert isinstance(await far.lost, ConnectionResetError)
        assert "eof" not in far.calls

    simulate(scene)


def test_close_with_unread_data_is_reset() -> None:
    async def scene() -> None:
        near, far = await joined()
        far.transport.pause_reading()
        near.transport.write(b"never read")
        await instant()
        far.transport.close()
        assert isinstance(await near.lost, ConnectionResetError)

    simulate(scene)


def test_data_to_a_closed_end_is_reset() -> None:
    async def scene() -> None:
        near, far = await joined(near_open=True)
        far.transport.close()
        await instant()
        assert near.calls == ["made", "eof"]
        near.transport.write(b"too late")
        assert isinstance(await near.lost, ConnectionResetError)

    simulate(scene)


def test_data_that_came_before_a_reset_is_read() -> None:
    async def scene() -> None:
        near, far = await joined()
        far.transport.pause_reading()
        near.transport.write(b"last words")
        near.transport.abort()
        await instant()
        assert far.calls == ["made"]
        far.transport.resume_reading()
        assert isinstance(await far.lost, ConnectionResetError)
        assert far.data == b"last words"

    simulate(scene)


def test_write_after_a_reset_breaks_the_connection() -> None:
    async def scene() -> None:
        near, far = await joined()
        far.transport.pause_reading()
        near.transport.abort()
        await instant()
        far.transport.write(b"x")
        assert isinstance(await far.lost, ConnectionResetError)

    simulate(scene)


def test_failing_callback_ends_the_connection_and_is_told() -> None:
    async def scene() -> None:
        told: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
        near, far = await joined()

        def fail(_: bytes) -> None:
            raise KeyError("boom")

        far.data_received = fail  # type: ignore[method-assign]
        near.transport.write(b"x")
        assert isinstance(await far.lost, KeyError)
        assert isinstance(await near.lost, ConnectionResetError)
        assert [type(context["exception"]) for context in told] == [KeyError]

    simulate(scene)


# --- backpressure ----------------------------------------------------------------------------------------------------


def test_paused_reader_stops_the_writer() -> None:
    async def scene() -> None:
        near, far = await joined()
        far.transport.pause_reading()
        near.transport.set_write_buffer_limits(high=10_000)
        near.transport.write(b"x" * 200_000)
        await instant()
        assert far.data == b""
        assert near.calls == ["made", "pause"]
        assert near.transport.get_write_buffer_size() == 200_000 - 65_536
        far.transport.resume_reading()
        await instant()
        assert len(far.data) == 200_000
        assert near.calls == ["made", "pause", "resume"]
        assert near.transport.get_write_buffer_size() == 0

    simulate(scene)


def test_buffered_protocol_gets_every_byte() -> None:
    class Small(asyncio.BufferedProtocol):
        def __init__(self) -> None:
            self.room = bytearray(7)
            self.data = b""

        def get_buffer(self, _: int) -> bytearray:
            return self.room

        def buffer_updated(self, nbytes: int) -> None:
            self.data += self.room[:nbytes]

    async def scene() -> bytes:
        loop = asyncio.get_running_loop()
        small = Small()
        server = await loop.create_server(lambda: small, HOST, 8080)
        transport, _ = await loop.create_connection(asyncio.Protocol, HOST, 8080)
        transport.writelines([b"one ", bytearray(b"two "), memoryview(b"three " * 9)])
        await instant()
        transport.close()
        server.close()
        return small.data

    assert simulate(scene) == b"one two " + b"three " * 9


steps = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(1, 90_000)),
        st.tuples(st.just("sleep"), st.sampled_from([0.0, 10e-6, 60e-6, 1e-3])),
        st.just(("pause", 0)),
        st.just(("resume", 0)),
    ),
    max_size=25,
)


@given(steps=steps, seed=st.integers(0, 99), jitter_s=st.sampled_from([0.0, 1e-4]))
@settings(deadline=None, max_examples=80)
def test_bytes_arrive_whole_and_in_order(steps: list[tuple[str, Any]], seed: int, jitter_s: float) -> None:
    rng = random.Random(seed)

    async def scene() -> tuple[bytes, bytes]:
        near, far = await joined()
        sent = b""
        for what, amount in steps:
            if what == "write":
                data = rng.randbytes(amount)
                sent += data
                near.transport.write(data)
            elif what == "sleep":
                await asyncio.sleep(amount)
            else:
                getattr(far.transport, f"{what}_reading")()
        far.transport.resume_reading()
        near.transport.close()
        assert await far.lost is None
        return sent, far.data

    sent, received = simulate(scene, SimNetwork(jitter_s=jitter_s, rng=random.Random(seed)))
    assert received == sent


# --- the loop --------------------------------------------------------------------------------------------------------


def test_time_jumps_to_the_next_timer() -> None:
    async def scene() -> float:
        await asyncio.sleep(3600.0)
        return asyncio.get_running_loop().time()

    assert simulate(scene) == EPOCH_S + 3600.0


def test_timers_of_one_moment_run_in_order() -> None:
    async def scene() -> list[int]:
        loop, seen = asyncio.get_running_loop(), list[int]()
        for number in range(20):
            loop.call_at(EPOCH_S + 1.0, seen.append, number)
        await asyncio.sleep(2.0)
        return seen

    assert simulate(scene) == list(range(20))


def test_cancelled_timer_moves_no_time() -> None:
    async def scene() -> float:
        loop = asyncio.get_running_loop()
        loop.call_later(5.0, lambda: None).cancel()
        await asyncio.sleep(6.0)
        return loop.time()

    assert simulate(scene) == EPOCH_S + 6.0


def test_wait_for_times_out() -> None:
    async def scene() -> float:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 2.5)
        return asyncio.get_running_loop().time()

    assert simulate(scene) == EPOCH_S + 2.5


def test_deadlock_is_an_error_and_cancels_the_work() -> None:
    ended: list[str] = []

    async def scene() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    with pytest.raises(Deadlock, match="nothing ready"):
        simulate(scene)
    assert ended == ["cancelled"]


def test_horizon_ends_an_endless_run() -> None:
    def again() -> None:
        loop.call_later(60.0, again)

    loop = SimLoop(horizon_s=600.0)
    loop.call_soon(again)
    with pytest.raises(HarnessFault, match="horizon of 600"):
        loop.run_forever()
    loop.close()


def test_standstill_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lbcheck.lab.simloop.STANDSTILL_CALLBACKS", 1000)

    def again() -> None:
        loop.call_soon(again)

    loop = SimLoop()
    loop.call_soon(again)
    with pytest.raises(HarnessFault, match="one moment of virtual time"):
        loop.run_forever()
    loop.close()


def test_threads_are_refused() -> None:
    async def scene() -> None:
        await asyncio.to_thread(print)

    with pytest.raises(HarnessFault, match="thread"):
        simulate(scene)
