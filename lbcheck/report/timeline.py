"""From a history to the few numbers that a drawing needs: lanes, requests with their fates, probes, acts and faults.

The result is one JSON object (`CheckRecord.timeline`); times are seconds since its first event, lanes are indices into
`lanes`, and `BALANCER` stands for what reached no backend:

    lanes         [name, ...]
    until_s       the last moment
    requests      [[at, lane, fate], ...]        fate: a `Fate`, `retried` (an earlier arrival) or `stray`
    probes        [[at, lane, result], ...]      result: passed | failed | tcp (connected without a byte)
    acts          [[at, lane, what, on, detail], ...]
    faults        [[began, ended or null, lane, fault, on, witnessed], ...]
    expected_out  [[from, to or null, lane], ...] by the probes that the backend saw and the thresholds of its spec
    promise       {interval_s, timeout_s, healthy_threshold, unhealthy_threshold} of the subject's pool, or {}
    left_out      {kind: how many events were thinned away}
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from lbcheck.history import Act, Answered, Arrival, Connected, Disconnected, Fate, FaultBegan, FaultEnded, History
from lbcheck.spec.model import Forward, HealthCheck, Pool, Spec
from lbcheck.spec.subject import Subject

BALANCER = -1
RETRIED, STRAY = "retried", "stray"
PASSED, FAILED, TCP = "passed", "failed", "tcp"
FINE = frozenset({Fate.ANSWERED.value, Fate.LOCAL.value, PASSED, TCP})  # thinned before anything else is

_LANES = 32
_MARKS = 200  # acts, and faults
_TEXT = 200  # characters of a name that came from outside

Row = list[Any]


def timeline_of(
    history: History,
    spec: Spec | None = None,
    subject: Subject | None = None,
    *,
    backends: Sequence[str] | None = None,
    limit: int = 2000,
) -> dict[str, Any]:
    """The drawing's events; see the module for their shape.

    Lanes are `backends`, else those of the subject's pools, else of all pools of the spec, in their order; a backend
    that appears in the history without being expected gets a lane after them. `limit` bounds requests and probes
    together: fine ones are thinned evenly, the others go last, and `left_out` counts what is missing.
    """
    pools = _pools(spec, subject)
    checks = _health_checks(history, pools)
    lanes = _lanes(history, list(backends) if backends is not None else list(checks))
    index = {name: n for n, name in enumerate(lanes)}
    origin, until = _extent(history)
    probes = _probes(history, checks)
    requests, probe_rows, left_out = _thinned(
        [[at, index.get(lane, BALANCER), fate] for at, lane, fate in _requests(history)],
        [[at, index[lane], result] for _, at, lane, result in probes if lane in index],
        limit,
    )
    acts = [[a.at, index.get(a.on, BALANCER), a.what[:_TEXT], a.on[:_TEXT], a.detail[:_TEXT]] for a in history.of(Act)]
    faults = _faults(history, index)
    out = _expected_out(probes, checks, index)
    left_out |= {k: len(v) - _MARKS for k, v in (("acts", acts), ("faults", faults)) if len(v) > _MARKS}
    if hidden := _names(history) - set(lanes):
        left_out["backends"] = len(hidden)
    return {
        "lanes": [name[:_TEXT] for name in lanes],
        "until_s": _s(until - origin),
        "requests": _relative(requests, origin, 1),
        "probes": _relative(probe_rows, origin, 1),
        "acts": _relative(acts[:_MARKS], origin, 1),
        "faults": _relative(faults[:_MARKS], origin, 2),
        "expected_out": _relative(out[:_MARKS], origin, 2),
        "promise": _promise(pools),
        "left_out": left_out,
    }


# --- lanes -----------------------------------------------------------------------------------------------------------


def _pools(spec: Spec | None, subject: Subject | None) -> list[Pool]:
    if spec is None:
        return []
    value = subject.value if subject is not None else None
    if isinstance(value, Pool):
        return [p for p in spec.pools if p.name == value.name]
    action = getattr(value, "then", None)
    if isinstance(action, Forward):
        named = {name for name, _ in action.pools}
        return [p for p in spec.pools if p.name in named]
    return list(spec.pools)


def _health_checks(history: History, pools: Iterable[Pool]) -> dict[str, HealthCheck | None]:
    """Backend to health check, in the spec's order, by the name that the history knows: `pool/backend` or `backend`."""
    seen = _names(history)
    return {
        long if (long := f"{pool.name}/{backend.name}") in seen else backend.name: pool.health_check
        for pool in pools
        for backend in pool.backends
    }


def _names(history: History) -> set[str]:
    return {e.backend for kind in (Arrival, Connected) for e in history.of(kind)}


def _lanes(history: History, expected: list[str]) -> list[str]:
    return (expected + sorted(_names(history) - set(expected)))[:_LANES]


def _promise(pools: list[Pool]) -> dict[str, Any]:
    declared = [p.health_check for p in pools if p.health_check is not None]
    if not declared:
        return {}
    check = declared[0]
    return {
        "interval_s": check.interval,
        "timeout_s": check.timeout,
        "healthy_threshold": check.healthy_threshold,
        "unhealthy_threshold": check.unhealthy_threshold,
    }


# --- requests and probes ---------------------------------------------------------------------------------------------


def _requests(history: History) -> list[tuple[float, str, str]]:
    """(at, backend or "", fate): one for each arrival, and one for each request that never arrived."""
    rows: list[tuple[float, str, str]] = []
    known: set[str] = set()
    for journey in history.journeys():
        known.add(journey.exchange.id)
        if not journey.arrivals:
            rows.append((journey.exchange.invoked, "", journey.fate.value))
            continue
        *earlier, last = journey.arrivals
        rows += [(a.at, a.backend, RETRIED) for a in earlier]
        rows.append((last.at, last.backend, journey.fate.value))
    rows += [(a.at, a.backend, STRAY) for a in history.arrivals if not a.probe and (a.id is None or a.id not in known)]
    return sorted(rows)


def _probes(history: History, checks: dict[str, HealthCheck | None]) -> list[tuple[float, float, str, str]]:
    """(known at, arrived at, backend, result) of HTTP probes and of TCP checks, by the moment the result was known."""
    answered = {(a.backend, a.connection, a.index): a for a in history.of(Answered)}
    rows = [
        _probe(arrival, answered.get((arrival.backend, arrival.connection, arrival.index)), checks.get(arrival.backend))
        for arrival in history.probes
    ]
    began = {(c.backend, c.connection): c.at for c in history.of(Connected)}
    for gone in history.of(Disconnected):
        if gone.bytes_in == 0 and (gone.backend, gone.connection) in began:
            at = began[gone.backend, gone.connection]
            rows.append((at, at, gone.backend, TCP))
    return sorted(rows)


def _probe(arrival: Arrival, answered: Answered | None, check: HealthCheck | None) -> tuple[float, float, str, str]:
    if check is None:
        fine = answered is not None and answered.how == "answered" and 200 <= (answered.status or 0) < 400
        return answered.at if answered else arrival.at, arrival.at, arrival.backend, PASSED if fine else FAILED
    late = arrival.at + check.timeout
    if answered is None or answered.at > late:
        return late, arrival.at, arrival.backend, FAILED
    fine = answered.how == "answered" and check.accepts(answered.status or 0)
    return answered.at, arrival.at, arrival.backend, PASSED if fine else FAILED


def _expected_out(
    probes: Iterable[tuple[float, float, str, str]], checks: dict[str, HealthCheck | None], index: dict[str, int]
) -> list[Row]:
    """When each backend must be out, by its own probes: from the Nth failure in a row to the Mth success in a row."""
    spans: list[Row] = []
    streak: dict[str, tuple[str, int]] = {}
    out: dict[str, float] = {}
    for known, _, name, result in probes:
        check = checks.get(name)
        if check is None or name not in index:
            continue
        verdict = FAILED if result == FAILED else PASSED
        last, count = streak.get(name, (verdict, 0))
        count = count + 1 if last == verdict else 1
        streak[name] = (verdict, count)
        if verdict == FAILED and name not in out and count >= check.unhealthy_threshold:
            out[name] = known
        elif verdict == PASSED and name in out and count >= check.healthy_threshold:
            spans.append([out.pop(name), known, index[name]])
    return sorted(spans + [[since, None, index[name]] for name, since in out.items()], key=lambda row: (row[0], row[2]))


def _faults(history: History, index: dict[str, int]) -> list[Row]:
    rows: list[Row] = []
    for began in history.of(FaultBegan):
        ends = (e.at for e in history.of(FaultEnded) if (e.fault, e.on) == (began.fault, began.on) and e.at >= began.at)
        ended = min(ends, default=None)
        lane = index.get(began.on, BALANCER)
        rows.append([began.at, ended, lane, began.fault[:_TEXT], began.on[:_TEXT], began.witnessed])
    return sorted(rows, key=lambda row: (row[0], row[2], row[3]))


# --- size ------------------------------------------------------------------------------------------------------------


def _extent(history: History) -> tuple[float, float]:
    times = [event.at for event in history]
    times += [e.done for e in history.exchanges if e.done is not None]
    return (min(times), max(times)) if times else (0.0, 0.0)


def _thinned(requests: list[Row], probes: list[Row], limit: int) -> tuple[list[Row], list[Row], dict[str, int]]:
    """At most `limit` of both together, each kind in proportion."""
    total = len(requests) + len(probes)
    if total <= limit:
        return requests, probes, {}
    room = limit * len(requests) // total
    kept = _thin(requests, room), _thin(probes, limit - room)
    lost = {"requests": len(requests) - len(kept[0]), "probes": len(probes) - len(kept[1])}
    return *kept, {kind: n for kind, n in lost.items() if n}


def _thin(rows: list[Row], limit: int) -> list[Row]:
    """Evenly spaced rows, those that are not fine first."""
    if len(rows) <= limit:
        return rows
    telling = [n for n, row in enumerate(rows) if row[2] not in FINE]
    fine = [n for n, row in enumerate(rows) if row[2] in FINE]
    kept = _even(telling, limit)
    return [rows[n] for n in sorted(kept + _even(fine, limit - len(kept)))]


def _even(items: list[int], limit: int) -> list[int]:
    return items if len(items) <= limit else [items[n * len(items) // limit] for n in range(limit)]


def _relative(rows: list[Row], origin: float, times: int) -> list[Row]:
    """The first `times` columns as seconds since the origin; None stays."""
    return [[None if t is None else _s(t - origin) for t in row[:times]] + row[times:] for row in rows]


def _s(seconds: float) -> float:
    return round(seconds, 4)
