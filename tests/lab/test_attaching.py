"""Who is who where the balancer and its backends run already: words, names, URLs and what lies beyond this machine."""

from __future__ import annotations

import re

import pytest

from lbcheck.errors import TargetError, UsageError
from lbcheck.lab.attaching import control_places, controls, listener_places, plain_spec, remote_places
from lbcheck.spec.loading import loads
from lbcheck.spec.model import Protocol, Spec
from lbcheck.targets.attached import Url, is_url, url_of

pytestmark = pytest.mark.fast

TEXT = """\
version: 1
listeners:
  - {{name: public, address: {address}, port: 8080, default: {{forward: web}}}}
  - {{name: inner, address: 127.0.0.2, port: 8081, default: {{forward: api}}}}
pools:
  web: {{backends: [{{name: a, address: "127.0.0.1:9001"}}, {{name: b, address: "127.0.0.1:9002"}}]}}
  api: {{backends: [{{name: a, address: "{host}:9003"}}]}}
"""


def spec(address: str = "127.0.0.1", host: str = "127.0.0.1") -> Spec:
    return loads(TEXT.format(address=address, host=host)).spec


# --- URLs ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "url"),
    [
        ("http://127.0.0.1:8080", Url("127.0.0.1", 8080)),
        ("http://localhost/", Url("localhost", 80)),
        ("http://[::1]:81", Url("::1", 81)),
        ("https://lb.test", Url("lb.test", 443, "https")),
        ("https://127.0.0.1:8443/", Url("127.0.0.1", 8443, "https")),
    ],
)
def test_a_url_names_a_listener(target: str, url: Url) -> None:
    assert is_url(target)
    assert url_of(target) == url


def test_of_tcp_no_check_speaks_yet() -> None:
    with pytest.raises(TargetError, match="no check speaks of TCP listeners yet"):
        url_of("tcp://127.0.0.1:8443")


@pytest.mark.parametrize(
    "target",
    ["http://", "https://", "ftp://127.0.0.1", "http://127.0.0.1:port", "http://127.0.0.1/shop", "http://me@127.0.0.1"],
)
def test_what_is_no_listener_is_refused(target: str) -> None:
    with pytest.raises(UsageError, match=re.escape(f"--lb-target={target}")):
        url_of(target)


# --- backends --------------------------------------------------------------------------------------------------------


def test_each_backend_has_its_control() -> None:
    given = control_places(["web/a=127.0.0.1:9101", "b=127.0.0.1:9102", "api/a=[::1]:9103"])
    assert controls(spec(), given) == {
        ("web", "a"): ("127.0.0.1", 9101),
        ("web", "b"): ("127.0.0.1", 9102),
        ("api", "a"): ("::1", 9103),
    }


@pytest.mark.parametrize("word", ["a", "a=127.0.0.1", "a=127.0.0.1:0", "a=127.0.0.1:65536", "=127.0.0.1:1"])
def test_a_place_is_a_name_an_address_and_a_port(word: str) -> None:
    with pytest.raises(UsageError, match=r"expected NAME=HOST:PORT"):
        control_places([word])


def test_a_name_that_stands_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="a was named before"):
        control_places(["a=127.0.0.1:1", "a=127.0.0.1:2"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["c=127.0.0.1:1"], r"no such backend\n  it has web/a, web/b, api/a"),
        (["wep/a=127.0.0.1:1"], r"did you mean web/a\?"),
        (["a=127.0.0.1:1"], r"several pools have it\n  say web/a or api/a"),
        (["web/a=127.0.0.1:1", "b=127.0.0.1:2"], r"no --lb-backend for api/a of the spec"),
    ],
)
def test_names_that_do_not_fit_the_spec(words: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        controls(spec(), control_places(words))


# --- listeners -------------------------------------------------------------------------------------------------------


def test_listeners_are_met_at_their_own_addresses() -> None:
    met = {"public": ("127.0.0.1", 8080), "inner": ("127.0.0.2", 8081)}
    assert listener_places(spec(), Url("127.0.0.1", 8080)) == met
    assert listener_places(spec(), Url("127.0.0.2", 8081)) == met


def test_one_that_listens_everywhere_is_met_where_the_url_says() -> None:
    met = listener_places(spec(address="0.0.0.0"), Url("127.0.0.5", 8080))
    assert met["public"] == ("127.0.0.5", 8080)


@pytest.mark.parametrize("url", [Url("127.0.0.1", 8081), Url("127.0.0.9", 8080)])
def test_a_url_that_is_no_listener_of_the_spec(url: Url) -> None:
    with pytest.raises(UsageError, match=r"the spec's listeners are public at 127\.0\.0\.1:8080, inner at"):
        listener_places(spec(), url)


def test_the_url_and_the_listener_have_one_scheme() -> None:
    secure = loads(
        TEXT.format(address="127.0.0.1", host="127.0.0.1").replace("port: 8080", "port: 8080, protocol: HTTPS")
    )
    assert listener_places(secure.spec, Url("localhost", 8080, "https"))["public"] == ("127.0.0.1", 8080)
    with pytest.raises(
        UsageError, match=r"says http://, .* public of the spec HTTPS\n  say https:// or `protocol: HTTP`"
    ):
        listener_places(secure.spec, Url("127.0.0.1", 8080))
    with pytest.raises(UsageError, match=r"says https://, .* public of the spec HTTP\n  say http:// or"):
        listener_places(spec(), Url("127.0.0.1", 8080, "https"))


def test_the_plain_spec_is_what_is_known() -> None:
    assert plain_spec(Url("127.0.0.1", 8443, "https"), ["a"]).listeners[0].protocol is Protocol.HTTPS
    plain = plain_spec(Url("127.0.0.1", 8080), ["a", "b"])
    assert [b.name for b in plain.pool("backends").backends] == ["a", "b"]
    assert listener_places(plain, Url("127.0.0.1", 8080)) == {"public": ("127.0.0.1", 8080)}


def test_what_is_not_on_this_machine_is_named() -> None:
    here = Url("127.0.0.1", 8080)
    assert remote_places(spec(), here, {"a": ("127.0.0.3", 1)}) == []
    assert remote_places(spec("192.0.2.1", "192.0.2.2"), Url("lb.example", 80), {"a": ("192.0.2.3", 1)}) == [
        "--lb-target at lb.example",
        "--lb-backend=a at 192.0.2.3",
        "listener public at 192.0.2.1",
        "backend api/a at 192.0.2.2",
    ]
