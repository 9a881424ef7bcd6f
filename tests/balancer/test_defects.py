"""Every named defect is one wrong decision: it shows on its witness, and the balancer still works."""

from __future__ import annotations

import pytest

from lbcheck.balancer.decisions import Decisions
from lbcheck.balancer.defects import DEFECTS, decisions_with
from lbcheck.balancer.twins import TWINS, twin_named
from lbcheck.errors import UsageError
from lbcheck.spec.model import Algorithm, Forwarded
from tests.balancer import witnesses as w
from tests.balancer.worlds import World, get

NAMES = sorted(DEFECTS)
AREAS = ("ALG", "HLT", "FLO", "STK", "RTE", "HTT")
HOSTS = [get(host=host) for host in ("a.test", "A.test", "a.test:80", "a.test.")]
FIELDS = [get("/", ("X", "1"), ("X", "A")), get("/", ("x", "a"))]
LIE = ("X-Forwarded-For", "6.6.6.6")

WITNESS: dict[str, w.Scene] = {
    # turns
    "turn-skipped": w.turns(),
    "round-robin-at-random": w.turns(),
    "turns-restart-on-change": w.outage,
    "share-to-neighbour": w.outage,
    "returned-catches-up": w.outage,
    "weights-ignored": w.turns(algorithm=w.WRR, weights={"a": 3}),
    "weights-rounded": w.turns(algorithm=w.WRR, weights={"a": 5, "b": 3}),
    "order-burst-for-smooth": w.turns(algorithm=w.WRR, weights={"a": 3}),
    "order-smooth-for-burst": w.turns(algorithm=w.WRR, weights={"a": 3}, order="burst"),
    "weight-zero-served": w.turns(weights={"b": 0}),
    "all-zero-served": w.turns(3, weights={"a": 0, "b": 0, "c": 0}),
    "random-is-a-rotation": w.turns(algorithm=Algorithm.RANDOM),
    "random-weights-ignored": w.turns(99, algorithm=Algorithm.RANDOM, weights={"a": 9}),
    "sticky-hit-takes-a-turn": w.sticky_turns,
    # counts
    "first-not-fewest": w.held,
    "in-flight-ignored": w.held,
    "least-connections-weights-ignored": w.weighted_held,
    "abort-leaks-count": w.ends("aborted"),
    "reset-leaks-count": w.ends("reset"),
    "refusal-leaks-count": w.ends("connect"),
    "retried-status-leaks-count": w.ends("503"),
    "power-of-two-one-pick": w.busiest,
    "slowest-preferred": w.timed,
    "response-time-never-explores": w.timed,
    "first-response-time-kept": w.timed,
    "failure-measured-as-fast": w.failing_fast,
    "limit-ignored": w.limited,
    "limit-off-by-one": w.limited,
    "bound-over-the-limit": w.bound_and_full,
    "abort-frees-nobody": w.freeing,
    "last-in-first-out": w.queued,
    "queue-in-pairs": w.queued,
    "returned-leaves-the-queue": w.freeing,
    "reload-keeps-old-limit": w.reloaded_otherwise,
    "reload-keeps-old-algorithm": w.reloaded_otherwise,
    "reload-ignores-states": w.reloaded_with_other_members,
    "reload-keeps-who-has-gone": w.reloaded_with_other_members,
    "draining-keeps-though-sick": w.failing_while_draining_with_clients,
    "draining-is-not-probed": w.failing_while_draining,
    "stop-goes-on-accepting": w.stopping,
    "bad-first-result-ignored": w.newborn_and_bad,
    "passive-counts-any-5xx": w.kinds_of_failure,
    "passive-ignores-timeouts": w.kinds_of_failure,
    "passive-ignores-refusals": w.kinds_of_failure,
    # hashes
    "source-port-hashed": w.source_map,
    "hash-first-octet": w.source_map,
    "spoofed-address-hashed": w.source_map,
    "hash-modulo": w.source_map,
    "hash-remembers-the-dead": w.source_map,
    "hash-key-ignored": w.path_map,
    "hash-weights-linear": w.weighted_map,
    "hash-weights-ignored": w.weighted_map,
    "hash-path-with-query": w.key_map("path"),
    "hash-whole-cookie-field": w.key_map("cookie:k"),
    "hash-whole-query": w.key_map("query:k"),
    "hash-header-name-case-sensitive": w.key_map("header:X-Key"),
    "hash-list-order": w.permuted_map,
    "trusted-forwarded-ignored": w.behind_proxy,
    "trusted-first-address": w.behind_proxy,
    "everybody-is-trusted": w.beside_proxy,
    # backups and ejection
    "backup-always-used": w.with_backup,
    "backup-never-used": w.with_backup,
    "backups-look-at-health-alone": w.backup_for_the_draining,
    # slow start
    "slow-start-skipped": w.ramp(),
    "slow-start-never-ends": w.ramp(),
    "slow-start-once-only": w.ramp_again,
    "slow-start-forgets-weights": w.ramp(algorithm=w.WRR, weights={"b": 3}),
    "slow-start-of-turns-alone": w.ramp(algorithm=Algorithm.RANDOM),
    "slow-start-after-failures-alone": w.newcomer,
    "slow-start-of-new-by-probes": w.newcomer,
    "slow-start-from-nothing": w.ramp(algorithm=w.WRR, weights={"a": 9}),
    "slow-start-not-after-ejection": w.ramp_after_ejection,
    # who may be chosen
    "dead-tried-now-and-then": w.all_out(),
    "fails-open-uninvited": w.all_out(),
    "fail-open-refuses": w.all_out(all_unhealthy="fail_open"),
    "fail-open-takes-backups": w.backup_and_nobody_well,
    "fail-open-takes-weight-0": w.backup_and_nobody_well,
    "fail-open-takes-draining": w.backup_and_nobody_well,
    "fail-open-while-unknown": w.newborn("unknown", all_unhealthy="fail_open"),
    "fail-open-before-backups": w.backup_and_nobody_well,
    "ejected-never-returns": w.outage,
    "recovery-never-seen": w.all_out(),
    "initial-state-ignored": w.newborn("unknown"),
    "initial-always-unhealthy": w.newborn("healthy"),
    "passive-never-ejects": w.ejecting,
    "passive-counts-everything": w.ejecting,
    "passive-ejects-at-once": w.ejecting,
    "ejection-share-ignored": w.ejecting,
    "ejection-cut-short": w.ejecting,
    "ejection-keeps-window": w.ejected_twice,
    "ejection-prolonged": w.failing_late,
    "neutral-answers-keep-the-run": w.counted("consecutive"),
    "passive-failures-accumulate": w.counted("consecutive"),
    "success-empties-the-window": w.counted("window"),
    "window-never-slides": w.counted("window"),
    # probes
    "probe-ends-with-interim": w.probe_heads,
    "unhealthy-one-late": w.streaks,
    "unhealthy-one-early": w.streaks,
    "healthy-one-late": w.streaks,
    "healthy-one-early": w.streaks,
    "failures-accumulate": w.streaks,
    "successes-accumulate": w.streaks,
    "any-status-is-good": w.results,
    "redirect-is-good": w.results,
    "success-codes-cut": w.results,
    "stall-is-good": w.results,
    "broken-probe-is-good": w.results,
    "tcp-check-always-good": w.results,
    "probe-wrong-path": w.probe_bytes,
    "probe-wrong-host": w.probe_bytes,
    "probe-wrong-method": w.probe_bytes,
    "probe-wrong-port": w.probe_bytes,
    "probe-twice-as-often": w.probe_bytes,
    "probe-waits-for-a-connection": w.probe_bytes,
    "probe-timeout-ignored": w.probe_bytes,
    "probe-may-take-the-interval": w.probe_bytes,
    "probes-come-in-pairs": w.paced,
    "probes-starve-under-load": w.paced,
    # delivery
    "post-repeated": w.attempts,
    "stale-post-repeated": w.attempts,
    "never-retries": w.attempts,
    "empty-chunks-without-end": w.flows,
    "cut-answer-left-open": w.flows,
    "once-slow-always-slow": w.flows,
    "authority-of-the-first": w.authorities,
    "refused-counts-as-reset": w.connecting,
    "rewrite-for-one-pool-alone": w.shared_rewrite,
    "told-client-appended": w.believed,
    "empty-queue-is-waited-in": w.flows,
    "second-host-let-through": w.flows,
    "repeats-by-backends": w.at_one_backend,
    "stop-looks-at-one-listener": w.stopping,
    "reload-keeps-old-idle-times": w.flows,
    "behind-an-empty-body-dropped": w.flows,
    "ahead-of-a-slow-client-lost": w.flows,
    "idle-upstream-kept": w.flows,
    "abort-in-upload-leaks-count": w.ends("abandoned"),
    "unasked-answer-kept": w.flows,
    "first-bytes-all-at-once": w.flows,
    "held-connection-stays-held": w.flows,
    "old-answer-keeps-connection": w.flows,
    "idle-from-the-request": w.flows,
    "fields-of-the-one-before": w.one_after_another,
    "reload-keeps-told-fields": w.told_anew,
    "reweigh-keeps-credits": w.lightened,
    "reload-keeps-credits": w.lightened,
    "forwarded-port-goes-by-proto": w.upstream(Forwarded(x_forwarded_port="preserve"), ("X-Forwarded-Port", "70")),
    "host-of-the-first": w.hosts,
    "interims-add-up": w.flows,
    "short-upload-is-whole": w.flows,
    "timer-fires-once": w.flows,
    "last-of-two-lengths": w.flows,
    "broken-upload-leaks-count": w.ends("broken"),
    "unsent-leaks-count": w.ends("unsent"),
    "ejection-ends-unnoticed": w.freeing,
    "deregistered-never-ended": w.namesakes,
    "namesake-saves-from-the-cut": w.namesakes,
    "dropped-pool-cut-at-once": w.namesakes,
    "drains-by-name": w.namesakes,
    "probes-by-name": w.namesakes,
    "connect-waits-as-for-an-answer": w.connecting,
    "connect-timeout-not-retried": w.connecting,
    "retry-once-too-often": w.attempts,
    "retry-once-too-few": w.attempts,
    "retry-forgets-the-first": w.elsewhere,
    "retry-ignores-statuses": w.attempts,
    "retry-ignores-timeouts": w.attempts,
    "retry-undeclared": w.attempts,
    "retry-same-backend": w.elsewhere,
    "refused-is-a-404": w.own_statuses,
    "reset-is-a-200": w.own_statuses,
    "own-error-is-200": w.own_statuses,
    "own-error-is-500": w.own_statuses,
    "timeout-told-as-broken": w.own_statuses,
    "hang-answered-late": w.patience,
    "retry-truncates-body": w.bodies,
    "cut-body-completed": w.bodies,
    "cut-ended-by-fin": w.bodies,
    "timeout-for-the-whole-answer": w.patience,
    "continue-swallowed": w.upstream(None, ("Expect", "100-continue")),
    # change
    "drain-ignored": w.draining(False),
    "drain-keeps-sticky": w.draining(False),
    "drain-drops-sticky": w.draining(True),
    "registered-never-served": w.membership_changes,
    "deregistered-still-served": w.membership_changes,
    "reweigh-ignored": w.reweighed,
    "reweigh-keeps-members": w.reweighed_to_and_from_zero,
    "stop-at-the-first-goodbye": w.stopping,
    "reload-forgets-health": w.reloaded,
    "reload-forgets-cookies": w.reloaded,
    "reload-ignores-rules": w.reloaded,
    "reload-starts-over": w.reloaded,
    "reload-forgets-streaks": w.reloaded_between_probes,
    "drain-cuts-in-flight": w.leaving,
    "deregister-cuts-in-flight": w.leaving,
    "drain-takes-response-time": w.leaving,
    "return-does-not-stop-the-clock": w.leaving,
    "stop-cuts-in-flight": w.leaving,
    "returned-weight-lost": w.returned,
    "reweigh-forgets-bindings": w.reweighed_with_bound_clients,
    "reload-forgets-addresses": w.reloaded_with_bound_addresses,
    "reload-keeps-old-check": w.reloaded_with_other_times,
    "reload-keeps-old-timeouts": w.reloaded_with_other_times,
    "reload-stops-probes": w.reloaded_with_other_times,
    # stickiness
    "cookie-carries-address": w.cookies,
    "cookie-encodes-address": w.cookie_value,
    "cookie-signature-unchecked": w.cookies,
    "cookie-name-substring": w.cookies,
    "cookie-only-when-alone": w.cookies,
    "unknown-cookie-first-backend": w.cookies,
    "bad-cookie-refused": w.cookies,
    "cookie-set-each-time": w.cookies,
    "sticky-never-matches": w.cookies,
    "sticky-never-expires": w.cookies,
    "cookie-without-httponly": w.attributes,
    "cookie-without-secure": w.attributes,
    "cookie-without-same-site": w.attributes,
    "cookie-without-max-age": w.attributes,
    "cookie-for-one-path": w.attributes,
    "sticky-for-everybody": w.sticky_turns,
    "source-affinity-forgets": w.sticky_turns,
    "sticky-to-the-dead": w.homeless,
    "dead-binding-wanders": w.homeless,
    "app-cookie-learned-once": w.applications,
    "app-cookie-not-learned": w.applications,
    "app-cookie-first-line-only": w.applications,
    "app-cookie-of-a-client": w.strange_sessions,
    "table-halves-duration": w.late_sessions,
    "app-cookie-quotes-one-side": w.quoted_session,
    "peers-bound-for-clients": w.clients_of_a_peer,
    "long-bindings-end-soon": w.session_of_a_browser,
    "bound-once-a-connection": w.shared_connection,
    "cookie-first-line-only": w.two_cookie_lines,
    "cookie-withheld-beside-others": w.two_cookie_lines,
    "app-cookie-bound-to-the-dead": w.failed_over,
    "sticky-expires-early": w.lasting,
    # rules
    "conditions-are-alternatives": w.paths("/a", path=("/a",), method=("POST",)),
    "prefix-not-by-elements": w.paths("/api/x", "/apiary", path_prefix=("/api",)),
    "prefix-keeps-its-slash": w.paths("/docs", path_prefix=("/docs/",)),
    "path-ignores-case": w.paths("/a", "/A", path_exact=("/a",)),
    "path-decoded": w.paths("/a", "/%61", path_exact=("/a",)),
    "path-with-query": w.paths("/a?b", path_exact=("/a",)),
    "star-stops-at-slash": w.paths("/a/b", path=("/*",)),
    "regex-anchored": w.paths("/xay", path_regex=("a",)),
    "exact-as-prefix": w.paths("/a", "/ab", path_exact=("/a",)),
    "host-case-sensitive": w.routed(*HOSTS, host=("a.test",)),
    "host-with-port": w.routed(*HOSTS, host=("a.test",)),
    "host-dot-kept": w.routed(*HOSTS, host=("a.test",)),
    "method-ignored": w.routed(get(), method=("POST",)),
    "header-first-only": w.routed(*FIELDS, header=(("X", ("A",)),)),
    "header-name-case-sensitive": w.routed(*FIELDS, header=(("X", ("A",)),)),
    "query-not-decoded": w.paths("/?v=%31", query=(("v", ("1",)),)),
    "query-first-only": w.paths("/?v=1&v=2", query=(("v", ("2",)),)),
    "cookie-condition-substring": w.routed(get("/", ("Cookie", "xbeta=yes")), cookie=(("beta", ("yes",)),)),
    "source-from-forwarded-for": w.routed(get("/", LIE), source=("6.6.6.0/24",)),
    "rule-order-reversed": w.ordered,
    "rules-in-file-order": w.ordered,
    "priorities-as-text": w.numbered,
    "routed-once-a-connection": w.one_connection,
    "only-the-first-value": w.paths("/b", path_exact=("/a", "/b")),
    "only-the-last-name": w.routed(get("/", ("Y", "2")), header=(("X", ("1",)), ("Y", ("2",)))),
    "default-is-first-rule": w.ordered,
    "fixed-response-wrong-status": w.fixed,
    "weighted-forward-ignores-weights": w.split,
    "weighted-forward-heaviest-only": w.split,
    "weighted-forward-off-by-one": w.split_with_nothing,
    "redirect-decodes-path": w.redirected,
    "redirect-trims-path": w.redirected,
    "redirect-asks-for-nothing": w.redirected,
    "redirect-cleans-path": w.redirected,
    "redirect-drops-known-ports": w.redirected,
    "redirect-loses-query": w.redirected,
    "redirect-loses-port": w.redirected,
    "redirect-keeps-scheme": w.redirected,
    "rewrite-ignored": w.rewritten,
    "rewrite-everywhere": w.rewritten,
    "rewrite-loses-query": w.rewritten,
    "rewrite-double-slash": w.rewritten,
    # messages
    "hop-by-hop-passed": w.upstream(None, ("Keep-Alive", "5")),
    "connection-named-passed": w.upstream(None, ("Connection", "X-Gone"), ("X-Gone", "1")),
    "connection-options-by-case": w.downstream,
    "answer-connection-last-line": w.downstream,
    "connection-strips-length": w.downstream,
    "connection-strips-own-fields": w.upstream(None, ("Connection", "X-Forwarded-For")),
    "forwarded-for-replaced": w.upstream(None, LIE),
    "forwarded-for-missing": w.upstream(),
    "forwarded-for-doubled": w.upstream(None, LIE),
    "forwarded-for-last-line": w.upstream(None, LIE, ("X-Forwarded-For", "6.6.6.7")),
    "forwarded-for-of-the-first": w.two_peers,
    "alike-from-another-client": w.two_peers,
    "forwarded-proto-set-anyway": w.upstream(Forwarded(x_forwarded_proto="none")),
    "forwarded-port-passed-anyway": w.upstream(Forwarded(x_forwarded_port="none"), ("X-Forwarded-Port", "70")),
    "forwarded-proto-trusted": w.upstream(None, ("X-Forwarded-Proto", "https")),
    "forwarded-proto-missing": w.upstream(),
    "forwarded-port-missing": w.upstream(),
    "host-rewritten": w.upstream(Forwarded(host="backend")),
    "repeated-field-lost": w.downstream,
    "answer-hop-by-hop-passed": w.downstream,
    "two-lengths-accepted": w.framings,
    "length-and-chunked-accepted": w.framings,
    "odd-coding-is-chunked": w.framings,
    "body-truncated": w.framings,
    "dirty-connection-reused": w.reuse,
    "closing-connection-reused": w.reuse,
    "early-answer-connection-kept": w.reuse,
    "pipelined-request-dropped": w.reuse,
    "behind-a-body-dropped": w.reuse,
    "half-a-head-kept": w.reuse,
    "client-ahead-never-read-on": w.reuse,
    "answers-held-until-whole": w.reuse,
    "content-encoding-lost": w.downstream,
    "entity-tag-dropped": w.downstream,
    "connection-strips-host": w.upstream(None, ("Connection", "Host")),
    "authorization-dropped": w.upstream(None, ("Authorization", "Basic x")),
    "long-answer-field-cut": w.downstream,
    "long-field-cut": w.upstream(None, ("X", "x" * 2000)),
    "one-request-at-a-time": w.together,
    "bodiless-answer-waits": w.reuse,
    "own-error-to-head-has-body": w.own_bodies,
    "redirect-to-head-has-body": w.own_bodies,
    "own-204-says-a-length": w.own_bodies,
    "early-answer-client-kept": w.staying,
    "close-in-capitals-unheard": w.staying,
    "keep-alive-unsaid": w.staying,
    "interim-to-old-client": w.interim,
    "interim-is-final": w.interim,
    "chunks-to-old-client": w.interim,
    "refused-client-kept": w.staying,
    "early-answer-torn": w.staying,
    "empty-line-refused": w.staying,
    "surplus-kept": w.staying,
    "surplus-passed-on": w.staying,
    "patch-repeated": w.attempts,
    "delete-not-retried": w.attempts,
    "body-of-delete-dropped": w.framings,
    "not-modified-has-body": w.reuse,
    "authority-of-target-lost": w.upstream(None, ("Host", "other.test")),
    "chunk-extension-refused": w.chunks,
    "chunk-size-lower-case": w.chunks,
    "upload-takes-response-time": w.waiting,
    "slow-reader-is-cut": w.waiting,
    "closed-connection-kept": w.waiting,
    "waiting-client-is-idle": w.waiting,
    "idling-goes-on-into-a-body": w.waiting,
    "idle-client-kept-for-ever": w.waiting,
    "answer-piles-up": w.waiting,
    "one-place-for-who-waits": w.holding,
    "joined-leaves-the-queue": w.freeing,
    "retry-server-errors-only": w.declared_attempts,
    "idle-client-closed-early": w.waiting,
    "head-without-end": w.waiting,
    "later-parts-not-held": w.holding,
    "late-stays-in-the-queue": w.holding,
    "answered-post-repeated": w.attempts,
    "non-idempotent-undeclared": w.declared_attempts,
    "retry-first-status-only": w.declared_attempts,
}


def test_every_defect_has_a_witness() -> None:
    assert set(WITNESS) == set(DEFECTS)


@pytest.mark.parametrize("name", NAMES)
def test_a_defect_shows_on_its_witness(name: str) -> None:
    assert WITNESS[name](decisions_with(name)) != WITNESS[name](Decisions)


@pytest.mark.parametrize("name", NAMES)
def test_a_defective_balancer_still_serves(name: str) -> None:
    world = World(decisions_with(name))
    assert set(world.turns(12)) == set("abc")
    assert all(b.in_flight == 0 for b in world.pool.backends)


@pytest.mark.parametrize("name", NAMES)
def test_a_defect_says_what_it_is(name: str) -> None:
    defect = DEFECTS[name]
    assert defect.name == name
    assert defect.area in AREAS
    assert defect.sentence.endswith(".")
    assert len(defect.source) > 20


def test_no_two_defects_are_the_same() -> None:
    """Not one pair behaves alike on all witnesses of both."""
    alike = [
        (one, two)
        for one in NAMES
        for two in NAMES
        if one < two
        and DEFECTS[one].area == DEFECTS[two].area
        and WITNESS[one](decisions_with(one)) == WITNESS[one](decisions_with(two))
        and WITNESS[two](decisions_with(one)) == WITNESS[two](decisions_with(two))
    ]
    assert alike == []


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"no defect is called 'turn-skiped'\n.*turn-skipped"):
        decisions_with("turn-skiped")


@pytest.mark.parametrize("name", [*DEFECTS, *TWINS])
def test_heads_are_the_same_for_requests_and_answers_that_are_alike(name: str) -> None:
    """The shell asks for them once: whoever makes them of more than it is told has to say `heads_vary`."""
    kind = decisions_with(name) if name in DEFECTS else twin_named(name)
    world = World(kind)
    own = (("Cookie", "a=1"), ("Connection", "X-Own"), ("X-Own", "1"), ("X-Forwarded-For", "192.0.2.9"), ("TE", "x"))
    requests = [get("/one", *own), get("/two?three", *own), get("/one", *own)]
    requests[2].method = "POST"
    told = []
    for request in requests:
        world.decisions.route(world.listener, request)
        told.append(world.decisions.upstream_headers(world.listener, world.pool, world["a"], request))
        world.end(world.begin(get(peer="192.0.2.7")))
    assert kind.heads_vary is (told != told[:1] * 3)
    answers = [world.decisions.downstream_headers([*own, ("Date", "x"), ("Set-Cookie", "y")]) for _ in range(3)]
    assert answers == answers[:1] * 3
