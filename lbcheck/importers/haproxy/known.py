"""Words of the manual that are not read further: those that no claim depends on, and those that the spec cannot say."""

from __future__ import annotations

_READ = """
    acl balance bind cookie default-server default_backend hash-type mode monitor-uri redirect retries retry-on
    server server-template stick-table use_backend
"""
_PROCESS = """
    ca-base chroot cluster-secret cpu-map crt-base daemon default-path description
    expose-experimental-directives external-check fd-hard-limit gid grace group hard-stop-after
    insecure-fork-wanted insecure-setuid-wanted issuers-chain-path localpeer log log-send-hostname log-tag
    lua-prepend-path master-worker mworker-max-reloads node numa-cpu-mapping pidfile pp2-never-send-local
    set-dumpable set-var presetenv resetenv setenv unsetenv ssl-default-bind-ciphers
    ssl-default-bind-ciphersuites ssl-default-bind-curves ssl-default-bind-options ssl-default-server-ciphers
    ssl-default-server-ciphersuites ssl-default-server-options ssl-dh-param-file ssl-server-verify
    ssl-skip-self-issued-ca stats strict-limits uid ulimit-n unix-bind user busy-polling maxcompcpuusage
    maxcomprate maxpipes maxzlibmem no-memory-trimming noepoll noevports nogetaddrinfo nokqueue nopoll
    noreuseport nosplice profiling.tasks server-state-base server-state-file ssl-engine ssl-mode-async quiet
    zero-warning h1-case-adjust h1-case-adjust-file wurfl-data-file deviceatlas-json-file 51degrees-data-file
    spread-checks max-spread-checks httpclient.resolvers.id httpclient.resolvers.prefer httpclient.ssl.ca-file
    httpclient.ssl.verify thread-groups
"""
_TUNED = """
    buffers.limit buffers.reserve bufsize comp.maxlevel fd.edge-triggered h2.header-table-size
    h2.initial-window-size h2.max-concurrent-streams http.cookielen http.logurilen http.maxhdr idle-pool.shared
    idletimer lua.maxmem maxaccept maxpollevents maxrewrite pattern.cache-size pipesize pool-high-fd-ratio
    pool-low-fd-ratio rcvbuf.client rcvbuf.server recv_enough runqueue-depth sched.low-latency sndbuf.client
    sndbuf.server ssl.cachesize ssl.capture-buffer-size ssl.default-dh-param ssl.force-private-cache
    ssl.hard-maxrecord ssl.keylog ssl.lifetime ssl.maxrecord ssl.ssl-ctx-cache-size vars.global-max-size
    vars.proc-max-size vars.reqres-max-size vars.sess-max-size vars.txn-max-size zlib.memlevel zlib.windowsize
"""

READ = frozenset(_READ.split()) | {
    "option allbackups",
    "option forwardfor",
    "option httpchk",
    "option redispatch",
    "option tcp-check",
    "http-check send",
    "http-check expect",
    "http-check connect",
    "http-check comment",
    "http-check send-state",
    "stick on",
    "stick match",
    "stick store-request",
    "stick store-response",
    "tcp-check comment",
    *(f"timeout {name}" for name in ("check", "client", "connect", "http-keep-alive", "queue", "server", "tunnel")),
}

_LOGS = "logs are no claim"
_CONNECTIONS = "how connections are kept and reused is no claim"
_SELF = "about the process itself, its rights and its resources"
_COUNT = "how many connections it takes in all is no claim"

_IGNORED_BY_REASON = {
    _LOGS: """log log-format log-format-sd log-tag error-log-format unique-id-format unique-id-header
        option:dontlognull option:dontlog-normal option:httplog option:httpslog option:tcplog option:log-health-checks
        option:log-separate-errors option:logasap option:contstats option:socket-stats capture declare:capture
        email-alert:from email-alert:level email-alert:mailers email-alert:myhostname email-alert:to""",
    _CONNECTIONS: """option:http-keep-alive option:http-server-close option:httpclose option:http-pretend-keepalive
        option:http-no-delay option:tcpka option:clitcpka option:srvtcpka option:tcp-smart-accept option:nolinger
        option:tcp-smart-connect option:splice-auto option:splice-request option:splice-response http-reuse
        option:idle-close-on-response clitcpka-cnt clitcpka-idle clitcpka-intvl srvtcpka-cnt srvtcpka-idle
        srvtcpka-intvl max-keep-alive-queue option:independent-streams timeout:client-fin timeout:server-fin""",
    _COUNT: "maxconn fullconn backlog rate-limit:sessions",
    "no claim is about how long a request's head may take": "timeout:http-request",
    "only `tarpit` waits for it": "timeout:tarpit",
    "a description": "description id",
    "on which processors it runs is no claim": "bind-process",
    "state is not carried over from an earlier process": "load-server-state-from-file server-state-file-name",
    "the body of its own errors is no claim": "errorfile errorfiles http-error",
    "servers' answers change on the way back in a header only": "http-after-response",
    "an answer's head is read as it comes": """option:http-restrict-req-hdr-names option:h1-case-adjust-bogus-client
        option:h1-case-adjust-bogus-server option:disable-h2-upgrade option:http-ignore-probes""",
    "requests that nobody waits for any longer are no claim": "option:abortonclose",
    "whole heads are waited for, and no claim is about that": "option:http-buffer-request",
    "external checks are told where they are used": "external-check:command external-check:path",
}
IGNORED = {word.replace(":", " "): why for why, words in _IGNORED_BY_REASON.items() for word in words.split()}

OTHER_CHECK = "a check in another protocol than HTTP and TCP"
REFUSED = {
    "compression": "answers are compressed",
    "dispatch": "connections go to one address without a server",
    "errorloc": "its own errors become redirects",
    "errorloc302": "its own errors become redirects",
    "errorloc303": "its own errors become redirects",
    "filter": "a filter may change anything",
    "force-persist": "persistence to servers that are down",
    "ignore-persist": "persistence is left out under a condition",
    "http-check disable-on-404": "a server that answers 404 takes no new clients",
    "http-check set-var": "checks with variables",
    "http-check unset-var": "checks with variables",
    "http-send-name-header": "the server's name is sent in a header",
    "monitor fail": "the monitor's answer depends on a condition",
    "option accept-invalid-http-request": "requests that are no HTTP are taken",
    "option accept-invalid-http-response": "answers that are no HTTP are taken",
    "option checkcache": "answers that could be cached wrongly are blocked",
    "option http-use-proxy-header": "another header says whether the connection is kept",
    "option originalto": "the address that the client came to is sent in a header",
    "option persist": "clients are sent to servers that are down",
    "option prefer-last-server": "a connection's later requests stay with its server",
    "option transparent": "connections go where the client meant them to",
    "persist rdp-cookie": "persistence by an RDP cookie",
    "source": "servers see another source address",
    "tcp-check connect": "a check of several steps",
    "tcp-check expect": "what a server says is looked at",
    "tcp-check send": "a check that says something",
    "tcp-check send-lf": "a check that says something",
    "tcp-check send-binary": "a check that says something",
    "tcp-check send-binary-lf": "a check that says something",
    "tcp-request connection": "connections are let in or not under conditions",
    "tcp-request content": "connections are let in or not under conditions",
    "tcp-request session": "connections are let in or not under conditions",
    "tcp-request inspect-delay": "a connection's first bytes are waited for",
    "tcp-response content": "servers' bytes are looked at",
    "transparent": "connections go where the client meant them to",
    "use-fcgi-app": "servers speak FastCGI",
    "use-server": "a rule picks the server",
    "stats": "a page of statistics is served here",
    **dict.fromkeys(
        (
            f"option {name}"
            for name in ("mysql-check", "pgsql-check", "redis-check", "smtpchk", "ldap-check", "ssl-hello-chk")
        ),
        OTHER_CHECK,
    ),
    "option spop-check": OTHER_CHECK,
    "option external-check": OTHER_CHECK,
}

# `http-request` and `http-response` verbs of which no claim depends.
VERBS_IGNORED = {
    **dict.fromkeys(("capture", "set-log-level", "set-mark", "set-tos", "set-nice", "set-priority-class"), _LOGS),
    **dict.fromkeys(
        ("track-sc0", "track-sc1", "track-sc2", "sc-inc-gpc0", "sc-inc-gpc1", "sc-set-gpt0"),
        ("it only counts: what acts on the counters is told where it stands"),
    ),
    "set-var": "nothing that is understood asks for it",
    "unset-var": "nothing that is understood asks for it",
    "send-spoe-group": "",
}

_GLOBAL = _PROCESS.split()
_TUNE = _TUNED.split()
GLOBAL_IGNORED = {
    **dict.fromkeys(_GLOBAL, _SELF),
    **dict.fromkeys((f"tune.{name}" for name in _TUNE), _SELF),
    **dict.fromkeys(("maxconn", "maxconnrate", "maxsessrate", "maxsslconn", "maxsslrate"), _COUNT),
}
GLOBAL_REFUSED = {
    "lua-load": "Lua may do anything",
    "lua-load-per-thread": "Lua may do anything",
    "h1-accept-payload-with-any-method": "requests with bodies are taken that others refuse",
    "h2-workaround-bogus-websocket-clients": "websockets over HTTP/2 are refused",
}

# Sections that are no proxies: what they hold is looked at where a proxy uses it.
SECTIONS_IGNORED = {
    "peers": (
        "other instances share their tables, and one is judged",
        "peer bind server table default-bind log shards default-server",
    ),
    "resolvers": (
        "names are answered by the lab",
        "nameserver hold resolve_retries timeout accepted_payload_size parse-resolv-conf",
    ),
    "userlist": ("who asks for it is refused where it stands", "user group"),
    "mailers": ("mails are no claim", "mailer timeout"),
    "ring": (_LOGS, "description format maxlen size server timeout backing-file"),
    "log-forward": (_LOGS, "bind dgram-bind log maxconn timeout backlog"),
    "program": (_SELF, "command user group option start-on-reload"),
    "http-errors": ("the body of its own errors is no claim", "errorfile"),
    "crt-store": ("certificates are made by the lab", "crt-base key-base load"),
    "traces": (_LOGS, "trace"),
}
SECTIONS_REFUSED = {"cache": "answers come from a cache", "fcgi-app": "servers speak FastCGI"}
