"""Requests a second through each proxy, in interleaved rounds, as ratios."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.load import CONNECTIONS, requests_per_second
from bench.page import Section
from bench.processes import CORES, LOAD_CORE, PROXY_CORE, free_port, running
from bench.proxies import PROXIES, backend

WARM_UP_S = 1
DIRECT = "direct"
HEADROOM = 2.0  # of the load over the faster proxy

# what is aimed at: (of, to, at least)
AIMS = (("reference", "haproxy", 0.5), ("reference", "aiohttp", 4.0))


@dataclass(frozen=True, slots=True)
class Rounds:
    """`figures[name]` are requests a second, one a round; the rounds are interleaved, so n-th stands beside n-th."""

    figures: dict[str, list[float]]

    def ratio(self, of: str, to: str) -> tuple[float, float, float]:
        """(median, smallest, largest) over the rounds."""
        ratios = [a / b for a, b in zip(self.figures[of], self.figures[to], strict=True)]
        return median(ratios), min(ratios), max(ratios)

    def headroom(self, of: str, to: str) -> float:
        """How many times the throughput of the faster of the two the direct one is.

        Below 2 the load is measured as much as the proxy, and the ratio of the two says little. Who else is measured
        in the same rounds has no part in that.
        """
        return self.ratio(DIRECT, max((of, to), key=lambda name: median(self.figures[name])))[0]


def measure(rounds: int, seconds: int) -> Rounds:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lbcheck-bench-")))
        behind = (free_port(), free_port())
        stack.enter_context(running(backend(folder, behind), LOAD_CORE, behind, folder / "backend.log"))
        ports = {DIRECT: behind[0]}
        for proxy in PROXIES:
            own = folder / proxy.name
            own.mkdir()
            port = ports[proxy.name] = free_port()
            stack.enter_context(running(proxy.command(own, port, behind), PROXY_CORE, [port], own / "log"))
        for port in ports.values():
            requests_per_second(port, WARM_UP_S)
        figures: dict[str, list[float]] = {name: [] for name in ports}
        for _ in range(rounds):
            for name, port in ports.items():
                figures[name].append(requests_per_second(port, seconds))
    return Rounds(figures)


def section(rounds: int = 5, seconds: int = 3) -> Section:
    measured = measure(rounds, seconds)
    rows: list[tuple[str, ...]] = [("reference to", "median", "smallest", "largest", "headroom")]
    for proxy in PROXIES:
        if proxy.name != "reference":
            headroom = measured.headroom("reference", proxy.name)
            told = f"{headroom:.2f}" if headroom >= HEADROOM else f"{headroom:.2f}: does not count"
            rows.append((proxy.name, *[f"{ratio:.2f}" for ratio in measured.ratio("reference", proxy.name)], told))
    notes = [
        f"{rounds} interleaved rounds of wrk (1 thread, {CONNECTIONS} kept connections, {seconds} s each); "
        "a ratio is taken within a round.",
        "Headroom: direct throughput as a multiple of the faster of the two. A ratio counts where it is at least "
        f"{HEADROOM:g}: else the load is measured as much as the proxy.",
        _where(),
        *[f"{proxy.name}: {proxy.told}." for proxy in PROXIES],
    ]
    aims = []
    for of, to, least in AIMS:
        ratio = measured.ratio(of, to)[0]
        reached = ratio >= least and measured.headroom(of, to) >= HEADROOM
        aims.append((f"{of} at least {least:g} times {to}", reached, f"{ratio:.2f}"))
    return Section("Throughput", rows, notes, aims)


def _where() -> str:
    if len(CORES) > 1:
        return "Pinned: the proxy that is measured has one core, wrk and the backends share another."
    return "One core for everything: nothing is pinned."
