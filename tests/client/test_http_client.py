"""The raw client against real loopback servers, good and hostile ones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import TypeAlias

import pytest

from lbcheck.backends.script import Answer, Behaviour
from lbcheck.backends.server import BackendServer
from lbcheck.client.http import Endpoint, HttpClient, Kept
from lbcheck.client.ids import Ids
from lbcheck.client.outgoing import Pace
from lbcheck.client.traffic import SteadyTraffic
from lbcheck.errors import HarnessFault
from lbcheck.history import Answered, Arrival, BodyRead, Exchange, Fate, History
from lbcheck.spec.request import Request
from lbcheck.wire.reset import reset

Peer: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

GET = Request()
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"


class World:
    """A client with its history, and a backend behind `to`."""

    def __init__(self, history: History, backend: BackendServer) -> None:
        self.history = history
        self.backend = backend
        self.client = HttpClient(history.append, Ids("c1"))
        self.to = Endpoint("public", backend.host, backend.port)

    async def script(self, answer: Answer) -> None:
        await self.backend.behave(Behaviour(answer))


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    history = History()
    backend = BackendServer("a", history.append)
    await backend.start("127.0.0.1", 0)
    place = World(history, backend)
    try:
        yield place
    finally:
        await place.client.close()
        await backend.stop()


def run(scene: Callable[[World], Awaitable[None]]) -> None:
    async def play() -> None:
        async with world() as place:
            await scene(place)

    asyncio.run(play())


async def until(condition: Callable[[], object]) -> None:
    for _ in range(2500):
        if condition():
            return
        await asyncio.sleep(0.002)
    raise AssertionError("it did not come to pass within 5 s")


def served(peer: Peer, scene: Callable[[HttpClient, Endpoint], Awaitable[None]]) -> History:
    """Plays a scene against a peer written by hand."""
    history = History()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await peer(reader, writer)
        except ConnectionError:
            pass  # the client may go first
        finally:
            writer.close()

    async def play() -> None:
        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        client = HttpClient(history.append)
        try:
            await scene(client, Endpoint("public", *server.sockets[0].getsockname()))
        finally:
            await client.close()
            server.close()
            rest = asyncio.all_tasks() - {asyncio.current_task()}
            for task in rest:
                task.cancel()
            await asyncio.gather(*rest, return_exceptions=True)

    asyncio.run(play())
    return history


def answering(*pieces: bytes, then: str = "close") -> Peer:
    """Reads one head, sends these pieces, then closes, resets, or waits."""

    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        if then == "reset":
            await asyncio.sleep(0.02)  # what was sent is read first
            reset(writer.transport)
        elif then == "wait":
            await reader.read()

    return peer


def outcome(peer: Peer, *, method: str = "GET", within: float = 5.0) -> Exchange:
    async def scene(client: HttpClient, to: Endpoint) -> None:
        await client.send(to, Request(method), within=within)

    (exchange,) = served(peer, scene).exchanges
    return exchange


# --- what is recorded ------------------------------------------------------------------------------------------------


def test_an_exchange_has_everything() -> None:
    async def scene(at: World) -> None:
        await at.script(Answer(status=207, headers=(("X-b", "1"), ("x-B", "2")), body=b"abc"))
        request = Request("POST", "/x?y", "h.test", (("A", "b"),), source="127.0.9.8")
        exchange = await at.client.send(at.to, request, body=b"hello")
        assert (exchange.id, exchange.listener, exchange.source) == ("c1-1", "public", "127.0.9.8")
        assert (exchange.method, exchange.target, exchange.status) == ("POST", "/x?y", 207)
        assert (exchange.connection, exchange.index) == ("c1.1", 0)
        assert exchange.headers[:2] == (("X-b", "1"), ("x-B", "2"))
        assert (exchange.body, exchange.body_len, exchange.body_sha) == (b"abc", 3, sha256(b"abc").hexdigest())
        assert (exchange.complete, exchange.error, exchange.backend) == (True, None, "a")
        (arrival,) = at.history.arrivals
        assert exchange.request == arrival.head
        assert arrival.peer.startswith("127.0.9.8:")
        moments = [exchange.invoked, exchange.sent, arrival.at, exchange.first_byte, exchange.done]
        assert moments == sorted(moment for moment in moments if moment is not None)
        assert list(at.history).count(exchange) == 1
        assert at.history.journey(exchange).fate is Fate.ANSWERED

    run(scene)


def test_a_fresh_connection_serves_one_request_a_kept_one_many() -> None:
    async def scene(at: World) -> None:
        fresh = [await at.client.send(at.to, GET) for _ in range(2)]
        kept = Kept()
        together = [await at.client.send(at.to, GET, on=kept) for _ in range(3)]
        assert [(e.connection, e.index) for e in fresh] == [("c1.1", 0), ("c1.2", 0)]
        assert [(e.connection, e.index) for e in together] == [("c1.3", 0), ("c1.3", 1), ("c1.3", 2)]
        assert [a.index for a in at.history.arrivals] == [0, 0, 0, 1, 2]

    run(scene)


def test_a_kept_connection_that_the_peer_closed_is_not_used_again() -> None:
    async def scene(at: World) -> None:
        kept = Kept()
        await at.script(Answer(keep_alive=False))
        first = await at.client.send(at.to, GET, on=kept)
        second = await at.client.send(at.to, GET, on=kept)
        assert (first.connection, second.connection) == ("c1.1", "c1.2")
        assert second.complete

    run(scene)


def test_two_at_once_take_two_connections() -> None:
    async def scene(at: World) -> None:
        kept = Kept()
        await at.script(Answer(hold=True))
        calls = [at.client.start(at.to, GET, on=kept) for _ in range(2)]
        await until(lambda: len(at.history.of(BodyRead)) == 2)
        await at.backend.release()
        exchanges = [await call.done for call in calls]
        assert {e.connection for e in exchanges} == {"c1.1", "c1.2"}
        await at.script(Answer())
        assert (await at.client.send(at.to, GET, on=kept)).connection == "c1.2"

    run(scene)


@pytest.mark.parametrize("chunked", [False, True])
def test_large_bodies_go_both_ways_whole(chunked: bool) -> None:
    async def scene(at: World) -> None:
        body = bytes(range(256)) * 20_000
        await at.script(Answer(body=body, framing="chunked" if chunked else "length"))
        exchange = await at.client.send(at.to, Request("PUT"), body=body, chunked=chunked)
        assert (exchange.body_len, exchange.body_sha) == (len(body), sha256(body).hexdigest())
        assert exchange.body == body[:4096]
        read = at.history.body_of(at.history.arrivals[0])
        assert read is not None
        assert (read.length, read.sha) == (len(body), sha256(body).hexdigest())

    run(scene)


def test_a_slow_client_sends_piece_by_piece() -> None:
    async def scene(at: World) -> None:
        exchange = await at.client.send(at.to, Request("POST"), body=b"x" * 40, pace=Pace(20, 0.005))
        assert exchange.complete
        assert exchange.sent is not None
        assert exchange.sent - exchange.invoked >= 0.02  # five pieces at least
        read = at.history.body_of(at.history.arrivals[0])
        assert read is not None
        assert read.length == 40

    run(scene)


def test_the_body_waits_for_100_continue() -> None:
    async def scene(at: World) -> None:
        exchange = await at.client.send(at.to, Request("POST"), body=b"abc", expect_continue=True)
        assert (exchange.interim, exchange.status, exchange.complete) == ((100,), 200, True)
        (arrival,) = [e for e in at.history if isinstance(e, Arrival)]
        assert b"Expect: 100-continue\r\n" in arrival.head

    run(scene)


def test_a_final_answer_in_place_of_100_keeps_the_body_back() -> None:
    async def scene(at: World) -> None:
        await at.script(Answer(status=417, early=True))
        kept = Kept()
        exchange = await at.client.send(at.to, Request("POST"), body=b"abc", expect_continue=True, on=kept)
        assert (exchange.interim, exchange.status, exchange.complete, exchange.sent) == ((), 417, True, None)
        assert kept.idle() is None  # half a request was sent on it
        await until(lambda: at.history.of(BodyRead))
        (read,) = at.history.of(BodyRead)
        assert (read.length, read.complete) == (0, False)

    run(scene)


# --- what goes wrong -------------------------------------------------------------------------------------------------

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"
CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

ERRORS: dict[str, tuple[Peer, str, int | None]] = {
    "closed without a byte": (answering(), "closed", None),
    "closed within the head": (answering(b"HTTP/1.1 200 OK\r\nConte"), "closed", None),
    "closed after an interim answer": (answering(b"HTTP/1.1 103 Early Hints\r\n\r\n"), "closed", None),
    "cut by length": (answering(HEAD + b"ab"), "cut", 200),
    "cut in chunks": (answering(CHUNKS + b"2\r\nab\r\n"), "cut", 200),
    "reset at once": (answering(then="reset"), "reset", None),
    "reset within the body": (answering(HEAD + b"a", then="reset"), "reset", 200),
    "no answer": (answering(then="wait"), "timeout", None),
    "half an answer": (answering(HEAD + b"a", then="wait"), "timeout", 200),
    "no HTTP": (answering(b"<script>alert(1)</script>"), "garbage", None),
    "bad chunk": (answering(CHUNKS + b"zz\r\n"), "garbage", 200),
    "two framings": (answering(HEAD[:-2] + b"Transfer-Encoding: chunked\r\n\r\n"), "garbage", None),
}


@pytest.mark.parametrize("name", ERRORS)
def test_each_way_to_fail_has_its_name(name: str) -> None:
    peer, error, status = ERRORS[name]
    exchange = outcome(peer, within=0.3 if error == "timeout" else 5.0)
    assert (exchange.error, exchange.status, exchange.complete) == (error, status, False)
    assert exchange.sent is not None
    assert exchange.done is not None


def test_garbage_is_kept_as_evidence() -> None:
    assert outcome(answering(b"<script>" * 10_000)).body == b"<"
    assert outcome(answering(b"HTTP/1.1 OK\r\n")).body == b"HTTP/1.1 OK\r\n"


def test_nobody_listens() -> None:
    async def scene(at: World) -> None:
        await at.backend.behave(Behaviour(accepting=False))
        exchange = await at.client.send(at.to, GET)
        assert (exchange.error, exchange.sent, exchange.connection) == ("refused", None, "")
        assert at.history.journey(exchange).fate is Fate.LOST

    run(scene)


def test_a_source_address_that_this_machine_lacks_is_no_fault_of_the_target() -> None:
    async def scene(at: World) -> None:
        with pytest.raises(HarnessFault, match=r"expected to connect from 192.0.2.1"):
            await at.client.send(at.to, Request(source="192.0.2.1"))
        with pytest.raises(HarnessFault, match=r"expected to connect from 192.0.2.1"):
            await at.client.raw(at.to, b"GET / HTTP/1.1\r\n\r\n", source="192.0.2.1")
        assert not at.history.exchanges

    run(scene)


@pytest.mark.parametrize("rst", [False, True])
def test_a_client_may_go_away_on_purpose(rst: bool) -> None:
    async def scene(at: World) -> None:
        await at.script(Answer(hold=True))
        call = at.client.start(at.to, GET)
        await until(lambda: at.history.of(BodyRead))
        (call.reset if rst else call.cancel)()
        exchange = await call.done
        assert (exchange.error, exchange.complete) == ("aborted", False)
        await until(lambda: at.history.of(Answered))
        assert [a.how for a in at.history.of(Answered)] == ["abandoned"]

    run(scene)


def test_no_request_is_sent_again() -> None:
    connections = 0

    async def peer(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.readuntil(b"\r\n\r\n")

    assert outcome(peer).error == "closed"
    assert connections == 1


def test_a_connection_that_closes_between_two_requests_is_told_by_its_index() -> None:
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await reader.readuntil(b"\r\n\r\n")

    async def scene(client: HttpClient, to: Endpoint) -> None:
        kept = Kept()
        for _ in range(2):
            await client.send(to, GET, on=kept)

    first, second = served(peer, scene).exchanges
    assert (first.complete, first.index) == (True, 0)
    assert (second.error, second.index, second.first_byte) == ("closed", 1, None)


def test_bytes_that_nobody_asked_for_are_taken_for_the_next_answer() -> None:
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK + OK.replace(b"abc", b"xyz"))
        await reader.readuntil(b"\r\n\r\n")
        await reader.read()

    async def scene(client: HttpClient, to: Endpoint) -> None:
        kept = Kept()
        for _ in range(2):
            await client.send(to, GET, on=kept)

    assert [e.body for e in served(peer, scene).exchanges] == [b"abc", b"xyz"]


# --- hostile answers -------------------------------------------------------------------------------------------------


def test_megabytes_of_fields_end_as_garbage() -> None:
    async def peer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        for _ in range(1000):
            writer.write(b"X: " + b"y" * 8000 + b"\r\n")
            await writer.drain()

    exchange = outcome(peer)
    assert (exchange.error, exchange.headers) == ("garbage", ())
    assert len(exchange.body) <= 4096


def test_an_endless_body_ends_when_time_is_up_and_is_not_kept() -> None:
    async def peer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"<b>" * 20_000)
            await writer.drain()

    exchange = outcome(peer, within=0.3)
    assert (exchange.error, exchange.complete, len(exchange.body)) == ("timeout", False, 4096)
    assert exchange.body_len > 60_000


def test_endless_interim_answers_end_as_garbage() -> None:
    exchange = outcome(answering(*[b"HTTP/1.1 102 Processing\r\n\r\n"] * 300))
    assert (exchange.error, len(exchange.interim)) == ("garbage", 100)


def test_markup_and_odd_bytes_are_recorded_as_they_came() -> None:
    field = b"X: </script><b>\xff\x01'\""
    exchange = outcome(answering(b"HTTP/1.1 200 <i>\r\n" + field + b"\r\nContent-Length: 0\r\n\r\n"))
    assert exchange.complete
    assert exchange.header("x") == "</script><b>\xff\x01'\""


# --- exact bytes -----------------------------------------------------------------------------------------------------


def raw_get(id: str, *lines: str, method: str = "GET") -> bytes:
    return "\r\n".join([f"{method} / HTTP/1.1", "Host: h", f"Lbcheck-Id: {id}", *lines, "", ""]).encode()


def test_each_request_in_the_bytes_gets_its_answer() -> None:
    async def scene(at: World) -> None:
        data = raw_get("x-1") + raw_get("x-2", method="HEAD") + raw_get("x-3", "Connection: close")
        exchanges = await at.client.raw(at.to, data, within=5)
        assert [(e.id, e.index, e.status, e.complete, e.backend) for e in exchanges] == [
            ("x-1", 0, 200, True, "a"),
            ("x-2", 1, 200, True, "a"),
            ("x-3", 2, 200, True, "a"),
        ]
        assert {a.id for a in at.history.arrivals} == {"x-1", "x-2", "x-3"}
        assert [a.head for a in at.history.arrivals] == [e.request for e in exchanges]
        assert len(at.history.exchanges) == 3

    run(scene)


def test_answers_beyond_the_requests_get_the_ids_that_stand_in_the_bytes() -> None:
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65536)
        writer.write(OK * 3)

    history = served(peer, lambda client, to: client.raw(to, b"BAD\r\n" + raw_get("x-1") + raw_get("x-2")))
    assert [(e.id, e.complete) for e in history.exchanges] == [("x-1", True), ("x-2", True), ("x-1+2", True)]


def test_a_request_without_an_answer_says_how_it_ended() -> None:
    async def scene(at: World) -> None:
        await at.script(Answer(hold=True))
        (exchange,) = await at.client.raw(at.to, raw_get("x-1"), within=0.1)
        assert (exchange.error, exchange.status) == ("timeout", None)
        await at.script(Answer(fault="reset"))
        first, second = await at.client.raw(at.to, raw_get("x-2") + raw_get("x-3"), within=2)
        assert (first.error, second.error) == ("reset", "reset")
        await at.backend.behave(Behaviour(accepting=False))
        (exchange,) = await at.client.raw(at.to, raw_get("x-4"), within=2)
        assert (exchange.error, exchange.sent) == ("refused", None)

    run(scene)


def test_half_closing_still_reads_the_answer() -> None:
    async def scene(at: World) -> None:
        (exchange,) = await at.client.raw(at.to, raw_get("x-1"), within=5, half_close=True)
        assert exchange.complete

    run(scene)


def test_raw_bytes_can_be_sent_slowly_and_from_any_address() -> None:
    async def scene(at: World) -> None:
        data = raw_get("x-1", "Connection: close")
        (exchange,) = await at.client.raw(at.to, data, within=5, pace=Pace(10, 0.003), source="127.0.6.6")
        assert (exchange.complete, exchange.source) == (True, "127.0.6.6")
        assert exchange.sent is not None
        assert exchange.sent - exchange.invoked >= 0.01

    run(scene)


def test_an_answer_that_ends_with_its_connection_is_whole(caplog: pytest.LogCaptureFixture) -> None:
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65536)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nto the end")

    history = served(peer, lambda client, to: client.raw(to, b"GET / HTTP/1.0\r\nHost: h\r\n\r\n", within=5))
    assert [(e.status, e.body, e.complete, e.error) for e in history.exchanges] == [(200, b"to the end", True, None)]
    assert not caplog.records  # the loop had nothing to complain of


def test_endless_answers_end() -> None:
    async def peer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not writer.is_closing():
            writer.write(OK)
            await writer.drain()

    history = served(peer, lambda client, to: client.raw(to, raw_get("x-1"), within=5))
    assert len(history.exchanges) == 100


# --- traffic ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep_alive", [False, True])
def test_steady_traffic_never_waits_for_answers(keep_alive: bool) -> None:
    async def scene(at: World) -> None:
        await at.script(Answer(hold=True))
        traffic = SteadyTraffic(at.client, at.to, lambda n: Request(target=f"/{n}"), rate=200, keep_alive=keep_alive)
        traffic.start()
        await until(lambda: len(at.history.arrivals) >= 20)
        assert traffic.exchanges == []
        await at.script(Answer())
        await at.backend.release()
        await until(lambda: len(at.history.arrivals) >= 40)
        exchanges = await traffic.stop()
        sent = len(exchanges)
        assert [e.target for e in exchanges] == [f"/{n}" for n in range(sent)]
        assert {e.status for e in exchanges} == {200}
        assert len(traffic.lateness) == sent
        assert min(traffic.lateness) >= 0
        connections = {e.connection for e in exchanges}
        assert (len(connections) < sent) is keep_alive

    run(scene)


def test_closing_ends_what_is_on_its_way() -> None:
    async def scene(at: World) -> None:
        await at.script(Answer(hold=True))
        call = at.client.start(at.to, GET)
        await until(lambda: at.history.arrivals)
        early = at.client.start(at.to, GET)
        await at.client.close()
        assert [(await c.done).error for c in (call, early)] == ["aborted", "aborted"]

    run(scene)
