"""How each product is told of a change while it runs."""

from __future__ import annotations

import re
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from lbcheck.errors import Unsupported
from lbcheck.spec.change import Change, Deregister, Drain, Register, Reload, Reweigh, changed
from lbcheck.spec.model import Algorithm, Backend, Claims, Forward, Listener, Pool, Spec, Stickiness
from lbcheck.targets import find
from lbcheck.targets.base import Orders, Signal, Tell, Wait
from lbcheck.targets.haproxy import runtime_commands

BACKENDS = tuple(Backend(name, f"127.0.0.1:{port}") for name, port in (("a", 9001), ("b", 9002)))
SPEC = Spec((Listener("web", Forward((("api", 1),)), address="127.0.0.1", port=8080),), (Pool("api", BACKENDS),))
NEW = Register("api", Backend("c", "127.0.0.1:9003"))


def after(change: Change, spec: Spec = SPEC) -> list[str]:
    return runtime_commands(change, changed(spec, change))


def test_haproxy_is_told_at_run_time_what_its_runtime_api_has_words_for() -> None:
    assert after(Drain("api", "b")) == ["set server api/b state drain"]
    assert after(Reweigh("api", "a", 7)) == ["set server api/a weight 7"]
    leaving = replace(SPEC, claims=Claims(sticky_while_draining=False))
    assert after(Drain("api", "b"), leaving) == ["set server api/b state maint"]


def test_haproxy_is_reloaded_for_the_rest() -> None:
    hashed = replace(SPEC, pools=(replace(SPEC.pools[0], algorithm=Algorithm.SOURCE_IP_HASH),))
    assert after(Reweigh("api", "a", 7), hashed) == []
    for change in (NEW, Deregister("api", "a"), Reload(SPEC)):
        assert after(change) == []


def orders(product: str, change: Change) -> Orders:
    rendering = find(product).render(SPEC, Path("/nowhere"))
    assert rendering.orders is not None
    return rendering.orders(change, changed(SPEC, change))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("product", "number"), [("haproxy", signal.SIGUSR2), ("nginx", signal.SIGHUP), ("httpd", signal.SIGUSR1)]
)
def test_a_reload_writes_what_changed_and_signals_the_master(product: str, number: int) -> None:
    told = orders(product, NEW)
    assert told.steps == (Signal(number),)
    assert all("127.0.0.1:9003" in text for text in told.files.values())
    again = orders(product, Reload(SPEC, again=True))
    assert (again.steps, again.files) == ((Signal(number),), {})


@pytest.mark.slow
def test_caddy_is_given_its_whole_configuration_also_where_nothing_changed() -> None:
    for change in (NEW, Reload(SPEC, again=True)):
        told = orders("caddy", change)
        (step,) = told.steps
        assert isinstance(step, Tell)
        assert step.data.startswith(b"POST /load HTTP/1.1\r\nHost:\r\n")
        assert b"Cache-Control: must-revalidate" in step.data
        assert bool(told.files) == (change is NEW)
        assert (b"127.0.0.1:9003" in step.data) == (change is NEW)


@pytest.mark.slow
def test_caddy_has_no_draining_for_those_who_are_bound() -> None:
    pools = (replace(SPEC.pools[0], stickiness=Stickiness()),)
    staying = replace(SPEC, pools=pools, claims=Claims(sticky_while_draining=True))
    rendering = find("caddy").render(staying, Path("/nowhere"))
    assert rendering.orders is not None
    with pytest.raises(Unsupported, match="Caddy has no draining"):
        rendering.orders(Drain("api", "b"), changed(staying, Drain("api", "b")))


def test_envoy_reads_the_endpoints_that_changed_and_says_whether_it_took_them() -> None:
    told = orders("envoy", NEW)
    assert "9003" in told.files["endpoints-api.yaml"]
    assert set(told.files) == {"endpoints-api.yaml"}
    waited, asked = told.steps
    assert waited == Wait()
    assert isinstance(asked, Tell)
    head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    assert re.fullmatch(asked.accepted, f"{head}2a\r\ncluster_manager.cds.update_rejected: 0\n\r\n0\r\n\r\n")
    assert not re.fullmatch(asked.accepted, f"{head}2a\r\ncluster_manager.cds.update_rejected: 1\n\r\n0\r\n\r\n")


def test_envoy_reads_all_but_its_bootstrap_file_at_a_reload() -> None:
    names = ["endpoints-api.yaml", "clusters.yaml", "routes-web.yaml", "listeners.yaml"]
    assert list(orders("envoy", Reload(SPEC)).files) == names
    assert list(orders("envoy", Reload(SPEC, again=True)).files) == names


def test_envoy_drains_a_backend_by_its_health_status() -> None:
    assert "health_status: DRAINING" in orders("envoy", Drain("api", "b")).files["endpoints-api.yaml"]


def test_the_reference_answers_when_a_change_is_in_force() -> None:
    (step,) = orders("reference", NEW).steps
    assert isinstance(step, Tell)
    assert step.data.startswith(b"POST /register HTTP/1.1\r\n")
    assert b'"address": "127.0.0.1:9003"' in step.data
    assert not orders("reference", Reload(SPEC, again=True)).files
    assert orders("reference", Reload(SPEC)).files


@pytest.mark.parametrize("product", ["reference", pytest.param("haproxy", marks=pytest.mark.slow)])
def test_a_users_own_configuration_is_read_again_and_never_written(product: str, tmp_path: Path) -> None:
    config = tmp_path / "own.cfg"
    config.write_text("")
    rendering = find(product).adopt([config], tmp_path)
    assert rendering.orders is not None
    assert not rendering.orders(Reload(SPEC, again=True), SPEC).files
    with pytest.raises(Unsupported, match="user's own"):
        rendering.orders(Reload(SPEC), SPEC)
