"""RTE: what a rule does with a request."""

from __future__ import annotations

from dataclasses import replace

from lbcheck.checks import check, rules
from lbcheck.features import Level
from lbcheck.judges.draws import enough, shares_fit
from lbcheck.judges.figures import of_shares
from lbcheck.judges.routing import acts, refused_or_as
from lbcheck.judges.sequential import SharesTest
from lbcheck.lab.plays import ask, expect_routed, send_until
from lbcheck.lab.stage import Stage
from lbcheck.spec.model import Forward, Redirect, Respond, Rule
from lbcheck.spec.routing import location
from lbcheck.verdict import expect

ALB_ACTIONS = "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/listener-rules.html"
EFFECT = 0.05


@check(
    "RTE-14",
    "A redirect keeps of the URL what it does not replace: scheme, host, port, path and query.",
    subject=rules(lambda r: isinstance(r.then, Redirect), reads=lambda r: r.then),
    catches={
        "redirect-loses-query": "acts",
        "redirect-keeps-scheme": "acts",
        "redirect-loses-port": "acts",
        "redirect-decodes-path": "acts",
        "redirect-drops-known-ports": "acts",
        "redirect-trims-path": "acts",
        "redirect-asks-for-nothing": "acts",
    },
    spec_link="https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_RedirectActionConfig.html",
)
def test_redirect(stage: Stage, rule: Rule) -> None:
    listener, request = stage.to(rule)
    expect_routed(stage, listener, request)
    expect_routed(stage, listener, replace(request, target=f"{request.path.rstrip('/')}/a%20b%3Fc%25/D%C3%A9?x=%3D"))
    if rule.when.path_prefix:
        for rest in ("/", "/a/", "/a?", "/a;b=1/c:d@e!$&'()*+,=", "/?x=/y//z?&"):
            expect_routed(stage, listener, replace(request, target=f"{request.path.rstrip('/')}{rest}"))
    if not rule.when.query:
        expect_routed(stage, listener, replace(request, target=f"{request.path}?a=1&b=%26&b=+%2B"))
    if not rule.when.host:
        expect_routed(stage, listener, replace(request, host="Shop.Example.test:81"))
    if not rule.when.method:
        expect_routed(stage, listener, replace(request, method="POST"))


@check(
    "RTE-24",
    "What a redirect keeps of a path is what was sent, doubled slashes, dots and encodings too, or it is refused.",
    level=Level.EXTENDED,
    subject=rules(lambda r: isinstance(r.then, Redirect) and bool(r.when.path_prefix), reads=lambda r: r.then),
    catches={"redirect-cleans-path": "acts"},
    spec_link="https://www.rfc-editor.org/rfc/rfc3986#section-6.2.2",
)
def test_redirect_of_odd_paths(stage: Stage, rule: Rule) -> None:
    listener, request = stage.to(rule)
    for rest in ("/a//b", "//a", "/a/./b", "/a/../b", "/%61", "/a%2Fb", "/%7euser"):
        odd = replace(request, target=f"{request.path.rstrip('/')}{rest}?a=1")
        exchange, routed = ask(stage, listener, odd)
        if isinstance(routed.action, Redirect):
            url = location(routed.action, stage.spec.listener(listener), odd)
            expect(acts(stage.sync(), exchange, routed.action, stage.spec, location=url, refusable=True))


@check(
    "RTE-15",
    "A fixed response has its status, type and body, and no backend hears of it.",
    subject=rules(lambda r: isinstance(r.then, Respond), reads=lambda r: r.then),
    catches={"fixed-response-wrong-status": "acts", "own-204-says-a-length": "acts"},
    spec_link=ALB_ACTIONS,
)
def test_fixed_response(stage: Stage, rule: Rule) -> None:
    listener, request = stage.to(rule)
    expect_routed(stage, listener, request)
    if not rule.when.method:
        expect_routed(stage, listener, replace(request, method="HEAD"))


def shares_of(then: Forward) -> dict[str, float]:
    total = sum(weight for _, weight in then.pools)
    return {pool: weight / total for pool, weight in then.pools}


@check(
    "RTE-16",
    "A weighted forward gives each pool its share.",
    subject=rules(
        lambda r: isinstance(r.then, Forward) and sum(bool(w) for _, w in r.then.pools) > 1, reads=lambda r: r.then
    ),
    catches={
        "weighted-forward-ignores-weights": "shares_fit",
        "weighted-forward-heaviest-only": "shares_fit",
        "weighted-forward-off-by-one": "shares_fit",
    },
    spec_link="https://gateway-api.sigs.k8s.io/guides/traffic-splitting/",
    figures=lambda r: (of_shares(shares_of(r.then), EFFECT),),
    cost_s=1.5,
)
def test_weighted_forward(stage: Stage, rule: Rule) -> None:
    assert isinstance(rule.then, Forward)
    shares = shares_of(rule.then)
    test = SharesTest(shares, EFFECT)
    pool_of = {b.name: pool for pool in shares for b in stage.spec.pool(pool).backends}

    exchanges = send_until(stage, rule, lambda seen: enough(seen, test, of=pool_of), most=test.most)

    expect(shares_fit(exchanges, shares, EFFECT, of=pool_of))


@check(
    "RTE-17",
    "A rewrite replaces the prefix by elements and leaves the rest and the query alone.",
    subject=rules(lambda r: r.rewrite is not None, reads=lambda r: r.rewrite),
    catches={
        "rewrite-loses-query": "arrives_as",
        "rewrite-double-slash": "arrives_as",
        "rewrite-ignored": "arrives_as",
        "rewrite-everywhere": "arrives_as",
        "rewrite-for-one-pool-alone": "arrives_as",
    },
    spec_link="https://gateway-api.sigs.k8s.io/reference/spec/#httppathmodifier",
)
def test_rewrite(stage: Stage, rule: Rule) -> None:
    listener, request = stage.to(rule)
    expect_routed(stage, listener, request)
    assert rule.rewrite is not None
    prefix = rule.rewrite.path_prefix[0].rstrip("/")
    again = ("/" + prefix.strip("/"), f"/doc{prefix}/x", f"?next={prefix}/x") if prefix else ()
    for rest in ("", "/", "/x", "x/y", "/x/y?q=1", "/x?q=a?b&?c", "x", "/a%20b%3Fc?x=%26", *again):
        expect_routed(stage, listener, replace(request, target=f"{prefix}{rest}" or "/"))
    # An encoded slash may be refused, as by Apache httpd; forwarded, it stays encoded.
    exchange, routed = ask(stage, listener, replace(request, target=f"{prefix}/x%2Fy"))
    expect(refused_or_as(stage.sync(), exchange, routed.target))
