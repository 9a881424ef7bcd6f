"""ALG: maps from keys to backends."""

# ruff: noqa: ARG002  (a wrong decision looks at less)

from __future__ import annotations

from hashlib import blake2b

from lbcheck.balancer import policies
from lbcheck.balancer.decisions import Decisions
from lbcheck.balancer.defects.catalogue import defect
from lbcheck.balancer.request import Request
from lbcheck.balancer.routing import Router, within
from lbcheck.balancer.state import BackendState, PoolState
from lbcheck.spec.model import Action, Algorithm, Listener, Rewrite


def digest(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")


class Hashing(Decisions):
    """Another map for the pools that hash."""

    def mapped(self, pool: PoolState, among: list[BackendState], key: str, request: Request) -> BackendState:
        return policies.rendezvous(among, key)

    def pick(self, pool: PoolState, among: list[BackendState], request: Request, now: float) -> BackendState:
        hashes = pool.spec.algorithm in (Algorithm.SOURCE_IP_HASH, Algorithm.CONSISTENT_HASH)
        key = policies.key_of(pool.spec, request) if hashes else None
        return super().pick(pool, among, request, now) if key is None else self.mapped(pool, among, key, request)


@defect(
    "source-port-hashed",
    "ALG",
    "The client's port is hashed with its address, so that each connection may go elsewhere.",
    "a key made of the whole socket address (Go's RemoteAddr); the count of requests stands for the fresh port here",
)
class SourcePortHashed(Hashing):
    def mapped(self, pool: PoolState, among: list[BackendState], key: str, request: Request) -> BackendState:
        port = sum(b.served for b in pool.backends) if key == request.client else 0
        return policies.rendezvous(among, f"{key}:{port}")


@defect(
    "hash-first-octet",
    "ALG",
    "Only the first octet of an address is hashed: a whole site lands on one backend.",
    "nginx's `ip_hash` reads the first three octets of an IPv4 address; this reads one",
)
class HashFirstOctet(Hashing):
    def mapped(self, pool: PoolState, among: list[BackendState], key: str, request: Request) -> BackendState:
        return policies.rendezvous(among, key.split(".")[0] if key == request.client else key)


@defect(
    "spoofed-address-hashed",
    "ALG",
    "The leftmost X-Forwarded-For is taken for the client, whoever sent it.",
    "gorouter: https://github.com/cloudfoundry/gorouter/issues/179 (X-Forwarded-For allows spoofing)",
)
class SpoofedAddressHashed(Decisions):
    def route(self, listener: Listener, request: Request) -> tuple[Action, Rewrite | None]:
        told = [hop.strip() for line in request.header("x-forwarded-for") for hop in line.split(",")]
        outcome = super().route(listener, request)
        request.client = told[0] if told else request.client
        return outcome


@defect(
    "everybody-is-trusted",
    "ALG",
    "Where the X-Forwarded-For of some peers is believed, that of all is.",
    "gorouter: https://github.com/cloudfoundry/gorouter/issues/179; a switch where a list of proxies is meant",
)
class EverybodyIsTrusted(Decisions):
    def client_address(self, router: Router, request: Request) -> str:
        hops = [hop.strip() for line in request.header("x-forwarded-for") for hop in line.split(",")]
        return next((hop for hop in reversed(hops) if not within(hop, router.trust)), request.peer)


@defect(
    "trusted-first-address",
    "ALG",
    "Of a trusted peer's X-Forwarded-For the first address is believed, which the client itself may have written.",
    "Home Assistant: https://github.com/home-assistant/core/pull/38696 (the list is read from its right end since)",
)
class TrustedFirstAddress(Decisions):
    def client_address(self, router: Router, request: Request) -> str:
        hops = [hop.strip() for line in request.header("x-forwarded-for") for hop in line.split(",")]
        return hops[0] if hops and within(request.peer, router.trust) else super().client_address(router, request)


@defect(
    "trusted-forwarded-ignored",
    "ALG",
    "A trusted peer's X-Forwarded-For is not believed: all clients behind it are one.",
    "the reverse of the above; nginx without `set_real_ip_from`",
)
class TrustedForwardedIgnored(Decisions):
    def route(self, listener: Listener, request: Request) -> tuple[Action, Rewrite | None]:
        outcome = super().route(listener, request)
        request.client = request.peer
        return outcome


@defect(
    "hash-key-ignored",
    "ALG",
    "Whatever the key is, the same value is hashed: everybody lands on one backend.",
    "an unset variable as a hash key, as in nginx's `hash $unset consistent`",
)
class HashKeyIgnored(Hashing):
    def mapped(self, pool: PoolState, among: list[BackendState], key: str, request: Request) -> BackendState:
        return policies.rendezvous(among, "")


@defect(
    "hash-weights-linear",
    "ALG",
    "A backend's weight multiplies its score, so that the heavy ones get more keys than their share.",
    "rendezvous hashing as it is often written; Schindelhauer and Schomaker 2005 say why it needs a logarithm",
)
class HashWeightsLinear(Hashing):
    def mapped(self, pool: PoolState, among: list[BackendState], key: str, request: Request) -> BackendState:
        return max(among, key=lambda b: b.weight * digest(f"{key} {b.name}"))


@defect(
    "hash-weights-ignored",
    "ALG",
    "Keys are shared evenly, whatever the weights are.",
    "a map built of names alone; in nginx's `hash ... consistent` and HAProxy's `hash-type consistent` weights count",
)
class HashWeightsIgnored(Hashing):
    def mapped(self, pool: PoolState, among: list[BackendState], key: str, request: Request) -> BackendState:
        return max(among, key=lambda b: digest(f"{key} {b.name}"))


@defect(
    "hash-path-with-query",
    "ALG",
    "The query is hashed with the path, so that one path is at many backends.",
    "Envoy's `:path` and nginx's `$request_uri` hold both; HAProxy's `balance uri` hashes what is before the `?`",
)
class HashPathWithQuery(Hashing):
    def mapped(self, pool: PoolState, among: list[BackendState], key: str, request: Request) -> BackendState:
        return policies.rendezvous(among, request.target if pool.spec.hash_key == "path" else key)


@defect(
    "hash-whole-cookie-field",
    "ALG",
    "The whole Cookie field is hashed in place of one cookie's value.",
    "a hash policy on the header `cookie`; every other cookie that a browser holds moves the key",
)
class HashWholeCookieField(Hashing):
    def mapped(self, pool: PoolState, among: list[BackendState], key: str, request: Request) -> BackendState:
        by_cookie = pool.spec.hash_key.startswith("cookie:")
        return policies.rendezvous(among, ";".join(request.header("cookie")) if by_cookie else key)


@defect(
    "hash-whole-query",
    "ALG",
    "The whole query is hashed in place of one parameter's value.",
    "HAProxy's `balance uri whole` where `balance url_param` is meant",
)
class HashWholeQuery(Hashing):
    def mapped(self, pool: PoolState, among: list[BackendState], key: str, request: Request) -> BackendState:
        return policies.rendezvous(among, request.query if pool.spec.hash_key.startswith("query:") else key)


@defect(
    "hash-header-name-case-sensitive",
    "ALG",
    "A header that is hashed is found only as the configuration spells it.",
    "RFC 9110 section 5.1: field names are case-insensitive, and clients behind HTTP/2 send them in small letters",
)
class HashHeaderNameCaseSensitive(Decisions):
    def pick(self, pool: PoolState, among: list[BackendState], request: Request, now: float) -> BackendState:
        part, _, name = pool.spec.hash_key.partition(":")
        hashes = pool.spec.algorithm is Algorithm.CONSISTENT_HASH and part == "header" and name.lower() != "host"
        if hashes and all(sent != name for sent, _ in request.headers):
            return policies.round_robin(pool, among, request, now, self.rng)
        return super().pick(pool, among, request, now)


@defect(
    "hash-modulo",
    "ALG",
    "The hash is taken modulo the number of usable backends: one that goes moves nearly every key.",
    "HAProxy's `hash-type map-based`, where a consistent one is declared",
)
class HashModulo(Hashing):
    def mapped(self, pool: PoolState, among: list[BackendState], key: str, request: Request) -> BackendState:
        return among[digest(key) % len(among)]


@defect(
    "hash-list-order",
    "ALG",
    "Backends are hashed by their place in the list: another order is another map.",
    "Envoy's Maglev: https://github.com/envoyproxy/envoy/issues/20703",
)
class HashListOrder(Hashing):
    def mapped(self, pool: PoolState, among: list[BackendState], key: str, request: Request) -> BackendState:
        return max(among, key=lambda b: digest(f"{key} {b.position}"))


@defect(
    "hash-remembers-the-dead",
    "ALG",
    "A backend that was out comes back with other keys than it had.",
    "rings that are rebuilt with fresh points; the claim is Envoy's for RING_HASH",
)
class HashRemembersTheDead(Hashing):
    def mapped(self, pool: PoolState, among: list[BackendState], key: str, request: Request) -> BackendState:
        return max(among, key=lambda b: digest(f"{key} {b.name} {b.rising_since}"))
