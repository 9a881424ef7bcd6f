# Sourced by the reproductions beside it: a temporary folder, free loopback ports, processes; all gone at the end.
# They need bash, python3 and the product, and take another build of it from $HAPROXY, $NGINX, $ENVOY, $CADDY or
# $HTTPD.
set -euo pipefail
PATH=$PATH:/usr/sbin
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
folder=$(mktemp -d)
started=()

finish() {
    for id in "${started[@]}"; do kill "$id" 2>/dev/null || true; done
    for id in "${started[@]}"; do wait "$id" 2>/dev/null || true; done
    rm -rf "$folder"
}
trap finish EXIT
trap 'exit 143' INT TERM

start() { # COMMAND...: in the background until the end
    "$@" >>"$folder/log" 2>&1 &
    started+=($!)
}

free_ports() { # N: so many ports of 127.0.0.1 that nobody has
    python3 - "$1" <<'PYTHON'
import socket, sys
sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(int(sys.argv[1]))]
print(*(s.getsockname()[1] for s in sockets))
PYTHON
}

ready() { # PORT...: returns when each takes connections
    for port in "$@"; do
        for _ in $(seq 200); do
            if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then continue 2; fi
            sleep 0.05
        done
        cat "$folder/log"
        echo "nobody listens on port $port"
        exit 2
    done
}

ask() { # PORT LINE...: one request that ends its connection; prints the whole answer
    local port=$1
    shift
    exec 3<>"/dev/tcp/127.0.0.1/$port"
    # In one write: a product that refuses the first line closes at once, and a second write would end the script.
    printf '%s\r\n' "$@" '' | dd bs=64k iflag=fullblock status=none >&3
    timeout 10 cat <&3 | tr -d '\r'
    exec 3>&-
}

verdict() { # TRUE-COMMAND...: 0 when the product behaves as the finding says, 1 when it does not any more
    if "$@"; then echo "=> as the finding says"; else echo "=> not any more"; exit 1; fi
}
