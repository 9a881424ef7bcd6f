"""The gate on the production-like configurations of nginx: what it says of them is true, claim by claim."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.e2e.runs import WholeRun, slow_machine_only, whole_run

from .production import NGINX

pytestmark = [pytest.mark.slow, pytest.mark.nightly]  # a minute for each, and exact on a quiet machine

# Of nginx itself, whatever its file says: docs/findings.md has a reproduction of each.
OF_NGINX = {"FLO-16", "HTT-04", "HTT-06", "HTT-41", "HTT-42"}
# What `init` tells of these lines: understood in part. The judgement, and what nginx does.
IN_PART = {
    "RTE-17": ("arrives_as", "nginx decodes a path that a URI of proxy_pass or a rewrite replaces a part of"),
    "RTE-20": ("acts", "nginx compares paths decoded"),
    "HTT-03": ("arrives_with", "$host is the host without its port"),
    "HTT-46": ("arrives_plainly", "$http_host is the field, whatever the target's authority is"),
}
MEANT = {
    "shop": {"RTE-17[http-80/90]", "HTT-46[http-80]", *(f"RTE-20[http-80/{n}]" for n in (20, 30, 40, 50))},
    "platform": {
        "RTE-17[http-8080/30]",
        "RTE-17[http-8080/50]",
        "HTT-03[http-80]",
        "RTE-20[http-80/30]",
        "RTE-20[http-80/40]",
        "RTE-20[http-8080/10]",
    },
}
# A pool whose servers are put out for 30 s: what a check would see after that is not observed, and is said.
UNDECIDED = ("FLO-06", "FLO-07", "FLO-12")


@pytest.fixture(scope="module", params=sorted(NGINX))
def gate(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, WholeRun]:
    name = request.param
    folder = tmp_path_factory.mktemp(name) / "run"
    shutil.copytree(NGINX[name].parent, folder)
    words = ("--lb-target=nginx", "--lb-config=nginx.conf", "--lb-spec=lb.yaml", "-n", "2")
    return name, whole_run(folder, *words, path=str(Path(__file__).parents[2]))


def test_the_gate_runs_sealed_and_most_holds(gate: tuple[str, WholeRun]) -> None:
    _, run = gate
    assert run.record["environment"]["lab"] == "sealed"
    assert len(run.of("holds")) > 80
    assert run.exit_code == 1


def test_what_is_broken_is_known_of_nginx_or_was_told_by_init(gate: tuple[str, WholeRun]) -> None:
    name, run = gate
    broken = run.of("broken")
    assert {node for node in broken if node.partition("[")[0] not in OF_NGINX} == MEANT[name]
    for check in run.record["checks"]:
        if check["outcome"] == "broken" and check["id"] in IN_PART:
            wrong = {j["judgement"] for j in check["judgements"] if j["outcome"] == "broken"}
            assert wrong == {IN_PART[check["id"]][0]}, check


def test_what_is_undecided_has_its_reason(gate: tuple[str, WholeRun]) -> None:
    _, run = gate
    left = {node: why for node, why in run.undecided.items() if node.partition("[")[0] not in UNDECIDED}
    assert not left or slow_machine_only(run), left
    assert all(
        "no request can reach pool search_" in c["reason"]
        for c in run.record["checks"]
        if c["outcome"] == "unsupported"
    )
