"""Who serves at a listener, and over TLS: what came in place of that, and what to do."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeAlias

import pytest
import trustme

from lbcheck.client.http import Endpoint
from lbcheck.client.tls import Tls
from lbcheck.lab.presence import missing
from tests.certificates import Authority, authority

Peer: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
WITHIN_S = 5.0


@pytest.fixture
def made(tmp_path: Path) -> Authority:
    return authority(tmp_path)


async def answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(65536)
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")


async def closes(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read(65536)


async def says_nothing(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    while await reader.read(65536):
        pass


def why(peer: Peer, tls: Tls | None, context: ssl.SSLContext | None, *, within: float = WITHIN_S) -> str:
    """What is missing, without where."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await peer(reader, writer)
        except (ConnectionError, ssl.SSLError):
            pass  # the client may go first
        finally:
            writer.close()

    async def ask() -> str:
        server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
        host, port = server.sockets[0].getsockname()
        try:
            said = await missing(Endpoint("public", host, port, tls), within, ask=False)
        finally:
            server.close()
            rest = asyncio.all_tasks() - {asyncio.current_task()}
            await asyncio.wait(rest, timeout=WITHIN_S) if rest else None
        assert said.startswith(f"{host}:{port} (public) ") or not said
        return said.partition("(public) ")[2]

    return asyncio.run(ask())


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_a_listener_whose_certificate_verifies_serves(made: Authority, name: str) -> None:
    assert why(answers, Tls(name, made.cafile), made.context()) == ""
    assert why(answers, None, None) == ""


def test_an_unknown_authority_is_told(made: Authority) -> None:
    assert why(answers, Tls("localhost"), made.context()) == (
        "shows a certificate that does not verify: unable to get local issuer certificate; "
        "--lb-cafile names a private CA"
    )
    other = trustme.CA()
    other.cert_pem.write_to_path(str(made.cafile))
    assert "does not verify" in why(answers, Tls("localhost", made.cafile), made.context())


@pytest.mark.parametrize(("name", "kind"), [("localhost", "Hostname"), ("127.0.0.1", "IP address")])
def test_a_certificate_of_another_name_is_told(made: Authority, name: str, kind: str) -> None:
    assert why(answers, Tls(name, made.cafile), made.context("other.test")) == (
        f"shows another's certificate: {kind} mismatch, certificate is not valid for '{name}'.; "
        "--lb-target takes a name that stands in it"
    )


@pytest.mark.parametrize(
    ("peer", "said"),
    [
        (answers, "speaks no TLS (wrong version number); a plain listener is met by http://"),
        (closes, "closes in the TLS handshake; a plain listener is met by http://"),
        (says_nothing, "does not accept a client over TLS within 0.5 s"),
    ],
)
def test_a_peer_that_speaks_no_tls_is_told(made: Authority, peer: Peer, said: str) -> None:
    within = 0.5 if peer is says_nothing else WITHIN_S
    assert why(peer, Tls("localhost", made.cafile), None, within=within) == said


@pytest.mark.parametrize("most", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_one_that_asks_for_a_clients_certificate_is_told(made: Authority, most: ssl.TLSVersion) -> None:
    context = asking(made)
    context.maximum_version = most
    said = told_by(made, context, shake, shake)  # the second where the first's reset overtook its alert
    assert re.search(r"\(public\) refuses a client over TLS: .*(certificate required|handshake failure)", said)


def asking(made: Authority) -> ssl.SSLContext:
    context = made.context()
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(made.cafile)
    return context


def told_by(made: Authority, context: ssl.SSLContext, *peers: Callable[[socket.socket, ssl.SSLContext], None]) -> str:
    """What is missing where each connection meets the next peer, on a socket of its own: that tells why it closes."""

    def serve() -> None:
        with contextlib.suppress(OSError):  # shut down: no further client
            for peer in peers:
                peer(listener.accept()[0], context)

    with ThreadPoolExecutor(1) as thread, socket.create_server(("127.0.0.1", 0)) as listener:
        served = thread.submit(serve)
        place = Endpoint("public", *listener.getsockname(), Tls("localhost", made.cafile))
        said = asyncio.run(missing(place, WITHIN_S, ask=False))
        listener.shutdown(socket.SHUT_RDWR)
        served.result()
    return said


def shake(conn: socket.socket, context: ssl.SSLContext) -> None:
    with contextlib.suppress(ssl.SSLError), context.wrap_socket(conn, server_side=True):
        pass


def test_an_alert_that_a_reset_has_swallowed_is_told_too(made: Authority) -> None:
    assert "refuses a client over TLS: " in told_by(made, asking(made), swallow, shake)


def swallow(conn: socket.socket, context: ssl.SSLContext) -> None:
    """Resets in place of the alert, as a kernel does for who closes before it has read everything."""
    came, goes = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(came, goes, server_side=True)
    with conn, contextlib.suppress(ssl.SSLError):
        while True:
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                conn.sendall(goes.read())
                came.write(conn.recv(65536))
            except ssl.SSLError:
                conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                raise


def test_one_that_resets_whatever_it_is_sent_serves(made: Authority) -> None:
    async def resets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.transport.abort()

    assert why(resets, Tls("localhost", made.cafile), made.context(), within=0.5) == ""
