# Sourced after scene.sh by the reproductions of httpd: `httpd_with MODULE...` starts it with the lines on its input.
# HTTPD is another build of it, and HTTPD_MODULES the folder of its modules.
HTTPD=${HTTPD:-apache2}
HTTPD_MODULES=${HTTPD_MODULES:-/usr/lib/apache2/modules}

httpd_with() {
    local name static
    static=$("$HTTPD" -l)
    chmod 755 "$folder"
    {
        for name in mpm_event unixd authz_core headers watchdog proxy proxy_http proxy_balancer slotmem_shm \
            lbmethod_byrequests "$@"; do
            grep -q "\b\(mod_\)\?$name.c" <<<"$static" || echo "LoadModule ${name}_module $HTTPD_MODULES/mod_$name.so"
        done
        echo 'DefaultRuntimeDir .'
        echo 'PidFile httpd.pid'
        echo 'ErrorLog /dev/stderr'
        echo 'ServerName lb.test'
        echo 'StartServers 1'
        if [ "$(id -u)" -eq 0 ]; then echo 'User www-data'; echo 'Group www-data'; fi
        cat
    } >"$folder/httpd.conf"
    start "$HTTPD" -d "$folder" -f httpd.conf -D FOREGROUND
}

status() { # PORT: of an answer to one request
    ask "$1" "GET / HTTP/1.1" "Host: lb.test" "Connection: close" | sed -n '1s/^[^ ]* \([0-9]*\).*/\1/p'
}
