"""`lbcheck init`: what it writes loads, says where each field is from, and never overwrites unasked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from lbcheck.cli import main
from lbcheck.errors import Location
from lbcheck.importers.directive import Imported
from lbcheck.importers.files import imported
from lbcheck.importers.writing import lb_yaml
from lbcheck.spec.battery import battery
from lbcheck.spec.loading import load, loads
from tests.targets.reduced import fixed

from .production import FOLDER, NGINX, SOURCES, from_fixture

pytestmark = pytest.mark.fast


@pytest.mark.parametrize("name", SOURCES)
def test_what_is_written_loads_as_the_spec_that_was_read(name: str) -> None:
    found = from_fixture(name)
    loaded = loads(lb_yaml(found, "pytest"))
    assert loaded.spec == found.spec


@pytest.mark.parametrize("name", NGINX)
def test_what_is_written_of_nginx_is_the_file_beside_it(name: str) -> None:
    """The intended file is what the configuration says, but for how its own files are called."""
    found = imported([NGINX[name]], "nginx", {})
    loaded = loads(lb_yaml(found, "pytest"))
    assert loaded.spec == found.spec == load(NGINX[name].parent / "lb.yaml").spec
    assert loaded.findings == ()


@settings(max_examples=40)
@given(name=st.sampled_from(sorted(battery())))
def test_any_spec_is_written_so_that_it_loads(name: str) -> None:
    spec = replace(fixed(battery()[name].spec), profile="plain")
    assert loads(lb_yaml(Imported(spec, {}, ()), "pytest")).spec == spec


@pytest.mark.parametrize("name", SOURCES)
def test_the_intended_file_beside_a_configuration_loads(name: str) -> None:
    intended = load(FOLDER / name / "lb.yaml")
    assert {pool.name for pool in intended.spec.pools} == {pool.name for pool in from_fixture(name).spec.pools}


def test_each_field_has_its_line() -> None:
    found = from_fixture("shop")
    file = str(SOURCES["shop"])
    lines = SOURCES["shop"].read_text().splitlines()
    said = {
        "listeners.public.port": "bind *:80",
        "listeners.public.idle_timeout": "timeout http-keep-alive 15s",
        "listeners.public.default": "default_backend pages",
        "pools.pages.algorithm": "balance leastconn",
        "pools.pages.health_check.interval": "default-server inter 30s fall 3 rise 2",
        "pools.pages.health_check.path": "http-check send meth GET uri /health ver HTTP/1.1"
        " hdr Host pages.shop.example",
        "pools.pages.health_check.timeout": "timeout check 5s",
        "pools.api.backends.api3": "server api3 10.20.2.13:9000 check weight 50",
        "pools.cart.stickiness": "cookie CARTSRV insert indirect nocache httponly maxlife 8h attr SameSite=Lax",
        "claims.workers": "nbthread 2",
    }
    for path, line in said.items():
        at = found.sources[path]
        assert (at, lines[at.line - 1].strip()) == (Location(file, at.line), line), path
    text = lb_yaml(found, "pytest")
    (row,) = [row for row in text.splitlines() if "algorithm: least_connections" in row]
    assert row.endswith(f"# {found.sources['pools.pages.algorithm']}")


def test_each_field_of_nginx_has_its_line() -> None:
    found = imported([NGINX["platform"]], "nginx", {})
    said = {
        "listeners.http-80.port": ("conf.d/10-edge.conf", "listen 80 default_server;"),
        "listeners.http-80.idle_timeout": ("nginx.conf", "keepalive_timeout 65;"),
        "listeners.http-80.default": ("conf.d/10-edge.conf", "proxy_pass http://$service;"),
        "listeners.http-80.forwarded.x_forwarded_port": (
            "conf.d/00-proxy.conf",
            "proxy_set_header X-Forwarded-Port $server_port;",
        ),
        "listeners.http-8080.rules.30.rewrite": ("conf.d/20-internal.conf", "rewrite ^/reports/(.*)$ /v2/$1 break;"),
        "pools.accounts.algorithm": ("upstreams/accounts.conf", "hash $cookie_session consistent;"),
        "pools.accounts.timeouts.idle": ("upstreams/accounts.conf", "keepalive_timeout 45s;"),
        "pools.web.retries": ("conf.d/00-proxy.conf", "proxy_next_upstream error timeout http_502;"),
        "pools.web.backends.10.40.1.13:8080": ("upstreams/web.conf", "server 10.40.1.13:8080 down;"),
        "claims.workers": ("nginx.conf", "worker_processes 1;"),
    }
    for path, (name, line) in said.items():
        file, at = NGINX["platform"].parent / name, found.sources[path]
        assert (at.file, file.read_text().splitlines()[at.line - 1].strip()) == (str(file), line), path


def test_the_files_tell_whose_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = NGINX["platform"].parent
    assert main(["init", "--from", str(folder), "--into", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert f"next: python -m pytest --lb-target=nginx --lb-config={folder / 'nginx.conf'} --lb-spec=lb.yaml" in told
    assert "limit_req zone=machines burst=200 nodelay  (requests beyond a rate are refused or wait)" in told
    assert "apt-get install --yes nginx" in (tmp_path / ".github" / "workflows" / "lbcheck.yml").read_text()
    assert load(tmp_path / "lb.yaml").spec == load(folder / "lb.yaml").spec


def test_it_writes_both_files_and_tells_what_it_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "--from", str(SOURCES["platform"]), "--into", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert "refused: it changes what the balancer does, and lb.yaml cannot say it (3):" in told
    assert "no condition of the spec looks at sc_http_req_rate(0)" in told
    assert "10-edge.cfg:15" in told
    workflow = yaml.safe_load((tmp_path / ".github" / "workflows" / "lbcheck.yml").read_text())
    commands = [step.get("run", "") for step in workflow["jobs"]["gate"]["steps"]]
    assert any(f"--lb-config={SOURCES['platform']}" in command for command in commands)
    assert load(tmp_path / "lb.yaml").spec == from_fixture("platform").spec


def test_it_never_overwrites_unasked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "lb.yaml").write_text("mine\n")
    words = ["init", "--from", str(SOURCES["shop"]), "--into", str(tmp_path)]
    assert main(words) == 4
    assert "lb.yaml is there already" in capsys.readouterr().err
    assert (tmp_path / "lb.yaml").read_text() == "mine\n"
    assert not (tmp_path / ".github").exists()
    assert main([*words, "--force"]) == 0
    assert load(tmp_path / "lb.yaml").spec.pools


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--from", "nowhere.cfg"], "cannot read nowhere.cfg"),
        (["--from", "empty"], "expected files named *.cfg or *.conf in empty"),
        (["--from", "none.cfg"], "expected a frontend or listen section with a bind line"),
        (["--from", "none.cfg", "--target", "hapoxy"], "there is no importer for 'hapoxy'"),
        (["--from", "words.txt"], "words.txt looks like none of haproxy, nginx"),
        (["--from", "none.cfg", "words.txt", "--target", "nginx"], "nginx takes one configuration file, not 2"),
        (["--from", "empty", "--target", "nginx"], "expected nginx.conf in empty, found none"),
    ],
)
def test_bad_input_is_told(
    words: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    Path("words.txt").write_text("some words\n")
    Path("none.cfg").write_text("global\n maxconn 10\n")
    assert main(["init", *words]) == 4
    assert told in capsys.readouterr().err
    assert not Path("lb.yaml").exists()
