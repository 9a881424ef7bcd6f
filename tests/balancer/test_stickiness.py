"""Bound clients: their cookies, their addresses, and what ends a binding."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbcheck.balancer.request import Request
from lbcheck.balancer.stickiness import Table
from lbcheck.spec.model import Claims, Stickiness
from tests.balancer.worlds import CHECK, World, get

COOKIE = Stickiness("lb_cookie", "AWSALB", duration=100.0)
APP = Stickiness("app_cookie", "sid", duration=100.0)
SOURCE = Stickiness("source_ip", duration=100.0)


def bringing(*pairs: str) -> Request:
    return get("/", ("Cookie", "; ".join(pairs)))


class Client:
    """Keeps the lb cookie as a browser does."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.cookie: str | None = None

    def send(self) -> str:
        request = bringing(self.cookie) if self.cookie else get()
        name = self.world.turn(request)
        line = self.world.bind(name, request)
        if line is not None:
            self.cookie = line.partition(";")[0]
        return name


# --- the balancer's own cookie ---------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 4), st.floats(0, 40)), max_size=40))
def test_active_clients_keep_their_backends(steps: list[tuple[int, float]]) -> None:
    world = World(stickiness=COOKIE)
    clients = [Client(world) for _ in range(5)]
    homes: dict[int, str] = {}
    seen = dict.fromkeys(range(5), world.now)
    for who, later in steps:
        world.now += later
        name = clients[who].send()
        if world.now - seen[who] < 50.0:
            assert homes.setdefault(who, name) == name
        homes[who], seen[who] = name, world.now


def test_new_clients_take_turns_and_bound_ones_none() -> None:
    world = World(stickiness=COOKIE)
    bound = Client(world)
    order = []
    for _ in range(6):
        bound.send()
        order.append(Client(world).send())
    assert "".join(order) == "bcabca"


def test_the_cookie_is_set_once_and_again_in_the_last_half() -> None:
    world = World(stickiness=COOKIE)
    line = world.bind("a", get())
    assert line is not None
    mine = bringing(line.partition(";")[0])
    world.now += 49.0
    assert world.bind("a", mine) is None
    world.now += 2.0
    assert world.bind("a", mine) is not None
    assert world.bind("b", mine) is not None


def test_a_binding_ends_with_its_duration() -> None:
    world = World(stickiness=COOKIE)
    client = Client(world)
    assert client.send() == "a"
    world.now += 99.9
    assert world.choose(bringing(client.cookie or "")) == "a"
    world.now += 0.2
    assert world.choose(bringing(client.cookie or "")) == "b"


def test_a_session_cookie_never_ends_here() -> None:
    world = World(stickiness=replace(COOKIE, duration=None))
    client = Client(world)
    client.send()
    world.now += 1e6
    assert {client.send() for _ in range(4)} == {"a"}


@pytest.mark.parametrize(
    ("stickiness", "epoch", "attributes"),
    [
        (COOKIE, None, "; Path=/; Max-Age=100; HttpOnly; SameSite=Lax"),
        (
            replace(COOKIE, secure=True, same_site="None", http_only=False),
            0.0,
            "; Path=/; Max-Age=100; Expires=Thu, 01 Jan 1970 00:18:20 GMT; Secure; SameSite=None",
        ),
        (replace(COOKIE, duration=None, same_site=None), 0.0, "; Path=/; HttpOnly"),
        (replace(COOKIE, duration=0.5), None, "; Path=/; Max-Age=1; HttpOnly; SameSite=Lax"),
    ],
)
def test_the_attributes_are_the_declared_ones(stickiness: Stickiness, epoch: float | None, attributes: str) -> None:
    world = World(stickiness=stickiness, epoch=epoch)
    line = world.bind("a", get())
    assert line is not None
    assert line.startswith("AWSALB=")
    assert line[line.index(";") :] == attributes


def test_the_cookie_shows_nothing() -> None:
    world = World(names="ab", stickiness=COOKIE)
    lines = [world.bind(name, get()) or "" for name in "ab"]
    for shown in ("127", "9097", "9098", "1000"):
        assert not any(shown in line.partition(";")[0] for line in lines)
    assert len({line.partition(";")[0] for line in lines}) == 2


@given(st.data())
def test_no_other_value_is_believed(data: st.DataObject) -> None:
    world = World(stickiness=COOKIE)
    line = world.bind("c", get())
    assert line is not None
    value = line.partition(";")[0].partition("=")[2]
    at = data.draw(st.integers(0, len(value) - 1))
    other = data.draw(st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=+/é "))
    forged = data.draw(st.sampled_from([value[:at] + other + value[at + 1 :], value[:at], value + other, other * 3000]))
    if forged not in (value, value + " "):
        assert world.choose(bringing(f"AWSALB={forged}")) == "a"


def test_a_cookie_of_another_balancer_pool_or_time_is_not_believed() -> None:
    ours, other = World(stickiness=COOKIE), World(stickiness=COOKIE)
    other.decisions.secret = b"another"
    foreign = other.decisions.affinity(other.pool.spec)
    assert foreign is not None
    line = foreign.bind(other.pool, get(), other["c"], (), other.now)
    assert line is not None
    assert ours.choose(bringing(line.partition(";")[0])) == "a"
    from_the_future = ours.bind("c", get())
    ours.now -= 500.0
    assert from_the_future is not None
    assert ours.choose(bringing(from_the_future.partition(";")[0])) == "b"


def test_the_cookie_is_found_by_its_whole_name_among_others() -> None:
    world = World(stickiness=COOKIE)
    mine, decoy = ((world.bind(name, get()) or "").partition(";")[0] for name in "cb")
    assert world.choose(bringing("x=1", f"X{decoy}", mine, decoy.replace("AWSALB", "AWSALBCORS"))) == "c"
    assert world.choose(bringing(mine.replace("=", '="') + '"')) == "c"
    assert world.choose(bringing(f"X{mine}")) == "a"


def test_of_two_cookies_neither_counts() -> None:
    world = World(stickiness=COOKIE)
    one, two = ((world.bind(name, get()) or "").partition(";")[0] for name in "cb")
    twice = bringing(one, two)
    name = world.choose(twice)
    assert name == "a"
    assert world.bind(name, twice) is not None


# --- what ends a binding early ---------------------------------------------------------------------------------------


def test_a_client_of_a_dead_backend_is_bound_once_and_stays() -> None:
    world = World(stickiness=COOKIE, health_check=CHECK)
    client = Client(world)
    assert client.send() == "a"
    world.probe("a", "FFF")
    after = [client.send() for _ in range(5)]
    world.probe("a", "SS")
    after += [client.send() for _ in range(5)]
    assert "a" not in after
    assert all(one == other for one, other in pairwise(after))


def test_a_repeat_leaves_the_bound_backend() -> None:
    world = World(stickiness=COOKIE)
    line = world.bind("a", get()) or ""
    assert world.choose(bringing(line.partition(";")[0]), tried=["a"]) != "a"


def test_a_full_or_weightless_backend_keeps_nobody() -> None:
    world = World(stickiness=COOKIE, max_connections=1)
    client = Client(world)
    assert client.send() == "a"
    world["a"].in_flight = 1
    assert client.send() == "b"
    world.decisions.reweigh("p", "b", 0, world.now)
    assert client.send() == "c"


@pytest.mark.parametrize(("claim", "stays"), [(True, True), (False, False), (None, False)])
def test_bound_clients_of_a_draining_backend(claim: bool | None, stays: bool) -> None:
    world = World(stickiness=COOKIE, claims=Claims(sticky_while_draining=claim), health_check=CHECK)
    bound = Client(world)
    assert bound.send() == "a"
    world.decisions.drain("p", "a", world.now)
    assert all(Client(world).send() != "a" for _ in range(4))
    assert (bound.send() == "a") is stays
    world.probe("a", "FFF")
    assert bound.send() != "a"


# --- the application's cookie ----------------------------------------------------------------------------------------


def test_a_value_is_bound_when_the_application_sets_it() -> None:
    world = World(stickiness=APP)
    assert world.bind("b", get(), ("Set-Cookie", "sid=x1; Path=/"), ("Set-Cookie", "other=1")) is None
    assert [world.turn(bringing("sid=x1", "xsid=zz")) for _ in range(3)] == ["b", "b", "b"]
    assert [world.turn(bringing("sid=unknown")) for _ in range(3)] == ["a", "b", "c"]


def test_a_new_value_is_followed_and_a_deleted_one_forgotten() -> None:
    world = World(stickiness=APP)
    world.bind("b", get(), ("Set-Cookie", "sid=one"))
    world.bind("c", bringing("sid=one"), ("set-cookie", 'sid="two"; Max-Age=60'))
    assert world.choose(bringing("sid=two")) == "c"
    world.bind("c", bringing("sid=two"), ("Set-Cookie", "sid=two; Max-Age=0"))
    assert world.turns(1) == "a"
    assert world.choose(bringing("sid=two")) == "b"


def test_its_duration_counts_from_when_it_was_set() -> None:
    world = World(stickiness=APP)
    world.bind("b", get(), ("Set-Cookie", "sid=x"))
    for _ in range(9):
        world.now += 11.0
        assert world.turn(bringing("sid=x")) == "b"
    world.now += 2.0
    assert world.turn(bringing("sid=x")) == "a"


def test_an_app_client_of_a_dead_backend_is_bound_once() -> None:
    world = World(stickiness=APP, health_check=CHECK)
    world.bind("b", get(), ("Set-Cookie", "sid=x"))
    world.probe("b", "FFF")
    served = []
    for _ in range(4):
        served.append(world.turn(bringing("sid=x")))
        world.bind(served[-1], bringing("sid=x"))
    assert set(served) == {"a"}


# --- the source address ----------------------------------------------------------------------------------------------


def test_an_address_keeps_its_backend_until_it_has_been_silent() -> None:
    world = World(stickiness=SOURCE)
    one, two = get(peer="192.0.2.1"), get(peer="192.0.2.2")
    assert [world.turn(one), world.turn(two), world.turn(one), world.turn(two)] == ["a", "b", "a", "b"]
    for _ in range(3):
        world.now += 99.0
        assert world.turn(one) == "a"
    assert world.turn(two) == "c"


def test_an_address_of_a_dead_backend_is_bound_once() -> None:
    world = World(stickiness=SOURCE, health_check=CHECK)
    assert world.turn() == "a"
    world.probe("a", "FFF")
    assert len({world.turn() for _ in range(4)}) == 1
    world.probe("a", "SS")
    assert world.turn() == "b"


def test_a_table_is_bounded_and_the_oldest_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Table, "BOUND", 3)
    table = Table(None)
    for key in "wxyz":
        table.put(key, "a", 0.0)
    assert [key for key in "wxyz" if table.get(key, 1e9)] == ["x", "y", "z"]
