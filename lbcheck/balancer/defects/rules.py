"""RTE: when a rule holds."""

# ruff: noqa: ARG002  (a wrong decision looks at less)

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar
from urllib.parse import quote, unquote

from lbcheck.balancer.decisions import Decisions
from lbcheck.balancer.defects.catalogue import defect
from lbcheck.balancer.request import Request
from lbcheck.balancer.routing import Conditional, Test, bare_host, decoded, networks, pattern, within
from lbcheck.spec.model import Action, Conditions, Listener, Rewrite


def rewritten_request(request: Request, target: str) -> Request:
    return Request(request.method, target, request.host, request.headers, request.peer, request.tls)


class AnyWillDo(Conditional):
    def combined(self, tests: Sequence[Test]) -> Test:
        return lambda request: any(test(request) for test in tests) if tests else True


@defect(
    "conditions-are-alternatives",
    "RTE",
    "One condition of several is enough.",
    "Gateway API: https://github.com/kubernetes-sigs/gateway-api/pull/1370 (AND and OR of header matches)",
)
class ConditionsAreAlternatives(Decisions):
    conditional: ClassVar[Conditional] = AnyWillDo()


class PrefixByText(Conditional):
    def path_prefix(self, prefixes: Sequence[str]) -> Test:
        return lambda request: request.path.startswith(tuple(prefixes))


@defect(
    "prefix-not-by-elements",
    "RTE",
    "A path prefix is compared as text: /api takes /apiary.",
    "Caddy ingress: https://github.com/caddyserver/ingress/pull/356",
)
class PrefixNotByElements(Decisions):
    conditional: ClassVar[Conditional] = PrefixByText()


class SlashedPrefix(Conditional):
    def path_prefix(self, prefixes: Sequence[str]) -> Test:
        exact, below = frozenset(prefixes), tuple(p.rstrip("/") + "/" for p in prefixes)
        return lambda request: request.path in exact or request.path.startswith(below)


@defect(
    "prefix-keeps-its-slash",
    "RTE",
    "A path prefix that ends in a slash does not take the path without it: /docs/ is not met by /docs.",
    "nginx's `location /docs/`; Gateway API has a prefix's last slash say nothing",
)
class PrefixKeepsItsSlash(Decisions):
    conditional: ClassVar[Conditional] = SlashedPrefix()


class FoldedPath(Conditional):
    def path(self, patterns: Sequence[str]) -> Test:
        words = [pattern(p, fold=True) for p in patterns]
        return lambda request: any(w(request.path) for w in words)

    def path_exact(self, paths: Sequence[str]) -> Test:
        return lambda request: request.path.lower() in [p.lower() for p in paths]

    def path_prefix(self, prefixes: Sequence[str]) -> Test:
        test = super().path_prefix([p.lower() for p in prefixes])
        return lambda request: test(rewritten_request(request, request.target.lower()))


@defect(
    "path-ignores-case",
    "RTE",
    "Paths are matched without regard to case.",
    "RFC 9110 section 4.2.3: paths are case-sensitive; ingress-nginx matches `~*` for regular expressions",
)
class PathIgnoresCase(Decisions):
    conditional: ClassVar[Conditional] = FoldedPath()


class DecodedPath(Conditional):
    def path_exact(self, paths: Sequence[str]) -> Test:
        return lambda request: unquote(request.path) in paths

    def path_prefix(self, prefixes: Sequence[str]) -> Test:
        test = super().path_prefix(prefixes)
        return lambda request: test(rewritten_request(request, unquote(request.target)))


@defect(
    "path-decoded",
    "RTE",
    "Paths are percent-decoded before they are matched, and forwarded so: %2F becomes a slash.",
    "nginx: locations match the decoded URI, and a proxy_pass with a path of its own forwards it decoded",
)
class PathDecoded(Decisions):
    conditional: ClassVar[Conditional] = DecodedPath()

    def route(self, listener: Listener, request: Request) -> tuple[Action, Rewrite | None]:
        action, rewrite = super().route(listener, request)
        return action, rewrite or Rewrite(("/", "/"))

    def rewritten(self, rewrite: Rewrite, target: str) -> str:
        path, mark, query = super().rewritten(rewrite, target).partition("?")
        return quote(unquote(path), safe="/:@!$&'()*+,;=~") + mark + query


class PathWithQuery(Conditional):
    def path(self, patterns: Sequence[str]) -> Test:
        words = [pattern(p) for p in patterns]
        return lambda request: any(w(request.target) for w in words)

    def path_exact(self, paths: Sequence[str]) -> Test:
        return lambda request: request.target in paths


@defect(
    "path-with-query",
    "RTE",
    "The query is matched as a part of the path.",
    "ALB's documentation: a path pattern applies to the path only, not to its query parameters",
)
class PathWithQueryDefect(Decisions):
    conditional: ClassVar[Conditional] = PathWithQuery()


class ShortStar(Conditional):
    def path(self, patterns: Sequence[str]) -> Test:
        def alike(text: str, path: str) -> bool:
            parts, given = text.split("/"), path.split("/")
            return len(parts) == len(given) and all(pattern(p)(g) for p, g in zip(parts, given, strict=True))

        return lambda request: any(alike(p, request.path) for p in patterns)


@defect(
    "star-stops-at-slash",
    "RTE",
    "A * in a path takes no slash.",
    "shell globbing in place of ALB's wildcards, which span slashes",
)
class StarStopsAtSlash(Decisions):
    conditional: ClassVar[Conditional] = ShortStar()


class AnchoredRegex(Conditional):
    def path_regex(self, regexes: Sequence[str]) -> Test:
        return super().path_regex([f"^(?:{r})$" for r in regexes])


@defect(
    "regex-anchored",
    "RTE",
    "A path's regular expression has to match all of it.",
    "Envoy's safe_regex matches the whole path, others search",
)
class RegexAnchored(Decisions):
    conditional: ClassVar[Conditional] = AnchoredRegex()


class CasedHost(Conditional):
    def host(self, patterns: Sequence[str]) -> Test:
        words = [pattern(p) for p in patterns]
        return lambda request: any(w(request.host.partition(":")[0].rstrip(".")) for w in words)


@defect(
    "host-case-sensitive",
    "RTE",
    "Hosts are matched with regard to case.",
    "Apache APISIX: https://github.com/apache/apisix/issues/3357, Sozu: https://github.com/sozu-proxy/sozu/issues/1349",
)
class HostCaseSensitive(Decisions):
    conditional: ClassVar[Conditional] = CasedHost()


class PortedHost(Conditional):
    def host(self, patterns: Sequence[str]) -> Test:
        words = [pattern(p, fold=True) for p in patterns]
        return lambda request: any(w(request.host.removesuffix(".")) for w in words)


@defect(
    "host-with-port",
    "RTE",
    "A Host with a port does not match the name alone.",
    "Envoy: https://github.com/envoyproxy/envoy/issues/3515",
)
class HostWithPort(Decisions):
    conditional: ClassVar[Conditional] = PortedHost()


class DottedHost(Conditional):
    def host(self, patterns: Sequence[str]) -> Test:
        words = [pattern(bare_host(p)) for p in patterns]
        return lambda request: any(w(request.host.partition(":")[0].lower()) for w in words)


@defect(
    "host-dot-kept",
    "RTE",
    "A Host with the root's trailing dot does not match the name without it.",
    "Zentinel: https://github.com/zentinelproxy/zentinel/pull/356",
)
class HostDotKept(Decisions):
    conditional: ClassVar[Conditional] = DottedHost()


class AnyMethod(Conditional):
    def method(self, methods: Sequence[str]) -> Test:
        return lambda _: True


@defect(
    "method-ignored",
    "RTE",
    "Conditions on the method always hold.",
    "nginx gateway: https://github.com/nginx/nginx-gateway-fabric/issues/755 (method left out of matching)",
)
class MethodIgnored(Decisions):
    conditional: ClassVar[Conditional] = AnyMethod()


class FirstHeader(Conditional):
    def header(self, name: str, patterns: Sequence[str]) -> Test:
        lower, words = name.lower(), [pattern(p, fold=True) for p in patterns]
        return lambda request: any(w(value) for value in request.header(lower)[:1] for w in words)


@defect(
    "header-first-only",
    "RTE",
    "Of a repeated header only the first is looked at.",
    "Go's Header.Get, used where Values is meant",
)
class HeaderFirstOnly(Decisions):
    conditional: ClassVar[Conditional] = FirstHeader()


class CasedHeader(Conditional):
    def header(self, name: str, patterns: Sequence[str]) -> Test:
        words = [pattern(p) for p in patterns]
        return lambda request: any(w(v) for n, v in request.headers if n == name for w in words)


@defect(
    "header-name-case-sensitive",
    "RTE",
    "Names and values of headers are matched with regard to case.",
    "RFC 9110 section 5.1: field names are case-insensitive; ALB compares values so too",
)
class HeaderNameCaseSensitive(Decisions):
    conditional: ClassVar[Conditional] = CasedHeader()


class FirstQuery(Conditional):
    def query(self, name: str, patterns: Sequence[str]) -> Test:
        words = [pattern(p) for p in patterns]

        def holds(request: Request) -> bool:
            first = next((value for key, value in decoded(request.query) if key == name), None)
            return first is not None and any(w(first) for w in words)

        return holds


@defect(
    "query-first-only",
    "RTE",
    "Of a repeated query parameter only the first is looked at.",
    "Gateway API leaves repeated parameters open for this reason: `queryParams`, first match SHOULD be used",
)
class QueryFirstOnly(Decisions):
    conditional: ClassVar[Conditional] = FirstQuery()


class LooseCookie(Conditional):
    def cookie(self, name: str, patterns: Sequence[str]) -> Test:
        words = [pattern(f"*{name}={p}*") for p in patterns]
        return lambda request: any(w(line) for line in request.header("cookie") for w in words)


@defect(
    "cookie-condition-substring",
    "RTE",
    "A condition on a cookie is a search in the whole field: xbeta=yes is taken for beta=yes.",
    "header conditions `*beta=yes*` in place of cookie conditions, as is done on ALB",
)
class CookieConditionSubstring(Decisions):
    conditional: ClassVar[Conditional] = LooseCookie()


class ToldSource(Conditional):
    def source(self, blocks: Sequence[str]) -> Test:
        nets = networks(blocks)

        def holds(request: Request) -> bool:
            told = request.header("x-forwarded-for")
            return within(told[0].split(",")[0].strip() if told else request.peer, nets)

        return holds


@defect(
    "source-from-forwarded-for",
    "RTE",
    "A condition on the source reads X-Forwarded-For, which anybody can write.",
    "gorouter: https://github.com/cloudfoundry/gorouter/issues/179",
)
class SourceFromForwardedFor(Decisions):
    conditional: ClassVar[Conditional] = ToldSource()


class ExactAsPrefix(Conditional):
    def path_exact(self, paths: Sequence[str]) -> Test:
        return lambda request: request.path.startswith(tuple(paths))


@defect(
    "exact-as-prefix",
    "RTE",
    "An exact path takes everything that begins like it.",
    "ingress-nginx's `Exact` once written as a plain location; nginx needs `location =`",
)
class ExactAsPrefixDefect(Decisions):
    conditional: ClassVar[Conditional] = ExactAsPrefix()


class FirstValue(Conditional):
    def compile(self, when: Conditions) -> Test:
        plain = {kind: getattr(when, kind)[:1] for kind in ("path", "path_prefix", "path_exact", "path_regex", "host")}
        return super().compile(replace(when, **plain, method=when.method[:1], source=when.source[:1]))


@defect(
    "only-the-first-value",
    "RTE",
    "Of the values that a condition lists only the first counts.",
    "a list read as the one value that it mostly is: breaks ALB's `Values`, any of which will do",
)
class OnlyTheFirstValue(Decisions):
    conditional: ClassVar[Conditional] = FirstValue()


class LastName(Conditional):
    def compile(self, when: Conditions) -> Test:
        return super().compile(replace(when, header=when.header[-1:], query=when.query[-1:], cookie=when.cookie[-1:]))


@defect(
    "only-the-last-name",
    "RTE",
    "Of several headers, query keys or cookies that a rule names only the last is looked at.",
    "a map that is filled anew for each condition of a kind, where all of them have to hold",
)
class OnlyTheLastName(Decisions):
    conditional: ClassVar[Conditional] = LastName()


class RawQuery(Conditional):
    def query(self, name: str, patterns: Sequence[str]) -> Test:
        words = [pattern(p) for p in patterns]

        def holds(request: Request) -> bool:
            pairs = (pair.partition("=") for pair in request.query.split("&"))
            return any(w(value) for key, _, value in pairs if key == name for w in words)

        return holds


@defect(
    "query-not-decoded",
    "RTE",
    "The values of a query are compared as they were sent: lang=%64e is not lang=de.",
    "nginx's $arg_NAME, which nobody decodes (https://nginx.org/en/docs/http/ngx_http_core_module.html#var_arg_)",
)
class QueryNotDecoded(Decisions):
    conditional: ClassVar[Conditional] = RawQuery()
