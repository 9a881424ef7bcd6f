"""From the word in `--lb-target` to a target: built-in ones, third parties' by entry point, any command, any URL."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from lbcheck.errors import TargetError, UsageError
from lbcheck.features import Feature
from lbcheck.spec.model import Spec
from lbcheck.targets.attached import Attached, is_url
from lbcheck.targets.base import Factory, Rendering, Target, real_time

GROUP = "lbcheck.targets"
COMMAND = "exec:"
BUILT_IN = {
    "reference": ("lbcheck.targets.reference", "Reference"),
    "haproxy": ("lbcheck.targets.haproxy", "HAProxy"),
    "nginx": ("lbcheck.targets.nginx", "Nginx"),
    "envoy": ("lbcheck.targets.envoy", "Envoy"),
    "caddy": ("lbcheck.targets.caddy", "Caddy"),
    "httpd": ("lbcheck.targets.httpd", "Httpd"),
}


def known() -> list[str]:
    """Names that `find` takes: the built-in ones first, then third parties'."""
    return [*BUILT_IN, *sorted(name for name in _third_parties() if name not in BUILT_IN)]


def is_command(name: str) -> bool:
    """Does it name a command, of which nobody knows what it can do?"""
    return name.startswith(COMMAND)


def find(name: str, *, binary: str | None = None, features: str = "") -> Target:
    """The target of this name, its version read from its binary.

    `exec:COMMAND` names what a command starts, a URL what runs already. `features` is what `--lb-features` says:
    `-drain,+lb-cookie`.
    TargetError: unknown name or missing binary; UsageError: a word in `features` that is none.
    """
    target = _found(name, binary)
    removed, added = _changes(features)
    return Adjusted(target, removed, added) if removed or added else target


def _found(name: str, binary: str | None) -> Target:
    if is_url(name):
        return Attached(name)
    return _of_command(name, binary) if is_command(name) else _factory(name)(binary=binary)


class Adjusted:
    """A target whose features the user corrected with `--lb-features`; all else is the target's own."""

    def __init__(self, target: Target, removed: frozenset[Feature], added: frozenset[Feature]) -> None:
        self._target = target
        self._removed = removed
        self._features = (target.features | added) - removed

    @property
    def name(self) -> str:
        return self._target.name

    @property
    def version(self) -> str:
        return self._target.version

    @property
    def binary(self) -> str:
        return self._target.binary

    @property
    def features(self) -> frozenset[Feature]:
        return self._features

    @property
    def grain_s(self) -> float:
        return self._target.grain_s

    @property
    def real_time(self) -> str:
        return real_time(self._target)

    def lacks(self, feature: Feature) -> str:
        if feature in self._features:
            return ""
        if feature in self._removed:
            return f"taken away by --lb-features=-{feature.value}"
        return self._target.lacks(feature)

    def unsupported(self, spec: Spec) -> tuple[str, ...]:
        return self._target.unsupported(spec)

    def render(self, spec: Spec, folder: Path) -> Rendering:
        return self._target.render(spec, folder)

    def adopt(self, configs: Sequence[Path], folder: Path) -> Rendering:
        return self._target.adopt(configs, folder)


def _third_parties() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def _of_command(name: str, binary: str | None) -> Target:
    from lbcheck.targets.exec import Exec

    return Exec(name.removeprefix(COMMAND), binary)


def _factory(name: str) -> Factory:
    if name in BUILT_IN:
        module, attribute = BUILT_IN[name]
        factory: Factory = getattr(importlib.import_module(module), attribute)
        return factory
    others = _third_parties()
    if name in others:
        return _loaded(others[name])
    names = known()
    near = difflib.get_close_matches(name.lower(), names, n=1)
    raise TargetError(
        f"expected a target out of {', '.join(names)} or exec:COMMAND; got {name!r}",
        remedy=f"did you mean {near[0]}?" if near else f"third parties add targets by the entry-point group {GROUP}",
    )


def _loaded(entry: EntryPoint) -> Factory:
    try:
        loaded: Factory = entry.load()
    except (ImportError, AttributeError) as error:
        raise TargetError(
            f"target {entry.name}: its package names {entry.value}, which cannot be loaded: {error}",
            remedy=f"install the package again, or correct its entry point of the group {GROUP}",
        ) from error
    return loaded


def _changes(words: str) -> tuple[frozenset[Feature], frozenset[Feature]]:
    """(removed, added) of `-drain,+lb-cookie`."""
    removed: set[Feature] = set()
    added: set[Feature] = set()
    for word in filter(None, (w.strip() for w in words.split(","))):
        sign, value = word[0], word[1:]
        if sign not in "+-":
            raise UsageError(
                f"--lb-features: expected +FEATURE or -FEATURE, got {word!r}", remedy=f"say -{word} or +{word}"
            )
        (removed if sign == "-" else added).add(_feature(value))
    return frozenset(removed), frozenset(added)


def _feature(value: str) -> Feature:
    try:
        return Feature(value)
    except ValueError:
        values = [feature.value for feature in Feature]
        near = difflib.get_close_matches(value.lower().replace("_", "-"), values, n=1)
        raise UsageError(
            f"--lb-features: expected one of {', '.join(values)}; got {value!r}",
            remedy=f"did you mean {near[0]}?" if near else "see `lbcheck schema` for the words of a spec",
        ) from None
