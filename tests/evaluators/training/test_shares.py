"""Two processes that train one network: their shares, the figures that they find together, and a stop within an epoch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.evaluators.datasets.photographs import write_photographs

_PROCESS = """
import copy
import sys
from pathlib import Path
import torch
from torch import distributed
from archsearch import spaces
from archsearch.evaluators import Recipe
from archsearch.evaluators.datasets import load, resident
from archsearch.evaluators.datasets.encoded import EncodedImages
from archsearch.evaluators.datasets.streamed import Loading
from archsearch.evaluators.training.loop import Training
from archsearch.evaluators.training.processes import Processes
from archsearch.evaluators.training.scoring import exit_scores

folder, rank, number = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
torch.set_num_threads(1)
distributed.init_process_group("gloo", init_method=f"file://{folder / f'group{number}'}", rank=rank, world_size=number)
processes = Processes(rank, number)
splits = load(f"imagefolder:{folder / 'photos'}?size=16", loading=Loading(0.0, 0))
seen = []
one = EncodedImages._one
EncodedImages._one = lambda self, image: (seen.append(image), one(self, image))[1]
parts = [resident(part, *splits.train.statistics()) for part in splits]
space = spaces.get("nasbench201")
cell = space.parse("|nor_conv_1x1~0|+|none~0|skip_connect~1|+|skip_connect~0|none~1|nor_conv_3x3~2|")
recipe = Recipe(epochs=2, batch_size=8, learning_rate=0.02, crop=1, flip=True, resized_crop=0.5, drop_path=0.3)

def begun():
    network = space.build(cell, 2, 3, torch.Generator().manual_seed(1), channels=2, cells_per_stage=1)
    return Training(network, recipe, [torch.Generator().manual_seed(2)], processes=processes)

training, states = begun(), []
losses = [training.run_epoch(parts[0].images, parts[0].labels, lambda: states.append(copy.deepcopy(training.state())))]
first = list(seen)
resumed = begun()
torch.save(states[1], folder / f"state{number}-{rank}.pt")
resumed.load_state(torch.load(folder / f"state{number}-{rank}.pt", weights_only=True))
again = resumed.run_epoch(parts[0].images, parts[0].labels)
processes.same_buffers(training.network)
scores = exit_scores(training.network, parts[1].images, parts[1].labels, processes=processes)[-1].figures
torch.save({
    "seen": first, "losses": losses, "again": again, "scores": dict(scores),
    "weights": dict(training.network.named_parameters()), "resumed": dict(resumed.network.named_parameters()),
    "alone": dict(exit_scores(training.network, parts[1].images, parts[1].labels)[-1].figures),
}, folder / f"out{number}-{rank}.pt")
distributed.destroy_process_group()
"""


def processes(folder: Path, number: int) -> list[dict[str, Any]]:
    """Run processes that train together, and return what each found."""
    environment = {**os.environ, "ARCHSEARCH_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    made = [
        subprocess.Popen([sys.executable, "-c", _PROCESS, str(folder), str(rank), str(number)], env=environment)
        for rank in range(number)
    ]
    assert [each.wait(timeout=120) for each in made] == [0] * number
    return [torch.load(folder / f"out{number}-{rank}.pt", weights_only=True) for rank in range(number)]


@pytest.mark.slow
def test_two_processes_share_each_batch_without_overlap(tmp_path: Path) -> None:
    write_photographs(tmp_path / "photos", images=20)
    first, second = processes(tmp_path, 2)
    # 32 training images in batches of 8: each process decodes 4 of each batch, and no image twice.
    assert len(first["seen"]) == len(second["seen"]) == 16
    assert len({*first["seen"], *second["seen"]}) == 32
    assert first["losses"] == second["losses"]
    for name, weight in first["weights"].items():
        assert torch.equal(weight, second["weights"][name]), "gradients are averaged"
        assert torch.equal(weight, first["resumed"][name]) and torch.equal(weight, second["resumed"][name])
    assert first["again"] == pytest.approx(first["losses"][0], rel=1e-5)
    for name, figure in first["scores"].items():
        assert torch.equal(figure, second["scores"][name]), "all processes know the figures of all images"
        torch.testing.assert_close(figure, first["alone"][name])
