"""A `server` block: what becomes of a request that comes to it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from lbcheck.importers.conjunction import ALWAYS
from lbcheck.importers.directive import Ledger, Place, Unreadable
from lbcheck.importers.nginx.answers import page
from lbcheck.importers.nginx.cases import Lot
from lbcheck.importers.nginx.levels import Levels
from lbcheck.importers.nginx.locations import Choice, Location, choices, located, location_of
from lbcheck.importers.nginx.parsing import Node
from lbcheck.importers.nginx.passing import Use
from lbcheck.importers.nginx.steps import access_steps, followed, read_steps, unconditional
from lbcheck.importers.nginx.upstreams import Group, lone
from lbcheck.importers.nginx.variables import REFERENCE, Setting, text_or_lot
from lbcheck.importers.rules import Branch, Lots, to_pool, within
from lbcheck.spec.model import Redirect, Rewrite

NORMALISED = "the path is compared decoded and cleaned, in lb.yaml as it was sent"
MOST_TURNS = 1000  # rewrites that are followed
_AS_SENT = re.compile(r"\$request_uri|\$uri\$is_args\$args|\$uri\?\$args")


@dataclass(slots=True)
class Around:
    """`groups` grows by the addresses that are passed to without an upstream block. `order`: of the directives."""

    http: Node
    groups: dict[str, Group]
    ledger: Ledger
    order: Mapping[Place, int]

    def in_order(self, uses: Iterable[Use]) -> list[Use]:
        return sorted(uses, key=lambda use: self.order[use.at.place])


@dataclass(slots=True)
class Course:
    """Of one server at one listener. `uses`: the places that pass requests on, in their order."""

    node: Node
    setting: Setting
    around: Around
    levels: Levels
    uses: list[Use] = field(default_factory=list)
    locations: list[Location] = field(default_factory=list)
    turns: int = 0

    def branches(self) -> list[Branch]:
        told, self.setting = read_steps(self.node, self.levels, self.setting)
        self.locations = _locations(self.node, self.levels.ledger)
        rest = [] if unconditional(told) else self._rest()
        return followed(told, rest, self._arrived, self.levels)

    def _rest(self) -> list[Branch]:
        found: list[Branch] = []
        for choice in self._choices():
            found += self._chosen(choice)
        none = page(404, self.levels)
        at = next((one.node for one in self.locations if one.text == "/"), self.node).at
        return [*found, Branch(ALWAYS, none.action, at)]

    def _choices(self) -> list[Choice]:
        """Without the locations that the spec cannot tell from others."""
        left = list(self.locations)
        for one in self.locations:
            try:
                one.when()
            except Unreadable as error:
                self.levels.ledger.refused(one.node.directive, f"{error}: it is left out")
                left.remove(one)
        try:
            return choices(left)
        except Unreadable as error:
            firm = [one for one in left if one.mark == "^~"]
            for one in firm:
                self.levels.ledger.refused(one.node.directive, f"{error}: ^~ is left out")
            return choices([replace(one, mark="") if one in firm else one for one in left])

    def _chosen(self, choice: Choice) -> list[Branch]:
        location = choice.location
        if choice.redirect:
            return [Branch(choice.when, Redirect(301, path=location.text), location.node.at)]
        try:
            return within(self._inside(location), choice.when)
        except Unreadable as error:
            self.levels.ledger.refused(location.node.directive, f"{error}: it is left out")
            return []

    def _arrived(self, path: str, origin: str | None, _: str) -> list[Branch]:
        """After a rewrite to this path, which `origin` alone came to (None: several did)."""
        self.turns += 1
        if self.turns > MOST_TURNS:
            raise Unreadable("a path that is rewritten in a circle")
        location = located(path, self.locations)
        if location is None:
            return [Branch(ALWAYS, page(404, self.levels).action, self.node.at)]
        return self._inside(location, (origin, path))

    def _inside(self, location: Location, moved: tuple[str | None, str] | None = None) -> list[Branch]:
        levels = self.levels.within(location.node)
        plain = (location.text == "/" and location.mark in ("", "^~")) or moved is not None
        levels.ledger.understood(location.node.directive, "" if plain else NORMALISED)
        told, setting = read_steps(location.node, levels, self.setting)
        if moved is None and (internal := next(location.node.children("internal"), None)):
            levels.ledger.understood(internal.directive)
            return [Branch(ALWAYS, page(404, levels).action, internal.at)]
        told += access_steps(levels)
        rest = [] if unconditional(told) else self._content(location, levels, setting, moved)

        def arrived(path: str, origin: str | None, flag: str) -> Sequence[Branch]:
            if flag == "break":
                return self._content(location, levels, setting, (origin, path))
            return self._arrived(path, origin, flag)

        return followed(told, rest, arrived, levels)

    # --- content ---

    def _content(
        self, location: Location, levels: Levels, setting: Setting, moved: tuple[str | None, str] | None
    ) -> list[Branch]:
        passes = list(location.node.children("proxy_pass"))
        if passes:
            try:
                return self._passed(passes[-1], location, levels, setting, moved)
            except Unreadable as error:
                levels.ledger.refused(passes[-1].directive, str(error))
                raise Unreadable("where its requests go cannot be said") from None
        other = next((node for node in location.node.block or () if node.name in OTHER_CONTENT), None)
        if other is not None:
            levels.ledger.refused(other.directive, OTHER_CONTENT[other.name])
            raise Unreadable("what answers its requests cannot be said")
        levels.ledger.refused(location.node.directive, "files are served here: taken as 404, what absent ones give")
        return [Branch(ALWAYS, page(404, levels).action, location.node.at)]

    def _passed(
        self, node: Node, location: Location, levels: Levels, setting: Setting, moved: tuple[str | None, str] | None
    ) -> list[Branch]:
        text = _known_filled("".join(node.words), setting)
        url = re.fullmatch(r"(https?)://([^/$]+|\$\w+|\$\{\w+\})((?:/|\$).*)?", text)
        if not url:
            raise Unreadable(f"requests are passed to {text}")
        scheme, authority, uri = url[1], url[2], url[3] or ""
        try:
            rewrite = _rewrite(location, uri, "$" in authority, moved)
        except Unreadable as error:
            rewrite = None
            levels.ledger.refused(node.directive, f"{error}: lb.yaml says where its requests go, not with which path")
        levels.ledger.understood(node.directive, _in_part(location, rewrite))
        if uri and not _AS_SENT.fullmatch(uri):
            levels.ledger.understood(node.directive, "the path arrives decoded: %2F as a slash")
        use = Use(node.directive, levels, scheme)
        found: list[Branch] = []
        for case in text_or_lot(authority, setting):
            lots = self._lots(case.value, use)
            found.append(Branch(case.when, lots, node.at, rewrite, node.at if rewrite else None))
        if not any(one.at is use.at for one in self.uses):
            self.uses.append(use)
        return found

    def _lots(self, value: str | Lot, use: Use) -> Lots:
        if isinstance(value, str):
            return to_pool(self._group(value, use))
        return Lots(tuple((self._group(name, use), share) for name, share in value.shares), use.at.words[1])

    def _group(self, name: str, use: Use) -> str:
        """Names of upstreams have no case (ngx_http_upstream_add)."""
        key = name.lower()
        if key not in self.around.groups:
            self.around.groups[key] = lone(name, use.scheme, use.at)
        group = self.around.groups[key]
        if not any(one.at is use.at for one in group.uses):
            group.uses.append(use)
        return key


OTHER_CONTENT = {
    "fastcgi_pass": "servers speak FastCGI",
    "uwsgi_pass": "servers speak uwsgi",
    "scgi_pass": "servers speak SCGI",
    "memcached_pass": "answers come from memcached",
    "grpc_pass": "servers speak gRPC",
    "stub_status": "a page of statistics is served here",
    "empty_gif": "an image is served here",
    "mirror": "requests are sent twice",
    "js_content": "a script answers",
    "content_by_lua_block": "a script answers",
    "perl": "a script answers",
}


def _locations(server: Node, ledger: Ledger) -> list[Location]:
    found: list[Location] = []
    for node in server.children("location"):
        try:
            location = location_of(node)
        except Unreadable as error:
            ledger.refused(node.directive, str(error))
            continue
        if location.text.startswith("@"):
            ledger.ignored(node.directive, "what sends requests here is told where it stands")
        else:
            found.append(location)
            for inner in node.children("location"):
                ledger.refused(inner.directive, "a location within a location")
    return found


def _known_filled(text: str, setting: Setting) -> str:
    return REFERENCE.sub(lambda found: setting.known.get(found[1] or found[2], found[0]), text)


def _rewrite(location: Location, uri: str, variable: bool, moved: tuple[str | None, str] | None) -> Rewrite | None:
    """A URI takes the place of what the location matched; none leaves the request as it came ("proxy_pass")."""
    if _AS_SENT.fullmatch(uri):
        return None
    if "$" in uri or (uri and variable):
        raise Unreadable(f"the path is made of {uri}")
    if moved is not None:
        origin, path = moved
        if origin is None:
            raise Unreadable(f"every path becomes {path}")
        new = uri + path.removeprefix(location.text) if uri and not location.by_regex else path
        return Rewrite((origin, new)) if new != origin else None
    if not uri:
        return None
    if location.by_regex:
        raise Unreadable(f"a location by expression and the path {uri}")
    return _prefix(location, uri)


def _prefix(location: Location, uri: str) -> Rewrite | None:
    old = location.text
    if "?" in uri:
        raise Unreadable(f"a query is added: {uri}")
    if old == uri:
        return None
    if location.mark == "=":
        return Rewrite((old, uri))
    if old.endswith("/") != uri.endswith("/"):
        raise Unreadable(f"{old} becomes {uri}, so that a slash is lost or doubled")
    return Rewrite((old.rstrip("/") or "/", uri.rstrip("/") or "/"))


def _in_part(location: Location, rewrite: Rewrite | None) -> str:
    if rewrite is None or location.mark == "=" or location.text.endswith("/"):
        return ""
    return f"{location.text} is replaced in {location.text}x too"
