"""The baseline: claims known to be broken, each with its reason and the day on which the excuse ends.

    version: 1
    known:
      - {check: FLO-09, reason: "ticket 4711, fixed in 3.1", expires: 2027-03-31}
      - {check: "RTE-*[mobile]", reason: "...", expires: 2027-03-31}

`check` is an id, a node or a glob of them. An entry that has expired excuses nothing; one whose claim holds is stale.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from lbcheck.errors import Location, SpecError
from lbcheck.verdict import Outcome

VERSION = 1
KEYS = {"check", "reason", "expires"}
GRACE = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Known:
    check: str
    reason: str
    expires: date

    def names(self, node: str) -> bool:
        pattern = self.check.replace("[", "[[]")
        return any(name == self.check or fnmatchcase(name, pattern) for name in (node, node.partition("[")[0]))


@dataclass(frozen=True, slots=True)
class Baseline:
    entries: tuple[Known, ...] = ()

    def entry(self, node: str) -> Known | None:
        return next((known for known in self.entries if known.names(node)), None)

    def judge(self, node: str, outcome: Outcome, today: date) -> tuple[Outcome, str]:
        """The outcome in the light of the baseline, with the reason where it changes anything or has expired."""
        known = self.entry(node)
        if known is None:
            return outcome, ""
        if outcome is Outcome.HOLDS:
            return Outcome.STALE, f"it holds now: remove {known.check!r} ({known.reason}) from the baseline"
        if outcome is not Outcome.BROKEN:
            return outcome, ""
        if today > known.expires:
            return outcome, f"its entry in the baseline expired on {known.expires} ({known.reason})"
        return Outcome.KNOWN, f"{known.reason} (until {known.expires})"

    def updated(self, outcomes: Iterable[tuple[str, Outcome]], today: date) -> Baseline:
        """With every broken node in it and without what holds now; entries that still serve stay as they are."""
        ended = dict(outcomes)
        kept = [known for known in self.entries if not _all_hold(known, ended, today)]
        served = Baseline(tuple(kept))
        new = [
            Known(node, "accepted by --lb-baseline-update", today + GRACE)
            for node, outcome in ended.items()
            if outcome is Outcome.BROKEN and served.entry(node) is None
        ]
        return Baseline((*kept, *new))


def _all_hold(known: Known, ended: dict[str, Outcome], today: date) -> bool:
    named = [outcome for node, outcome in ended.items() if known.names(node)]
    expired = today > known.expires and Outcome.BROKEN in named
    return expired or (bool(named) and all(o in (Outcome.HOLDS, Outcome.STALE) for o in named))


def read(path: Path, *, missing_ok: bool = False) -> Baseline:
    """SpecError names the file and what is wrong. `missing_ok`: a file that is about to be written need not exist."""
    import yaml

    if missing_ok and not path.exists():
        return Baseline()
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SpecError(f"the baseline cannot be read: {error}", at=Location(str(path))) from error
    if not isinstance(data, dict) or data.get("version") != VERSION or not isinstance(data.get("known"), list):
        raise SpecError("expected a baseline with `version: 1` and a list `known`", at=Location(str(path)))
    return Baseline(tuple(_entry(item, number, path) for number, item in enumerate(data["known"], 1)))


def _entry(item: Any, number: int, path: Path) -> Known:
    keys = set(item) if isinstance(item, dict) else set()
    if keys != KEYS or not isinstance(item["expires"], date) or not str(item["reason"] or "").strip():
        raise SpecError(
            f"entry {number} of the baseline: expected check, reason and expires (a date), got {item!r}",
            at=Location(str(path)),
            remedy="an excuse needs a reason and an end: {check: FLO-09, reason: why, expires: 2027-03-31}",
        )
    return Known(str(item["check"]), str(item["reason"]), item["expires"])


def write(baseline: Baseline, path: Path) -> None:
    import yaml

    known = [{"check": k.check, "reason": k.reason, "expires": k.expires} for k in baseline.entries]
    text = yaml.safe_dump({"version": VERSION, "known": known}, sort_keys=False, allow_unicode=True, width=120)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
