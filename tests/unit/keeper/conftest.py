"""Three keepers on a chain that the tests write, to be put behind HTTP."""

from support.keeper_fixtures import *  # noqa: F403  fixtures are found by their names
