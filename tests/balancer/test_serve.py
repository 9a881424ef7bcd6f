"""The balancer as a process: readiness, signals, files, and what it says where it can't begin."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.balancer.standing import free_port

SPEC = """
version: 1
listeners: [{{name: public, address: 127.0.0.1, port: {port}, default: {default}}}]
pools: {{web: {{backends: [{{name: a, address: "127.0.0.1:{backend}"}}]}}}}
"""


class Backend(BaseHTTPRequestHandler):
    """Answers at once; /held when it is released."""

    protocol_version = "HTTP/1.1"
    reached = threading.Event()
    released = threading.Event()

    def do_GET(self) -> None:
        if self.path == "/held":
            self.reached.set()
            assert self.released.wait(10)
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def backend() -> Iterator[int]:
    Backend.reached, Backend.released = threading.Event(), threading.Event()
    with ThreadingHTTPServer(("127.0.0.1", 0), Backend) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        Backend.released.set()
        server.shutdown()
        thread.join()


class Served:
    """A running `lbcheck.balancer.serve`."""

    def __init__(self, process: subprocess.Popen[str], said: dict[str, Any], port: int) -> None:
        self.process = process
        self.said = said
        self.port = port

    def get(self, path: str = "/") -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer

    def admin(self, path: str, token: str) -> int:
        connection = http.client.HTTPConnection(self.said["admin"], timeout=10)
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        status = connection.getresponse().status
        connection.close()
        return status


def write_spec(folder: Path, port: int, backend: int, default: str = "{forward: web}") -> Path:
    file = folder / "lb.yaml"
    file.write_text(SPEC.format(port=port, backend=backend, default=default))
    return file


@contextmanager
def served(folder: Path, backend: int, *options: str) -> Iterator[Served]:
    port = free_port()
    file = write_spec(folder, port, backend)
    with (folder / "stderr").open("w") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "lbcheck.balancer.serve", str(file), *options],
            stdout=subprocess.PIPE,
            stderr=err,
            text=True,
        )
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            assert line, (folder / "stderr").read_text()
            yield Served(process, json.loads(line), port)
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


def test_it_says_when_it_is_ready_and_serves(tmp_path: Path, backend: int) -> None:
    with served(tmp_path, backend) as lb:
        assert lb.said == {"ready": True, "pid": lb.process.pid, "listeners": {"public": f"127.0.0.1:{lb.port}"}}
        assert lb.get().status == 200


def test_the_admin_api_is_where_it_says_behind_the_token_it_says(tmp_path: Path, backend: int) -> None:
    with served(tmp_path, backend, "--admin", "127.0.0.1:0") as lb:
        assert lb.admin("/health", lb.said["token"]) == 200
        assert lb.admin("/health", "x") == 401


def test_a_token_from_a_file_is_not_said(tmp_path: Path, backend: int) -> None:
    (tmp_path / "token").write_text("0123456789abcdef\n")
    with served(tmp_path, backend, "--admin", "127.0.0.1:0", "--token-file", str(tmp_path / "token")) as lb:
        assert "token" not in lb.said
        assert lb.admin("/metrics", "0123456789abcdef") == 200


def test_sighup_reads_the_spec_again_and_a_bad_one_changes_nothing(tmp_path: Path, backend: int) -> None:
    def reloaded(what: str) -> None:
        """The process says it on stderr; it has been in force since."""
        for _ in range(500):
            if what in (tmp_path / "stderr").read_text():
                return
            threading.Event().wait(0.01)
        raise AssertionError((tmp_path / "stderr").read_text())

    with served(tmp_path, backend) as lb:
        write_spec(tmp_path, lb.port, backend, "{respond: {status: 410}}")
        os.kill(lb.process.pid, signal.SIGHUP)
        reloaded(": reloaded")
        assert lb.get().status == 410
        (tmp_path / "lb.yaml").write_text("nonsense: [")
        os.kill(lb.process.pid, signal.SIGHUP)
        reloaded("the old spec stays in force")
        assert lb.get().status == 410


def test_sigterm_finishes_what_is_under_way(tmp_path: Path, backend: int) -> None:
    with served(tmp_path, backend) as lb:
        answers: list[int] = []
        client = threading.Thread(target=lambda: answers.append(lb.get("/held").status))
        client.start()
        assert Backend.reached.wait(10)
        lb.process.terminate()
        Backend.released.set()
        client.join(10)
        assert answers == [200]
        assert lb.process.wait(10) == 0


def test_a_second_sigterm_ends_it_at_once(tmp_path: Path, backend: int) -> None:
    with served(tmp_path, backend) as lb:
        errors: list[Exception] = []

        def held() -> None:
            try:
                lb.get("/held")
            except (OSError, http.client.HTTPException) as error:
                errors.append(error)

        client = threading.Thread(target=held)
        client.start()
        assert Backend.reached.wait(10)
        lb.process.terminate()
        for _ in range(500):
            if "stopping" in (tmp_path / "stderr").read_text():
                break
            threading.Event().wait(0.01)
        lb.process.terminate()
        assert lb.process.wait(10) == 0
        client.join(10)
        assert len(errors) == 1


def test_the_access_log_has_a_line_a_request_that_nobody_forges(tmp_path: Path, backend: int) -> None:
    log = tmp_path / "access.log"
    with served(tmp_path, backend, "--access-log", str(log)) as lb:
        lb.get('/a"b?c=\\d')
        with pytest.raises(http.client.InvalidURL):
            lb.get("/x\r\nforged")
        lb.process.terminate()
        lb.process.wait(10)
    [line] = log.read_text().splitlines()
    assert r' public 127.0.0.1 "GET /a\"b?c=\\d" 200 2 web/a ' in line


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["missing.yaml"], "missing.yaml"),
        (["SPEC", "--admin", "0.0.0.0:0"], "loopback"),
        (["SPEC", "--admin", "nonsense"], "HOST:PORT"),
        (["SPEC", "--token-file", "missing"], "missing"),
        (["SPEC", "--defect", "no-such-defect"], "no-such-defect"),
        (["SPEC", "--access-log", "/no/such/folder/log"], "/no/such/folder/log"),
        ([], "LBCHECK_SPEC"),
    ],
)
def test_what_keeps_it_from_beginning_is_said_without_a_traceback(
    tmp_path: Path, options: list[str], expected: str
) -> None:
    spec = str(write_spec(tmp_path, free_port(), 1))
    words = [spec if word == "SPEC" else word for word in options]
    done = subprocess.run(
        [sys.executable, "-m", "lbcheck.balancer.serve", *words],
        capture_output=True,
        text=True,
        timeout=30,
        env={k: v for k, v in os.environ.items() if k != "LBCHECK_SPEC"},
    )
    assert done.returncode == 2
    assert expected in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_taken_port_is_named(tmp_path: Path, backend: int) -> None:
    spec = write_spec(tmp_path, backend, backend)
    command = [sys.executable, "-m", "lbcheck.balancer.serve", str(spec)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 2
    assert f"127.0.0.1:{backend}: the port is taken" in done.stderr
