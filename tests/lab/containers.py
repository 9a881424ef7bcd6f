"""For tests of the docker lab: an engine is there (else they fail), and an image made of this machine's programs."""

from __future__ import annotations

import functools

from lbcheck.lab.docker_engine import Engine
from lbcheck.lab.docker_image import HOST, IMAGE, build, is_host
from lbcheck.lab.guardian import labelled

KINDS = ("containers/json?all=1", "networks")


@functools.cache
def prepared() -> None:
    """An image of another base has no balancers; the tests run those of this machine."""
    engine = Engine()
    if engine.image_labels(IMAGE) is None or not is_host(engine, IMAGE):
        build(HOST, IMAGE, print, engine=engine)
    engine.close()


def left_of(token: str) -> list[str]:
    """Containers and networks that a run has made, and that are there."""
    engine = Engine()
    engine.close()
    return [found for kind in KINDS for found in labelled(str(engine.socket), token, kind)]
