"""YAML text to a tree that knows its lines: YAML 1.2 booleans, no duplicate keys, anchors and `<<` resolved."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import yaml

from lbcheck.errors import Location, SpecError

MOST_NODES = 200_000  # a few kilobytes of nested aliases could stand for billions

Value: TypeAlias = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Scalar:
    """`text` is what was written; `value` is what YAML 1.2 makes of it."""

    value: Value
    text: str
    at: Location


@dataclass(frozen=True, slots=True)
class Items:
    nodes: tuple[Node, ...]
    at: Location


@dataclass(frozen=True, slots=True)
class Entry:
    key: str
    at: Location
    node: Node


@dataclass(frozen=True, slots=True)
class Table:
    entries: tuple[Entry, ...]
    at: Location

    def get(self, key: str) -> Node | None:
        return next((entry.node for entry in self.entries if entry.key == key), None)


Node: TypeAlias = Scalar | Items | Table


def parse_yaml(text: str, file: str) -> Node:
    """The one document of a YAML file; SpecError for anything else."""
    try:
        loader = _Yaml12(text)
        root = loader.get_single_node()
        if root is None:
            raise SpecError("the file is empty", at=Location(file), remedy="Expected `listeners:` and `pools:`.")
        return _Tree(file).node(root)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = Location(file, mark.line + 1, mark.column + 1) if mark else Location(file)
        raise SpecError(f"not YAML: {error.problem or error.context}", at=at) from error
    except yaml.YAMLError as error:
        raise SpecError(f"not YAML: {error}", at=Location(file)) from error
    except RecursionError as error:
        raise SpecError("nested too deeply", at=Location(file)) from error


def from_value(value: Any, file: str) -> Node:
    """The same tree from JSON-like values, which have no lines."""
    at = Location(file)
    if isinstance(value, Mapping):
        return Table(tuple(Entry(str(key), at, from_value(item, file)) for key, item in value.items()), at)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return Items(tuple(from_value(item, file) for item in value), at)
    if value is None or isinstance(value, str | int | float):
        return Scalar(value, _json_text(value), at)
    raise SpecError(f"expected JSON values, got {type(value).__name__}", at=at)


def _json_text(value: Value) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


class _Yaml12(yaml.SafeLoader):
    """The core schema of YAML 1.2 (10.3.2); PyYAML has that of 1.1, where `on`, `yes` and `1:30` are no words."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}


_Yaml12.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"~|null|Null|NULL|"), ["~", "n", "N", ""])
_Yaml12.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"true|True|TRUE|false|False|FALSE"), list("tTfF"))
_Yaml12.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"[-+]?[0-9]+"), list("-+0123456789"))
_Yaml12.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"),
    list("-+0123456789."),
)
for _resolvers in _Yaml12.yaml_implicit_resolvers.values():  # PyYAML matches a prefix
    _resolvers[:] = [(tag, re.compile(rf"(?:{pattern.pattern})\Z")) for tag, pattern in _resolvers]


class _Tree:
    """PyYAML's nodes to ours."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.count = 0
        self.open: list[yaml.Node] = []

    def location(self, node: yaml.Node) -> Location:
        mark = node.start_mark
        return Location(self.file, mark.line + 1, mark.column + 1)

    def node(self, node: yaml.Node) -> Node:
        at = self.location(node)
        self.count += 1
        if self.count > MOST_NODES:
            raise SpecError(f"more than {MOST_NODES} values, anchors resolved", at=at)
        if any(node is other for other in self.open):
            raise SpecError("an anchor that contains itself", at=at)
        if isinstance(node, yaml.ScalarNode):
            return self.scalar(node, at)
        self.open.append(node)
        try:
            if isinstance(node, yaml.SequenceNode):
                return Items(tuple(self.node(item) for item in node.value), at)
            assert isinstance(node, yaml.MappingNode)
            return self.table(node, at)
        finally:
            self.open.pop()

    def scalar(self, node: yaml.ScalarNode, at: Location) -> Scalar:
        text, kind = node.value, node.tag.rpartition(":")[2]
        if kind == "null":
            return Scalar(None, text or "null", at)
        if kind == "bool":
            return Scalar(text.lower() == "true", text, at)
        if kind == "int":
            return Scalar(int(text[:400]), text, at)
        if kind == "float":
            return Scalar(float(text), text, at)
        if kind == "str":
            return Scalar(text, text, at)
        raise SpecError(f"the tag {node.tag} has no meaning here", at=at, remedy="Write the plain value.")

    def table(self, node: yaml.MappingNode, at: Location) -> Table:
        entries: dict[str, Entry] = {}
        merged: list[yaml.Node] = []
        for key_node, value_node in node.value:
            key_at = self.location(key_node)
            if not isinstance(key_node, yaml.ScalarNode):
                raise SpecError("expected a word as a key", at=key_at)
            key = str(key_node.value)
            if key == "<<" and key_node.style is None:
                merged.append(value_node)
            elif key in entries:
                raise SpecError(f"the key {key!r} stands here twice (first in line {entries[key].at.line})", at=key_at)
            else:
                entries[key] = Entry(key, key_at, self.node(value_node))
        for entry in self.merged(merged):
            entries.setdefault(entry.key, entry)
        return Table(tuple(entries.values()), at)

    def merged(self, sources: list[yaml.Node]) -> Iterator[Entry]:
        """What `<<` brings in: a mapping or a list of them, the first wins, and what is written out wins over all."""
        for source in sources:
            tables = source.value if isinstance(source, yaml.SequenceNode) else [source]
            for table_node in tables:
                table = self.node(table_node)
                if not isinstance(table, Table):
                    raise SpecError("expected a mapping after <<", at=table.at)
                yield from table.entries
