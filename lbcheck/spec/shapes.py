"""Kinds that hold others: lists, mappings, records, and the three shapes of lb.yaml that are not plain records."""

from __future__ import annotations

from dataclasses import MISSING, Field, dataclass, fields
from typing import Any

from lbcheck.errors import SpecError
from lbcheck.spec.kinds import Json, Kind, Reading, described, refuse, unknown
from lbcheck.spec.model import Conditions, Forward, Redirect, Respond
from lbcheck.spec.nodes import Entry, Items, Node, Scalar, Table
from lbcheck.spec.syntax import Called, Keyed


@dataclass(frozen=True, slots=True)
class Many:
    """A list; what is no list stands for a list of one. `called` names the items in paths."""

    kind: Kind
    called: Called | None = None

    def read(self, node: Node, path: str, reading: Reading) -> tuple[Any, ...]:
        if isinstance(node, Scalar) and node.value is None:
            raise refuse(node, path, "expected a list")
        nodes = node.nodes if isinstance(node, Items) else (node,)
        return tuple(self._item(item, path, index, reading) for index, item in enumerate(nodes))

    def _item(self, node: Node, path: str, index: int, reading: Reading) -> Any:
        if self.called is None:
            return self.kind.read(node, path, reading)
        if self.called.scalar and isinstance(node, Scalar) and node.value is not None:
            key = self.called.scalar if ":" in node.text else self.called.field
            node = Table((Entry(key, node.at, node),), node.at)
        if isinstance(node, Table) and self.called.scalar and not node.get(self.called.field):
            named = node.get(self.called.scalar)
            if named is not None:
                node = Table((Entry(self.called.field, named.at, named), *node.entries), node.at)
        handle = node.get(self.called.field) if isinstance(node, Table) else None
        name = handle.text if isinstance(handle, Scalar) else str(index)
        reading.places[f"{path}.{name}"] = node.at
        return self.kind.read(node, f"{path}.{name}", reading)

    def write(self, value: tuple[Any, ...]) -> Json:
        return [self.kind.write(item) for item in value]

    def show(self, value: tuple[Any, ...]) -> str:
        return "[" + ", ".join(self.kind.show(item) for item in value) + "]"

    def schema(self, definitions: dict[str, Json]) -> Json:
        item = self.kind.schema(definitions)
        if self.called and self.called.scalar:
            item = self._either(definitions)
        return {"anyOf": [{"type": "array", "items": item}, item]}

    def _either(self, definitions: dict[str, Json]) -> Json:
        """A bare text, or a record with at least one of the two names that a text could be."""
        assert isinstance(self.kind, Record)
        assert self.called is not None
        body = self.kind.body(definitions)
        del body["required"]
        body["anyOf"] = [{"required": [self.called.field]}, {"required": [self.called.scalar]}]
        definitions[self.kind.cls.__name__] = body
        return {"anyOf": [{"$ref": f"#/$defs/{self.kind.cls.__name__}"}, {"type": "string"}]}


@dataclass(frozen=True, slots=True)
class Pair:
    """A list of exactly two."""

    kind: Kind

    def read(self, node: Node, path: str, reading: Reading) -> tuple[Any, Any]:
        if not isinstance(node, Items) or len(node.nodes) != 2:
            raise refuse(node, path, "expected a list of two, [from, to]")
        first, second = node.nodes
        return self.kind.read(first, path, reading), self.kind.read(second, path, reading)

    def write(self, value: tuple[Any, Any]) -> Json:
        return [self.kind.write(item) for item in value]

    def show(self, value: tuple[Any, Any]) -> str:
        return "[" + ", ".join(self.kind.show(item) for item in value) + "]"

    def schema(self, definitions: dict[str, Json]) -> Json:
        return {"type": "array", "items": self.kind.schema(definitions), "minItems": 2, "maxItems": 2}


@dataclass(frozen=True, slots=True)
class Named:
    """A mapping from free names to values, in file order; in code pairs (name, value). A bare name has weight 1."""

    key: Kind
    value: Kind
    bare: Any = None

    def read(self, node: Node, path: str, reading: Reading) -> tuple[tuple[Any, Any], ...]:
        if self.bare is not None and isinstance(node, Scalar) and node.value is not None:
            return ((self.key.read(node, path, reading), self.bare),)
        if not isinstance(node, Table):
            raise refuse(node, path, "expected a mapping")
        return tuple(self._pair(entry, path, reading) for entry in node.entries)

    def _pair(self, entry: Entry, path: str, reading: Reading) -> tuple[Any, Any]:
        reading.places[f"{path}.{entry.key}"] = entry.at
        name = self.key.read(Scalar(entry.key, entry.key, entry.at), path, reading)
        return name, self.value.read(entry.node, f"{path}.{entry.key}", reading)

    def write(self, value: tuple[tuple[Any, Any], ...]) -> Json:
        return {name: self.value.write(item) for name, item in value}

    def show(self, value: tuple[tuple[Any, Any], ...]) -> str:
        return "{" + ", ".join(f"{name}: {self.value.show(item)}" for name, item in value) + "}"

    def schema(self, definitions: dict[str, Json]) -> Json:
        table = {"type": "object", "additionalProperties": self.value.schema(definitions)}
        return table if self.bare is None else {"anyOf": [table, {"type": "string"}]}


@dataclass(frozen=True, slots=True)
class KeyedRecords:
    """Records as a mapping: the key is one of their fields."""

    record: Record
    keyed: Keyed

    def read(self, node: Node, path: str, reading: Reading) -> tuple[Any, ...]:
        if not isinstance(node, Table):
            raise refuse(node, path, f"expected a mapping from each {self.keyed.field}")
        return tuple(self._record(entry, path, reading) for entry in node.entries)

    def _record(self, entry: Entry, path: str, reading: Reading) -> Any:
        reading.places[f"{path}.{entry.key}"] = entry.at
        if not isinstance(entry.node, Table):
            raise refuse(entry.node, f"{path}.{entry.key}", "expected a mapping")
        own = entry.node.get(self.keyed.field)
        if own is not None:
            expected = f"expected no `{self.keyed.field}`, the key is it already"
            raise refuse(own, f"{path}.{entry.key}", expected)
        name = Entry(self.keyed.field, entry.at, Scalar(entry.key, entry.key, entry.at))
        return self.record.read(Table((name, *entry.node.entries), entry.node.at), f"{path}.{entry.key}", reading)

    def write(self, value: tuple[Any, ...]) -> Json:
        return {getattr(item, self.keyed.field): self._body(item) for item in value}

    def _body(self, item: Any) -> Json:
        return {key: body for key, body in self.record.write(item).items() if key != self.keyed.field}

    def show(self, value: tuple[Any, ...]) -> str:
        return "{" + ", ".join(getattr(item, self.keyed.field) for item in value) + "}"

    def schema(self, definitions: dict[str, Json]) -> Json:
        body = self.record.body(definitions)
        del body["properties"][self.keyed.field]
        body["required"] = [name for name in body.get("required", []) if name != self.keyed.field]
        definitions[self.record.cls.__name__] = body
        return {"type": "object", "additionalProperties": {"$ref": f"#/$defs/{self.record.cls.__name__}"}}


@dataclass(frozen=True, slots=True)
class Record:
    """A dataclass of the model as a mapping with its fields' names as keys."""

    cls: Any
    kinds: dict[str, Kind]
    says: dict[str, str]

    def read(self, node: Node, path: str, reading: Reading) -> Any:
        if not isinstance(node, Table):
            raise refuse(node, path or "the file", f"expected a mapping with {', '.join(self.kinds)}")
        keys = {entry.key for entry in node.entries}
        given = {entry.key: self._field(entry, path, keys, reading) for entry in node.entries}
        for spec_field in fields(self.cls):
            if spec_field.name not in given:
                given[spec_field.name] = self._left_out(spec_field, node, path, reading)
        return self.cls(**given)

    def _field(self, entry: Entry, path: str, given: set[str], reading: Reading) -> Any:
        if entry.key not in self.kinds:
            raise unknown(entry, path, [name for name in self.kinds if name not in given])
        here = f"{path}.{entry.key}" if path else entry.key
        reading.places[here] = entry.at
        kind = self.kinds[entry.key]
        return kind.read(entry.node, here, reading)

    def _left_out(self, spec_field: Field[Any], node: Node, path: str, reading: Reading) -> Any:
        profile = reading.defaults.get(self.cls, {})
        if spec_field.name in profile:
            value = profile[spec_field.name]
        elif spec_field.default is not MISSING:
            value = spec_field.default
        else:
            noun = f"{path}.{spec_field.name}" if path else spec_field.name
            raise SpecError(f"{noun} is missing (a {self.cls.__name__.lower()} needs it)", at=node.at)
        if self.cls is not Conditions:
            here = f"{path}.{spec_field.name}" if path else spec_field.name
            reading.filled.extend(leaves(here, self.kinds[spec_field.name], value))
        return value

    def write(self, value: Any) -> Json:
        return {name: kind.write(getattr(value, name)) for name, kind in self.kinds.items()}

    def show(self, value: Any) -> str:
        return "{" + ", ".join(f"{name}: {kind.show(getattr(value, name))}" for name, kind in self.kinds.items()) + "}"

    def schema(self, definitions: dict[str, Json]) -> Json:
        name = self.cls.__name__
        if name not in definitions:
            definitions[name] = {}  # holds its place while it is being described
            definitions[name] = self.body(definitions)
        return {"$ref": f"#/$defs/{name}"}

    def body(self, definitions: dict[str, Json]) -> dict[str, Json]:
        properties = {field.name: self._property(field, definitions) for field in fields(self.cls)}
        required = [field.name for field in fields(self.cls) if field.default is MISSING]
        body: dict[str, Json] = {"type": "object", "additionalProperties": False, "properties": properties}
        body["description"] = " ".join((self.cls.__doc__ or "").split())
        return body | ({"required": required} if required else {})

    def _property(self, spec_field: Field[Any], definitions: dict[str, Json]) -> Json:
        kind = self.kinds[spec_field.name]
        shape = dict(kind.schema(definitions))
        noun = shape.get("description", "")
        sentences = [self.says.get(spec_field.name, ""), noun and f"{noun[0].upper()}{noun[1:]}."]
        if spec_field.default not in (MISSING, None, (), "") and not isinstance(kind, Record):
            sentences.append(f"Plain: {kind.show(spec_field.default)}.")
        description = " ".join(sentence for sentence in sentences if sentence)
        return shape | ({"description": description} if description else {})


def leaves(path: str, kind: Kind, value: Any) -> list[str]:
    """What a default brought in, a line for each value that says something: "pools.api.timeouts.idle = 60s"."""
    inner = getattr(kind, "kind", kind)
    if value is None or value == () or value == "":
        return []
    if isinstance(inner, Record):
        return [
            line for name, part in inner.kinds.items() for line in leaves(f"{path}.{name}", part, getattr(value, name))
        ]
    return [f"{path} = {kind.show(value)}"]


@dataclass(frozen=True, slots=True)
class Act:
    """`forward`, `redirect` or `respond`: exactly one."""

    forward: Named
    redirect: Record
    respond: Record

    def read(self, node: Node, path: str, reading: Reading) -> Any:
        words = ["forward", "redirect", "respond"]
        if not isinstance(node, Table):
            raise refuse(node, path, "expected forward, redirect or respond", "Such as {forward: api}.")
        for entry in node.entries:
            if entry.key not in words:
                raise unknown(entry, path, words)
        if len(node.entries) != 1:
            raise SpecError(f"{path}: expected one of forward, redirect, respond, got {len(node.entries)}", at=node.at)
        entry = node.entries[0]
        here = f"{path}.{entry.key}"
        reading.places[here] = entry.at
        if entry.key == "forward":
            return self._forward(entry.node, here, reading)
        return (self.redirect if entry.key == "redirect" else self.respond).read(entry.node, here, reading)

    def _forward(self, node: Node, path: str, reading: Reading) -> Forward:
        pools = self.forward.read(node, path, reading)
        if not pools:
            raise refuse(node, path, f"expected at least one pool in {described(node)}")
        return Forward(pools)

    def write(self, value: Any) -> Json:
        if isinstance(value, Forward):
            return {"forward": self.forward.write(value.pools)}
        if isinstance(value, Redirect):
            return {"redirect": self.redirect.write(value)}
        assert isinstance(value, Respond)
        return {"respond": self.respond.write(value)}

    def show(self, value: Any) -> str:
        return str(self.write(value))

    def schema(self, definitions: dict[str, Json]) -> Json:
        parts: dict[str, Kind] = {"forward": self.forward, "redirect": self.redirect, "respond": self.respond}
        properties = {word: kind.schema(definitions) for word, kind in parts.items()}
        return {
            "type": "object",
            "additionalProperties": False,
            "properties": properties,
            "minProperties": 1,
            "maxProperties": 1,
        }
