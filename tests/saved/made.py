"""Saved histories made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lbcheck.history import Event, History
from lbcheck.saved.writing import Heading, lines
from lbcheck.spec.model import Algorithm, Backend, Forward, Listener, Pool, Retries, Spec
from lbcheck.verdict import Verdict

POOL = Pool(
    "web",
    tuple(Backend(name, f"127.0.0.1:{port}") for port, name in enumerate("abc", 8001)),
    algorithm=Algorithm.ROUND_ROBIN,
    retries=Retries(attempts=1, on=("connect", "reset")),
)
SPEC = Spec(version=1, listeners=(Listener("public", port=8080, default=Forward((("web", 1),))),), pools=(POOL,))
HEADING = Heading("ALG-01", "ALG-01[web]", "Backends take turns.", "pool web", SPEC, "reference", "sim", 7)


def saved(path: Path, events: Sequence[Event] | History, verdicts: Sequence[Verdict] = ()) -> Path:
    history = events if isinstance(events, History) else History(events)
    path.write_text("".join(lines(HEADING, history, verdicts)))
    return path
