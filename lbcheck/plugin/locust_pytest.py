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
OPTION = ["--host", "-H"]  # as locust declares it; another plugin's --host is left alone


def keep_out(pluginmanager: pytest.PytestPluginManager, parser: pytest.Parser) -> None:
    """Called when lbcheck's own entry point is loaded."""
    plugin = pluginmanager.get_plugin(NAME)
    if plugin is not None:
        pluginmanager.unregister(plugin, NAME)
        _forget_registration(pluginmanager, plugin)
        _forget_option(parser)
    pluginmanager.set_blocked(NAME)


def _forget_registration(pluginmanager: pytest.PytestPluginManager, plugin: Any) -> None:
    # pytest's fixture manager is told of every registration afterwards, of withdrawn ones too; pluggy has no public
    # way to forget one.
    history = getattr(pluginmanager.hook.pytest_plugin_registered, "_call_history", None) or []
    history[:] = [call for call in history if call[0].get("plugin") is not plugin]
    distributions = getattr(pluginmanager, "_plugin_distinfo", [])
    distributions[:] = [pair for pair in distributions if pair[0] is not plugin]


def _forget_option(parser: pytest.Parser) -> None:
    # pytest has no way to take an option back: it keeps them by group, and since 9 in one argparse parser as well.
    for group in parser._groups:
        group.options[:] = [option for option in group.options if list(option.names()) != OPTION]
    argument_parser = getattr(parser, "optparser", None)
    for action in [a for a in getattr(argument_parser, "_actions", []) if a.option_strings == OPTION]:
        action.container._remove_action(action)
        for flag in OPTION:
            action.container._option_string_actions.pop(flag, None)
    # Its default was noted when it was added, and would stand in for that of a user's own --host.
    config = getattr(getattr(parser, "_processopt", None), "__self__", None)
    if config is not None:
        vars(config.option).pop("host", None)
