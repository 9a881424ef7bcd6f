"""The `sim` lab: the stage's verbs in virtual time, and determinism."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest

from lbcheck.backends.script import HANG, Answer
from lbcheck.errors import HarnessFault, TargetDied, Unsupported
from lbcheck.history import FaultBegan
from lbcheck.judges.overlap import intervals
from lbcheck.lab.sim import SimLab
from lbcheck.lab.stage import open_stage
from lbcheck.spec.model import Algorithm, Backend, Protocol
from tests.lab.specs import api, checked, one_pool
from tests.lab.verbs import *  # noqa: F403

pytestmark = pytest.mark.fast


@pytest.fixture
def lab() -> Iterator[SimLab]:
    lab = SimLab()
    yield lab
    lab.close()


def play(lab: SimLab, seed: int) -> list[str]:
    """A check with everything in it: random choices, probes, faults, concurrent requests, traffic."""
    spec = checked()
    pool_spec = one_pool(names="abcd", algorithm=Algorithm.POWER_OF_TWO, check=spec.pool("api").health_check)
    with open_stage(lab, pool_spec, api(pool_spec), seed=seed) as stage:
        pool = stage.pool("api")
        pool["a"].answer_probes(Answer(status=500), HANG)
        with stage.traffic(pool, rate=200 + 10 * stage.rng.random()):
            stage.wait(0.7)
            pool["b"].kill()
            pending = [stage.start(pool, method="POST", body=b"x" * 100_000) for _ in range(5)]
            stage.wait(0.7)
            pool["b"].restart()
        for one in pending:
            one.wait(1.0)
        return list(stage.sync().lines())


def test_same_seed_same_bytes(lab: SimLab) -> None:
    first = play(lab, 7)
    assert len(first) > 1000
    play(lab, 8)  # what went before does not matter
    assert play(lab, 7) == first
    other = SimLab()
    assert play(other, 7) == first
    other.close()


def test_other_seed_other_history(lab: SimLab) -> None:
    assert play(lab, 7) != play(lab, 8)


def test_hours_pass_at_once(lab: SimLab) -> None:
    spec = checked(interval=30.0, timeout=5.0)
    with open_stage(lab, spec, api(spec)) as stage:
        stage.wait(4 * 3600.0)
        assert len(stage.sync().probes) > 3 * 4 * 110


def test_ids_are_short_and_count_from_one(lab: SimLab) -> None:
    spec = one_pool()
    with open_stage(lab, spec, api(spec)) as stage:
        assert [e.id for e in stage.send("web", n=3)] == ["c1-1", "c1-2", "c1-3"]


def test_check_that_takes_too_long_is_the_harness_fault(lab: SimLab) -> None:
    spec = one_pool()
    with open_stage(lab, spec, api(spec), limit_s=10.0) as stage:
        stage.wait(9.0)
        with pytest.raises(HarnessFault, match="did not end within 10 s"):
            stage.wait(2.0)


def test_backend_that_dies_untold_is_the_harness_fault(lab: SimLab) -> None:
    spec = one_pool()
    with open_stage(lab, spec, api(spec)) as stage:
        backend = stage.pool("api")["a"]
        lab.run(backend.node.kill())
        with pytest.raises(HarnessFault, match="backend api/a went"):
            stage.send("web")


def test_target_that_dies_untold_is_its_own_fault(lab: SimLab) -> None:
    spec = one_pool()
    with open_stage(lab, spec, api(spec)) as stage:
        lab.run(stage._scene.target.stop())  # type: ignore[attr-defined]
        with pytest.raises(TargetDied, match="target reference went"):
            stage.send("web")


def test_target_that_never_probes_is_told_and_not_waited_for_for_ever(lab: SimLab) -> None:
    spec = checked(interval=600.0, timeout=1.0, healthy_threshold=1, unhealthy_threshold=2)
    with open_stage(lab, spec, api(spec), opening="failing") as stage:
        assert stage.settle() is False
        told = [act.detail for act in stage.history if act.kind == "act" and act.what == "unsettled"]
        assert "api/a (0 of 2 HTTP checks)" in told[0]


def test_slack_is_the_time_of_flight_or_as_told() -> None:
    for lab, slack_s in ((SimLab(), 8 * 50e-6), (SimLab(slack_s=0.25), 0.25)):
        spec = one_pool()
        with open_stage(lab, spec, api(spec)) as stage:
            assert stage.slack == pytest.approx(slack_s)
        lab.close()


def test_probes_have_a_port_of_their_own(lab: SimLab) -> None:
    spec = checked(port=9999)
    with open_stage(lab, spec, api(spec)) as stage:
        assert {probe.backend for probe in stage.history.probes} == {"a", "b", "c"}
        assert not stage.history.strays
        stage.pool("api")["a"].kill()
        stage.pool("api")["a"].restart()
        stage.wait(2.0)
        assert stage.history.probes[-1].at > stage.now - 1.5


def test_a_tcp_check_with_a_port_of_its_own_is_unsupported(lab: SimLab) -> None:
    spec = checked(port=9999, protocol=Protocol.TCP)
    with pytest.raises(Unsupported, match="port 9999"), open_stage(lab, spec, api(spec)):
        pass


def test_a_port_of_probes_that_backends_would_share_is_unsupported(lab: SimLab) -> None:
    spec = checked(port=9999)
    literal = tuple(Backend(name, f"127.0.0.1:{port}") for name, port in (("a", 9001), ("b", 9002)))
    spec = replace(spec, pools=(replace(spec.pools[0], backends=literal),))
    with pytest.raises(Unsupported, match=r"several backends at 127\.0\.0\.1"), open_stage(lab, spec, api(spec)):
        pass


def test_defect_by_name() -> None:
    lab = SimLab(defect="turn-skipped")
    spec = one_pool()
    with open_stage(lab, spec, api(spec)) as stage:
        backends = [e.backend for e in stage.send("web", n=12)]
    lab.close()
    assert sorted(backends) != sorted("abc" * 4)


def test_faults_are_witnessed_and_end(lab: SimLab) -> None:
    spec = one_pool()
    with open_stage(lab, spec, api(spec)) as stage:
        a, b, _ = stage.pool("api").backends
        a.kill()
        b.refuse()
        stage.wait(1.0)
        a.restart()
        b.accept()
        began = [(e.fault, e.on, e.witnessed) for e in stage.history.of(FaultBegan)]
        assert began == [("kill", "a", True), ("refuse", "b", True)]
        for fault, on in (("kill", "a"), ("refuse", "b")):
            (span,) = intervals(stage.history, fault, on)
            assert 1.0 <= span.ended - span.began < 1.1


def test_a_fault_that_nobody_sees_is_the_harness_fault(lab: SimLab) -> None:
    spec = one_pool()
    with open_stage(lab, spec, api(spec)) as stage:
        backend = stage.pool("api")["a"]

        async def other(host: str = backend.node.host, port: int = backend.node.port) -> None:
            await backend.node.kill()
            await lab.loop.create_server(asyncio.Protocol, host, port)

        backend.expected_alive = False
        lab.run(other())
        with pytest.raises(HarnessFault, match="a was told to kill, and takes connections all the same"):
            backend.kill()
        assert [e.witnessed for e in stage.history.of(FaultBegan)] == [False]
