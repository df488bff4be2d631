"""`Tuner.restore` goes on with each searcher after a kill -9 of the driver, with a scheduler of Tune too."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from archsearch import searchers, spaces

pytestmark = pytest.mark.timeout(900)
PATIENCE = 300  # seconds, on a machine that is busy with other work
SAMPLES = 16
SPACE = spaces.get("nasbench201")

# The driver is a program of its own, as a user's would be. Each trial writes a line before it reports.
DRIVER = """
import json, os, sys, time
import ray
from ray import tune
from ray.tune.schedulers import ASHAScheduler
from archsearch import searchers, spaces
from archsearch.searchers import Constraint, Goals

name, scheduler, notes = sys.argv[1:]
OPTIONS = {
    "evolution": {"population_size": 6, "tournament_size": 3},
    "gates": {"epochs": 5, "population": 20, "generations": 2},
    "gp": {"population": 20, "generations": 2},
    "ngae": {"unlabelled": 20, "epochs": 1, "warm_epochs": 1, "starts": 10, "steps": 3},
    "proxies": {"dataset": "digits", "rank_candidates": 30, "scale": {"channels": 4, "cells_per_stage": 1}},
    "darts": {"steps": 2, "scale": {"channels": 2, "cells_per_stage": 1}},
    "enas": {"steps": 2, "scale": {"channels": 2, "cells_per_stage": 1}},
    "smash": {"steps": 2, "rank_candidates": 30, "scale": {"channels": 4, "cells_per_stage": 1}},
    "ghn": {"steps": 2, "rank_candidates": 30, "scale": {"channels": 4, "cells_per_stage": 1}},
}

def few_zeros(architecture):
    return {"zeros": float(str(architecture).count("none"))}

def train(config):
    with open(notes, "a") as file:
        file.write(config["architecture"] + "\\n")
    for epoch in range(1, 5):
        time.sleep(0.05)
        tune.report({"score": config["architecture"].count("nor_conv_3x3") / 6 + epoch / 100})

ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
path = os.path.abspath("runs/search")
if tune.Tuner.can_restore(path):
    searchers.mend_experiment(path)
    tuner = tune.Tuner.restore(path, trainable=train)
else:
    goals = Goals(constraints=(Constraint("zeros", "<=", 2),), costs=few_zeros, cost_names=("zeros",))
    searcher = searchers.get(name)(spaces.get("nasbench201"), seed=0, goals=goals, **OPTIONS.get(name, {}))
    asha = ASHAScheduler(max_t=4, grace_period=1, reduction_factor=2) if scheduler == "asha" else None
    config = tune.TuneConfig(
        metric="score", mode="max", search_alg=searcher, scheduler=asha, num_samples=SAMPLES, max_concurrent_trials=2,
        reuse_actors=True,
    )
    run = tune.RunConfig(name="search", storage_path=os.path.abspath("runs"), verbose=0)
    tuner = tune.Tuner(train, tune_config=config, run_config=run)
results = tuner.fit()
print(json.dumps({
    "architectures": [result.config["architecture"] for result in results],
    "errors": results.num_errors,
    "epochs": [result.metrics["training_iteration"] for result in results],
    "actors": ray.util.list_named_actors(all_namespaces=True),
}))
""".replace("SAMPLES", str(SAMPLES))


def start(name: str, scheduler: str, folder: Path) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(searchers.__file__).parents[2]),
        "TUNE_GLOBAL_CHECKPOINT_S": "0",  # the state is saved after each step
        "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
        "ARCHSEARCH_CACHE": str(folder / "cache"),
    }
    program = [sys.executable, "-c", DRIVER, name, scheduler, str(folder / "notes")]
    return subprocess.Popen(program, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, start_new_session=True)


def begun(folder: Path) -> list[str]:
    notes = folder / "notes"
    return notes.read_text().splitlines() if notes.exists() else []


def kill_after(trials: int, name: str, scheduler: str, folder: Path) -> None:
    """Start the driver, and kill it when it has begun so many trials."""
    driver = start(name, scheduler, folder)
    end = time.monotonic() + PATIENCE
    while len(begun(folder)) < trials and driver.poll() is None and time.monotonic() < end:
        time.sleep(0.02)
    assert driver.poll() is None, "the driver ended before it could be killed"
    assert len(begun(folder)) >= trials, "the driver is too slow"
    os.kill(driver.pid, signal.SIGKILL)
    driver.communicate()


LONG = [
    pytest.param(name, scheduler, marks=pytest.mark.long)
    for name in searchers.names()
    for scheduler in ("none", "asha")
    if (name, scheduler) not in (("random", "none"), ("gp", "asha"))
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "scheduler"), [("random", "none"), ("gp", "asha"), *LONG])
def test_a_killed_experiment_is_restored(name: str, scheduler: str, tmp_path: Path) -> None:
    kill_after(SAMPLES // 2, name, scheduler, tmp_path)
    before = begun(tmp_path)
    output, _ = start(name, scheduler, tmp_path).communicate(timeout=PATIENCE)
    found = json.loads(output.strip().splitlines()[-1])
    assert len(found["architectures"]) == SAMPLES and found["errors"] == 0
    assert len({SPACE.key(SPACE.parse(text)) for text in found["architectures"]}) == SAMPLES, "one was proposed twice"
    assert all(text.count("none") <= 2 for text in found["architectures"]), "the constraint is kept"
    lost = set(before) - set(found["architectures"])
    assert len(lost) <= 2, "two run at once, and those that began just before the kill may not have been saved"
    # ASHA need not stop any: each candidate of a good searcher may be better than those before.
    assert 4 in found["epochs"] and (scheduler == "asha" or set(found["epochs"]) == {4})
    assert not found["actors"], "the pool has ended with the experiment"
