"""The page that a bench writes: sections of ratios, and which aims were reached. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

INTRODUCTION = """# Performance

Written by `make bench`; every run replaces it. All figures are from one run on one machine: ratios, since absolute
numbers say more about the machine than about the program.
"""


@dataclass(frozen=True, slots=True)
class Section:
    """`rows` begin with their titles; `aims` are (aim, reached, figure)."""

    title: str
    rows: Sequence[tuple[str, ...]]
    notes: Sequence[str]
    aims: Sequence[tuple[str, bool, str]] = field(default=())

    @property
    def reached(self) -> bool:
        return all(reached for _, reached, _ in self.aims)

    def text(self) -> str:
        head, *rows = self.rows
        lines = [f"## {self.title}", "", _row(head), _row(["---"] + ["---:"] * (len(head) - 1)), *map(_row, rows), ""]
        lines += [f"- {note}" for note in self.notes]
        lines += [
            f"- Aim: {aim}. {'Reached' if reached else '**Not reached**'} ({figure})."
            for aim, reached, figure in self.aims
        ]
        return "\n".join(lines) + "\n"


def page(machine: str, sections: Sequence[Section]) -> str:
    return "\n".join([INTRODUCTION, f"Machine: {machine}\n", *[section.text() for section in sections]])


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
