"""A configuration test that passes is not a balancer that starts: each product starts with every spec of the battery.

What a product cannot carry out is left away listener by listener; `test_golden` shows what that is.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from lbcheck.spec.battery import battery
from lbcheck.spec.model import Forward, Redirect, Respond, Spec
from lbcheck.spec.request import Request
from lbcheck.spec.routing import route
from lbcheck.targets import Target, find

from .reduced import Product, fixed, reduced
from .running import WITHIN_S, Answer, Running, running
from .specials import specials

pytestmark = pytest.mark.slow

SPECS = {name: loaded.spec for name, loaded in battery().items()} | specials()
SILENT = {"special-active", "health-port"}  # probe a port where nobody is here; the one greets with PROXY besides
CLIENT = "127.78.9.201"


@pytest.mark.parametrize("name", sorted(SPECS))
@pytest.mark.parametrize("product", ["reference", "haproxy", "nginx", "envoy", "caddy", "httpd"])
def test_product_starts_and_answers(product: str, name: str, tmp_path: Path) -> None:
    target = find(product)
    part, reasons = reduced(fixed(SPECS[name]), Product(target.features, target.lacks, target.unsupported))
    assert part is not None or reasons
    if part is not None:
        asyncio.run(_answers(target, part, tmp_path, answering=name not in SILENT))


async def _answers(target: Target, spec: Spec, folder: Path, *, answering: bool) -> None:
    async with running(target, spec, folder) as world:
        for listener in world.spec.listeners:
            if answering:
                await _right_answer(world, listener.name)


async def _right_answer(world: Running, listener: str) -> None:
    """Waits for backends to be taken as healthy: this is about starting, not about how long that takes."""
    request = Request(target="/", host="lb.test", source=CLIENT)
    deadline = asyncio.get_running_loop().time() + WITHIN_S
    while True:
        answer = await world.ask(listener, request)
        if _is_right(world, listener, request, answer):
            return
        assert asyncio.get_running_loop().time() < deadline, (listener, answer)
        await asyncio.sleep(0.05)


def _is_right(world: Running, listener: str, request: Request, answer: Answer) -> bool:
    routed = route(world.spec, listener, request)
    if isinstance(routed.action, Redirect | Respond):
        return answer.status == routed.action.status
    assert isinstance(routed.action, Forward)
    pools = [world.spec.pool(name) for name in routed.pools]
    if not any(backend.weight for pool in pools for backend in pool.backends):
        return answer.status in (502, 503, 504)
    if answer.status != 200:
        return False
    told = json.loads(answer.body)
    return told["target"] == routed.target and told["backend"].partition("/")[0] in routed.pools
