"""The `process` lab: the stage's verbs over real sockets and processes, with the reference as its own process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lbcheck.lab.process import ProcessLab
from lbcheck.targets import find
from tests.lab.verbs import *  # noqa: F403


@pytest.fixture(scope="module")
def lab() -> Iterator[ProcessLab]:
    lab = ProcessLab(find("reference"), worker=7)
    yield lab
    lab.close()
