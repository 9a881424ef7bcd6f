"""The options `--lb-*`, their ini keys `lb_*` and their environment variables `LBCHECK_*`, from one table."""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pytest

GROUP = "lbcheck"


@dataclass(frozen=True, slots=True)
class Option:
    """`--lb-NAME`, `lb_NAME` and `LBCHECK_NAME`; a `list` may be given more than once, a `flag` has a `no-` twin."""

    name: str
    help: str
    metavar: str = ""
    kind: Literal["text", "list", "flag"] = "text"
    choices: tuple[str, ...] = ()
    hidden: bool = False

    @property
    def flag(self) -> str:
        return f"--lb-{self.name}"

    @property
    def key(self) -> str:
        """Its ini key, which is also its name among parsed options."""
        return f"lb_{self.name.replace('-', '_')}"

    @property
    def variable(self) -> str:
        return f"LBCHECK_{self.name.replace('-', '_').upper()}"


OPTIONS = (
    Option(
        "target",
        "balancer under test: reference, haproxy, nginx, ... or exec:COMMAND, or the URL of one that runs already; "
        "without it lbcheck does nothing",
        "NAME",
    ),
    Option("binary", "another build or version of the target's program", "PATH"),
    Option("config", "the target's own configuration, taken unmodified and judged by --lb-spec", "FILE", "list"),
    Option("spec", "what is expected of the balancer (lb.yaml); without it the bundled battery is judged", "FILE"),
    Option("backend", "an `lbcheck backend` that stands behind a URL, and where its control is", "NAME=PLACE", "list"),
    Option("identify", "how answers of other backends behind a URL name them: header:NAME or body:REGEX", "HOW"),
    Option("cafile", "the private CA behind an https:// URL: a file of certificates, trusted alone", "FILE"),
    Option("allow-remote", "send to a balancer that is not on this machine", kind="flag"),
    Option("lab", "where backends and target live (default: process)", choices=("process", "sim", "sealed", "docker")),
    Option("warp", "run the target's clock so many times as fast, under libfaketime; its configuration stays", "RATE"),
    Option(
        "ports", "in the docker lab: an address for each backend, or host ports as ECS has", choices=("own", "dynamic")
    ),
    Option("only", "check ids, areas, nodes or globs of them, separated by commas", "IDS", "list"),
    Option("skip", "the same, left out", "IDS", "list"),
    Option("level", "core, extended (default; holds core), chaos, load; a list adds up", "LEVELS"),
    Option("features", "correct what the target is said to be able to do: -drain,+lb-cookie", "LIST"),
    Option(
        "strict", "what is undecided, stale or unsupported at core fails the run (default where CI is set)", kind="flag"
    ),
    Option("seed", "seed of every random draw (default: 1)", "N"),
    Option("budget", "limit for the whole run, as 90s or 10m; what does not fit is listed as not run", "TIME"),
    Option("baseline", "claims known to be broken, with reason and expiry (YAML)", "FILE"),
    Option("baseline-update", "write what is broken now into --lb-baseline", kind="flag"),
    Option("catalogue", "take only checks that existed in this version of the catalogue", "VERSION"),
    Option(
        "evidence",
        "when to keep histories, logs and configurations (default: retain-on-failure)",
        choices=("off", "retain-on-failure", "on"),
    ),
    Option(
        "evidence-limit",
        "how much evidence of the whole run is kept, as 64M or 1G (default: 256M); the rest is told to be left out",
        "SIZE",
    ),
    Option("sarif", "write what is broken as SARIF 2.1.0 too, at the lines of the configuration", "FILE"),
    Option("report-dir", "where the report goes (default: reports)", "FOLDER"),
    Option("exit-codes", "lbcheck: 10 to 13 tell more; pytest: 0 to 5 only", choices=("lbcheck", "pytest")),
    Option("keep", "keep the lab's temporary folder", kind="flag"),
    Option("defect", "a named defect of the reference", "NAME", hidden=True),
)
BY_NAME = {option.name: option for option in OPTIONS}


def add(parser: pytest.Parser) -> None:
    group = parser.getgroup(GROUP, "lbcheck: conformance of load balancers")
    for option in OPTIONS:
        _add_flags(group, option)
        if option.hidden:
            continue
        ini_type: Literal["args", "string"] = "args" if option.kind == "list" else "string"
        parser.addini(option.key, f"{option.help} (as {option.flag})", type=ini_type, default=None)


def _add_flags(group: Any, option: Option) -> None:
    shown = argparse.SUPPRESS if option.hidden else f"{option.help} [ini {option.key}, {option.variable}]"
    if option.kind == "flag":
        group.addoption(option.flag, dest=option.key, action="store_true", default=None, help=shown)
        off = f"--lb-no-{option.name}"
        group.addoption(off, dest=option.key, action="store_false", default=None, help=argparse.SUPPRESS)
        return
    action = "append" if option.kind == "list" else "store"
    more: dict[str, Any] = {"choices": option.choices} if option.choices else {"metavar": option.metavar}
    group.addoption(option.flag, dest=option.key, action=action, default=None, help=shown, **more)


def early_target(early_config: pytest.Config) -> str | None:
    """The target, as far as it is known before conftests are read."""
    return _text(early_config, BY_NAME["target"], vars(early_config.known_args_namespace))


def target(config: pytest.Config) -> str | None:
    """The balancer under test; None: lbcheck stays inert."""
    return _text(config, BY_NAME["target"], vars(config.option))


def _text(config: pytest.Config, option: Option, parsed: Mapping[str, Any]) -> str | None:
    return parsed.get(option.key) or os.environ.get(option.variable) or config.getini(option.key) or None


def values(config: pytest.Config, environ: Mapping[str, str]) -> dict[str, Any]:
    """Every option's value or None: the command line wins over the environment, the environment over the ini file."""
    return {option.name: _value(config, option, environ) for option in OPTIONS}


def _value(config: pytest.Config, option: Option, environ: Mapping[str, str]) -> Any:
    given = config.getoption(option.key)
    if given is not None or option.hidden:
        return given
    text = environ.get(option.variable)
    if text is not None and text != "":
        return shlex.split(text) if option.kind == "list" else text
    return config.getini(option.key) or None
