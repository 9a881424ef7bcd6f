"""A target on a fast clock is told its own seconds, whatever clock those who ask are on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbcheck.errors import TargetError
from lbcheck.spec.change import Drain, Reload
from lbcheck.spec.model import Backend, Forward, HealthCheck, Listener, Pool, Spec
from lbcheck.spec.warp import seen
from lbcheck.targets import find, warped
from lbcheck.targets.base import real_time
from lbcheck.targets.warped import Warped, environment, library

pytestmark = pytest.mark.slow  # libfaketime is a program of its own
FOLDER = Path("/nowhere")
CHECK = HealthCheck(interval=30.0, timeout=5.0, path="/health")
SPEC = Spec(
    (Listener("web", Forward((("api", 1),)), address="127.0.0.1", port=8080),),
    (Pool("api", (Backend("a", "127.0.0.1:9001"), Backend("b", "127.0.0.1:9002")), health_check=CHECK),),
)


@given(st.integers(2, 1000))
def test_its_files_are_those_of_real_time(rate: int) -> None:
    target = find("reference")
    plain, hurried = target.render(SPEC, FOLDER), Warped(target, rate).render(seen(SPEC, rate), FOLDER)
    assert hurried.files == plain.files
    assert hurried.argv == plain.argv
    assert hurried.env["FAKETIME"] == f"+0 x{rate}"


def test_changes_are_told_in_its_own_time() -> None:
    target = find("reference")
    orders, here = Warped(target, 30).render(seen(SPEC, 30), FOLDER).orders, seen(SPEC, 30)
    plain = target.render(SPEC, FOLDER).orders
    assert orders is not None
    assert plain is not None
    slower = replace(SPEC, pools=(replace(SPEC.pools[0], slow_start=60.0),))
    assert orders(Reload(seen(slower, 30)), seen(slower, 30)) == plain(Reload(slower), slower)
    assert orders(Drain("api", "a"), here) == plain(Drain("api", "a"), SPEC)


def test_what_was_preloaded_stays() -> None:
    assert environment(30, "/lib/other.so")["LD_PRELOAD"] == f"/lib/other.so:{library()}"


def test_a_missing_library_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    folders: Sequence[str] = ("/nowhere",)
    monkeypatch.setattr(warped, "FOLDERS", folders)
    with pytest.raises(TargetError, match="apt-get install faketime"):
        Warped(find("reference"), 30)


def test_a_target_that_says_nothing_of_its_clock_is_left_in_real_time() -> None:
    assert real_time(find("reference")) == ""
    assert "does not say" in real_time(Warped(find("reference"), 2))
