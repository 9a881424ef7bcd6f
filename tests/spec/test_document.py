from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from lbcheck.errors import SpecError
from lbcheck.spec.battery import battery
from lbcheck.spec.document import from_document, read, to_document
from lbcheck.spec.loading import load
from lbcheck.spec.model import Spec

from .whole_specs import specs

pytestmark = pytest.mark.fast

EXAMPLE = Path(__file__).parent / "examples" / "everything.yaml"


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(specs())
def test_a_document_is_read_back_to_the_same_spec(spec: Spec) -> None:
    assert from_document(json.loads(json.dumps(to_document(spec)))) == spec


@pytest.mark.parametrize("name", sorted(battery()))
def test_every_spec_of_the_battery_goes_there_and_back(name: str) -> None:
    spec = battery()[name].spec
    assert from_document(json.loads(json.dumps(to_document(spec)))) == spec


def test_durations_are_numbers_of_seconds_and_defaults_are_filled_in() -> None:
    document = to_document(load(EXAMPLE).spec)
    api, web = document["pools"]["api"], document["pools"]["web"]
    assert api["health_check"]["interval"] == 30.0
    assert isinstance(api["health_check"]["interval"], float)
    assert document["slo"]["error_rate"] == 0.001
    assert web["timeouts"] == {"connect": 1.0, "response": 60.0, "idle": 60.0, "queue": 5.0}
    assert document["listeners"][0]["default"] == {"forward": {"web": 1}}


def test_both_forms_of_a_file_are_read(tmp_path: Path) -> None:
    spec = load(EXAMPLE).spec
    (tmp_path / "spec.json").write_text(json.dumps(to_document(spec) | {"generation": 3}))
    assert read(EXAMPLE) == spec
    assert read(tmp_path / "spec.json") == spec


@pytest.mark.parametrize("text", ["[]", "{", "null", '{"listeners": NaN}', '{"generation": 1}'])
def test_a_document_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "spec.json").write_text(text)
    with pytest.raises(SpecError, match=r"spec\.json"):
        read(tmp_path / "spec.json")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("pools", "web", "slow_start"), "5s", "pools.web.slow_start: expected a duration"),
        (("pools", "web", "slow_start"), float("nan"), "pools.web.slow_start: expected a duration"),
        (("pools", "web", "slow_start"), float("inf"), "pools.web.slow_start: expected a duration"),
        (("pools", "web", "algorithm"), "rr", "pools.web.algorithm: expected one of the words"),
        (("pools", "web", "unknown"), 1, "unknown key 'unknown' in pools.web"),
        (("pools", "web", "backends", 0, "address"), None, "pools.web.backends.w: address is missing"),
    ],
)
def test_wrong_documents_are_refused_as_files_are(path: tuple[Any, ...], value: Any, message: str) -> None:
    document = to_document(load(EXAMPLE).spec)
    holder: Any = document
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = value
    with pytest.raises(SpecError) as refused:
        from_document(document, placed=True)
    assert message in str(refused.value)
