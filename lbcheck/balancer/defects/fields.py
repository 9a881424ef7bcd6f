"""HTT: end-to-end fields that do not get through, and fields that come twice."""

# ruff: noqa: ARG002  (a wrong decision looks at less)

from __future__ import annotations

from collections.abc import Sequence

from lbcheck.balancer.decisions import Decisions
from lbcheck.balancer.defects.catalogue import defect
from lbcheck.balancer.defects.messages import Fields, ReworkedFields, others
from lbcheck.balancer.headers import named
from lbcheck.balancer.request import Request
from lbcheck.balancer.state import BackendState


@defect(
    "authorization-dropped",
    "HTT",
    "A client's Authorization does not reach the backend.",
    "a field taken for the gateway's own: RFC 9110 section 11.6.2 has it forwarded; CGI's servers withhold it",
)
class AuthorizationDropped(ReworkedFields):
    def rework(self, fields: Fields, request: Request, backend: BackendState) -> Fields:
        return others(fields, "authorization")


@defect(
    "connection-strips-host",
    "HTT",
    "A client that names Host in Connection takes the Host away that the backend needs.",
    "heimdall: https://github.com/dadrus/heimdall/issues/653 (abuse of the Connection header)",
)
class ConnectionStripsHost(ReworkedFields):
    def rework(self, fields: Fields, request: Request, backend: BackendState) -> Fields:
        gone = {name for value in request.header("connection") for name in named(value)}
        return others(fields, "host") if "host" in gone else fields


@defect(
    "entity-tag-dropped",
    "HTT",
    "The ETag of an answer does not reach the client, though its body is left alone.",
    "nginx: `ngx_http_clear_etag` of filters that change bodies, where nothing is changed",
)
class EntityTagDropped(Decisions):
    def downstream_headers(self, headers: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        return others(super().downstream_headers(headers), "etag")


@defect(
    "last-of-two-lengths",
    "HTT",
    "Of several Content-Lengths of an answer the last is believed, and the client is shown them all.",
    "response splitting by differing lengths: RFC 9112 section 6.3 has a gateway answer 502",
)
class LastOfTwoLengths(Decisions):
    def answer_lengths(self, lengths: Sequence[str]) -> Sequence[str]:
        return lengths[-1:]


@defect(
    "second-host-let-through",
    "HTT",
    "Of two Host fields the first is routed by, and the request goes on.",
    "Host header attacks by ambiguous requests: https://portswigger.net/web-security/host-header/exploiting",
)
class SecondHostLetThrough(Decisions):
    def host_of(self, hosts: Sequence[str]) -> str | None:
        return hosts[0]
