# Sourced after scene.sh by the reproductions of Caddy: `caddy_with` starts it with the Caddyfile on its input.
caddy_with() {
    { printf '{\n\tadmin off\n\tauto_https off\n}\n'; cat; } >"$folder/Caddyfile"
    export HOME=$folder XDG_DATA_HOME=$folder XDG_CONFIG_HOME=$folder
    start "${CADDY:-caddy}" run --config "$folder/Caddyfile" --adapter caddyfile
}
