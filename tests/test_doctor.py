"""The doctor: what it finds on this machine, and what it says of one that lacks everything."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from lbcheck import doctor
from lbcheck.doctor import balancers, docker_client, docker_engine, loopback, low_ports, python


def test_this_machine_can_run_lbcheck() -> None:
    assert python().state == "ok"
    assert loopback().state == "ok"


def test_a_machine_without_programs_is_told_how_to_get_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    look = docker_client()
    assert look.state == "absent"
    assert look.remedy
    assert docker_engine().state == "absent"
    assert doctor.report()[1] == 0  # none of it is needed


def test_a_balancer_is_found_with_its_version() -> None:
    found = {look.what: look for look in balancers()}
    assert {"reference", "haproxy", "nginx"} <= set(found)
    assert found["reference"].state == "ok"
    assert all(look.remedy for look in found.values() if look.state != "ok")


def test_a_program_that_answers_is_believed_and_one_that_fails_is_quoted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "docker"
    program.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && echo "Docker version 99" && exit 0\necho "no engine" >&2; exit 1'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert (docker_client().state, docker_client().detail) == ("ok", "Docker version 99")
    assert (docker_engine().state, docker_engine().detail) == ("absent", "no engine")


def test_an_address_that_cannot_be_bound_breaks_and_a_low_port_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.77.9.9", 0)) as taken:
        monkeypatch.setattr(doctor, "LOOPBACK", ("127.77.9.9",))
        monkeypatch.setattr(doctor, "LOW_PORT", taken.getsockname()[1])
        assert low_ports().state == "absent"
        assert "cannot be bound" in low_ports().detail
    monkeypatch.setattr(doctor, "LOOPBACK", ("192.0.2.1",))  # an address of nobody (RFC 5737)
    assert loopback().state == "broken"
    assert doctor.report()[1] == 1
