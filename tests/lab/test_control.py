"""The control run: the same mix at the same rate, straight at the backends, judged for losses and lateness."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbcheck.backends.script import HANG, Answer
from lbcheck.client.http import Endpoint, HttpClient
from lbcheck.client.ids import Ids
from lbcheck.client.sending import Sending
from lbcheck.history import Exchange
from lbcheck.lab.control import MOST, PAUSE_S, PLAIN, Control, due, judged, rehearse
from lbcheck.lab.sim import SimLab
from lbcheck.lab.stage import Stage, open_stage
from tests.judges.made import answered
from tests.lab.specs import api, one_pool

pytestmark = pytest.mark.fast

times = st.lists(st.floats(0, 1e4), min_size=1, max_size=50)


@given(times)
def test_a_rate_is_repeated_and_a_pause_is_not(moments: list[float]) -> None:
    planned = due([Sending(at, open_loop=True) for at in moments])
    assert [sending.at for _, sending in planned] == sorted(moments)
    assert planned[0][0] == 0.0
    for (a, first), (b, second) in pairwise(planned):
        assert b - a == pytest.approx(min(second.at - first.at, PAUSE_S), abs=1e-6)


def test_it_is_bounded() -> None:
    assert len(due([Sending(float(n), open_loop=True) for n in range(MOST + 1)])) == MOST


def directly(stage: Stage) -> tuple[Control, list[Exchange]]:
    """A control run of what this stage has sent, with its exchanges."""
    exchanges: list[Exchange] = []
    backends = [Endpoint(b.name, b.node.host, b.node.port) for b in stage.pool("api").backends]
    client = HttpClient(exchanges.append, Ids("control"))
    sendings = stage._sender.http.sendings
    return stage._lab.run(rehearse(sendings, backends, client, "127.77.0.9")), exchanges


def test_the_mix_and_the_rate_are_those_of_the_check() -> None:
    lab, spec = SimLab(), one_pool(names="ab")
    with open_stage(lab, spec, api(spec)) as stage:
        pool = stage.pool("api")
        with stage.traffic(pool, rate=50.0, method="POST", body=b"x" * 300, keep_alive=True):
            stage.wait(0.99)
        stage.wait(60)
        stage.send(pool, n=3, method="PUT", body=b"12345", chunked=True)
        stage.send(pool, n=2, fresh=False)
        control, exchanges = directly(stage)
    lab.close()

    assert (control.n, control.open_loop, control.lost, control.backends) == (55, 50, 0, 2)
    assert Counter(e.method for e in exchanges) == {"POST": 50, "PUT": 3, "GET": 2}
    assert Counter(e.backend for e in exchanges) == {"a": 28, "b": 27}
    posts = [e for e in exchanges if e.method == "POST"]
    assert all(b"Content-Length: 300\r\n" in e.request for e in posts)
    assert len({e.connection for e in posts}) == 2  # one kept connection to each backend
    gaps = [b.invoked - a.invoked for a, b in pairwise(sorted(posts, key=lambda e: e.invoked))]
    assert gaps == pytest.approx([0.02] * 49)
    puts = [e for e in exchanges if e.method == "PUT"]
    assert all(b"Transfer-Encoding: chunked\r\n" in e.request for e in puts)
    assert len({e.connection for e in puts}) == 3
    assert control.fault(0.02) == ""
    assert str(control).startswith("55 requests (50 of them in open loop) straight at 2 backends, 0 lost")


def test_it_goes_past_the_script_and_leaves_no_trace() -> None:
    lab, spec = SimLab(), one_pool()
    with open_stage(lab, spec, api(spec)) as stage:
        pool = stage.pool("api")
        pool["a"].kill()
        pool["b"].answer(HANG)
        pool["c"].answer(Answer(status=500))
        stage.send(pool, n=6, within=0.1)
        before = list(stage.sync().lines())
        control = stage.rehearse()
        assert (control.backends, control.n, control.fault(0.01)) == (2, 6, "")
        assert list(stage.sync().lines()) == before
        assert {e.status for e in stage.send(pool, n=6, within=0.1)} <= {None, 500, 502, 504}
    lab.close()


def test_a_network_that_is_late_shows() -> None:
    lab, spec = SimLab(), one_pool()
    with open_stage(lab, spec, api(spec)) as stage:
        stage.send("web", n=4)
        lab.loop.network.hop_s = 0.1
        control = stage.rehearse()
        assert "late" in control.fault(0.2)
        lab.loop.network.hop_s = 1.5
        assert stage.rehearse().fault(10.0).startswith("4 of 4 requests straight at 3 backends were lost: GET to")
    lab.close()


def test_a_check_that_sent_nothing_has_its_backends_asked_plainly() -> None:
    lab, spec = SimLab(), one_pool(names="ab")
    with open_stage(lab, spec, api(spec)) as stage:
        control = stage.rehearse()
    lab.close()
    assert (control.n, control.open_loop, control.fault(0.01)) == (2 * PLAIN, 0, "")


def test_with_nobody_left_there_is_no_control() -> None:
    lab, spec = SimLab(), one_pool(names="a")
    with open_stage(lab, spec, api(spec)) as stage:
        stage.pool("api")["a"].refuse()
        stage.send("web", n=2)
        control = stage.rehearse()
    lab.close()
    assert (str(control), control.fault(0.0)) == ("no backend is left that could be asked directly", "")


def test_what_is_lost() -> None:
    fine = answered("b1", 1, listener="b1")
    wrong = [
        answered("b2", 2, listener="b1"),
        answered("b1", 3, listener="b1", status=503),
        answered("b1", 4, listener="b1", complete=False, error="cut"),
        answered(None, 5, listener="b1", status=None, complete=False, error="timeout"),
    ]
    control = judged([fine, *wrong], backends=1, open_loop=0, late_s=0.0)
    assert (control.n, control.lost) == (5, 4)
    assert control.fault(10.0).startswith("4 of 5 requests straight at 1 backends were lost: GET to b1: status 200 by")
