"""Certificates of a private CA that nobody else knows, and listeners that show them."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme

HERE = ("127.0.0.1", "localhost")


@dataclass(frozen=True, slots=True)
class Authority:
    """`cafile` is what a client has to trust; `ca` issues."""

    ca: trustme.CA
    cafile: Path

    def context(self, *names: str) -> ssl.SSLContext:
        """That of a listener whose certificate bears these names."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ca.issue_cert(*names or HERE).configure_cert(context)
        return context

    def keys(self, path: Path, *names: str) -> None:
        """Writes key and certificate into one file, as HAProxy takes them."""
        self.ca.issue_cert(*names or HERE).private_key_and_cert_chain_pem.write_to_path(str(path))


def authority(folder: Path) -> Authority:
    made = Authority(trustme.CA(), folder / "ca.pem")
    made.ca.cert_pem.write_to_path(str(made.cafile))
    return made
