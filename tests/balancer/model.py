"""A naive model of a pool: it keeps every event in full lists and reckons everything anew from them.

Nothing here is remembered that can be counted: health is folded from all probe results, a rotation from all picks, an
ejection from all ends. So it is slow, and shares no shortcut with what it is compared to.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from math import inf

from lbcheck.spec.model import Algorithm, Backend, Claims, Pool

HASHES = (Algorithm.SOURCE_IP_HASH, Algorithm.CONSISTENT_HASH)
LEAST_SHARE = 1 / 20
FULL, NONE_USABLE = "full", "none usable"


@dataclass(eq=False)
class Member:
    """One life of a backend in the pool; another address begins another life."""

    name: str
    address: str
    weight: int
    backup: bool
    draining: bool
    born: float
    newcomer: bool  # came while others served: it ramps
    results: list[tuple[float, bool]] = field(default_factory=list)  # of probes
    ends: list[tuple[float, bool]] = field(default_factory=list)  # of tries that say something: failed?
    ejections: list[tuple[float, float]] = field(default_factory=list)  # (from, until)
    in_flight: int = 0

    def __repr__(self) -> str:
        return f"{self.name}@{self.address.rpartition(':')[2]}x{self.weight}"


@dataclass(frozen=True)
class Pick:
    """One decision of a weighted turn: the weights of those who took part, and who was chosen."""

    weights: dict[Member, float]
    chosen: Member


class Model:
    """What one pool must do next. `choices` says who may be chosen; `chose` is told who was."""

    def __init__(self, pool: Pool, claims: Claims, now: float) -> None:
        self.spec = pool
        self.claims = claims
        self.members = [self.member(declared, now, newcomer=False) for declared in pool.backends]
        self.places = list(self.members)  # of the rotation; who has gone keeps the place
        self.turn: Member | None = None  # whose turn was last
        self.picks: list[Pick] = []  # since the last change of who takes part
        self.bursts: list[list[Member]] = []
        self.seen: list[Member] = []  # the candidates of the last decision
        self.ramped = False  # did somebody ramp then?
        self.owners: list[tuple[str, frozenset[tuple[str, int]], str]] = []  # key, who could, who was chosen
        self.homes: list[tuple[str, str, float]] = []  # client, backend's name, when

    def member(self, declared: Backend, now: float, *, newcomer: bool) -> Member:
        draining = declared.state == "draining"
        address = declared.address or ""
        return Member(declared.name, address, declared.weight, declared.backup, draining, now, newcomer)

    def named(self, name: str) -> Member | None:
        return next((m for m in self.members if m.name == name), None)

    # --- health ------------------------------------------------------------------------------------------------------

    def healths(self, member: Member) -> list[tuple[float, bool | None]]:
        """(since when, health) from birth on: consecutive results against thresholds."""
        check = self.spec.health_check
        if check is None:
            return [(member.born, True)]
        health: bool | None = {"healthy": True, "unhealthy": False, "unknown": None}[check.initial]
        history: list[tuple[float, bool | None]] = [(member.born, health)]
        streak: list[bool] = []
        for at, passed in member.results:
            streak = [*streak, passed] if streak[-1:] == [passed] else [passed]
            needed = check.healthy_threshold if passed else check.unhealthy_threshold
            if health is None or (health is not passed and len(streak) >= needed):
                health = passed
                history.append((at, health))
        return history

    def healthy(self, member: Member) -> bool | None:
        return self.healths(member)[-1][1]

    def ejected(self, member: Member, now: float) -> bool:
        return any(until > now for _, until in member.ejections)

    def serves(self, member: Member, now: float) -> bool:
        sound = self.healthy(member) is True and not self.ejected(member, now)
        return sound and not member.draining and member.weight > 0

    def candidates(self, now: float) -> list[Member]:
        serving = [m for m in self.members if self.serves(m, now)]
        usable = [m for m in serving if not m.backup] or serving
        if usable or self.spec.all_unhealthy != "fail_open":
            return usable
        could = [m for m in self.members if not m.draining and m.weight > 0]
        if any(self.healthy(m) is None for m in could):
            return []
        return [m for m in could if not m.backup] or could

    def rose(self, member: Member) -> float:
        """When its present ramp began; -inf where it never ramped."""
        (born, first), *later = self.healths(member)
        risen = [born] if member.newcomer and first is True else []
        slow, before = member.newcomer and first is not True, first
        for at, health in later:
            if health and slow:
                risen.append(at)
            slow = (slow or before is True) if not health else False
            before = health
        return max([*risen, *(until for _, until in member.ejections)], default=-inf)

    def share(self, member: Member, now: float) -> float:
        duration = self.spec.slow_start
        if duration <= 0:
            return 1.0
        return min(1.0, max(LEAST_SHARE, (now - self.rose(member)) / duration))

    def ramping(self, now: float) -> bool:
        slow = self.spec.slow_start
        return slow > 0 and any(self.rose(m) <= now < self.rose(m) + slow for m in self.members)

    # --- who may be chosen -------------------------------------------------------------------------------------------

    def choices(self, client: str, key: str | None, bound: str | None, now: float, tried: Collection[str]) -> object:
        """A set of members, FULL or NONE_USABLE. `bound` names the backend that the client is bound to."""
        self.look(now)
        home = self.named(bound) if bound is not None else None
        if home is not None and home.name not in tried and self.keeps(home, now):
            return {home}
        among = self.candidates(now)
        if not among:
            return NONE_USABLE
        among = [m for m in among if not self.is_full(m)]
        if not among:
            return FULL
        return self.by_policy([m for m in among if m.name not in tried] or among, client, key, now)

    def look(self, now: float) -> None:
        """A change of who takes part, or the end of a ramp, begins weighted turns anew."""
        usable, ramping = self.candidates(now), self.ramping(now)
        if usable != self.seen or (self.ramped and not ramping):
            self.picks, self.bursts = [], []
        self.seen, self.ramped = usable, ramping

    def is_full(self, member: Member) -> bool:
        return 0 < self.spec.max_connections <= member.in_flight

    def keeps(self, member: Member, now: float) -> bool:
        if self.is_full(member):
            return False
        leaving = member.draining and self.claims.sticky_while_draining is True
        sound = self.healthy(member) is True and not self.ejected(member, now)
        return member in self.candidates(now) or (leaving and sound)

    def by_policy(self, among: list[Member], client: str, key: str | None, now: float) -> set[Member]:
        algorithm = self.spec.algorithm
        if algorithm in HASHES:
            key = client if algorithm is Algorithm.SOURCE_IP_HASH else key
            return {self.next_turn(among)} if key is None else self.owner(among, key)
        if algorithm is Algorithm.RANDOM:
            return set(among)
        if self.ramping(now):
            turns = algorithm in (Algorithm.ROUND_ROBIN, Algorithm.WEIGHTED_ROUND_ROBIN)
            return self.smoothest(self.ramped_weights(among, now)) if turns else set(among)
        if algorithm is Algorithm.ROUND_ROBIN:
            return {self.next_turn(among)}
        if algorithm is Algorithm.WEIGHTED_ROUND_ROBIN:
            burst = self.spec.order == "burst"
            return {self.next_in_burst(among)} if burst else self.smoothest(weights_of(among))
        return self.by_count(among)

    def by_count(self, among: list[Member]) -> set[Member]:
        algorithm = self.spec.algorithm
        if algorithm is Algorithm.POWER_OF_TWO:  # nobody who is busier than all others
            return {m for m in among if len(among) == 1 or any(o.in_flight >= m.in_flight for o in among if o is not m)}
        fewest = self.fewest(among)
        if algorithm is Algorithm.LEAST_CONNECTIONS:
            return {self.next_turn(fewest)}
        return self.smoothest(weights_of(fewest))

    def fewest(self, among: list[Member]) -> list[Member]:
        by_weight = self.spec.algorithm is Algorithm.WEIGHTED_LEAST_CONNECTIONS
        loads = {m: m.in_flight / m.weight if by_weight else m.in_flight for m in among}
        return [m for m in among if loads[m] == min(loads.values())]

    def next_turn(self, among: list[Member]) -> Member:
        """The first of them behind the one whose turn was last, round the list of all who ever were."""
        at = self.places.index(self.turn) + 1 if self.turn in self.places else 0
        return next(m for m in [*self.places[at:], *self.places[:at]] if m in among)

    def next_in_burst(self, among: list[Member]) -> Member:
        if self.bursts:
            current = self.bursts[-1]
            if len(current) < current[0].weight and current[0] in among:
                return current[0]
        return self.next_turn(among)

    def ramped_weights(self, among: list[Member], now: float) -> dict[Member, float]:
        plain = self.spec.algorithm is Algorithm.ROUND_ROBIN
        return {m: self.share(m, now) * (1.0 if plain else m.weight) for m in among}

    def smoothest(self, weights: dict[Member, float]) -> set[Member]:
        """Who is furthest behind: what all turns would have given it, less what it took; the first of equals.

        Where weights are no whole numbers, sums in another order differ in the last bits: then any of the equals.
        """
        due = {m: weight + self.credit(m) for m, weight in weights.items()}
        equals = [m for m, credit in due.items() if credit > max(due.values()) - 1e-9]
        whole = all(weight.is_integer() for pick in self.picks for weight in pick.weights.values())
        return set(equals[:1]) if whole and all(w.is_integer() for w in weights.values()) else set(equals)

    def credit(self, member: Member) -> float:
        given = sum(pick.weights.get(member, 0.0) for pick in self.picks)
        return given - sum(sum(pick.weights.values()) for pick in self.picks if pick.chosen is member)

    def owner(self, among: list[Member], key: str) -> set[Member]:
        """Whom all earlier choices for this key leave: the same where the same could, and no move without a cause."""
        could = frozenset((m.name, m.weight) for m in among)
        allowed = set(among)
        for _, others, name in [past for past in self.owners if past[0] == key]:
            if others == could or (could < others and name in dict(could)):
                allowed = {m for m in allowed if m.name == name}
            elif others < could:  # who came may take it; who was there already may not
                allowed = {m for m in allowed if m.name == name or m.name not in dict(others)}
        return allowed

    # --- what happened -----------------------------------------------------------------------------------------------

    def chose(
        self, member: Member, client: str, key: str | None, now: float, *, bound: bool, tried: Sequence[str]
    ) -> None:
        """A try begins there."""
        if not bound:
            self._policy_chose(member, client, key, now, tried)
        self.homes.append((client, member.name, now))
        member.in_flight += 1

    def _policy_chose(self, member: Member, client: str, key: str | None, now: float, tried: Sequence[str]) -> None:
        free = [m for m in self.candidates(now) if not self.is_full(m)]
        among = [m for m in free if m.name not in tried] or free
        algorithm = self.spec.algorithm
        key = client if algorithm is Algorithm.SOURCE_IP_HASH else key
        if algorithm in HASHES and key is not None:
            self.owners.append((key, frozenset((m.name, m.weight) for m in among), member.name))
        elif self.ramping(now):
            if algorithm in (Algorithm.ROUND_ROBIN, Algorithm.WEIGHTED_ROUND_ROBIN):
                self.picks.append(Pick(self.ramped_weights(among, now), member))
            elif algorithm is not Algorithm.RANDOM:
                self.turn = member
        elif algorithm is Algorithm.WEIGHTED_ROUND_ROBIN and self.spec.order == "burst":
            goes_on = self.bursts and self.bursts[-1][0] is member and len(self.bursts[-1]) < member.weight
            self.bursts = [*self.bursts[:-1], [*self.bursts[-1], member]] if goes_on else [*self.bursts, [member]]
            self.turn = member
        elif algorithm is Algorithm.WEIGHTED_ROUND_ROBIN:
            self.picks.append(Pick(weights_of(among), member))
        elif algorithm is Algorithm.WEIGHTED_LEAST_CONNECTIONS:
            self.picks.append(Pick(weights_of(self.fewest(among)), member))
        else:
            self.turn = member

    def ended(self, member: Member, result: str, now: float) -> None:
        member.in_flight -= 1
        passive = self.spec.passive_health
        if passive is None or result == "aborted" or self.ejected(member, now):
            return
        failed = result in passive.on or (result.isdigit() and f"{result[0]}xx" in passive.on)
        member.ends.append((now, failed))
        since = max((until for _, until in member.ejections), default=-inf)
        ends = [(at, bad) for at, bad in member.ends if at >= since]
        if not failed:
            return
        if passive.count == "consecutive":
            good = [number for number, (_, bad) in enumerate(ends) if not bad]
            failures = len(ends) - 1 - max(good, default=-1)
        else:
            failures = sum(bad and at >= now - passive.within for at, bad in ends)
        out = sum(self.ejected(m, now) for m in self.members)
        if failures >= passive.failures and out + 1 <= passive.max_ejected * len(self.members) + 1e-9:
            member.ejections.append((now, now + passive.ejection))

    def home_of(self, client: str, now: float) -> str | None:
        """Where a client of this address was sent last, unless it has been silent for too long."""
        sticky = self.spec.stickiness
        visits = [(name, at) for who, name, at in self.homes if who == client]
        if sticky is None or not visits:
            return None
        name, at = visits[-1]
        return name if sticky.duration is None or now < at + sticky.duration else None

    # --- change ------------------------------------------------------------------------------------------------------

    def registered(self, declared: Backend, now: float) -> None:
        was = self.named(declared.name)
        if was is not None and was.weight != declared.weight:
            self.picks, self.bursts = [], []
        if was is not None and was.address == declared.address:
            was.weight, was.backup, was.draining = declared.weight, False, False
            return
        member = self.member(declared, now, newcomer=True)
        if was is None:
            self.members.append(member)
            self.places.append(member)
            return
        self.members[self.members.index(was)] = member
        self.places[self.places.index(was)] = member
        self.turn = member if self.turn is was else self.turn

    def deregistered(self, name: str) -> None:
        self.members = [m for m in self.members if m.name != name]

    def reweighed(self, name: str, weight: int) -> None:
        member = self.named(name)
        assert member is not None
        member.weight = weight
        self.picks, self.bursts = [], []

    def reloaded(self, pool: Pool, now: float) -> None:
        """Who stays at the same address keeps all that is known; the rotation goes on behind whose turn was last."""
        last = self.turn.name if self.turn in self.members and self.turn is not None else None
        weights = {m: m.weight for m in self.members}
        before, self.members = self.members, []
        for declared in pool.backends:
            was = next((m for m in before if (m.name, m.address) == (declared.name, declared.address)), None)
            if was is not None:
                was.weight, was.backup, was.draining = declared.weight, declared.backup, declared.state == "draining"
            self.members.append(was or self.member(declared, now, newcomer=True))
        weights = {m: weights.get(m, m.weight) for m in self.members}
        self.spec, self.places = pool, list(self.members)
        self.turn = self.named(last) if last is not None else None
        if any(m.weight != weight for m, weight in weights.items()):
            self.picks, self.bursts = [], []


def weights_of(members: Sequence[Member]) -> dict[Member, float]:
    return {m: float(m.weight) for m in members}
