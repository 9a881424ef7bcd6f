"""Says on the terminal what a long check waits for, and until when at the latest; captured output stays captured."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from lbcheck import clock
from lbcheck.plugin.plan import Case, hard_limit_s
from lbcheck.plugin.watchdog import Budget

EVERY_S = 5.0


class Progress:
    """A line every few seconds while one check runs; silent under -q and in workers, which have no terminal."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config

    @contextmanager
    def of(self, case: Case, budget: Budget) -> Iterator[None]:
        reporter = self.config.pluginmanager.get_plugin("terminalreporter")
        if reporter is None or self.config.get_verbosity() < 0:
            yield
            return
        over = threading.Event()
        limit_s = budget.limit_s(hard_limit_s(case))
        ticker = threading.Thread(target=self._tell, args=(case, limit_s, over, reporter), daemon=True)
        ticker.start()
        try:
            yield
        finally:
            over.set()
            ticker.join()

    def _tell(self, case: Case, limit_s: float, over: threading.Event, reporter: Any) -> None:
        began = clock.process_now()
        while not over.wait(EVERY_S):
            spent_s = clock.process_now() - began
            line = (
                f"  ... {case.node}: {spent_s:.0f} s of about {case.check.cost_s:g} s, given up after {limit_s:.0f} s"
            )
            self._write(line, reporter)

    def _write(self, line: str, reporter: Any) -> None:
        # The reporter's own writer was made before capturing began, so it reaches the terminal in mid-test.
        reporter.ensure_newline()
        reporter.write_line(line)
