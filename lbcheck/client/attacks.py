"""Framing attacks: requests whose end can be read in two ways, read from `fixtures/wire/framing.yaml`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import yaml

from lbcheck.bundled import bundled


@dataclass(frozen=True, slots=True)
class Attack:
    """One malformed request. `template` has places for {id}, {inner}, {host} and lengths; `why` is the rule broken.

    `requests` is the most that backends may see by any lawful reading, `body` the length of the first one there.
    """

    name: str
    why: str
    template: str
    requests: int = 1
    body: int | str | None = None

    def body_length(self, *, inner: str, host: str) -> int | None:
        """The lawful length of the body at a backend; None: not said."""
        return len(hidden(inner, host)) if isinstance(self.body, str) else self.body

    def raw(self, *, id: str, inner: str, host: str) -> bytes:
        """The bytes to send: the request `id`, with a second one (`inner`) hidden where the other reading ends."""
        smuggled = hidden(inner, host)
        parts = {
            "id": id,
            "host": host,
            "smuggled": smuggled,
            "len": str(len(smuggled)),
            "cl": str(len(smuggled) + len("0\r\n\r\n")),
            "chunk": f"{len(smuggled):x}",
        }
        text = self.template
        for name, value in parts.items():
            text = text.replace("{" + name + "}", value)
        return text.encode("latin-1")


@lru_cache(maxsize=1)
def attacks() -> tuple[Attack, ...]:
    """All of them, in the file's order."""
    entries = yaml.safe_load((bundled("fixtures") / "wire" / "framing.yaml").read_text())
    return tuple(
        Attack(entry["name"], entry["why"], entry["raw"], entry.get("requests", 1), entry.get("body"))
        for entry in entries
    )


def hidden(inner: str, host: str) -> str:
    """The second request, hidden in the first."""
    return f"GET /smuggled HTTP/1.1\r\nHost: {host}\r\nLbcheck-Id: {inner}\r\n\r\n"
