"""Collection: the bundled suites as nodes of their own, and checks in a user's own modules.

The bundled suites do not go through pytest's Python collector: names and patterns of a user's configuration would
decide what is found there, and their modules would need names that a user's could have.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lbcheck.checks import ATTRIBUTE, Check
from lbcheck.plugin import catalogue
from lbcheck.plugin.plan import Case

if TYPE_CHECKING:
    from lbcheck.plugin.session import Session

SESSION: pytest.StashKey[Session] = pytest.StashKey()


class CheckItem(pytest.Item):
    """One check on one subject. Its node id is `ALG-01[round-robin/web]`, wherever its module is."""

    case: Case

    @classmethod
    def of(cls, parent: pytest.Collector, case: Case) -> CheckItem:
        item: CheckItem = cls.from_parent(parent, name=case.node, nodeid=case.node)
        item.case = case
        item.extra_keyword_matches.update({case.check.area, case.check.level.value, case.check.function.__name__})
        item.user_properties += [("check", case.check.id), ("claim", case.check.claim)]
        item.user_properties += [
            ("level", case.check.level.value),
            ("subject", f"{case.subject.kind} {case.subject.name}"),
        ]
        places = {"claimed_at": case.claimed_at, "configured_at": case.configured_at}
        item.user_properties += [(name, place) for name, place in places.items() if place]
        return item

    def runtest(self) -> None:
        self.config.stash[SESSION].run(self)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:  # noqa: ARG002
        return str(excinfo.value)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        code = self.case.check.function.__code__
        return Path(code.co_filename), code.co_firstlineno - 1, self.name

    def __repr__(self) -> str:
        """As `--collect-only` shows it."""
        check = self.case.check
        mark = f"  unsupported: {self.case.lacking}" if self.case.lacking else f"  {check.cost_s:g} s"
        return f"{self.name}  {check.claim}  [{check.level.value}]{mark}"


class SuiteFile(pytest.File):
    """A file of the bundled suites."""

    def collect(self) -> Iterator[CheckItem]:
        session = self.config.stash[SESSION]
        for card in catalogue.checks_in(catalogue.module_of(self.path)):
            for case in session.cases(card):
                yield CheckItem.of(self, case)


class SuiteFolder(pytest.Directory):
    """A folder of the bundled suites."""

    def collect(self) -> Iterator[pytest.Collector]:
        for path in sorted(self.path.iterdir()):
            if path.is_dir() and any(path.rglob("test_*.py")):
                yield SuiteFolder.from_parent(self, path=path)
            elif path.is_file() and path.match("test_*.py"):
                yield SuiteFile.from_parent(self, path=path)


def is_bundled(path: Path) -> bool:
    return path.is_relative_to(catalogue.suites_folder())


class Collection:
    """The hooks of collection."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_ignore_collect(self, collection_path: Path) -> bool | None:
        # A user's norecursedirs or collect_ignore may match a folder of ours, or one above it.
        inside = is_bundled(collection_path) or catalogue.suites_folder().is_relative_to(collection_path)
        return False if inside and collection_path.name != "__pycache__" else None

    @pytest.hookimpl(tryfirst=True)
    def pytest_collect_directory(self, path: Path, parent: pytest.Collector) -> pytest.Directory | None:
        return SuiteFolder.from_parent(parent, path=path) if is_bundled(path) else None

    @pytest.hookimpl(wrapper=True)
    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> Generator[None, Any, Any]:
        found = yield
        if not is_bundled(file_path):
            return found
        return [SuiteFile.from_parent(parent, path=file_path)] if file_path.match("test_*.py") else []

    @pytest.hookimpl(tryfirst=True)
    def pytest_pycollect_makeitem(self, collector: pytest.Collector, obj: object) -> list[CheckItem] | None:
        """A user's own checks, in the user's own modules."""
        card = getattr(obj, ATTRIBUTE, None) if callable(obj) else None
        if not isinstance(card, Check):
            return None
        session = collector.config.stash[SESSION]
        return [CheckItem.of(collector, case) for case in session.cases(card)]
