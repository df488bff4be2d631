"""The search space of an earlier run."""

from __future__ import annotations

from archsearch.errors import ConfigurationError, check_kind
from archsearch.platform.configuration import SearchConfiguration
from archsearch.spaces import SearchSpace, get, names
from archsearch.spaces.imported import PREFIX

_EXPECTED = "a search space, its name, python:MODULE:CLASS, or None for that of the run"


def space_of_run(configuration: SearchConfiguration, given: SearchSpace | str | None = None) -> SearchSpace:
    """Return the search space of a run.

    Args:
        configuration: The settings of the run.
        given: The space, for a run whose settings name one that is not registered, because it was started from Python with an
            object; None takes the one that the settings name.

    Raises:
        ConfigurationError: The settings name an unknown space, and none is given; or another one than theirs is given.
    """
    check_kind("space", given, (SearchSpace, str, type(None)), _EXPECTED)
    named = configuration.space
    if given is None:
        if not named.startswith(PREFIX) and named not in names():
            raise ConfigurationError(
                f"space: the run searched {named!r}, a space of your own, which archsearch cannot find by its name. "
                "Give it: --space python:MODULE:CLASS on the command line, or space=... in Python."
            )
        return get(named)
    space = get(given) if isinstance(given, str) else given
    wanted = get(named).name if named.startswith(PREFIX) and named != given else named
    if space.name != wanted and named != given:
        raise ConfigurationError(f"space: the run searched {wanted!r}; got {space.name!r}. Give the space of the run, or none.")
    return space
