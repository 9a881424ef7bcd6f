# Sourced by the reproductions: a temporary folder, and an end for whatever they start.
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PATH="$PATH:/usr/sbin"
work=$(mktemp -d)
started=()
trap 'kill "${started[@]}" 2>/dev/null; wait 2>/dev/null; rm -rf "$work"' EXIT

origin() { # PORT NAME [FIELD ...]: a backend whose requests go to $work/NAME
    python3 -u "$here/origin.py" "$@" >"$work/$2" & started+=($!)
}

haproxy_with() { # the text of a configuration
    printf '%s\n' "$1" >"$work/haproxy.cfg"
    haproxy -db -f "$work/haproxy.cfg" 2>"$work/log" & started+=($!)
}

nginx_with() { # what stands inside http {}
    printf '%s\n' "daemon off; pid $work/pid; error_log $work/log; events {} http { access_log off;
        client_body_temp_path $work/1; proxy_temp_path $work/2; fastcgi_temp_path $work/3; uwsgi_temp_path $work/4;
        scgi_temp_path $work/5; $1 }" >"$work/nginx.conf"
    local user=()
    [ "$(id -u)" -eq 0 ] && user=(-g 'user root;')
    nginx -p "$work" -c "$work/nginx.conf" "${user[@]}" 2>>"$work/log" & started+=($!)
}

ready() { # PORT ...: until each accepts, ten seconds at most
    local port
    for port in "$@"; do
        for _ in $(seq 100); do (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break; sleep 0.1; done
    done
}

verdict() { # WORDS, then a condition's exit status: 0 the finding stands
    if [ "$2" -eq 0 ]; then echo "as found: $1"; else echo "no longer so: $1"; cat "$work/log" 2>/dev/null; fi
    exit "$2"
}
