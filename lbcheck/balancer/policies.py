"""The algorithms: each takes who may be chosen and says who is. To add one, write one function and name it here.

`among` is never empty, in list order, and holds no backend that is full, draining, unhealthy or of weight 0.
A policy's memory is in `PoolState` (`cursor`, `run`) and `BackendState` (`credit`, `latency`).
"""

# ruff: noqa: ARG001  (every policy has the same signature)

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from hashlib import blake2b
from math import log
from typing import TypeAlias
from urllib.parse import unquote_plus

from lbcheck.balancer.request import Request
from lbcheck.balancer.state import BackendState, PoolState
from lbcheck.spec.model import Algorithm, Pool

Policy: TypeAlias = Callable[[PoolState, list[BackendState], Request, float, random.Random], BackendState]

POLICIES: dict[Algorithm, Policy] = {}


def policy(algorithm: Algorithm) -> Callable[[Policy], Policy]:
    def register(function: Policy) -> Policy:
        POLICIES[algorithm] = function
        return function

    return register


def policy_of(pool: Pool) -> Policy:
    """The function that carries out what this pool declares."""
    if pool.algorithm is Algorithm.WEIGHTED_ROUND_ROBIN and pool.order == "burst":
        return burst
    return POLICIES[pool.algorithm]


# --- turns -----------------------------------------------------------------------------------------------------------


@policy(Algorithm.ROUND_ROBIN)
def round_robin(
    pool: PoolState, among: list[BackendState], request: Request, now: float, rng: random.Random
) -> BackendState:
    """The next in list order after the last turn, so that who leaves or returns shifts nobody else's turn."""
    cursor = pool.cursor
    for backend in among:
        if backend.position > cursor:
            pool.cursor = backend.position
            return backend
    first = among[0]
    pool.cursor = first.position
    return first


@policy(Algorithm.WEIGHTED_ROUND_ROBIN)
def smooth(
    pool: PoolState, among: list[BackendState], request: Request, now: float, rng: random.Random
) -> BackendState:
    """nginx's smooth weighted round robin (commit 52327e0): 5/1/1 gives a a b a c a a."""
    total = 0
    best = among[0]
    for backend in among:
        total += backend.weight
        backend.credit += backend.weight
        if backend.credit > best.credit:
            best = backend
    best.credit -= total
    return best


def burst(pool: PoolState, among: list[BackendState], request: Request, now: float, rng: random.Random) -> BackendState:
    """3/2/1 gives a a a b b c: a backend's whole weight, then the next one's."""
    if pool.run > 0:
        for backend in among:
            if backend.position == pool.cursor:
                pool.run -= 1
                return backend
    backend = round_robin(pool, among, request, now, rng)
    pool.run = backend.weight - 1
    return backend


# --- fewest in flight ------------------------------------------------------------------------------------------------


@policy(Algorithm.LEAST_CONNECTIONS)
def least_connections(
    pool: PoolState, among: list[BackendState], request: Request, now: float, rng: random.Random
) -> BackendState:
    """A minimum of requests in flight; equals take turns."""
    fewest = min([b.in_flight for b in among])
    return round_robin(pool, [b for b in among if b.in_flight == fewest], request, now, rng)


@policy(Algorithm.WEIGHTED_LEAST_CONNECTIONS)
def weighted_least_connections(
    pool: PoolState, among: list[BackendState], request: Request, now: float, rng: random.Random
) -> BackendState:
    """A minimum of in flight / weight, compared as whole numbers; equals share by weight (as in nginx)."""
    best = among[0]
    for b in among:
        if b.in_flight * best.weight < best.in_flight * b.weight:
            best = b
    equals = [b for b in among if b.in_flight * best.weight == best.in_flight * b.weight]
    return smooth(pool, equals, request, now, rng)


@policy(Algorithm.POWER_OF_TWO)
def power_of_two(
    pool: PoolState, among: list[BackendState], request: Request, now: float, rng: random.Random
) -> BackendState:
    """Two distinct uniform picks, fewer in flight wins, the first where they are equal (Mitzenmacher 2001)."""
    if len(among) == 1:
        return among[0]
    one = int(rng.random() * len(among))
    two = int(rng.random() * (len(among) - 1))
    a, b = among[one], among[two + (two >= one)]
    return b if b.in_flight < a.in_flight else a


# --- chance and response time ----------------------------------------------------------------------------------------


@policy(Algorithm.RANDOM)
def at_random(
    pool: PoolState, among: list[BackendState], request: Request, now: float, rng: random.Random
) -> BackendState:
    """An independent draw by weight."""
    return drawn(among, [b.weight for b in among], rng)


def drawn(among: Sequence[BackendState], weights: Sequence[float], rng: random.Random) -> BackendState:
    left = rng.random() * sum(weights)
    for backend, weight in zip(among, weights, strict=True):
        left -= weight
        if left < 0:
            return backend
    return among[-1]


EXPLORATION = 0.1  # share of requests that go to anybody, so that no backend's figure grows old
SMOOTHING = 0.3  # weight of the newest response time: a change of speed shows after about five answers


@policy(Algorithm.LEAST_RESPONSE_TIME)
def least_response_time(
    pool: PoolState, among: list[BackendState], request: Request, now: float, rng: random.Random
) -> BackendState:
    """The least smoothed response time x (in flight + 1) / weight; one request in ten explores. Unmeasured go first."""
    if rng.random() < EXPLORATION:
        return among[int(rng.random() * len(among))]
    scores = [(b.latency or 0.0) * (b.in_flight + 1) / b.weight for b in among]
    least = min(scores)
    return round_robin(pool, [b for b, s in zip(among, scores, strict=True) if s == least], request, now, rng)


def measured(backend: BackendState, latency: float) -> None:
    """Takes one response time (seconds) into the smoothed one."""
    old = backend.latency
    backend.latency = latency if old is None else old + SMOOTHING * (latency - old)


# --- hashing ---------------------------------------------------------------------------------------------------------


@policy(Algorithm.SOURCE_IP_HASH)
def source_ip_hash(
    pool: PoolState, among: list[BackendState], request: Request, now: float, rng: random.Random
) -> BackendState:
    return rendezvous(among, request.client)


@policy(Algorithm.CONSISTENT_HASH)
def consistent_hash(
    pool: PoolState, among: list[BackendState], request: Request, now: float, rng: random.Random
) -> BackendState:
    """A request without the key takes its turn, as HAProxy's `balance hdr()` does."""
    key = key_of(pool.spec, request)
    return round_robin(pool, among, request, now, rng) if key is None else rendezvous(among, key)


def key_of(pool: Pool, request: Request) -> str | None:
    """What `hash_key: source_ip | path | header:NAME | cookie:NAME | query:NAME` reads; None where there is none."""
    kind = pool.hash_key
    if kind == "source_ip" or pool.algorithm is Algorithm.SOURCE_IP_HASH:
        return request.client
    if kind == "path":
        return request.path
    part, _, name = kind.partition(":")
    if part == "header":
        values = [request.host] if name.lower() == "host" else request.header(name.lower())
    elif part == "cookie":
        values = [v for n, v in request.cookies if n == name]
    else:
        pairs = (pair.partition("=") for pair in request.query.split("&"))
        values = [unquote_plus(v) for n, _, v in pairs if unquote_plus(n) == name]
    return values[0] if values else None


def rendezvous(among: Sequence[BackendState], key: str) -> BackendState:
    """Highest random weight (Thaler and Ravishankar 1998): nobody's keys move but those of who leaves or returns.

    Names alone are hashed, so neither the list's order nor a new address moves a key; weights as in Schindelhauer and
    Schomaker 2005: the score is weight / -ln(u) for u uniform in (0, 1).
    """
    prefix = blake2b(key.encode("utf-8", "surrogateescape"), digest_size=8)
    best, high = among[0], -1.0
    for backend in among:
        mixed = prefix.copy()
        mixed.update(b"\0" + backend.name.encode())
        u = (int.from_bytes(mixed.digest(), "big") + 1) / (2**64 + 2)
        score = backend.weight / -log(u)
        if score > high or (score == high and backend.name < best.name):
            best, high = backend, score
    return best


# --- slow start ------------------------------------------------------------------------------------------------------

LEAST_SHARE = 1 / 20


def ramped_share(backend: BackendState, slow_start: float, now: float) -> float:
    """How much of its weight a backend has `now`: t / duration since it rose, at least one twentieth, at most one."""
    if slow_start <= 0:
        return 1.0
    return min(1.0, max(LEAST_SHARE, (now - backend.rising_since) / slow_start))


def ramped(
    pool: PoolState, among: list[BackendState], request: Request, now: float, rng: random.Random
) -> BackendState:
    """The pool's policy while somebody ramps.

    Turns and draws take the ramped weights; a hash keeps its map; elsewhere a ramping backend stands aside from a
    decision with the probability that it lacks.
    """
    shares = [ramped_share(b, pool.spec.slow_start, now) for b in among]
    algorithm = pool.spec.algorithm
    if algorithm is Algorithm.ROUND_ROBIN or algorithm is Algorithm.WEIGHTED_ROUND_ROBIN:
        plain = algorithm is Algorithm.ROUND_ROBIN
        return smooth_by(among, [s if plain else s * b.weight for s, b in zip(shares, among, strict=True)])
    if algorithm is Algorithm.RANDOM:
        return drawn(among, [s * b.weight for s, b in zip(shares, among, strict=True)], rng)
    if algorithm is Algorithm.SOURCE_IP_HASH or algorithm is Algorithm.CONSISTENT_HASH:
        return pool.policy(pool, among, request, now, rng)
    standing = [b for s, b in zip(shares, among, strict=True) if s >= 1.0 or rng.random() < s]
    return pool.policy(pool, standing or among, request, now, rng)


def smooth_by(among: Sequence[BackendState], weights: Sequence[float]) -> BackendState:
    """Smooth weighted round robin with these weights in place of the backends' own."""
    best = among[0]
    for backend, weight in zip(among, weights, strict=True):
        backend.credit += weight
        if backend.credit > best.credit:
            best = backend
    best.credit -= sum(weights)
    return best
