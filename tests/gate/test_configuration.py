"""A mistake in a configuration: it is told as a difference, and blamed where the check reads the field."""

from __future__ import annotations

from pathlib import Path

import pytest

from lbcheck.gate.configuration import read, touches
from lbcheck.plugin.catalogue import everything
from lbcheck.plugin.claims import rests_on

from .shop import CONFIG, intended, shop, words_at

pytestmark = pytest.mark.fast

OF_THE_SHOP = "%[path] if { hdr(host),host_only -i shop.example }"
MISTAKES = {
    "HLT-03": ("default-server inter 30s fall 3 rise 2", "default-server inter 30s fall 4 rise 2"),
    "HLT-02": ("default-server inter 30s fall 3 rise 2", "default-server inter 3s fall 3 rise 2"),
    "HLT-01": ("option httpchk GET /ready", "option httpchk GET /readyz"),
    "ALG-02": ("server api3 10.20.2.13:9000 check weight 50", "server api3 10.20.2.13:9000 check weight 100"),
    "FLO-08": ("retry-on conn-failure empty-response 503", "retry-on conn-failure 503"),
    "FLO-50": ("timeout connect 3s", "timeout connect 30s"),
    "STK-01": (
        "cookie CARTSRV insert indirect nocache httponly maxlife 8h attr SameSite=Lax",
        "cookie CARTSRV insert indirect nocache httponly maxlife 8m attr SameSite=Lax",
    ),
    "ALG-11": ("balance uri path-only", "balance source"),
    "HTT-02": ("http-request set-header X-Forwarded-Proto http", "http-request del-header X-Forwarded-Proto"),
    "RTE-13": ("default_backend pages", "default_backend static"),
    "RTE-14": (
        f"http-request redirect code 301 location https://www.shop.example{OF_THE_SHOP}",
        f"http-request redirect code 301 location https://shop.example{OF_THE_SHOP}",
    ),
}


@pytest.mark.parametrize("check", MISTAKES)
def test_a_failure_of_the_check_points_at_the_line(check: str, tmp_path: Path) -> None:
    line, becomes = MISTAKES[check]
    configuration = shop(tmp_path, line, becomes)
    card = everything()[check]
    found = {
        subject.name: configuration.blamed([f"{subject.path}.{f}" for f in rests_on(card, subject)], subject.path)
        for subject in card.subject.of(intended().spec)
    }
    assert becomes in {words for _, words in found.values()}, found
    assert any(d.configured_at.startswith(str(tmp_path)) for d in configuration.differences)


def test_the_intended_configuration_differs_in_nothing_that_lb_yaml_says(tmp_path: Path) -> None:
    assert [str(d) for d in shop(tmp_path).differences] == []


def test_a_difference_names_both_lines(tmp_path: Path) -> None:
    configuration = shop(tmp_path, "balance leastconn", "balance roundrobin")
    (found,) = configuration.differing(["pools.pages.algorithm"])
    assert found.said
    assert str(found) == (
        f"{found.claimed_at} says algorithm: least_connections; {found.configured_at} says algorithm: round_robin"
    )
    assert found.claimed_at.endswith("lb.yaml:58")
    assert words_at(configuration, found.configured_at) == "balance roundrobin"


def test_where_nothing_differs_the_line_of_the_field_is_named(tmp_path: Path) -> None:
    configuration = shop(tmp_path)
    at, words = configuration.blamed(["pools.pages.health_check.path"], "pools.pages")
    assert words.startswith("http-check send meth GET uri /health")
    assert at == str(configuration.imported.sources["pools.pages.health_check.path"])
    assert configuration.blamed(["pools.pages.order"], "pools.pages")[1] == "backend pages"
    assert configuration.blamed([], "") == ("", "")


def test_an_acl_is_named_with_the_rules_that_ask_it(tmp_path: Path) -> None:
    configuration = shop(tmp_path, "acl is_api    path_beg /api/", "acl is_api    path_beg /apis/")
    at, words = configuration.blamed(["listeners.public.rules.100.when"], "listeners.public.rules.100")
    assert words == "use_backend api if is_api"
    assert [text.partition("  ")[2] for text in configuration.through(at)] == ["acl is_api path_beg /apis/"]


def test_a_target_without_importer_and_a_file_that_cannot_be_taken_are_told(tmp_path: Path) -> None:
    assert read("examplelb", [CONFIG], intended(), {}) == (
        None,
        "no importer reads configurations of examplelb in this version",
    )
    (tmp_path / "none.cfg").write_text("global\n maxconn 10\n")
    found, why_not = read("haproxy", [tmp_path / "none.cfg"], intended(), {})
    assert found is None
    assert "expected a frontend or listen section" in why_not


def test_paths_touch_where_one_holds_the_other() -> None:
    assert touches("pools.api", "pools.api.algorithm")
    assert touches("pools.api.algorithm", "pools.api")
    assert not touches("pools.api", "pools.apis.algorithm")
