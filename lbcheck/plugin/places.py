"""Before anything starts: which lab can have the addresses that the user names, and may they be sent to?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from lbcheck.client.tls import context_of
from lbcheck.errors import UsageError
from lbcheck.lab.attaching import control_places, controls, listener_places, remote_places
from lbcheck.lab.identity import identity_of
from lbcheck.plugin.settings import Settings
from lbcheck.spec.model import Spec
from lbcheck.targets.attached import url_of


def lab_for(settings: Settings, spec: Spec) -> Settings:
    """The lab that was asked for, or the first that can have every address of a user's spec and configuration.

    UsageError where the process lab was asked for and could reach beyond this machine.
    """
    beyond = next(_beyond(settings, spec), "") if settings.lab == "process" else ""
    if not beyond:
        return settings
    if not settings.lab_given:
        return replace(settings, lab="sealed")
    raise UsageError(
        f"{beyond}, which is not a loopback address: the process lab refuses it before anything starts",
        remedy="use --lb-lab=sealed, which takes any address, or name addresses in 127.0.0.0/8",
    )


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
