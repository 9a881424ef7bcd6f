"""What every lab's stage does, as tests that take a fixture `lab`; the labs' own test files import them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from lbcheck.backends.script import HANG, Answer
from lbcheck.history import Act, Fate, History
from lbcheck.lab.base import Lab
from lbcheck.lab.stage import Stage, open_stage
from lbcheck.spec.model import Algorithm, Respond
from lbcheck.spec.request import Request
from tests.lab.specs import api, checked, fixed, one_pool


def acts(history: History) -> list[tuple[str, str]]:
    return [(act.what, act.on) for act in history.of(Act)]


def test_send_in_rounds_and_join_with_the_backends(lab: Lab) -> None:
    spec = one_pool()
    with open_stage(lab, spec, api(spec)) as stage:
        exchanges = stage.send(stage.pool("api"), rounds=2)
        assert sorted(e.backend or "" for e in exchanges) == ["a", "a", "b", "b", "c", "c"]
        assert len({e.id for e in exchanges}) == len({e.connection for e in exchanges}) == 6
        assert {e.source for e in exchanges} == {lab.ground.client}
        journeys = [stage.sync().journey(e) for e in exchanges]
        assert {j.fate for j in journeys} == {Fate.ANSWERED}
        assert [j.backends for j in journeys] == [(e.backend,) for e in exchanges]


def test_send_on_one_connection(lab: Lab) -> None:
    spec = one_pool()
    with open_stage(lab, spec, api(spec)) as stage:
        exchanges = stage.send("web", n=3, fresh=False)
        assert [(e.connection, e.index) for e in exchanges] == [(exchanges[0].connection, i) for i in range(3)]


def test_request_as_asked(lab: Lab) -> None:
    spec = one_pool()
    with open_stage(lab, spec, api(spec)) as stage:
        exchange = stage.one(
            "web",
            method="POST",
            target="/x?y=1",
            host="shop.test",
            headers=[("X-A", "1")],
            body=b"abc",
            chunked=True,
            source="127.9.8.7",
        )
        (arrival,) = stage.sync().arrivals_of(exchange.id)
        assert (arrival.method, arrival.target) == ("POST", "/x?y=1")
        assert b"Host: shop.test\r\n" in exchange.request
        assert b"X-A: 1\r\n" in arrival.head
        assert exchange.source == "127.9.8.7"
        body = stage.history.body_of(arrival)
        assert body is not None
        assert (body.length, body.complete) == (3, True)


def test_destinations(lab: Lab) -> None:
    spec = one_pool()
    with open_stage(lab, spec, fixed(spec)) as stage:
        rule = stage.spec.listener("web").rules[0]
        for to in (rule, stage.subject, ("web", Request(target="/fixed"))):
            assert stage.one(to).status == 404  # type: ignore[arg-type]
        for to in (stage.pool("api"), stage.spec.pool("api"), stage.spec.listener("web"), "web", "api"):
            assert stage.one(to).status == 200  # type: ignore[arg-type]


def test_hold_and_release(lab: Lab) -> None:
    spec = one_pool()
    with open_stage(lab, spec, api(spec)) as stage:
        pool = stage.pool("api")
        for backend in pool.backends:
            backend.hold()
        pending = [stage.start(pool) for _ in range(3)]
        assert stage.wait_for(lambda h: all(h.arrivals_of(p.id) for p in pending), within=2.0)
        assert not any(p.over for p in pending)
        where = stage.history.arrivals_of(pending[1].id)[0].backend
        pool[where].release([pending[1].id])
        assert pending[1].wait(2.0).status == 200
        stage.wait(0.05)
        assert not pending[0].over
        for backend in pool.backends:
            backend.release()
        assert [p.wait(2.0).status for p in pending] == [200] * 3
        assert stage.one(pool).status == 200


def test_given_up_and_aborted_requests(lab: Lab) -> None:
    spec = one_pool()
    with open_stage(lab, spec, api(spec)) as stage:
        pool = stage.pool("api")
        for backend in pool.backends:
            backend.answer(HANG)
        assert stage.start(pool).wait(0.2).error == "timeout"
        assert stage.one(pool, within=0.2).error == "timeout"
        assert stage.start(pool).abort().error == "aborted"
        assert stage.start(pool).abort(reset=True).error == "aborted"


def test_answers_by_id_and_by_default(lab: Lab) -> None:
    spec = one_pool(names="a")
    with open_stage(lab, spec, api(spec)) as stage:
        backend = stage.pool("api")["a"]
        backend.answer(Answer(status=201))
        backend.answer(Answer(status=202), id="mine")
        mine = stage.one("web", headers=[("Lbcheck-Id", "mine")])
        assert (mine.id, mine.status, stage.one("web").status) == ("mine", 202, 201)
        with pytest.raises(KeyError, match="no backend 'z'"):
            stage.pool("api")["z"]


def test_raw_bytes(lab: Lab) -> None:
    spec = one_pool()
    with open_stage(lab, spec, api(spec)) as stage:
        data = b"GET / HTTP/1.1\r\nHost: x\r\nLbcheck-Id: r1\r\nConnection: close\r\n\r\n"
        (exchange,) = stage.raw("web", data)
        assert (exchange.id, exchange.status) == ("r1", 200)
        assert stage.history.arrivals_of("r1")


def test_client_keeps_its_connection_and_cookies(lab: Lab) -> None:
    spec = one_pool(names="a")
    with open_stage(lab, spec, api(spec)) as stage:
        client = stage.client(source="127.3.3.3", cookies=True, keep_alive=True)
        stage.pool("api")["a"].answer(Answer(headers=(("Set-Cookie", "k=v; Max-Age=1"),)))
        first = client.send("web")
        assert client.jar == {"k": "v"}
        stage.pool("api")["a"].answer(Answer())
        second = client.send("web")
        assert b"\r\nCookie: k=v\r\n" in second.request
        assert (first.source, second.connection, second.index) == ("127.3.3.3", first.connection, 1)
        stage.wait(1.0)
        assert client.jar == {}


def test_steady_traffic(lab: Lab) -> None:
    spec = one_pool()
    with open_stage(lab, spec, api(spec)) as stage, stage.traffic("web", rate=50) as traffic:
        stage.wait(0.5)
    assert len(traffic.exchanges) in (25, 26)
    assert {e.status for e in traffic.exchanges} == {200}


def test_settled_stage_has_its_good_probes(lab: Lab) -> None:
    spec = checked()
    with open_stage(lab, spec, api(spec)) as stage:
        probes = [probe.backend for probe in stage.history.probes]
        assert all(probes.count(name) >= 3 for name in "abc")
        assert acts(stage.history) == [("settled", "")]
        assert not stage.history.exchanges  # the harness's own questions are not in it
        assert {a.probe for a in stage.history.arrivals} == {True}


def test_settles_with_probes_that_want_another_status(lab: Lab) -> None:
    spec = checked(success_codes="204,301")
    with open_stage(lab, spec, api(spec)) as stage:
        assert acts(stage.history) == [("settled", "")]
        assert [e.backend for e in stage.send("web", n=3)].count(None) == 0


def test_probe_sequence_goes_on_when_the_answer_is_changed(lab: Lab) -> None:
    spec = checked(interval=0.1, timeout=0.05, unhealthy_threshold=9)
    with open_stage(lab, spec, api(spec)) as stage:
        sick = stage.pool("api")["a"]
        before = len([p for p in stage.sync().probes if p.backend == "a"])
        sick.answer_probes(*(Answer(status=status) for status in (500, 501, 502, 503)))

        def seen(n: int) -> bool:
            return stage.wait_for(lambda h: len([p for p in h.probes if p.backend == "a"]) >= before + n, within=2.0)

        assert seen(2)
        sick.answer(Answer(status=201))
        assert seen(6)
        stage.wait(0.01)
        probes = [p for p in stage.sync().probes if p.backend == "a"][before : before + 5]
        answers = [stage.history.answered_of(p) for p in probes]
        assert [a.status for a in answers if a] == [500, 501, 502, 503, 200]


def test_failing_probes_take_a_backend_out_and_passing_ones_bring_it_back(lab: Lab) -> None:
    spec = checked()
    with open_stage(lab, spec, api(spec)) as stage:
        pool = stage.pool("api")
        pool["b"].fail_probes()
        stage.wait(1.2)
        assert {e.backend for e in stage.send(pool, rounds=3)} == {"a", "c"}
        pool["b"].pass_probes()
        stage.wait(1.0)
        assert {e.backend for e in stage.send(pool, rounds=3)} == {"a", "b", "c"}


@pytest.mark.parametrize(("out", "back"), [("refuse", "accept"), ("kill", "restart")])
def test_backend_goes_and_comes_back_at_the_same_address(lab: Lab, out: str, back: str) -> None:
    spec = checked()
    with open_stage(lab, spec, api(spec)) as stage:
        pool = stage.pool("api")
        address = pool["c"].address
        getattr(pool["c"], out)()
        assert stage.control(1)  # one that is out on purpose is not asked
        stage.wait(1.2)
        assert {e.backend for e in stage.send(pool, rounds=3)} == {"a", "b"}
        getattr(pool["c"], back)()
        stage.wait(1.0)
        assert {e.backend for e in stage.send(pool, rounds=3)} == {"a", "b", "c"}
        assert (pool["c"].address, stage.control(2)) == (address, True)
        assert acts(stage.history) == [("settled", ""), (out, "c"), (back, "c")]


def test_control_goes_past_the_target_and_the_script(lab: Lab) -> None:
    spec = one_pool()
    with open_stage(lab, spec, api(spec)) as stage:
        pool = stage.pool("api")
        pool["a"].hold()
        pool["b"].answer(HANG)
        pool["c"].answer(Answer(status=500))
        assert stage.control(3)
        assert not stage.sync().arrivals
        assert stage.one(pool, within=0.1).error == "timeout"
        assert stage.control(1)


def test_wait_for_what_never_comes(lab: Lab) -> None:
    spec = one_pool()
    with open_stage(lab, spec, api(spec)) as stage:
        before = stage.now
        assert stage.wait_for(lambda _: False, within=0.3) is False
        assert stage.now - before > 0.29


def test_notes_stand_in_the_history(lab: Lab) -> None:
    spec = one_pool()
    with open_stage(lab, spec, api(spec)) as stage:
        stage.note("look", "a", "closely")
        assert stage.history.of(Act)[-1] == Act(stage.history.of(Act)[-1].at, "look", "a", "closely")


def test_stage_knows_its_world(lab: Lab) -> None:
    spec = one_pool()
    with open_stage(lab, spec, api(spec)) as stage:
        assert stage.lab == lab.name
        assert stage.target.name == lab.target
        assert stage.subject.value == stage.spec.pool("api")
        assert stage.pool("api").spec == stage.spec.pool("api")
        assert all(b.spec.address == b.address and ":" in b.address for b in stage.pool("api"))
        assert any("web" in text or "api" in text for text in stage.target.files.values())


# --- change ----------------------------------------------------------------------------------------------------------


def answered_by(stage: Stage, n: int = 12) -> set[str]:
    return {exchange.backend or "" for exchange in stage.send("web", n=n)}


def test_a_drained_backend_gets_nothing_until_it_is_registered_again(lab: Lab) -> None:
    spec = one_pool()
    with open_stage(lab, spec, api(spec)) as stage:
        pool = stage.pool("api")
        pool["b"].drain()
        assert pool.spec.backends[1].state == stage.spec.pool("api").backends[1].state == "draining"
        assert answered_by(stage) == {"a", "c"}
        pool["b"].register()
        assert pool["b"].spec.state == "active"
        assert answered_by(stage) == {"a", "b", "c"}
        assert acts(stage.history)[-4:] == [
            ("drain", "b"),
            ("drain taken", "b"),
            ("register", "b"),
            ("register taken", "b"),
        ]


def test_a_deregistered_backend_is_gone_and_a_new_one_joins(lab: Lab) -> None:
    spec = one_pool()
    with open_stage(lab, spec, api(spec)) as stage:
        pool = stage.pool("api")
        pool["a"].deregister()
        assert [b.name for b in stage.spec.pool("api").backends] == ["b", "c"]
        assert answered_by(stage) == {"b", "c"}
        new = pool.register("d")
        assert [b.name for b in pool] == ["a", "b", "c", "d"]
        assert new.address not in {b.address for b in pool.backends[:3]}
        assert answered_by(stage) == {"b", "c", "d"}
        new.kill()
        new.restart()
        assert answered_by(stage) == {"b", "c", "d"}


def test_weights_are_changed(lab: Lab) -> None:
    spec = one_pool(algorithm=Algorithm.WEIGHTED_ROUND_ROBIN)
    with open_stage(lab, spec, api(spec)) as stage:
        pool = stage.pool("api")
        pool["a"].reweigh(2)
        assert pool["a"].spec.weight == 2
        assert Counter(e.backend for e in stage.send("web", n=8)) == {"a": 4, "b": 2, "c": 2}


def test_the_configuration_is_read_again(lab: Lab) -> None:
    spec = one_pool()
    with open_stage(lab, spec, api(spec)) as stage:
        stage.reload()
        assert stage.one(("web", Request(target="/fixed"))).status == 404
        changed = replace(stage.spec.listener("web").rules[0], then=Respond(410, "gone"))
        stage.reload(replace(stage.spec, listeners=(replace(stage.spec.listener("web"), rules=(changed,)),)))
        assert stage.one(("web", Request(target="/fixed"))).status == 410
        assert acts(stage.history)[-4:] == [("reload", ""), ("reload taken", "")] * 2


def test_a_retired_target_finishes_what_it_has_and_starts_again(lab: Lab) -> None:
    spec = one_pool()
    with open_stage(lab, spec, api(spec)) as stage:
        pool = stage.pool("api")
        for backend in pool:
            backend.hold()
        pending = stage.start(pool)
        stage.wait_for(lambda h: bool(h.arrivals_of(pending.id)), within=2.0)
        stage.target.retire()
        stage.wait(0.2)
        assert stage.target.runs
        assert stage.one(pool).error == "refused"
        for backend in pool:
            backend.release()
        assert pending.wait(2.0).status == 200
        stage.wait(0.5)
        assert not stage.target.runs
        stage.target.start_again()
        assert stage.one(pool).status == 200


def test_a_crashed_target_is_down_until_it_starts_again(lab: Lab) -> None:
    spec = one_pool()
    with open_stage(lab, spec, api(spec)) as stage:
        stage.target.crash()
        assert not stage.target.runs
        assert stage.one("web").error == "refused"
        stage.target.start_again()
        assert stage.one("web").status == 200


def test_a_stage_that_opens_failing_meets_bad_probes_from_the_start(lab: Lab) -> None:
    spec = checked(interval=0.1, timeout=0.05)
    with open_stage(lab, spec, api(spec), opening="failing") as stage:
        assert stage.wait_for(lambda h: len(h.probes) >= 3, within=3.0)
        stage.wait(0.05)
        answers = [stage.history.answered_of(probe) for probe in stage.sync().probes[:3]]
        assert {a.status for a in answers if a is not None} == {503}
        assert stage.one("web").backend is None
        stage.pool("api")["b"].pass_probes()
        assert stage.wait_for(lambda h: sum(p.backend == "b" for p in h.probes) >= 8, within=5.0)
        stage.wait(0.1)
        assert stage.one("web").backend == "b"


def test_a_stage_that_opens_slow_meets_probes_that_are_good_late(lab: Lab) -> None:
    spec = checked(interval=0.4, timeout=0.4)
    with open_stage(lab, spec, api(spec), opening="slow") as stage:
        assert stage.wait_for(lambda h: len(h.probes) >= 3, within=3.0)
        stage.wait(0.4)
        first = stage.sync().probes[0]
        answered = stage.history.answered_of(first)
        assert answered is not None
        assert answered.status == 200
        assert answered.at - first.at >= 0.29
