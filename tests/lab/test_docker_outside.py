"""The docker lab of one who may speak to the engine, and not enter the balancer's network.

In a file of its own: a thread is in one network, and that of the other tests' lab would be this one's outside.
"""

from __future__ import annotations

import pytest

from lbcheck.errors import Unsupported
from lbcheck.lab.stage import open_stage
from tests.lab.specs import api, one_pool
from tests.lab.test_docker import faults, lab_of, served

pytestmark = pytest.mark.slow


@pytest.mark.nightly  # it needs an engine
def test_an_ordinary_user_has_one_client_and_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lbcheck.lab.sealed_namespaces.privileged", lambda: False)
    spec = one_pool()
    with lab_of("reference") as lab, open_stage(lab, spec, api(spec)) as stage:
        assert served(stage) == {"a", "b", "c"}
        assert len(lab.notes) == 1
        assert "need root" in lab.notes[0]
        with pytest.raises(Unsupported, match="has not that address"):
            stage.one("web", source="127.9.8.7")
        stage.pool("api")["a"].kill()
        stage.pool("api")["b"].disconnect()
        assert faults(stage) == [("kill", "a", True), ("disconnect", "b", True)]
