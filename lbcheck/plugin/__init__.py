"""The pytest plugin (entry point `lbcheck.plugin`): inert without a target, since every run of pytest imports this.

Nothing heavy is imported here. With a target, `isolation` prepares the run before conftests are read and `session`
registers the plugin proper.
"""

from __future__ import annotations

import pytest

from lbcheck.plugin import locust_pytest, options


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    options.add(parser)
    locust_pytest.keep_out(pluginmanager, parser)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config, parser: pytest.Parser, args: list[str]) -> None:
    if options.early_target(early_config):
        from lbcheck.plugin import isolation

        isolation.prepare(early_config, parser, args)


def pytest_configure(config: pytest.Config) -> None:
    if options.target(config):
        from lbcheck.plugin import session

        session.start(config)
