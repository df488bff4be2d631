"""A disk that is full or can only be read, and names that are taken: each says so, and what was written before stays."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from archsearch import spaces
from archsearch.cluster import Ledger
from archsearch.errors import ArchSearchError, LedgerError, RunError
from archsearch.evaluators import Evaluation
from archsearch.evaluators.saved_state import read_state, write_state
from archsearch.platform.configuration import SearchConfiguration
from archsearch.platform.run_folder import RunFolder
from archsearch.searchers import Observation

SPACE = spaces.get("nasbench201")


def rows(count: int) -> list[tuple[int, Evaluation]]:
    rng = np.random.default_rng(0)
    drawn = {SPACE.key(each): each for each in (SPACE.sample(rng) for _ in range(2 * count))}
    return [(place, Evaluation(each, key, 0.5)) for place, (key, each) in enumerate(list(drawn.items())[:count])]


def fill(disk: Path) -> None:
    with (disk / "rest").open("wb", buffering=0) as file:
        for size in (4096, 1):
            try:
                while file.write(bytes(size)):
                    pass
            except OSError:
                continue


def protect(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)


@pytest.mark.parametrize(("harm", "why"), [(fill, "No space left on device"), (protect, "Read-only file system")])
def test_what_was_written_stays_and_what_cannot_be_is_named(harm: object, why: str, disk: Path) -> None:
    ledger, found = Ledger(disk / "ledger", SPACE, "abc"), rows(40)
    ledger.append("run", 0, found[:3])
    run = RunFolder.create(SearchConfiguration(storage=str(disk)), "run")
    write_state(disk / "state.pt", {"steps": 3})
    harm(disk)  # type: ignore[operator]

    with pytest.raises(LedgerError, match=f"storage: cannot write to the ledger in .*{why}.*; mend that, then resume"):
        ledger.append("run", 1, found[3:])
    with pytest.raises(RunError, match=rf"checkpoint: cannot write .*state\.pt \({why}\); choose another place"):
        write_state(disk / "state.pt", {"weights": torch.zeros(100_000)})
    with pytest.raises(RunError, match=f"storage: cannot (write to|create) the run folder .*{why}"):
        RunFolder.create(SearchConfiguration(storage=str(disk)), "another")
    with pytest.raises(RunError, match=f"storage: cannot write to the run folder .*{why}.* then resume"):
        run.note_outcomes([Observation(0, place, evaluation, True) for place, evaluation in found * 40])

    assert [entry.evaluation for entry in Ledger(disk / "ledger", SPACE, "abc").entries()] == [each for _, each in found[:3]]
    assert read_state(disk / "state.pt") == {"steps": 3}
    assert not (disk / "another").exists(), "no folder of a run that never was"
    assert not list(disk.rglob("*.tmp")), "nothing half-written takes up room"


def test_of_two_searches_with_one_name_the_second_is_told(tmp_path: Path) -> None:
    gate, outcomes = threading.Barrier(8), []

    def start() -> None:
        gate.wait()
        try:
            outcomes.append(RunFolder.create(SearchConfiguration(storage=str(tmp_path)), "same"))
        except ArchSearchError as error:
            outcomes.append(error)

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    refusals = [str(outcome) for outcome in outcomes if isinstance(outcome, RunError)]
    assert len(outcomes) == 8 and len(refusals) == 7
    assert all("exists already" in text and "choose another name" in text for text in refusals)
    assert RunFolder.open(tmp_path / "same").configuration().storage == str(tmp_path)
