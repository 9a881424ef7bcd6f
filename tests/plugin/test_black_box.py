"""A balancer that runs already: judged by its URL, with backends that tell and with others; and what is refused."""

from __future__ import annotations

import select
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lbcheck.errors import UsageError
from lbcheck.plugin.catalogue import everything
from lbcheck.plugin.documents import documents_of
from lbcheck.plugin.options import OPTIONS
from lbcheck.plugin.places import refuse_places
from lbcheck.plugin.plan import Planner
from lbcheck.plugin.settings import Settings, settings_of
from lbcheck.plugin.trial import again
from lbcheck.targets import find
from tests.certificates import authority
from tests.ports import free_ports
from tests.standing import SECRET, backend

from .conftest import Project

pytest_plugins = ["pytester"]

URL = "http://127.0.0.1:18080"  # as in the project's lb.yaml
NAMES = ("a", "b")
SPEC = """\
version: 1
listeners:
  - name: public
    protocol: {protocol}
    forwarded: {{}}
    address: 127.0.0.1
    port: {public}
    rules:
      - {{priority: 10, when: {{path_prefix: /old}}, then: {{redirect: {{status: 301, path: /new, query: ""}}}}}}
      - {{priority: 20, when: {{path_exact: /ping}}, then: {{respond: {{status: 200, body: pong}}}}}}
    default: {{forward: web}}
pools:
  web:
    algorithm: round_robin
    health_check: {{path: /health, interval: 400ms, timeout: 400ms, healthy_threshold: 2, unhealthy_threshold: 3}}
    backends: [{{name: a, address: "127.0.0.1:{a}"}}, {{name: b, address: "127.0.0.1:{b}"}}]
"""
CONFIG = """\
defaults
  mode http
  timeout connect 1s
  timeout client 30s
  timeout server 30s
frontend public
  bind 127.0.0.1:{public}{tls}
  option forwardfor
  http-request set-header X-Forwarded-Proto %[ssl_fc,iif(https,http)]
  http-request set-header X-Forwarded-Port %[dst_port]
  acl old path -m str /old
  acl old path -m beg /old/
  http-request redirect code 301 location {scheme}://%[req.hdr(host),field(1,:)]:{public}/new if old
  http-request return status 200 content-type text/plain string ping if {{ path /ping }}
  default_backend web
backend web
  balance roundrobin
  timeout check 400
  option httpchk GET /health
  http-check expect status 200-299
  http-response set-header X-Served-By %s
  default-server check inter 400 rise 2 fall 3
  server a 127.0.0.1:{a}
  server b 127.0.0.1:{b}
"""  # of two fixed texts one is not the spec's


def settings(folder: Path, **given: Any) -> Settings:
    values = {option.name: None for option in OPTIONS} | {"target": URL}
    token = {"LBCHECK_TOKEN": given.pop("token", SECRET)}
    return settings_of(values | {k.replace("_", "-"): v for k, v in given.items()}, token, folder)


# --- what is refused before anything is sent -------------------------------------------------------------------------


@pytest.mark.fast
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "expected either --lb-backend, .* or --lb-identify"),
        ({"backend": ["a=127.0.0.1:1"], "identify": "header:X"}, "expected either --lb-backend"),
        ({"identify": "header:X"}, "--lb-identify needs --lb-spec"),
        ({"backend": ["a=127.0.0.1:1"], "token": ""}, "expected the token of its backends in LBCHECK_TOKEN"),
        ({"backend": ["a=127.0.0.1:1"], "binary": "haproxy"}, "--lb-config and --lb-binary are for those that"),
        ({"target": "nginx", "backend": ["a=127.0.0.1:1"]}, "was given with --lb-target=nginx"),
        ({"target": "nginx", "allow_remote": True}, "was given with --lb-target=nginx"),
        ({"target": "nginx", "cafile": __file__}, "was given with --lb-target=nginx"),
    ],
)
def test_options_that_do_not_go_together(tmp_path: Path, given: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        settings(tmp_path, **given)


@pytest.mark.fast
@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"target": "http://192.0.2.1"},
            r"not on this machine: --lb-target at 192\.0\.2\.1, .*; nothing was sent",
        ),
        ({"backend": ["a=192.0.2.1:1"]}, r"not on this machine: --lb-backend=a at 192\.0\.2\.1"),
        ({"target": "http://192.0.2.1", "allow_remote": "yes"}, None),
    ],
)
def test_what_is_not_on_this_machine_needs_a_consent(
    tmp_path: Path, given: dict[str, Any], message: str | None
) -> None:
    black_box = settings(tmp_path, **{"backend": ["a=127.0.0.1:1"], **given})
    spec = documents_of(black_box).loaded[""].spec
    if message is None:
        refuse_places(black_box, spec)
        return
    with pytest.raises(UsageError, match=message):
        refuse_places(black_box, spec)


@pytest.mark.fast
def test_the_command_that_repeats_a_check_says_no_token(tmp_path: Path) -> None:
    words = again(settings(tmp_path, backend=["a=127.0.0.1:1"]), "ALG-01[web]")
    assert words.startswith(f"pytest --lb-target={URL} --lb-backend=a=127.0.0.1:1 '--lb-only=ALG-01[web]'")
    assert SECRET not in words
    secure = settings(tmp_path, target="https://lb.test", backend=["a=127.0.0.1:1"], cafile=__file__)
    assert f" --lb-cafile={__file__} " in again(secure, "ALG-01[web]")
    assert SECRET not in repr(settings(tmp_path, backend=["a=127.0.0.1:1"]))


@pytest.mark.fast
def test_without_a_spec_no_algorithm_and_no_times_are_claimed(tmp_path: Path) -> None:
    black_box = settings(tmp_path, backend=["a=127.0.0.1:1", "b=127.0.0.1:2"])
    planner = Planner(black_box, documents_of(black_box).loaded, find(URL), {})
    planned = {check.id for check in everything().values() if planner.cases(check)}
    assert {"RTE-18", "HTT-08", "FLO-07"} <= planned
    assert not {"ALG-01", "FLO-02"} & planned


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--lb-target=http://127.0.0.1:1",), "*and the spec's listeners are public at 127.0.0.1:18080*"),
        (("--lb-target=https://127.0.0.1:18080",), "*says https://, and listener public of the spec HTTP*"),
        (("--lb-target=tcp://127.0.0.1:18080",), "*no check speaks of TCP listeners yet*"),
        (("--lb-cafile=missing.pem",), "*--lb-cafile=missing.pem: there is no such file*"),
        (("--lb-cafile=lb.yaml",), "*--lb-cafile=lb.yaml: holds no certificate*"),
        (("--lb-backend=a=127.0.0.1:1",), "*no --lb-backend for api/b of the spec*"),
        (("--lb-identify=cookie:a",), "*expected header:NAME or body:REGEX*"),
        (("--lb-identify=header:X", "-n", "2"), "*one check at a time*"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(
    project: Project, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], line: str
) -> None:
    monkeypatch.setenv("LBCHECK_TOKEN", SECRET)
    given = [f"--lb-target={URL}", "--lb-spec=lb.yaml", *words]
    if not any(word.startswith(("--lb-backend", "--lb-identify")) for word in words):
        given.append("--lb-identify=header:X")
    result = project.pytester.runpytest_subprocess(*given, timeout=60)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([line])


# --- runs ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Site:
    """A balancer and its backends that somebody started, and a project that judges them."""

    project: Project
    ports: dict[str, int]
    backends: tuple[str, ...]
    scheme: str = "http"

    def run(self, *words: str, host: str = "127.0.0.1") -> pytest.RunResult:
        given = (f"--lb-target={self.scheme}://{host}:{self.ports['public']}", "--lb-spec=lb.yaml")
        return self.project.pytester.runpytest_subprocess(*given, *words, timeout=400)

    @property
    def told(self) -> tuple[str, ...]:
        return tuple(f"--lb-backend={backend}" for backend in self.backends)


@contextmanager
def site(project: Project, *, balancer: bool = True, scheme: str = "http", tls: str = "") -> Iterator[Site]:
    """`tls`: words after the address of HAProxy's listener."""
    ports = dict(zip(("public", *NAMES), free_ports(3), strict=True))
    folder = project.pytester.path
    (folder / "lb.yaml").write_text(SPEC.format(**ports, protocol=scheme.upper()))
    (folder / "haproxy.cfg").write_text(CONFIG.format(**ports, scheme=scheme, tls=tls))
    with ExitStack() as ending:
        started = {name: ending.enter_context(backend(name, port=ports[name])) for name in NAMES}
        if balancer:
            ending.enter_context(haproxy(folder, ports["public"]))
        backends = tuple(f"{name}=127.0.0.1:{each.control}" for name, each in started.items())
        yield Site(project, ports, backends, scheme)


@contextmanager
def haproxy(folder: Path, port: int) -> Iterator[None]:
    """Until the end of the block, from when it accepts."""
    command = [find("haproxy").binary, "-db", "-f", "haproxy.cfg"]
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL) as process:
        try:
            assert any(accepts(port) for _ in range(400))
            yield
        finally:
            process.terminate()


def accepts(port: int) -> bool:
    """Asked again at once it would say the same."""
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        select.select([], [], [], 0.05)
        return False
    return True


@pytest.fixture
def told_token(monkeypatch: pytest.MonkeyPatch, project: Project) -> None:  # noqa: ARG001  (which unsets all others)
    monkeypatch.setenv("LBCHECK_TOKEN", SECRET)


@pytest.mark.slow
@pytest.mark.nightly  # some minutes; the sample below looks at the same
@pytest.mark.usefixtures("told_token")
def test_a_whole_run_says_what_the_gate_says_of_the_same_configuration(project: Project) -> None:
    with site(project) as running:
        assert running.run(*running.told, "--lb-level=core").ret == 1
        from_outside, record = project.outcomes(), project.record()
        assert (record["mode"], record["environment"]["lab"]) == ("black box", "attached")
        assert running.run("--lb-identify=header:X-Served-By", "--lb-level=core").ret == 1
        by_answers = project.outcomes()
    gate = ("--lb-target=haproxy", "--lb-config=haproxy.cfg", "--lb-spec=lb.yaml", "--lb-level=core")
    assert project.pytester.runpytest_subprocess(*gate, timeout=400).ret == 1
    from_inside = project.outcomes()
    assert from_outside.keys() == from_inside.keys() == by_answers.keys()
    decided = {"holds", "broken"}
    for other in (from_outside, by_answers):
        both = {node for node in from_inside if {from_inside[node], other[node]} <= decided}
        assert {node: other[node] for node in both} == {node: from_inside[node] for node in both}
    known = {"ALG-01[web]": "holds", "RTE-14[public/10]": "holds", "RTE-15[public/20]": "broken"}
    for run in (from_outside, from_inside, by_answers):
        assert {node: run.get(node) for node in known} == known
    assert by_answers["FLO-02[web]"] == by_answers["HLT-01[web]"] == "unsupported"


@pytest.mark.slow
@pytest.mark.usefixtures("told_token")
def test_a_balancer_that_is_down_is_never_ready(project: Project) -> None:
    with site(project, balancer=False) as running:
        result = running.run(*running.told, "--lb-only=ALG-01,RTE-18")
    assert result.ret == 10
    result.stdout.fnmatch_lines(["TARGET NEVER READY*", "*does not accept*", "*start the balancer, or correct*"])


@pytest.mark.slow
@pytest.mark.parametrize("token", [SECRET, "another secret of that length"])
def test_a_backend_that_is_not_to_be_had_ends_the_run(
    project: Project, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    monkeypatch.setenv("LBCHECK_TOKEN", token)
    with site(project) as running:
        backends = running.told if token != SECRET else (running.told[0], "--lb-backend=b=127.0.0.1:1")
        result = running.run(*backends, "--lb-only=ALG-01,RTE-18")
    assert result.ret == 1
    assert list(project.outcomes().values()) == ["harness fault", "not run"]
    why = "the token is wrong" if token != SECRET else "control at 127.0.0.1:1: Connection refused"
    assert why in project.record()["checks"][0]["reason"]


# --- over TLS --------------------------------------------------------------------------------------------------------

SAMPLE = "--lb-only=ALG-01,FLO-10,HTT-01,HTT-02,HTT-08,HTT-31,RTE-14,RTE-15"
TLS = " ssl crt lb.pem alpn h2,http/1.1"


@pytest.fixture
def known(project: Project) -> str:
    """The option that names the CA of lb.pem."""
    made = authority(project.pytester.path)
    made.keys(project.pytester.path / "lb.pem", "127.0.0.1")
    return f"--lb-cafile={made.cafile}"


@pytest.mark.slow
@pytest.mark.usefixtures("told_token")
def test_over_tls_the_same_is_said_as_without(project: Project, known: str) -> None:
    with site(project) as running:
        assert running.run(*running.told, SAMPLE).ret == 1
        plain = project.outcomes()
    with site(project, scheme="https", tls=TLS) as running:
        assert running.run(*running.told, SAMPLE, known).ret == 1
        over_tls = project.outcomes()
        assert running.run("--lb-identify=header:X-Served-By", SAMPLE, known).ret == 1
        by_answers = project.outcomes()
    assert over_tls == plain
    wanted = {"HTT-02[public]": "holds", "RTE-14[public/10]": "holds", "RTE-15[public/20]": "broken"}
    assert {node: over_tls.get(node) for node in wanted} == wanted
    assert by_answers["RTE-14[public/10]"] == by_answers["ALG-01[web]"] == "holds"


@pytest.mark.slow
@pytest.mark.usefixtures("told_token")
@pytest.mark.parametrize(
    ("tls", "host", "trusting", "line"),
    [
        (TLS, "127.0.0.1", False, "*certificate that does not verify: *; --lb-cafile names a private CA*"),
        (TLS, "localhost", True, "*another's certificate: Hostname mismatch*'localhost'*; --lb-target takes a name*"),
        ("", "127.0.0.1", True, "*speaks no TLS (wrong version number); a plain listener is met by http://*"),
        (f"{TLS} verify required ca-file ca.pem", "127.0.0.1", True, "*refuses a client over TLS: *certificate req*"),
    ],
    ids=["unknown CA", "wrong name", "no TLS", "client certificates"],
)
def test_who_is_not_met_over_tls_is_never_ready(
    project: Project, known: str, tls: str, host: str, trusting: bool, line: str
) -> None:
    with site(project, scheme="https", tls=tls) as running:
        result = running.run(*running.told, *([known] if trusting else []), "--lb-only=ALG-01,RTE-18", host=host)
    assert result.ret == 10
    result.stdout.fnmatch_lines(["TARGET NEVER READY*", line, "*start the balancer, or correct*"])


@pytest.mark.slow
@pytest.mark.usefixtures("told_token")
def test_the_session_of_ones_own_tests_goes_over_tls(project: Project, known: str) -> None:
    project.pytester.makepyfile("def test_ping(lb):\n    assert lb.get('/ping').text == 'ping'\n")
    with site(project, scheme="https", tls=TLS) as running:
        assert running.run(*running.told, known, "test_the_session_of_ones_own_tests_goes_over_tls.py").ret == 0
