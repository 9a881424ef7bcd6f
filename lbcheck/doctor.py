"""`lbcheck doctor`: what this machine can carry, and how to get what is missing. Looks are bounded, change nothing."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from lbcheck.errors import LbcheckError, TargetError

PYTHON = (3, 11)
LOOPBACK = ("127.0.0.1", "127.77.0.1", "127.77.3.9")  # each worker owns addresses below 127.77
LOW_PORT = 80
TIMEOUT_S = 5.0
MARKS = {"ok": "ok", "absent": "--", "broken": "NO"}


@dataclass(frozen=True, slots=True)
class Look:
    """`absent`: lbcheck runs without it; `broken`: it does not run at all. `remedy` says how to get it."""

    what: str
    state: Literal["ok", "absent", "broken"]
    detail: str
    remedy: str = ""


def looks() -> Iterator[Look]:
    yield python()
    yield loopback()
    yield low_ports()
    yield sealed_lab()
    yield time_warp()
    yield docker_client()
    yield docker_engine()
    yield docker_lab()
    yield from balancers()


def report() -> tuple[str, int]:
    """The text, and the exit code: 0 unless lbcheck cannot run here."""
    found = list(looks())
    lines = [line for look in found for line in _lines(look)]
    return "\n".join(lines), int(any(look.state == "broken" for look in found))


def _lines(look: Look) -> Iterator[str]:
    yield f"{MARKS[look.state]}  {look.what:<16} {look.detail}"
    if look.state != "ok" and look.remedy:
        yield f"{'':21}{look.remedy}"


# --- the machine -----------------------------------------------------------------------------------------------------


def python() -> Look:
    detail = f"{platform.python_implementation()} {platform.python_version()} ({sys.executable})"
    if sys.version_info[:2] >= PYTHON:
        return Look("python", "ok", detail)
    return Look("python", "broken", detail, f"install Python {PYTHON[0]}.{PYTHON[1]} or newer")


def loopback() -> Look:
    """Can addresses of 127.0.0.0/8 be bound? Linux has all of them, macOS 127.0.0.1 alone."""
    refused = [error for address in LOOPBACK if (error := _bind(address, 0))]
    if not refused:
        return Look("loopback", "ok", f"{', '.join(LOOPBACK)} can be bound")
    return Look(
        "loopback",
        "broken",
        refused[0],
        "Linux answers on all of 127.0.0.0/8; macOS has no such aliases: run lbcheck in a Linux container there",
    )


def low_ports() -> Look:
    """Ports below 1024: only specs and configurations that name one need them."""
    refused = _bind(LOOPBACK[-1], LOW_PORT)
    if not refused:
        return Look("low ports", "ok", f"port {LOW_PORT} can be bound")
    return Look(
        "low ports",
        "absent",
        f"{refused}; only configurations that listen below 1024 need it",
        "run as root, or: sysctl net.ipv4.ip_unprivileged_port_start=80",
    )


def sealed_lab() -> Look:
    """Tried in a child: a network and mounts of its own, as root or in a user namespace."""
    from lbcheck.lab.sealed import entered

    try:
        return Look("sealed lab", "ok", entered())
    except LbcheckError as error:
        return Look("sealed lab", "absent", error.message, error.remedy)


def time_warp() -> Look:
    """Is the library there that `--lb-warp` needs?"""
    from lbcheck.targets.warped import library

    try:
        return Look("time warp", "ok", str(library()))
    except TargetError as error:
        return Look("time warp", "absent", error.message.partition(": ")[2], error.remedy)


def _bind(address: str, port: int) -> str:
    """ "" where it can be bound, else why not."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((address, port))
        except OSError as error:
            return f"{address}:{port} cannot be bound: {error.strerror or error}"
    return ""


# --- docker and balancers --------------------------------------------------------------------------------------------


def docker_client() -> Look:
    program = shutil.which("docker")
    if program is None:
        return Look("docker client", "absent", "no program docker", "https://docs.docker.com/engine/install/")
    code, said = _run([program, "--version"])
    return Look("docker client", "ok" if code == 0 else "absent", said)


def docker_engine() -> Look:
    program = shutil.which("docker")
    if program is None:
        return Look("docker engine", "absent", "not asked: there is no client")
    code, said = _run([program, "version", "--format", "{{.Server.Version}}"])
    if code == 0:
        return Look("docker engine", "ok", said)
    return Look("docker engine", "absent", said or "no answer", "start the engine, or check DOCKER_HOST")


def docker_lab() -> Look:
    """Tried: a network, a place on it and a backend in a container, reached from here, and all of it removed again."""
    from lbcheck.lab.docker import tried

    try:
        return Look("docker lab", "ok", tried())
    except LbcheckError as error:
        return Look("docker lab", "absent", error.message.partition("\n")[0], error.remedy)


def balancers() -> Iterator[Look]:
    from lbcheck.targets import find, known

    for name in known():
        try:
            target = find(name)
        except TargetError as error:
            yield Look(name, "absent", error.message.partition("\n")[0], error.remedy)
        else:
            yield Look(name, "ok", f"{target.version} ({target.binary}), {len(target.features)} features")


def _run(argv: list[str]) -> tuple[int, str]:
    """(exit code, the first line that it said); a program that does not come back counts as failed."""
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, timeout=TIMEOUT_S, check=False, env={**os.environ, "LC_ALL": "C"}
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return 1, str(error)
    return done.returncode, (done.stdout + done.stderr).strip().partition("\n")[0]
