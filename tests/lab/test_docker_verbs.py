"""All that every lab's stage does, in the docker lab: a sample of it is in `test_docker`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lbcheck.lab.docker import DockerLab
from tests.lab.test_docker import lab_of
from tests.lab.verbs import *  # noqa: F403

pytestmark = [pytest.mark.slow, pytest.mark.nightly]


@pytest.fixture(scope="module")
def lab() -> Iterator[DockerLab]:
    with lab_of("reference") as lab:
        yield lab
