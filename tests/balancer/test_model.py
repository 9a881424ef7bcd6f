"""The decisions against a naive model that keeps full lists: any sequence of requests, results, time and change."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck as Health
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from lbcheck.balancer.decisions import BackendState, Decisions, Nobody, PoolState
from lbcheck.balancer.defects import decisions_with
from lbcheck.balancer.request import Request
from lbcheck.spec.model import (
    Algorithm,
    Backend,
    Claims,
    Forward,
    HealthCheck,
    Listener,
    PassiveHealth,
    Pool,
    Spec,
    Stickiness,
)
from tests.balancer.model import Member, Model
from tests.balancer.worlds import SECRET

NAMES = "abcde"
CLIENTS = st.tuples(st.sampled_from("xyz"), st.none() | st.sampled_from("klm"))  # who, and a key to be hashed
WEIGHTS = st.sampled_from([1, 2, 4, 0])
RESULTS = ("ok", "ok", "ok", "500", "404", "connect", "reset", "timeout", "aborted")
POLICIES = (
    Algorithm.ROUND_ROBIN,
    Algorithm.WEIGHTED_ROUND_ROBIN,
    Algorithm.LEAST_CONNECTIONS,
    Algorithm.WEIGHTED_LEAST_CONNECTIONS,
    Algorithm.POWER_OF_TWO,
    Algorithm.RANDOM,
    Algorithm.SOURCE_IP_HASH,
    Algorithm.CONSISTENT_HASH,
)


def optional(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


CHECKS = st.builds(
    HealthCheck,
    healthy_threshold=st.integers(1, 3),
    unhealthy_threshold=st.integers(1, 3),
    initial=st.sampled_from(["healthy", "healthy", "unhealthy", "unknown"]),
)
PASSIVES = st.builds(
    PassiveHealth,
    failures=st.integers(1, 3),
    count=st.sampled_from(["consecutive", "window"]),
    within=st.sampled_from([2.0, 10.0]),
    ejection=st.sampled_from([3.0, 10.0]),
    max_ejected=st.sampled_from([0.34, 0.5, 1.0]),
    on=st.sampled_from([("connect", "timeout", "reset", "5xx"), ("500",)]),
)
STICKY = st.builds(
    Stickiness, type=st.sampled_from(["source_ip", "lb_cookie"]), duration=st.sampled_from([None, 4.0, 60.0])
)


@st.composite
def members(draw: st.DrawFn) -> tuple[Backend, ...]:
    names = draw(st.sampled_from(["abc", "ab", "abcd"]))
    equal = draw(st.booleans())
    return tuple(
        Backend(
            name,
            address_of(name),
            1 if equal else draw(st.sampled_from([1, 2, 3, 5, 0])),
            backup=name != "a" and draw(st.sampled_from([False, False, False, True])),
        )
        for name in names
    )


def address_of(name: str, life: int = 0) -> str:
    return f"127.0.0.1:{9000 + 100 * life + ord(name)}"


@st.composite
def pools(draw: st.DrawFn, algorithms: Sequence[Algorithm] = POLICIES) -> Pool:
    return Pool(
        "p",
        draw(members()),
        algorithm=draw(st.sampled_from(algorithms)),
        order=draw(st.sampled_from(["smooth", "burst"])),
        hash_key="header:K",
        health_check=draw(optional(CHECKS)),
        passive_health=draw(optional(PASSIVES)),
        stickiness=draw(optional(STICKY)),
        max_connections=draw(st.sampled_from([0, 0, 0, 1, 2])),
        slow_start=draw(st.sampled_from([0.0, 0.0, 20.0])),
        all_unhealthy=draw(st.sampled_from(["refuse", "refuse", "fail_open"])),
    )


class Try:
    """A try under way, and the request that it is for."""

    def __init__(self, member: Member, state: BackendState, client: str, request: Request, tried: tuple[str, ...]):
        self.member, self.state, self.client, self.request, self.tried = member, state, client, request, tried


class Balancing(RuleBasedStateMachine):
    """One pool behind one listener."""

    kind: ClassVar[type[Decisions]] = Decisions

    @initialize(pool=pools(), stays=st.sampled_from([None, True, False]), seed=st.integers(0, 9))
    def begin(self, pool: Pool, stays: bool | None, seed: int) -> None:
        self.now = 1000.0
        self.lives = 0
        self.listener = Listener("l", Forward((("p", 1),)), port=8080)
        self.claims = Claims(sticky_while_draining=stays)
        self.decisions = self.kind(self.spec(pool), random.Random(seed), self.now, SECRET)
        self.model = Model(pool, self.claims, self.now)
        self.tries: list[Try] = []
        self.cookies: dict[str, str] = {}  # client -> value
        self.issued: dict[str, tuple[str, float]] = {}  # value -> backend's name, when

    def spec(self, pool: Pool) -> Spec:
        return Spec((self.listener,), (pool,), self.claims)

    @property
    def pool(self) -> PoolState:
        return self.decisions.pools["p"]

    # --- requests ----------------------------------------------------------------------------------------------------

    @rule(clients=st.lists(CLIENTS, min_size=1, max_size=8))
    def begin_requests(self, clients: list[tuple[str, str | None]]) -> None:
        """They stay."""
        for client, key in clients:
            self.request(client, key)

    @rule(clients=st.lists(CLIENTS, min_size=4, max_size=20), result=st.sampled_from(RESULTS))
    def serve(self, clients: list[tuple[str, str | None]], result: str) -> None:
        """One whole request after another; the last has another end."""
        for number, (client, key) in enumerate(clients, 1):
            before = len(self.tries)
            self.request(client, key)
            if len(self.tries) > before:
                self.end(self.tries[-1], result if number == len(clients) else "ok")

    def request(self, client: str, key: str | None) -> None:
        fields = [("K", key)] if key else []
        if client in self.cookies:
            fields.append(("Cookie", f"AWSALB={self.cookies[client]}"))
        self.attempt(client, Request("GET", "/", "lb.test", fields, client), ())

    def attempt(self, client: str, request: Request, tried: tuple[str, ...]) -> None:
        key = next(iter(request.header("k")), None)
        bound = self.bound(client, request)
        allowed = self.model.choices(client, key, bound, self.now, tried)
        self.decisions.route(self.listener, request)
        chosen = self.decisions.choose(self.pool, request, self.now, tried)
        if isinstance(chosen, Nobody):
            assert chosen.value == allowed, f"nobody ({chosen.value}), and the model says {allowed}"
            return
        assert isinstance(allowed, set), f"{chosen.name} was chosen, and the model says {allowed}"
        member = self.model.named(chosen.name)
        assert member in allowed, f"{member} was chosen, and the model says {allowed}"
        assert member is not None
        home = self.model.named(bound) if bound else None
        stays = member is home and bound not in tried and self.model.keeps(member, self.now)
        self.model.chose(member, client, key, self.now, bound=stays, tried=tried)
        self.decisions.began(self.pool, chosen, self.now)
        self.tries.append(Try(member, chosen, client, request, tried))

    def bound(self, client: str, request: Request) -> str | None:
        sticky = self.model.spec.stickiness
        if sticky is None:
            return None
        if sticky.type == "source_ip":
            return self.model.home_of(client, self.now)
        name, issued = self.brought(request)
        fresh = sticky.duration is None or self.now - issued < sticky.duration
        return name if fresh else None

    def brought(self, request: Request) -> tuple[str | None, float]:
        """Whom the request's cookie was given for, and when."""
        value = next((v for n, v in request.cookies if n == "AWSALB"), "")
        return self.issued.get(value, (None, 0.0))

    @precondition(lambda self: self.tries)
    @rule(which=st.integers(0, 99), result=st.sampled_from(RESULTS))
    def finish(self, which: int, result: str) -> None:
        self.end(self.tries[which % len(self.tries)], result)

    def end(self, one: Try, result: str) -> None:
        self.tries.remove(one)
        self.model.ended(one.member, result, self.now)
        self.decisions.ended(self.pool, one.state, self.now, result, 0.01)
        if result in ("ok", "404", "500"):
            self.answered(one)

    def answered(self, one: Try) -> None:
        """An answer of the backend's: does it carry the balancer's cookie?"""
        sticky = self.model.spec.stickiness
        given = self.decisions.bind(self.pool, one.request, one.state, (), self.now)
        if sticky is None or sticky.type != "lb_cookie":
            assert given is None
            return
        name, issued = self.brought(one.request)
        half = sticky.duration is not None and self.now - issued >= sticky.duration / 2
        if name == one.member.name and self.model.named(name) is one.member and not half:
            assert given is None, "a cookie that is good for half its time is not set again"
            return
        assert given is not None, "a client that is bound anew gets its cookie"
        value = given.partition(";")[0].partition("=")[2]
        self.cookies[one.client] = value
        self.issued[value] = one.member.name, self.now

    @precondition(lambda self: self.tries)
    @rule(which=st.integers(0, 99), result=st.sampled_from(["connect", "reset", "timeout"]))
    def retry(self, which: int, result: str) -> None:
        one = self.tries[which % len(self.tries)]
        self.end(one, result)
        self.attempt(one.client, one.request, (*one.tried, one.member.name))

    # --- probes and time ---------------------------------------------------------------------------------------------

    @precondition(lambda self: self.model.members and self.model.spec.health_check)
    @rule(which=st.integers(0, 99), results=st.lists(st.booleans(), min_size=1, max_size=4))
    def probe(self, which: int, results: list[bool]) -> None:
        member = self.model.members[which % len(self.model.members)]
        state = self.pool.backend(member.name)
        assert state is not None, f"{member} is not known any more"
        for passed in results:
            member.results.append((self.now, passed))
            self.decisions.probed(self.pool, state, passed, self.now)

    @rule(seconds=st.sampled_from([0.5, 1.0, 2.0, 3.0, 7.0, 12.0, 30.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    # --- change ------------------------------------------------------------------------------------------------------

    @precondition(lambda self: len(self.model.members) > 1)
    @rule(which=st.integers(0, 99), what=st.sampled_from(["drain", "deregister", "reweigh", "reweigh"]), weight=WEIGHTS)
    def change(self, which: int, what: str, weight: int) -> None:
        member = self.model.members[which % len(self.model.members)]
        if what == "drain":
            self.decisions.drain("p", member.name, self.now)
            member.draining = True
        elif what == "deregister":
            self.decisions.deregister("p", member.name, self.now)
            self.model.deregistered(member.name)
        else:
            self.decisions.reweigh("p", member.name, weight, self.now)
            self.model.reweighed(member.name, weight)

    @rule(name=st.sampled_from(NAMES), weight=st.sampled_from([1, 2, 3]), moves=st.booleans())
    def register(self, name: str, weight: int, moves: bool) -> None:
        was = self.model.named(name)
        self.lives += moves or was is None
        address = was.address if was and not moves else address_of(name, self.lives)
        self.decisions.register("p", name, address, weight, self.now)
        self.model.registered(Backend(name, address, weight), self.now)

    @rule(how=st.sampled_from(["as it is", "as it is", "turned round", "heavier", "one less", "one drains"]))
    def reload(self, how: str) -> None:
        declared = [
            Backend(m.name, m.address, m.weight, backup=m.backup, state="draining" if m.draining else "active")
            for m in self.model.members
        ]
        if how == "turned round":
            declared.reverse()
        elif how == "heavier":
            declared = [replace(b, weight=b.weight and b.weight + n) for n, b in enumerate(declared)]
        elif how == "one less":
            declared = declared[1:] or declared
        elif how == "one drains":
            declared = [replace(b, state="draining") if n == 0 else b for n, b in enumerate(declared)]
        pool = replace(self.model.spec, backends=tuple(declared))
        self.decisions.reload(self.spec(pool), self.now)
        self.model.reloaded(pool, self.now)

    # --- always ------------------------------------------------------------------------------------------------------

    @invariant()
    def counts_and_health_are_as_the_lists_say(self) -> None:
        if not hasattr(self, "model"):
            return
        for member in self.model.members:
            state = self.pool.backend(member.name)
            assert state is not None, f"{member} is not known any more"
            assert state.in_flight == member.in_flight, f"{member}: {state.in_flight}, not {member.in_flight} in flight"
            assert state.healthy is self.model.healthy(member), f"{member}: healthy {state.healthy}"
            assert state.weight == member.weight, f"{member}: weight {state.weight}"


USUAL = settings(max_examples=80, stateful_step_count=30, deadline=None, suppress_health_check=list(Health))
# The same examples each time, and the first that is wrong as it is: what matters here is that there is one.
SEARCH = settings(USUAL, max_examples=400, derandomize=True, database=None, phases=[Phase.generate], print_blob=False)

FOUND = (
    "turn-skipped",
    "round-robin-at-random",
    "share-to-neighbour",
    "returned-catches-up",
    "weights-ignored",
    "order-burst-for-smooth",
    "weight-zero-served",
    "sticky-hit-takes-a-turn",
    "first-not-fewest",
    "in-flight-ignored",
    "least-connections-weights-ignored",
    "abort-leaks-count",
    "reset-leaks-count",
    "power-of-two-one-pick",
    "limit-off-by-one",
    "hash-modulo",
    "source-port-hashed",
    "hash-remembers-the-dead",
    "backup-always-used",
    "backup-never-used",
    "fails-open-uninvited",
    "passive-never-ejects",
    "ejection-share-ignored",
    "ejection-cut-short",
    "unhealthy-one-late",
    "healthy-one-early",
    "failures-accumulate",
    "successes-accumulate",
    "drain-ignored",
    "drain-drops-sticky",
    "deregistered-still-served",
    "reweigh-ignored",
    "reload-forgets-health",
    "sticky-never-matches",
    "sticky-to-the-dead",
    "source-affinity-forgets",
    "cookie-set-each-time",
    "sticky-never-expires",
    "retry-same-backend",
)


def test_the_decisions_do_what_the_lists_say() -> None:
    run_state_machine_as_test(Balancing, settings=USUAL)


@pytest.mark.slow
def test_the_decisions_do_what_the_lists_say_for_long() -> None:
    run_state_machine_as_test(Balancing, settings=settings(USUAL, max_examples=1500, stateful_step_count=60))


def finds(name: str) -> bool:
    """Is there a falsifying example against this defect?"""
    wrong = type("Wrong", (Balancing,), {"kind": decisions_with(name)})
    try:
        run_state_machine_as_test(wrong, settings=SEARCH)
    except (AssertionError, ExceptionGroup):
        return True
    return False


@pytest.mark.parametrize("name", FOUND[::5])
def test_the_machine_finds_a_defect(name: str) -> None:
    assert finds(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in FOUND if name not in FOUND[::5]])
def test_the_machine_finds_every_defect_of_its_matter(name: str) -> None:
    assert finds(name)
