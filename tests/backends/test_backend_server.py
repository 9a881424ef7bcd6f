"""The instrumented backend, over real loopback sockets: every word of the script, and what the journal says of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Any, TypeVar

import pytest

from lbcheck.backends.script import Answer, Behaviour, Moment, ProbeShape
from lbcheck.backends.server import BackendServer
from lbcheck.history import Answered, Arrival, BodyRead, Connected, Disconnected, Event, Garbage

T = TypeVar("T")
FIRST_S = 5.0  # for what must come
IDLE_S = 0.15  # how long a test listens to a connection on which nothing more is expected


class World:
    """A backend with its journal, and connections to it."""

    def __init__(self, backend: BackendServer, journal: list[Event]) -> None:
        self.backend = backend
        self.journal = journal

    def of(self, kind: type[T]) -> list[T]:
        return [event for event in self.journal if isinstance(event, kind)]

    async def script(self, answer: Answer, **rest: Any) -> None:
        await self.backend.behave(Behaviour(answer=answer, **rest))

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(self.backend.host, self.backend.port)

    async def say(self, data: bytes, *, eof: bool = False, silent: bool = False) -> tuple[bytes, str]:
        """What comes back, and how the connection ended: closed, reset or open. `silent`: nothing need come."""
        reader, writer = await self.connect()
        writer.write(data)
        if eof:
            writer.write_eof()
        try:
            return await read_to_end(reader, IDLE_S if silent else FIRST_S)
        finally:
            writer.close()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Waits, within a bound, until the journal says so."""
        for _ in range(2500):
            if condition():
                return
            await asyncio.sleep(0.002)
        raise AssertionError("it did not come to pass within 5 s")


async def read_to_end(reader: asyncio.StreamReader, first_s: float = FIRST_S) -> tuple[bytes, str]:
    data = b""
    try:
        async with asyncio.timeout(first_s) as limit:
            while piece := await reader.read(65536):
                data += piece
                limit.reschedule(asyncio.get_running_loop().time() + IDLE_S)
    except TimeoutError:
        return data, "open"
    except ConnectionResetError:
        return data, "reset"
    return data, "closed"


@asynccontextmanager
async def world(probe: ProbeShape | None = None) -> AsyncIterator[World]:
    journal: list[Event] = []
    backend = BackendServer("a", journal.append, probe, pool="p")
    await backend.start("127.0.0.1", 0)
    try:
        yield World(backend, journal)
    finally:
        await backend.stop()


def run(scene: Callable[[World], Awaitable[None]], probe: ProbeShape | None = None) -> None:
    async def play() -> None:
        async with world(probe) as place:
            await scene(place)

    asyncio.run(play())


def request(method: str = "GET", target: str = "/", *lines: str, id: str | None = "c-1", body: bytes = b"") -> bytes:
    named = [] if id is None else [f"Lbcheck-Id: {id}"]
    length = [f"Content-Length: {len(body)}"] if body else []
    return "\r\n".join([f"{method} {target} HTTP/1.1", "Host: h", *named, *lines, *length, "", ""]).encode() + body


def parts(answer: bytes) -> tuple[int, dict[str, str], bytes]:
    head, _, body = answer.partition(b"\r\n\r\n")
    line, *fields = head.decode().split("\r\n")
    return int(line.split()[1]), dict(field.split(": ", 1) for field in fields), body


# --- what it says ----------------------------------------------------------------------------------------------------


def test_the_echo_tells_what_arrived() -> None:
    async def scene(at: World) -> None:
        raw = request("POST", "/a?b", "X: 1", "x: 2", body=b"abc")
        status, fields, body = parts((await at.say(raw))[0])
        assert status == 200
        assert (fields["Lbcheck-Backend"], fields["Lbcheck-Id"]) == ("a", "c-1")
        assert json.loads(body) == {
            "backend": "a",
            "id": "c-1",
            "connection": 1,
            "index": 0,
            "method": "POST",
            "target": "/a?b",
            "headers": [["Host", "h"], ["Lbcheck-Id", "c-1"], ["X", "1"], ["x", "2"], ["Content-Length", "3"]],
            "body_sha": sha256(b"abc").hexdigest(),
            "body_len": 3,
        }

    run(scene)


def test_the_journal_has_everything_in_order() -> None:
    async def scene(at: World) -> None:
        raw = request("POST", body=b"abc")
        await at.say(raw)
        await at.until(lambda: bool(at.of(Disconnected)))
        connected, arrival, body, answered, disconnected = at.journal
        assert isinstance(connected, Connected)
        assert isinstance(arrival, Arrival)
        assert arrival.head == raw[:-3]
        assert (arrival.id, arrival.method, arrival.target, arrival.probe) == ("c-1", "POST", "/", False)
        assert arrival.peer == connected.peer
        assert isinstance(body, BodyRead)
        assert (body.length, body.sha, body.complete) == (3, sha256(b"abc").hexdigest(), True)
        assert isinstance(answered, Answered)
        assert (answered.how, answered.status) == ("answered", 200)
        assert isinstance(disconnected, Disconnected)
        assert (disconnected.bytes_in, disconnected.by) == (len(raw), "peer")
        times = [event.at for event in at.journal]
        assert times == sorted(times)

    run(scene)


def test_the_journal_knows_of_the_answer_before_its_last_bytes_leave() -> None:
    async def scene(at: World) -> None:
        reader, writer = await at.connect()
        for number in range(20):
            writer.write(request(id=f"c-{number}"))
            await reader.readuntil(b"}")
            assert len(at.of(Answered)) == number + 1
        writer.close()

    run(scene)


def test_requests_on_a_connection_are_counted_and_answered_in_order() -> None:
    async def scene(at: World) -> None:
        data, end = await at.say(request(id="c-1") + request("POST", id="c-2", body=b"x") + request(id="c-3"))
        places = [data.index(f"Lbcheck-Id: c-{n}\r\n".encode()) for n in (1, 2, 3)]
        assert places == sorted(places)
        assert [(a.connection, a.index, a.id) for a in at.of(Arrival)] == [(1, 0, "c-1"), (1, 1, "c-2"), (1, 2, "c-3")]
        assert end == "open"

    run(scene)


def test_pipelined_requests_behind_a_held_one_are_journalled_and_wait() -> None:
    async def scene(at: World) -> None:
        await at.script(Answer(), by_id=(("c-1", Answer(hold=True)),))
        reader, writer = await at.connect()
        writer.write(request(id="c-1") + request(id="c-2"))
        await at.until(lambda: len(at.of(Arrival)) == 2)
        assert not at.of(Answered)
        await at.backend.release(["c-1"])
        data, _ = await read_to_end(reader)
        assert data.count(b"HTTP/1.1 200") == 2
        writer.close()

    run(scene)


@pytest.mark.parametrize(("status", "framed"), [(204, False), (304, False), (200, True), (503, True)])
def test_statuses_without_a_body_have_none(status: int, framed: bool) -> None:
    async def scene(at: World) -> None:
        await at.script(Answer(status=status))
        data, _ = await at.say(request())
        got, fields, body = parts(data)
        assert got == status
        assert ("Content-Length" in fields) is framed
        assert bool(body) is framed

    run(scene)


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_head_gets_the_head_of_get_and_no_body(framing: Any) -> None:
    async def scene(at: World) -> None:
        await at.script(Answer(body=b"abc", framing=framing))
        get, _ = await at.say(request("GET"))
        head, end = await at.say(request("HEAD"))
        assert head == get.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        assert end == "open"

    run(scene)


BODY = bytes(range(256)) * 300

FRAMED: dict[str, tuple[Answer, bytes]] = {
    "length": (Answer(body=b"abc"), b"abc"),
    "chunked": (Answer(body=b"abc", framing="chunked"), b"3\r\nabc\r\n0\r\n\r\n"),
    "close": (Answer(body=b"abc", framing="close"), b"abc"),
    "empty": (Answer(body=b""), b""),
    "empty chunked": (Answer(body=b"", framing="chunked"), b"0\r\n\r\n"),
    "large": (Answer(body=BODY), BODY),
}


@pytest.mark.parametrize("name", FRAMED)
def test_bodies_are_framed_as_scripted(name: str) -> None:
    answer, expected = FRAMED[name]

    async def scene(at: World) -> None:
        await at.script(answer)
        data, end = await at.say(request())
        _, fields, body = parts(data)
        assert body == expected
        assert end == ("closed" if answer.framing == "close" else "open")
        assert fields.get("Connection") == ("close" if answer.framing == "close" else None)

    run(scene)


def test_http_1_0_gets_no_chunks_and_is_closed_unless_it_asks() -> None:
    async def scene(at: World) -> None:
        await at.script(Answer(body=b"abc", framing="chunked"))
        data, end = await at.say(b"GET / HTTP/1.0\r\n\r\n")
        assert parts(data)[2] == b"abc"
        assert end == "closed"
        await at.script(Answer(body=b"abc"))
        data, end = await at.say(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert parts(data)[1]["Connection"] == "keep-alive"
        assert end == "open"

    run(scene)


def test_a_body_of_any_size_is_sent_as_fast_as_it_is_read() -> None:
    size = 30_000_001

    async def scene(at: World) -> None:
        await at.script(Answer(body_size=size))
        reader, writer = await at.connect()
        writer.write(request())
        await reader.readuntil(b"\r\n\r\n")
        await at.until(lambda: at.backend._connections[1].transport.get_write_buffer_size() > 0)
        assert at.backend._connections[1].transport.get_write_buffer_size() < 1_000_000
        assert not at.of(Answered)
        body = await reader.readexactly(size)
        assert body[:64] * (size // 64) == body[: size // 64 * 64]
        writer.close()
        await at.until(lambda: len(at.of(Answered)) == 1)

    run(scene)


def test_a_slow_body_comes_in_pieces_and_whole() -> None:
    async def scene(at: World) -> None:
        await at.script(Answer(body=b"0123456789", rate=100))
        reader, writer = await at.connect()
        writer.write(request())
        await reader.readuntil(b"\r\n\r\n")
        assert not at.of(Answered)
        assert await reader.readexactly(10) == b"0123456789"
        assert at.of(Answered)[0].at - at.of(Arrival)[0].at >= 0.07  # four pauses of two bytes at 100 bytes a second
        writer.close()

    run(scene)


def test_scripted_fields_stand_as_given_and_replace_our_own() -> None:
    async def scene(at: World) -> None:
        headers = (("Set-Cookie", "a=1"), ("Set-Cookie", "b=<2>"), ("content-length", "5"), ("Content-Type", "x"))
        await at.script(Answer(headers=headers, body=b"abc"))
        data, _ = await at.say(request())
        head = data.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
        assert head[:4] == ["Set-Cookie: a=1", "Set-Cookie: b=<2>", "content-length: 5", "Content-Type: x"]
        assert sum(line.lower().startswith("content-length") for line in head) == 1

    run(scene)


def test_an_unsigned_answer_names_neither_backend_nor_id() -> None:
    async def scene(at: World) -> None:
        await at.script(Answer(signed=False, body=b""))
        data, _ = await at.say(request())
        assert b"Lbcheck" not in data

    run(scene)


def test_raw_bytes_go_out_verbatim() -> None:
    async def scene(at: World) -> None:
        await at.script(Answer(raw=b"\x00<b>\r\n", keep_alive=False))
        assert await at.say(request()) == (b"\x00<b>\r\n", "closed")
        assert [(a.how, a.status) for a in at.of(Answered)] == [("answered", None)]

    run(scene)


def test_without_keep_alive_it_says_so_and_closes() -> None:
    async def scene(at: World) -> None:
        await at.script(Answer(keep_alive=False))
        data, end = await at.say(request())
        assert parts(data)[1]["Connection"] == "close"
        assert end == "closed"
        await at.until(lambda: bool(at.of(Disconnected)))
        assert at.of(Disconnected)[0].by == "backend"

    run(scene)


# --- when it answers -------------------------------------------------------------------------------------------------


def test_a_delay_comes_before_the_head() -> None:
    async def scene(at: World) -> None:
        await at.script(Answer(delay=0.05))
        assert parts((await at.say(request()))[0])[0] == 200
        assert at.of(Answered)[0].at - at.of(Arrival)[0].at >= 0.049

    run(scene)


def test_held_requests_wait_until_they_are_released() -> None:
    async def scene(at: World) -> None:
        await at.script(Answer(hold=True))
        first, second = (asyncio.create_task(at.say(request(id=f"c-{n}"))) for n in (1, 2))
        await at.until(lambda: len(at.of(BodyRead)) == 2)
        await at.backend.release(["c-2"])
        await at.until(lambda: len(at.of(Answered)) == 1)
        second_arrival = next(a for a in at.of(Arrival) if a.id == "c-2")
        assert at.of(Answered)[0].connection == second_arrival.connection
        await at.backend.release()
        assert b"200 OK" in (await first)[0] + b""
        assert b"200 OK" in (await second)[0]

    run(scene)


def test_an_early_answer_does_not_wait_for_the_body() -> None:
    async def scene(at: World) -> None:
        await at.script(Answer(early=True, body=b"x"))
        reader, writer = await at.connect()
        whole = request("POST", "/", "Expect: 100-continue", body=b"abc")
        writer.write(whole[:-3])
        assert await reader.readuntil(b"\r\n\r\nx") != b""
        assert [a.how for a in at.of(Answered)] == ["answered"]
        assert not at.of(BodyRead)
        writer.write(b"abc" + request(id="c-2"))
        await reader.readuntil(b"\r\n\r\nx")
        assert [b.length for b in at.of(BodyRead)] == [3, 0]
        writer.close()

    run(scene)


def test_100_continue_is_sent_before_the_body_is_read() -> None:
    async def scene(at: World) -> None:
        reader, writer = await at.connect()
        whole = request("POST", "/", "Expect: 100-continue", body=b"abc")
        writer.write(whole[:-3])
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"abc")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        writer.close()

    run(scene)


def test_by_id_only_that_request_is_answered_so() -> None:
    async def scene(at: World) -> None:
        await at.script(Answer(), by_id=(("c-2", Answer(status=418)),))
        statuses = [
            parts((await at.say(request("GET", "/", "Connection: close", id=f"c-{n}")))[0])[0] for n in (1, 2, 3)
        ]
        assert statuses == [200, 418, 200]

    run(scene)


def test_probes_take_their_own_answers_in_sequence() -> None:
    close = "Connection: close"

    async def scene(at: World) -> None:
        behaviour = Behaviour(
            Answer(status=201), probes=(Answer(status=500), Answer(status=501)), probe=Answer(status=204)
        )
        await at.backend.behave(behaviour)
        asked = [
            request("GET", "/health", close, id=None),
            request("GET", "/health", close, id="c-1"),  # has an id: a request
            request("GET", "/other", close, id=None),  # a stray
            request("HEAD", "/health", close, id=None),  # a stray
            request("GET", "/health?x", close, id=None),
            request("GET", "/health", close, id=None),
        ]
        assert [parts((await at.say(raw))[0])[0] for raw in asked] == [500, 201, 201, 201, 501, 204]
        assert [a.probe for a in at.of(Arrival)] == [True, False, False, False, True, True]

    run(scene, ProbeShape("GET", "/health"))


# --- faults ----------------------------------------------------------------------------------------------------------

MOMENTS: tuple[Moment, ...] = ("head_read", "all_read", "within_head", "after_head", "within_body")


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize(
    ("fault", "end", "how"), [("reset", "reset", "reset"), ("close", "closed", "cut"), ("hang", "open", "hung")]
)
def test_a_fault_happens_at_its_moment(fault: Any, end: str, how: str, moment: Moment) -> None:
    async def scene(at: World) -> None:
        await at.script(Answer(fault=fault, moment=moment, body=b"0123456789"))
        silent = fault == "hang" and moment in ("head_read", "all_read")
        data, ended = await at.say(request("POST", body=b"abc"), silent=silent)
        assert ended == end
        assert [a.how for a in at.of(Answered)] == [how]
        head, blank, body = data.partition(b"\r\n\r\n")
        if moment in ("head_read", "all_read"):
            assert data == b""
        elif moment == "within_head":
            assert head.startswith(b"HTTP/1.1 200")
            assert blank == b""
        else:
            assert blank
            assert body == (b"01234" if moment == "within_body" else b"")
        await at.until(lambda: len(at.of(BodyRead)) == 1 and len(at.of(Disconnected)) == 1)
        if moment != "head_read":
            assert at.of(BodyRead)[0].complete

    run(scene)


def test_a_reset_at_the_head_leaves_the_body_unread() -> None:
    async def scene(at: World) -> None:
        await at.script(Answer(fault="reset", moment="head_read"))
        await at.say(request("POST", body=b"abc"))
        await at.until(lambda: bool(at.of(Disconnected)))
        (body,) = at.of(BodyRead)
        assert (body.length, body.complete) == (0, False)

    run(scene)


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_cut_body_never_looks_whole(framing: Any) -> None:
    async def scene(at: World) -> None:
        await at.script(Answer(fault="close", moment="within_body", body_size=200_000, framing=framing))
        data, end = await at.say(request())
        _, _, body = parts(data)
        assert end == "closed"
        assert 90_000 < len(body) < 110_000
        assert not body.endswith(b"0\r\n\r\n")

    run(scene)


def test_a_closing_backend_reads_on_so_that_its_answer_is_not_lost() -> None:
    """RFC 9112 section 9.6: closing with unread data sends RST, which can destroy the answer at the reader's."""

    async def scene(at: World) -> None:
        await at.script(Answer(early=True, keep_alive=False, status=413, body=b"too much"))
        reader, writer = await at.connect()
        writer.write(request("POST", "/", "Content-Length: 50000000"))
        await at.until(lambda: len(at.of(Answered)) == 1)
        for _ in range(100):  # 6 MB after the answer
            writer.write(b"x" * 65536)
            await writer.drain()
        assert parts(await reader.read())[2] == b"too much"
        writer.close()

    run(scene)


def test_a_peer_that_goes_first_is_told_as_abandoned() -> None:
    async def scene(at: World) -> None:
        await at.script(Answer(hold=True))
        _, writer = await at.connect()
        writer.write(request())
        await at.until(lambda: bool(at.of(BodyRead)))
        writer.close()
        await at.until(lambda: bool(at.of(Disconnected)))
        assert [(a.how, a.status) for a in at.of(Answered)] == [("abandoned", None)]
        assert at.of(Disconnected)[0].by == "peer"
        await at.backend.release()

    run(scene)


def test_a_body_that_ends_too_soon_is_told() -> None:
    async def scene(at: World) -> None:
        assert await at.say(request("POST", body=b"abc")[:-1], eof=True) == (b"", "closed")
        (body,) = at.of(BodyRead)
        assert (body.length, body.complete, body.error) == (2, False, "closed")
        assert [a.how for a in at.of(Answered)] == ["abandoned"]

    run(scene)


def test_a_half_closed_peer_still_gets_what_has_begun() -> None:
    async def scene(at: World) -> None:
        await at.script(Answer(body=b"0123456789", rate=200))
        data, end = await at.say(request(), eof=True)
        assert parts(data)[2] == b"0123456789"
        assert end == "closed"

    run(scene)


# --- what it refuses -------------------------------------------------------------------------------------------------


def test_garbage_is_journalled_refused_and_not_an_arrival() -> None:
    async def scene(at: World) -> None:
        raw = b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nsmuggled"
        data, end = await at.say(raw)
        assert data.startswith(b"HTTP/1.1 400 ")
        assert b"Lbcheck" not in data
        assert end == "closed"
        assert not at.of(Arrival)
        (garbage,) = at.of(Garbage)
        assert (garbage.raw, garbage.reason) == (raw, "both Transfer-Encoding and Content-Length")

    run(scene)


def test_garbage_after_a_good_request_does_not_take_its_answer_away() -> None:
    async def scene(at: World) -> None:
        data, end = await at.say(request() + b"NONSENSE\r\n\r\n")
        assert (data.count(b"HTTP/1.1 200"), data.count(b"HTTP/1.1 400"), end) == (1, 1, "closed")
        assert len(at.of(Arrival)) == 1
        assert at.of(Garbage)[0].reason == "no request line"

    run(scene)


def test_a_body_that_is_garbage_is_refused() -> None:
    async def scene(at: World) -> None:
        data, end = await at.say(request("POST", "/", "Transfer-Encoding: chunked") + b"2\r\nab\r\nxx\r\n")
        assert (parts(data)[0], end) == (400, "closed")
        (body,) = at.of(BodyRead)
        assert (body.length, body.complete) == (2, False)
        assert body.error == "garbage: a chunk's size line that is none"
        assert [(a.how, a.status) for a in at.of(Answered)] == [("answered", 400)]

    run(scene)


def test_bytes_after_a_request_that_closes_are_told_and_not_read_as_a_request() -> None:
    async def scene(at: World) -> None:
        data, _ = await at.say(request("GET", "/", "Connection: close") + request(id="c-2"))
        assert data.count(b"HTTP/1.1") == 1
        assert [a.id for a in at.of(Arrival)] == ["c-1"]
        (garbage,) = at.of(Garbage)
        assert garbage.raw == request(id="c-2")
        assert garbage.reason == "bytes after the last request of a connection"

    run(scene)


def test_a_connection_without_a_byte_has_the_shape_of_a_tcp_check() -> None:
    async def scene(at: World) -> None:
        _, writer = await at.connect()
        writer.close()
        await at.until(lambda: bool(at.of(Disconnected)))
        assert [type(event) for event in at.journal] == [Connected, Disconnected]
        assert at.of(Disconnected)[0].bytes_in == 0

    run(scene)


def test_half_a_head_is_garbage_at_its_end() -> None:
    async def scene(at: World) -> None:
        await at.say(b"GET / HTTP/1.1\r\nHos", eof=True)
        assert [(g.raw, g.reason) for g in at.of(Garbage)] == [
            (b"GET / HTTP/1.1\r\nHos", "the connection ended within a head")
        ]

    run(scene)


# --- its life --------------------------------------------------------------------------------------------------------


def test_refusing_closes_the_listening_socket_and_accepting_binds_the_same_port() -> None:
    async def scene(at: World) -> None:
        port = at.backend.port
        await at.backend.behave(Behaviour(accepting=False))
        with pytest.raises(ConnectionRefusedError):
            await at.connect()
        await at.backend.behave(Behaviour(accepting=True))
        assert at.backend.port == port
        assert parts((await at.say(request()))[0])[0] == 200

    run(scene)


def test_a_killed_backend_says_nothing_more_and_numbers_on_when_it_returns() -> None:
    async def scene(at: World) -> None:
        await at.script(Answer(hold=True))
        reader, writer = await at.connect()
        writer.write(request())
        await at.until(lambda: bool(at.of(BodyRead)))
        events = len(at.journal)
        at.backend.kill()
        assert (await read_to_end(reader))[1] in ("closed", "reset")
        writer.close()
        with pytest.raises(ConnectionRefusedError):
            await at.connect()
        assert len(at.journal) == events
        await at.backend.start(at.backend.host, at.backend.port)
        await at.script(Answer())
        await at.say(request())
        assert [c.connection for c in at.of(Connected)] == [1, 2]

    run(scene)


def test_a_later_generation_never_repeats_a_connections_number() -> None:
    async def play() -> None:
        journal: list[Event] = []
        for generation in (0, 1):
            backend = BackendServer("a", journal.append, generation=generation)
            await backend.start("127.0.0.1", 0)
            await World(backend, journal).say(request())
            await backend.stop()
        numbers = [event.connection for event in journal if isinstance(event, Connected)]
        assert numbers == [1, 1_000_001]

    asyncio.run(play())


def test_stopping_ends_connections_and_journals_their_end() -> None:
    async def play() -> None:
        async with world() as at:
            await at.script(Answer(hold=True))
            _, idle = await at.connect()
            _, busy = await at.connect()
            busy.write(request())
            await at.until(lambda: len(at.of(BodyRead)) == 1 and len(at.of(Connected)) == 2)
        assert [a.how for a in at.of(Answered)] == ["cut"]
        assert [d.by for d in at.of(Disconnected)] == ["backend", "backend"]
        idle.close()
        busy.close()

    asyncio.run(play())
