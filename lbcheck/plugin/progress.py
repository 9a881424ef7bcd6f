"""Says on the terminal what a long check is at, and until when at the latest; captured output stays captured."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import pytest

from lbcheck import clock
from lbcheck.plugin.plan import Case, hard_limit_s
from lbcheck.plugin.watchdog import Budget

EVERY_S = 5.0


class Progress:
    """A line every few seconds while one check runs; silent under -q and in workers, which have no terminal."""

    def __init__(self, config: pytest.Config) -> None:
        # pytest captures by putting another file in the place of this descriptor while a test runs, not of its copy.
        self._terminal = (
            _copy_of_stdout() if config.get_verbosity() >= 0 and not hasattr(config, "workerinput") else None
        )
        self._doing: Callable[[], str] = str

    def close(self) -> None:
        if self._terminal is not None:
            os.close(self._terminal)
            self._terminal = None

    def at(self, doing: Callable[[], str]) -> None:
        """Tells what goes on from now on, asked whenever a line is written."""
        self._doing = doing

    @contextmanager
    def of(self, case: Case, budget: Budget) -> Iterator[None]:
        if self._terminal is None:
            yield
            return
        over = threading.Event()
        limit_s = budget.limit_s(hard_limit_s(case))
        ticker = threading.Thread(target=self._tell, args=(case, limit_s, over), daemon=True)
        ticker.start()
        try:
            yield
        finally:
            over.set()
            ticker.join()

    def _tell(self, case: Case, limit_s: float, over: threading.Event) -> None:
        began = clock.process_now()
        latest = datetime.now() + timedelta(seconds=limit_s)
        start = "\n"  # the line of the check's name is not over yet
        while not over.wait(EVERY_S):
            spent_s = clock.process_now() - began
            line = f"  ... {case.node}: {self._doing()}, {spent_s:.0f} s so far, until {latest:%H:%M:%S} at the latest"
            if self._terminal is not None:
                os.write(self._terminal, f"{start}{line}\n".encode())
            start = ""


def _copy_of_stdout() -> int | None:
    try:
        return os.dup(sys.stdout.fileno())
    except (OSError, ValueError, AttributeError):  # no real file: pytest runs inside another program
        return None
