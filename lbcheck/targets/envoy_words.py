"""Words that all of Envoy's documents are written in: protobuf messages of its v3 API as mappings (pure)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import yaml

from lbcheck.spec.model import Seconds

Document = dict[str, Any]


def typed(message: str, **fields: Any) -> Document:
    """A message that says which one it is (google.protobuf.Any); `message` is its name after "envoy."."""
    return {"@type": f"type.googleapis.com/envoy.{message}", **fields}


def named(name: str, message: str, **fields: Any) -> Document:
    """An extension's configuration (config.core.v3.TypedExtensionConfig)."""
    return {"name": name, "typed_config": typed(message, **fields)}


def watched(file: str) -> Document:
    """Resources out of a file, read again when it is replaced by rename (config.core.v3.PathConfigSource)."""
    return {"path_config_source": {"path": f"./{file}"}, "resource_api_version": "V3"}


def seconds(duration_s: Seconds) -> str:
    """0.25 -> "0.25s" (google.protobuf.Duration)."""
    return f"{round(duration_s, 9):.9f}".rstrip("0").rstrip(".") + "s"


def regex(expression: str) -> Document:
    """A StringMatcher: the whole of a text has to match (type.matcher.v3.RegexMatcher, RE2)."""
    return {"safe_regex": {"regex": expression}}


def either(expressions: Iterable[str]) -> str:
    return f"(?:{'|'.join(expressions)})"


def text(document: Document) -> str:
    return yaml.dump(document, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=1000)


def resources(documents: Iterable[Document]) -> str:
    """What a watched file holds (service.discovery.v3.DiscoveryResponse)."""
    return text({"resources": list(documents)})


class _Plain(yaml.SafeDumper):
    """Without aliases: a value that stands in two places is written twice."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - for any
        return True
