"""Levels of loggers, raised for a block of code."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def raised_level(level: int, *names: str) -> Iterator[None]:
    """Set the level of some loggers within a block, and restore it afterwards.

    Args:
        level: Lowest level that is still logged, such as `logging.ERROR`.
        *names: Names of the loggers.

    Example:
        >>> import logging
        >>> with raised_level(logging.ERROR, "example"):
        ...     logging.getLogger("example").warning("not shown")
    """
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(level)
    try:
        yield
    finally:
        for logger, before in zip(loggers, levels, strict=True):
            logger.setLevel(before)
