"""Groups of processes refuse bad settings; `test_ghn_training.py` runs real ones, and kills them."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from archsearch.cluster import process_group
from archsearch.cluster.process_group import run_group
from archsearch.errors import ConfigurationError


def nothing(config: Any) -> None:
    pass


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"workers": 0}, "workers: expected"),
        ({"workers": 2, "restarts": -1}, "restarts: expected"),
        ({"workers": 2, "gpus_per_worker": 0.5}, "gpus_per_worker: expected 0 or 1"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=message):
        run_group(nothing, {}, "group", tmp_path, **settings)


def test_a_group_that_lost_a_process_starts_again_up_to_the_last_attempt(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    names: list[tuple[str, bool]] = []

    def failed(function: Any, config: Any, name: str, *others: Any, last: bool) -> bool:
        names.append((name, last))
        return len(names) < 3

    monkeypatch.setattr(process_group, "_failed", failed)
    run_group(nothing, {}, "group", tmp_path, workers=2, restarts=2)
    assert names == [("group-0", False), ("group-1", False), ("group-2", True)]


def test_the_exit_of_rays_handler_is_an_interruption_and_the_own_handler_comes_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), process_group._interruptible():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        raise SystemExit
    assert signal.getsignal(signal.SIGINT) is before
