"""Witness inputs: small scenes on which a defect shows. Each takes a kind of decisions and returns what was seen."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from lbcheck.balancer.decisions import Attempt, Decisions, ProbeResult
from lbcheck.balancer.request import Request
from lbcheck.balancer.wire import BadMessage
from lbcheck.spec.model import (
    Algorithm,
    Backend,
    Claims,
    Conditions,
    Forward,
    Forwarded,
    HealthCheck,
    Listener,
    PassiveHealth,
    Pool,
    Protocol,
    Redirect,
    Respond,
    Retries,
    Rewrite,
    Rule,
    Spec,
    Stickiness,
)
from tests.balancer.worlds import CHECK, World, backends, get, to

Kind = type[Decisions]
Scene = Callable[[Kind], Any]

WRR = Algorithm.WEIGHTED_ROUND_ROBIN
LC = Algorithm.LEAST_CONNECTIONS
LRT = Algorithm.LEAST_RESPONSE_TIME
SOURCE = Algorithm.SOURCE_IP_HASH


# --- turns and counts ------------------------------------------------------------------------------------------------


def turns(n: int = 24, **world: Any) -> Scene:
    return lambda kind: World(kind, **world).turns(n)


def outage(kind: Kind) -> object:
    """Round robin while b is out, and after."""
    world = World(kind, names="abcd", health_check=CHECK)
    return [world.turns(5), world.probe("b", "FFF"), world.turns(9), world.probe("b", "SS"), world.turns(9)]


def together(kind: Kind) -> object:
    """A request while another is under way."""
    world = World(kind)
    return [world.begin(), world.choose()]


def paced(kind: Kind) -> object:
    """When the next probes begin, with traffic in between."""
    world, seen = World(kind), []
    for _ in range(6):
        seen.append(world.decisions.next_probe(CHECK, world.now, world.now + 0.5))
        world.turns(20)
        world.now += 10.0
    return seen


def held(kind: Kind, algorithm: Algorithm = LC, **weights: int) -> object:
    """Requests that stay: each goes where the fewest are."""
    world = World(kind, algorithm=algorithm, weights=weights)
    world["a"].in_flight, world["b"].in_flight = 2, 1
    return [world.begin() for _ in range(9)]


def flows(kind: Kind) -> object:
    """What a connection outlives."""
    decisions = World(kind).decisions
    world = World(kind)
    world.decisions.idle_s(world.listener)
    idle = world.decisions.idle_s(replace(world.listener, idle_timeout=1.0)), decisions.kept_until(1.0, 2.0)
    several = decisions.host_of(["a", "b"]), decisions.forgets_empty_lines
    ends = decisions.ends_empty_bodies, [decisions.ends_by_close(framing) for framing in (10, "chunked", "close")]
    ahead = decisions.stays_slow, decisions.reads_behind_nothing, decisions.goes_on_when_read
    lasting = decisions.counts_interims_anew, decisions.breaks_short_bodies, decisions.timers_live_on
    backends_said = decisions.drops_unasked, decisions.reads_bits, decisions.resumes_kept
    times = decisions.answer_persists("1.0", False), decisions.idle_since(1.0, 2.0)
    return lasting, list(decisions.answer_lengths(["10", "4"])), backends_said, times, idle, ahead, several, ends


def hosts(kind: Kind) -> object:
    """Requests that differ in Host alone."""
    world = World(kind)
    asked = [get(host=host) for host in ("one.test", "two.test")]
    return [world.decisions.upstream_headers(world.listener, world.pool, world["a"], each) for each in asked]


def authorities(kind: Kind) -> object:
    """Requests whose targets alone name another authority, and one that differs in its Host."""
    world = World(kind)
    asked = [get("/", ("Host", told), host=host) for host, told in (("a", "x.test"), ("b", "x.test"), ("c", "y.test"))]
    return [world.decisions.upstream_headers(world.listener, world.pool, world["a"], each) for each in asked]


def one_after_another(kind: Kind) -> object:
    """The second of two requests has not what the first has."""
    world = World(kind)
    asked = [get("/", ("X-Other", "1")), get("/")]
    return [world.decisions.upstream_headers(world.listener, world.pool, world["a"], each) for each in asked]


def told_anew(kind: Kind) -> object:
    """A reload changes what backends are told."""
    world = World(kind)
    listener = replace(world.listener, forwarded=Forwarded(x_forwarded_for="remove"))
    world.decisions.reload(replace(world.spec, listeners=(listener,)), world.now)
    return world.decisions.upstream_headers(listener, world.pool, world["a"], get())


def at_one_backend(kind: Kind) -> object:
    """Repeats where nobody else is there."""
    world = World(kind, names="a", retries=Retries(2, ("reset",)))
    tries = (Attempt("reset", "GET", sent=True, repeats=repeats, replayable=True) for repeats in range(4))
    return [world.decisions.may_retry(world.pool, attempt) for attempt in tries]


def shared_rewrite(kind: Kind) -> object:
    """A rule that rewrites, and shares among pools."""
    shared = Forward((("p", 1), ("q", 1)))
    rule = Rule(1, Conditions(), shared, rewrite=Rewrite(path_prefix=("/a", "/b")))
    world = World(kind, rules=[rule])
    return world.decisions.route(world.listener, get("/a/x"))


def believed(kind: Kind) -> object:
    """A peer that is believed tells of a client."""
    world = World(kind, listener={"forwarded": Forwarded(trust=("192.0.2.0/24",))})
    request = get("/", ("X-Forwarded-For", "198.51.100.7"))
    world.decisions.route(world.listener, request)
    return world.decisions.upstream_headers(world.listener, world.pool, world["a"], request)


def namesakes(kind: Kind) -> object:
    """Two pools with backends of the same names: one backend drains, is probed, is dropped, and its pool after it."""
    check = replace(CHECK, unhealthy_threshold=1)
    pools = tuple(Pool(name, backends("ab"), health_check=check) for name in ("one", "two"))
    spec = Spec((Listener("l", to("one"), port=8080),), pools)
    decisions = kind(spec, random.Random(1), 0.0, b"secret")
    one, two = (decisions.pools[name] for name in ("one", "two"))
    gone = one.backends[0]

    def state() -> object:
        return [(b.healthy, b.draining) for pool in (one, two) for b in pool.backends]

    seen: list[object] = []
    decisions.probed(one, gone, False, 1.0)
    seen.append(state())
    decisions.drain("one", "a", 2.0)
    seen.append(state())
    decisions.deregister("one", "a", 3.0)
    seen.append(decisions.cuts_off(one, gone))
    decisions.deregister("two", "a", 3.0)
    seen.append(decisions.cuts_off(one, gone))
    decisions.reload(replace(spec, listeners=(Listener("l", to("two"), port=8080),), pools=pools[1:]), 4.0)
    seen.append(decisions.time_to_finish(one, gone))
    return seen


def lightened(kind: Kind) -> object:
    """A heavy backend is made light, by an order and by a reload."""
    seen = []
    for how in ("order", "reload"):
        world = World(kind, algorithm=WRR)
        heavy = replace(world.spec.pools[0], backends=backends(a=100))
        world.decisions.reload(replace(world.spec, pools=(heavy,)), world.now)
        seen.append(world.turns(50))
        if how == "order":
            world.decisions.reweigh("p", "a", 1, world.now)
        else:
            world.decisions.reload(world.spec, world.now)
        seen.append(world.turns(60))
    return seen


def connecting(kind: Kind) -> object:
    """How long a connection is waited for, and as what it counts where there is none."""
    world = World(kind)
    return [world.decisions.time_to_connect(world.pool), *map(world.decisions.no_connection, (True, False))]


def ends(result: str) -> Scene:
    def scene(kind: Kind) -> object:
        world = World(kind, algorithm=LC)
        for _ in range(3):
            world.end(world.begin(), result)
        return [b.in_flight for b in world.pool.backends]

    return scene


def weighted_held(kind: Kind) -> object:
    return held(kind, Algorithm.WEIGHTED_LEAST_CONNECTIONS, a=4)


def busiest(kind: Kind) -> object:
    world = World(kind, algorithm=Algorithm.POWER_OF_TWO)
    world["b"].in_flight = 9
    return world.turns(60)


def failing_fast(kind: Kind) -> object:
    """b resets every request at once; the others take a while."""
    world = World(kind, algorithm=LRT)
    seen = ""
    for _ in range(60):
        name = world.begin()
        world.end(name, "reset" if name == "b" else "ok", latency=0.001 if name == "b" else 0.1)
        seen += name
    return seen


def timed(kind: Kind) -> object:
    """b is fast; later a is."""
    world = World(kind, algorithm=LRT)
    times = {"a": 0.1, "b": 0.01, "c": 0.1}
    seen = ""
    for step in range(200):
        if step == 100:
            times = {"a": 0.001, "b": 0.2, "c": 0.1}
        name = world.begin()
        world.end(name, latency=times[name])
        seen += name
    return seen


def limited(kind: Kind) -> object:
    world = World(kind, max_connections=2)
    return [world.choose() if world.choose() == "full" else world.begin() for _ in range(11)]


def bound_and_full(kind: Kind) -> object:
    world = World(kind, stickiness=Stickiness("source_ip"), max_connections=2)
    return [world.begin() for _ in range(5)]


def queued(kind: Kind) -> object:
    return [World(kind).decisions.next_waiting(length) for length in range(1, 5)]


def freeing(kind: Kind) -> object:
    return [
        World(kind).decisions.frees(result)
        for result in ("ok", "aborted", "reset", "404", "probed", "members", "ejection")
    ]


def sticky_turns(kind: Kind) -> object:
    world = World(kind, stickiness=Stickiness("source_ip"))
    return [world.turn(get(peer=peer)) for peer in ("p", "q", "p", "p", "r", "q", "s")]


# --- hashes ----------------------------------------------------------------------------------------------------------


def keys(world: World, *headers: tuple[str, str]) -> str:
    return "".join(world.turn(get(f"/{i}", *headers, peer=f"198.51.{i}.7")) for i in range(40))


def source_map(kind: Kind) -> object:
    world = World(kind, algorithm=SOURCE, health_check=CHECK)
    seen = [keys(world), keys(world), keys(world, ("X-Forwarded-For", "203.0.113.5"))]
    world.probe("b", "FFF")
    seen.append(keys(world))
    world.now += 5.0
    world.probe("b", "SS")
    return [*seen, keys(world)]


def path_map(kind: Kind) -> object:
    return keys(World(kind, algorithm=Algorithm.CONSISTENT_HASH, hash_key="path"))


def weighted_map(kind: Kind) -> object:
    return keys(World(kind, algorithm=SOURCE, weights={"a": 3}))


def key_map(hash_key: str) -> Scene:
    """Each key in two requests that differ in all else."""

    def scene(kind: Kind) -> object:
        world = World(kind, algorithm=Algorithm.CONSISTENT_HASH, hash_key=hash_key)
        return [
            [
                world.choose(get(f"/k{i}?k={i}", ("Cookie", f"k={i}"), ("X-Key", f"{i}"))),
                world.choose(get(f"/k{i}?a=b&k={i}", ("Cookie", f"a=b; k={i}"), ("x-key", f"{i}"))),
            ]
            for i in range(20)
        ]

    return scene


def permuted_map(kind: Kind) -> object:
    """Does the order of the list matter? Names' maps of both orders."""
    return [keys(World(kind, names=names, algorithm=SOURCE)) for names in ("abc", "cab")]


def beside_proxy(kind: Kind) -> object:
    """A client that no proxy stands for, and that says many addresses."""
    world = World(kind, algorithm=SOURCE, listener={"forwarded": Forwarded(trust=("10.0.0.0/8",))})
    return "".join(world.turn(get("/", ("X-Forwarded-For", f"203.0.113.{i}"), peer="192.0.2.9")) for i in range(40))


def behind_proxy(kind: Kind) -> object:
    world = World(kind, algorithm=SOURCE, listener={"forwarded": Forwarded(trust=("10.0.0.0/8",))})
    return "".join(
        world.turn(get("/", ("X-Forwarded-For", f"6.6.6.{i}, 203.0.113.{i}"), peer="10.0.0.1")) for i in range(40)
    )


# --- membership ------------------------------------------------------------------------------------------------------


def with_backup(kind: Kind) -> object:
    world = World(kind, members=(*backends("ab"), Backend("c", "127.0.0.1:9100", backup=True)), health_check=CHECK)
    seen = world.turns(6)
    for name in "ab":
        world.probe(name, "FFF")
    return seen + world.turns(3)


def backup_and_nobody_well(kind: Kind) -> object:
    """All fail; then the backup is well, then a primary."""
    spare = Backend("c", "127.0.0.1:9100", backup=True)
    unused, leaving = Backend("d", "127.0.0.1:9101", 0), Backend("e", "127.0.0.1:9102", state="draining")
    members = (*backends("ab"), spare, unused, leaving)
    world = World(kind, members=members, health_check=CHECK, all_unhealthy="fail_open")
    for name in "abcde":
        world.probe(name, "FFF")
    seen = [world.turns(6)]
    for name in "cb":
        world.probe(name, "SS")
        seen.append(world.turns(6))
    return seen


def probe_heads(kind: Kind) -> object:
    decisions = World(kind).decisions
    return [decisions.ends_probe(status) for status in (100, 103, 199, 200, 304, 500)]


def ramp(**pool: Any) -> Scene:
    """a fails and returns; the shares of all in its ramp."""

    def scene(kind: Kind) -> object:
        world = World(kind, slow_start=20.0, health_check=CHECK, **pool)
        world.turn()
        world.probe("a", "FFFSS")
        seen = []
        for _ in range(5):
            seen.append(sorted(world.shares(60).items()))
            world.now += 10.0
        return seen

    return scene


def ramp_again(kind: Kind) -> object:
    """a fails in the midst of its ramp."""
    world = World(kind, slow_start=20.0, health_check=CHECK)
    world.probe("a", "FFFSS")
    world.now += 10.0
    world.probe("a", "FFFSS")
    return world.shares(60)["a"]


def ramp_after_ejection(kind: Kind) -> object:
    world = World(kind, slow_start=20.0, passive_health=PassiveHealth(failures=3, ejection=10.0))
    for _ in range(3):
        world.end(world.begin(), "ok")
        world.decisions.began(world.pool, world["a"], world.now)
        world.end("a", "reset")
    seen = [world.shares(60)["a"]]
    world.now += 11.0
    return [*seen, world.shares(60)["a"]]


def newcomer(kind: Kind) -> object:
    """One more backend, where nobody is probed, and where it is."""
    seen = []
    for check in (None, CHECK):
        world = World(kind, slow_start=20.0, health_check=check)
        world.decisions.register("p", "d", "127.0.0.1:9999", 1, world.now)
        seen.append(world.shares(60)["d"])
    return seen


def all_out(**pool: Any) -> Scene:
    def scene(kind: Kind) -> object:
        world = World(kind, health_check=CHECK, **pool)
        world.turns(3)
        for name in "abc":
            world.probe(name, "FFF")
        seen = [world.turn() for _ in range(30)]
        for name in "abc":
            world.probe(name, "SS")
        return seen, world.turns(6)

    return scene


def newborn(initial: str, **pool: Any) -> Scene:
    def scene(kind: Kind) -> object:
        world = World(kind, health_check=replace(CHECK, initial=initial), **pool)  # type: ignore[arg-type]
        return world.turn(), world.probe("a", "S"), world.turn()

    return scene


def failing_while_draining_with_clients(kind: Kind) -> object:
    claims = Claims(sticky_while_draining=True)
    world = World(kind, health_check=CHECK, stickiness=Stickiness("source_ip"), claims=claims)
    seen = [world.turn()]
    world.decisions.drain("p", "a", world.now)
    seen.append(world.turn())
    world.probe("a", "FFF")
    return [*seen, world.turns(3)]


def newborn_and_bad(kind: Kind) -> object:
    world = World(kind, health_check=replace(CHECK, initial="unknown"))
    return [(world.probe("a", result), world.turn()) for result in "FSS"]


def kinds_of_failure(kind: Kind) -> object:
    world = World(kind, passive_health=PassiveHealth(on=("connect", "timeout", "404")))
    return [world.decisions.counts_as_failure(world.pool, result) for result in ("connect", "timeout", "404", "500")]


def ejected_twice(kind: Kind) -> object:
    """b is ejected, comes back, and fails twice more within the same window."""
    world = World(kind, passive_health=PassiveHealth(failures=3, count="window", within=60.0, ejection=10.0))
    seen = []
    for results in (["500"] * 3, ["ok", "500", "500"]):
        for result in results:
            world.decisions.began(world.pool, world["b"], world.now)
            world.end("b", result)
        seen.append([world.choose() for _ in range(3)])
        world.now += 11.0
        seen.append([world.choose() for _ in range(3)])
    return seen


def failing_late(kind: Kind) -> object:
    """b is ejected while two more of its requests are under way, which fail shortly before it is to return."""
    world = World(kind, passive_health=PassiveHealth(failures=2, ejection=10.0))
    for _ in range(4):
        world.decisions.began(world.pool, world["b"], world.now)
    seen = []
    for passed in (0.0, 8.0):
        world.now += passed
        world.end("b", "500")
        world.end("b", "500")
        seen.append([world.choose() for _ in range(3)])
    world.now += 4.0
    return [*seen, [world.choose() for _ in range(3)]]


def counted(how: str) -> Scene:
    """b fails now and then, with other answers and with time in between."""

    def scene(kind: Kind) -> object:
        health = PassiveHealth(failures=3, count=how, within=10.0, ejection=5.0)  # type: ignore[arg-type]
        seen: list[Any] = []
        for results, pause in (("500 500 404 500", 0.0), ("500 500 ok 500", 0.0), ("500 500 500", 8.0)):
            world = World(kind, passive_health=health)
            for result in results.split():
                world.now += pause
                world.decisions.began(world.pool, world["b"], world.now)
                world.end("b", result)
            seen.append([world.choose() for _ in range(3)])
        return seen

    return scene


def backup_for_the_draining(kind: Kind) -> object:
    world = World(kind, members=(*backends("ab"), Backend("c", "127.0.0.1:9100", backup=True)))
    seen = [world.turns(3)]
    for name in "ab":
        world.decisions.drain("p", name, world.now)
        seen.append(world.turns(3))
    return seen


def ejecting(kind: Kind) -> object:
    """b fails real requests; later it would be well again."""
    world = World(kind, passive_health=PassiveHealth(failures=3, ejection=10.0, max_ejected=0.4))
    seen = []
    for result in ("404", "404", "404", "500", "ok", "500", "500", "500"):
        for name in "bc":
            world.decisions.began(world.pool, world[name], world.now)
            world.end(name, result)
        seen.append([world.choose() for _ in range(3)])
    for _ in range(4):
        world.now += 4.0
        seen.append([world.choose() for _ in range(3)])
    return seen


# --- probes ----------------------------------------------------------------------------------------------------------


def streaks(kind: Kind) -> object:
    return World(kind, health_check=CHECK).probe("a", "FFSFFSFSFFFSFSFSS")


def results(kind: Kind) -> object:
    checks = [replace(CHECK, success_codes="200,204"), HealthCheck(protocol=Protocol.TCP)]
    met = [ProbeResult(s) for s in (None, 200, 204, 301, 404, 503)]
    met += [ProbeResult(error=e) for e in ("refused", "reset", "timeout", "garbage", "closed")]
    return [[World(kind, health_check=c).decisions.passed(c, r) for r in met] for c in checks]


def probe_bytes(kind: Kind) -> object:
    world = World(kind, health_check=replace(CHECK, path="/health", host="app.test", port=7000))
    check = world.pool.spec.health_check
    assert check is not None
    decisions = world.decisions
    return (
        decisions.probe_head(world.pool, world["a"]),
        decisions.next_probe(check, 0.0, 0.1),
        decisions.probe_timeout(check),
        decisions.probe_connect_timeout(check),
    )


# --- delivery and change ---------------------------------------------------------------------------------------------


def attempts(kind: Kind) -> object:
    world = World(kind, retries=Retries(2, ("connect", "reset", "timeout", "503")))
    made = [
        Attempt(what, method, sent, repeats, True, False, reused)
        for what in ("connect", "reset", "timeout", "502", "503")
        for method in ("GET", "POST", "PATCH", "DELETE")
        for sent in (False, True)
        for repeats in (0, 1, 2)
        for reused in (False, True)
    ]
    return [world.decisions.may_retry(world.pool, attempt) for attempt in made]


def elsewhere(kind: Kind) -> object:
    return [World(kind).choose(tried=tried) for tried in ("a", "b", "c", "ab", "ba", "ca")]


def own_statuses(kind: Kind) -> object:
    world = World(kind)
    return [world.decisions.own_status(world.pool, why) for why in ("none_usable", "refused", "broken", "timeout")]  # type: ignore[arg-type]


def bodies(kind: Kind) -> object:
    decisions = World(kind).decisions
    ends = decisions.breaks_off("GET", 200), decisions.cut_by_reset(True), decisions.cut_by_reset(False)
    return decisions.replayed([b"abc", b"def"]), ends


def patience(kind: Kind) -> object:
    world = World(kind)
    return world.pool.spec.timeouts.response, world.decisions.patience(world.pool, 50.0)


def draining(claim: bool) -> Scene:
    def scene(kind: Kind) -> object:
        world = World(kind, stickiness=Stickiness("source_ip"), claims=Claims(sticky_while_draining=claim))
        world.turn()
        world.decisions.drain("p", "a", world.now)
        return world.turn(), [world.turn(get(peer=f"new {i}")) for i in range(4)]

    return scene


def membership_changes(kind: Kind) -> object:
    world = World(kind)
    world.decisions.register("p", "d", "127.0.0.1:9999", 2, world.now)
    seen = [world.turns(8)]
    world.decisions.deregister("p", "b", world.now)
    return [*seen, world.turns(6)]


def reweighed(kind: Kind) -> object:
    world = World(kind, algorithm=WRR)
    world.decisions.reweigh("p", "a", 3, world.now)
    return world.turns(10)


def reweighed_to_and_from_zero(kind: Kind) -> object:
    world, seen = World(kind), []
    for weight in (1, 0, 1):
        world.decisions.reweigh("p", "a", weight, world.now)
        seen.append(world.turns(6))
    return seen


def stopping(kind: Kind) -> object:
    decisions = World(kind).decisions
    return [
        decisions.accepts(stopping=True),
        *(decisions.stopped(left) for left in ((3, 0), (2, 0), (1, 0), (0, 1), (0, 0))),
    ]


def reloaded_otherwise(kind: Kind) -> object:
    """Another algorithm and another limit."""
    world = World(kind, max_connections=2)
    pool = replace(world.spec.pools[0], algorithm=SOURCE, max_connections=1)
    world.decisions.reload(replace(world.spec, pools=(pool,)), world.now)
    return [world.begin() for _ in range(3)]


def reloaded_with_other_members(kind: Kind) -> object:
    world = World(kind)
    seen = [world.turns(3)]
    for members in ((replace(backends("a")[0], state="draining"), *backends("bc")), backends("ac"), backends("abc")):
        pool = replace(world.spec.pools[0], backends=members)
        world.decisions.reload(replace(world.spec, pools=(pool,)), world.now)
        seen.append(world.turns(6))
    return seen


def failing_while_draining(kind: Kind) -> object:
    world = World(kind, health_check=CHECK)
    world.decisions.drain("p", "a", world.now)
    seen = world.probe("a", "FFF")
    world.decisions.register("p", "a", f"{world['a'].host}:{world['a'].port}", 1, world.now)
    return seen, world.turns(6)


def reloaded_between_probes(kind: Kind) -> object:
    world = World(kind, health_check=CHECK)
    seen = []
    for results in ("FF", "FS", "S"):
        seen.append(world.probe("a", results))
        world.decisions.reload(world.spec, world.now)
    return seen


def reloaded(kind: Kind) -> object:
    world = World(kind, health_check=replace(CHECK, initial="unknown"), stickiness=Stickiness())
    for name in "ab":
        world.probe(name, "S")
    world.probe("c", "F")
    line = world.bind("b", get()) or ""
    rules = (Rule(1, Conditions(path=("/x",)), to("q")),)
    listener = replace(world.listener, rules=rules)
    world.decisions.reload(replace(world.spec, listeners=(listener,)), world.now)
    mine = get("/", ("Cookie", line.partition(";")[0]))
    return world.turns(6), [world.choose(mine) for _ in range(3)], world.decisions.route(listener, get("/x"))


def leaving(kind: Kind) -> object:
    """What a backend has left that drains, is back, or is gone; and what a stop leaves to all."""
    world = World(kind)
    decisions, a, b = world.decisions, world["a"], world["b"]
    decisions.drain("p", "a", world.now)
    seen: list[Any] = [decisions.time_to_finish(world.pool, a), decisions.cuts_off(world.pool, a)]
    decisions.register("p", "a", f"{a.host}:{a.port}", 1, world.now)
    seen += [decisions.cuts_off(world.pool, a)]
    decisions.deregister("p", "b", world.now)
    return [*seen, decisions.time_to_finish(world.pool, b), decisions.cuts_off(world.pool, b), decisions.grace(30.0)]


def returned(kind: Kind) -> object:
    world = World(kind, algorithm=WRR, weights={"a": 3})
    world.decisions.drain("p", "a", world.now)
    world.decisions.register("p", "a", f"{world['a'].host}:{world['a'].port}", 3, world.now)
    return world.turns(10)


def reweighed_with_bound_clients(kind: Kind) -> object:
    world = World(kind, stickiness=LB)
    mine = bringing(f"AWSALB={cookie_of(world, 'c')}")
    before = [world.choose(mine) for _ in range(3)]
    world.decisions.reweigh("p", "a", 4, world.now)
    return before, [world.choose(mine) for _ in range(3)]


def reloaded_with_bound_addresses(kind: Kind) -> object:
    world = World(kind, stickiness=Stickiness("source_ip", duration=3600.0))
    peers = [get(peer=f"192.0.2.{i}") for i in range(4)]
    before = [world.turn(peer) for peer in peers]
    world.decisions.reload(world.spec, world.now)
    return before, [world.turn(peer) for peer in reversed(peers)]


def reloaded_with_other_times(kind: Kind) -> object:
    """Another check and other timeouts, and when the next probe is due."""
    world = World(kind, health_check=CHECK)
    pool = world.spec.pools[0]
    other = replace(pool, health_check=replace(CHECK, interval=20.0), timeouts=replace(pool.timeouts, response=7.0))
    world.decisions.reload(replace(world.spec, pools=(other,)), world.now)
    return world.pool.spec, world.decisions.next_probe(CHECK, world.now, world.now + 1.0)


# --- stickiness ------------------------------------------------------------------------------------------------------

LB = Stickiness("lb_cookie", "AWSALB", duration=100.0, secure=True)


def cookie_of(world: World, name: str) -> str:
    return (world.bind(name, get()) or "").partition(";")[0].partition("=")[2]


def bringing(cookie: str) -> Request:
    return get("/deep/page", ("Cookie", cookie))


def cookies(kind: Kind) -> object:
    """A client with its cookie, alone, among others, forged and late."""
    world = World(kind, stickiness=LB)
    value, other = cookie_of(world, "c"), cookie_of(world, "b")
    lines = [
        f"AWSALB={value}",
        f"a=1; AWSALB={value}; b=2",
        f"xAWSALB={other}; AWSALB={value}",
        f"AWSALB={value[:-1]}!",
    ]
    flipped = value[:-1] + ("A" if value[-1] != "A" else "B")
    lines += [f"AWSALB={flipped}", "AWSALB=nonsense", "AWSALB=127.0.0.1:9098"]
    seen = [[world.choose(bringing(line)) for _ in range(3)] for line in lines]
    again = world.bind("c", bringing(f"AWSALB={value}"))
    world.now += 200.0
    return seen, again, [world.choose(bringing(f"AWSALB={value}")) for _ in range(3)]


def lasting(kind: Kind) -> object:
    """A client whose cookie is set again late in its life, and looked at before and after the first one would end."""
    world, seen = World(kind, stickiness=Stickiness(duration=100.0)), []
    value = cookie_of(world, "c")
    for _ in range(2):
        world.now += 80.0
        seen.append([world.choose(bringing(f"AWSALB={value}")) for _ in range(3)])
        value = (world.bind("c", bringing(f"AWSALB={value}")) or "=").partition(";")[0].partition("=")[2]
    return seen


def cookie_value(kind: Kind) -> object:
    """What stands in the cookie, and that its client keeps its backend."""
    world = World(kind, stickiness=LB)
    value = cookie_of(world, "c")
    return value, [world.choose(bringing(f"AWSALB={value}")) for _ in range(3)]


def attributes(kind: Kind) -> object:
    world = World(kind, stickiness=LB, epoch=0.0)
    return (world.bind("a", get("/deep/page")) or "").partition(";")[2]


def homeless(kind: Kind) -> object:
    """A client whose backend dies, and comes back."""
    world = World(kind, stickiness=LB, health_check=CHECK)
    value = cookie_of(world, "a")
    seen = []
    for step in range(8):
        if step in (2, 6):
            world.probe("a", "FFF" if step == 2 else "SS")
        request = bringing(f"AWSALB={value}")
        seen.append(world.turn(request))
        line = world.bind(seen[-1], request)
        value = line.partition(";")[0].partition("=")[2] if line else value
        world.turn()
    return seen


def applications(kind: Kind) -> object:
    world = World(kind, stickiness=Stickiness("app_cookie", "sid", duration=100.0))
    for name, value in (("b", "one"), ("c", "two")):
        world.bind(name, get(), ("Set-Cookie", "theme=dark"), ("Set-Cookie", f"sid={value}"))
    world.bind("a", get(), ("Set-Cookie", "sid=three"))
    return [[world.choose(bringing(f"sid={value}")) for _ in range(3)] for value in ("one", "two", "three")]


def strange_sessions(kind: Kind) -> object:
    """A client makes a session up, and comes back with it."""
    world = World(kind, stickiness=Stickiness("app_cookie", "sid", duration=100.0))
    world.bind("b", bringing("sid=made-up"))
    return [world.choose(bringing("sid=made-up")) for _ in range(3)]


def session_of_a_browser(kind: Kind) -> object:
    """A client whose cookie has no end of its own, and who comes back after a while."""
    world = World(kind, stickiness=Stickiness(duration=None))
    value = cookie_of(world, "c")
    world.now += 10.0
    return [world.choose(bringing(f"AWSALB={value}")) for _ in range(3)]


def clients_of_a_peer(kind: Kind) -> object:
    """Two clients of whom one trusted peer tells, again and again."""
    forwarded = Forwarded(trust=("192.0.2.0/24",))
    world = World(kind, stickiness=Stickiness("source_ip"), listener={"forwarded": forwarded})
    seen = []
    for number in (1, 2, 1, 2):
        request = get("/", ("X-Forwarded-For", f"198.51.100.{number}"), peer="192.0.2.1")
        world.decisions.route(world.listener, request)
        seen.append(world.turn(request))
    return seen


def quoted_session(kind: Kind) -> object:
    world = World(kind, stickiness=Stickiness("app_cookie", "sid"))
    world.bind("c", get(), ("Set-Cookie", 'sid="one"; Path=/'))
    return [world.choose(bringing('sid="one"')) for _ in range(3)]


def late_sessions(kind: Kind) -> object:
    world = World(kind, stickiness=Stickiness("app_cookie", "sid", duration=100.0))
    world.bind("c", get(), ("Set-Cookie", "sid=one"))
    world.now += 80.0
    return [world.choose(bringing("sid=one")) for _ in range(3)]


def shared_connection(kind: Kind) -> object:
    """Two clients' requests on one connection."""
    world = World(kind, stickiness=LB)
    requests = [bringing(f"AWSALB={cookie_of(world, name)}") for name in "cb"]
    requests[1].index = 1
    return [world.choose(request) for request in requests]


def two_cookie_lines(kind: Kind) -> object:
    """The cookie in the second of two lines, and bound by an answer that sets another one."""
    world = World(kind, stickiness=LB)
    request = get("/", ("Cookie", "a=1"), ("Cookie", f"AWSALB={cookie_of(world, 'c')}"))
    return [world.choose(request) for _ in range(3)], world.bind("a", get(), ("Set-Cookie", "theme=dark"))


def failed_over(kind: Kind) -> object:
    """c answers in the place of b, and sets the session's cookie anew."""
    world = World(kind, stickiness=Stickiness("app_cookie", "sid", duration=100.0))
    world.bind("b", get(), ("Set-Cookie", "sid=one"))
    world.bind("c", bringing("sid=one"), ("Set-Cookie", "sid=two"))
    return [world.choose(bringing("sid=two")) for _ in range(3)]


# --- rules -----------------------------------------------------------------------------------------------------------


def routed(*requests: Request, **conditions: Any) -> Scene:
    def scene(kind: Kind) -> object:
        world = World(kind, rules=[Rule(1, Conditions(**conditions), to("q"))])
        return [world.decisions.route(world.listener, request)[0] for request in requests]

    return scene


def paths(*targets: str, **conditions: Any) -> Scene:
    return routed(*(get(t) for t in targets), **conditions)


def ordered(kind: Kind) -> object:
    rules = [Rule(n, Conditions(path=("/x*",)), to(pool)) for n, pool in ((2, "b"), (1, "a"), (3, "c"))]
    world = World(kind, rules=rules)
    return [world.decisions.route(world.listener, get(t))[0] for t in ("/x", "/y")]


def numbered(kind: Kind) -> object:
    rules = [Rule(n, Conditions(path=("/x*",)), to(pool)) for n, pool in ((20, "b"), (9, "a"), (100, "c"))]
    world = World(kind, rules=rules)
    return world.decisions.route(world.listener, get("/x"))[0]


def one_connection(kind: Kind) -> object:
    """Two requests of one connection, for two rules."""
    world = World(kind, rules=[Rule(n, Conditions(path_exact=(f"/{n}",)), to(f"q{n}")) for n in (1, 2)])
    requests = [get("/1"), get("/2")]
    requests[1].index = 1
    return [world.decisions.route(world.listener, request)[0] for request in requests]


def fixed(kind: Kind) -> object:
    world = World(kind, rules=[Rule(1, Conditions(path=("/x",)), Respond(403, "no"))])
    return world.decisions.route(world.listener, get("/x"))[0]


def split(kind: Kind) -> object:
    world = World(kind)
    drawn = [world.decisions.pool_of(Forward((("q", 9), ("r", 1))), get()) for _ in range(200)]
    return ("none", "few", "many")[(drawn.count("r") > 0) + (drawn.count("r") > 40)]


def split_with_nothing(kind: Kind) -> object:
    """Does a pool of weight 0 get anything?"""
    world = World(kind)
    forward = Forward((("p", 0), ("q", 2), ("r", 1)))
    return {world.decisions.pool_of(forward, get()) for _ in range(100)}


def redirected(kind: Kind) -> object:
    world = World(kind)
    wanted = Redirect(301, "HTTPS", port="8443"), Redirect(302, "HTTP", port="443")
    requests = get("/a%3Fx?b=c"), get("/a//b/")
    return [world.decisions.location(r, world.listener, request) for r in wanted for request in requests]


def rewritten(kind: Kind) -> object:
    return World(kind).decisions.rewritten(Rewrite(("/api", "/")), "/api/x/api?y=z")


# --- messages --------------------------------------------------------------------------------------------------------


def upstream(forwarded: Forwarded | None = None, *headers: tuple[str, str]) -> Scene:
    def scene(kind: Kind) -> object:
        world = World(kind, listener={"forwarded": forwarded})
        return world.decisions.upstream_headers(world.listener, world.pool, world["a"], get("/", *headers))

    return scene


def two_peers(kind: Kind) -> object:
    world = World(kind)
    asked = (("1", "192.0.2.1"), ("2", "192.0.2.2"), ("2", "192.0.2.1"))
    requests = [get("/", ("X", value), peer=peer) for value, peer in asked]
    return [world.decisions.upstream_headers(world.listener, world.pool, world["a"], r) for r in requests]


def downstream(kind: Kind) -> object:
    came = [
        ("Set-Cookie", "a=1"),
        ("Set-Cookie", "b=2"),
        ("Keep-Alive", "timeout=5"),
        ("Content-Encoding", "gzip"),
        ("X", "x" * 2000),
        ("Connection", "x-one, X-TWO, content-length"),
        ("Connection", "x-three"),
        ("X-One", "1"),
        ("X-Two", "2"),
        ("X-Three", "3"),
        ("Content-Length", "4"),
        ("ETag", '"one"'),
    ]
    return World(kind).decisions.downstream_headers(came)


def framings(kind: Kind) -> object:
    cl, te, odd = ("Content-Length", "5"), ("Transfer-Encoding", "chunked"), ("Transfer-Encoding", "xchunked")
    large = ("Content-Length", "100000")
    messages: Sequence[list[tuple[str, str]]] = ([], [cl], [te], [cl, cl], [cl, te], [te, cl], [odd], [large])
    framing = World(kind).decisions.framing
    return [f"{framing(method, list(m), '1.1')}" for method in ("POST", "DELETE") for m in messages]


def chunks(kind: Kind) -> object:
    """Bodies of one byte, in chunks written in several ways; None where one is refused."""
    seen: list[object] = []
    for size in (b"01", b"1;a=b", b"A"):
        try:
            seen.append(World(kind).decisions.body("chunked").feed(size + b"\r\n")[0])
        except BadMessage:
            seen.append(None)
    return seen


def own_bodies(kind: Kind) -> object:
    decisions = World(kind).decisions
    statuses = (204, 301, 403, 502)
    bodies = [decisions.own_body(method, status) for method in ("GET", "HEAD") for status in statuses]
    return bodies, [decisions.own_length(status) for status in statuses]


def interim(kind: Kind) -> object:
    decisions = World(kind).decisions
    return [
        (decisions.is_interim(status), decisions.passes_interim(version, status), decisions.takes_chunks(version))
        for version in ("1.0", "1.1")
        for status in (100, 103, 200)
    ]


def staying(kind: Kind) -> object:
    """Whose connection is kept, and who is told."""
    decisions = World(kind).decisions
    said = [decisions.stays(get("/", ("Connection", value)), False) for value in ("close", "Close")]
    flows = decisions.says_keep_alive, decisions.ends_early, decisions.ends_refused, decisions.keeps_surplus
    ends = decisions.lingers, decisions.reads_over_lines, decisions.passes_surplus
    return said, decisions.stays(get(), True), flows, ends


def waiting(kind: Kind) -> object:
    decisions = World(kind).decisions
    world = World(kind)
    sides = decisions.waits_for_uploads, decisions.waits_for_readers, decisions.hears_closes
    return (
        sides,
        decisions.holds_backends,
        decisions.waiting_is_idle,
        decisions.bodies_end_idling,
        decisions.idle_s(world.listener),
        decisions.max_head,
    )


def holding(kind: Kind) -> object:
    decisions = World(kind).decisions
    return decisions.holds_later_parts, decisions.forgets_the_late, decisions.moves_everybody


def declared_attempts(kind: Kind) -> object:
    """A POST that failed, where the pool lets it be repeated."""
    world = World(kind, retries=Retries(1, ("reset", "503", "500", "404"), non_idempotent=True))
    made = [Attempt(what, "POST", True, 0, True) for what in ("reset", "503", "500", "502", "404")]
    return [world.decisions.may_retry(world.pool, attempt) for attempt in made]


def reuse(kind: Kind) -> object:
    decisions = World(kind).decisions
    flags = [(keep, clean) for keep in (True, False) for clean in (True, False)]
    reusable = [decisions.reusable("GET", 200, *pair) for pair in flags]
    ahead = decisions.pipelines, decisions.reads_behind_bodies, decisions.reads_on, decisions.forgets_halves
    flows = decisions.keeps_early, ahead, decisions.streams
    return reusable, [decisions.body_expected(*answer) for answer in (("HEAD", 200), ("GET", 304))], flows
