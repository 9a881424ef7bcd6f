"""RTE: which of several rules acts, and what it does."""

# ruff: noqa: ARG002  (a wrong decision looks at less)

from __future__ import annotations

from dataclasses import replace
from posixpath import normpath
from urllib.parse import unquote

from lbcheck.balancer.decisions import Decisions
from lbcheck.balancer.defects.catalogue import defect
from lbcheck.balancer.request import Request
from lbcheck.balancer.routing import Router, bare_host
from lbcheck.spec.model import Action, Forward, Listener, Redirect, Respond, Rewrite


@defect(
    "rule-order-reversed",
    "RTE",
    "Of several rules that match, the one with the highest number acts.",
    "Envoy AI gateway: https://github.com/envoyproxy/ai-gateway/pull/510 (the last match wins)",
)
class RuleOrderReversed(Decisions):
    def router(self, listener: Listener) -> Router:
        router = super().router(listener)
        router.rules.reverse()
        return router


@defect(
    "default-is-first-rule",
    "RTE",
    "A request that no rule takes gets the action of the first rule.",
    "nginx: the first server block is the default where none is named",
)
class DefaultIsFirstRule(Decisions):
    def router(self, listener: Listener) -> Router:
        router = super().router(listener)
        router.default = router.rules[0][1] if router.rules else router.default
        return router


@defect(
    "fixed-response-wrong-status",
    "RTE",
    "A fixed response has the status 200, and 404 where 200 is declared.",
    "a body written before the status: Go's http.ResponseWriter then sends 200",
)
class FixedResponseWrongStatus(Decisions):
    def route(self, listener: Listener, request: Request) -> tuple[Action, Rewrite | None]:
        action, rewrite = super().route(listener, request)
        if isinstance(action, Respond):
            action = replace(action, status=200 if action.status != 200 else 404)
        return action, rewrite


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
    "priorities-as-text",
    "RTE",
    "Priorities are compared as text: 100 comes before 20, and 3000 before 9.",
    "numbers that come as text out of annotations: compare https://github.com/oxidecomputer/maghemite/issues/464",
)
class PrioritiesAsText(Decisions):
    def router(self, listener: Listener) -> Router:
        router = super().router(listener)
        rules = sorted(listener.rules, key=lambda rule: str(rule.priority))
        router.rules = [(self.conditional.compile(rule.when), (rule.then, rule.rewrite)) for rule in rules]
        return router


@defect(
    "routed-once-a-connection",
    "RTE",
    "The first request of a connection chooses the rule for all that follow on it.",
    "HAProxy before 1.4 and its `option tunnel`: only the first request of a connection was looked at",
)
class RoutedOnceAConnection(Decisions):
    def route(self, listener: Listener, request: Request) -> tuple[Action, Rewrite | None]:
        routed = super().route(listener, request)
        firsts = self.__dict__.setdefault("_firsts", {})
        if request.index == 0:
            firsts[listener.name, request.peer] = routed
        return firsts.get((listener.name, request.peer), routed)  # type: ignore[no-any-return]


@defect(
    "weighted-forward-off-by-one",
    "RTE",
    "The draw between weighted pools is off by one: the first gets one part more, also where its weight is 0.",
    "`<=` for `<` where a draw from 0 to the sum of the weights is compared with their running total",
)
class WeightedForwardOffByOne(Decisions):
    def pool_of(self, action: Action, request: Request) -> str:
        assert isinstance(action, Forward)
        left = self.rng.randrange(sum(weight for _, weight in action.pools))
        for name, weight in action.pools:
            left -= weight
            if left <= 0:
                return name
        return action.pools[0][0]


@defect(
    "weighted-forward-ignores-weights",
    "RTE",
    "A weighted forward gives every pool the same share.",
    "Traefik: https://github.com/traefik/traefik/issues/5232 (weights not respected for traffic splitting)",
)
class WeightedForwardIgnoresWeights(Decisions):
    def pool_of(self, action: Action, request: Request) -> str:
        assert isinstance(action, Forward)
        return self.rng.choice(action.pools)[0]


@defect(
    "weighted-forward-heaviest-only",
    "RTE",
    "A weighted forward sends everything to the heaviest pool.",
    "Traefik: https://github.com/traefik/traefik/issues/4494",
)
class WeightedForwardHeaviestOnly(Decisions):
    def pool_of(self, action: Action, request: Request) -> str:
        assert isinstance(action, Forward)
        return max(action.pools, key=lambda pool: pool[1])[0]


@defect(
    "redirect-loses-query",
    "RTE",
    "A redirect loses the query.",
    "`return 301 https://$host$uri` where $request_uri is meant",
)
class RedirectLosesQuery(Decisions):
    def location(self, redirect: Action, listener: Listener, request: Request) -> str:
        return super().location(redirect, listener, request).partition("?")[0]


class ReworkedPath(Decisions):
    """The right Location for another path."""

    def rework(self, path: str) -> str:
        return path

    def location(self, redirect: Action, listener: Listener, request: Request) -> str:
        path, mark, query = request.target.partition("?")
        target = self.rework(path) + mark + query
        told = Request(request.method, target, request.host, request.headers, request.peer, request.tls)
        return super().location(redirect, listener, told)


@defect(
    "redirect-decodes-path",
    "RTE",
    "#{path} is percent-decoded: what was an encoded question mark begins a query.",
    "nginx: `return 301 https://$host$uri`, whose $uri is decoded, where $request_uri is meant",
)
class RedirectDecodesPath(ReworkedPath):
    def rework(self, path: str) -> str:
        return unquote(path)


@defect(
    "redirect-asks-for-nothing",
    "RTE",
    "A redirect of a request without a query ends in a question mark.",
    "HAProxy's `redirect location` with %[path]?%[query]; RFC 3986 section 6.2.3: not the same resource",
)
class RedirectAsksForNothing(Decisions):
    def location(self, redirect: Action, listener: Listener, request: Request) -> str:
        right = super().location(redirect, listener, request)
        return right if "?" in right else right + "?"


@defect(
    "redirect-trims-path",
    "RTE",
    "A redirect takes the last slash off the path.",
    "a path that is put together of its elements; browsers resolve relative links against the last slash",
)
class RedirectTrimsPath(ReworkedPath):
    def rework(self, path: str) -> str:
        return path.rstrip("/") or "/"


@defect(
    "redirect-cleans-path",
    "RTE",
    "A redirect goes to the path with doubled slashes made one and dots resolved.",
    "Go's http.ServeMux redirects to the cleaned path; nginx's `merge_slashes` before `$uri`",
)
class RedirectCleansPath(ReworkedPath):
    def rework(self, path: str) -> str:
        return normpath(path) + "/" * (path.endswith("/") and path != "/")


@defect(
    "redirect-drops-known-ports",
    "RTE",
    "A redirect leaves the ports 80 and 443 out whatever its protocol: http with port 443 goes to 80.",
    "a list of ports to leave out in place of the protocol's own (RFC 9110 section 4.2.3)",
)
class RedirectDropsKnownPorts(Decisions):
    def location(self, redirect: Action, listener: Listener, request: Request) -> str:
        scheme, _, rest = super().location(redirect, listener, request).partition("://")
        authority, slash, path = rest.partition("/")
        return f"{scheme}://{authority.removesuffix(':80').removesuffix(':443')}{slash}{path}"


@defect(
    "redirect-loses-port",
    "RTE",
    "A redirect loses the port.",
    "ingress-nginx: https://github.com/kubernetes/ingress-nginx/issues/1798 and pull 151 (port in redirects)",
)
class RedirectLosesPort(Decisions):
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
    "rewrite-loses-query",
    "RTE",
    "A rewrite loses the query.",
    "nginx: a `rewrite` whose replacement ends in `?` drops the arguments",
)
class RewriteLosesQuery(Decisions):
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


@defect(
    "rewrite-everywhere",
    "RTE",
    "A rewrite replaces the prefix wherever it stands in the path, not at its beginning alone.",
    "ingress-nginx: rewrite-target with a regular expression that is not anchored; str.replace without a count",
)
class RewriteEverywhere(Decisions):
    def rewritten(self, rewrite: Rewrite, target: str) -> str:
        right = super().rewritten(rewrite, target)
        path, mark, query = target.partition("?")
        old, new = (prefix.rstrip("/") for prefix in rewrite.path_prefix)
        return (path.replace(old, new) or "/") + mark + query if old and right != target else right


@defect(
    "own-204-says-a-length",
    "RTE",
    "A fixed answer of 204 says a type and a length of 0, like any other.",
    "RFC 9110 section 8.6 forbids it: https://www.rfc-editor.org/rfc/rfc9110#section-8.6",
)
class Own204SaysALength(Decisions):
    def own_length(self, status: int) -> bool:
        return True


@defect(
    "rewrite-for-one-pool-alone",
    "RTE",
    "A rewrite is forgotten where its rule forwards to several pools.",
    "a canary that is put before an application by a copy of its rule, without what else the rule did",
)
class RewriteForOnePoolAlone(Decisions):
    def route(self, listener: Listener, request: Request) -> tuple[Action, Rewrite | None]:
        action, rewrite = super().route(listener, request)
        return action, None if isinstance(action, Forward) and len(action.pools) > 1 else rewrite
