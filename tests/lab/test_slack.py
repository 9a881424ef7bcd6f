"""Lateness of timers: the quantile is exact, the samples are of a loop that runs."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbcheck.lab.simloop import SimLoop
from lbcheck.lab.slack import KEPT, LEAST_S, SAMPLE_EVERY_S, Lateness, quantile

pytestmark = pytest.mark.fast


@given(st.lists(st.floats(0, 10), min_size=1), st.floats(0.001, 1.0))
def test_quantile_is_the_least_sample_that_covers_the_share(samples: list[float], q: float) -> None:
    found = quantile(samples, q)
    assert found in samples
    assert sum(s <= found for s in samples) >= q * len(samples) - 1e-9
    below = [s for s in samples if s < found]
    assert not below or sum(s <= max(below) for s in samples) < q * len(samples) + 1e-9


def test_no_samples_are_no_lateness() -> None:
    assert quantile([], 0.999) == 0.0


def test_samples_are_taken_only_while_open_and_running() -> None:
    loop = SimLoop()
    lateness = Lateness(loop)

    def run(seconds: float) -> int:
        before = len(lateness)
        lateness.start()
        loop.run_until_complete(asyncio.sleep(seconds))
        lateness.stop()
        return len(lateness) - before

    assert run(1.0) == 0
    lateness.open()
    assert run(1.0) in (199, 200)
    lateness.stop()
    loop.run_until_complete(asyncio.sleep(9.0))
    assert run(1.0) in (199, 200)
    assert lateness.p999_s == LEAST_S  # virtual timers are exact
    lateness.shut()
    assert run(1.0) == 0
    loop.close()


def test_lateness_of_a_blocked_loop_shows() -> None:
    loop = SimLoop()
    lateness = Lateness(loop)
    lateness.open()
    lateness.start()

    def block() -> None:
        loop._now += 0.3  # as a callback does that computes for so long

    loop.call_later(0.5, block)
    loop.run_until_complete(asyncio.sleep(1.0))
    lateness.stop()
    assert 0.29 < lateness.p999_s <= 0.3 + SAMPLE_EVERY_S
    loop.close()


def test_first_measure_has_samples_and_an_echo() -> None:
    loop = asyncio.new_event_loop()
    lateness = Lateness(loop)
    loop.run_until_complete(lateness.measure("127.0.0.1"))
    loop.close()
    assert len(lateness) > 5
    assert lateness.p999_s > 0.0


def test_a_check_keeps_its_own_samples_and_the_last_of_those_before() -> None:
    loop = SimLoop()
    lateness = Lateness(loop)
    lateness.open()
    lateness.start()
    loop.run_until_complete(asyncio.sleep(30.0))
    lateness.stop()
    assert len(lateness) > 5000
    lateness.shut()
    lateness.open()
    assert len(lateness) == KEPT
    loop.close()


def test_measured_again_in_the_midst_of_a_check_it_goes_on_sampling() -> None:
    loop = asyncio.new_event_loop()
    lateness = Lateness(loop)
    lateness._echo_s = 9.0  # of a moment long ago
    lateness.open()
    loop.run_until_complete(lateness.measure("127.0.0.1"))
    before = len(lateness)
    lateness.start()
    loop.run_until_complete(asyncio.sleep(0.1))
    lateness.stop()
    loop.close()
    assert len(lateness) > before
    assert lateness.p999_s < 9.0
