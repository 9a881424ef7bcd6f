"""RTE: each kind of condition, by the rule's witness and by its near misses; the oracle says what becomes of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from lbcheck.checks import check, rules
from lbcheck.features import Feature, Level
from lbcheck.lab.plays import expect_routed
from lbcheck.lab.stage import Stage
from lbcheck.spec.model import Conditions, Rule
from lbcheck.spec.near import edges
from lbcheck.spec.request import Request
from lbcheck.spec.routing import cookies

ALB_RULES = "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/rule-condition-types.html"
GATEWAY_PATHS = "https://gateway-api.sigs.k8s.io/reference/spec/#httppathmatch"
SINGLE = {"user-agent", "content-type", "referer", "authorization"}  # may not be repeated (RFC 9110 section 5.3)
RFC_HOST = "https://www.rfc-editor.org/rfc/rfc9110#section-4.2.3"


def having(part: str) -> Callable[[Rule], bool]:
    return lambda rule: bool(getattr(rule.when, part))


def held_against_the_oracle(
    stage: Stage, rule: Rule, misses: Callable[[Request, Conditions], Iterable[Request]]
) -> None:
    """The witness first: it must reach this rule; then each near miss, wherever the oracle sends it."""
    listener, witness = stage.to(rule)
    expect_routed(stage, listener, witness)
    for request in misses(witness, rule.when):
        expect_routed(stage, listener, request)


def with_path(request: Request, path: str) -> Request:
    """The same request for this path, made absolute where a pattern has no first slash."""
    mark = "?" if request.query else ""
    return replace(request, target=f"/{path.removeprefix('/')}{mark}{request.query}")


def other_case(text: str) -> str:
    return text.swapcase()


def near_paths(request: Request, paths: Iterable[str]) -> Iterable[Request]:
    for path in dict.fromkeys(paths):
        yield with_path(request, path)
        bare = path.rstrip("/")
        if bare and bare != path:
            yield with_path(request, bare)
        yield with_path(request, bare + "/")
        yield with_path(request, bare + "/deeper")
        yield with_path(request, path + "x")
        yield with_path(request, other_case(path))
        yield with_path(replace(request, target="/?x=1"), path)


@check(
    "RTE-01",
    "An exact path matches that path alone, with any query.",
    subject=rules(having("path_exact"), reads=lambda r: r.when),
    catches={"exact-as-prefix": "acts", "path-with-query": "acts", "path-ignores-case": "acts"},
    spec_link=GATEWAY_PATHS,
)
def test_exact_path(stage: Stage, rule: Rule) -> None:
    held_against_the_oracle(stage, rule, lambda request, when: near_paths(request, when.path_exact))


@check(
    "RTE-02",
    "A path prefix matches by elements: /api takes /api and /api/x, not /apiary.",
    subject=rules(having("path_prefix"), reads=lambda r: r.when),
    catches={"prefix-not-by-elements": "acts", "prefix-keeps-its-slash": "acts"},
    spec_link=GATEWAY_PATHS,
)
def test_prefix_path(stage: Stage, rule: Rule) -> None:
    held_against_the_oracle(stage, rule, lambda request, when: near_paths(request, when.path_prefix))


@check(
    "RTE-03",
    "A path pattern matches the whole path, `*` any run and `?` one character, upper and lower case told apart.",
    subject=rules(having("path"), reads=lambda r: r.when),
    catches={"path-ignores-case": "acts", "star-stops-at-slash": "acts"},
    spec_link=ALB_RULES,
)
def test_path_pattern(stage: Stage, rule: Rule) -> None:
    def misses(request: Request, when: Conditions) -> Iterable[Request]:
        yield from near_paths(request, [request.path])
        for pattern in when.path:
            yield with_path(request, pattern.replace("*", "").replace("?", "a") or "/")
            yield with_path(request, pattern.replace("*", "a/b.c").replace("?", "b"))
            yield with_path(request, "/x" + pattern.replace("*", "y").replace("?", "z"))
            yield with_path(request, other_case(pattern.replace("*", "").replace("?", "a")))
            for marks in ("", "ab"):
                yield with_path(request, pattern.replace("*", "y").replace("?", marks))
            for mark in dict.fromkeys(c for c in pattern if not c.isalnum() and c not in "*?/"):
                yield with_path(request, pattern.replace("*", "y").replace("?", "z").replace(mark, "0", 1))

    held_against_the_oracle(stage, rule, misses)


@check(
    "RTE-04",
    "A path expression matches where it is found in the path, anchored only where it says so.",
    level=Level.EXTENDED,
    subject=rules(having("path_regex"), reads=lambda r: r.when),
    catches={"regex-anchored": "acts"},
    spec_link="https://github.com/google/re2/wiki/Syntax",
)
def test_path_expression(stage: Stage, rule: Rule) -> None:
    def misses(request: Request, _: Conditions) -> Iterable[Request]:
        yield from near_paths(request, [request.path])
        yield with_path(request, "/before" + request.path)

    held_against_the_oracle(stage, rule, misses)


@check(
    "RTE-20",
    "A rule looks at the path as it was sent: an encoded letter is not the letter.",
    level=Level.EXTENDED,
    subject=rules(lambda r: bool(r.when.path_exact or r.when.path_prefix), reads=lambda r: bool(r.when.path_exact)),
    catches={"path-decoded": "acts"},
    spec_link="https://www.rfc-editor.org/rfc/rfc3986#section-6.2.2.2",
)
def test_encoded_path_is_matched_as_sent(stage: Stage, rule: Rule) -> None:
    def misses(request: Request, when: Conditions) -> Iterable[Request]:
        for path in (*when.path_exact, *when.path_prefix):
            letter = next((c for c in path if c.isalpha()), None)
            if letter is not None:
                yield with_path(request, path.replace(letter, f"%{ord(letter):02X}", 1))

    held_against_the_oracle(stage, rule, misses)


@check(
    "RTE-05",
    "A host matches in any case, with or without a port or the final dot.",
    subject=rules(having("host"), reads=lambda r: r.when),
    catches={"host-case-sensitive": "acts", "host-with-port": "acts", "host-dot-kept": "acts"},
    spec_link=RFC_HOST,
)
def test_host(stage: Stage, rule: Rule) -> None:
    def misses(request: Request, _: Conditions) -> Iterable[Request]:
        yield replace(request, host=other_case(request.host))
        yield replace(request, host=f"{request.host}:8080")
        yield replace(request, host=f"{other_case(request.host)}:80")
        yield replace(request, host=f"{request.host}.")
        yield replace(request, host=f"{request.host}.:8080")
        yield replace(request, host=request.host.replace(".", "x", 1))
        yield replace(request, host=f"x{request.host}")
        yield replace(request, host=f"{request.host}.evil.test")
        yield replace(request, host="elsewhere.test")

    held_against_the_oracle(stage, rule, misses)


@check(
    "RTE-06",
    "A header matches by name and value in any case, in any of its repetitions.",
    subject=rules(having("header"), reads=lambda r: r.when),
    catches={"header-first-only": "acts", "header-name-case-sensitive": "acts"},
    spec_link=ALB_RULES,
)
def test_header(stage: Stage, rule: Rule) -> None:
    def misses(request: Request, when: Conditions) -> Iterable[Request]:
        for name, _ in when.header:
            others = tuple(h for h in request.headers if h[0].lower() != name.lower())
            value = request.header(name)[0]
            yield replace(request, headers=(*others, (other_case(name), value)))
            yield replace(request, headers=(*others, (name, other_case(value))))
            if name.lower() not in SINGLE:
                yield replace(request, headers=(*others, (name, "zzz"), (name, value)))
                yield replace(request, headers=(*others, (name, value), (name, "zzz")))
            for changed in ("zzz", f"x{value}", f"{value}x", value[:-1] or "x"):
                yield replace(request, headers=(*others, (name, changed)))
            yield replace(request, headers=(*others, ("X-" + name, value)))
            yield replace(request, headers=others)

    held_against_the_oracle(stage, rule, misses)


@check(
    "RTE-07",
    "A method condition takes the listed methods and no other.",
    subject=rules(having("method"), reads=lambda r: r.when),
    catches={"method-ignored": "acts"},
    spec_link=ALB_RULES,
)
def test_method(stage: Stage, rule: Rule) -> None:
    def misses(request: Request, _: Conditions) -> Iterable[Request]:
        for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
            yield replace(request, method=method)

    held_against_the_oracle(stage, rule, misses)


@check(
    "RTE-08",
    "A query condition looks at every occurrence of its key, wherever it stands.",
    level=Level.EXTENDED,
    subject=rules(having("query"), reads=lambda r: r.when),
    catches={"query-first-only": "acts"},
    spec_link=ALB_RULES,
)
def test_query(stage: Stage, rule: Rule) -> None:
    def misses(request: Request, when: Conditions) -> Iterable[Request]:
        for key, _ in when.query:
            pair = next(p for p in request.query.split("&") if p.partition("=")[0] == key)
            yield replace(request, target=f"{request.path}?a=1&{pair}&b=2")
            yield replace(request, target=f"{request.path}?{key}=zzz&{pair}")
            yield replace(request, target=f"{request.path}?{pair}&{key}=zzz")
            yield replace(request, target=f"{request.path}?x{pair}")
            value = pair.partition("=")[2]
            yield replace(request, target=f"{request.path}?{other_case(key)}={value}")
            for changed in (other_case(value), f"{value}x", f"{value}=x"):
                yield replace(request, target=f"{request.path}?{key}={changed}")
            yield replace(request, target=f"{request.path}?{key}=zzz")
            yield replace(request, target=request.path)

    held_against_the_oracle(stage, rule, misses)


@check(
    "RTE-23",
    "The values of a query are compared decoded: %61 is an a, and + a space.",
    level=Level.EXTENDED,
    subject=rules(having("query"), reads=lambda r: r.when),
    catches={"query-not-decoded": "acts"},
    needs={Feature.QUERY_DECODING},  # ALB: "Any character can be percentage encoded."; others compare what was sent
    spec_link="https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_QueryStringConditionConfig.html",
)
def test_query_is_decoded(stage: Stage, rule: Rule) -> None:
    def misses(request: Request, when: Conditions) -> Iterable[Request]:
        for key, patterns in when.query:
            for text in (pattern.replace("*", "w").replace("?", "w") for pattern in patterns if " " in pattern):
                for space in ("+", "%20", "%2B"):
                    yield replace(request, target=f"{request.path}?{key}={text.replace(' ', space)}")
            _, _, value = next(p for p in request.query.split("&") if p.partition("=")[0] == key).partition("=")
            others = [p for p in request.query.split("&") if p.partition("=")[0] != key]
            for changed in (encoded(value), f"{value}+%2B", f"%25{value}"):
                yield replace(request, target=f"{request.path}?{'&'.join((f'{key}={changed}', *others))}")

    held_against_the_oracle(stage, rule, misses)


def encoded(text: str) -> str:
    """The same text for who decodes it, another for who does not."""
    return f"%{ord(text[0]):02X}{text[1:]}" if text and text[0] != "%" else text


@check(
    "RTE-09",
    "A cookie condition finds its cookie among others, by its whole name.",
    level=Level.EXTENDED,
    subject=rules(having("cookie"), reads=lambda r: r.when),
    catches={"cookie-condition-substring": "acts"},
    spec_link="https://www.rfc-editor.org/rfc/rfc6265#section-5.4",
)
def test_cookie(stage: Stage, rule: Rule) -> None:
    def misses(request: Request, when: Conditions) -> Iterable[Request]:
        others = tuple(h for h in request.headers if h[0].lower() != "cookie")
        pair = "; ".join(request.header("cookie"))
        name = when.cookie[0][0]
        value = next(v for n, v in cookies(request) if n == name)
        near = [f"{other_case(name)}={value}", f"{name}={other_case(value)}", f"{name}={value}x", f"a={name}={value}"]
        near += [f"x{pair}", f"{name}=zzz"]
        for line in (f"a=1; {pair}; b=2", f"{name}x=1; {pair}", *near):
            yield replace(request, headers=(*others, ("Cookie", line)))
        yield replace(request, headers=others)

    held_against_the_oracle(stage, rule, misses)


@check(
    "RTE-10",
    "A source condition looks at the peer's address, never at X-Forwarded-For.",
    level=Level.EXTENDED,
    subject=rules(having("source"), reads=lambda r: r.when),
    catches={"source-from-forwarded-for": "acts"},
    spec_link=ALB_RULES,
)
def test_source(stage: Stage, rule: Rule) -> None:
    def misses(request: Request, when: Conditions) -> Iterable[Request]:
        for source in edges(when.source):
            yield replace(request, source=source)
        for source in ("127.0.0.9", "127.1.2.3", "127.99.1.1", "127.200.0.1"):
            yield replace(request, source=source)
            yield replace(request, source=source, headers=(*request.headers, ("X-Forwarded-For", request.source)))

    held_against_the_oracle(stage, rule, misses)
