"""The raw client over TLS against real loopback peers: bytes, times and ends keep their meaning."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeAlias

import pytest

from lbcheck.client.http import Endpoint, HttpClient, Kept
from lbcheck.client.outgoing import Pace
from lbcheck.client.tls import Tls, context_of
from lbcheck.errors import Unsupported, UsageError
from lbcheck.history import Exchange
from lbcheck.lab.local import new_loop
from lbcheck.spec.request import Request
from tests.certificates import Authority, authority

Serving: TypeAlias = Callable[[socket.socket, ssl.SSLContext], object]
Scene: TypeAlias = Callable[[HttpClient, Endpoint], Awaitable[object]]

GET = Request()
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"
PATIENCE_S = 10.0


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(params=[asyncio.new_event_loop, new_loop], ids=["asyncio", "the lab's"])
def loop(request: pytest.FixtureRequest) -> Callable[[], asyncio.AbstractEventLoop]:
    return request.param  # type: ignore[no-any-return]


def play(
    made: Authority,
    serving: Serving,
    scene: Scene,
    loop: Callable[[], asyncio.AbstractEventLoop] = new_loop,
    *,
    name: str = "localhost",
    shown: tuple[str, ...] = (),
    most: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
) -> tuple[object, list[Exchange]]:
    """(what the peer says in the end, what the client recorded): one connection, served by a thread."""
    context = made.context(*shown)
    context.maximum_version = most
    exchanges: list[Exchange] = []

    async def client(port: int) -> None:
        http = HttpClient(exchanges.append)
        try:
            await scene(http, Endpoint("public", "127.0.0.1", port, Tls(name, made.cafile)))
        finally:
            await http.close()

    def serve() -> object:
        conn, _ = listener.accept()
        conn.settimeout(PATIENCE_S)
        with conn:
            return serving(conn, context)

    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as thread:
        listener.settimeout(PATIENCE_S)
        said = thread.submit(serve)
        with asyncio.Runner(loop_factory=loop) as runner:
            runner.run(client(listener.getsockname()[1]))
        return said.result(PATIENCE_S), exchanges


def over_tls(serving: Callable[[ssl.SSLSocket], object]) -> Serving:
    """Closes in the end with FIN alone."""

    def shaken(conn: socket.socket, context: ssl.SSLContext) -> object:
        with context.wrap_socket(conn, server_side=True, suppress_ragged_eofs=False) as tls:
            return serving(tls)

    return shaken


def head(tls: ssl.SSLSocket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        data += tls.recv(65536)
    return data


def one(*, within: float = 5.0) -> Scene:
    return lambda http, to: http.send(to, GET, within=within)


# --- what is sent and recorded ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("most", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_requests_go_over_one_connection_with_name_and_protocol(
    made: Authority, loop: Callable[[], asyncio.AbstractEventLoop], most: ssl.TLSVersion
) -> None:
    names: list[str | None] = []

    def serving(tls: ssl.SSLSocket) -> object:
        for _ in range(2):
            head(tls)
            tls.sendall(OK)
        return tls.selected_alpn_protocol(), tls.getpeername()[0]

    async def scene(http: HttpClient, to: Endpoint) -> None:
        kept = Kept()
        for _ in range(2):
            await http.send(to, Request(source="127.0.9.8"), on=kept)

    def offering(conn: socket.socket, context: ssl.SSLContext) -> object:
        context.set_alpn_protocols(["h2", "http/1.1"])
        context.sni_callback = lambda _, name, __: names.append(name)
        return over_tls(serving)(conn, context)

    said, exchanges = play(made, offering, scene, loop, most=most)
    assert said == ("http/1.1", "127.0.9.8")
    assert names == ["localhost"]
    assert [(e.status, e.body, e.complete, e.index, e.source) for e in exchanges] == [
        (200, b"abc", True, 0, "127.0.9.8"),
        (200, b"abc", True, 1, "127.0.9.8"),
    ]
    for e in exchanges:
        moments = [e.invoked, e.sent, e.first_byte, e.done]
        assert moments == sorted(moment for moment in moments if moment is not None)


def test_large_bodies_go_both_ways_whole(made: Authority, loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    body = bytes(range(256)) * 20_000

    def serving(tls: ssl.SSLSocket) -> object:
        data = head(tls).partition(b"\r\n\r\n")[2]
        while len(data) < len(body):
            data += tls.recv(65536)
        tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        return data == body

    said, (exchange,) = play(made, over_tls(serving), lambda http, to: http.send(to, Request("PUT"), body=body), loop)
    assert said is True
    assert (exchange.complete, exchange.body_len) == (True, len(body))


def test_each_paced_piece_is_a_record_of_its_own(made: Authority) -> None:
    data = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"

    def serving(tls: ssl.SSLSocket) -> object:
        pieces: list[bytes] = []
        while b"\r\n\r\n" not in b"".join(pieces):
            pieces.append(tls.recv(65536))
        tls.sendall(OK)
        return pieces

    said, exchanges = play(made, over_tls(serving), lambda http, to: http.raw(to, data, pace=Pace(10, 0.003), within=5))
    assert said == [data[:10], data[10:20], data[20:]]
    assert [e.complete for e in exchanges] == [True]


# --- ends ------------------------------------------------------------------------------------------------------------


ALERT = b"\x15\x03\x03"  # a record's first bytes (RFC 5246 section 6.2.1); what it says is encrypted


def how_it_ends(tls: ssl.SSLSocket) -> list[str]:
    """What comes after a request that gets no answer."""
    head(tls)
    ends = []
    with socket.socket(fileno=tls.detach()) as tcp:
        tcp.settimeout(PATIENCE_S)
        try:
            while came := tcp.recv(65536):
                ends.append("alert" if came.startswith(ALERT) else "more")
            ends.append("FIN")
        except ConnectionResetError:
            ends.append("RST")
    return ends


@pytest.mark.parametrize(("rst", "ends"), [(False, ["alert", "FIN"]), (True, ["RST"])], ids=["goes away", "resets"])
def test_a_client_that_goes_away_waits_for_nobody(
    made: Authority, loop: Callable[[], asyncio.AbstractEventLoop], rst: bool, ends: list[str]
) -> None:
    async def scene(http: HttpClient, to: Endpoint) -> None:
        call = http.start(to, GET)
        for _ in range(1000):
            if call.sent is not None:
                break
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.05)  # what the peer reads first
        call.end("aborted", rst=rst)
        await call.done

    said, (exchange,) = play(made, over_tls(how_it_ends), scene, loop, most=ssl.TLSVersion.TLSv1_2)
    assert said == ends
    assert exchange.error == "aborted"


@pytest.mark.parametrize(
    ("notifies", "answer", "complete", "error"),
    [
        (True, b"HTTP/1.1 200 OK\r\n\r\nto the end", True, None),
        (False, b"HTTP/1.1 200 OK\r\n\r\nto the end", False, "reset"),
        (True, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ncut", False, "cut"),
        (True, b"", False, "closed"),
        (False, b"", False, "reset"),
        (False, OK, True, None),
    ],
)
def test_only_close_notify_is_an_end(
    made: Authority,
    loop: Callable[[], asyncio.AbstractEventLoop],
    notifies: bool,
    answer: bytes,
    complete: bool,
    error: str | None,
) -> None:
    def serving(tls: ssl.SSLSocket) -> object:
        head(tls)
        tls.sendall(answer)
        return tls.unwrap() and None if notifies else None

    _, (exchange,) = play(made, over_tls(serving), one(), loop)
    assert (exchange.complete, exchange.error) == (complete, error)


def test_half_close_is_unsupported(made: Authority) -> None:
    async def scene() -> None:
        http = HttpClient(lambda _: None)
        with pytest.raises(Unsupported, match="half close"):
            await http.raw(Endpoint("public", "127.0.0.1", 1, Tls("localhost", made.cafile)), b"", half_close=True)

    asyncio.run(scene())


# --- handshakes that fail --------------------------------------------------------------------------------------------


def refused(conn: socket.socket, context: ssl.SSLContext) -> object:
    with pytest.raises(ssl.SSLError):
        over_tls(head)(conn, context)
    return "refused"


def plain(conn: socket.socket, _: ssl.SSLContext) -> object:
    conn.recv(65536)
    conn.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    return "plain"


def silent(conn: socket.socket, _: ssl.SSLContext) -> object:
    while conn.recv(65536):
        pass
    return "silent"


@pytest.mark.parametrize(
    ("serving", "shown", "error"),
    [
        (refused, ("other.test",), "garbage"),
        (plain, (), "garbage"),
        (lambda conn, _: conn.recv(65536) and None, (), "closed"),
        (silent, (), "timeout"),
    ],
    ids=["another's certificate", "no TLS", "closes", "says nothing"],
)
def test_a_failed_handshake_is_the_targets_and_nothing_was_sent(
    made: Authority,
    loop: Callable[[], asyncio.AbstractEventLoop],
    serving: Serving,
    shown: tuple[str, ...],
    error: str,
) -> None:
    _, (exchange,) = play(made, serving, one(within=0.5 if serving is silent else 5.0), loop, shown=shown)
    assert (exchange.error, exchange.sent, exchange.status) == (error, None, None)


def test_a_file_without_a_certificate_is_refused(tmp_path: Path) -> None:
    empty = tmp_path / "ca.pem"
    empty.write_text("no certificate\n")
    for path, why in ((empty, "holds no certificate"), (tmp_path, "Is a directory")):
        with pytest.raises(UsageError, match=f"--lb-cafile=.*: {why}"):
            context_of(path)
