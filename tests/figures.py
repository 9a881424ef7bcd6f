"""The tables of `docs/verdicts.md`: figures of statistical checks and times of timed ones, as the code computes them.

`python -m tests.figures` writes them; a test compares.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from lbcheck.checks import Check, Figure
from lbcheck.plugin.outcome import QUARTER
from lbcheck.plugin.plan import Case
from lbcheck.spec.model import Pool
from tests import matrix

PAGE = Path(__file__).parent.parent / "docs" / "verdicts.md"


def figures() -> Iterator[tuple[Case, Figure]]:
    """Every statistical judgement of the battery."""
    for check in matrix.checks().values():
        for case in matrix.cases(check.id):
            for figure in check.figures(case.subject.value):
                yield case, figure


def timed() -> Iterator[tuple[Check, Case]]:
    """Every timed check with its first subject."""
    for check in matrix.checks().values():
        if check.timed:
            yield check, matrix.cases(check.id)[0]


def figures_table() -> str:
    rows = [
        (case.node, f"`{f.judgement}`", _n(f), f"{f.alpha:.1g}" if f.alpha else "0", f.detects, f"{f.power:.6g}")
        for case, f in figures()
    ]
    total = sum(f.alpha for _, f in figures())
    head = ("check", "judgement", "requests", "alpha", "detects", "with probability")
    return f"{_table(head, rows)}\n\nTogether: {len(rows)} judgements, alpha {total:.1e} for the whole battery."


def _n(figure: Figure) -> str:
    return str(figure.n) if figure.n == figure.usual_n else f"about {figure.usual_n}, at most {figure.n}"


def times_table() -> str:
    rows = []
    for check, case in timed():
        times = check.times(case.subject.value) if check.times is not None else {}
        assert times, f"{check.id} is timed: name the times of {case.node} that its verdict rests on"
        told = ", ".join(f"{name} {seconds:g} s" for name, seconds in times.items())
        rows.append((case.node, told, f"{QUARTER * min(times.values()):.3g} s", _bounds(case)))
    return _table(("check", "rests on", "slack up to", "a failing backend is out after"), rows)


def _bounds(case: Case) -> str:
    pool = case.subject.value
    if not isinstance(pool, Pool) or pool.health_check is None:
        return ""
    earliest, latest = pool.health_check.detection()
    return f"{earliest:g} to {latest:g} s"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))


def page(text: str) -> str:
    """The page with its tables as they are now."""
    for name, table in (("figures", figures_table()), ("times", times_table())):
        between = re.compile(rf"(?<=<!-- {name} -->\n).*?(?=<!-- /{name} -->)", re.DOTALL)
        text = between.sub(lambda _, table=table: f"{table}\n", text)  # type: ignore[misc]
    return text


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
    print(PAGE)
