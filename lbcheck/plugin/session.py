"""The plugin proper, registered only where there is a target: runs checks and carries their ends to one record."""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from dataclasses import asdict
from typing import Any

import pytest

from lbcheck import clock
from lbcheck.checks import Check
from lbcheck.errors import BackendUnreachable, LbcheckError, UsageError
from lbcheck.plugin import baseline, isolation, options, trial
from lbcheck.plugin.collect import SESSION, CheckItem, Collection
from lbcheck.plugin.documents import documents_of
from lbcheck.plugin.plan import Case, Planner
from lbcheck.plugin.progress import Progress
from lbcheck.plugin.run_record import RunRecord
from lbcheck.plugin.settings import Settings, settings_of
from lbcheck.plugin.terminal import Terminal, failure_text
from lbcheck.plugin.trial import Ended
from lbcheck.plugin.watchdog import Budget
from lbcheck.plugin.workbench import Workbench
from lbcheck.verdict import Outcome

RERUNS = {"reruns": "pytest-rerunfailures", "force_flaky": "flaky"}
ATTACHED = "lbcheck"  # the attribute of a report that carries a record from worker to controller


class CheckFailed(Exception):  # noqa: N818  (an outcome, not a mistake)
    """Carries a failure's text to pytest."""


def start(config: pytest.Config) -> None:
    """Registers everything; pytest.UsageError for what cannot be carried out, before anything has started."""
    try:
        session = Session(config)
    except LbcheckError as error:
        raise pytest.UsageError(str(error)) from error
    config.stash[SESSION] = session
    for name, plugin in session.plugins().items():
        config.pluginmanager.register(plugin, f"lbcheck-{name}")


class Session:
    """One process of a run: the whole run, or with pytest-xdist the controller or one worker."""

    def __init__(self, config: pytest.Config) -> None:
        _refuse_reruns(config)
        self.config = config
        settings = settings_of(options.values(config, os.environ), os.environ, config.invocation_params.dir)
        self.documents = documents_of(settings)
        given = getattr(config, "workerinput", {})
        self.worker = str(given.get("workerid", ""))
        self.several = bool(self.worker or getattr(config.option, "tx", None))  # -n of pytest-xdist
        self.settings = self._with_lab(settings)
        workers = int(given.get("workercount", 1))
        self.bench = Workbench(self.settings, int(self.worker.removeprefix("gw") or 0), workers)
        self._refuse_places()
        if self.settings.spec is not None:
            self.bench.claimed = self.documents.loaded[""].spec
        self.unread = self._read_configuration()
        self.documents = self.documents.seen(self.bench.rate)  # what a configuration says is compared before
        documents, target = self.documents, self.bench.target
        self.planner = Planner(
            self.settings, documents.loaded, target, documents.lines, self.bench.configuration, self.bench.rate
        )
        self.began = float(given.get("lbcheck_began", clock.process_now()))
        self.budget = Budget(self.settings.budget_s, self.began)
        update = self.settings.baseline_update
        path = self.settings.baseline
        self.baseline = baseline.read(path, missing_ok=update) if path else baseline.Baseline()
        self.record = RunRecord(self)
        self.progress = Progress(config)
        self.unready = ""  # why nothing more is tried

    def _with_lab(self, settings: Settings) -> Settings:
        loaded = self.documents.loaded.get("")
        if loaded is not None:
            from lbcheck.plugin.places import lab_for

            settings = lab_for(settings, loaded.spec, several=self.several)
        if settings.lab == "sealed":
            from lbcheck.lab.sealed import prepare

            prepare()
        elif settings.lab == "docker":
            from lbcheck.lab.docker import prepare as prepare_engine

            prepare_engine()
        return settings

    def _read_configuration(self) -> str:
        """Reads the user's own where there is one; why not, where an importer cannot."""
        if not self.settings.configs:
            return ""
        from lbcheck.gate.configuration import read

        loaded, target = self.documents.loaded[""], self.settings.target
        self.bench.configuration, why_not = read(target, self.settings.configs, loaded, os.environ)
        return why_not

    def _refuse_places(self) -> None:
        """Addresses that name nothing, or lead beyond this machine, are refused before anything starts."""
        loaded = self.documents.loaded.get("")
        if loaded is not None and self.settings.lab == "attached":
            from lbcheck.plugin.places import NO_WORKERS, refuse_places

            if self.several:
                raise UsageError(
                    "a balancer that runs already is one world, for one check at a time", remedy=NO_WORKERS
                )
            refuse_places(self.settings, loaded.spec)

    @property
    def controls(self) -> bool:
        """Is this the process that writes the report?"""
        return not self.worker

    @property
    def bundled(self) -> bool:
        return isolation.is_bundled(self.config)

    def plugins(self) -> dict[str, object]:
        from lbcheck.plugin.fixtures import Fixtures

        plugins: dict[str, object] = {"collection": Collection(), "running": Running(self)}
        if not self.bundled:
            plugins["fixtures"] = Fixtures(self)
        if self.config.pluginmanager.has_plugin("xdist"):
            plugins["workers"] = Workers(self)
        if self.controls:
            plugins["record"] = self.record
            plugins["terminal"] = Terminal(self)
        return plugins

    def cases(self, check: Check) -> list[Case]:
        """The planned cases of a check; what it plans is kept for the record."""
        cases = self.planner.cases(check)
        self.record.planned(check, cases)
        return cases

    def run(self, item: CheckItem) -> None:
        """Runs one check; its end is kept on the item, and raised where pytest shall see a failure or a skip."""
        if self.unready:
            ended = trial.not_run(item.case, self.settings, self.unready, self.worker)
        else:
            with self.progress.of(item.case, self.budget):
                ended = trial.run(item.case, self.bench, self.budget, self.baseline, self.worker, self.progress.at)
        if ended.never_ready:
            self.unready = "the target never got ready"
        elif isinstance(ended.error, BackendUnreachable):
            self.unready = "a backend is not to be had"
        item.stash[ENDED] = ended
        item.user_properties.append(("outcome", ended.record.outcome))
        self._tell_pytest(ended)

    def _tell_pytest(self, ended: Ended) -> None:
        outcome = Outcome(ended.record.outcome)
        if ended.never_ready or outcome in (Outcome.BROKEN, Outcome.STALE, Outcome.HARNESS_FAULT, Outcome.KNOWN):
            raise CheckFailed(failure_text(ended, self.settings.report_dir)) from ended.error
        if outcome is not Outcome.HOLDS:
            raise pytest.skip.Exception(f"{outcome.value}: {ended.record.reason}", _use_item_location=True)


ENDED = pytest.StashKey[Ended]()


class Running:
    """The hooks of a check's run, in whichever process it runs."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        if any(isinstance(item, CheckItem) for item in items):
            _refuse_reruns(config)
        if self.session.worker:  # the longest first: so no worker is left alone with one at the end
            items.sort(key=lambda item: -item.case.check.cost_s if isinstance(item, CheckItem) else 0.0)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        ended = item.stash.get(ENDED, None) if isinstance(item, CheckItem) else None
        if ended is not None and call.when == "call":
            _adjust(report, ended)
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, Any] | None:
        attached = attached_to(report)
        if attached is None:
            return None
        return _status(attached)

    def pytest_unconfigure(self) -> None:
        self.session.bench.close()
        self.session.progress.close()


def _adjust(report: pytest.TestReport, ended: Ended) -> None:
    """Gives the report its outcome as pytest knows it, and the record that travels with it."""
    outcome = Outcome(ended.record.outcome)
    attached = {
        "record": asdict(ended.record),
        "never_ready": ended.never_ready,
        "strays": ended.strays,
        "slack_s": ended.slack_s,
    }
    setattr(report, ATTACHED, json.dumps(attached, default=str))
    if outcome is Outcome.KNOWN:
        report.outcome = "skipped"
        report.wasxfail = ended.record.reason
    elif outcome is Outcome.HARNESS_FAULT or ended.never_ready:
        report.when = "setup"  # pytest and JUnit XML call a failure an error where it is not the call's


def attached_to(report: Any) -> dict[str, Any] | None:
    """What a report carries from the process in which the check ran."""
    text = getattr(report, ATTACHED, None)
    return json.loads(text) if isinstance(text, str) else None


def _status(attached: dict[str, Any]) -> tuple[str, str, Any] | None:
    outcome = attached["record"]["outcome"]
    if attached["never_ready"]:
        return "error", "E", ("NEVER READY", {"red": True})
    return {
        Outcome.HOLDS.value: ("passed", ".", ("HOLDS", {"green": True})),
        Outcome.BROKEN.value: ("failed", "F", ("BROKEN", {"red": True})),
        Outcome.STALE.value: ("failed", "F", ("STALE", {"red": True})),
        Outcome.INCONCLUSIVE.value: ("inconclusive", "?", ("INCONCLUSIVE", {"yellow": True})),
        Outcome.NOT_RUN.value: ("not run", "-", ("NOT RUN", {"yellow": True})),
        Outcome.UNSUPPORTED.value: ("skipped", "s", ("UNSUPPORTED", {"yellow": True})),
        Outcome.KNOWN.value: ("xfailed", "x", ("KNOWN", {"yellow": True})),
        Outcome.HARNESS_FAULT.value: ("error", "E", ("HARNESS FAULT", {"red": True})),
    }.get(outcome)


def _refuse_reruns(config: pytest.Config) -> None:
    for option, plugin in RERUNS.items():
        if config.getoption(option, None):
            raise pytest.UsageError(
                f"{plugin} was asked to run failures again: checks are never repeated until they pass\n"
                f"  leave --{option.replace('_', '-')} out"
            )


class Workers:
    """The hooks of pytest-xdist, on its controller."""

    def __init__(self, session: Session) -> None:
        self.session = session
        option = session.config.option
        if getattr(option, "maxschedchunk", None) is None:  # what is handed out in heaps can't be taken by who is idle
            option.maxschedchunk = 1

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        node.workerinput["lbcheck_began"] = self.session.began

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        self.session.record.selected(ids)
