"""What the balancer counts, and its Prometheus text (exposition format 0.0.4). Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable

BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

Labels = tuple[tuple[str, str], ...]


class Durations:
    """Of one pool's exchanges: how many in each bucket, the last beyond them all, and their sum."""

    __slots__ = ("counts", "sum_s")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS_S) + 1)
        self.sum_s = 0.0


class Series:
    """Exchanges alike: how many, and where their durations go."""

    __slots__ = ("count", "durations")

    def __init__(self, durations: Durations) -> None:
        self.count = 0
        self.durations = durations


class Metrics:
    """Counters since the start; gauges are asked for when the text is made."""

    def __init__(self) -> None:
        self._requests: dict[tuple[str, str, str, int], Series] = {}
        self._durations: dict[str, Durations] = {}
        self._refusals: dict[tuple[str, int], int] = {}
        self._retries: dict[str, int] = {}
        self._probes: dict[tuple[str, str, str], int] = {}

    def request(self, listener: str, pool: str, backend: str, status: int, duration_s: float) -> None:
        """An exchange that is over; status 0: the client went first, and saw none."""
        key = (listener, pool, backend, status)
        series = self._requests.get(key)
        if series is None:
            series = self._requests[key] = Series(self._durations.setdefault(pool, Durations()))
        series.count += 1
        durations = series.durations
        durations.counts[bisect_left(BUCKETS_S, duration_s)] += 1
        durations.sum_s += duration_s

    def refused(self, listener: str, status: int) -> None:
        """Something that is no acceptable HTTP request."""
        self._refusals[listener, status] = self._refusals.get((listener, status), 0) + 1

    def retried(self, pool: str) -> None:
        self._retries[pool] = self._retries.get(pool, 0) + 1

    def probed(self, pool: str, backend: str, passed: bool) -> None:
        key = (pool, backend, "passed" if passed else "failed")
        self._probes[key] = self._probes.get(key, 0) + 1

    def text(self, gauges: Iterable[tuple[str, str, list[tuple[Labels, float]]]] = ()) -> str:
        """`gauges`: (name, meaning, [(labels, value), ...])."""
        out: list[str] = []
        _family(
            out,
            "lbcheck_requests_total",
            "counter",
            "Exchanges that are over; code 0: the client went first.",
            [
                ((("listener", a), ("pool", b), ("backend", c), ("code", str(d))), series.count)
                for (a, b, c, d), series in self._requests.items()
            ],
        )
        _family(
            out,
            "lbcheck_refused_total",
            "counter",
            "Requests refused as not acceptable HTTP.",
            [((("listener", a), ("code", str(b))), n) for (a, b), n in self._refusals.items()],
        )
        _family(
            out,
            "lbcheck_retries_total",
            "counter",
            "Tries beyond the first.",
            [((("pool", a),), n) for a, n in self._retries.items()],
        )
        _family(
            out,
            "lbcheck_probes_total",
            "counter",
            "Health probes by result.",
            [((("pool", a), ("backend", b), ("result", c)), n) for (a, b, c), n in self._probes.items()],
        )
        for name, meaning, samples in gauges:
            _family(out, name, "gauge", meaning, samples)
        self._histogram(out)
        return "".join(out)

    def _histogram(self, out: list[str]) -> None:
        name = "lbcheck_request_duration_seconds"
        out.append(f"# HELP {name} From a request's head to the end of its answer.\n# TYPE {name} histogram\n")
        for pool, durations in self._durations.items():
            total = 0
            for bound, count in zip((*map(str, BUCKETS_S), "+Inf"), durations.counts, strict=True):
                total += count
                out.append(f"{name}_bucket{_labels((('pool', pool), ('le', bound)))} {total}\n")
            out.append(f"{name}_sum{_labels((('pool', pool),))} {durations.sum_s:.6f}\n")
            out.append(f"{name}_count{_labels((('pool', pool),))} {total}\n")


def _family(out: list[str], name: str, kind: str, meaning: str, samples: list[tuple[Labels, float]]) -> None:
    out.append(f"# HELP {name} {meaning}\n# TYPE {name} {kind}\n")
    out.extend(f"{name}{_labels(labels)} {value:g}\n" for labels, value in samples)


def _labels(labels: Labels) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
