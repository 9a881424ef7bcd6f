"""Before anything is sent to a balancer that runs already: is it where the spec has it, and may it be sent to?"""

from __future__ import annotations

from lbcheck.errors import UsageError
from lbcheck.lab.attaching import control_places, controls, listener_places, remote_places
from lbcheck.lab.identity import identity_of
from lbcheck.plugin.settings import Settings
from lbcheck.spec.model import Spec
from lbcheck.targets.attached import url_of


def refuse_places(settings: Settings, spec: Spec) -> None:
    """UsageError where URL, backends and spec do not agree, or lead beyond this machine unasked."""
    url, given = url_of(settings.target), control_places(settings.backends)
    if not settings.allow_remote and (remote := remote_places(spec, url, given)):
        raise UsageError(
            f"not on this machine: {', '.join(remote)}; nothing was sent there",
            remedy="say --lb-allow-remote where the balancer and its backends are yours to test",
        )
    listener_places(spec, url)
    if settings.identify:
        identity_of(settings.identify)
    if given:
        controls(spec, given)
