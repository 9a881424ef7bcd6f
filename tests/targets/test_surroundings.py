"""What users' own configurations name outside themselves."""

from __future__ import annotations

from pathlib import Path

from lbcheck.targets import haproxy_surroundings, nginx_surroundings

HAPROXY = """\
global
    user haproxy
    group "haproxy"   # quoted, as a shell would
    chroot /var/lib/haproxy
    crt-base /etc/haproxy/certs
    stats socket /run/haproxy/admin.sock mode 660 user deploy group ops
    stats socket ipv4@127.0.0.1:9999
    # stats socket /run/commented.sock
defaults
    errorfile 503 /etc/haproxy/errors/503.http
frontend www
    bind *:443 ssl crt shop.pem crt /etc/ssl/all ca-file @system-ca
    bind unix@/run/haproxy/own.sock user front
    acl old hdr(host) -f /etc/haproxy/old.lst
    use_backend %[req.hdr(host),lower,map_dom(/etc/haproxy/hosts.map,shop)]
backend shop
    server a 10.0.0.1:443 ssl ca-file /etc/ssl/ca.crt verify required
    http-request set-path /health
"""


def test_a_haproxy_cfg(tmp_path: Path) -> None:
    config = tmp_path / "haproxy.cfg"
    config.write_text(HAPROXY)
    found = haproxy_surroundings.surroundings([config])
    assert found.users == ("haproxy", "deploy", "front")
    assert found.groups == ("haproxy", "ops")
    assert found.folders == ("/var/lib/haproxy",)
    assert found.writes == ("/run/haproxy/admin.sock", "/run/haproxy/own.sock")
    assert found.certificates == ("/etc/haproxy/certs/shop.pem", "/etc/ssl/all/", "/etc/ssl/ca.crt")
    assert sorted(found.reads) == ["/etc/haproxy/errors/503.http", "/etc/haproxy/hosts.map", "/etc/haproxy/old.lst"]
    assert found.reads["/etc/haproxy/errors/503.http"].startswith("HTTP/1.0 503 ")


def test_a_folder_of_haproxy_files_is_all_of_them(tmp_path: Path) -> None:
    (tmp_path / "10.cfg").write_text("global\n  user one\n")
    (tmp_path / "20.cfg").write_text("global\n  group two\n")
    (tmp_path / "20.cfg.bak").write_text("global\n  user three\n")
    found = haproxy_surroundings.surroundings([tmp_path])
    assert (found.users, found.groups) == (("one",), ("two",))


def test_an_nginx_conf_with_what_it_includes(tmp_path: Path) -> None:
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "nginx.conf").write_text(
        "user www; pid /run/nginx.pid; error_log stderr;\n"
        "http { include conf.d/*.conf; include missing.conf; access_log off;\n"
        "proxy_cache_path /var/cache/shop levels=1:2; }"
    )
    (tmp_path / "conf.d" / "a.conf").write_text(
        "server { listen unix:/run/shop.sock; listen 443 ssl; ssl_certificate certs/shop.pem; # ssl_certificate /no;\n"
        "ssl_certificate_key data:$key; access_log /var/log/shop.log main; error_log syslog:server=10.0.0.1; }"
    )
    built = "configure arguments: --http-proxy-temp-path=/var/lib/nginx/proxy --error-log-path=stderr"
    found = nginx_surroundings.surroundings(tmp_path / "nginx.conf", built)
    assert (found.users, found.groups) == (("www",), ("www",))
    assert found.certificates == (f"{tmp_path}/certs/shop.pem",)
    assert sorted(found.writes) == sorted(
        ["/run/nginx.pid", "/var/cache/shop", "/var/log/shop.log", "/run/shop.sock", "/var/lib/nginx/proxy"]
    )


def test_files_that_include_each_other_come_to_an_end(tmp_path: Path) -> None:
    (tmp_path / "nginx.conf").write_text("include nginx.conf; user www www-group;")
    found = nginx_surroundings.surroundings(tmp_path / "nginx.conf", "")
    assert (found.users, found.groups) == (("www",), ("www-group",))
