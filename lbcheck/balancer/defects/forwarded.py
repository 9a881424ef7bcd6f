"""HTT: X-Forwarded-* where it came in several lines, from another client, or is not to be touched."""

# ruff: noqa: ARG002  (a wrong decision looks at less)

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from lbcheck.balancer.decisions import Decisions
from lbcheck.balancer.defects.catalogue import defect
from lbcheck.balancer.defects.messages import Fields, ReworkedFields, others
from lbcheck.balancer.headers import Upstream
from lbcheck.balancer.request import Request
from lbcheck.balancer.state import BackendState
from lbcheck.spec.model import Listener


@defect(
    "forwarded-for-last-line",
    "HTT",
    "Of several X-Forwarded-For lines only the last is kept when the peer is appended.",
    "routedns: https://github.com/folbricht/routedns/pull/549 (one line read where all lines make the list)",
)
class ForwardedForLastLine(ReworkedFields):
    def rework(self, fields: Fields, request: Request, backend: BackendState) -> Fields:
        came = request.header("x-forwarded-for")
        if len(came) < 2:
            return fields
        kept = ", ".join([came[-1], request.peer])
        return [(n, kept if n == "X-Forwarded-For" else v) for n, v in fields]


@defect(
    "forwarded-for-of-the-first",
    "HTT",
    "A backend is told the address of the first client whose request it was sent, also for those of others.",
    "fields made once for a kept connection: HAProxy's `option forwardfor` with `option tunnel` adds it once",
)
class ForwardedForOfTheFirst(ReworkedFields):
    def rework(self, fields: Fields, request: Request, backend: BackendState) -> Fields:
        first = self.__dict__.setdefault("_firsts", {}).setdefault(backend.name, request.peer)
        told = ((n, v.removesuffix(request.peer) + first if v.endswith(request.peer) else v) for n, v in fields)
        return [(n, new if n == "X-Forwarded-For" else old) for (n, new), (_, old) in zip(told, fields, strict=True)]


@defect(
    "alike-from-another-client",
    "HTT",
    "The fields of a request are remembered for all that are alike to the byte, with the address of who asked first.",
    "a cache whose key lacks what the value depends on (web cache poisoning by unkeyed input); here it is the peer",
)
class AlikeFromAnotherClient(ReworkedFields):
    def rework(self, fields: Fields, request: Request, backend: BackendState) -> Fields:
        remembered: dict[object, Fields] = self.__dict__.setdefault("_remembered", {})
        return remembered.setdefault((backend.name, request.host, tuple(request.headers)), fields)


class Setting(Upstream):
    """Tells the protocol whatever is declared."""

    def fields(self, request: Request, backend: BackendState) -> Fields:
        return [*others(super().fields(request, backend), "x-forwarded-proto"), ("X-Forwarded-Proto", "http")]


@defect(
    "forwarded-proto-set-anyway",
    "HTT",
    "X-Forwarded-Proto is set also where a trusted proxy's is to be kept, or none is to be told.",
    "ingress-nginx: https://github.com/kubernetes/ingress-nginx/issues/7758 (overwritten behind another proxy)",
)
class ForwardedProtoSetAnyway(Decisions):
    kind: ClassVar[type[Upstream]] = Setting

    def upstream(self, listener: Listener) -> Upstream:
        return self.kind(listener, self.hop_by_hop, self.connection_names)


@defect(
    "forwarded-port-passed-anyway",
    "HTT",
    "A client's X-Forwarded-Port is passed on where none is to be told.",
    "fields that are not added and so not looked at: what a client makes up is taken for the balancer's",
)
class ForwardedPortPassedAnyway(ReworkedFields):
    def rework(self, fields: Fields, request: Request, backend: BackendState) -> Fields:
        came = [("X-Forwarded-Port", value) for value in request.header("x-forwarded-port")]
        return fields if any(n.lower() == "x-forwarded-port" for n, _ in fields) else [*fields, *came]


@defect(
    "forwarded-port-goes-by-proto",
    "HTT",
    "Whether a client's X-Forwarded-Port is kept is asked of the rule for X-Forwarded-Proto.",
    "of two settings with like names one is read twice",
)
class ForwardedPortGoesByProto(Decisions):
    def upstream(self, listener: Listener) -> Upstream:
        rules = listener.forwarded
        if rules is not None and rules.x_forwarded_port == "preserve" and rules.x_forwarded_proto != "preserve":
            listener = replace(listener, forwarded=replace(rules, x_forwarded_port="none"))
        return super().upstream(listener)


@defect(
    "host-of-the-first",
    "HTT",
    "The head for a backend is remembered for all requests with the same fields, with the Host of who asked first.",
    "a cache whose key lacks what the value depends on (web cache poisoning by unkeyed input); here it is the Host",
)
class HostOfTheFirst(ReworkedFields):
    def rework(self, fields: Fields, request: Request, backend: BackendState) -> Fields:
        told = tuple((n, v) for n, v in request.headers if n.lower() not in ("host", "lbcheck-id"))
        first = self.__dict__.setdefault("_hosts", {}).setdefault((backend.name, request.peer, told), request.host)
        return [(n, first if n.lower() == "host" and v == request.host else v) for n, v in fields]


@defect(
    "fields-of-the-one-before",
    "HTT",
    "What a request does not set is told as the one before it had it, since one object serves them all.",
    "fasthttp: https://github.com/valyala/fasthttp/pull/1626 (a request object is used again, and not all reset)",
)
class FieldsOfTheOneBefore(ReworkedFields):
    def rework(self, fields: Fields, request: Request, backend: BackendState) -> Fields:
        before: Fields = self.__dict__.setdefault("_before", {}).get(request.peer, [])
        self.__dict__["_before"][request.peer] = fields
        names = {n.lower() for n, _ in fields}
        return [*fields, *((n, v) for n, v in before if n.lower() not in names and n.lower().startswith("x-o"))]


@defect(
    "told-client-appended",
    "HTT",
    "X-Forwarded-For is appended with the client that a believed peer told, and the peer is not in it.",
    "two addresses of one request, who is connected and who is told, under names that are taken for each other",
)
class ToldClientAppended(ReworkedFields):
    def rework(self, fields: Fields, request: Request, backend: BackendState) -> Fields:
        if request.client == request.peer:
            return fields
        told = ((n, v.removesuffix(request.peer) + request.client) for n, v in fields)
        return [new if old[0] == "X-Forwarded-For" else old for new, old in zip(told, fields, strict=True)]


@defect(
    "authority-of-the-first",
    "HTT",
    "The head for a backend is remembered for requests with the same fields, whatever authority their target has.",
    "a cache whose key lacks what the value depends on (web cache poisoning by unkeyed input); here it is the target",
)
class AuthorityOfTheFirst(ReworkedFields):
    def rework(self, fields: Fields, request: Request, backend: BackendState) -> Fields:
        key = (backend.name, request.peer, tuple(request.headers))
        first = self.__dict__.setdefault("_authorities", {}).setdefault(key, request.host)
        return [(n, first if n.lower() == "host" and v == request.host else v) for n, v in fields]
