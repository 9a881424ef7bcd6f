"""What a run owns is gone after it, also when the harness was killed: compared with the machine's own lists."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lbcheck.lab import guardian
from lbcheck.lab.belongings import Belongings

GONE_WITHIN_S = 10.0


@pytest.fixture
def belongings() -> Iterator[Belongings]:
    owned = Belongings()
    yield owned
    owned.close()


def within_bound(condition: Callable[[], bool]) -> bool:
    """Does it hold soon? (Of another's children only /proc tells.)"""
    until = time.monotonic() + GONE_WITHIN_S
    while not condition() and time.monotonic() < until:
        select.select([], [], [], 0.01)
    return condition()


def gone(pid: int) -> bool:
    return within_bound(lambda: guardian.stat_of(pid)[:1] in ([], ["Z"]))


def sleeper(belongings: Belongings, *argv: str) -> subprocess.Popen[bytes]:
    return belongings.start(argv or ("sleep", "60"), env={}, cwd=belongings.folder, output=belongings.folder / "log")


def test_start_makes_a_group_and_a_log(belongings: Belongings) -> None:
    process = sleeper(belongings, "sh", "-c", "echo $COLOUR $LBCHECK_RUN; echo oops >&2")
    assert os.getpgid(process.pid) == process.pid
    process.wait(10)
    assert (belongings.folder / "log").read_text().split() == [belongings.token, "oops"]


def test_end_terminates_the_group(belongings: Belongings) -> None:
    process = sleeper(belongings, "sh", "-c", "sleep 60 & wait")
    belongings.end(process, grace_s=5.0)
    assert process.returncode == -signal.SIGTERM
    assert within_bound(lambda: guardian.marked(belongings.token) == [])


def test_end_kills_what_does_not_listen(belongings: Belongings) -> None:
    process = sleeper(belongings, "sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.05; done")
    log = belongings.folder / "log"
    assert within_bound(lambda: log.read_text() == "up\n")
    belongings.end(process, grace_s=0.2)
    assert process.returncode == -signal.SIGKILL
    assert within_bound(lambda: guardian.marked(belongings.token) == [])


def test_close_ends_what_is_left_and_removes_the_folder() -> None:
    belongings = Belongings()
    process = sleeper(belongings)
    belongings.close()
    assert process.wait(GONE_WITHIN_S) == -signal.SIGKILL
    assert not belongings.folder.exists()
    belongings.close()  # once more does no harm


def test_process_that_left_its_group_is_found_by_its_mark(belongings: Belongings) -> None:
    process = sleeper(belongings, "setsid", "--fork", "sleep", "60")
    process.wait(10)
    assert within_bound(lambda: len(guardian.marked(belongings.token)) == 1), (
        guardian.marked(belongings.token),
        (belongings.folder / "log").read_text(),
    )
    (stray,) = guardian.marked(belongings.token)
    belongings.close()
    assert gone(stray)


def test_keep_leaves_the_folder() -> None:
    belongings = Belongings(keep=True)
    belongings.close()
    assert belongings.folder.is_dir()
    belongings.folder.rmdir()


HARNESS = """
import sys
from lbcheck.lab.belongings import Belongings
owned = Belongings()
shell = owned.start(("sh", "-c", "sleep 60 & wait"), env={}, cwd=owned.folder, output=owned.folder / "log")
print(owned.folder, owned._guardian.pid, shell.pid, flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_killed_harness_leaves_nothing(number: signal.Signals) -> None:
    argv, pipe = [sys.executable, "-c", HARNESS], subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, text=True) as harness:
        assert harness.stdout is not None
        folder, *pids = harness.stdout.readline().split()
        token = folder.rpartition("-")[2]
        assert within_bound(lambda: len(guardian.marked(token)) == 2)  # the shell and its sleep
        harness.send_signal(number)
        harness.wait(GONE_WITHIN_S)
        assert all(gone(int(pid)) for pid in pids)
    assert guardian.marked(token) == []
    assert not Path(folder).exists()


def test_guardian_leaves_foreign_groups_and_folders_alone(tmp_path: Path) -> None:
    foreign = subprocess.Popen(["sleep", "60"], start_new_session=True)
    lines = f"folder {tmp_path}\ngroup {foreign.pid} 1\n".encode()  # a start time that is not its own
    subprocess.run([sys.executable, "-I", "-S", guardian.__file__, "token"], input=lines, check=True, timeout=20)
    assert tmp_path.is_dir()
    assert foreign.poll() is None
    foreign.kill()
    foreign.wait()
