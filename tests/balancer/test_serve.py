"""`lbcheck serve`, as its user has it: a process with an admin API, metrics, an access log, signals."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

pytestmark = pytest.mark.slow
SPEC = """
version: 1
listeners:
  - name: public
    address: 127.0.0.1
    port: {port}
    rules: [{{priority: 1, when: {{path_exact: /fixed}}, then: {{respond: {{status: {status}, body: no}}}}}}]
    default: {{forward: web}}
pools:
  web:
    backends: [{{name: a, address: "127.0.0.1:{a}"}}, {{name: b, address: "127.0.0.1:{b}"}}]
    stickiness: {{type: lb_cookie, cookie: LB, duration: 1h}}
"""


class Named(ThreadingHTTPServer):
    """A backend that answers with its own name; `/slow` takes until `go` is set."""

    daemon_threads = True

    def __init__(self, name: str) -> None:
        self.name, self.go, self.busy = name, threading.Event(), threading.Event()
        super().__init__(("127.0.0.1", 0), Answering)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Named

    def do_GET(self) -> None:
        if self.path == "/slow":
            self.server.busy.set()
            self.server.go.wait(20)
        body = self.server.name.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@dataclass
class Served:
    process: subprocess.Popen[str]
    said: dict[str, Any]
    spec: Path
    log: Path
    backends: dict[str, Named]

    def get(self, path: str = "/", **more: Any) -> requests.Response:
        return requests.get(f"http://{self.said['listeners']['public']}{path}", timeout=10, **more)

    def names(self, n: int) -> list[str]:
        return [self.get().text for _ in range(n)]

    def admin(self, method: str, path: str, body: dict[str, Any] | None = None, token: str = "") -> requests.Response:
        headers = {"Authorization": f"Bearer {token or self.said['token']}"}
        return requests.request(method, f"http://{self.said['admin']}{path}", json=body, headers=headers, timeout=10)

    def write(self, status: int) -> None:
        ports = {name: backend.server_port for name, backend in self.backends.items()}
        port = int(self.said["listeners"]["public"].rpartition(":")[2])
        self.spec.write_text(SPEC.format(port=port, status=status, a=ports["a"], b=ports["b"]))


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    backends = {name: Named(name) for name in "abc"}
    spare = Named("spare")
    port = spare.server_port
    spare.shutdown()
    spare.server_close()
    spec, log = tmp_path / "lb.yaml", tmp_path / "access.log"
    spec.write_text(SPEC.format(port=port, status=403, a=backends["a"].server_port, b=backends["b"].server_port))
    command = [sys.executable, "-m", "lbcheck.balancer.serve", str(spec), "--admin", "127.0.0.1:0"]
    with subprocess.Popen(
        [*command, "--access-log", str(log)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield Served(process, json.loads(process.stdout.readline()), spec, log, backends)
        finally:
            process.kill()
            for backend in backends.values():
                backend.go.set()
                backend.shutdown()
                backend.server_close()


def eventually(condition: Any) -> bool:
    """Waits for a process to have taken something over: readiness, not a property."""
    for _ in range(200):
        if condition():
            return True
        time.sleep(0.025)
    return False


def test_members_come_and_go_by_the_admin_api(served: Served) -> None:
    assert set(served.names(4)) == {"a", "b"}
    address = f"127.0.0.1:{served.backends['c'].server_port}"
    new = {"pool": "web", "name": "c", "address": address, "weight": 1}
    assert served.admin("POST", "/register", new).status_code == 204
    assert set(served.names(6)) == {"a", "b", "c"}
    assert served.admin("POST", "/drain", {"pool": "web", "backend": "a"}).status_code == 204
    assert set(served.names(6)) == {"b", "c"}
    assert served.admin("POST", "/weights", {"pool": "web", "backend": "b", "weight": 0}).status_code == 204
    health = served.admin("GET", "/health").json()
    assert "draining" in json.dumps(health)
    assert served.admin("POST", "/deregister", {"pool": "web", "backend": "c"}).status_code == 204
    assert "c" not in served.names(4)


def test_the_admin_api_is_closed_without_its_token_and_says_what_is_wrong(served: Served) -> None:
    assert served.admin("GET", "/health", token="x" * 20).status_code == 401
    assert served.admin("POST", "/drain", {"pool": "web", "backend": "a"}, token="y" * 20).status_code == 401
    assert set(served.names(4)) == {"a", "b"}
    unknown = served.admin("POST", "/drain", {"pool": "web", "backend": "zz"})
    assert 400 <= unknown.status_code < 500
    assert "zz" in unknown.text


def test_metrics_and_the_access_log_count_requests(served: Served) -> None:
    served.names(5)
    text = served.admin("GET", "/metrics").text
    assert "# TYPE" in text
    assert 'backend="a"' in text
    assert eventually(lambda: len(served.log.read_text().splitlines()) >= 5)


def test_sighup_takes_a_new_spec_over_and_keeps_cookies(served: Served) -> None:
    first = served.get()
    cookie = {"LB": first.cookies["LB"]}
    served.write(status=410)
    served.process.send_signal(signal.SIGHUP)
    assert eventually(lambda: served.get("/fixed").status_code == 410)
    assert {served.get(cookies=cookie).text for _ in range(6)} == {first.text}


def test_a_spec_that_is_wrong_is_not_taken_over(served: Served) -> None:
    served.spec.write_text("version: 1\nlistners: []\n")
    assert served.admin("POST", "/reload").status_code >= 400
    assert served.get("/fixed").status_code == 403
    assert served.names(1)


def test_sigterm_finishes_what_is_under_way(served: Served) -> None:
    answers: list[str] = []
    slow = threading.Thread(target=lambda: answers.append(served.get("/slow").text))
    slow.start()
    assert eventually(lambda: any(backend.busy.is_set() for backend in served.backends.values()))
    served.process.send_signal(signal.SIGTERM)
    for backend in served.backends.values():
        backend.go.set()
    slow.join(10)
    assert served.process.wait(15) == 0
    assert answers in (["a"], ["b"])


def test_a_port_that_is_taken_is_named(served: Served) -> None:
    again = subprocess.run(
        [sys.executable, "-m", "lbcheck.balancer.serve", str(served.spec)],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert again.returncode != 0
    assert served.said["listeners"]["public"].rpartition(":")[2] in again.stderr
    assert "Traceback" not in again.stderr
