"""What a run says on the terminal: its header, the plan, failures, and the verdict at the end."""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import lbcheck
from lbcheck.errors import LbcheckError
from lbcheck.plugin.collect import CheckItem
from lbcheck.plugin.trial import Ended
from lbcheck.report import summary
from lbcheck.report.model import CheckRecord, Environment, Run
from lbcheck.verdict import Outcome

if TYPE_CHECKING:
    from lbcheck.plugin.session import Session


def failure_text(ended: Ended, report_dir: Path) -> str:
    """A failure as a user reads it; a check's own crash with its traceback, a target's set-up with its log."""
    if ended.never_ready:
        head = f"TARGET NEVER READY  (met by {ended.record.node})\n{ended.error}"
        return f"{head}\n  again     {ended.record.again}"
    text = summary.failure(ended.record, f"{shown(report_dir)}/")
    crashed = ended.record.outcome == Outcome.HARNESS_FAULT.value and not isinstance(ended.error, LbcheckError | None)
    return f"{text}\n\n{''.join(traceback.format_exception(ended.error))}" if crashed else text


class Terminal:
    """The hooks of the terminal; registered where the report is written."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def pytest_report_header(self) -> list[str]:
        settings, target = self.session.settings, self.session.bench.target
        what = f"spec {settings.spec}" if settings.spec else f"battery of {len(self.session.documents.loaded)} specs"
        defect = f", defect {settings.defect}" if settings.defect else ""
        judged = f"{target.name} {target.version}".rstrip()
        return [
            f"lbcheck {lbcheck.__version__}: target {judged}{defect}, lab {settings.lab}, "
            f"{what}, levels {', '.join(level.value for level in settings.levels)}, seed {settings.seed}",
            *warp_lines(self.session.record.environment()),
        ]

    def pytest_report_collectionfinish(self, items: list[pytest.Item]) -> list[str]:
        if not self.session.config.getoption("collectonly", False):
            return []
        return plan_lines([item for item in items if isinstance(item, CheckItem)], self.session.record.not_claimed)

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        run = self.session.record.run
        if run is None:
            return
        write = terminalreporter.write_line
        terminalreporter.section("lbcheck")
        for line in closing_lines(run, self.session.record.strays):
            write(line)
        for path in self.session.record.paths.values():
            write(f"report    {shown(path)}")
        if self.session.record.trouble:
            write(f"report    could not be written: {self.session.record.trouble}", red=True)
        elif self.session.settings.baseline_update and self.session.settings.baseline:
            write(f"baseline  {shown(self.session.settings.baseline)} written")
        tone = {"broken": "red", "holds": "green"}.get(summary.tone(run), "yellow")
        write(summary.headline(run), bold=True, **{tone: True})


def plan_lines(items: list[CheckItem], not_claimed: Iterable[str]) -> list[str]:
    """The plan in short; the items themselves are listed by pytest."""
    runs = [item for item in items if not item.case.lacking]
    checks = {item.case.check.id for item in items}
    cost_s = sum(item.case.check.cost_s for item in runs)
    lines = [
        f"plan: {len(checks)} checks on {len(items)} subjects, {len(runs)} to run in about {cost_s:.0f} s, "
        f"{len(items) - len(runs)} unsupported; nothing is started"
    ]
    absent = sorted(not_claimed)
    return lines + ([f"not claimed: {', '.join(absent)}"] if absent else [])


def closing_lines(run: Run, strays: int) -> list[str]:
    lines = [*warp_lines(run.environment), f"outcomes  {summary.counts_line(run)}"]
    for outcome in (Outcome.UNSUPPORTED, Outcome.INCONCLUSIVE, Outcome.NOT_RUN, Outcome.KNOWN):
        for reason, records in summary.by_reason(run.checks, outcome):
            lines.append(f"  {outcome.value}: {_first_line(reason)} ({_nodes(records)})")
    for reason, records in _left_out(run.checks):
        lines.append(f"  left out of the target's configuration: {_first_line(reason)} ({_nodes(records)})")
    for text in dict.fromkeys(text for record in run.checks for text in record.supplied):
        lines.append(f"  supplied by the lab: {_first_line(text)}")
    lines += summary.coverage_lines(run)
    lines += summary.difference_lines(run)
    if run.not_claimed:
        lines.append(f"  not claimed: {', '.join(run.not_claimed)}")
    if strays:
        lines.append(f"  {summary.plural(strays, 'stray request')} came to backends without an id and were no probes")
    return lines


def warp_lines(environment: Environment) -> list[str]:
    """What was asked of the target's clock, and what came of it."""
    if environment.real_time:
        return [f"time warp none: {environment.target} runs in real time, since {environment.real_time}"]
    rate = environment.warp
    return (
        [f"time warp {rate}: {rate} s of the target's clock are 1 s here, where all times are told"] if rate > 1 else []
    )


def _left_out(checks: list[CheckRecord]) -> list[tuple[str, list[CheckRecord]]]:
    """By reason alone: the same word is missing at many places of a battery."""
    groups: dict[str, dict[str, CheckRecord]] = {}
    for text, records in summary.left_out(checks):
        path, _, reason = text.partition(": ")
        groups.setdefault(reason or path, {}).update((record.node, record) for record in records)
    return [(reason, list(by_node.values())) for reason, by_node in groups.items()]


def _first_line(reason: str, limit: int = 300) -> str:
    return reason.partition("\n")[0][:limit]


def _nodes(records: list[CheckRecord], most: int = 4) -> str:
    names = [record.node for record in records]
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def shown(path: Path) -> str:
    """Relative to the folder of the call where it is below."""
    here = Path(os.path.abspath("."))  # noqa: PTH100  (resolving would follow links)
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
