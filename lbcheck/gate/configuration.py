"""A user's configuration as far as an importer reads it: the line of a field, what differs from lb.yaml."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lbcheck.errors import LbcheckError
from lbcheck.gate.alignment import Alignment, aligned
from lbcheck.gate.differences import differences
from lbcheck.importers.directive import Imported
from lbcheck.importers.files import IMPORTERS, imported, importer_of
from lbcheck.redaction import without_secrets
from lbcheck.report.model import Difference
from lbcheck.spec.loading import LoadedSpec
from lbcheck.spec.validity import place


@dataclass(frozen=True, slots=True)
class Configuration:
    """`words` are a directive's by the place of its line; `differences` are in the order of lb.yaml."""

    imported: Imported
    alignment: Alignment
    words: Mapping[str, str]
    differences: tuple[Difference, ...]

    def line(self, path: str) -> tuple[str, str]:
        """(place, words) of the directive that a field of lb.yaml rests on, or of the nearest around it; ("", "")."""
        there = self.alignment.configured(path)
        at = place(there or "", self.imported.sources, "")
        return (str(at), self.words.get(str(at), "")) if at.line else ("", "")

    def blamed(self, paths: Sequence[str], subject: str) -> tuple[str, str]:
        """(place, words) of the line to look at first when a claim about these fields of the subject is not kept."""
        differing = [d.path for path in paths for d in self.differing([path])]
        for path in (*differing, *paths, subject):
            found = self.line(path)
            if found[0]:
                return found
        return "", ""

    def through(self, at: str) -> list[str]:
        """`haproxy.cfg:37  acl is_api path_beg /api/`: the lines that act through the one at this place."""
        found = [str(line) for line, others in self.imported.through.items() if at in map(str, others)]
        return [f"{line}  {self.words.get(line, '')}" for line in found]

    def differing(self, paths: Iterable[str]) -> list[Difference]:
        """What differs in these fields, or in what they hold."""
        wanted = tuple(paths)
        return [d for d in self.differences if any(touches(d.path, path) for path in wanted)]


def touches(one: str, other: str) -> bool:
    """Is one path the other, or around it?"""
    return one == other or one.startswith(f"{other}.") or other.startswith(f"{one}.")


def read(
    target: str, configs: Sequence[Path], claimed: LoadedSpec, environment: Mapping[str, str]
) -> tuple[Configuration | None, str]:
    """The configuration, or None and why it was not read. No importer, or a file that it cannot take, ends no run."""
    if target not in IMPORTERS:
        return None, f"no importer reads configurations of {target} in this version"
    try:
        found = imported(configs, target, environment)
    except LbcheckError as error:
        return None, error.message
    alignment = aligned(claimed.spec, found.spec)
    words = {str(entry.directive.at): without_secrets(str(entry.directive)) for entry in found.entries}

    def say(path: str, ours: str, theirs: str) -> Difference:
        there = place(alignment.configured(path) or _around(path, alignment), found.sources, str(configs[0]))
        here = place(path, claimed.places, "")
        ours, theirs = without_secrets(ours), without_secrets(theirs)
        return Difference(path, ours, str(here) if here.line else "", theirs, str(there), said=path in claimed.places)

    unread = importer_of(target).unread
    told = tuple(differences(claimed.spec, found.spec, alignment, unread, say))
    return Configuration(found, alignment, words, told), ""


def _around(path: str, alignment: Alignment) -> str:
    """The counterpart of the nearest part around a path that has one."""
    while path:
        path = path.rpartition(".")[0]
        if there := alignment.nodes.get(path):
            return there
    return ""
