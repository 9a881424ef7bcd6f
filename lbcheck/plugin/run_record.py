"""The record of a run: gathered from reports in the one process that sees them all, written once at the end."""

from __future__ import annotations

import os
import platform
import shlex
import sys
from collections.abc import Iterable
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import lbcheck
from lbcheck import clock
from lbcheck.checks import Check, newest
from lbcheck.plugin import baseline, catalogue, outputs, trial
from lbcheck.plugin.exit_codes import Exit, Tally, exit_code, headline, tally_of
from lbcheck.plugin.plan import Case
from lbcheck.report.model import CheckRecord, Coverage, Environment, Run, record_from_json
from lbcheck.verdict import Outcome

if TYPE_CHECKING:
    from lbcheck.plugin.session import Session


class RunRecord:
    """Hears every report, whichever process it comes from."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.started = clock.wall_time()
        self.plan: dict[str, Case] = {}
        self.not_claimed: list[str] = []
        self.nodes: list[str] | None = None  # those selected; None: nothing was collected
        self.records: dict[str, CheckRecord] = {}
        self.never_ready = False
        self.strays = 0
        self.slack_s = 0.0
        self.others = self.others_failed = 0
        self.narrowed = session.settings.narrowed
        self.paths: dict[str, Path] = {}
        self.run: Run | None = None
        self.trouble = ""  # why there is no report

    # --- hearing -----------------------------------------------------------------------------------------------------

    def planned(self, check: Check, cases: Iterable[Case]) -> None:
        found = {case.node: case for case in cases}
        self.plan.update(found)
        if not found and self.session.settings.takes(check) and check.id not in self.not_claimed:
            self.not_claimed.append(check.id)

    def selected(self, nodes: Iterable[str]) -> None:
        self.nodes = list(nodes)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        if session.items:
            self.selected(item.nodeid for item in session.items)

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        self.narrowed = self.narrowed or bool(items)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        from lbcheck.plugin.session import attached_to

        attached = attached_to(report)
        if attached is not None:
            self._keep(attached)
        elif report.nodeid not in self.plan:
            self.others += report.when == "call"
            self.others_failed += bool(report.failed)

    def _keep(self, attached: dict[str, Any]) -> None:
        record = record_from_json(attached["record"])
        self.records[record.node] = record
        self.never_ready = self.never_ready or bool(attached["never_ready"])
        self.strays += int(attached["strays"])
        self.slack_s = max(self.slack_s, float(attached["slack_s"]))

    # --- the end -----------------------------------------------------------------------------------------------------

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.session.config.getoption("collectonly", False):
            return
        pytest_code = int(session.exitstatus)
        if not self._judges():
            session.exitstatus = Exit.NEVER_READY if self.never_ready else session.exitstatus
            return
        self._plan_here()
        records = self._all_records()
        tally = tally_of(
            records, never_ready=self.never_ready, narrowed=self._is_narrowed(), others_failed=self.others_failed > 0
        )
        settings = self.session.settings
        code = exit_code(tally, pytest_code, strict=settings.strict, style=settings.exit_codes)
        self.run = self._run(records, tally, code)
        session.exitstatus = code
        try:
            self._update_baseline(records)
            self._write(self.run)
        except Exception as error:  # the verdict is told on the terminal, whatever becomes of the report
            self.trouble = f"{type(error).__name__}: {error}"
            session.exitstatus = code or Exit.INTERNAL_ERROR

    def _judges(self) -> bool:
        """Is there anything to judge? A run of a user's own tests that holds no check is pytest's alone."""
        chosen = any(node in self.plan for node in self.nodes or ())
        return self.session.bundled or bool(self.records) or chosen

    def _plan_here(self) -> None:
        # Under pytest-xdist the controller collects nothing, and knows what was planned only by planning it.
        if self.session.bundled and not self.plan:
            for check in catalogue.everything().values():
                self.session.cases(check)

    def _all_records(self) -> list[CheckRecord]:
        """By check, then in the order of its subjects; what was selected and never reported is not run."""
        nodes = self.nodes if self.nodes is not None else list(self.records)
        lost = [node for node in nodes if node not in self.records and node in self.plan]
        settings = self.session.settings
        for node in lost:
            ended = trial.not_run(self.plan[node], settings, "the run ended before its turn")
            self.records[node] = ended.record
        order = {node: number for number, node in enumerate(self.plan)}
        return sorted(self.records.values(), key=lambda r: (r.id, order.get(r.node, len(order)), r.node))

    def _is_narrowed(self) -> bool:
        """Did a selection of whatever kind leave out a part of the plan?"""
        return self.narrowed or len(self.plan) > len(self.records)

    def _run(self, records: list[CheckRecord], tally: Tally, code: int) -> Run:
        settings, configuration = self.session.settings, self.session.bench.configuration
        highest = settings.levels[-1].value if settings.levels else ""
        return Run(
            mode=settings.mode,
            headline=headline(tally, levels=highest),
            exit_code=code,
            environment=self.environment(),
            checks=records,
            not_claimed=sorted(self.not_claimed),
            started=self.started,
            duration_s=round(clock.process_now() - self.session.began, 3),
            narrowed=tally.narrowed,
            coverage=self._coverage(records),
            differences=list(configuration.differences) if configuration else [],
        )

    def _coverage(self, records: list[CheckRecord]) -> Coverage | None:
        """Of a user's spec; the battery is exercised by what it is for."""
        if self.session.settings.spec is None:
            return None
        from lbcheck.gate.coverage import coverage

        claimed = self.session.documents.loaded[""]
        return coverage(claimed, records, self.session.bench.configuration, self.session.unread)

    def environment(self) -> Environment:
        settings, target = self.session.settings, self.session.bench.target
        document = self.session.documents.loaded.get("")
        return Environment(
            lbcheck=lbcheck.__version__,
            python=platform.python_version(),
            platform=platform.platform(),
            cpus=os.cpu_count() or 0,
            target=target.name,
            target_version=target.version,
            lab=settings.lab,
            slack_s=self.slack_s,
            warp=self.session.bench.rate,
            real_time=self.session.bench.real_time,
            seed=settings.seed,
            command=shlex.join(["pytest", *sys.argv[1:]]),
            config=[str(path) for path in settings.configs],
            spec=str(settings.spec or ""),
            profile=document.spec.profile if document else "",
            filled=list(document.filled) if document else [],
            catalogue=settings.catalogue or newest(),
            findings=[str(finding) for finding in document.findings] if document else [],
        )

    def _update_baseline(self, records: list[CheckRecord]) -> None:
        settings, session = self.session.settings, self.session
        if not settings.baseline_update or settings.baseline is None:
            return
        from datetime import datetime

        today = datetime.now(UTC).date()
        outcomes = [(record.node, Outcome(record.outcome)) for record in records]
        baseline.write(session.baseline.updated(outcomes, today), settings.baseline)

    def _write(self, run: Run) -> None:
        from lbcheck.report import write

        self.paths = write(run, self.session.settings.report_dir)
        self.paths |= outputs.write(run, self.session.settings, os.environ)
