"""The image that containers of the docker lab are made of, and how it is built (`lbcheck image build`).

Three bases: any image with Python 3.11 or newer (`ARG BASE` of the Dockerfile); `debian`, made by mmdebstrap from the
machine's own package sources; and `host`, an empty image into which this machine's programs are bound, read-only: it
needs no registry, takes no space, and runs the very balancers that are installed here.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterable
from importlib.resources import files
from pathlib import Path

import lbcheck
from lbcheck.errors import LbcheckError
from lbcheck.lab.docker_engine import INSTEAD, Engine

IMAGE = f"lbcheck:{lbcheck.__version__}"
BASE = "python:3.12-slim"
HOST, DEBIAN = "host", "debian"
DEBIAN_IMAGE = "lbcheck-base:debian"
DEBIAN_PACKAGES = ("python3", "python3-yaml", "python3-uvloop", "tzdata")
DEBIAN_S = 600.0
BASE_LABEL = "lbcheck.base"
# What programs of a distribution read of /etc; nothing secret.
SETTINGS = (
    *("alternatives", "group", "ld.so.cache", "mime.types", "nsswitch.conf", "passwd", "protocols", "services"),
    *("apache2", "caddy", "envoy", "haproxy", "nginx", "ssl/certs", "ssl/openssl.cnf"),
)
EMPTY = ("etc", "proc", "sys", "dev", "root", "run", "var/cache", "var/lib", "var/log", "var/spool")
OWN = ("sbin",)  # no link: the engine puts its init there, and what is bound from here is read-only
SHARED = ("tmp", "var/tmp", "run/lock")  # written to by everybody
PACKAGE = Path(lbcheck.__file__).parent


def build(base: str, image: str, say: Callable[[str], None], *, engine: Engine | None = None) -> None:
    """Builds `image` on a base. LbcheckError where it cannot be, NoEngine where nobody could."""
    own = engine or Engine()
    try:
        if base == HOST:
            own.import_image(skeleton(Path("/")), image, {BASE_LABEL: HOST})
            say(f"{image}: empty, with this machine's programs bound into its containers, read-only")
            return
        if base == DEBIAN:
            say("asking mmdebstrap for a base; this takes half a minute")
            own.import_image(_debian(), DEBIAN_IMAGE, {})
        based = DEBIAN_IMAGE if base == DEBIAN else base
        own.build_image(context(), image, {"BASE": based}, {BASE_LABEL: based}, offline=base == DEBIAN)
        say(f"{image}: on {based}")
    except LbcheckError as error:
        if error.remedy or base == HOST:
            raise
        raise LbcheckError(
            str(error), remedy="without a registry: lbcheck image build --base=host (or --base=debian)"
        ) from error
    finally:
        if engine is None:
            own.close()


def is_host(engine: Engine, image: str) -> bool:
    """Is it the empty one, into which this machine's programs are to be bound? LbcheckError where it is not there."""
    labels = engine.image_labels(image)
    if labels is None:
        raise LbcheckError(
            f"the engine has no image {image}",
            remedy=f"lbcheck image build (on {BASE}), or without a registry lbcheck image build --base=host; "
            f"else {INSTEAD}",
        )
    return labels.get(BASE_LABEL) == HOST


# --- the host as a base ----------------------------------------------------------------------------------------------


def skeleton(root: Path) -> bytes:
    """A file system as tar: folders alone, and the links that `root` has in place of folders (/bin, /lib, ...)."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for name in (*EMPTY, *OWN, *SHARED):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o1777 if name in SHARED else 0o755
            tar.addfile(folder)
        for path in sorted(root.iterdir()):
            if path.is_symlink() and path.name in ("bin", "lib", "lib32", "lib64", "libx32"):
                link = tarfile.TarInfo(path.name)
                link.type, link.linkname = tarfile.SYMTYPE, str(path.readlink())
                tar.addfile(link)
    return data.getvalue()


def host_folders(programs: Iterable[str]) -> list[Path]:
    """What of this machine those containers see, read-only: its programs, this Python and lbcheck, those programs."""
    roots = [Path("/") / name for name in ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "opt")]
    wanted = [root for root in roots if root.is_dir() and not root.is_symlink()]
    wanted += [Path("/etc") / name for name in SETTINGS if (Path("/etc") / name).exists()]
    wanted += [Path(sys.prefix), Path(sys.base_prefix), PACKAGE]
    for program in programs:
        path = Path(program)
        if path.is_absolute() and path.exists():
            wanted += [path, path.resolve()]
    return outermost(wanted)


def outermost(paths: Iterable[Path]) -> list[Path]:
    """Those that are not inside another of them, in order (pure)."""
    kept: list[Path] = []
    for path in sorted(dict.fromkeys(paths), key=lambda path: len(path.parts)):
        if not any(path.is_relative_to(outer) for outer in kept):
            kept.append(path)
    return kept


# --- other bases -----------------------------------------------------------------------------------------------------


def context() -> bytes:
    """The build context as tar: the Dockerfile and this package, as it is here."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        text = files("lbcheck.lab").joinpath("image/Dockerfile").read_bytes()
        dockerfile = tarfile.TarInfo("Dockerfile")
        dockerfile.size = len(text)
        tar.addfile(dockerfile, io.BytesIO(text))
        tar.add(PACKAGE, "lbcheck", filter=_source)
    return data.getvalue()


def _source(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    if "__pycache__" in member.name or member.name.startswith(("lbcheck/suites", "lbcheck/fixtures")):
        return None
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    return member


def _debian() -> bytes:
    """A small Debian with Python as tar, from the machine's own package sources."""
    program = shutil.which("mmdebstrap")
    if program is None:
        raise LbcheckError(
            "--base=debian is made by the program mmdebstrap, and there is none", remedy="apt-get install mmdebstrap"
        )
    with tempfile.TemporaryDirectory(prefix="lbcheck-") as folder:
        root = Path(folder) / "root.tar"
        packages = f"--include={','.join(DEBIAN_PACKAGES)}"
        argv = [program, "--variant=minbase", packages, "--quiet", _suite(), str(root)]
        try:
            done = subprocess.run(argv, capture_output=True, text=True, timeout=DEBIAN_S, check=False)
        except subprocess.TimeoutExpired as error:
            raise LbcheckError(f"mmdebstrap did not come to an end within {DEBIAN_S:g} s") from error
        if done.returncode:
            raise LbcheckError(f"mmdebstrap failed: {done.stderr[-2000:].strip()}")
        return root.read_bytes()


def _suite() -> str:
    """The machine's own release, which its package sources have; Debian's current one on other systems."""
    release = Path("/etc/os-release").read_text() if Path("/etc/os-release").exists() else ""
    names = dict(line.split("=", 1) for line in release.splitlines() if "=" in line)
    return names.get("VERSION_CODENAME", "stable") if names.get("ID") == "debian" else "stable"
