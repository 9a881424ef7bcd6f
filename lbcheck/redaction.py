"""Secrets in texts that are kept or shown: logs, configurations, lines of them. What is said of them stays readable."""

from __future__ import annotations

import re

from lbcheck.history import REDACTED

COOKIES = ("cookie", "set-cookie")
SECRET_FIELDS = (
    "authorization", "proxy-authorization", "x-api-key", "api-key", "x-auth-token", "x-access-token", "x-csrf-token",
    "x-amz-security-token", "private-token",
)  # fmt: skip

_FIELD = re.compile(
    r"(?i)\b(" + "|".join(map(re.escape, SECRET_FIELDS)) + r")([\"']?[ \t]*:[ \t]*[\"']?(?:(?:bearer|basic|digest) +)?)"
    r"([^\r\n\"']+)"
)
_COOKIE = re.compile(r"(?i)\b((?:set-)?cookie[\"']?[ \t]*:[ \t]*[\"']?[^\s=;,:\"'{}]+=)[^\r\n\"']+")
_WORD = re.compile(
    r"(?i)\b((?:[a-z0-9]+[_-])*(?:password|passwd|passphrase|secret|token|api[_-]?key|private[_-]?key|bearer|basic))"
    r"([\"']?\s*[:= ]\s*[\"']?)([^\s\"',;&]+)"
)
_LOGIN = re.compile(r"(?i)\b(auth\s+[^\s:]+:)\S+")  # "stats auth admin:secret"
_URL = re.compile(r"(://[^/\s:@]+:)[^/\s@]+(?=@)")
_SHAPES = re.compile(r"\beyJ[\w-]{6,}\.[\w-]{4,}\.[\w-]*|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b")  # a JWT, a key of AWS
_PEM = re.compile(r"-----BEGIN ([A-Z ]*PRIVATE KEY)-----.*?-----END \1-----", re.DOTALL)


def without_secrets(text: str) -> str:
    """The text with `[redacted]` in place of passwords, tokens, keys, cookies and credentials; twice is as once."""
    text = _PEM.sub(rf"-----{REDACTED}-----", text)
    text = _COOKIE.sub(rf"\1{REDACTED}", _FIELD.sub(rf"\1\2{REDACTED}", text))
    text = _URL.sub(rf"\1{REDACTED}", _LOGIN.sub(rf"\1{REDACTED}", text))
    return _SHAPES.sub(REDACTED, _WORD.sub(rf"\1\2{REDACTED}", text))
