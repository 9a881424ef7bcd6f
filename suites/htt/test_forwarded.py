"""HTT: the fields that a balancer adds, keeps and strips."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from lbcheck.backends.script import Answer
from lbcheck.checks import check, listeners, serves
from lbcheck.features import Level
from lbcheck.judges.delivery import whole_answer, whole_body
from lbcheck.judges.hashing import same_key_same_backend
from lbcheck.judges.heads import answer_without, arrives_with, arrives_without, keeps_lines, passes_fields
from lbcheck.lab.stage import Stage, StagedBackend
from lbcheck.spec.model import Algorithm, Forward, Forwarded, Listener, Spec
from lbcheck.spec.routing import scheme
from lbcheck.verdict import expect

RFC_FORWARDED = "https://www.rfc-editor.org/rfc/rfc7239#section-7.4"
ALB_HEADERS = "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/x-forwarded-headers.html"
RFC_HOP = "https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1"
CLIENT, SPOOFED = "127.5.6.7", "198.51.100.7"
BODY = b"a body with a length " * 20
FIELDS_AT_ONCE = 12
# What gateways have acted on, or thrown away, though it is no business of theirs.
ASKED = (
    ("Authorization", "Basic dXNlcjpwYXNz"),
    ("Cookie", "a=1; b=2"),
    ("User-Agent", "Mozilla/5.0 (X11; Linux) check"),
    ("Referer", "http://lb.test/from?here=1"),
    ("Origin", "http://other.test"),
    ("Accept", "text/html;q=0.9, */*;q=0.1"),
    ("Accept-Encoding", "br, gzip;q=0.5"),
    ("Accept-Language", "de, en;q=0.7"),
    ("Cache-Control", "no-cache"),
    ("Pragma", "no-cache"),
    ("Content-Type", "application/vnd.check+json; charset=utf-8"),
    ("Content-Encoding", "gzip"),
    ("Range", "bytes=0-9"),
    ("If-Range", '"tag"'),
    ("If-Match", '"one", "two"'),
    ("If-None-Match", 'W/"tag"'),
    ("If-Modified-Since", "Sat, 29 Oct 1994 19:43:31 GMT"),
    ("If-Unmodified-Since", "Sat, 29 Oct 1994 19:43:31 GMT"),
    ("Prefer", "respond-async"),
    ("Priority", "u=1, i"),
    ("Access-Control-Request-Method", "PUT"),
    ("Sec-Fetch-Mode", "cors"),
    ("X-Requested-With", "XMLHttpRequest"),
    ("X-Empty", ""),
    ("X-Quoted", '"a, b"; c="d\\"e"'),
    ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
)
ANSWERED = (
    ("Content-Type", "text/plain; charset=iso-8859-1"),
    ("Content-Language", "de"),
    ("Content-Disposition", 'attachment; filename="a b.txt"'),
    ("Content-Location", "/other"),
    ("Cache-Control", "private, max-age=0"),
    ("Expires", "Sat, 29 Oct 1994 19:43:31 GMT"),
    ("Last-Modified", "Sat, 29 Oct 1994 19:43:31 GMT"),
    ("ETag", 'W/"tag"'),
    ("Age", "7"),
    ("Vary", "Accept-Encoding, Origin"),
    ("Accept-Ranges", "bytes"),
    ("Allow", "GET, HEAD"),
    ("Retry-After", "120"),
    ("Link", '</style.css>; rel="preload"'),
    ("WWW-Authenticate", 'Basic realm="check"'),
    ("Access-Control-Allow-Origin", "*"),
    ("Strict-Transport-Security", "max-age=31536000"),
    ("Set-Cookie", "a=1; Path=/"),
    ("Set-Cookie", "b=2; Expires=Sat, 29 Oct 2044 19:43:31 GMT"),
    ("X-Empty", ""),
    ("X-Powered-By", "check"),
)
TOLD = 40  # addresses that are made up
OTHER, HOPS = "127.5.6.8", ("198.51.100.8, 198.51.100.9", "203.0.113.4")


def says(listener: Listener) -> bool:
    return listener.forwarded is not None and not listener.forwarded.trust


def backends_behind(stage: Stage) -> list[StagedBackend]:
    return [backend for pool in stage.spec.pools for backend in stage.pool(pool.name).backends]


def declared(listener: Listener) -> Forwarded:
    return listener.forwarded or Forwarded()


@check(
    "HTT-01",
    "X-Forwarded-For is appended to, replaced, kept or removed, as declared.",
    subject=listeners(says, within=serves, reads=lambda x: x.forwarded.x_forwarded_for),
    catches={
        "forwarded-for-replaced": "arrives_with",
        "forwarded-for-missing": "arrives_with",
        "forwarded-for-doubled": "arrives_with",
        "forwarded-for-last-line": "arrives_with",
        "forwarded-for-of-the-first": "arrives_with",
    },
    spec_link=ALB_HEADERS,
)
def test_forwarded_for(stage: Stage, listener: Listener) -> None:
    """What clients say in one line, in several and not at all; two of them, whose requests may share a connection."""
    for came in ((SPOOFED,), (), HOPS):
        for client in (CLIENT, OTHER, OTHER):  # in another rhythm than backends take turns
            lines = [("X-Forwarded-For" if at % 2 == 0 else "x-forwarded-for", hops) for at, hops in enumerate(came)]
            exchange = stage.one(listener, source=client, headers=lines)
            told = [hop for hops in came for hop in hops.split(", ")]
            expect(arrives_with(stage.sync(), exchange, "X-Forwarded-For", forwarded_for(listener, told, client)))


def forwarded_for(listener: Listener, told: list[str], client: str) -> list[str]:
    """The list that a backend gets of what a client told."""
    wanted = {"append": [*told, client], "replace": [client], "preserve": told, "remove": []}
    return wanted[declared(listener).x_forwarded_for]


@check(
    "HTT-02",
    "X-Forwarded-Proto and X-Forwarded-Port say what the listener is, whatever the client says.",
    subject=listeners(
        lambda x: says(x) and "set" in (x.forwarded.x_forwarded_proto, x.forwarded.x_forwarded_port),
        within=serves,
        reads=lambda x: (x.forwarded.x_forwarded_proto, x.forwarded.x_forwarded_port),
    ),
    catches={
        "forwarded-proto-trusted": "arrives_with",
        "forwarded-proto-missing": "arrives_with",
        "forwarded-port-missing": "arrives_with",
    },
    spec_link=ALB_HEADERS,
)
def test_forwarded_proto_and_port(stage: Stage, listener: Listener) -> None:
    port = str(stage.spec.listener(listener.name).port)
    once = [("X-Forwarded-Proto", "gopher"), ("X-Forwarded-Port", "70")]
    for headers in (once, [*once, ("x-forwarded-proto", "https"), ("x-forwarded-port", "443")], []):
        exchange = stage.one(listener, headers=headers)
        if declared(listener).x_forwarded_proto == "set":
            expect(arrives_with(stage.sync(), exchange, "X-Forwarded-Proto", [scheme(listener)]))
        if declared(listener).x_forwarded_port == "set":
            expect(arrives_with(stage.sync(), exchange, "X-Forwarded-Port", [port]))


@check(
    "HTT-30",
    "X-Forwarded-Proto and X-Forwarded-Port of a client arrive as they came, or not at all, as declared.",
    level=Level.EXTENDED,
    subject=listeners(
        lambda x: says(x) and {x.forwarded.x_forwarded_proto, x.forwarded.x_forwarded_port} != {"set"},
        within=serves,
        reads=lambda x: (x.forwarded.x_forwarded_proto, x.forwarded.x_forwarded_port),
    ),
    catches={
        "forwarded-proto-set-anyway": "arrives_with",
        "forwarded-port-passed-anyway": "arrives_with",
        "forwarded-port-goes-by-proto": "arrives_with",
    },
    spec_link=ALB_HEADERS,
)
def test_forwarded_proto_and_port_of_a_client(stage: Stage, listener: Listener) -> None:
    modes = {
        "X-Forwarded-Proto": (declared(listener).x_forwarded_proto, "gopher"),
        "X-Forwarded-Port": (declared(listener).x_forwarded_port, "70"),
    }
    saying = stage.one(listener, headers=[(name, value) for name, (_, value) in modes.items()])
    silent = stage.one(listener)
    for name, (mode, value) in modes.items():
        if mode != "set":
            expect(arrives_with(stage.sync(), saying, name, [value] if mode == "preserve" else []))
            expect(arrives_with(stage.history, silent, name, []))


def believes_some(spec: Spec, listener: Listener) -> bool:
    """Is a source hashed behind it, and are peers trusted, but not those from whom a client sends?"""
    pools = spec.pools if isinstance(listener.default, Forward) else ()
    hashed = [p for p in pools if p.algorithm is Algorithm.SOURCE_IP_HASH and len(p.backends) > 1]
    trusted = [ip_network(block) for block in declared(listener).trust]
    return bool(hashed and trusted) and not any(ip_address(CLIENT) in network for network in trusted)


@check(
    "HTT-31",
    "Where some peers' X-Forwarded-For is believed, that of others is not.",
    level=Level.EXTENDED,
    subject=listeners(lambda x: x.forwarded is not None and bool(x.forwarded.trust), within=believes_some),
    catches={"everybody-is-trusted": "same_key_same_backend"},
    spec_link="https://www.rfc-editor.org/rfc/rfc7239#section-8.1",
)
def test_others_are_not_believed(stage: Stage, listener: Listener) -> None:
    told = [[("X-Forwarded-For", f"198.51.100.{number}")] for number in range(TOLD)]
    expect(same_key_same_backend([(CLIENT, stage.one(listener, source=CLIENT, headers=lines)) for lines in told]))


def believes_all(listener: Listener) -> bool:
    """Is the client that sends believed, and its own address told nevertheless?"""
    trusted = [ip_network(block) for block in declared(listener).trust]
    appends = declared(listener).x_forwarded_for == "append"
    return appends and any(ip_address(CLIENT) in network for network in trusted)


@check(
    "HTT-70",
    "Also where its X-Forwarded-For is believed a peer's own address is appended, not the one that it told.",
    level=Level.EXTENDED,
    subject=listeners(believes_all, within=serves),
    catches={"told-client-appended": "arrives_with"},
    spec_link=RFC_FORWARDED,
)
def test_a_believed_peer_is_appended(stage: Stage, listener: Listener) -> None:
    for hops in (SPOOFED, f"{SPOOFED}, {SPOOFED}", *HOPS):
        exchange = stage.one(listener, source=CLIENT, headers=[("X-Forwarded-For", hops)])
        expect(arrives_with(stage.sync(), exchange, "X-Forwarded-For", [*hops.split(", "), CLIENT]))


@check(
    "HTT-03",
    "Host arrives as the client sent it, or as the backend's address, as declared.",
    subject=listeners(says, within=serves, reads=lambda x: x.forwarded.host),
    catches={"host-rewritten": "arrives_with"},
    spec_link="https://www.rfc-editor.org/rfc/rfc9110#section-7.2",
)
def test_host(stage: Stage, listener: Listener) -> None:
    for host in ("Shop.Example.test", "other.test:81"):
        exchange = stage.one(listener, host=host)
        wanted = host
        if declared(listener).host == "backend":
            addresses = {b.name: b.address or "" for p in stage.spec.pools for b in p.backends}
            wanted = addresses.get(exchange.backend or "", "")
        expect(arrives_with(stage.sync(), exchange, "Host", [wanted]))


@check(
    "HTT-04",
    "Hop-by-hop fields, and those that Connection names, stop at the balancer; its own are added after that.",
    subject=listeners(within=serves),
    catches={
        "hop-by-hop-passed": "arrives_without",
        "connection-named-passed": "arrives_without",
        "connection-options-by-case": "arrives_without",
    },
    spec_link=RFC_HOP,
)
def test_hop_by_hop_fields(stage: Stage, listener: Listener) -> None:
    """Options in any case and line, as RFC 9110 section 5.6.1 lets a list be written, and fields in another case."""
    fields = [("Keep-Alive", "timeout=77"), ("Proxy-Connection", "x-hop"), ("X-Hop", "hop")]
    for option in ("x-hop, keep-alive", "X-HOP,KEEP-ALIVE", "close , X-Hop", ", x-hOP,, x-gone"):
        exchange = stage.one(listener, headers=[("Connection", option), *fields])
        expect(arrives_without(stage.sync(), exchange, [("Connection", "x-hop"), *fields]))
    lines = [("Connection", "x-hop"), ("connection", "X-OTHER"), ("x-hop", "hop"), ("X-Other", "hop")]
    exchange = stage.one(listener, headers=lines)
    expect(arrives_without(stage.sync(), exchange, [("X-Hop", "hop"), ("X-Other", "hop")]))
    told = [("X-Forwarded-For", SPOOFED), ("TE", "deflate;q=0.5")]
    exchange = stage.one(listener, headers=[("Connection", "TE, X-Forwarded-For"), *told])
    expect(arrives_without(stage.sync(), exchange, told, refusable=True))
    unnamed = [("TE", "deflate;q=0.5"), ("Upgrade", "x-protocol/1")]
    exchange = stage.one(listener, headers=unnamed)
    expect(arrives_without(stage.sync(), exchange, unnamed, refusable=True))


@check(
    "HTT-05",
    "A client cannot make the balancer drop its own X-Forwarded-For by naming it in Connection.",
    subject=listeners(
        lambda x: says(x) and x.forwarded.x_forwarded_for in ("append", "replace"),
        within=serves,
        reads=lambda x: x.forwarded.x_forwarded_for,
    ),
    catches={"connection-strips-own-fields": "arrives_with", "connection-strips-host": "arrives_with"},
    spec_link="https://nathandavison.com/blog/abusing-http-hop-by-hop-request-headers",
)
def test_own_fields_survive_connection(stage: Stage, listener: Listener) -> None:
    exchange = stage.one(listener, source=CLIENT, headers=[("Connection", "close, X-Forwarded-For")])
    expect(arrives_with(stage.sync(), exchange, "X-Forwarded-For", [CLIENT], refusable=True))
    if declared(listener).host == "keep":
        exchange = stage.one(listener, host="shop.test", headers=[("Connection", "Host")])
        expect(arrives_with(stage.sync(), exchange, "Host", ["shop.test"], refusable=True))


@check(
    "HTT-06",
    "Hop-by-hop fields of an answer stop at the balancer.",
    level=Level.EXTENDED,
    subject=listeners(within=serves),
    catches={
        "answer-hop-by-hop-passed": "answer_without",
        "connection-options-by-case": "answer_without",
        "answer-connection-last-line": "answer_without",
    },
    spec_link=RFC_HOP,
)
def test_answer_hop_by_hop_fields(stage: Stage, listener: Listener) -> None:
    fields = (("Keep-Alive", "timeout=77"), ("X-Hop", "hop"), ("x-other", "hop"))
    for options in (("x-hop, x-other",), ("X-HOP,X-Other",), ("x-other", "X-Hop"), ("x-hop", "close, x-other")):
        lines = tuple(("Connection", option) for option in options)
        for backend in backends_behind(stage):
            backend.answer(Answer(headers=(*lines, *fields)))
        expect(answer_without(stage.one(listener), fields))


@check(
    "HTT-51",
    "A body has its length and a request its Host also where Connection names these fields.",
    level=Level.EXTENDED,
    subject=listeners(within=serves),
    catches={"connection-strips-length": "whole_answer"},
    spec_link="https://www.rfc-editor.org/rfc/rfc9112#section-6.3",
)
def test_connection_takes_no_framing_away(stage: Stage, listener: Listener) -> None:
    """A message that a hop makes of another has to say its own length, whatever the options of the last hop were."""
    for option in ("Content-Length", "content-length, x-hop", "Host", "HOST, Content-Length, Transfer-Encoding"):
        named = ("Connection", option)
        for backend in backends_behind(stage):
            backend.answer(Answer(body=BODY, headers=(named,)))
        for keep_alive in (False, True):
            exchange = stage.client(keep_alive=keep_alive).send(listener)
            expect(whole_answer(exchange, BODY, f"an answer with Connection: {option}"))
        for chunked in (False, True):
            exchange = stage.one(listener, method="POST", body=BODY, chunked=chunked, headers=[named])
            expect(whole_body(stage.sync(), exchange, BODY, f"Connection: {option}", refusable=True))


@check(
    "HTT-52",
    "End-to-end fields of a request and of an answer arrive unchanged, whatever they are about.",
    subject=listeners(within=serves),
    catches={"authorization-dropped": "passes_fields", "entity-tag-dropped": "passes_fields"},
    spec_link="https://www.rfc-editor.org/rfc/rfc9110#section-7.7",
)
def test_end_to_end_fields_arrive(stage: Stage, listener: Listener) -> None:
    for backend in backends_behind(stage):
        backend.answer(Answer(headers=ANSWERED))
    for at in range(0, len(ASKED), FIELDS_AT_ONCE):
        asked = ASKED[at : at + FIELDS_AT_ONCE]
        exchange = stage.one(listener, headers=asked)
        expect(passes_fields(stage.sync(), exchange, asked, ANSWERED))


@check(
    "HTT-12",
    "A repeated end-to-end field arrives with all its values in their order.",
    level=Level.EXTENDED,
    subject=listeners(within=serves),
    catches={"repeated-field-lost": "keeps_lines"},
    spec_link="https://www.rfc-editor.org/rfc/rfc9110#section-5.3",
)
def test_repeated_fields_keep_their_order(stage: Stage, listener: Listener) -> None:
    sent = ["one", "two", "three", "two"]
    exchange = stage.one(listener, headers=[("X-List", value) for value in sent])
    expect(keeps_lines(stage.sync(), exchange, "X-List", sent))
