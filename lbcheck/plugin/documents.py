"""The specs that a run judges by: the user's one, or the bundled battery."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lbcheck.errors import LbcheckError
from lbcheck.plugin.settings import Settings

if TYPE_CHECKING:
    from lbcheck.spec.loading import LoadedSpec


@dataclass(frozen=True, slots=True)
class Documents:
    """`loaded` by file name in the battery; a user's spec stands under "". `lines`: file -> its lines."""

    loaded: Mapping[str, LoadedSpec]
    lines: Mapping[str, list[str]]

    def seen(self, rate: int) -> Documents:
        """The same for a target whose clock runs so many times as fast: all that is judged is on the harness's."""
        from lbcheck.spec.warp import seen

        loaded = {name: replace(document, spec=seen(document.spec, rate)) for name, document in self.loaded.items()}
        return replace(self, loaded=loaded)


def documents_of(settings: Settings) -> Documents:
    """SpecError names file, line and remedy."""
    if settings.spec is None and settings.lab == "attached":
        loaded = {"": _plain(settings)}
    elif settings.spec is None:
        from lbcheck.spec.battery import battery

        loaded = dict(battery())
        if not loaded:
            raise LbcheckError("expected the bundled battery of specs, found none", remedy="install lbcheck again")
    else:
        from lbcheck.spec.loading import load

        loaded = {"": load(settings.spec)}
    files = {place.file for document in loaded.values() for place in document.places.values()}
    return Documents(loaded, {file: _lines(file) for file in sorted(files)})


def _plain(settings: Settings) -> LoadedSpec:
    """What is known of a balancer that runs already where nobody wrote a spec."""
    from lbcheck.lab.attaching import control_places, plain_spec
    from lbcheck.spec.loading import LoadedSpec
    from lbcheck.targets.attached import url_of

    return LoadedSpec(plain_spec(url_of(settings.target), list(control_places(settings.backends))), {}, (), ())


def _lines(file: str) -> list[str]:
    path = Path(file)
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
