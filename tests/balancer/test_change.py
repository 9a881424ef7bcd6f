"""Drain, registration, new weights, reload: what changes, and what lives on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lbcheck.errors import UsageError
from lbcheck.spec.model import Algorithm, Backend, Conditions, Rule, Spec, Stickiness
from tests.balancer.test_policies import mapped
from tests.balancer.worlds import CHECK, World, backends, get, to

WRR = Algorithm.WEIGHTED_ROUND_ROBIN


def reload(world: World, **pool: object) -> None:
    changed = replace(world.pool.spec, **pool)  # type: ignore[arg-type]
    world.spec = replace(world.spec, pools=(changed,))
    world.decisions.reload(world.spec, world.now)


def test_a_draining_backend_gets_nothing_new_and_keeps_what_it_has() -> None:
    world = World()
    assert world.begin() == "a"
    world.decisions.drain("p", "a", world.now)
    assert world.turns(4) == "bcbc"
    assert world["a"].in_flight == 1
    world.end("a")
    assert world["a"].in_flight == 0


def test_a_registered_backend_gets_its_share_when_it_is_healthy() -> None:
    world = World(health_check=replace(CHECK, initial="unknown"))
    for name in "abc":
        world.probe(name, "S")
    world.decisions.register("p", "d", "127.0.0.1:9999", 1, world.now)
    assert world.turns(3) == "abc"
    world.probe("d", "S")
    assert world.turns(4) == "dabc"
    assert (world["d"].host, world["d"].port) == ("127.0.0.1", 9999)


def test_a_registered_backend_ramps_where_slow_start_is_declared() -> None:
    world = World(slow_start=20.0)
    world.now += 100.0
    world.decisions.register("p", "d", "127.0.0.1:9999", 1, world.now)
    assert world.shares(200)["d"] < 10
    world.now += 20.0
    assert world.shares(200)["d"] == 50


def test_registering_again_ends_the_draining() -> None:
    world = World()
    world.decisions.drain("p", "b", world.now)
    world.decisions.register("p", "b", world["b"].authority, 1, world.now)
    assert world.turns(3) == "abc"


def test_registering_at_another_address_is_another_backend() -> None:
    world = World(health_check=CHECK)
    before = world["b"]
    world.decisions.register("p", "b", "127.0.0.1:1", 1, world.now)
    assert world["b"] is not before
    assert [b.name for b in world.pool.backends] == ["a", "b", "c"]


def test_deregistration_and_its_last_request() -> None:
    world = World()
    assert world.turn() == "a"
    assert world.begin() == "b"
    leaving = world["b"]
    world.decisions.deregister("p", "b", world.now)
    assert world.turns(4) == "caca"
    world.decisions.ended(world.pool, leaving, world.now, "ok")
    assert leaving.in_flight == 0


def test_positions_stay_in_order_after_leaving_and_coming() -> None:
    world = World()
    world.decisions.deregister("p", "a", world.now)
    world.decisions.register("p", "d", "127.0.0.1:9999", 1, world.now)
    world.decisions.deregister("p", "d", world.now)
    world.decisions.register("p", "e", "127.0.0.1:9998", 1, world.now)
    assert world.turns(6) == "bcebce"


def test_a_new_weight_is_in_force_at_once_and_exactly() -> None:
    world = World(algorithm=WRR)
    world.turns(2)
    world.decisions.reweigh("p", "a", 4, world.now)
    assert world.shares(6) == {"a": 4, "b": 1, "c": 1}
    world.decisions.reweigh("p", "b", 0, world.now)
    assert "b" not in world.turns(10)


@pytest.mark.parametrize("change", ["drain", "deregister"])
def test_an_unknown_backend_is_named_with_those_that_are_known(change: str) -> None:
    world = World()
    with pytest.raises(UsageError, match=r"no backend p/x here\n.*p/a, p/b, p/c"):
        getattr(world.decisions, change)("p", "x", world.now)


# --- reload ----------------------------------------------------------------------------------------------------------


def test_the_same_spec_again_changes_nothing() -> None:
    world = World(health_check=CHECK)
    world.probe("b", "FFF")
    world.probe("c", "FF")
    assert world.begin() == "a"
    pool, states = world.pool, list(world.pool.backends)
    reload(world)
    assert world.pool is pool
    assert world.pool.backends == states
    assert (world["a"].in_flight, world["b"].healthy, world["c"].failures) == (1, False, 2)
    assert world.turns(3) == "cac"


def test_the_rotation_goes_on_where_it_was() -> None:
    world = World()
    assert world.turns(2) == "ab"
    reload(world, backends=(*backends("xabc"),))
    assert world.turns(3) == "cxa"


def test_new_backends_start_afresh_and_gone_ones_go() -> None:
    world = World(health_check=replace(CHECK, initial="unknown"))
    for name in "abc":
        world.probe(name, "S")
    reload(world, backends=backends("abd"))
    assert world.turns(2) == "ab"
    assert world.pool.backend("c") is None
    world.probe("d", "S")
    assert world.shares(6) == {"a": 2, "b": 2, "d": 2}


def test_a_backend_at_a_new_address_is_new() -> None:
    world = World(health_check=replace(CHECK, initial="unknown"))
    world.probe("a", "S")
    reload(world, backends=(Backend("a", "127.0.0.1:1"), *backends("bc")))
    assert world["a"].healthy is None


def test_weights_states_and_algorithms_take_effect() -> None:
    world = World()
    reload(world, backends=(*backends("ab", a=3), Backend("c", "127.0.0.1:9099", state="draining")), algorithm=WRR)
    assert world.shares(8) == {"a": 6, "b": 2}
    reload(world, backends=backends("abc"), algorithm=Algorithm.ROUND_ROBIN)
    assert world.shares(6) == {"a": 2, "b": 2, "c": 2}


def test_rules_and_forwarded_fields_take_effect() -> None:
    world = World()
    listener = replace(world.listener, port=9, rules=(Rule(1, Conditions(path=("/x",)), to("q")),))
    world.decisions.reload(replace(world.spec, listeners=(listener,)), world.now)
    assert world.decisions.route(listener, get("/x"))[0] == to("q")
    assert ("X-Forwarded-Port", "9") in world.decisions.upstream_headers(listener, world.pool, world["a"], get())


@pytest.mark.parametrize(
    "stickiness", [Stickiness("lb_cookie"), Stickiness("app_cookie", "sid"), Stickiness("source_ip")]
)
def test_bindings_outlive_a_reload(stickiness: Stickiness) -> None:
    world = World(stickiness=stickiness)
    world.turn(get(peer="192.0.2.9"))
    world.turn()
    line = world.bind("b", get(), ("Set-Cookie", "sid=x"))
    cookie = line.partition(";")[0] if line else "sid=x"
    reload(world, backends=backends("cbad"))
    assert world.choose(get("/", ("Cookie", cookie))) == "b"


def test_hash_maps_outlive_a_reload() -> None:
    world = World(algorithm=Algorithm.SOURCE_IP_HASH)
    before = mapped(world)
    reload(world, backends=tuple(reversed(backends("abc"))))
    assert mapped(world) == before


def test_an_ejection_outlives_a_reload_of_another_pool() -> None:
    world = World(health_check=CHECK)
    world.probe("a", "FFF")
    other = replace(world.pool.spec, name="q", backends=backends("xyz"))
    world.decisions.reload(Spec(world.spec.listeners, (world.pool.spec, other)), world.now)
    assert set(world.decisions.pools) == {"p", "q"}
    assert world.turns(4) == "bcbc"


def test_cookies_outlive_a_restart_with_the_same_secret() -> None:
    one, two = World(stickiness=Stickiness()), World(stickiness=Stickiness(), seed=2)
    line = one.bind("c", get()) or ""
    assert two.choose(get("/", ("Cookie", line.partition(";")[0]))) == "c"
