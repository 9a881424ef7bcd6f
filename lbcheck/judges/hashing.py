"""A hash is judged by its map from keys to backends: stable, spread, and moved no further than it must."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lbcheck.history import Exchange
from lbcheck.judges.answers import described, told
from lbcheck.judges.judging import judge
from lbcheck.judges.statistics import ALPHA, beta_binomial_p, silence_for
from lbcheck.verdict import Verdict, decided, inconclusive


def map_of(keyed: Iterable[tuple[str, Exchange]]) -> dict[str, str]:
    """Key -> backend by the first answer for each key; keys without a backend's answer are left out."""
    out: dict[str, str] = {}
    for key, exchange in keyed:
        if exchange.backend is not None:
            out.setdefault(key, exchange.backend)
    return out


@judge
def same_key_same_backend(keyed: Sequence[tuple[str, Exchange]]) -> Verdict:
    """All answers for one key come from one backend."""
    seen: dict[str, dict[str, Exchange]] = defaultdict(dict)
    for key, exchange in keyed:
        if exchange.backend is None or not exchange.complete:
            saw = f"key {key}: {described(exchange)}"
            return decided(False, "same_key_same_backend", "each key at one backend", saw, ids=(exchange.id,))
        seen[key][exchange.backend] = exchange
    expected = f"each of {len(seen)} keys at one backend"
    split = {key: by for key, by in seen.items() if len(by) > 1}
    if split:
        key, by = next(iter(split.items()))
        ids = tuple(e.id for e in by.values())
        saw = f"{len(split)} keys at more than one, such as {key} at {', '.join(by)}"
        return decided(False, "same_key_same_backend", expected, saw, ids=ids, n=len(keyed))
    return decided(bool(seen), "same_key_same_backend", expected, f"so over {len(keyed)} requests", n=len(keyed))


@judge
def spreads(placed: Mapping[str, str], shares: Mapping[str, float]) -> Verdict:
    """Many keys reach every backend, and none holds more than half as much again as a coarse ring would give it.

    A consistent hash is not a fair coin: rings of common size are off by tens of percents. What must hold for any is
    that each backend with a share has some of the keys (silence over n keys has probability below alpha), and that no
    single one has them all.
    """
    n = len(placed)
    smallest = min(s for s in shares.values() if s)
    # A ring may give a backend as little as a third of its share; the silence is tested against that.
    needed = silence_for(smallest / 3, ALPHA / len(shares))
    counts = dict.fromkeys(shares, 0) | dict(Counter(placed.values()))
    figures: dict[str, Any] = {"n": n, "alpha": ALPHA, "counts": counts, "share": dict(shares)}
    expected = f"{n} keys spread over all {sum(1 for s in shares.values() if s)} backends"
    if n < needed:
        return inconclusive("spreads", expected, f"only {n} keys, {needed} are needed", **figures)
    without = [name for name, share in shares.items() if share and not counts[name]]
    return decided(not without, "spreads", expected, told(counts), **figures)


POINTS = 16  # on the ring for each unit of weight: HAProxy's, the coarsest that is common (nginx has 160)


@judge
def spreads_by_weight(placed: Mapping[str, str], weights: Mapping[str, int]) -> Verdict:
    """Each backend has a share of the keys that its weight explains.

    A ring of `POINTS` points for each unit of weight gives a backend a share from Beta(POINTS w, POINTS (W - w)), and
    its count of n keys is beta-binomial: an exact test for each backend. Finer rings, Maglev tables and rendezvous
    hashing lie closer to w / W.
    """
    n, total = len(placed), sum(weights.values())
    counts = dict.fromkeys(weights, 0) | dict(Counter(placed.values()))
    found = {w: beta_binomial_p(counts[w], n, POINTS * weights[w], POINTS * (total - weights[w])) for w in weights}
    p = min(found.values())
    expected = f"{n} keys spread as {':'.join(str(w) for w in weights.values())}, as a ring may"
    figures: dict[str, Any] = {
        "n": n,
        "alpha": ALPHA,
        "p": p,
        "counts": counts,
        "share": {w: weights[w] / total for w in weights},
    }
    return decided(p >= ALPHA / len(weights), "spreads_by_weight", expected, told(counts), **figures)


@judge
def moves_only(before: Mapping[str, str], after: Mapping[str, str], gone: str) -> Verdict:
    """When a backend is gone only its own keys move; a few survivors may, as ring and Maglev tables allow (5 %).

    A hash modulo the number of backends moves about (n - 1) / n of them.
    """
    survivors = [key for key, backend in before.items() if backend != gone and key in after]
    moved = [key for key in survivors if after[key] != before[key]]
    stayed = [key for key, backend in after.items() if backend == gone]
    bound = len(survivors) // 20
    expected = f"only the keys of {gone} move; of {len(survivors)} others at most {bound}"
    saw = f"{len(moved)} others moved" + (f", {len(stayed)} keys still at {gone}" if stayed else "")
    ok = bool(survivors) and len(moved) <= bound and not stayed
    return decided(ok, "moves_only", expected, saw, n=len(before), moved=len(moved))


@judge
def same_map(before: Mapping[str, str], after: Mapping[str, str]) -> Verdict:
    """The same keys at the same backends."""
    moved = [key for key in before if after.get(key) != before[key]]
    expected = f"the same backend again for each of {len(before)} keys"
    saw = f"{len(moved)} moved" + (
        f", such as {moved[0]} from {before[moved[0]]} to {after.get(moved[0])}" if moved else ""
    )
    return decided(bool(before) and not moved, "same_map", expected, saw, n=len(before))
