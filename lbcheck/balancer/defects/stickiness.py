"""STK: bound clients and the cookies that bind them."""

# ruff: noqa: ARG002  (a wrong decision looks at less)

from __future__ import annotations

from base64 import b64encode
from collections.abc import Collection, Sequence
from math import inf

from lbcheck.balancer.decisions import Decisions, Nobody
from lbcheck.balancer.defects.catalogue import defect
from lbcheck.balancer.request import Request
from lbcheck.balancer.state import BackendState, PoolState
from lbcheck.balancer.stickiness import Affinity, AppCookie, LbCookie, SourceAddress
from lbcheck.spec.model import Pool, Stickiness

Fields = Sequence[tuple[str, str]]


class OtherCookie(Decisions):
    """Another kind of lb cookie than the right one."""

    kind: type[LbCookie] = LbCookie

    def affinity(self, pool: Pool) -> Affinity | None:
        right = super().affinity(pool)
        return self.kind(right.spec, right.secret, right.epoch) if isinstance(right, LbCookie) else right


class ReworkedCookie(Decisions):
    """The right Set-Cookie, changed on its way out."""

    def rework(self, line: str, request: Request) -> str:
        return line

    def bind(self, pool: PoolState, request: Request, backend: BackendState, headers: Fields, now: float) -> str | None:
        line = super().bind(pool, request, backend, headers, now)
        return None if line is None else self.rework(line, request)


def without(line: str, attribute: str) -> str:
    return "; ".join(part for part in line.split("; ") if not part.lower().startswith(attribute))


# --- what the cookie says --------------------------------------------------------------------------------------------


class AddressCookie(LbCookie):
    def spelled(self, address: str) -> str:
        return address

    def value(self, backend: BackendState, now: float) -> str:
        return self.spelled(backend.authority)

    def read(self, pool: PoolState, request: Request, now: float) -> tuple[BackendState, float] | None:
        values = self.values(request)
        return next(((b, now) for b in pool.backends if self.spelled(b.authority) in values), None)


@defect(
    "cookie-carries-address",
    "STK",
    "The cookie is the backend's address in plain text, and whoever writes another goes there.",
    "oxy: https://github.com/vulcand/oxy/issues/107",
)
class CookieCarriesAddress(OtherCookie):
    kind = AddressCookie


class EncodedAddressCookie(AddressCookie):
    def spelled(self, address: str) -> str:
        return b64encode(address.encode()).decode()


@defect(
    "cookie-encodes-address",
    "STK",
    "The cookie is the backend's address in base64, which anybody can decode and write.",
    "Envoy: extensions.http.stateful_session.cookie.v3, docs/findings.md",
)
class CookieEncodesAddress(OtherCookie):
    kind = EncodedAddressCookie


class UnsignedCookie(LbCookie):
    def opened(self, value: str) -> tuple[float, bytes] | None:
        body = self.decoded(value)[:14]
        return (int.from_bytes(body[:6], "big") / 1000, body[6:]) if len(body) == 14 else None


@defect(
    "cookie-signature-unchecked",
    "STK",
    "A cookie that was tampered with is still believed.",
    "oxy: https://github.com/vulcand/oxy/issues/107 (forged cookies)",
)
class CookieSignatureUnchecked(OtherCookie):
    kind = UnsignedCookie


class SubstringCookie(LbCookie):
    def values(self, request: Request) -> list[str]:
        return [value for name, value in request.cookies if self.spec.cookie in name][:1]


@defect(
    "cookie-name-substring",
    "STK",
    "A cookie whose name only contains the declared one is taken for it.",
    "a search for `name=` in the whole field; compare https://github.com/alibaba/tengine/pull/870",
)
class CookieNameSubstring(OtherCookie):
    kind = SubstringCookie


class LonelyCookie(LbCookie):
    def values(self, request: Request) -> list[str]:
        return super().values(request) if len(request.cookies) == 1 else []


@defect(
    "cookie-only-when-alone",
    "STK",
    "The cookie is not found when the client sends others beside it.",
    "Tengine: https://github.com/alibaba/tengine/pull/870 (not found in some cases)",
)
class CookieOnlyWhenAlone(OtherCookie):
    kind = LonelyCookie


class CarelessCookie(LbCookie):
    def read(self, pool: PoolState, request: Request, now: float) -> tuple[BackendState, float] | None:
        known = super().read(pool, request, now)
        return known or ((pool.backends[0], now) if self.values(request) else None)


@defect(
    "unknown-cookie-first-backend",
    "STK",
    "Every cookie that can't be read binds to the first backend of the list.",
    "a look-up that falls back to index 0; Envoy and Traefik choose anew",
)
class UnknownCookieFirstBackend(OtherCookie):
    kind = CarelessCookie


@defect(
    "bad-cookie-refused",
    "STK",
    "A client whose cookie can't be read is refused.",
    "ALB's group stickiness: https://repost.aws/questions/QUugYm4uzWSI2af5mnmMjlZQ (503 until the cookie expires)",
)
class BadCookieRefused(Decisions):
    def choose(
        self, pool: PoolState, request: Request, now: float, tried: Collection[str] = ()
    ) -> BackendState | Nobody:
        cookie = pool.affinity.values(request) if isinstance(pool.affinity, LbCookie) else []
        bad = bool(cookie) and self.bound(pool, request, now) is None
        return Nobody.NONE_USABLE if bad else super().choose(pool, request, now, tried)


@defect(
    "cookie-set-each-time",
    "STK",
    "The cookie is set again on every answer.",
    "RFC 6265 section 4.1: it defeats caches; ALB documents that it does so",
)
class CookieSetEachTime(Decisions):
    def bind(self, pool: PoolState, request: Request, backend: BackendState, headers: Fields, now: float) -> str | None:
        line = super().bind(pool, request, backend, headers, now)
        again = line is None and isinstance(pool.affinity, LbCookie)
        return pool.affinity.set_cookie(backend, now) if again and isinstance(pool.affinity, LbCookie) else line


@defect(
    "cookie-without-httponly",
    "STK",
    "The cookie lacks HttpOnly.",
    "RFC 6265 section 5.2.6; Traefik's sticky cookie had the flag only on demand",
)
class CookieWithoutHttponly(ReworkedCookie):
    def rework(self, line: str, request: Request) -> str:
        return without(line, "httponly")


@defect("cookie-without-secure", "STK", "The cookie lacks Secure where it is declared.", "RFC 6265 section 5.2.5")
class CookieWithoutSecure(ReworkedCookie):
    def rework(self, line: str, request: Request) -> str:
        return without(line, "secure")


@defect(
    "cookie-without-same-site",
    "STK",
    "The cookie lacks SameSite where it is declared.",
    "RFC 6265bis; ALB sets AWSALBCORS beside AWSALB since browsers read its absence as Lax",
)
class CookieWithoutSameSite(ReworkedCookie):
    def rework(self, line: str, request: Request) -> str:
        return without(line, "samesite")


@defect(
    "cookie-without-max-age",
    "STK",
    "The cookie is a session cookie although a duration is declared.",
    "RFC 6265 section 4.1.2.2",
)
class CookieWithoutMaxAge(ReworkedCookie):
    def rework(self, line: str, request: Request) -> str:
        return without(without(line, "max-age"), "expires")


@defect(
    "cookie-for-one-path",
    "STK",
    "The cookie's Path is that of the request, so that other pages of the client are not bound.",
    "RFC 6265 section 5.1.4: the default path of a cookie without the attribute",
)
class CookieForOnePath(ReworkedCookie):
    def rework(self, line: str, request: Request) -> str:
        return line.replace("Path=/", f"Path={request.path}")


# --- who is bound ----------------------------------------------------------------------------------------------------


@defect(
    "sticky-never-matches",
    "STK",
    "Bindings are made, and never looked at.",
    "Tengine: https://github.com/alibaba/tengine/pull/870 (session cookie not found)",
)
class StickyNeverMatches(Decisions):
    def bound(self, pool: PoolState, request: Request, now: float) -> BackendState | None:
        return None


@defect(
    "sticky-for-everybody",
    "STK",
    "Every client is bound to the same backend.",
    "HAProxy: https://github.com/haproxy/haproxy/issues/1350 (everybody on one server)",
)
class StickyForEverybody(Decisions):
    def pick(self, pool: PoolState, among: list[BackendState], request: Request, now: float) -> BackendState:
        return among[0] if pool.affinity is not None else super().pick(pool, among, request, now)


@defect(
    "sticky-never-expires",
    "STK",
    "Bindings do not end after their duration.",
    "an expiry that only the browser knows of; source-address tables that are never cleaned",
)
class StickyNeverExpires(Decisions):
    def affinity(self, pool: Pool) -> Affinity | None:
        affinity = super().affinity(pool)
        if isinstance(affinity, LbCookie):
            affinity.lasts = inf
        elif isinstance(affinity, AppCookie | SourceAddress):
            affinity.table.lasts = inf
        return affinity


@defect(
    "sticky-to-the-dead",
    "STK",
    "A bound client is sent to its backend even when that is out.",
    "Styx: https://github.com/ExpediaGroup/styx/issues/70 (pinned to failed origins)",
)
class StickyToTheDead(Decisions):
    def keeps(self, pool: PoolState, backend: BackendState) -> bool:
        return True


@defect(
    "dead-binding-wanders",
    "STK",
    "A client whose backend is gone is not bound anew, and wanders from then on.",
    "Traefik: https://github.com/traefik/traefik/issues/3975 (stickiness cookie missing after a retry)",
)
class DeadBindingWanders(Decisions):
    def bind(self, pool: PoolState, request: Request, backend: BackendState, headers: Fields, now: float) -> str | None:
        if self.bound(pool, request, now) not in (None, backend):
            return None
        return super().bind(pool, request, backend, headers, now)

    def affinity(self, pool: Pool) -> Affinity | None:
        affinity = super().affinity(pool)
        return StubbornAddress(affinity.spec) if isinstance(affinity, SourceAddress) else affinity


class StubbornAddress(SourceAddress):
    def chosen(self, request: Request, backend: BackendState, now: float) -> None:
        if self.table.get(request.client, now) in (None, backend.name):
            super().chosen(request, backend, now)


class FirstValueKept(AppCookie):
    def learn(self, line: str, backend: BackendState, now: float) -> None:
        if not self.table.entries:
            super().learn(line, backend, now)


@defect(
    "app-cookie-learned-once",
    "STK",
    "Only the first application cookie is learned: later ones and their changes are not followed.",
    "Tempesta: https://github.com/tempesta-tech/tempesta/pull/1354 (learning sessions from Set-Cookie)",
)
class AppCookieLearnedOnce(Decisions):
    def affinity(self, pool: Pool) -> Affinity | None:
        affinity = super().affinity(pool)
        return FirstValueKept(affinity.spec) if isinstance(affinity, AppCookie) else affinity


@defect(
    "app-cookie-not-learned",
    "STK",
    "The application's cookie is not learned from its answers.",
    "OpenCraft: https://github.com/open-craft/opencraft/pull/266 (the sticky map was not filled any more)",
)
class AppCookieNotLearned(Decisions):
    def bind(self, pool: PoolState, request: Request, backend: BackendState, headers: Fields, now: float) -> str | None:
        return super().bind(pool, request, backend, () if isinstance(pool.affinity, AppCookie) else headers, now)


@defect(
    "source-affinity-forgets",
    "STK",
    "A binding by source address lasts for one request.",
    "a table whose entries expire at once (stick-table `expire` in milliseconds read as something else)",
)
class SourceAffinityForgets(Decisions):
    def affinity(self, pool: Pool) -> Affinity | None:
        affinity = super().affinity(pool)
        if isinstance(affinity, SourceAddress):
            affinity.table.lasts = 0.0
        return affinity


# --- how long --------------------------------------------------------------------------------------------------------


class HalvedCookie(LbCookie):
    def __init__(self, spec: Stickiness, secret: bytes, epoch: float | None = None) -> None:
        super().__init__(spec, secret, epoch)
        self.lasts /= 2


@defect(
    "sticky-expires-early",
    "STK",
    "A binding ends after half of its duration, whatever the cookie says.",
    "an idle time shorter than the cookie's life: HAProxy's `maxidle` beside its `maxlife`",
)
class StickyExpiresEarly(OtherCookie):
    kind = HalvedCookie


class LateAppCookie(AppCookie):
    def bind(self, pool: PoolState, request: Request, backend: BackendState, headers: Fields, now: float) -> str | None:
        return super().bind(pool, request, self.bound(pool, request, now) or backend, headers, now)


@defect(
    "app-cookie-bound-to-the-dead",
    "STK",
    "A cookie that the application sets after a failover is bound to the backend that was chosen first.",
    "a choice noted before the request is retried: https://github.com/envoyproxy/envoy/issues/2259 tells the two apart",
)
class AppCookieBoundToTheDead(Decisions):
    def affinity(self, pool: Pool) -> Affinity | None:
        right = super().affinity(pool)
        return LateAppCookie(right.spec) if isinstance(right, AppCookie) else right


class OneLineAppCookie(AppCookie):
    def bind(self, pool: PoolState, request: Request, backend: BackendState, headers: Fields, now: float) -> str | None:
        first = [field for field in headers if field[0].lower() == "set-cookie"][:1]
        return super().bind(pool, request, backend, first, now)


@defect(
    "app-cookie-first-line-only",
    "STK",
    "The application's cookie is looked for in an answer's first Set-Cookie line alone.",
    "a map of headers with one value a name: RFC 6265 section 3 has a line for each cookie",
)
class AppCookieFirstLineOnly(Decisions):
    def affinity(self, pool: Pool) -> Affinity | None:
        right = super().affinity(pool)
        return OneLineAppCookie(right.spec) if isinstance(right, AppCookie) else right
