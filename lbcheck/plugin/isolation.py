"""Keeps a user's own pytest set-up away from the bundled suites.

`pytest --lb-target=X` without a path judges the bundled suites wherever it is called. The folder that it is called in
may hold `addopts`, `testpaths`, `filterwarnings = error`, broken conftests and tests of its own: none of that is about
a load balancer, so none of it takes part. Of the ini file only the keys in `KEPT` are read. With a path, the user's own
tests run under the user's own configuration and nothing here applies.
"""

from __future__ import annotations

import copy
import os
import shlex
from pathlib import Path

import pytest

from lbcheck.plugin import catalogue, options

BUNDLED = pytest.StashKey[bool]()
KEPT = ("lb_", "junit_", "cache_dir", "console_output_style", "verbosity_")


def is_bundled(config: pytest.Config) -> bool:
    """Does this run judge the bundled suites, and nothing of the user's?"""
    return config.stash.get(BUNDLED, False)


def prepare(early_config: pytest.Config, parser: pytest.Parser, args: list[str]) -> None:
    """Called before conftests are read; `args` is changed in place, as pytest parses it again afterwards."""
    own_words = _own_words(early_config)
    paths = _paths(early_config, parser, own_words)
    if any(not _inside_suites(early_config.invocation_params.dir, path) for path in paths):
        return
    early_config.stash[BUNDLED] = True
    words = [*_lb_words(early_config.getini("addopts")), *own_words, "--noconftest"]
    args[:] = words if paths else [*words, str(catalogue.suites_folder())]
    _forget_ini(early_config)
    known = parser.parse_known_args(args, namespace=copy.copy(early_config.option))
    known.pythonwarnings = []
    known.confcutdir = str(early_config.rootpath)
    early_config.known_args_namespace = known


def _own_words(config: pytest.Config) -> list[str]:
    """What was typed, and PYTEST_ADDOPTS: both are meant for this very run."""
    return [*shlex.split(os.environ.get("PYTEST_ADDOPTS", "")), *map(str, config.invocation_params.args)]


def _paths(config: pytest.Config, parser: pytest.Parser, words: list[str]) -> list[str]:
    known = parser.parse_known_args(words, namespace=copy.copy(config.option))
    return [str(path) for path in known.file_or_dir]


def _inside_suites(folder: Path, path: str) -> bool:
    place = (folder / path.partition("::")[0]).resolve()
    return place.is_relative_to(catalogue.suites_folder())


def _lb_words(addopts: list[str]) -> list[str]:
    """The options `--lb-*` among a user's addopts, with their values."""
    flags = {o.flag for o in options.OPTIONS if o.kind == "flag"}
    flags |= {f"--lb-no-{o.name}" for o in options.OPTIONS if o.kind == "flag"}
    kept: list[str] = []
    words = iter(addopts)
    for word in words:
        if word.startswith("--lb-"):
            kept.append(word)
            if "=" not in word and word not in flags:
                kept.extend(next(words, None) or "" for _ in range(1))
    return kept


def _forget_ini(config: pytest.Config) -> None:
    # pytest 9 keeps the file's values in `_inicfg` (values given by -o carry origin "override"), pytest 8 in `inicfg`.
    ini = config._inicfg if hasattr(config, "_inicfg") else config.inicfg
    for key in [k for k, v in ini.items() if not k.startswith(KEPT) and getattr(v, "origin", "") != "override"]:
        del ini[key]
    config._inicache.clear()
