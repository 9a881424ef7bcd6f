"""The admin API over real sockets: nobody without the token, every change in force when its answer has come."""

from __future__ import annotations

import asyncio
import json
import math
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from lbcheck.balancer.admin import Admin
from lbcheck.errors import UsageError
from lbcheck.spec.model import HealthCheck
from tests.balancer.conftest import Run
from tests.balancer.standing import Message, Stand, echo, read_message, standing, until

TOKEN = "a-token-for-a-test"


class Desk:
    """A client of the API."""

    def __init__(self, stand: Stand, address: tuple[str, int]) -> None:
        self.stand = stand
        self.address = address

    async def send(self, data: bytes) -> Message | None:
        reader, writer = await asyncio.open_connection(*self.address)
        writer.write(data)
        answer = await read_message(reader)
        writer.close()
        return answer

    async def ask(self, method: str, target: str, said: Any = None, *, token: str = TOKEN) -> Message:
        body = b"" if said is None else json.dumps(said).encode()
        head = f"{method} {target} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n"
        answer = await self.send(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        assert answer is not None
        return answer


@asynccontextmanager
async def desk(**pool: Any) -> AsyncIterator[Desk]:
    async with standing(echo, echo, **pool) as stand:

        def reload() -> None:
            stand.balancer.reload(stand.balancer.decisions.spec)

        admin = Admin(stand.balancer, TOKEN, reload)
        try:
            yield Desk(stand, await admin.start("127.0.0.1", 0))
        finally:
            admin.close()


@pytest.mark.parametrize("token", ["", "wrong", TOKEN + "x", TOKEN[:-1]])
def test_nobody_without_the_token(run: Run, token: str) -> None:
    async def scene() -> None:
        async with desk() as api:
            for method, target in (("GET", "/health"), ("GET", "/metrics"), ("POST", "/drain"), ("GET", "/nowhere")):
                answer = await api.ask(method, target, {"pool": "web", "backend": "a"}, token=token)
                assert answer.status == 401
            bare = await api.send(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
            assert bare is not None
            assert bare.status == 401
            assert not api.stand.pool.backends[0].draining

    run(scene())


def test_health_says_what_is_known(run: Run) -> None:
    async def scene() -> None:
        async with desk(health_check=HealthCheck(interval=60.0)) as api:
            await until(lambda: api.stand.pool.backends[1].healthy is True, "probed")
            said = json.loads((await api.ask("GET", "/health")).body)
            backend = api.stand.backends[0]
            assert said["pools"]["web"]["a"] == {
                "healthy": True,
                "draining": False,
                "in_flight": 0,
                "weight": 1,
                "address": f"127.0.0.1:{backend.port}",
            }

    run(scene())


def test_a_change_is_in_force_when_its_answer_has_come(run: Run) -> None:
    async def scene() -> None:
        async with desk() as api:
            first, second = api.stand.backends
            assert (await api.ask("POST", "/drain", {"pool": "web", "backend": "a"})).status == 204
            assert [(await api.stand.get()).status for _ in range(3)] == [200] * 3
            assert len(first.requests) == 0
            again = {"pool": "web", "name": "a", "address": f"127.0.0.1:{first.port}", "weight": 2}
            assert (await api.ask("POST", "/register", again)).status == 204
            assert (await api.ask("POST", "/weights", {"pool": "web", "backend": "b", "weight": 0})).status == 204
            seen = len(second.requests)
            await api.stand.get()
            assert (len(first.requests), len(second.requests)) == (1, seen)
            assert (await api.ask("POST", "/deregister", {"pool": "web", "backend": "a"})).status == 204
            assert (await api.stand.get()).status == 503
            assert (await api.ask("POST", "/reload")).status == 204
            assert (await api.stand.get()).status == 200

    run(scene())


@pytest.mark.parametrize(
    ("method", "target", "said", "status", "word"),
    [
        ("POST", "/drain", {"pool": "web", "backend": "z"}, 400, "z"),
        ("POST", "/drain", {"pool": "nowhere", "backend": "a"}, 400, "nowhere"),
        ("POST", "/drain", {}, 400, "pool"),
        ("POST", "/drain", [], 400, "object"),
        ("POST", "/deregister", {"pool": "web", "backend": "z"}, 400, "z"),
        ("POST", "/deregister", {"pool": "nowhere", "backend": "z"}, 400, "nowhere"),
        ("POST", "/register", {"pool": "web", "name": "c", "address": "nonsense"}, 400, "host:port"),
        ("POST", "/register", {"pool": "nowhere", "name": "c", "address": "127.0.0.1:1"}, 400, "nowhere"),
        ("POST", "/weights", {"pool": "web", "backend": "a", "weight": -1}, 400, "weight"),
        ("POST", "/weights", {"pool": "web", "backend": "a", "weight": "2"}, 400, "weight"),
        ("GET", "/drain", None, 405, "POST"),
        ("POST", "/health", None, 405, "GET"),
        ("GET", "/", None, 404, "/health"),
    ],
)
def test_what_can_not_be_done_is_said(run: Run, method: str, target: str, said: Any, status: int, word: str) -> None:
    async def scene() -> None:
        async with desk() as api:
            answer = await api.ask(method, target, said)
            assert answer.status == status
            assert word in json.loads(answer.body)["error"]

    run(scene())


@pytest.mark.parametrize("data", [b"garbage\r\n\r\n", b"POST /drain HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"])
def test_garbage_is_refused(run: Run, data: bytes) -> None:
    async def scene() -> None:
        async with desk() as api:
            answer = await api.send(data)
            assert answer is not None
            assert answer.status == 400
            assert (await api.ask("GET", "/health")).status == 200

    run(scene())


def test_a_body_that_is_no_json_or_too_large_is_refused(run: Run) -> None:
    head = f"POST /drain HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {TOKEN}\r\n"

    async def scene() -> None:
        async with desk() as api:
            for tail, status in (("Content-Length: 3\r\n\r\n{x}", 400), ("Content-Length: 99999999\r\n\r\n", 413)):
                answer = await api.send((head + tail).encode())
                assert answer is not None
                assert answer.status == status

    run(scene())


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "localhost", "::"])
def test_it_listens_on_loopback_addresses_alone(run: Run, host: str) -> None:
    async def scene() -> None:
        async with standing(echo) as stand:
            with pytest.raises(UsageError, match="loopback"):
                await Admin(stand.balancer, TOKEN, lambda: None).start(host, 0)

    run(scene())


# --- metrics ---------------------------------------------------------------------------------------------------------


def samples(text: str) -> dict[str, float]:
    """Every sample by its name and labels; fails where a line is no sample, a family has no type or comes twice."""
    found: dict[str, float] = {}
    typed: list[str] = []
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            typed.append(line.split()[2])
        elif not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            assert name not in found
            assert any(name.startswith(family) for family in typed)
            found[name] = float(value)
            assert not math.isnan(found[name])
    assert len(typed) == len(set(typed))
    return found


def test_metrics_count_what_happened(run: Run) -> None:
    async def scene() -> None:
        async with desk() as api:
            for _ in range(4):
                await api.stand.get()
            await api.stand.send(b"GET / HTTP/1.1\r\n\r\n")
            api.stand.backends[0].refuse()
            api.stand.balancer.upstreams.close()
            await api.stand.get()
            await api.stand.get()
            text = (await api.ask("GET", "/metrics")).body.decode()
            found = samples(text)
            requests = 'lbcheck_requests_total{listener="public",pool="web",backend="%s",code="%s"}'
            assert found[requests % ("a", "200")] == 2
            assert found[requests % ("b", "200")] == 3
            assert found[requests % ("a", "502")] == 1
            assert found['lbcheck_refused_total{listener="public",code="400"}'] == 1
            assert found['lbcheck_request_duration_seconds_count{pool="web"}'] == 6
            assert found['lbcheck_request_duration_seconds_bucket{pool="web",le="+Inf"}'] == 6
            assert found['lbcheck_in_flight{pool="web",backend="a"}'] == 0
            assert found['lbcheck_backend_healthy{pool="web",backend="b"}'] == 1

    run(scene())


def test_a_unix_socket_is_its_owners_and_needs_no_token(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with standing(echo, echo) as stand:
            admin = Admin(stand.balancer, TOKEN, lambda: None)
            path = tmp_path / "admin.sock"
            await admin.start_unix(str(path))
            try:
                assert stat.S_IMODE(path.stat().st_mode) == 0o600
                reader, writer = await asyncio.open_unix_connection(str(path))
                writer.write(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
                answer = await read_message(reader)
                writer.close()
                assert answer is not None
                assert b"in_flight" in answer.body
            finally:
                admin.close()

    run(scenario())


def test_a_unix_socket_that_cannot_be_is_told(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with standing(echo) as stand:
            with pytest.raises(UsageError, match="107 bytes"):
                await Admin(stand.balancer, TOKEN, lambda: None).start_unix(str(tmp_path / ("x" * 200)))

    run(scenario())
