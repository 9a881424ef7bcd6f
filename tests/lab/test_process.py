"""The `process` lab: the stage's verbs over real sockets and processes, with the reference as its own process."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lbcheck.errors import HarnessFault, LbcheckError, TargetDied, TargetNeverReady, Unsupported
from lbcheck.features import Feature
from lbcheck.lab.process import ProcessLab
from lbcheck.lab.stage import Stage, open_stage
from lbcheck.spec.model import Backend, Spec
from lbcheck.targets import find
from lbcheck.targets.base import Rendering, Target
from tests.lab.specs import api, checked, one_pool
from tests.lab.verbs import *  # noqa: F403
from tests.ports import free_port

pytestmark = pytest.mark.slow

WORKER = 7


@pytest.fixture(scope="module")
def lab() -> Iterator[ProcessLab]:
    lab = ProcessLab(find("reference"), worker=WORKER)
    yield lab
    lab.close()


class Script:
    """A target that is a shell script: small, real, and as broken as a test needs it."""

    name, version, binary, grain_s = "script", "1", "/bin/sh", 0.0
    features: frozenset[Feature] = frozenset(Feature)

    def __init__(self, script: str, check: str = "exit 0") -> None:
        self.script = script
        self.check = check

    def lacks(self, _: Feature) -> str:
        return ""

    def unsupported(self, _: Spec) -> tuple[str, ...]:
        return ()

    def render(self, spec: Spec, folder: Path) -> Rendering:
        listener = spec.listeners[0]
        env = {"ADDRESS": str(listener.address), "PORT": str(listener.port)}
        files = {"conf/script.sh": self.script, "check.sh": self.check}
        return Rendering(files, ("sh", f"{folder}/conf/script.sh"), ("sh", f"{folder}/check.sh"), env)

    def adopt(self, *_: object) -> Rendering:
        raise Unsupported("takes no configuration")


@contextlib.contextmanager
def lab_with(target: Target) -> Iterator[ProcessLab]:
    lab = ProcessLab(target, worker=WORKER)
    try:
        yield lab
    finally:
        lab.close()


# --- the target ------------------------------------------------------------------------------------------------------


def test_target_that_exits_is_shown_with_its_log() -> None:
    spec = one_pool()
    with (
        lab_with(Script("echo out of luck; exit 3")) as lab,
        pytest.raises(TargetNeverReady, match=r"(?s)exited with code 3 before it accepted.*\| out of luck"),
        open_stage(lab, spec, api(spec)),
    ):
        pass


def test_refused_configuration_is_told_in_the_products_words() -> None:
    spec = one_pool()
    with (
        lab_with(Script("exit 1", check="echo 'line 7: no such word' >&2; exit 2")) as lab,
        pytest.raises(TargetNeverReady, match=r"(?s)refuses its configuration \(exit code 2\).*\| line 7: no such"),
        open_stage(lab, spec, api(spec)),
    ):
        pass


def test_target_that_never_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lbcheck.lab.product.READY_WITHIN_S", 0.3)
    spec = one_pool()
    with (
        lab_with(Script("echo thinking; sleep 60")) as lab,
        pytest.raises(TargetNeverReady, match=r"(?s)did not accept on 127\.77\.7\.200:\d+ within 0.3 s.*\| thinking"),
        open_stage(lab, spec, api(spec)),
    ):
        pass


def test_program_that_cannot_be_run() -> None:
    class Missing(Script):
        def render(self, spec: Spec, folder: Path) -> Rendering:
            return replace(super().render(spec, folder), argv=(f"{folder}/nothing-here",))

    spec = one_pool()
    with (
        lab_with(Missing("")) as lab,
        pytest.raises(TargetNeverReady, match=r"cannot be run.*nothing-here"),
        open_stage(lab, spec, api(spec)),
    ):
        pass


def pid_of(stage: Stage) -> int:
    process = stage._scene.target._process  # type: ignore[attr-defined]
    return int(process.pid)


def test_target_that_dies_untold(lab: ProcessLab) -> None:
    spec = one_pool()
    with open_stage(lab, spec, api(spec)) as stage:
        os.kill(pid_of(stage), signal.SIGKILL)
        with pytest.raises(TargetDied, match="target reference went without having been told"):
            stage.wait(0.2)


def test_backend_that_dies_untold(lab: ProcessLab) -> None:
    spec = one_pool()
    with open_stage(lab, spec, api(spec)) as stage:
        os.kill(stage.pool("api")["b"].node.pid, signal.SIGKILL)  # type: ignore[attr-defined]
        with pytest.raises(HarnessFault, match="backend api/b went without having been told"):
            stage.wait(0.2)


def test_journal_of_a_killed_backend_is_kept(lab: ProcessLab) -> None:
    spec = one_pool(names="a")
    with open_stage(lab, spec, api(spec)) as stage:
        exchange = stage.one("web")
        stage.pool("api")["a"].kill()
        assert stage.sync().arrivals_of(exchange.id)


@pytest.mark.parametrize("name", ["haproxy", "nginx"])
def test_real_products(name: str) -> None:
    spec = checked() if name == "haproxy" else one_pool()
    with lab_with(find(name)) as lab, open_stage(lab, spec, api(spec)) as stage:
        assert {e.backend for e in stage.send(stage.pool("api"), rounds=2)} == {"a", "b", "c"}
        assert stage.target.files


def test_users_own_configuration_is_run_as_it_is(tmp_path: Path) -> None:
    spec = literal_spec()
    backends = "\n".join(f"    server {b.name} {b.address}" for b in spec.pools[0].backends)
    listener = spec.listeners[0]
    config = tmp_path / "haproxy.cfg"
    config.write_text(
        "defaults\n    mode http\n    timeout connect 1s\n    timeout client 5s\n    timeout server 5s\n"
        f"frontend web\n    bind {listener.address}:{listener.port}\n    default_backend api\n"
        f"backend api\n    balance roundrobin\n{backends}\n"
    )
    lab = ProcessLab(find("haproxy"), worker=WORKER, configs=[config])
    with open_stage(lab, spec, api(spec)) as stage:
        assert {e.backend for e in stage.send(stage.pool("api"), rounds=2)} == {"a", "b"}
        assert stage.spec == spec
    lab.close()


# --- addresses -------------------------------------------------------------------------------------------------------


def literal_spec() -> Spec:
    spec = one_pool(names="ab")
    backends = tuple(Backend(b.name, f"127.0.0.1:{free_port()}") for b in spec.pools[0].backends)
    return replace(
        spec,
        listeners=(replace(spec.listeners[0], address="127.0.0.1", port=free_port()),),
        pools=(replace(spec.pools[0], backends=backends),),
    )


def test_taken_port_of_a_spec_is_named(lab: ProcessLab) -> None:
    spec = literal_spec()
    port = spec.listeners[0].port
    with (
        socket.create_server(("127.0.0.1", port or 0)),
        pytest.raises(LbcheckError, match=rf"(?s)cannot use 127\.0\.0\.1:{port}.*name another port"),
        open_stage(lab, spec, api(spec)),
    ):
        pass


def test_taken_port_of_a_backend_is_named(lab: ProcessLab) -> None:
    spec = literal_spec()
    with (
        socket.create_server(("127.0.0.1", spec.pools[0].backends[1].port)),
        pytest.raises(HarnessFault, match=rf"backend b cannot listen on {spec.pools[0].backends[1].address}"),
        open_stage(lab, spec, api(spec)),
    ):
        pass


def test_remote_address_is_refused_before_anything_starts() -> None:
    spec = literal_spec()
    spec = replace(spec, pools=(replace(spec.pools[0], backends=(Backend("a", "192.0.2.1:80"),)),))
    with lab_with(find("reference")) as lab:
        with pytest.raises(Unsupported, match=r"192\.0\.2\.1:80.*before anything"), open_stage(lab, spec, api(spec)):
            pass
        assert lab._belongings is None


def test_probes_have_a_port_of_their_own(lab: ProcessLab) -> None:
    spec = checked(port=18_098)
    with open_stage(lab, spec, api(spec)) as stage:
        assert {probe.backend for probe in stage.history.probes} == {"a", "b", "c"}
        assert not stage.history.strays


# --- tidiness --------------------------------------------------------------------------------------------------------


def test_scene_leaves_nothing_behind(lab: ProcessLab) -> None:
    spec = one_pool()
    with open_stage(lab, spec, api(spec)) as stage:
        pid, folder = pid_of(stage), stage._scene.target._folder  # type: ignore[attr-defined]
        address = stage.pool("api")["a"].node
        assert folder.is_dir()
    assert not Path(f"/proc/{pid}").exists()
    assert not folder.exists()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address.host, address.port))


def test_slack_is_measured(lab: ProcessLab) -> None:
    spec = one_pool()
    with open_stage(lab, spec, api(spec)) as stage:
        stage.wait(0.1)
        assert 0.0 < stage.slack < 5.0
        assert len(lab._lateness) > 10
