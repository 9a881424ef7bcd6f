"""haproxy.cfg to a spec. Citations are to HAProxy's Configuration Manual (docs.haproxy.org), version 2.6."""
