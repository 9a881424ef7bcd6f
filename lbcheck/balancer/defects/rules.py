"""RTE: which rule acts, and what it does."""

# ruff: noqa: ARG002  (a wrong decision looks at less)

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar
from urllib.parse import unquote

from lbcheck.balancer.decisions import Decisions
from lbcheck.balancer.defects.catalogue import defect
from lbcheck.balancer.request import Request
from lbcheck.balancer.routing import Conditional, Router, Test, bare_host, decoded, networks, pattern, within
from lbcheck.spec.model import Action, Forward, Listener, Redirect, Rewrite


def rewritten_request(request: Request, target: str) -> Request:
    return Request(request.method, target, request.host, request.headers, request.peer, request.tls)


# --- conditions ------------------------------------------------------------------------------------------------------


class AnyWillDo(Conditional):
    def combined(self, tests: Sequence[Test]) -> Test:
        return lambda request: any(test(request) for test in tests) if tests else True


@defect(
    "conditions-any",
    "RTE",
    "One condition of several is enough.",
    "Gateway API: https://github.com/kubernetes-sigs/gateway-api/pull/1370 (AND and OR of header matches)",
)
class ConditionsAny(Decisions):
    conditional: ClassVar[Conditional] = AnyWillDo()


class PrefixByText(Conditional):
    def path_prefix(self, prefixes: Sequence[str]) -> Test:
        return lambda request: request.path.startswith(tuple(prefixes))


@defect(
    "prefix-by-text",
    "RTE",
    "A path prefix is compared as text: /api takes /apiary.",
    "Caddy ingress: https://github.com/caddyserver/ingress/pull/356",
)
class PrefixByTextDefect(Decisions):
    conditional: ClassVar[Conditional] = PrefixByText()


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
    "path-case-ignored",
    "RTE",
    "Paths are matched without regard to case.",
    "RFC 9110 section 4.2.3: paths are case-sensitive; ingress-nginx matches `~*` for regular expressions",
)
class PathCaseIgnored(Decisions):
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
    "Paths are percent-decoded before they are matched, and forwarded as they came.",
    "nginx matches locations against the decoded URI (its manual, `location`)",
)
class PathDecoded(Decisions):
    conditional: ClassVar[Conditional] = DecodedPath()


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


class HostWithPort(Conditional):
    def host(self, patterns: Sequence[str]) -> Test:
        words = [pattern(p, fold=True) for p in patterns]
        return lambda request: any(w(request.host.removesuffix(".")) for w in words)


@defect(
    "host-port-kept",
    "RTE",
    "A Host with a port does not match the name alone.",
    "Envoy: https://github.com/envoyproxy/envoy/issues/3515",
)
class HostPortKept(Decisions):
    conditional: ClassVar[Conditional] = HostWithPort()


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
    "header-case-sensitive",
    "RTE",
    "Names and values of headers are matched with regard to case.",
    "RFC 9110 section 5.1: field names are case-insensitive; ALB compares values so too",
)
class HeaderCaseSensitive(Decisions):
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
    "cookie-rule-substring",
    "RTE",
    "A condition on a cookie is a search in the whole field: xbeta=yes is taken for beta=yes.",
    "header conditions `*beta=yes*` in place of cookie conditions, as is done on ALB",
)
class CookieRuleSubstring(Decisions):
    conditional: ClassVar[Conditional] = LooseCookie()


class ToldSource(Conditional):
    def source(self, blocks: Sequence[str]) -> Test:
        nets = networks(blocks)

        def holds(request: Request) -> bool:
            told = request.header("x-forwarded-for")
            return within(told[0].split(",")[0].strip() if told else request.peer, nets)

        return holds


@defect(
    "source-from-forwarded",
    "RTE",
    "A condition on the source reads X-Forwarded-For, which anybody can write.",
    "gorouter: https://github.com/cloudfoundry/gorouter/issues/179",
)
class SourceFromForwarded(Decisions):
    conditional: ClassVar[Conditional] = ToldSource()


# --- order and actions -----------------------------------------------------------------------------------------------


@defect(
    "rules-last-wins",
    "RTE",
    "Of several rules that match, the one with the highest number acts.",
    "Envoy AI gateway: https://github.com/envoyproxy/ai-gateway/pull/510 (the last match wins)",
)
class RulesLastWins(Decisions):
    def router(self, listener: Listener) -> Router:
        router = super().router(listener)
        router.rules.reverse()
        return router


@defect(
    "rules-in-file-order",
    "RTE",
    "Rules act in the order of the file, whatever their priorities.",
    "APISIX: https://github.com/apache/apisix/issues/3865 (routing priority)",
)
class RulesInFileOrder(Decisions):
    def router(self, listener: Listener) -> Router:
        router = super().router(listener)
        router.rules = [(self.conditional.compile(rule.when), (rule.then, rule.rewrite)) for rule in listener.rules]
        return router


@defect(
    "split-ignores-weights",
    "RTE",
    "A weighted forward gives every pool the same share.",
    "Traefik: https://github.com/traefik/traefik/issues/5232 (weights not respected for traffic splitting)",
)
class SplitIgnoresWeights(Decisions):
    def pool_of(self, action: Action, request: Request) -> str:
        assert isinstance(action, Forward)
        return self.rng.choice(action.pools)[0]


@defect(
    "split-heaviest-only",
    "RTE",
    "A weighted forward sends everything to the heaviest pool.",
    "Traefik: https://github.com/traefik/traefik/issues/4494",
)
class SplitHeaviestOnly(Decisions):
    def pool_of(self, action: Action, request: Request) -> str:
        assert isinstance(action, Forward)
        return max(action.pools, key=lambda pool: pool[1])[0]


@defect(
    "redirect-drops-query",
    "RTE",
    "A redirect loses the query.",
    "`return 301 https://$host$uri` where $request_uri is meant",
)
class RedirectDropsQuery(Decisions):
    def location(self, redirect: Action, listener: Listener, request: Request) -> str:
        return super().location(redirect, listener, request).partition("?")[0]


@defect(
    "redirect-drops-port",
    "RTE",
    "A redirect loses the port.",
    "ingress-nginx: https://github.com/kubernetes/ingress-nginx/issues/1798 and pull 151 (port in redirects)",
)
class RedirectDropsPort(Decisions):
    def location(self, redirect: Action, listener: Listener, request: Request) -> str:
        scheme, _, rest = super().location(redirect, listener, request).partition("://")
        authority, slash, path = rest.partition("/")
        return f"{scheme}://{bare_host(authority)}{slash}{path}"


@defect(
    "redirect-keeps-scheme",
    "RTE",
    "A redirect to another protocol goes to the one that the request came by: a loop.",
    "HTTP to HTTPS redirects behind a proxy that terminates TLS, as with X-Forwarded-Proto unread",
)
class RedirectKeepsScheme(Decisions):
    def location(self, redirect: Action, listener: Listener, request: Request) -> str:
        assert isinstance(redirect, Redirect)
        _, mark, rest = super().location(redirect, listener, request).partition("://")
        return ("https" if request.tls else "http") + mark + rest


@defect(
    "rewrite-ignored",
    "RTE",
    "A rewrite is not carried out: the backend sees the path as it came.",
    "ingress-nginx's rewrite-target left without its capture group",
)
class RewriteIgnored(Decisions):
    def rewritten(self, rewrite: Rewrite, target: str) -> str:
        return target


@defect(
    "rewrite-drops-query",
    "RTE",
    "A rewrite loses the query.",
    "nginx: a `rewrite` whose replacement ends in `?` drops the arguments",
)
class RewriteDropsQuery(Decisions):
    def rewritten(self, rewrite: Rewrite, target: str) -> str:
        return super().rewritten(rewrite, target).partition("?")[0]


@defect(
    "rewrite-double-slash",
    "RTE",
    "A rewrite leaves two slashes where the prefix was.",
    "nginx: `proxy_pass http://backend/;` under a location without a trailing slash",
)
class RewriteDoubleSlash(Decisions):
    def rewritten(self, rewrite: Rewrite, target: str) -> str:
        right = super().rewritten(rewrite, target)
        return "/" + right if right != target else right
