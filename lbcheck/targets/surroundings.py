"""What a user's own configuration names outside itself, so that a lab can see to it that it is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Absolute paths, and names of accounts, that the product wants when it starts.

    `certificates`: PEM files that are read, keys and authorities too; a folder of them ends with a slash.
    `reads`: other files that are read, each with what can stand for it where it is missing.
    `writes`: files and sockets that the product makes.
    `folders`: those that have to be there.
    """

    certificates: tuple[str, ...] = ()
    reads: Mapping[str, str] = field(default_factory=dict)
    writes: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
