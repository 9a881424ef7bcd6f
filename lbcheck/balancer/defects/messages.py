"""HTT: header fields, framing, and connections that are used again."""

# ruff: noqa: ARG002  (a wrong decision looks at less)

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from lbcheck.balancer.decisions import Decisions
from lbcheck.balancer.defects.catalogue import defect
from lbcheck.balancer.headers import named
from lbcheck.balancer.request import Request
from lbcheck.balancer.state import BackendState, PoolState
from lbcheck.spec.model import Listener

Fields = list[tuple[str, str]]


class ReworkedFields(Decisions):
    """The right fields for a backend, changed afterwards."""

    def rework(self, fields: Fields, request: Request, backend: BackendState) -> Fields:
        return fields

    def upstream_headers(
        self, listener: Listener, pool: PoolState, backend: BackendState, request: Request
    ) -> list[tuple[str, str]]:
        return self.rework(super().upstream_headers(listener, pool, backend, request), request, backend)


def others(fields: Fields, name: str) -> Fields:
    return [field for field in fields if field[0].lower() != name]


# --- fields ----------------------------------------------------------------------------------------------------------


@defect(
    "hop-by-hop-passed",
    "HTT",
    "Hop-by-hop fields of a client reach the backend.",
    "Pingora: https://github.com/cloudflare/pingora/pull/734, heimdall: https://github.com/dadrus/heimdall/issues/653",
)
class HopByHopPassed(Decisions):
    hop_by_hop: ClassVar[frozenset[str]] = frozenset({"connection", "transfer-encoding"})


@defect(
    "connection-named-passed",
    "HTT",
    "Fields that Connection names reach the backend.",
    "rama: https://github.com/plabayo/rama/issues/748, node-http-proxy: issue 446",
)
class ConnectionNamedPassed(Decisions):
    connection_names: ClassVar[bool] = False


def lower_options(fields: Sequence[tuple[str, str]]) -> Fields:
    """The same fields, but of Connection's options only those in lower case."""
    return [
        (name, ",".join(o for o in value.split(",") if o == o.lower()) if name.lower() == "connection" else value)
        for name, value in fields
    ]


@defect(
    "connection-options-by-case",
    "HTT",
    "A field that Connection names in capitals passes, both ways: options are compared as they are written.",
    "RFC 9110 section 7.6.1: connection options are case-insensitive; a set of raw texts against names in lower case",
)
class ConnectionOptionsByCase(Decisions):
    def upstream_headers(
        self, listener: Listener, pool: PoolState, backend: BackendState, request: Request
    ) -> list[tuple[str, str]]:
        told = Request(
            request.method, request.target, request.host, lower_options(request.headers), request.peer, request.tls
        )
        return super().upstream_headers(listener, pool, backend, told)

    def downstream_headers(self, headers: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        return super().downstream_headers(lower_options(headers))


def named_in_last_line(fields: Sequence[tuple[str, str]]) -> Fields:
    """The same fields, of several Connection lines only the last."""
    last = max((at for at, (name, _) in enumerate(fields) if name.lower() == "connection"), default=-1)
    return [field for at, field in enumerate(fields) if at == last or field[0].lower() != "connection"]


@defect(
    "answer-connection-last-line",
    "HTT",
    "Of several Connection lines of an answer only the last is looked at.",
    "a map of headers with one value a name; RFC 9110 section 5.2 joins the lines of a list",
)
class AnswerConnectionLastLine(Decisions):
    def downstream_headers(self, headers: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        return super().downstream_headers(named_in_last_line(headers))


@defect(
    "connection-strips-length",
    "HTT",
    "A backend that names Content-Length in Connection takes the length away, and its client waits for the end.",
    "RFC 9110 section 7.6.1 taken at its word, without a new framing for the answer that is left",
)
class ConnectionStripsLength(Decisions):
    def downstream_headers(self, headers: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        gone = {option for name, value in headers if name.lower() == "connection" for option in named(value)}
        right = super().downstream_headers(headers)
        return others(right, "content-length") if "content-length" in gone else right


@defect(
    "connection-strips-own-fields",
    "HTT",
    "Connection may name the fields that the balancer itself adds, and so take them away.",
    "heimdall: https://github.com/dadrus/heimdall/issues/653 (abuse of the Connection header)",
)
class ConnectionStripsOwnFields(ReworkedFields):
    def rework(self, fields: Fields, request: Request, backend: BackendState) -> Fields:
        gone = {name for value in request.header("connection") for name in named(value)} - {"host"}
        return [field for field in fields if field[0].lower() not in gone]


@defect(
    "forwarded-for-replaced",
    "HTT",
    "X-Forwarded-For holds the peer alone where it is to be appended.",
    "nginx: `proxy_set_header X-Forwarded-For $remote_addr` in place of $proxy_add_x_forwarded_for",
)
class ForwardedForReplaced(ReworkedFields):
    def rework(self, fields: Fields, request: Request, backend: BackendState) -> Fields:
        return [(n, v.rpartition(", ")[2] if n == "X-Forwarded-For" else v) for n, v in fields]


@defect(
    "forwarded-for-missing",
    "HTT",
    "The peer's address is not told: X-Forwarded-For passes as it came.",
    "hipache: https://github.com/hipache/hipache/issues/165 (spoofable forwarded_for)",
)
class ForwardedForMissing(ReworkedFields):
    def rework(self, fields: Fields, request: Request, backend: BackendState) -> Fields:
        came = [("X-Forwarded-For", value) for value in request.header("x-forwarded-for")]
        return others(fields, "x-forwarded-for") + came


@defect(
    "forwarded-for-doubled",
    "HTT",
    "The client's X-Forwarded-For is passed beside the balancer's own, and comes first.",
    "Aether: https://github.com/aether-lang-dev/aether/issues/1837",
)
class ForwardedForDoubled(ReworkedFields):
    def rework(self, fields: Fields, request: Request, backend: BackendState) -> Fields:
        came = [("X-Forwarded-For", value) for value in request.header("x-forwarded-for")]
        return [fields[0], *came, *fields[1:]]


@defect(
    "forwarded-proto-trusted",
    "HTT",
    "A client's X-Forwarded-Proto is passed on in place of the truth.",
    "docker-nginx: https://github.com/aptible/docker-nginx/pull/69",
)
class ForwardedProtoTrusted(ReworkedFields):
    def rework(self, fields: Fields, request: Request, backend: BackendState) -> Fields:
        told = request.header("x-forwarded-proto")
        return [*others(fields, "x-forwarded-proto"), ("X-Forwarded-Proto", told[0])] if told else fields


@defect(
    "forwarded-proto-missing",
    "HTT",
    "X-Forwarded-Proto is not set.",
    "Synapse: https://github.com/element-hq/synapse/issues/18279 (documented configurations without it)",
)
class ForwardedProtoMissing(ReworkedFields):
    def rework(self, fields: Fields, request: Request, backend: BackendState) -> Fields:
        return others(fields, "x-forwarded-proto")


@defect(
    "forwarded-port-missing",
    "HTT",
    "X-Forwarded-Port is not set.",
    "ALB sets it; most others only when told",
)
class ForwardedPortMissing(ReworkedFields):
    def rework(self, fields: Fields, request: Request, backend: BackendState) -> Fields:
        return others(fields, "x-forwarded-port")


@defect(
    "host-rewritten",
    "HTT",
    "The backend sees its own address as Host where the client's is to be kept, and the other way round.",
    "nginx: `proxy_set_header Host` left out gives $proxy_host",
)
class HostRewritten(ReworkedFields):
    def rework(self, fields: Fields, request: Request, backend: BackendState) -> Fields:
        host = backend.authority if fields[0][1] != backend.authority else request.host
        return [("Host", host), *fields[1:]]


@defect(
    "repeated-field-lost",
    "HTT",
    "Of a field that comes several times only the last reaches the other side.",
    "headers kept in a plain map; Set-Cookie can't even be joined (RFC 9110 section 5.3)",
)
class RepeatedFieldLost(ReworkedFields):
    def rework(self, fields: Fields, request: Request, backend: BackendState) -> Fields:
        return last_of_each(fields)

    def downstream_headers(self, headers: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        return last_of_each(super().downstream_headers(headers))


def last_of_each(fields: Fields) -> Fields:
    last = {name.lower(): i for i, (name, _) in enumerate(fields)}
    return [field for i, field in enumerate(fields) if last[field[0].lower()] == i]


@defect(
    "answer-hop-by-hop-passed",
    "HTT",
    "Hop-by-hop fields of a backend reach the client.",
    "HTTP-Proxy-Servlet: https://github.com/mitre/HTTP-Proxy-Servlet/issues/6",
)
class AnswerHopByHopPassed(Decisions):
    def downstream_headers(self, headers: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        return others(others(list(headers), "transfer-encoding"), "connection")


# --- framing and connections -----------------------------------------------------------------------------------------


def all_of(headers: Sequence[tuple[str, str]], name: str) -> list[str]:
    return [value for field, value in headers if field.lower() == name]


class TwoReadings(int):
    """A body's length as it is read here; a backend is told that it is `told` bytes long."""

    told: int

    @classmethod
    def of(cls, read: int, told: int) -> TwoReadings:
        length = cls(read)
        length.told = told
        return length

    def __format__(self, spec: str) -> str:
        return format(self.told, spec)


@defect(
    "two-lengths-accepted",
    "HTT",
    "Of two Content-Lengths the larger is believed, and the backend believes the smaller.",
    "OpenLiteSpeed: https://github.com/litespeedtech/openlitespeed/issues/395, relayd: h2o issue 3396",
)
class TwoLengthsAccepted(Decisions):
    def framing(self, method: str, headers: Sequence[tuple[str, str]], version: str) -> int | Literal["chunked"] | None:
        lengths = [value.strip() for line in all_of(headers, "content-length") for value in line.split(",")]
        if len(lengths) > 1 and all(length.isdigit() for length in lengths):
            return TwoReadings.of(max(map(int, lengths)), min(map(int, lengths)))
        return super().framing(method, headers, version)


@defect(
    "length-and-chunked-accepted",
    "HTT",
    "Of Content-Length and Transfer-Encoding the length is believed, and the backend ends at an empty chunk.",
    "tinyproxy: https://github.com/tinyproxy/tinyproxy/issues/609 (CL.TE), OpenLiteSpeed: issue 392",
)
class LengthAndChunkedAccepted(Decisions):
    def framing(self, method: str, headers: Sequence[tuple[str, str]], version: str) -> int | Literal["chunked"] | None:
        lengths = all_of(headers, "content-length")
        if lengths and all_of(headers, "transfer-encoding") and lengths[0].isdigit():
            return TwoReadings.of(int(lengths[0]), min(int(lengths[0]), len(b"0\r\n\r\n")))
        return super().framing(method, headers, version)


@defect(
    "odd-coding-is-chunked",
    "HTT",
    "Any Transfer-Encoding that contains the word is taken for chunked.",
    "TE.TE obfuscation, as in https://portswigger.net/web-security/request-smuggling",
)
class OddCodingIsChunked(Decisions):
    def framing(self, method: str, headers: Sequence[tuple[str, str]], version: str) -> int | Literal["chunked"] | None:
        codings = all_of(headers, "transfer-encoding")
        if any("chunked" in coding.lower() for coding in codings):
            return "chunked"
        return super().framing(method, headers, version)


@defect(
    "body-truncated",
    "HTT",
    "Of a request body with a length only the first 64 KiB are forwarded.",
    "a buffer's size taken for the body's; nginx's `client_body_buffer_size` spills to a file for this reason",
)
class BodyTruncated(Decisions):
    def framing(self, method: str, headers: Sequence[tuple[str, str]], version: str) -> int | Literal["chunked"] | None:
        right = super().framing(method, headers, version)
        return min(right, 65536) if isinstance(right, int) else right


@defect(
    "continue-swallowed",
    "HTT",
    "Expect is not passed on, and nobody tells the client to go on: it waits with its body.",
    "RFC 9110 section 10.1.1; a field taken for hop-by-hop without being acted on",
)
class ContinueSwallowed(ReworkedFields):
    def rework(self, fields: Fields, request: Request, backend: BackendState) -> Fields:
        return others(fields, "expect")


@defect(
    "dirty-connection-reused",
    "HTT",
    "A connection on which an exchange did not end cleanly serves the next request.",
    "Membrane: https://github.com/membrane/api-gateway/issues/3187 (pooled after a failed body read)",
)
class DirtyConnectionReused(Decisions):
    def reusable(self, method: str, status: int, keep_alive: bool, clean: bool) -> bool:
        return super().reusable(method, status, keep_alive, True)


@defect(
    "closing-connection-reused",
    "HTT",
    "A connection that the backend said it would close serves the next request.",
    "RFC 9112 section 9.6: no more requests after the close option",
)
class ClosingConnectionReused(Decisions):
    def reusable(self, method: str, status: int, keep_alive: bool, clean: bool) -> bool:
        return super().reusable(method, status, True, clean)


@defect(
    "bodiless-answer-waits",
    "HTT",
    "The answer to a HEAD is taken to have a body.",
    "RFC 9112 section 6.3, item 1",
)
class BodilessAnswerWaits(Decisions):
    def body_expected(self, method: str, status: int) -> bool:
        return super().body_expected("GET", status)


@defect(
    "content-encoding-lost",
    "HTT",
    "The client is not told how an answer's body is encoded.",
    "a client library that decodes for its caller: https://github.com/caddyserver/caddy/issues/3546",
)
class ContentEncodingLost(Decisions):
    def downstream_headers(self, headers: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        return others(super().downstream_headers(headers), "content-encoding")


LONG = 1024


@defect(
    "long-field-cut",
    "HTT",
    "Of a request's field only the first kilobyte is forwarded.",
    "a value copied into a buffer of fixed size; HAProxy's `tune.http.logurilen` cuts its log at this length",
)
class LongFieldCut(ReworkedFields):
    def rework(self, fields: Fields, request: Request, backend: BackendState) -> Fields:
        return [(name, value[:LONG]) for name, value in fields]


@defect(
    "long-answer-field-cut",
    "HTT",
    "Of an answer's field only the first kilobyte is passed on.",
    "the same, on the way back; nginx refuses such heads whole (`proxy_buffer_size`), which is honest",
)
class LongAnswerFieldCut(Decisions):
    def downstream_headers(self, headers: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        return [(name, value[:LONG]) for name, value in super().downstream_headers(headers)]
