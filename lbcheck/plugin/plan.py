"""What a run will judge: each check with each subject that claims it. Pure: specs and features in, cases out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lbcheck.checks import Check
from lbcheck.features import Feature
from lbcheck.plugin.claims import asked_of, claim_path, rests_on
from lbcheck.plugin.settings import Settings
from lbcheck.redaction import without_secrets
from lbcheck.spec.model import Spec
from lbcheck.spec.subject import Subject
from lbcheck.spec.warp import shortest, told_s

if TYPE_CHECKING:
    from lbcheck.gate.configuration import Configuration
    from lbcheck.spec.loading import LoadedSpec
    from lbcheck.targets import Target

FINEST_S = 0.02  # a verdict on times needs four times the least slack


@dataclass(frozen=True, slots=True)
class Case:
    """One check on one subject: an item of pytest.

    `spec` is what the target is given: in the battery and for a user's spec the smallest that still makes the claim, in
    the gate the whole. `claimed_at` is `lb.yaml:31`, `claimed` the words there. `lacking`: why it is unsupported.
    `reads`: the fields that its verdict rests on, as paths; `configured` and `differs`: what the configuration says of
    them, and where that is something else.
    """

    check: Check
    subject: Subject
    spec: Spec
    node: str
    claimed_at: str = ""
    claimed: str = ""
    missing: tuple[Feature, ...] = ()
    lacking: str = ""
    reads: tuple[str, ...] = ()
    configured: str = ""
    configured_at: str = ""
    through: tuple[str, ...] = ()
    differs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Planner:
    """`documents` holds the battery's specs by file name, or the user's one under "".

    `configuration` is what an importer reads in the user's own.
    """

    settings: Settings
    documents: Mapping[str, LoadedSpec]
    target: Target
    lines: Mapping[str, list[str]]  # file -> its lines, for what was claimed where
    configuration: Configuration | None = None
    rate: int = 1  # of the target's clock; the documents are on the harness's

    def cases(self, check: Check) -> list[Case]:
        """All subjects of a user's spec; in the battery one for each distinct tuple of what the check reads.

        Where nobody wrote a spec for a balancer that runs already, no algorithm is claimed, and no times.

        Among equals in the battery the first that the target supports is kept: a claim that has a plain variant is not
        unsupported because its first variant asks for more.
        """
        if not self.settings.takes(check):
            return []
        found = [
            self._case(check, name, loaded, subject)
            for name, loaded in self.documents.items()
            for subject in check.subject.of(loaded.spec)
            if self.settings.spec or self.settings.mode == "battery" or not _rests_on_defaults(check, subject)
        ]
        kept = _distinct(found) if self.settings.mode == "battery" else found
        return [case for case in kept if self.settings.takes_node(check, case.node)]

    def _case(self, check: Check, name: str, loaded: LoadedSpec, subject: Subject) -> Case:
        from lbcheck.spec.slicing import only

        spec = loaded.spec if self.settings.as_it_is else only(loaded.spec, subject)
        place = loaded.places.get(claim_path(check, subject, loaded.places))
        claimed = self.lines.get(place.file, [""] * place.line)[place.line - 1].strip() if place else ""
        missing, lacking = self._lacking(check, spec, subject)
        # A file of the battery is known by its name, wherever lbcheck is installed.
        shown = replace(place, file=Path(place.file).name) if place and self.settings.mode == "battery" else place
        node = _node(check, name, subject)
        case = Case(check, subject, spec, node, str(shown or ""), without_secrets(claimed)[:200], missing, lacking)
        return self._configured(case) if self.settings.spec else case

    def _configured(self, case: Case) -> Case:
        prefix = f"{case.subject.path}." if case.subject.path else ""
        reads = tuple(prefix + field for field in rests_on(case.check, case.subject))
        if self.configuration is None:
            return replace(case, reads=reads)
        at, words = self.configuration.blamed(reads, case.subject.path)
        differs = tuple(str(difference) for difference in self.configuration.differing(reads or (case.subject.path,)))
        through = tuple(self.configuration.through(at))
        return replace(case, reads=reads, configured=words[:200], configured_at=at, through=through, differs=differs)

    def _lacking(self, check: Check, spec: Spec, subject: Subject) -> tuple[tuple[Feature, ...], str]:
        from lbcheck.spec.needs import features_needed
        from lbcheck.spec.slicing import only

        # As it is, the rest of the configuration is the user's business; only the subject's own needs count.
        needed = [need.feature for need in features_needed(only(spec, subject))]
        needed += sorted(check.needs, key=lambda feature: feature.value)
        missing = tuple(dict.fromkeys(feature for feature in needed if feature not in self.target.features))
        reasons = [self.target.lacks(feature) or f"{self.target.name} lacks {feature.value}" for feature in missing]
        if not missing and not self.settings.as_it_is:
            reasons += self.target.unsupported(spec)
        if not reasons and self.settings.lab == "sim" and check.lab == "process":
            reasons.append("the check needs real processes: the sim lab cannot carry it")
        if not reasons and self.rate > 1:
            reasons += too_fine(only(spec, subject), self.rate)
        return missing, "; ".join(dict.fromkeys(reasons))


def too_fine(spec: Spec, rate: int) -> list[str]:
    """Why nothing can be told of this spec while the target's clock runs so fast; empty where it can."""
    found = shortest(spec)
    if found is None or found[1] >= FINEST_S:
        return []
    path, here_s = found
    most = int(rate * here_s / FINEST_S)
    remedy = f"use --lb-warp={most}, or less" if most > 1 else "leave it out"
    said = f"{path} of {told_s(here_s, rate):g} s is {here_s:.2g} s at --lb-warp={rate}"
    return [f"{said}: less than {FINEST_S:g} s cannot be told from the lateness of timers; {remedy}"]


def _rests_on_defaults(check: Check, subject: Subject) -> bool:
    """Of an algorithm, or of times, that stand in a spec only because something has to."""
    return check.timed or "algorithm" in asked_of(check, subject)


def _node(check: Check, name: str, subject: Subject) -> str:
    parts = [name] if name else []
    if subject.kind != "spec" or not name:
        parts.append(subject.name)
    return f"{check.id}[{'/'.join(parts)}]"


def _distinct(cases: Iterable[Case]) -> list[Case]:
    kept: dict[str, Case] = {}
    for case in cases:
        key = repr(case.check.subject.reads(case.subject.value))
        if key not in kept or (kept[key].lacking and not case.lacking):
            kept[key] = case
    return list(kept.values())


def hard_limit_s(case: Case) -> float:
    """Seconds after which a check is given up: generous, since a verdict must come from the check and not from here."""
    waits = [
        20 * (h.healthy_threshold + h.unhealthy_threshold) * (h.interval + h.timeout)
        for pool in case.spec.pools
        if (h := pool.health_check) is not None
    ]
    return 60.0 + 10 * case.check.cost_s + max(waits, default=0.0)
