"""Before anything starts: which lab can have the addresses that the user names, and may they be sent to?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from lbcheck.client.tls import context_of
from lbcheck.errors import UsageError
from lbcheck.lab.attaching import control_places, controls, listener_places, remote_places
from lbcheck.lab.docker_network import given
from lbcheck.lab.identity import identity_of
from lbcheck.plugin.settings import Settings
from lbcheck.spec.model import Spec
from lbcheck.targets.attached import url_of

NO_WORKERS = "leave -n of pytest-xdist out"


def lab_for(settings: Settings, spec: Spec, *, several: bool = False) -> Settings:
    """The lab that was asked for, or the first that can have every address of a user's spec and configuration.

    `several` workers need several networks, where an address is given: each has it in its own.
    UsageError where the process lab was asked for and could reach beyond this machine, or workers would collide.
    """
    if settings.lab == "docker" and several and (path := next((path for path, _ in given(spec)), "")):
        raise UsageError(
            f"{path} is an address that one worker at a time can have in the docker lab",
            remedy=f"use --lb-lab=sealed, where each worker has a network of its own, or {NO_WORKERS}",
        )
    if settings.lab != "process":
        return settings
    beyond, fixed = next(_beyond(settings, spec), ""), next(given_addresses(spec), "") if several else ""
    if not beyond and not fixed:
        return settings
    if not settings.lab_given:
        return replace(settings, lab="sealed")
    if beyond:
        raise UsageError(
            f"{beyond}, which is not a loopback address: the process lab refuses it before anything starts",
            remedy="use --lb-lab=sealed, which takes any address, or name addresses in 127.0.0.0/8",
        )
    raise UsageError(
        f"{fixed}, which one worker at a time can have in the process lab",
        remedy=f"use --lb-lab=sealed, where each worker has a network of its own, or {NO_WORKERS}",
    )


def given_addresses(spec: Spec) -> Iterator[str]:
    """Each place that the spec itself gives: whoever listens there has it alone."""
    for listener in spec.listeners:
        if listener.port:
            yield f"listener {listener.name} is at {listener.address or ''}:{listener.port}"
    for pool in spec.pools:
        for backend in pool.backends:
            if backend.address is not None and backend.port:
                yield f"backend {backend.name} of pool {pool.name} is at {backend.address}"


def _beyond(settings: Settings, spec: Spec) -> Iterator[str]:
    from lbcheck.lab.placing import remote_addresses
    from lbcheck.lab.sealed_network import addable, mentioned, texts_of

    yield from (f"{path} is {address}" for path, address in remote_addresses(spec))
    for config in settings.configs:
        for text in texts_of(config):
            yield from (f"{config} names {host}" for host in mentioned(text) if addable(host))


def refuse_places(settings: Settings, spec: Spec) -> None:
    """UsageError where URL, backends and spec do not agree, or lead beyond this machine unasked, or no CA is known."""
    url, given = url_of(settings.target), control_places(settings.backends)
    if not settings.allow_remote and (remote := remote_places(spec, url, given)):
        raise UsageError(
            f"not on this machine: {', '.join(remote)}; nothing was sent there",
            remedy="say --lb-allow-remote where the balancer and its backends are yours to test",
        )
    listener_places(spec, url)
    context_of(settings.cafile)
    if settings.identify:
        identity_of(settings.identify)
    if given:
        controls(spec, given)
