"""Other maps from keys to backends, each with its own bound on what moves."""

from __future__ import annotations

import zlib
from bisect import bisect_left
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b, md5

from lbcheck.balancer.decisions import Decisions
from lbcheck.balancer.policies import key_of
from lbcheck.balancer.request import Request
from lbcheck.balancer.state import BackendState, PoolState
from lbcheck.balancer.twins.catalogue import twin
from lbcheck.spec.model import Algorithm

HASHES = (Algorithm.CONSISTENT_HASH, Algorithm.SOURCE_IP_HASH)
Members = tuple[tuple[str, int], ...]  # (name, weight)


class AnotherMap(Decisions):
    """Hashes by a table over those who may be chosen; a request without the key takes its turn."""

    def pick(self, pool: PoolState, among: list[BackendState], request: Request, now: float) -> BackendState:
        key = key_of(pool.spec, request) if pool.spec.algorithm in HASHES else None
        if key is None:
            return super().pick(pool, among, request, now)
        name = self.owner(tuple(sorted((b.name, b.weight) for b in among)), key)
        return next(b for b in among if b.name == name)

    def owner(self, members: Members, key: str) -> str:
        raise NotImplementedError


@twin(
    "maglev-table",
    "ALG",
    "A hash goes through a Maglev table: when a backend goes, a few keys of others move too.",
    "Envoy's `maglev`, Katran; Eisenbud et al. 2016: https://research.google/pubs/pub44824/",
)
class MaglevTable(AnotherMap):
    def owner(self, members: Members, key: str) -> str:
        return members[maglev(members)[number(key, "key") % SIZE]][0]


SIZE = 4093  # prime, and more than a hundred times the number of backends of any spec of the battery


def number(text: str, salt: str) -> int:
    raw = text.encode("utf-8", "surrogateescape")
    return int.from_bytes(blake2b(raw, digest_size=8, person=salt.encode()).digest(), "big")


@lru_cache(maxsize=64)
def maglev(members: Members) -> Sequence[int]:
    """The paper's table; a member of less weight than the heaviest sits rounds out in proportion, as in Envoy."""
    starts = [number(name, "offset") % SIZE for name, _ in members]
    steps = [number(name, "skip") % (SIZE - 1) + 1 for name, _ in members]
    heaviest = max(weight for _, weight in members)
    table, due = [-1] * SIZE, [0] * len(members)
    left = SIZE
    while left:
        for index, (_, weight) in enumerate(members):
            due[index] += weight
            if due[index] < heaviest or not left:
                continue
            due[index] -= heaviest
            while table[starts[index]] >= 0:
                starts[index] = (starts[index] + steps[index]) % SIZE
            table[starts[index]] = index
            left -= 1
    return table


@twin(
    "ring-of-points",
    "ALG",
    "A hash goes round a ring of 160 points for each unit of weight.",
    "libketama and nginx's `hash ... consistent`: https://nginx.org/en/docs/http/ngx_http_upstream_module.html#hash",
)
class RingOfPoints(AnotherMap):
    def owner(self, members: Members, key: str) -> str:
        points, owners = ring(members)
        at = bisect_left(points, zlib.crc32(key.encode("utf-8", "surrogateescape")))
        return owners[at % len(owners)]


@lru_cache(maxsize=64)
def ring(members: Members) -> tuple[Sequence[int], Sequence[str]]:
    """Places on the ring, and whose each is."""
    placed = sorted(
        (int.from_bytes(digest[at : at + 4], "little"), name)
        for name, weight in members
        for point in range(40 * weight)
        for digest in (md5(f"{name}-{point}".encode(), usedforsecurity=False).digest(),)
        for at in (0, 4, 8, 12)
    )
    return [place for place, _ in placed], [name for _, name in placed]
