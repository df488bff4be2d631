"""Writes the files of this folder with the version of archsearch on PYTHONPATH: see README.md.

python tests/compatibility/write_files.py FOLDER
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch

from archsearch import cluster, searchers, spaces
from archsearch.evaluators import GHN, NGAE, Predictor, Recipe
from archsearch.platform import register_model, retrain, run_search
from archsearch.platform.command_line import main
from archsearch.searchers.conformance import Loop
from archsearch.spaces import Architecture

TABLE = "table:digits201"
CELL = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|skip_connect~0|none~1|nor_conv_1x1~2|"
SIZE = {"channels": 2, "cells_per_stage": 1}
CANDIDATES = 40
RECIPE: dict[str, Any] = {"epochs": 3, "batch_size": 64, "learning_rate": 0.05, "weight_average": 0.9, "drop_path": 0.1}
PREDICTOR: dict[str, Any] = {"epochs": 3, "width": 8, "embedding": 6, "hidden": 8, "layers": 2, "head": (8,)}
AUTO_ENCODER: dict[str, Any] = {"epochs": 3, "width": 8, "type_width": 6, "edge_width": 6, "latent": 4, "head": (6,)}
HYPERNETWORK: dict[str, Any] = {"hidden": 4, "width": 8, "tile": 2, "batch_size": 16, "evaluation_batch": 150}


class Interrupting(io.StringIO):
    """A terminal at which someone presses Ctrl-C once a line matches."""

    def __init__(self, pattern: str) -> None:
        super().__init__()
        self._pattern = pattern

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if re.search(self._pattern, text):
            raise KeyboardInterrupt
        return super().write(text)


def write_runs(folder: Path) -> dict[str, Any]:
    """Write storages with a finished, a killed and a killed deterministic search; return what the whole ones found."""
    cluster.connect(num_cpus=2)
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as temporary:
        for name, storage, batch_size in (("finished", folder / "finished", 10), ("deterministic", Path(temporary), 2)):
            result = run_search(
                "nasbench201",
                "evolution",
                TABLE,
                num_candidates=CANDIDATES,
                seed=3,
                name=name,
                storage=storage,
                tracking="off",
                report=False,
                progress=False,
                batch_size=batch_size,
                deterministic=name == "deterministic",
            )
            found[name] = {
                "architectures": result.evaluations["architecture"].to_pylist(),
                "scores": result.evaluations["score"].to_pylist(),
                "best": str(result.best),
            }
    write_killed_run(folder, "killed")
    write_killed_run(folder, "deterministic", "--deterministic")
    for run in ("finished", "killed", "deterministic"):
        place = folder / run / run
        shutil.rmtree(place / "tune")
        for unneeded in (path for path in place.glob("report/*") if path.suffix != ".parquet"):
            unneeded.unlink()
        settings = place / "run.yaml"
        settings.write_text(re.sub(r"(?m)^storage: .*$", "storage: runs", settings.read_text()))
    return found


def write_killed_run(folder: Path, name: str, *options: str) -> None:
    """Start a search as a process, and kill it once the ledger holds five batches."""
    search = ["run", "--space", "nasbench201", "--table", "digits201", "--searcher", "evolution", "--seed", "3", "--name", name]
    search += ["--candidates", str(CANDIDATES), "--batch-size", "2", "--storage", str(folder / name), "--tracking", "off"]
    process = subprocess.Popen([sys.executable, "-m", "archsearch", *search, "--quiet", *options])
    while len(list((folder / name).glob("ledger/*/*/*.parquet"))) < 5:
        assert process.poll() is None, "the search ended before it was killed"
        time.sleep(0.002)
    process.kill()
    process.wait()


def score(architecture: Architecture) -> float:
    """Return a score from 0 to 1 that the text of an architecture alone decides."""
    return zlib.crc32(str(architecture).encode()) / 2**32


def write_searcher(folder: Path) -> dict[str, Any]:
    """Write the state of a searcher after five of ten batches, one of them open; return all its proposals."""
    searcher = searchers.get("evolution")(spaces.get("nasbench201"), 5, num_candidates=60, batch_size=6)
    loop = Loop(searcher, score).run(batches=5)
    searcher.save(str(folder / "searcher.json"))
    return {"open": list(loop.open), "candidates": loop.run().candidates}


def write_states(folder: Path) -> dict[str, Any]:
    """Write states of a predictor, an auto-encoder and a hypernetwork; return what they predict."""
    space, rng = spaces.get("nasbench201"), np.random.default_rng(0)
    architectures = [space.sample(rng) for _ in range(24)]
    macs = np.array([space.cost(each, (1, 8, 8), 10, **SIZE).macs for each in architectures], dtype=float)
    accuracy = 0.3 + 0.5 * macs / macs.max()
    predictor = Predictor(space, seed=1, **PREDICTOR).fit(architectures, accuracy)
    torch.save(predictor.state(), folder / "predictor.pt")
    model = NGAE(space, 1, **AUTO_ENCODER).fit(architectures, accuracy, macs)
    torch.save(model.state(), folder / "ngae.pt")
    ghn = GHN(space, "digits", 1, device="cpu", scale=SIZE, **HYPERNETWORK).fit(3, report=lambda progress: None)
    torch.save(ghn.state(), folder / "ghn.pt")
    generated = ghn.generate(space.parse(CELL))
    return {
        "architectures": [str(each) for each in architectures],
        "predictor": predictor.predict(architectures).tolist(),
        "ngae": model.predict(architectures).tolist(),
        "latents": model.encode(architectures).tolist(),
        "ghn": [each.metrics["valid_loss"] for each in ghn.evaluate(architectures[:4])],
        "generated": {name: float(tensor.double().abs().sum()) for name, tensor in generated.items()},
    }


def write_models(folder: Path) -> dict[str, Any]:
    """Write a checkpoint of an interrupted training, an exported folder and a registered model; return their figures."""
    space = spaces.get("nasbench201")
    settings: dict[str, Any] = {"recipe": Recipe(**RECIPE), "scale": SIZE, "device": "cpu"}
    architecture = space.parse(CELL)
    with contextlib.redirect_stderr(Interrupting("epoch 1/3")), contextlib.suppress(KeyboardInterrupt):
        retrain(space, architecture, "digits", checkpoint=folder / "checkpoint.pt", **settings)
    model = retrain(space, architecture, "digits", progress=False, **settings)
    exported = model.export(folder / "exported")
    with tempfile.TemporaryDirectory() as temporary:
        tracking = f"sqlite:///{temporary}/mlflow.db"
        with contextlib.chdir(temporary):
            registered = register_model(exported, "digits", tracking)
        (place,) = (path.parent for path in Path(temporary).rglob("MLmodel"))
        shutil.copytree(place, folder / "registered")
    for unneeded in ("architecture.png", "architecture.svg", "model.pt2", "model.onnx"):
        for network in (exported, folder / "registered" / "data" / "network"):
            (network / unneeded).unlink(missing_ok=True)
        assert registered.version == 1
    images = np.random.default_rng(2).standard_normal((3, 1, 8, 8), dtype=np.float32)
    with torch.inference_mode():
        logits = model.network(torch.from_numpy(images))
    return {"metrics": dict(model.metrics), "logits": logits.tolist()}


def write_table(folder: Path) -> dict[str, Any]:
    """Import a table of 40 made-up rows."""
    space, rng = spaces.get("nasbench201"), np.random.default_rng(4)
    rows = {space.key(each): (str(each), float(rng.uniform(0.1, 0.9)), 2.5) for each in (space.sample(rng) for _ in range(40))}
    with tempfile.TemporaryDirectory() as temporary:
        source = Path(temporary) / "scores.csv"
        with source.open("w", newline="") as file:
            csv.writer(file).writerows([("cell", "valid_accuracy", "seconds"), *rows.values()])
        os.environ["ARCHSEARCH_CACHE"] = temporary
        code = main(["import", "table", str(source), "--space", "nasbench201", "--architecture", "cell", "--seconds", "seconds"])
        assert code == 0
        (written,) = Path(temporary).rglob("scores.parquet")
        shutil.copy(written, folder / "table.parquet")
    return {text: score for text, score, _ in rows.values()}


if __name__ == "__main__":
    target = Path(sys.argv[1]).absolute()
    target.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    expected = {
        "runs": write_runs(target),
        "table": write_table(target),
        "searcher": write_searcher(target),
        "states": write_states(target),
        "models": write_models(target),
    }
    (target / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
