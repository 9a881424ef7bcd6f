"""Fields on their way through, and where messages end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbcheck.balancer.request import Request
from lbcheck.spec.model import Forwarded
from tests.balancer.worlds import World, get

Fields = list[tuple[str, str]]


def passed(request: Request, forwarded: Forwarded | None = None) -> Fields:
    world = World(listener={"forwarded": forwarded})
    return world.decisions.upstream_headers(world.listener, world.pool, world["a"], request)


def values(fields: Fields, name: str) -> list[str]:
    return [v for n, v in fields if n.lower() == name]


ADDED = [("X-Forwarded-For", "192.0.2.1"), ("X-Forwarded-Proto", "http"), ("X-Forwarded-Port", "8080")]


def test_a_plain_request() -> None:
    request = get("/", ("Host", "lb.test"), ("Accept", "*/*"), ("Connection", "keep-alive"), ("Content-Length", "3"))
    assert passed(request) == [("Host", "lb.test"), ("Accept", "*/*"), *ADDED]


def test_order_repetition_and_spelling_are_kept() -> None:
    came = [("x-A", "1"), ("COOKIE", "a"), ("X-a", ""), ("Cookie", "b"), ("x-A", "1")]
    assert passed(get("/", *came))[1:-3] == came


@pytest.mark.parametrize("name", ["Keep-Alive", "proxy-connection", "TE", "Transfer-Encoding", "UPGRADE", "Connection"])
def test_hop_by_hop_fields_end_here(name: str) -> None:
    assert passed(get("/", (name, "x"), ("Trailer", "t"), ("Expect", "100-continue")))[1:3] == [
        ("Trailer", "t"),
        ("Expect", "100-continue"),
    ]
    assert name.lower() not in [n.lower() for n, _ in World().decisions.downstream_headers([(name, "x")])]


def test_what_connection_names_is_stripped_and_what_the_balancer_adds_is_not() -> None:
    request = get(
        "/",
        ("Connection", "close, X-Secret ,host"),
        ("X-Secret", "1"),
        ("X-Forwarded-For", "6.6.6.6"),
        ("connection", "X-FORWARDED-FOR,x-forwarded-proto, X-Forwarded-Port"),
        ("Accept", "*/*"),
    )
    assert passed(request) == [("Host", "lb.test"), ("Accept", "*/*"), *ADDED]


def test_a_backend_can_t_take_the_length_of_its_own_answer_away() -> None:
    came = [("Connection", "Content-Length, X-Gone"), ("Content-Length", "5"), ("X-Gone", "1"), ("Set-Cookie", "a=1")]
    assert World().decisions.downstream_headers(came) == [("Content-Length", "5"), ("Set-Cookie", "a=1")]


@pytest.mark.parametrize(
    ("mode", "told"),
    [
        ("append", ["1.1.1.1, 2.2.2.2, 3.3.3.3, 192.0.2.1"]),
        ("replace", ["192.0.2.1"]),
        ("preserve", ["1.1.1.1, 2.2.2.2", "3.3.3.3"]),
        ("remove", []),
    ],
)
def test_forwarded_for(mode: str, told: list[str]) -> None:
    request = get("/", ("X-Forwarded-For", "1.1.1.1, 2.2.2.2"), ("x-forwarded-for", "3.3.3.3"))
    assert values(passed(request, Forwarded(x_forwarded_for=mode)), "x-forwarded-for") == told  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("mode", "proto", "port"), [("set", ["http"], ["8080"]), ("preserve", ["gopher"], ["70"]), ("none", [], [])]
)
def test_proto_and_port(mode: str, proto: list[str], port: list[str]) -> None:
    rules = Forwarded(x_forwarded_proto=mode, x_forwarded_port=mode)  # type: ignore[arg-type]
    fields = passed(get("/", ("X-Forwarded-Proto", "gopher"), ("X-Forwarded-Port", "70")), rules)
    assert values(fields, "x-forwarded-proto") == proto
    assert values(fields, "x-forwarded-port") == port


def test_tls_is_told() -> None:
    request = Request("GET", "/", "lb.test", [], "192.0.2.1", tls=True)
    assert values(passed(request), "x-forwarded-proto") == ["https"]


@pytest.mark.parametrize(("mode", "host"), [("keep", "lb.test"), ("backend", "127.0.0.1:9097")])
def test_host(mode: str, host: str) -> None:
    rules = Forwarded(host=mode)  # type: ignore[arg-type]
    assert values(passed(get("/", ("host", "lb.test"), ("HOST", "evil")), rules), "host") == [host]


names = st.text("abcXYZ-", min_size=1, max_size=8)


@given(st.lists(st.tuples(names, st.text("ab,; ", max_size=6)), max_size=12), st.lists(names, max_size=3))
def test_everything_else_passes_unchanged(came: Fields, options: list[str]) -> None:
    gone = {o.lower() for o in options}
    fields = passed(get("/", *came, ("Connection", ", ".join(options))))
    assert fields[1:-3] == [field for field in came if field[0].lower() not in gone | {"te"}]


def test_spellings_that_are_remembered_are_bounded() -> None:
    world = World()
    upstream = world.decisions.upstream(world.listener)
    upstream.fields(get("/", *((f"X-{i}", "") for i in range(3000))), world["a"])
    assert len(upstream.kinds) <= 1024


# --- framing ---------------------------------------------------------------------------------------------------------

CL, TE = "Content-Length", "Transfer-Encoding"


@pytest.mark.parametrize(
    ("came", "version", "framing"),
    [
        ([], "1.1", 0),
        ([(CL, "0")], "1.1", 0),
        ([("content-LENGTH", " 17\t")], "1.0", 17),
        ([(CL, "007")], "1.1", 7),
        ([(TE, "chunked")], "1.1", "chunked"),
        ([("transfer-encoding", " Chunked ")], "1.1", "chunked"),
        ([(CL, "5"), (TE, "chunked")], "1.1", None),
        ([(TE, "chunked"), (CL, "5")], "1.1", None),
        ([(CL, "5"), (CL, "5")], "1.1", None),
        ([(CL, "5"), ("content-length", "6")], "1.1", None),
        ([(TE, "chunked")], "1.0", None),
        ([(TE, "chunked"), (TE, "chunked")], "1.1", None),
        *[
            ([(CL, bad)], "1.1", None)
            for bad in ("", "+5", "-5", "5, 5", "5 5", "0x5", "5.0", "\N{ARABIC-INDIC DIGIT FIVE}", "1" * 19, "5\x0b")
        ],
        *[
            ([(TE, bad)], "1.1", None)
            for bad in (
                "",
                "gzip",
                "gzip, chunked",
                "chunked, chunked",
                "xchunked",
                "chunked;q=1",
                "identity",
                "\x0bchunked",
            )
        ],
    ],
)
def test_framing(came: Fields, version: str, framing: int | str | None) -> None:
    assert World().decisions.framing("POST", came, version) == framing


@given(
    st.lists(
        st.tuples(
            st.sampled_from([CL, TE, "Host", "content-length"]), st.sampled_from(["5", "6", "chunked", "", "5,5"])
        )
    )
)
def test_two_framing_fields_are_never_accepted(came: Fields) -> None:
    telling = [name for name, _ in came if name.lower() != "host"]
    framing = World().decisions.framing("POST", came, "1.1")
    if len(telling) > 1:
        assert framing is None
    elif not telling:
        assert framing == 0


@pytest.mark.parametrize(
    ("method", "status", "body"),
    [
        ("GET", 200, True),
        ("HEAD", 200, False),
        ("GET", 204, False),
        ("GET", 304, False),
        ("GET", 103, False),
        ("POST", 500, True),
    ],
)
def test_which_answers_have_a_body(method: str, status: int, body: bool) -> None:
    assert World().decisions.body_expected(method, status) is body


@pytest.mark.parametrize(
    ("keep_alive", "clean", "again"), [(True, True, True), (True, False, False), (False, True, False)]
)
def test_which_connections_serve_again(keep_alive: bool, clean: bool, again: bool) -> None:
    assert World().decisions.reusable("GET", 200, keep_alive, clean) is again
