"""The docker lab on a real engine: what every lab's stage does, and what only containers can."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lbcheck.errors import HarnessFault, LbcheckError, TargetDied, TargetNeverReady, Unsupported, UsageError
from lbcheck.history import Connected, FaultBegan, FaultEnded
from lbcheck.lab import docker
from lbcheck.lab.docker import INSTANCES, DockerLab
from lbcheck.lab.docker_engine import Engine, NoEngine
from lbcheck.lab.plays import wait_out, wait_up
from lbcheck.lab.process import ProcessLab
from lbcheck.lab.stage import Stage, open_stage
from lbcheck.plugin.places import lab_for
from lbcheck.plugin.settings import Settings
from lbcheck.spec.model import Backend
from lbcheck.targets import find
from tests.lab.containers import left_of, prepared
from tests.lab.specs import api, checked, one_pool
from tests.lab.test_process import Script
from tests.lab.test_sealed import WITHOUT_RIGHTS
from tests.lab.verbs import (  # noqa: F401  (a sample; all of them in the nightly lane)
    test_a_crashed_target_is_down_until_it_starts_again,
    test_a_deregistered_backend_is_gone_and_a_new_one_joins,
    test_backend_goes_and_comes_back_at_the_same_address,
    test_control_goes_past_the_target_and_the_script,
    test_request_as_asked,
    test_send_in_rounds_and_join_with_the_backends,
    test_settled_stage_has_its_good_probes,
)

pytestmark = [pytest.mark.slow, pytest.mark.nightly]

WORKER = 9


@pytest.fixture(scope="module")
def lab() -> Iterator[DockerLab]:
    with lab_of("reference") as lab:
        yield lab


@contextlib.contextmanager
def lab_of(target: str, **options: object) -> Iterator[DockerLab]:
    prepared()
    lab = DockerLab(find(target), worker=WORKER, **options)  # type: ignore[arg-type]
    try:
        yield lab
    finally:
        lab.close()


def token_of(lab: DockerLab) -> str:
    assert lab._belongings is not None
    return lab._belongings.token


def served(stage: Stage) -> set[str | None]:
    return {e.backend for e in stage.send(stage.pool("api"), rounds=2)}


# --- places ----------------------------------------------------------------------------------------------------------


def test_each_backend_has_an_address_of_its_own_and_an_alias(lab: DockerLab) -> None:
    spec = one_pool()
    with open_stage(lab, spec, api(spec)) as stage:
        hosts = [backend.node.host for backend in stage.pool("api")]
        assert len({*hosts, stage.spec.listeners[0].address}) == 4
        assert lab._site is not None
        assert {ipaddress.ip_address(host) in lab._site.plan.own.subnet for host in hosts} == {True}
        looked_up = said_at_front(lab, "import socket; print(socket.gethostbyname('backend-1'))")
        assert looked_up == (0, f"{hosts[0]}\n")
        assert peers(stage) == {stage.spec.listeners[0].address}


def peers(stage: Stage) -> set[str]:
    """Addresses that connections to backends come from."""
    stage.send(stage.pool("api"), n=3)
    return {connected.peer.rpartition(":")[0] for connected in stage.sync().of(Connected)}


def said_at_front(lab: DockerLab, script: str) -> tuple[int, str] | None:
    """What a Python script says in a container in the balancer's network."""
    site = lab._site
    assert site is not None
    program = site.program(("python3", "-c", script), "script", "script", folders=())
    return lab.run(site.engine.tried(program, at=site.front.holder.id))


@contextlib.contextmanager
def a_machine_next_door() -> Iterator[str]:
    """A network that this machine is in and forwards to, with somebody who accepts on port 80; its address."""
    with contextlib.ExitStack() as ending:
        ip("netns add lbcheck-next-door")
        ending.callback(ip, "netns delete lbcheck-next-door")
        ip("link add lbcheck-next type veth peer name door netns lbcheck-next-door")
        ip("address add 198.51.100.1/24 dev lbcheck-next")
        ip("link set lbcheck-next up")
        ip("-n lbcheck-next-door address add 198.51.100.2/24 dev door")
        ip("-n lbcheck-next-door link set door up")
        ip("-n lbcheck-next-door route add default via 198.51.100.1")
        server = "import socket; s = socket.create_server(('198.51.100.2', 80)); print(1, flush=True); input()"
        command = ["ip", "netns", "exec", "lbcheck-next-door", sys.executable, "-c", server]
        process = ending.enter_context(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        ending.callback(process.kill)
        assert process.stdout is not None
        assert process.stdout.readline() == b"1\n"
        yield "198.51.100.2"


def ip(command: str) -> None:
    subprocess.run(["ip", *command.split()], check=True, capture_output=True, timeout=10)


def test_nothing_leaves() -> None:
    """Whom this machine reaches and would forward to, a container does not."""
    spec = one_pool()
    with a_machine_next_door() as place:
        reach = f"import socket; socket.create_connection(({place!r}, 80), 1); print('reached')"
        assert subprocess.run([sys.executable, "-c", reach], capture_output=True, check=True).stdout == b"reached\n"
        with lab_of("reference") as lab, open_stage(lab, spec, api(spec)):
            outcome = said_at_front(lab, reach)
            assert outcome is not None
            assert outcome[0] == 1
            assert "reached" not in outcome[1].splitlines()
            assert "Error" in outcome[1]


def test_a_users_own_configuration_with_its_addresses_and_names(tmp_path: Path) -> None:
    config = tmp_path / "haproxy.cfg"
    config.write_text(
        "defaults\n    mode http\n    timeout connect 1s\n    timeout client 5s\n    timeout server 5s\n"
        "frontend web\n    bind 10.211.7.1:80\n    default_backend api\n"
        "backend api\n    balance roundrobin\n    server a 10.211.8.11:80\n    server b web2.internal:9000\n"
        "    server c 10.211.7.12:8080\n"
    )
    before = config.read_bytes()
    spec = one_pool()
    backends = (Backend("a", "10.211.8.11:80"), Backend("b", "web2.internal:9000"), Backend("c", "10.211.7.12:8080"))
    listener = replace(spec.listeners[0], address="10.211.7.1", port=80)
    spec = replace(spec, listeners=(listener,), pools=(replace(spec.pools[0], backends=backends),))
    with lab_of("haproxy", configs=[config]) as lab, open_stage(lab, spec, api(spec)) as stage:
        assert served(stage) == {"a", "b", "c"}
        assert stage.pool("api")["a"].node.host == "10.211.8.11"
    assert config.read_bytes() == before


def test_an_address_of_this_machine_is_refused_with_the_next_best_lab(lab: DockerLab) -> None:
    spec = one_pool()
    with open_stage(lab, spec, api(spec)):
        assert lab._site is not None
        taken = next(net for net in lab._site._routes)
    pools = (replace(spec.pools[0], backends=(Backend("a", f"{taken[9]}:80"),)),)
    wrong = replace(spec, pools=pools)
    with pytest.raises(Unsupported, match=r"(?s)a network of this machine.*--lb-lab=sealed"):
        lab.run(lab.open(wrong, seed=1))


@pytest.mark.parametrize("name", ["haproxy", "nginx", "envoy"])
def test_products_serve_from_their_containers(name: str) -> None:
    spec = checked() if name != "nginx" else one_pool()
    with lab_of(name) as lab, open_stage(lab, spec, api(spec)) as stage:
        assert served(stage) == {"a", "b", "c"}
        assert stage.target.files
        assert stage.settle()


# --- the engine's faults ---------------------------------------------------------------------------------------------


def faults(stage: Stage) -> list[tuple[str, str, bool]]:
    return [(fault.fault, fault.on, fault.witnessed) for fault in stage.sync().of(FaultBegan)]


def test_killed_by_the_engine_and_back_at_its_address(lab: DockerLab) -> None:
    spec = one_pool()
    with open_stage(lab, spec, api(spec)) as stage:
        one = stage.pool("api")["a"]
        before, address = stage.send(stage.pool("api"), n=3), (one.node.host, one.node.port)
        old = one.node._task.container  # type: ignore[attr-defined]
        one.kill()
        assert not old.alive()
        assert faults(stage) == [("kill", "a", True)]
        assert all(stage.history.arrivals_of(e.id) for e in before)  # what it told before it died is kept
        one.restart()
        assert (one.node.host, one.node.port) == address
        assert one.node._task.container is not old  # type: ignore[attr-defined]
        assert served(stage) == {"a", "b", "c"}
        assert [(end.fault, end.on) for end in stage.sync().of(FaultEnded)] == [("kill", "a")]


def test_paused_by_the_engine_it_accepts_and_does_not_answer(lab: DockerLab) -> None:
    spec = checked()
    with open_stage(lab, spec, api(spec)) as stage:
        pool = stage.pool("api")
        assert stage.settle()
        pool["b"].pause()
        assert faults(stage) == [("pause", "b", True)]
        wait_out(stage, pool)
        assert served(stage) == {"a", "c"}
        pool["b"].resume()
        wait_up(stage, pool, pool["b"])
        assert served(stage) == {"a", "b", "c"}
        assert not stage.sync().strays


def test_off_the_network_nothing_refuses_and_it_comes_back(lab: DockerLab) -> None:
    spec = checked()
    with open_stage(lab, spec, api(spec)) as stage:
        pool = stage.pool("api")
        assert stage.settle()
        pool["c"].disconnect()
        assert faults(stage) == [("disconnect", "c", True)]
        wait_out(stage, pool)
        assert served(stage) == {"a", "b"}
        pool["c"].connect()
        wait_up(stage, pool, pool["c"])
        assert served(stage) == {"a", "b", "c"}


def test_what_a_check_leaves_broken_is_whole_for_the_next(lab: DockerLab) -> None:
    spec = one_pool()
    with open_stage(lab, spec, api(spec)) as stage:
        stage.pool("api")["a"].pause()
        stage.pool("api")["b"].disconnect()
        stage.pool("api")["c"].kill()
    with open_stage(lab, spec, api(spec)) as stage:
        assert served(stage) == {"a", "b", "c"}


def test_without_containers_these_faults_are_unsupported() -> None:
    spec = one_pool(names="a")
    lab = ProcessLab(find("reference"), worker=WORKER)
    with open_stage(lab, spec, api(spec)) as stage, pytest.raises(Unsupported, match=r"(?s)paused.*--lb-lab=docker"):
        stage.pool("api")["a"].pause()
    lab.close()


def test_a_backend_and_a_target_that_go_untold(lab: DockerLab) -> None:
    spec = one_pool()
    with open_stage(lab, spec, api(spec)) as stage:
        task = stage.pool("api")["b"].node._task  # type: ignore[attr-defined]
        lab.run(task.container.kill())
        with pytest.raises(HarnessFault, match="backend api/b went without having been told"):
            stage.wait(0.2)
    with open_stage(lab, spec, api(spec)) as stage:
        lab.run(stage._scene.target.kill())
        with pytest.raises(TargetDied, match="target reference went without having been told"):
            stage.wait(0.2)


def test_a_target_that_exits_is_shown_with_its_log() -> None:
    prepared()
    spec = one_pool(names="a")
    lab = DockerLab(Script("echo out of luck; exit 3"), worker=WORKER)
    said = r"(?s)exited with code 3 before it accepted.*\| out of luck"
    try:
        with pytest.raises(TargetNeverReady, match=said), open_stage(lab, spec, api(spec)):
            pass
    finally:
        lab.close()


# --- dynamic host ports ----------------------------------------------------------------------------------------------


def test_dynamic_host_ports_are_registered_as_tasks_are_replaced() -> None:
    """As ECS does it: machines are shared, a task takes any port of its machine, and a new one has another."""
    spec = one_pool()
    with lab_of("reference", ports="dynamic") as lab, open_stage(lab, spec, api(spec)) as stage:
        pool = stage.pool("api")
        places = [(backend.node.host, backend.node.port) for backend in pool]
        assert len({host for host, _ in places}) == INSTANCES
        assert len(set(places)) == 3
        assert served(stage) == {"a", "b", "c"}
        new = pool.register("d")
        assert (new.node.host, new.node.port) not in places
        assert new.node.host in {host for host, _ in places}
        pool["a"].deregister()
        pool["a"].kill()
        assert served(stage) == {"b", "c", "d"}


def test_dynamic_ports_and_a_fixed_port_of_probes_are_a_contradiction() -> None:
    spec = checked(port=9000)
    with (
        lab_of("reference", ports="dynamic") as lab,
        pytest.raises(Unsupported, match=r"(?s)port 9000.*--lb-ports=own"),
        open_stage(lab, spec, api(spec)),
    ):
        pass


# --- whom it is for ---------------------------------------------------------------------------------------------------


def test_workers_and_addresses_of_a_spec_are_refused_with_the_next_best_lab() -> None:
    spec = one_pool()
    fixed = replace(spec, pools=(replace(spec.pools[0], backends=(Backend("a", "10.0.0.11:80"),)),))
    given = Settings(target="reference", lab="docker", lab_given=True)
    assert lab_for(given, fixed) == given
    assert lab_for(given, spec, several=True) == given
    with pytest.raises(UsageError, match=r"(?s)one worker at a time.*--lb-lab=sealed"):
        lab_for(given, fixed, several=True)


# --- its beginning and its end ---------------------------------------------------------------------------------------


def test_no_engine_is_told_with_its_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(NoEngine, match=r"(?s)no container engine answers.*dockerd.*--lb-lab=sealed"):
        docker.prepare()
    monkeypatch.setenv("DOCKER_HOST", "tcp://192.0.2.1:2375")
    with pytest.raises(NoEngine, match=r"(?s)on this machine.*DOCKER_HOST"):
        Engine()


def test_a_socket_that_is_not_for_this_user(tmp_path: Path) -> None:
    place = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as engine:
        engine.bind(str(place))
        place.chmod(0)
        tmp_path.chmod(0o755)
        script = "from lbcheck.lab.docker import prepare; prepare()"
        asked = subprocess.run(  # root may do everything
            [*WITHOUT_RIGHTS, sys.executable, "-c", script],
            env={**os.environ, "DOCKER_HOST": f"unix://{place}"},
            capture_output=True,
            text=True,
            check=False,
            cwd=Path(__file__).parents[2],
        )
    assert re.search(r"(?s)may not speak.*usermod -aG docker", asked.stderr)


def test_a_missing_image_is_told_with_its_remedy() -> None:
    with pytest.raises(LbcheckError, match=r"(?s)no image lbcheck-none:1.*lbcheck image build --base=host"):
        docker.engine_with("lbcheck-none:1")


def test_nothing_is_left() -> None:
    spec = one_pool()
    with lab_of("reference") as lab:
        with open_stage(lab, spec, api(spec)):
            assert len(left_of(token_of(lab))) == 1 + 4 + 4  # a network, four places, the balancer and its backends
        assert len(left_of(token_of(lab))) == 1 + 4 + 3
        token = token_of(lab)
        assert lab._belongings is not None
        folder = lab._belongings.folder
    assert left_of(token) == []
    assert not folder.exists()
