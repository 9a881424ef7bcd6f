"""Secrets in texts are redacted, and what is none stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbcheck.redaction import without_secrets

pytestmark = pytest.mark.fast


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("user admin insecure-password hunter2", "user admin insecure-password [redacted]"),
        ("stats auth admin:hunter2", "stats auth admin:[redacted]"),
        ("token=abc; next", "token=[redacted]; next"),
        ('{"secret": "abc"}', '{"secret": "[redacted]"}'),
        ("Authorization: Bearer abc.def", "Authorization: Bearer [redacted]"),
        ("balance roundrobin", "balance roundrobin"),
        ("Cookie: sid=1; theme=dark", "Cookie: sid=[redacted]"),
        ("Set-Cookie: sid=1; Path=/", "Set-Cookie: sid=[redacted]"),
        ("x-api-key: abc", "x-api-key: [redacted]"),
        ("GET /?access_token=abc&a=1 HTTP/1.1", "GET /?access_token=[redacted]&a=1 HTTP/1.1"),
        ("proxy http://me:hunter2@example/", "proxy http://me:[redacted]@example/"),
        ("said eyJhbGciOi.eyJzdWIi.c2ln here", "said [redacted] here"),
        ("AKIAIOSFODNN7EXAMPLE", "[redacted]"),
        ('header: {Authorization: "Bearer abc"}', 'header: {Authorization: "Bearer [redacted]"}'),
    ],
)
def test_secrets_in_configurations(text: str, kept: str) -> None:
    assert without_secrets(text) == kept


def test_private_keys_go_as_a_whole() -> None:
    text = "a\n-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc\n-----END RSA PRIVATE KEY-----\nb"
    assert without_secrets(text) == "a\n-----[redacted]-----\nb"


@pytest.mark.parametrize(
    "text",
    [
        "stickiness: {cookie: CARTSRV, duration: 8h}",
        '{"cookie": "AWSALB", "type": "lb_cookie"}',
        "cookie SRV insert indirect nocache",
        "server api1 10.0.0.1:8080 check cookie c1",
        'when: {cookie: {canary: "yes"}}',
        "hdr(authorization) -m found",
        "listen on http://127.0.0.1:8080/a@b",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert without_secrets(text) == text


@given(st.text(alphabet="token=:; -_@/AKI\"'bearerauthorizationcookie\n", max_size=60))
def test_twice_is_as_once(text: str) -> None:
    once = without_secrets(text)
    assert without_secrets(once) == once


@given(st.sampled_from(["token=", "api_key: ", '"client_secret": "', "X-Auth-Token: ", "?access_token=", "password "]))
def test_no_secret_survives_its_name(name: str) -> None:
    assert "hunter2" not in without_secrets(f"GET / {name}hunter2")
