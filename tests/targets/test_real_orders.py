"""Envoy says on its administration socket whether it took what its files say: a change that it rejects is noticed."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from lbcheck.spec.change import Reweigh, changed
from lbcheck.spec.loading import loads
from lbcheck.spec.request import Request
from lbcheck.targets import find
from lbcheck.targets.base import Tell

from .running import WITHIN_S, running

pytestmark = pytest.mark.slow

SPEC = """
listeners: [{name: public, default: {forward: web}}]
pools: {web: {algorithm: weighted_round_robin, backends: [{name: a, weight: 1}, {name: b, weight: 1}]}}
"""
CLIENT = Request(source="127.78.9.201")


@pytest.mark.parametrize(("key", "taken"), [("lb_endpoints", True), ("lb_end_points", False)])
def test_what_envoy_does_not_take_is_told(key: str, taken: bool, tmp_path: Path) -> None:
    async def told() -> bool:
        async with running(find("envoy"), loads(SPEC, battery=True).spec, tmp_path) as world:
            change = Reweigh("web", "a", 5)
            rendering = find("envoy").render(world.spec, tmp_path)
            assert rendering.orders is not None
            orders = rendering.orders(change, changed(world.spec, change))
            _, asked = orders.steps
            assert isinstance(asked, Tell)
            for name, text in orders.files.items():
                (tmp_path / f"new-{name}").write_text(text.replace("lb_endpoints", key))
                (tmp_path / f"new-{name}").replace(tmp_path / name)
            await asyncio.sleep(0.3)
            reader, writer = await asyncio.open_unix_connection(str(tmp_path / asked.socket))
            writer.write(asked.data)
            said = (await asyncio.wait_for(reader.read(), WITHIN_S)).decode()
            writer.close()
            assert (await world.ask("public", CLIENT)).status == 200  # with what it had
            return re.fullmatch(asked.accepted, said) is not None

    assert asyncio.run(told()) is taken
