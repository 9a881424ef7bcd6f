"""What of lb.yaml and of a configuration is told to be exercised, from records and from real runs in the simulator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lbcheck.gate.coverage import coverage
from lbcheck.importers.directive import Ruling
from lbcheck.report.model import CheckRecord, Coverage

from .shop import intended, shop

pytestmark = pytest.mark.fast


def record(check: str, outcome: str = "holds", **values: Any) -> CheckRecord:
    area = check.partition("-")[0]
    return CheckRecord(check, f"{check}[{len(values)}]", "a claim", area, "core", outcome, **values)


def of(folder: Path, *records: CheckRecord) -> tuple[Coverage, dict[str, tuple[str, str, list[str]]]]:
    found = coverage(intended(), records, shop(folder))
    return found, {d.words: (d.state, d.reason, d.checks) for d in found.directives}


def test_each_directive_is_told_once_and_in_order(tmp_path: Path) -> None:
    found, _ = of(tmp_path)
    configuration = shop(tmp_path)
    assert [d.at for d in found.directives] == [str(e.directive.at) for e in configuration.imported.entries]
    ignored = {str(e.directive.at) for e in configuration.imported.ruled(Ruling.IGNORED)}
    assert ignored <= {d.at for d in found.of("no effect")}
    assert not found.of("exercised")
    assert {part.kind for part in found.missed()} == {"listener", "rule", "default", "pool"}


def test_a_field_that_a_decided_check_reads_exercises_its_line(tmp_path: Path) -> None:
    _, lines = of(tmp_path, record("HLT-08", reads=["pools.pages.health_check.timeout"]))
    assert lines["timeout check 5s"] == ("exercised", "", ["HLT-08"])
    assert lines["timeout connect 3s"] == ("not exercised", "no check of this run rests on it", [])
    assert lines["backend pages"][0] == "not exercised"  # nothing was sent there


def test_a_record_that_is_read_whole_exercises_all_its_lines(tmp_path: Path) -> None:
    _, lines = of(tmp_path, record("HLT-01", reads=["pools.api.retries"]))
    exercised = {words for words, (state, _, _) in lines.items() if state == "exercised"}
    assert exercised == {
        "retries 2",
        "option redispatch 1",
        "retry-on conn-failure empty-response 503",
        "http-request disable-l7-retry if METH_POST",
    }


def test_a_check_that_decided_nothing_exercises_nothing_and_is_named(tmp_path: Path) -> None:
    sent = {"reached": ["listeners.public", "pools.cart"], "reads": ["pools.cart.stickiness.duration"]}
    found, lines = of(tmp_path, record("STK-01", "inconclusive", **sent))
    assert lines["backend cart"] == ("not exercised", "only by checks that decided nothing: STK-01", [])
    (pool,) = [part for part in found.parts if part.path == "pools.cart"]
    assert (pool.checks, pool.undecided) == ([], ["STK-01"])


def test_requests_exercise_what_they_pass_and_acls_act_through_their_rules(tmp_path: Path) -> None:
    configuration = shop(tmp_path)
    met = str(configuration.imported.sources["listeners.public.rules.100.when"])
    passed = ["listeners.public", "listeners.public.rules.100", "pools.api", "pools.api.backends.api1"]
    found, lines = of(tmp_path, record("RTE-03", reached=passed, met=[met]))
    exercised = {words for words, (state, _, _) in lines.items() if state == "exercised"}
    assert exercised == {
        "frontend public",
        "bind *:80",
        "acl is_api path_beg /api/",
        "use_backend api if is_api",
        "backend api",
        "server api1 10.20.2.11:9000 check weight 100",
        "mode http",
    }
    assert {part.path for part in found.parts if part.checks} == set(passed[:3])


def test_what_lb_yaml_cannot_say_is_never_exercised(tmp_path: Path) -> None:
    found = coverage(intended(), [], shop(tmp_path, "monitor-uri /alive", "compression algo gzip"))
    (line,) = [d for d in found.directives if d.words == "compression algo gzip"]
    assert (line.state, line.reason) == ("not exercised", "lb.yaml cannot say it: answers are compressed")


def test_without_a_configuration_the_spec_alone_is_covered() -> None:
    found = coverage(intended(), [record("RTE-18", reached=["pools.api"])], None, "no importer")
    assert (found.directives, found.unread) == ([], "no importer")
    assert [part.path for part in found.parts if part.checks] == ["pools.api"]
