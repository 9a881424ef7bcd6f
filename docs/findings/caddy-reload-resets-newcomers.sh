#!/usr/bin/env bash
# Caddy resets connections that come while it takes another configuration over (FLO-24).
source "$(dirname "$0")/scene.sh"
read -r front admin < <(free_ports 2)
config() { # TEXT: so that each configuration is another
    cat >"$folder/Caddyfile" <<CONFIG
{
	admin 127.0.0.1:$admin
	auto_https off
}
http://:$front {
	bind 127.0.0.1
	respond "$1" 200
}
CONFIG
}
export HOME=$folder XDG_DATA_HOME=$folder XDG_CONFIG_HOME=$folder
config 0
start "${CADDY:-caddy}" run --config "$folder/Caddyfile" --adapter caddyfile
ready "$front" "$admin"

cat >"$folder/ask.py" <<'PYTHON'
"""Asks on new connections until the file is there; prints how many were answered and how many reset."""
import pathlib, socket, sys
answered = reset = 0
while not pathlib.Path(sys.argv[2]).exists():
    try:
        with socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=5) as conn:
            conn.sendall(b"GET / HTTP/1.1\r\nHost: lb.test\r\nConnection: close\r\n\r\n")
            answered += conn.recv(100).startswith(b"HTTP/1.1 200")
    except ConnectionResetError:
        reset += 1
print(answered, "answered,", reset, "reset")
PYTHON
for client in 1 2 3; do
    python3 "$folder/ask.py" "$front" "$folder/enough" >"$folder/asked.$client" &
    asking[client]=$!
done
for round in $(seq 60); do
    config "$round"
    "${CADDY:-caddy}" reload --config "$folder/Caddyfile" --adapter caddyfile >>"$folder/log" 2>&1
done
touch "$folder/enough"
wait "${asking[@]}"
echo "60 reloads:"
cat "$folder"/asked.*
verdict grep -qv ' 0 reset' <(cat "$folder"/asked.*)
