from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest

from lbcheck.spec import model
from lbcheck.spec.battery import folder
from lbcheck.spec.nodes import Items, Node, Scalar, parse_yaml
from lbcheck.spec.schema import json_schema

from .shape import mismatches

pytestmark = pytest.mark.fast
EXAMPLES = sorted([*folder().glob("*.yaml"), *(Path(__file__).parent / "examples").glob("*.yaml")])


def plain(node: Node) -> Any:
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, Items):
        return [plain(item) for item in node.nodes]
    return {entry.key: plain(entry.node) for entry in node.entries}


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_every_example_has_the_schemas_shape(file: Path) -> None:
    schema = json_schema()
    assert mismatches(plain(parse_yaml(file.read_text(), str(file))), schema, schema) == []


@pytest.mark.parametrize(
    "text",
    [
        "pools: {}",
        "listeners: [{name: a}]",
        "listeners: [{name: a, default: {forward: web, respond: {}}}]",
        "listeners: [{name: a, default: {forward: web}, port: 0}]",
        "listeners: []\npools: {web: {backends: a, algorythm: random}}",
        "listeners: []\npools: {web: {backends: a, algorithm: rr}}",
        "listeners: []\npools: {web: {backends: a, slow_start: 5}}",
        "listeners: []\npools: {web: {backends: [{weight: 1}]}}",
        "listeners: []\npools: {web: {backends: [{name: a, weight: -1}]}}",
        "listeners: []\npools: {web: {name: web, backends: a}}",
    ],
)
def test_wrong_shapes_do_not_fit(text: str) -> None:
    schema = json_schema()
    assert mismatches(plain(parse_yaml(text, "lb.yaml")), schema, schema) != []


def test_the_schema_is_json_and_holds_every_field_of_the_model() -> None:
    schema = json.loads(json.dumps(json_schema()))
    bodies = schema["$defs"] | {"Spec": schema}
    for name, cls in vars(model).items():
        if is_dataclass(cls) and cls.__module__ == model.__name__ and name != "Forward":
            known = {field.name for field in fields(cls)} - ({"name"} if name == "Pool" else set())
            assert set(bodies[name]["properties"]) == known
            assert bodies[name]["description"]


def test_bare_zero_is_no_duration_where_more_is_expected() -> None:
    schema = json_schema()
    assert mismatches(0, schema["$defs"]["Pool"]["properties"]["slow_start"], schema) == []
    assert mismatches(0, schema["$defs"]["HealthCheck"]["properties"]["interval"], schema) != []
