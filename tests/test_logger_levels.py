from __future__ import annotations

import logging

import pytest

from archsearch.logger_levels import raised_level


def test_levels_are_restored_after_an_error(caplog: pytest.LogCaptureFixture) -> None:
    first, second = (logging.getLogger(f"archsearch.example.{name}") for name in "ab")
    second.setLevel(logging.INFO)
    with pytest.raises(ValueError, match="within"), raised_level(logging.ERROR, first.name, second.name):
        first.warning("kept back")
        second.error("shown")
        raise ValueError("within")
    assert caplog.messages == ["shown"]
    assert (first.level, second.level) == (logging.NOTSET, logging.INFO)
