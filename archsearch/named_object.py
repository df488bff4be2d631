"""Python objects by their names, `module:NAME`, as settings in files and on the command line give them."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

from archsearch.errors import ConfigurationError, did_you_mean, message_in_one_line


def named_object(argument: str, text: str, what: str) -> Any:
    """Return the object that `module:NAME` names. Modules are looked for where Python does, and in the working directory.

    Args:
        argument: Name of the setting, for error messages.
        text: `module:NAME`, such as `my_package.samplers:Greedy`.
        what: What the name should stand for, such as `a sampler class`, for error messages.

    Raises:
        ConfigurationError: The string has another form, the module cannot be imported, or it has no such name.
    """
    module, separator, name = text.partition(":")
    if not separator or not module or not name or not all(part.isidentifier() for part in (*module.split("."), *name.split("."))):
        raise ConfigurationError(f"{argument}: expected module:NAME, {what}, such as my_module:Mine; got {text!r}.")
    folder = str(Path.cwd())
    added = folder not in sys.path
    if added:
        sys.path.append(folder)  # the command `archsearch`, unlike `python -m archsearch`, does not look there
    try:
        found: Any = importlib.import_module(module)
    except Exception as error:  # a module may raise anything when it is imported
        raise ConfigurationError(
            f"{argument}: cannot import the module {module!r} of {text!r} ({type(error).__name__}: "
            f"{message_in_one_line(error, 200)}). Modules are looked for in the working directory and where Python does; "
            "mend its name, or add its folder to PYTHONPATH."
        ) from error
    finally:
        if added and folder in sys.path:
            sys.path.remove(folder)
    for part in name.split("."):
        if not hasattr(found, part):
            hint = did_you_mean(part, [each for each in dir(found) if not each.startswith("_")])
            raise ConfigurationError(f"{argument}: the module {module!r} has no {name!r}, {what}.{hint}")
        found = getattr(found, part)
    return found
