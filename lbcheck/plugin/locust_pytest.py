"""Keeps locust's own pytest plugin out.

locust comes with lbcheck as a dependency, and its entry point would claim the option `--host` and the fixtures
`session` and `fastsession` in every user's tests. Entry points load in no certain order, so it is blocked where it has
not been loaded yet and taken out again where it has. Who wants it says `pytest_plugins = ["pytest_locust.plugin"]`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

NAME = "locust"
OPTION = "--host"
SHORT = "-H"


def block(pluginmanager: pytest.PytestPluginManager) -> None:
    """For the usual order: lbcheck is loaded before locust's entry point."""
    if not pluginmanager.has_plugin(NAME):
        pluginmanager.set_blocked(NAME)


def take_out(pluginmanager: pytest.PytestPluginManager, parser: pytest.Parser) -> None:
    """For the other order: unregisters it, forgets its option, and keeps its fixtures from being found."""
    plugin = pluginmanager.get_plugin(NAME)
    if plugin is None:
        return
    pluginmanager.unregister(plugin, NAME)
    pluginmanager.set_blocked(NAME)
    _forget_registration(pluginmanager, plugin)
    _forget_option(parser)


def _forget_registration(pluginmanager: pytest.PytestPluginManager, plugin: Any) -> None:
    # pytest's fixture manager is told of every registration afterwards, of withdrawn ones too; pluggy has no public
    # way to forget one.
    history = getattr(pluginmanager.hook.pytest_plugin_registered, "_call_history", None) or []
    history[:] = [call for call in history if call[0].get("plugin") is not plugin]
    distributions = getattr(pluginmanager, "_plugin_distinfo", [])
    distributions[:] = [pair for pair in distributions if pair[0] is not plugin]


def _forget_option(parser: pytest.Parser) -> None:
    argument_parser = getattr(parser, "optparser", None)
    for action in list(getattr(argument_parser, "_actions", [])):
        if OPTION in action.option_strings:
            argument_parser._handle_conflict_resolve(  # type: ignore[union-attr]
                action, [(s, action) for s in (OPTION, SHORT) if s in action.option_strings]
            )
