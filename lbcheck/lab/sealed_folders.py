"""Files of a sealed lab: what the balancer writes goes to memory, and what its configuration names is there.

A mirror is a file system in memory in a folder's place, into which all that was in the folder is bound: things can be
added there that the machine never sees.
"""

from __future__ import annotations

import contextlib
import os
import stat
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from lbcheck.errors import LbcheckError
from lbcheck.lab.sealed_namespaces import BIND, MOVE, RECURSIVE, in_own_user_namespace, mount
from lbcheck.targets.surroundings import Surroundings

SCRATCH = (Path("/run"), Path("/var/run"), Path("/var/log"))  # live balancers have sockets and logs there
ROOT = Path("/")
STORE = Path("/run/lbcheck")
DEEP = 2  # levels of folders that are made again in SCRATCH
RESOLVER = "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n"  # nobody is there, and is soon known not to be
WITHIN_S = 20.0
FIRST_ID = 60_000  # for accounts that this machine does not have
ACCOUNTS = {"passwd": "{name}:x:{id}:{id}::/:/usr/sbin/nologin", "group": "{name}:x:{id}:"}


class Folders:
    """Changes mounts of the namespace that this process is in; `notes` says what was supplied."""

    def __init__(self, keep: Iterable[Path]) -> None:
        """`keep`: folders that stay as they are, also below one whose contents are hidden."""
        self.notes: list[str] = []
        self._private: set[Path] = set()  # folders in which things can be made
        self._written: set[str] = set()  # what the product makes itself: never bound in
        self._made = 0
        self._pem = ""
        kept = {path.resolve(): os.open(path, os.O_PATH) for path in keep if path.exists()}
        for folder in SCRATCH:
            if folder.is_dir() and not folder.is_symlink():
                self._hide(folder)
        for path, fd in kept.items():
            if any(path.is_relative_to(folder) for folder in self._private):
                path.mkdir(parents=True, exist_ok=True)
                mount(f"/proc/self/fd/{fd}", path, flags=BIND | RECURSIVE)
            os.close(fd)
        STORE.mkdir()
        self.hosts("")
        self._stand_in(Path("/etc/resolv.conf"), RESOLVER)
        if in_own_user_namespace():
            self._make_everybody_root()

    def hosts(self, text: str) -> None:
        """What names mean from now on."""
        self._stand_in(Path("/etc/hosts"), text)

    def supply(self, wanted: Surroundings) -> None:
        """What is missing of it; `notes` names each."""
        self._written.update(wanted.writes)
        self._supply_accounts("passwd", wanted.users)
        self._supply_accounts("group", wanted.groups)
        for folder in map(Path, wanted.folders):
            if not folder.is_dir():
                self._make_folder(folder)
        for path in map(Path, wanted.writes):
            self._make_room(path)
        for name in wanted.certificates:
            path = Path(name) / "lbcheck.pem" if name.endswith("/") and not Path(name).is_file() else Path(name)
            if not _readable(Path(name)):
                self._supply(path, self._certificate(), "a self-signed certificate with its key")
        for name, text in wanted.reads.items():
            if not _readable(Path(name)):
                self._supply(Path(name), text, "an empty file" if not text else "a plain error page")

    # --- folders -----------------------------------------------------------------------------------------------------

    def _hide(self, folder: Path) -> None:
        """Nothing in it but folders, as they were: no socket or file of a balancer that runs on this machine."""
        below = [(path, path.stat()) for path in _folders(folder, DEEP)]
        mount("tmpfs", folder, "tmpfs", data="mode=755")
        for path, was in below:
            path.mkdir(parents=True, exist_ok=True)
            _as_it_was(path, was)
        self._private.add(folder)

    def _make_room(self, path: Path) -> None:
        """The product makes this itself; what stands there now is not touched."""
        if path.is_relative_to("/dev") or path.is_relative_to(_temporary()) or self._is_private(path.parent):
            if self._is_private(path.parent):
                path.parent.mkdir(parents=True, exist_ok=True)
            return
        self._make_folder(path.parent)

    def _make_folder(self, folder: Path) -> None:
        """A folder in which things can be made, with what is in it now."""
        there = next(parent for parent in (folder, *folder.parents) if parent.is_dir())
        if not self._is_private(there):
            self._mirror(there)
        folder.mkdir(parents=True, exist_ok=True)
        if there != folder:
            self.notes.append(f"{folder}: an empty folder")

    def _mirror(self, folder: Path) -> None:
        self._made += 1
        staging = STORE / f"mirror-{self._made}"
        staging.mkdir()
        was = folder.stat()
        mount("tmpfs", staging, "tmpfs", data=f"mode={stat.S_IMODE(was.st_mode):o}")
        _as_it_was(staging, was)
        with contextlib.suppress(PermissionError):  # of a folder that cannot be looked into nothing can be read either
            for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
                if entry.path not in self._written:
                    _bind(entry, staging / entry.name)
        if folder == ROOT:  # nothing can be mounted over it for those who are there already
            here = Path.cwd()
            os.chroot(staging)
            os.chdir(here)
        else:
            mount(staging, folder, flags=MOVE)
        self._private.add(folder)

    def _is_private(self, folder: Path) -> bool:
        """Made by us, and not bound in from the machine."""
        real = folder.resolve()
        if real in self._private:
            return True
        home = next((parent for parent in real.parents if parent in self._private), None)
        return home is not None and not any(
            os.path.ismount(p) for p in (real, *real.parents) if p.is_relative_to(home) and p != home
        )

    # --- files -------------------------------------------------------------------------------------------------------

    def _supply(self, path: Path, text: str, what: str) -> None:
        if not self._is_private(path.parent):
            there = next(parent for parent in path.parents if parent.is_dir())
            if not self._is_private(there):
                self._written.add(str(path))
                self._mirror(there)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, newline="")
        self.notes.append(f"{path}: {what}")

    def _stand_in(self, path: Path, text: str) -> None:
        """A text in place of a file; later texts replace it where it is."""
        stored = STORE / path.name
        new = not stored.exists()
        stored.write_text(text)
        if not new:
            return
        at = path.resolve()
        if not at.exists():
            if not self._is_private(at.parent) and not any(at.is_relative_to(folder) for folder in self._private):
                return  # none before, none now
            at.parent.mkdir(parents=True, exist_ok=True)
            at.touch()
        mount(stored, at, flags=BIND)

    def _certificate(self) -> str:
        """Key and certificate in one file serve wherever either is read; made once."""
        if not self._pem:
            key, own = STORE / "key.pem", STORE / "certificate.pem"
            command = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=lbcheck"
            argv = ["openssl", *command.split(), "-keyout", str(key), "-out", str(own)]
            try:
                subprocess.run(argv, capture_output=True, timeout=WITHIN_S, check=True)
            except (OSError, subprocess.SubprocessError) as error:
                raise LbcheckError(
                    f"the configuration names a certificate that is missing, and openssl made none: {error}",
                    remedy="install openssl, or put the file where the configuration has it",
                ) from error
            self._pem = own.read_text() + key.read_text()
        return self._pem

    # --- accounts ----------------------------------------------------------------------------------------------------

    def _supply_accounts(self, table: str, names: Sequence[str]) -> None:
        path = Path("/etc") / table
        known = {line.partition(":")[0] for line in path.read_text().splitlines()}
        missing = [name for name in dict.fromkeys(names) if name not in known and not name.isdigit()]
        if not missing:
            return
        first = 0 if in_own_user_namespace() else FIRST_ID
        step = 0 if in_own_user_namespace() else 1
        lines = [ACCOUNTS[table].format(name=name, id=first + step * n) for n, name in enumerate(missing)]
        self._stand_in(path, "\n".join([*path.read_text().splitlines(), *lines, ""]))
        what = "user" if table == "passwd" else "group"
        self.notes += [f"{what} {name}: this machine has none" for name in missing]

    def _make_everybody_root(self) -> None:
        """A user namespace of one user knows one identity: whoever a balancer wants to be, it is that."""
        for table in ACCOUNTS:
            path = Path("/etc") / table
            rows = [
                line.split(":") for line in path.read_text().splitlines() if line.count(":") > 2 or table == "group"
            ]
            places = (2, 3) if table == "passwd" else (2,)
            rows = [["0" if at in places else field for at, field in enumerate(row)] for row in rows]
            self._stand_in(path, "\n".join([*map(":".join, rows), ""]))
        self.notes.append(
            "every user and group: the user who runs lbcheck, as there is no other in a namespace of his own"
        )


def _folders(folder: Path, deep: int) -> list[Path]:
    try:
        inside = [Path(entry.path) for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False)]
    except PermissionError:
        return []
    return [found for path in sorted(inside) for found in (path, *(_folders(path, deep - 1) if deep > 1 else []))]


def _as_it_was(path: Path, was: os.stat_result) -> None:
    path.chmod(stat.S_IMODE(was.st_mode))
    with contextlib.suppress(OSError):  # owners that a user namespace does not know
        os.chown(path, was.st_uid, was.st_gid)


def _bind(entry: os.DirEntry[str], at: Path) -> None:
    if entry.is_symlink():
        at.symlink_to(os.readlink(entry.path))  # noqa: PTH115  (not resolved)
        return
    if entry.is_dir():
        at.mkdir()
    else:
        at.touch()
    mount(entry.path, at, flags=BIND | RECURSIVE)


def _readable(path: Path) -> bool:
    return os.access(path, os.R_OK)


def _temporary() -> Path:
    import tempfile

    return Path(tempfile.gettempdir())
