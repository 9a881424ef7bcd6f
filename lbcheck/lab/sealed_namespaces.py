"""A network and mounts of this process's own: clone(2)'s namespaces, entered and left again.

Namespaces belong to threads (namespaces(7)): whoever enters takes along the processes and threads that it starts
later, and nothing that runs already, such as the channel of pytest-xdist.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import getpass
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from lbcheck.errors import LbcheckError

NEW_MOUNTS, NEW_USERS, NEW_NETWORK = 0x00020000, 0x10000000, 0x40000000  # unshare(2)
NETWORK = "/proc/thread-self/ns/net"
OWN_FOLDER = 0x00000200
BIND, RECURSIVE, PRIVATE, MOVE = 0x1000, 0x4000, 0x40000, 0x2000  # mount(2)
NEEDED = {"CAP_NET_ADMIN": 12, "CAP_SYS_CHROOT": 18, "CAP_SYS_ADMIN": 21}  # capabilities(7)
INSTEAD = "else use the process lab (--lb-lab=process) with addresses in 127.0.0.0/8, without workers (-n)"
REMEDY = (
    "run as root, or let users make namespaces: sysctl kernel.unprivileged_userns_clone=1 (Debian), "
    "kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu), user.max_user_namespaces above 0, "
    f"in a container --cap-add SYS_ADMIN --cap-add NET_ADMIN; {INSTEAD}"
)


class NoNamespaces(LbcheckError):  # noqa: N818
    """This machine or this user can have no namespaces."""


class Namespaces:
    """Private network and mounts from now on, and a second network behind the first, for `behind`.

    Both networks have nothing but a loopback that is down.
    """

    def __init__(self) -> None:
        """NoNamespaces where they are not to be had."""
        entitle()
        self._old = [os.open(f"/proc/thread-self/ns/{name}", os.O_RDONLY) for name in ("net", "mnt")]
        self._folder = os.open(".", os.O_PATH)
        try:
            _call("unshare", NEW_NETWORK)
            self.far = os.open(NETWORK, os.O_RDONLY)
            _call("unshare", NEW_NETWORK | NEW_MOUNTS)
            self._near = os.open(NETWORK, os.O_RDONLY)
            mount(None, "/", None, RECURSIVE | PRIVATE)
        except OSError as error:
            raise NoNamespaces(f"no private network and mounts can be made: {error.strerror}", remedy=REMEDY) from error

    @contextlib.contextmanager
    def behind(self) -> Iterator[None]:
        """Who is started meanwhile lives in the second network."""
        _call("setns", self.far, NEW_NETWORK)
        try:
            yield
        finally:
            _call("setns", self._near, NEW_NETWORK)

    def leave(self) -> None:
        """Back to where it came from. Who had to make a user namespace has no right to that, and stays inside."""
        old, self._old = self._old, []
        try:
            _call("unshare", OWN_FOLDER)  # threads that were started inside share it, and setns(2) wants it unshared
            for fd in old:
                _call("setns", fd, 0)
        except PermissionError:
            pass
        finally:
            for fd in old:
                os.close(fd)
        if old:
            os.fchdir(self._folder)  # setns(2) leads to the root
            for fd in (self._folder, self.far, self._near):
                os.close(fd)


class Guest:
    """This thread in another process's network, with whom it starts from now on, until it leaves."""

    def __init__(self, pid: int) -> None:
        """NoNamespaces where this process may not go there, or the other is none of this machine's."""
        if not privileged():
            raise NoNamespaces("only root enters the network of a container")
        try:
            there = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
        except OSError as error:
            raise NoNamespaces(f"process {pid} is not on this machine: {error.strerror}") from error
        self._home = os.open(NETWORK, os.O_RDONLY)
        try:
            _call("setns", there, NEW_NETWORK)
        finally:
            os.close(there)

    def leave(self) -> None:
        home, self._home = self._home, -1
        if home >= 0:
            _call("setns", home, NEW_NETWORK)
            os.close(home)


def mount(source: str | Path | None, at: str | Path, kind: str | None = None, flags: int = 0, data: str = "") -> None:
    """mount(2). OSError as the system has it."""
    arguments = [None if text is None else os.fsencode(text) for text in (source, at, kind)]
    _call("mount", *arguments, ctypes.c_ulong(flags), data.encode() or None)


# --- rights ----------------------------------------------------------------------------------------------------------


def entitle() -> None:
    """Sees to it that this process may make namespaces: it may already, or is root in a user namespace of its own.

    NoNamespaces says why not, and what to do.
    """
    if not sys.platform.startswith("linux"):
        raise NoNamespaces("the sealed lab needs Linux", remedy=f"run lbcheck in a Linux container; {INSTEAD}")
    if shutil.which("ip", path=program_path()) is None:
        raise NoNamespaces(
            "the sealed lab gives addresses with the program ip, and there is none",
            remedy=f"apt-get install iproute2; {INSTEAD}",
        )
    if not privileged():
        _become_root_inside()


def program_path() -> str:
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def privileged() -> bool:
    """Has this process the capabilities that it takes?"""
    status = Path("/proc/thread-self/status").read_text()
    held = int(next(line for line in status.splitlines() if line.startswith("CapEff:")).split()[1], 16)
    return all(held >> bit & 1 for bit in NEEDED.values())


def in_own_user_namespace() -> bool:
    """Is root here an ordinary user of the machine?"""
    mapped = Path("/proc/self/uid_map").read_text().split()
    return mapped[1:] != ["0", "4294967295"]


def _become_root_inside() -> None:
    """A user namespace in which this user is root, and alone (user_namespaces(7))."""
    if len(os.listdir("/proc/self/task")) > 1:  # noqa: PTH208  (no files)
        raise NoNamespaces(
            "an ordinary user gets into a sealed lab before the first thread is started, and there are several",
            remedy=f"start it inside: unshare --user --map-root-user pytest ...; {INSTEAD}",
        )
    uid, gid = os.geteuid(), os.getegid()
    with contextlib.suppress(KeyError):
        os.environ.setdefault("LOGNAME", getpass.getuser())  # who asks by number would hear: root
    try:
        _call("unshare", NEW_USERS)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
        Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
    except OSError as error:
        why = "user.max_user_namespaces is used up" if error.errno == errno.ENOSPC else error.strerror
        raise NoNamespaces(f"this user (uid {uid}) can have no namespace of its own: {why}", remedy=REMEDY) from error


def _call(name: str, *arguments: object) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
