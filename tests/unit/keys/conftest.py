"""Three keepers on a chain that the tests write."""

from support.keeper_fixtures import *  # noqa: F403  fixtures are found by their names
