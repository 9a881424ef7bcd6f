"""Fixtures for a user's own tests: `lb`, `lb_spec`, `lb_stage`, `lb_history`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from lbcheck.errors import LbcheckError, Unsupported
from lbcheck.spec.subject import Subject

if TYPE_CHECKING:
    import requests

    from lbcheck.history import History
    from lbcheck.lab.stage import Stage
    from lbcheck.plugin.session import Session
    from lbcheck.spec.model import Spec


class Fixtures:
    """Registered where the user's own tests run."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @pytest.fixture
    def lb_spec(self) -> Spec:
        """What `--lb-spec` says."""
        loaded = self._session.documents.loaded.get("")
        if loaded is None:
            raise pytest.UsageError("the fixtures lb, lb_spec, lb_stage and lb_history need --lb-spec=lb.yaml")
        return loaded.spec

    @pytest.fixture
    def lb_stage(self, lb_spec: Spec, request: pytest.FixtureRequest) -> Iterator[Stage]:
        """The whole spec, running and settled, for one test."""
        bench = self._session.bench
        subject = Subject("spec", "spec", "", lb_spec)
        try:
            with bench.stage(lb_spec, subject, request.node.nodeid) as stage:
                yield stage
        except Unsupported as reason:
            pytest.skip(f"unsupported: {reason}")

    @pytest.fixture
    def lb_history(self, lb_stage: Stage) -> History:
        """What has happened so far; `lb_stage.sync()` brings in what backends have recorded since."""
        return lb_stage.history

    @pytest.fixture
    def lb(self, lb_stage: Stage) -> Iterator[requests.Session]:
        """A requests.Session on the balancer: relative URLs join its first listener, each request has an id."""
        if lb_stage.lab == "sim":
            raise LbcheckError("the fixture lb needs real sockets", remedy="leave --lb-lab=sim out")
        from lbcheck.plugin.browsing import session_on

        session: Any = session_on(lb_stage)
        with session:
            yield session
