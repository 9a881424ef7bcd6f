"""`load` and `loads`: lb.yaml to a validated Spec, with lines, with what is doubtful, and with what was filled in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lbcheck.errors import Location, SpecError
from lbcheck.spec.doubts import Finding, doubts
from lbcheck.spec.fields import spec_record
from lbcheck.spec.kinds import Reading, nearest
from lbcheck.spec.model import Spec
from lbcheck.spec.nodes import Node, Scalar, Table, parse_yaml
from lbcheck.spec.profiles import PROFILES
from lbcheck.spec.validity import validate

__all__ = ["Finding", "LoadedSpec", "load", "loads"]


@dataclass(frozen=True, slots=True)
class LoadedSpec:
    """A spec and what its file said about it.

    `places` maps paths (`pools.api.backends.a.weight`, `listeners.public.rules.10.when.path`) to lines; what was filled
    in has none. `findings` are doubtful but run. `filled` lists what the profile brought in ("pools.api.order = any").
    """

    spec: Spec
    places: Mapping[str, Location]
    findings: tuple[Finding, ...]
    filled: tuple[str, ...]


def load(path: str | Path, *, battery: bool = False) -> LoadedSpec:
    """Reads a file; SpecError names file, line, key and remedy."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"cannot be read: {error}", at=Location(str(path))) from error
    return loads(text, file=str(path), battery=battery)


def loads(text: str, file: str = "lb.yaml", *, battery: bool = False) -> LoadedSpec:
    """`battery=True` takes listeners and backends without address and port: the lab places them."""
    root = parse_yaml(text, file)
    reading = Reading(defaults=PROFILES[_profile(root)])
    spec: Spec = spec_record().read(root, "", reading)
    validate(spec, reading.places, file, placed=not battery)
    return LoadedSpec(spec, reading.places, doubts(spec, reading.places, file), tuple(reading.filled))


def _profile(root: Node) -> str:
    """The profile's name, read before all else because it fills the rest; a wrong one is refused here."""
    node = root.get("profile") if isinstance(root, Table) else None
    if node is None:
        return "plain"
    if not isinstance(node, Scalar) or node.text not in PROFILES:
        word = node.text if isinstance(node, Scalar) else ""
        raise SpecError(f"profile: no profile {word!r}", at=node.at, remedy=nearest(word, list(PROFILES)))
    return node.text
