"""Cleans up after the harness, also when that was killed: a process of its own, of the standard library alone.

Run as `python -I -S guardian.py TOKEN`. The harness writes down the pipe, a line each, what it owns:

    folder PATH            a temporary folder, whose name must begin with "lbcheck-"
    group PID START        a process group by its leader, with the leader's start time (proc(5), stat field 22)
    gone PID               that group has ended
    engine PATH            the Unix socket of a container engine, where things are labelled lbcheck.run=TOKEN

When the pipe closes, or the harness is no longer the parent, it kills those groups and every process whose environment
holds LBCHECK_RUN=TOKEN, waits for them to be gone, and removes the containers, the networks and the folders.
"""

import http.client
import json
import os
import select
import shutil
import signal
import socket
import sys
import time

PREFIX = "lbcheck-"
VARIABLE = "LBCHECK_RUN"
LABEL = "lbcheck.run"  # of containers and networks
LOOK_S = 0.5  # how often the parent is looked at
GONE_WITHIN_S = 5.0
EMPTY_WITHIN_S = 30.0  # an engine takes 0.1 s for a container, and has one at a time where the machine is busy
CALL_S = 10.0
LOOKS = 2  # at an engine that must be found empty: what was asked for before the end may be made after it


def stat_of(pid: int) -> list[str]:
    """Fields of /proc/PID/stat from the third on (state, parent, group, ...); empty where there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:  # noqa: PTH123  (imports little)
            return file.read().rpartition(")")[2].split()
    except OSError:
        return []


def start_time(pid: int) -> str:
    """Start time in clock ticks after boot; with the pid it names a process for ever. "" where there is none."""
    return (stat_of(pid) + [""] * 20)[19]


def processes() -> list[int]:
    return sorted(int(name) for name in os.listdir("/proc") if name.isdigit())  # noqa: PTH208


def members(group: int, started: str) -> list[int]:
    """Living processes of a group, if it is still the one that was meant: a number can be given out again."""
    leader = start_time(group)
    if leader and leader != started:
        return []
    return [pid for pid in processes() if stat_of(pid)[2:3] == [str(group)] and stat_of(pid)[0] != "Z"]


def marked(token: str) -> list[int]:
    """Living processes that were started with the run's token in their environment."""
    wanted, found = f"{VARIABLE}={token}".encode(), []
    for pid in processes():
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:  # noqa: PTH123
                if pid != os.getpid() and wanted in file.read().split(b"\0") and stat_of(pid)[:1] != ["Z"]:
                    found.append(pid)
        except OSError:
            continue
    return found


def kill_all(groups: dict[int, str], token: str) -> None:
    """Kills until none is left, for a bounded time."""
    until = time.monotonic() + GONE_WITHIN_S
    while time.monotonic() < until:
        left = {pid for group, started in groups.items() for pid in members(group, started)} | set(marked(token))
        if not left:
            return
        for pid in sorted(left):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.01)


def remove(folder: str) -> None:
    """Removes a folder of ours; the name is checked, since what is removed is gone."""
    if os.path.basename(folder).startswith(PREFIX) and not os.path.islink(folder):  # noqa: PTH114, PTH119
        shutil.rmtree(folder, ignore_errors=True)


# --- containers ------------------------------------------------------------------------------------------------------


def call(path: str, method: str, target: str) -> object:
    """What the engine's API answers; None where it has nothing to say. OSError where nobody is there."""
    connection = http.client.HTTPConnection("localhost", timeout=CALL_S)
    connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.sock.settimeout(CALL_S)
    try:
        connection.sock.connect(path)
        connection.request(method, target)
        said = connection.getresponse().read()
    finally:
        connection.close()
    return json.loads(said) if said else None


def labelled(path: str, token: str, kind: str) -> list[str]:
    """Ids of containers or networks ("containers/json?all=1", "networks") that the run has made."""
    wanted = f"%7B%22label%22%3A%5B%22{LABEL}%3D{token}%22%5D%7D"  # {"label":["..."]}
    found = call(path, "GET", f"/{kind}{'&' if '?' in kind else '?'}filters={wanted}")
    return [str(one["Id"]) for one in found] if isinstance(found, list) else []


def empty(path: str, token: str) -> None:
    """Removes all that the run has made at this engine, containers before their networks, for a bounded time."""
    until, looks = time.monotonic() + EMPTY_WITHIN_S, 0
    while looks < LOOKS and time.monotonic() < until:
        try:
            containers = labelled(path, token, "containers/json?all=1")
            for each in containers:
                call(path, "DELETE", f"/containers/{each}?force=1&v=1")
            networks = labelled(path, token, "networks")
            for each in networks:
                call(path, "DELETE", f"/networks/{each}")
        except (OSError, http.client.HTTPException, ValueError):
            return  # the engine is gone; its labels tell whose they are
        looks = 0 if containers or networks else looks + 1
        time.sleep(0.05)


# --- the harness -----------------------------------------------------------------------------------------------------


def watch() -> tuple[dict[int, str], list[str], list[str]]:
    """(groups, folders, engines) that the harness owned when it went."""
    groups: dict[int, str] = {}
    folders: list[str] = []
    engines: list[str] = []
    parent, pending = os.getppid(), b""
    while True:
        if select.select([0], [], [], LOOK_S)[0]:
            data = os.read(0, 65536)
            if not data:
                return groups, folders, engines
            *lines, pending = (pending + data).split(b"\n")
            for line in lines:
                word, _, rest = line.decode().partition(" ")
                if word == "folder":
                    folders.append(rest)
                elif word == "engine":
                    engines.append(rest)
                elif word == "group":
                    pid, _, started = rest.partition(" ")
                    groups[int(pid)] = started
                elif word == "gone":
                    groups.pop(int(rest), None)
        elif os.getppid() != parent:
            return groups, folders, engines


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # Ctrl-C goes to everybody on the terminal
    groups, folders, engines = watch()
    kill_all(groups, sys.argv[1])
    for path in engines:
        empty(path, sys.argv[1])
    for folder in folders:
        remove(folder)


if __name__ == "__main__":
    main()
