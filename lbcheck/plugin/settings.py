"""A run's settings: options resolved, converted and checked against each other once, before anything starts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

from lbcheck.checks import Check
from lbcheck.errors import UsageError
from lbcheck.features import Level
from lbcheck.spec.duration import parse_duration
from lbcheck.targets.attached import is_url

Mode = Literal["battery", "spec", "gate", "black box"]
TRUE, FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")
SEED = 1
EVIDENCE_LIMIT = 256 << 20  # bytes
LEVELS = (Level.CORE, Level.EXTENDED)
FASTEST = 1000  # an hour in 3.6 s: beyond it a machine's own lateness is all there is


@dataclass(frozen=True, slots=True)
class Settings:
    """`levels` are those whose checks are taken; `configs` are the target's own files, else it is rendered.

    `backends` and `identify` tell of what stands behind a target that runs already; `token` opens those backends,
    `cafile` is what its certificate is verified by. `warp` is the rate that is asked for of the target's clock;
    `ports` is of the docker lab.
    """

    target: str
    binary: str | None = None
    configs: tuple[Path, ...] = ()
    spec: Path | None = None
    backends: tuple[str, ...] = ()
    identify: str = ""
    cafile: Path | None = None
    allow_remote: bool = False
    token: str = field(default="", repr=False)
    lab: Literal["process", "sim", "sealed", "docker", "attached"] = "process"
    lab_given: bool = False
    warp: int = 1
    ports: Literal["own", "dynamic"] = "own"
    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    levels: tuple[Level, ...] = LEVELS
    features: str = ""
    strict: bool = False
    seed: int = SEED
    budget_s: float | None = None
    baseline: Path | None = None
    baseline_update: bool = False
    catalogue: str | None = None
    evidence: Literal["off", "retain-on-failure", "on"] = "retain-on-failure"
    evidence_limit: int = EVIDENCE_LIMIT
    sarif: Path | None = None
    report_dir: Path = Path("reports")
    exit_codes: Literal["lbcheck", "pytest"] = "lbcheck"
    keep: bool = False
    defect: str | None = None

    @property
    def mode(self) -> Mode:
        if self.configs:
            return "gate"
        if self.lab == "attached":
            return "black box"
        return "spec" if self.spec else "battery"

    @property
    def as_it_is(self) -> bool:
        """Is the target's configuration the user's own, so that a spec is never cut down to one subject?"""
        return self.mode in ("gate", "black box")

    @property
    def narrowed(self) -> bool:
        """Does the run take less than its levels hold, so that it cannot speak for them?"""
        return bool(self.only or self.skip or self.catalogue)

    def takes(self, check: Check) -> bool:
        """Is this check part of the run, whatever the spec claims?"""
        if check.level not in self.levels or not _since(check.since, self.catalogue):
            return False
        names = (check.id, check.area)
        wanted = not self.only or any(_names(word, names) or _names_node_of(word, check.id) for word in self.only)
        return wanted and not any(_names(word, names) for word in self.skip)

    def takes_node(self, check: Check, node: str) -> bool:
        """The same for one subject of a check that is taken: words may name nodes too."""
        names = (check.id, check.area, node)
        wanted = not self.only or any(_names(word, names) for word in self.only)
        return wanted and not any(_names(word, names) for word in self.skip)


def _names(word: str, names: Iterable[str]) -> bool:
    # Brackets stand for themselves, since nodes hold them: only * and ? are patterns.
    pattern = word.replace("[", "[[]")
    return any(name == word or fnmatchcase(name, pattern) for name in names)


def _names_node_of(word: str, id: str) -> bool:
    return "[" in word and fnmatchcase(id, word.partition("[")[0] or "*")


def _since(since: str, catalogue: str | None) -> bool:
    return catalogue is None or _version(since) <= _version(catalogue)


def _version(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split("."))
    except ValueError:
        raise UsageError(f"--lb-catalogue: expected a version such as 1.0, got {text!r}") from None


def settings_of(values: Mapping[str, Any], environ: Mapping[str, str], folder: Path) -> Settings:
    """Settings from option values (None: not given); relative paths start in `folder`. UsageError if they clash."""
    catalogue = values["catalogue"]
    if catalogue is not None:
        _version(catalogue)
    settings = Settings(
        target=values["target"],
        binary=values["binary"],
        configs=tuple(_existing(folder, "config", path) for path in values["config"] or ()),
        spec=_existing(folder, "spec", values["spec"]) if values["spec"] else None,
        backends=tuple(values["backend"] or ()),
        identify=values["identify"] or "",
        cafile=_existing(folder, "cafile", values["cafile"]) if values["cafile"] else None,
        allow_remote=_flag("allow-remote", values["allow-remote"], default=False),
        token=environ.get("LBCHECK_TOKEN", ""),
        lab="attached" if is_url(values["target"]) else _lab(values["lab"] or "process"),
        lab_given=bool(values["lab"]),
        warp=_warp(values["warp"]),
        ports=_choice("ports", values["ports"], ("own", "dynamic"), "own"),
        only=_words(values["only"]),
        skip=_words(values["skip"]),
        levels=_levels(values["level"]),
        features=values["features"] or "",
        strict=_flag("strict", values["strict"], default=bool(environ.get("CI"))),
        seed=_integer("seed", values["seed"], default=SEED),
        budget_s=_budget(values["budget"]),
        baseline=folder / values["baseline"] if values["baseline"] else None,
        baseline_update=_flag("baseline-update", values["baseline-update"], default=False),
        catalogue=catalogue,
        evidence=_choice("evidence", values["evidence"], ("off", "retain-on-failure", "on"), "retain-on-failure"),
        evidence_limit=_size("evidence-limit", values["evidence-limit"], default=EVIDENCE_LIMIT),
        sarif=folder / values["sarif"] if values["sarif"] else None,
        report_dir=folder / (values["report-dir"] or "reports"),
        exit_codes=_choice("exit-codes", values["exit-codes"], ("lbcheck", "pytest"), "lbcheck"),
        keep=_flag("keep", values["keep"], default=False),
        defect=values["defect"],
    )
    _refuse_clashes(settings)
    return settings


def _refuse_clashes(settings: Settings) -> None:
    if settings.configs and settings.spec is None:
        raise UsageError(
            "--lb-config was given without --lb-spec: a configuration cannot contradict itself",
            remedy="write down what is expected of it in lb.yaml and add --lb-spec=lb.yaml",
        )
    if settings.configs and settings.target.startswith("exec:"):
        raise UsageError(
            f"--lb-config was given with --lb-target={settings.target}: a command is told by the file in LBCHECK_SPEC",
            remedy="leave --lb-config out; what else the command reads stands in the command",
        )
    if settings.lab == "attached":
        _refuse_in_black_box(settings)
    elif settings.backends or settings.identify or settings.cafile or settings.allow_remote:
        raise UsageError(
            "--lb-backend, --lb-identify, --lb-cafile or --lb-allow-remote was given with "
            f"--lb-target={settings.target}",
            remedy="they are for a balancer that runs already: --lb-target=http://127.0.0.1:8080",
        )
    if settings.lab == "docker" and settings.warp > 1:
        raise UsageError(
            f"--lb-warp={settings.warp} was given for the docker lab: there no clock can run fast",
            remedy="use --lb-lab=sealed, or leave --lb-warp out",
        )
    if settings.lab != "docker" and settings.ports != "own":
        raise UsageError(
            f"--lb-ports={settings.ports} was given for the {settings.lab} lab: it has no containers to share machines",
            remedy="add --lb-lab=docker",
        )
    if settings.lab == "sim" and settings.target != "reference":
        raise UsageError(
            f"--lb-lab=sim was given with --lb-target={settings.target}: the simulator runs the reference alone",
            remedy="leave --lb-lab out, or use --lb-target=reference",
        )
    if settings.defect and settings.target != "reference":
        raise UsageError("--lb-defect was given: only the reference has defects", remedy="use --lb-target=reference")
    if settings.defect:
        _refuse_unknown(settings.defect)
    if settings.baseline_update and settings.baseline is None:
        raise UsageError("--lb-baseline-update needs a file", remedy="name it with --lb-baseline=FILE")


def _refuse_in_black_box(settings: Settings) -> None:
    """What makes no sense, or is not enough, for a balancer that runs already."""
    what = f"--lb-target={settings.target} runs already"
    if settings.configs or settings.binary:
        raise UsageError(f"{what}: --lb-config and --lb-binary are for those that lbcheck starts")
    if bool(settings.backends) == bool(settings.identify):
        raise UsageError(
            f"{what}: expected either --lb-backend, for each `lbcheck backend` behind it, or --lb-identify",
            remedy="--lb-backend=a=127.0.0.1:9101 or --lb-identify=header:X-Served-By",
        )
    if settings.identify and settings.spec is None:
        raise UsageError(f"{what}: --lb-identify needs --lb-spec, which says who the backends are")
    if settings.backends and not settings.token:
        raise UsageError(
            f"{what}: expected the token of its backends in LBCHECK_TOKEN", remedy="`lbcheck backend` prints one"
        )


def _lab(name: str) -> Literal["process", "sim", "sealed", "docker"]:
    if name == "process":
        return "process"
    if name == "sim":
        return "sim"
    if name == "sealed":
        return "sealed"
    if name == "docker":
        return "docker"
    raise UsageError(f"--lb-lab: expected process, sim, sealed or docker, got {name!r}")


def _refuse_unknown(defect: str) -> None:
    from lbcheck.balancer.defects import DEFECTS

    if defect not in DEFECTS:
        close = get_close_matches(defect.lower(), DEFECTS, n=3)
        remedy = f"did you mean {', '.join(close)}?" if close else f"there are {len(DEFECTS)}: see docs/detection.md"
        raise UsageError(f"--lb-defect: no defect of the reference is called {defect!r}", remedy=remedy)


def _existing(folder: Path, option: str, text: str) -> Path:
    # Kept as it was given where that works, since every claim is shown with it.
    path = Path(text) if folder == Path.cwd() else folder / text
    if not path.exists():
        raise UsageError(f"--lb-{option}={text}: there is no such file in {folder}")
    return path


def _words(values: Iterable[str] | None) -> tuple[str, ...]:
    return tuple(word.strip() for value in values or () for word in value.split(",") if word.strip())


def _levels(text: str | None) -> tuple[Level, ...]:
    if not text:
        return LEVELS
    known = [level.value for level in Level]
    words = _words([text])
    if unknown := [word for word in words if word not in known]:
        raise UsageError(f"--lb-level: expected a list of {', '.join(known)}, got {unknown[0]!r}")
    cumulative = {"core", *words} if "extended" in words else set(words)
    return tuple(level for level in Level if level.value in cumulative)


def _flag(option: str, value: bool | str | None, *, default: bool) -> bool:
    if value is None or isinstance(value, bool):
        return default if value is None else value
    if value.lower() in TRUE + FALSE:
        return value.lower() in TRUE
    raise UsageError(f"lb_{option.replace('-', '_')}: expected true or false, got {value!r}")


def _integer(option: str, value: str | None, *, default: int) -> int:
    try:
        return default if value is None else int(value)
    except ValueError:
        raise UsageError(f"--lb-{option}: expected a whole number, got {value!r}") from None


def _size(option: str, value: str | None, *, default: int) -> int:
    """Bytes; K, M and G are powers of 1024."""
    found = re.fullmatch(r"([0-9]+)([KMG]?)", (value or "").upper())
    if value is None or found:
        return default if found is None else int(found[1]) << {"": 0, "K": 10, "M": 20, "G": 30}[found[2]]
    raise UsageError(f"--lb-{option}: expected a size such as 64M or 1G, got {value!r}")


def _warp(value: str | None) -> int:
    rate = _integer("warp", value, default=1)
    if not 1 <= rate <= FASTEST:
        raise UsageError(f"--lb-warp: expected a rate between 1 and {FASTEST}, got {rate}", remedy="say --lb-warp=30")
    return rate


def _choice(option: str, value: str | None, choices: tuple[str, ...], default: str) -> Any:
    if value is None or value in choices:
        return value or default
    raise UsageError(f"--lb-{option}: expected {' or '.join(choices)}, got {value!r}")


def _budget(value: str | None) -> float | None:
    try:
        return parse_duration(value) if value else None
    except ValueError as error:
        raise UsageError(f"--lb-budget: {error}") from None
