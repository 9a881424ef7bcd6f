"""The sealed lab on this machine: unmodified files are judged, nothing leaves, and nothing is left."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lbcheck.lab import guardian
from lbcheck.lab.sealed_namespaces import privileged

from .test_interrupted import until

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
WITHIN_S = 120
# Root without its rights is an ordinary user; it takes CAP_SETFCAP to be root inside too (user_namespaces(7)).
WITHOUT_RIGHTS = ("setpriv", "--bounding-set=-all,+setfcap", "--inh-caps=-all") if privileged() else ()
USERS = [pytest.param((), id="with the rights that there are"), pytest.param(WITHOUT_RIGHTS, id="in a user namespace")]

HAPROXY = """\
global
    log /dev/log local0
    chroot /var/lib/lbcheck-test/empty
    stats socket /run/lbcheck-test/admin.sock mode 660 level admin user deploy
    user lbcheck-user
    group lbcheck-group
    daemon
    pidfile /run/lbcheck-test.pid
defaults
    mode http
    log global
    timeout connect 1s
    timeout client 50s
    timeout server 50s
    errorfile 503 /etc/lbcheck-test/errors/503.http
frontend www
    bind *:80
    bind 10.20.0.1:443 ssl crt /certs-of-lbcheck-test/shop.pem
    default_backend shop
frontend stats
    bind 10.20.0.1:8404
    stats enable
backend shop
    balance roundrobin
    server web1 web1.internal:8080
    server web2 10.20.0.12:8080
    server web3 [fd00:20::13]:8080
backend another
    server far far.example.com:9000 check
    server farther 203.0.113.9:9000 check
"""
NGINX = """\
user lbcheck-user;
worker_processes 1;
pid /run/lbcheck-test.pid;
error_log /var/log/lbcheck-test/error.log warn;
events { worker_connections 256; }
http {
    access_log /srv/lbcheck-test/logs/access.log;
    include conf.d/*.conf;
}
"""
NGINX_SHOP = """\
upstream shop {
    zone shop 64k;
    server web1.internal:8080 max_fails=0;
    server 10.20.0.12:8080 max_fails=0;
    server app3 max_fails=0;
}
server {
    listen 80;
    server_name shop.example.com;
    location / { proxy_pass http://shop; }
}
server {
    listen 443 ssl;
    ssl_certificate /etc/lbcheck-test/fullchain.pem;
    ssl_certificate_key /etc/lbcheck-test/privkey.pem;
    location / { proxy_pass http://shop; }
}
"""
SPEC = """\
version: 1
listeners:
  - {name: www, address: 0.0.0.0, port: 80, default: {forward: shop}}
pools:
  shop:
    algorithm: round_robin
    backends: [{name: web1, address: "web1.internal:8080"}, {name: web2, address: "10.20.0.12:8080"}, THIRD]
"""
PROBES = "balance roundrobin\n    option httpchk GET /\n    default-server check inter 500ms"
PROBED = "    health_check: {interval: 500ms, timeout: 500ms}\n"
NOWHERE = [
    Path("/run/lbcheck-test"),
    Path("/run/lbcheck-test.pid"),
    Path("/var/lib/lbcheck-test"),
    Path("/etc/lbcheck-test"),
    Path("/certs-of-lbcheck-test"),
    Path("/var/log/lbcheck-test"),
    Path("/srv/lbcheck-test"),
]


def run(argv: list[str], *, cwd: Path, user: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k != "CI" and not k.startswith(("LBCHECK_", "PYTEST_"))}
    environment["PYTHONPATH"] = str(ROOT)
    return subprocess.run(
        [*user, *argv], cwd=cwd, env=environment, capture_output=True, text=True, timeout=WITHIN_S, check=False
    )


def judge(folder: Path, *words: str, user: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "pytest", "--lb-spec=lb.yaml", "-p", "no:cacheprovider", *words]
    return run(argv, cwd=folder, user=user)


def inside(script: str, tmp_path: Path, user: tuple[str, ...] = ()) -> dict[str, object]:
    """What a script prints, as JSON, that begins sealed."""
    begin = (
        "import errno, json, os, socket\nfrom pathlib import Path\nfrom lbcheck.lab.sealed import Seal\nseal = Seal()\n"
    )
    done = run([sys.executable, "-c", begin + script], cwd=tmp_path, user=user)
    assert done.returncode == 0, done.stderr
    said: dict[str, object] = json.loads(done.stdout)
    return said


@pytest.mark.parametrize("user", USERS)
def test_nothing_can_leave(tmp_path: Path, user: tuple[str, ...]) -> None:
    """The attempts are made only by who is not in the machine's network any more: there is nothing to send with."""
    machine = str(Path("/proc/self/ns/net").readlink())
    said = inside(
        f"""
def attempt(family, kind, address):
    assert os.readlink("/proc/thread-self/ns/net") != {machine!r}
    with socket.socket(family, kind) as sock:
        return errno.errorcode.get(sock.connect_ex(address), "connected")
def attempts():
    tcp, udp = socket.SOCK_STREAM, socket.SOCK_DGRAM
    return [
        attempt(socket.AF_INET, tcp, ("192.0.2.1", 80)),
        attempt(socket.AF_INET, udp, ("192.0.2.1", 53)),
        attempt(socket.AF_INET6, tcp, ("2001:db8::1", 80)),
    ]
seal.network.add(["10.1.2.3", "fd00::7"], ["10.1.2.4", "fd00::8"])
near = attempts()
with seal.behind():
    far = attempts()
print(json.dumps({{"near": near, "far": far}}))
""",
        tmp_path,
        user,
    )
    assert said == {"near": ["ENETUNREACH"] * 3, "far": ["ENETUNREACH"] * 3}


@pytest.mark.parametrize("user", USERS)
def test_a_backend_and_a_listener_on_all_addresses_can_have_one_port(tmp_path: Path, user: tuple[str, ...]) -> None:
    said = inside(
        """
seal.network.add([], ["10.1.2.4", "fd00::8"])
with seal.behind():
    far = [socket.create_server(("10.1.2.4", 80)), socket.create_server(("fd00::8", 80), family=socket.AF_INET6)]
near = socket.create_server(("0.0.0.0", 80))
def source(host):
    with socket.create_connection((host, 80), 5) as connection:
        return connection.getsockname()[0]
print(json.dumps([source("10.1.2.4"), source("fd00::8"), source("127.0.0.1")]))
""",
        tmp_path,
        user,
    )
    assert said == ["198.18.0.1", "fd7f:6c62::1", "127.0.0.1"]


@pytest.mark.parametrize("user", USERS)
def test_every_address_and_name_is_inside(tmp_path: Path, user: tuple[str, ...]) -> None:
    said = inside(
        """
seal.network.add(["10.1.2.3", "fd00::7", "web1.internal"], networks=["172.16.0.0/12"])
seal.folders.hosts(seal.network.hosts_file())
def bound(host, family=socket.AF_INET):
    with socket.socket(family) as sock:
        sock.bind((host, 80))
        return sock.getsockname()[0]
def address(name):
    try:
        return socket.getaddrinfo(name, 80, type=socket.SOCK_STREAM)[0][4][0]
    except socket.gaierror as error:
        return "unknown"
print(json.dumps({
    "literal": [bound("10.1.2.3"), bound("172.20.0.9"), bound("fd00::7", socket.AF_INET6)],
    "name": [address("web1.internal"), bound("web1.internal"), address("localhost"), address("unknown.example.com")],
}))
""",
        tmp_path,
        user,
    )
    assert said["literal"] == ["10.1.2.3", "172.20.0.9", "fd00::7"]
    assert said["name"] == ["198.18.1.0", "198.18.1.0", "::1", "unknown"]


@pytest.mark.skipif(not privileged(), reason="who made a user namespace to get in has no right to get out")
def test_who_came_with_rights_gets_out_again(tmp_path: Path) -> None:
    here = str(Path("/proc/self/ns/net").readlink())
    said = inside(
        f"""
sealed, folder = os.readlink("/proc/self/ns/net"), Path.cwd()
seal.leave()
print(json.dumps([sealed != {here!r}, os.readlink("/proc/thread-self/ns/net") == {here!r}, Path.cwd() == folder]))
""",
        tmp_path,
    )
    assert said == [True, True, True]


def test_an_address_that_cannot_be_had_is_named_with_the_remedy(tmp_path: Path) -> None:
    said = inside(
        """
from lbcheck.errors import LbcheckError
Path("/proc/sys/net/ipv6/conf/all/disable_ipv6").write_text("1")
Path("/proc/sys/net/ipv6/conf/lo/disable_ipv6").write_text("1")
try:
    seal.network.add(["10.1.2.3", "fd00::7"])
except LbcheckError as error:
    print(json.dumps({"said": str(error)}))
""",
        tmp_path,
        WITHOUT_RIGHTS,
    )
    assert "'ip address add fd00::7/128 dev lo nodad'" in str(said["said"])
    assert "is IPv6 switched off" in str(said["said"])


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "workers"])
def test_an_unmodified_haproxy_cfg_is_judged(tmp_path: Path, user: tuple[str, ...], workers: tuple[str, ...]) -> None:
    (tmp_path / "haproxy.cfg").write_text(HAPROXY)
    (tmp_path / "lb.yaml").write_text(SPEC.replace("THIRD", '{name: web3, address: "[fd00:20::13]:8080"}'))
    words = ("--lb-target=haproxy", "--lb-config=haproxy.cfg", "--lb-only=ALG-01,RTE-18", *workers)
    done = judge(tmp_path, *words, user=user)
    record = json.loads((tmp_path / "reports" / "run.json").read_text())
    assert {check["node"]: check["outcome"] for check in record["checks"]} == {
        "ALG-01[shop]": "holds",
        "RTE-18[www]": "holds",
    }, done.stdout
    assert done.returncode == 0
    supplied = {text.partition(":")[0] for check in record["checks"] for text in check["supplied"]}
    assert {
        "user lbcheck-user",
        "user deploy",
        "group lbcheck-group",
        "/var/lib/lbcheck-test/empty",
        "/certs-of-lbcheck-test/shop.pem",
        "/etc/lbcheck-test/errors/503.http",
    } <= supplied
    assert (tmp_path / "haproxy.cfg").read_text() == HAPROXY
    assert [path for path in NOWHERE if path.exists()] == []


@pytest.mark.parametrize("user", USERS)
def test_an_unmodified_nginx_conf_is_judged(tmp_path: Path, user: tuple[str, ...]) -> None:
    (tmp_path / "nginx.conf").write_text(NGINX)
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "shop.conf").write_text(NGINX_SHOP)
    (tmp_path / "lb.yaml").write_text(SPEC.replace("THIRD", '{name: web3, address: "app3:80"}'))
    done = judge(tmp_path, "--lb-target=nginx", "--lb-config=nginx.conf", "--lb-only=ALG-01", user=user)
    record = json.loads((tmp_path / "reports" / "run.json").read_text())
    assert [check["outcome"] for check in record["checks"]] == ["holds"], done.stdout
    assert [path for path in NOWHERE if path.exists()] == []


def test_a_balancer_that_asks_dns_by_itself_is_answered(tmp_path: Path) -> None:
    resolvers = "resolvers own\n    nameserver one 10.0.0.2:53\n    hold valid 1s\n"
    by_itself = "web1.internal:8080 resolvers own init-addr none"  # not from the hosts file
    probed = HAPROXY.replace("web1.internal:8080", by_itself).replace("balance roundrobin", PROBES)
    (tmp_path / "haproxy.cfg").write_text(resolvers + probed)
    (tmp_path / "lb.yaml").write_text(SPEC.replace("THIRD", '{name: web3, address: "[fd00:20::13]:8080"}') + PROBED)
    done = judge(tmp_path, "--lb-target=haproxy", "--lb-config=haproxy.cfg", "--lb-only=ALG-01")
    assert done.returncode == 0, done.stdout


def test_a_wrong_configuration_is_broken_inside(tmp_path: Path) -> None:
    (tmp_path / "haproxy.cfg").write_text(HAPROXY.replace("balance roundrobin", "balance random"))
    (tmp_path / "lb.yaml").write_text(SPEC.replace("THIRD", '{name: web3, address: "[fd00:20::13]:8080"}'))
    done = judge(tmp_path, "--lb-target=haproxy", "--lb-config=haproxy.cfg", "--lb-only=ALG-01")
    assert done.returncode == 1
    assert "BROKEN  ALG-01" in done.stdout
    assert "--lb-lab=sealed" in done.stdout  # how to repeat it


def test_the_process_lab_refuses_what_leads_beyond_this_machine(tmp_path: Path) -> None:
    (tmp_path / "haproxy.cfg").write_text(HAPROXY)
    (tmp_path / "lb.yaml").write_text(SPEC.replace("THIRD", '{name: web3, address: "127.0.0.1:8080"}'))
    done = judge(tmp_path, "--lb-target=haproxy", "--lb-config=haproxy.cfg", "--lb-lab=process")
    assert done.returncode == 4
    assert "use --lb-lab=sealed" in done.stderr


def test_who_may_have_no_namespace_is_told_the_next_best_lab(tmp_path: Path) -> None:
    """The limit is that of a user namespace made for it (namespaces(7)), not the machine's."""
    (tmp_path / "lb.yaml").write_text(SPEC.replace("THIRD", '{name: web3, address: "10.20.0.13:8080"}'))
    argv = f"{sys.executable} -m pytest --lb-target=haproxy --lb-spec=lb.yaml -p no:cacheprovider"
    script = f"echo 0 >/proc/sys/user/max_user_namespaces; exec setpriv --bounding-set=-all --inh-caps=-all {argv}"
    done = run(["unshare", "--user", "--map-root-user", "bash", "-c", script], cwd=tmp_path)
    assert done.returncode == 4, done.stderr
    assert "can have no namespace of its own: user.max_user_namespaces is used up" in done.stderr
    assert "--lb-lab=process" in done.stderr


HARNESS = """
import os, sys
from lbcheck.lab.sealed import SealedLab
from lbcheck.lab.stage import open_stage
from lbcheck.targets import find
from tests.lab.specs import api, checked

lab = SealedLab(find(sys.argv[1]))
spec = checked()
try:
    with open_stage(lab, spec, api(spec)) as stage, stage.traffic("web", rate=100):
        print(lab._belongings.folder, os.readlink("/proc/thread-self/ns/net"), flush=True)
        stage.wait(60.0)
finally:
    lab.close()
"""


def inhabitants(namespace: str) -> list[int]:
    """Processes whose network is this one."""
    found = []
    for pid in guardian.processes():
        try:
            if str(Path(f"/proc/{pid}/ns/net").readlink()) == namespace:
                found.append(pid)
        except OSError:
            continue
    return found


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("target", ["reference", "haproxy", "nginx"])
def test_nothing_is_left(target: str, user: tuple[str, ...], number: signal.Signals) -> None:
    harness = subprocess.Popen(
        [*user, sys.executable, "-c", HARNESS, target],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    try:
        assert harness.stdout is not None
        said = harness.stdout.readline().split()
        assert len(said) == 2, harness.communicate()[1]
        folder, namespace = Path(said[0]), said[1]
        assert namespace != str(Path("/proc/self/ns/net").readlink())
        assert len(inhabitants(namespace)) >= 6  # harness, guardian, nursery, two backends and the target at least
        assert folder.is_dir()

        harness.send_signal(number)

        assert until(lambda: not inhabitants(namespace))
        assert until(lambda: not folder.exists())
    finally:
        harness.kill()
        harness.communicate()


def test_what_was_hidden_is_the_machines_again(tmp_path: Path) -> None:
    """A folder with a live balancer's socket looks empty inside, and a file put beside it stays inside."""
    outside = tmp_path / "live"
    outside.mkdir()
    (outside / "admin.sock").write_text("of a live balancer")
    (outside / "notes.txt").write_text("kept")
    said = inside(
        f"""
from lbcheck.targets.surroundings import Surroundings
outside = Path({str(outside)!r})
import tempfile; tempfile.tempdir = "/nowhere"  # else everything below the temporary folder would stay as it is
seal.folders.supply(Surroundings(writes=(str(outside / "admin.sock"),), certificates=(str(outside / "shop.pem"),)))
before = sorted(path.name for path in outside.iterdir())
(outside / "admin.sock").write_text("of a lab")
print(json.dumps({{"before": before, "notes": (outside / "notes.txt").read_text()}}))
""",
        tmp_path,
    )
    assert said == {"before": ["notes.txt", "shop.pem"], "notes": "kept"}
    assert (outside / "admin.sock").read_text() == "of a live balancer"
    assert sorted(path.name for path in outside.iterdir()) == ["admin.sock", "notes.txt"]


def test_the_programs_that_these_tests_need_are_there() -> None:
    assert [name for name in ("ip", "unshare", "setpriv", "openssl") if shutil.which(name) is None] == []
