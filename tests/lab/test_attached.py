"""The lab of what runs already, on the reference balancer and backends that were started beside it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from lbcheck.backends.script import Answer
from lbcheck.client.http import LOOPBACK
from lbcheck.errors import BackendUnreachable, HarnessFault, TargetNeverReady, Unsupported
from lbcheck.history import Connected
from lbcheck.lab import attached
from lbcheck.lab.attached import AttachedLab
from lbcheck.lab.attaching import Place
from lbcheck.lab.identity import identity_of
from lbcheck.lab.plays import hold_one_at, wait_in, wait_out
from lbcheck.lab.stage import Stage, open_stage
from lbcheck.spec.loading import load
from lbcheck.spec.model import Protocol, Spec
from lbcheck.spec.subject import Subject
from lbcheck.targets.attached import Url
from tests.ports import free_ports
from tests.standing import SECRET, backend, reference

pytestmark = pytest.mark.slow

TEXT = """\
version: 1
listeners:
  - {{name: public, address: 127.0.0.1, port: {public}, default: {{forward: web}}}}
pools:
  web:
    algorithm: round_robin
    health_check: {{path: /health, interval: 100ms, timeout: 1s, healthy_threshold: 2, unhealthy_threshold: 2}}
    backends: [{{name: a, address: "127.0.0.1:{a}"}}, {{name: b, address: "127.0.0.1:{b}"}}]
"""


@dataclass(frozen=True, slots=True)
class World:
    """A balancer and its backends, and what a lab has to know of them."""

    spec: Spec
    url: Url
    backends: dict[str, Place]

    @contextmanager
    def lab(self, token: str = SECRET, **other: Place) -> Iterator[AttachedLab]:
        lab = AttachedLab("http://127.0.0.1", self.url, {**self.backends, **other}, token=token)
        try:
            yield lab
        finally:
            lab.close()

    @contextmanager
    def stage(self, lab: AttachedLab) -> Iterator[Stage]:
        with open_stage(lab, self.spec, Subject("pool", "web", "pools.web", self.spec.pool("web"))) as stage:
            yield stage


@contextmanager
def running(folder: Path, *, balancer: bool = True) -> Iterator[World]:
    public, a, b = free_ports(3)
    (folder / "lb.yaml").write_text(TEXT.format(public=public, a=a, b=b))
    with ExitStack() as ending:
        started = {name: ending.enter_context(backend(name, port=port)) for name, port in (("a", a), ("b", b))}
        if balancer:
            ending.enter_context(reference(folder / "lb.yaml"))
        places = {name: ("127.0.0.1", each.control) for name, each in started.items()}
        yield World(load(folder / "lb.yaml").spec, Url("127.0.0.1", public), places)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with running(tmp_path) as found:
        yield found


def test_scenes_follow_each_other_and_none_sees_the_one_before(world: World) -> None:
    with world.lab() as lab:
        with world.stage(lab) as first:
            pool = first.pool("web")
            assert {e.backend for e in first.send(pool, n=4)} == {"a", "b"}
            pool["a"].kill()
            pool["b"].answer(Answer(status=418))
        with world.stage(lab) as second:
            assert [e.status for e in second.send(second.pool("web"), n=4)] == [200] * 4
            assert [len(second.history.arrivals_of(e.id)) for e in second.history.exchanges] == [1] * 4
            assert min(a.at for a in second.history.arrivals) > max(a.at for a in first.history.arrivals)
            opened = {(c.backend, c.connection) for c in second.history.of(Connected)}
            assert {(a.backend, a.connection) for a in second.sync().arrivals} <= opened


def test_backends_refuse_come_back_and_hold(world: World) -> None:
    with world.lab() as lab, world.stage(lab) as stage:
        pool = stage.pool("web")
        pool["a"].refuse()
        wait_out(stage, pool)
        assert {e.backend for e in stage.send(pool, n=4)} == {"b"}
        pool["a"].accept()
        wait_in(stage, pool, pool["a"])
        held = hold_one_at(stage, pool, pool["b"])
        pool["b"].release()
        assert held.wait(5.0).backend == "b"
        pool["b"].kill()
        pool["b"].restart()
        wait_in(stage, pool, pool["b"])
        assert {e.backend for e in stage.send(pool, n=6)} == {"a", "b"}


def test_what_the_harness_asks_directly_is_not_in_the_history(world: World) -> None:
    with world.lab() as lab, world.stage(lab) as stage:
        stage.one(stage.pool("web"))
        assert stage.control(5)
        asked = [a for a in stage.sync().arrivals if a.id is not None]
        assert [a.id for a in asked] == [e.id for e in stage.history.exchanges]
        assert str(stage.rehearse().lost) == "0"


def test_what_nobody_can_do_there_is_unsupported(world: World) -> None:
    with world.lab() as lab:
        with world.stage(lab) as stage:
            for verb in (stage.pool("web")["a"].drain, stage.reload, stage.target.crash, stage.target.retire):
                with pytest.raises(Unsupported, match="the balancer runs already"):
                    verb()
            with pytest.raises(Unsupported, match="the backends that were registered"):
                stage.pool("web").register("c")
        with pytest.raises(Unsupported, match="running before the check began"):
            lab.run(lab.open(world.spec, seed=0, opening="failing"))
        secure = replace(world.spec, pools=(replace(world.spec.pool("web"), protocol=Protocol.HTTPS),))
        with pytest.raises(Unsupported, match="pool web is sent to over TLS"):
            lab.run(lab.open(secure, seed=0))


def test_a_wrong_token_and_a_wrong_place_are_told(world: World) -> None:
    with world.lab("another secret of that length") as lab, pytest.raises(BackendUnreachable, match="token is wrong"):
        lab.run(lab.open(world.spec, seed=0))
    with world.lab(a=("127.0.0.1", 1)) as lab, pytest.raises(BackendUnreachable, match=r"backend a, control at .*:1"):
        lab.run(lab.open(world.spec, seed=0))
    with ExitStack() as ending:
        other = ending.enter_context(backend("a"))
        lab = ending.enter_context(world.lab(a=("127.0.0.1", other.control)))
        ending.enter_context(pytest.raises(BackendUnreachable, match=rf"listens on port {other.port}"))
        lab.run(lab.open(world.spec, seed=0))
    with world.lab() as lab, world.stage(lab) as stage:  # none of these has left a backend in anybody's hands
        assert stage.one(stage.pool("web")).status == 200


def test_a_balancer_that_is_down_is_never_ready(tmp_path: Path) -> None:
    with ExitStack() as ending:
        world = ending.enter_context(running(tmp_path, balancer=False))
        lab = ending.enter_context(world.lab())
        ending.enter_context(pytest.raises(TargetNeverReady, match="does not accept"))
        lab.run(lab.open(world.spec, seed=0))


def test_what_no_spec_tells_of_is_over_before_the_next_scene(tmp_path: Path) -> None:
    with running(tmp_path) as world:  # the balancer checks health; of what it is judged by nobody would know it
        silent = replace(world.spec, pools=(replace(world.spec.pool("web"), health_check=None),))
        unsaid = replace(world, spec=silent)
        with world.lab() as lab:
            with unsaid.stage(lab) as stage:
                stage.pool("web")["a"].refuse()
                stage.wait(1.0)
                assert {e.backend for e in stage.send(stage.pool("web"), n=4)} == {"b"}
            with unsaid.stage(lab) as stage:
                assert {e.backend for e in stage.send(stage.pool("web"), n=4)} == {"a", "b"}


def test_a_backend_that_is_shunned_for_good_decides_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attached, "REACH_AGAIN_S", 0.5)
    with world.lab() as lab:
        with world.stage(lab) as stage:
            stage.one(stage.pool("web"))
        lab._reached["web"] |= {"c"}
        with pytest.raises(TargetNeverReady, match=r"sends nothing to c of pool web, 0\.5 s after"):
            lab.run(lab.open(world.spec, seed=0))


def test_a_balancer_that_goes_is_seen_to_be_gone(tmp_path: Path) -> None:
    with running(tmp_path, balancer=False) as world, world.lab() as lab, ExitStack() as ending:
        with reference(tmp_path / "lb.yaml"):
            stage = ending.enter_context(world.stage(lab))
            assert stage.one("public").complete
            assert stage.departed(ask=True) == ""
        assert "stopped serving without having been told" in stage.departed(ask=True)


def test_a_backend_that_dies_is_the_harnesss_fault(tmp_path: Path) -> None:
    public, a, b = free_ports(3)
    (tmp_path / "lb.yaml").write_text(TEXT.format(public=public, a=a, b=b))
    spec = load(tmp_path / "lb.yaml").spec
    with backend("b", port=b) as stays, reference(tmp_path / "lb.yaml"), ExitStack() as ending:
        with backend("a", port=a) as goes:
            places = {"a": ("127.0.0.1", goes.control), "b": ("127.0.0.1", stays.control)}
            world = World(spec, Url("127.0.0.1", public), places)
            lab = ending.enter_context(world.lab())
            stage = ending.enter_context(world.stage(lab))
        with pytest.raises(HarnessFault, match="backend web/a went without having been told"):
            stage.one(stage.pool("web"))


def test_elsewhere_the_system_chooses_the_address_of_requests(world: World) -> None:
    with world.lab() as lab:
        lab.ground = type(lab.ground)(abroad=True)
        with world.stage(lab) as stage:
            assert stage.one(stage.pool("web")).source == LOOPBACK
            assert stage.control(1)
            assert [a.id for a in stage.sync().arrivals if a.id is not None] == [e.id for e in stage.history.exchanges]
            with pytest.raises(Unsupported, match=r"no requests from 127\.9\.9\.9"):
                stage.one(stage.pool("web"), source="127.9.9.9")


def met_both(stage: Stage) -> bool:
    """Within five seconds four requests in a row are answered by both backends, and by nobody else."""
    for _ in range(50):
        if {e.backend for e in stage.send(stage.pool("web"), n=4)} == {"a", "b"}:
            return True
        stage.wait(0.1)
    return False


def test_without_a_word_of_backends_answers_are_what_is_known(world: World) -> None:
    lab = AttachedLab("http://127.0.0.1", world.url, {}, identity=identity_of('body:"backend": "([^"]+)"'))
    try:
        with world.stage(lab) as stage:
            assert met_both(stage)  # of probes nothing is known here: the first may be still to come
            with pytest.raises(Unsupported, match="takes no script"):
                stage.pool("web")["a"].kill()
            with pytest.raises(Unsupported, match="nobody tells what arrives"):
                stage.sync().journeys()
            with pytest.raises(Unsupported, match="not asked directly"):
                stage.control(1)
    finally:
        lab.close()
