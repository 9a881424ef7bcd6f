"""What readings say of a clock (pure), and what real programs make of a rate."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbcheck.lab.calibration import MARGIN, UNEVEN, WORST, Reading, calibrate, judged
from lbcheck.lab.preloaded import in_real_time
from lbcheck.targets import find
from lbcheck.targets.warped import Warped, environment

RATES = st.integers(2, 1000)


def verdict(rate: int, took_s: float, slack_s: float = 0.005) -> tuple[str, float]:
    found = judged([Reading("a timeout", rate * 0.2, took_s)], rate, slack_s, "what")
    return found.fault, found.error


@pytest.mark.fast
@given(RATES)
def test_a_clock_in_real_time_is_always_found_out(rate: int) -> None:
    fault, _ = verdict(rate, rate * 0.2)
    assert "leave --lb-warp out" in fault
    assert "use a lower rate" in fault


@pytest.mark.fast
@given(RATES, st.floats(-WORST, WORST))
def test_what_is_off_a_little_counts_as_its_error(rate: int, off: float) -> None:
    fault, error = verdict(rate, 0.2 * (1 + off))
    assert fault == ""
    assert error >= UNEVEN * rate
    assert error >= MARGIN * abs(off) * 0.999


@pytest.mark.fast
@given(RATES, st.floats(0.3, 10))
def test_lateness_of_the_machine_is_no_fault_of_the_clock(rate: int, slack_s: float) -> None:
    assert verdict(rate, 0.2 + slack_s, slack_s)[0] == ""


@pytest.mark.slow
@pytest.mark.parametrize("target", ["reference", "haproxy", "nginx", "httpd"])
def test_these_feel_it(target: str) -> None:
    assert calibrate(Warped(find(target), 30), worker=9).fault == ""


@pytest.mark.slow
def test_a_process_without_the_library_is_seen() -> None:
    wait = [sys.executable, "-c", "print(flush=True); input()"]
    ended: list[subprocess.Popen[bytes]] = []
    for more in ({}, environment(30, "")):
        process = subprocess.Popen(wait, env=os.environ | more, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()  # it runs: its libraries are there
        ended.append(process)
    found = list(in_real_time([process.pid for process in ended]))
    for process in ended:
        process.communicate(b"\n")
    assert len(found) == 1
    assert f"(process {ended[0].pid})" in found[0]
