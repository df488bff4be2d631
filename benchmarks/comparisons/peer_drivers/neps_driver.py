"""NePS as its documentation shows it: `neps.run` with a space of categorical choices and regularized evolution."""

import random

import neps
import numpy as np
import torch
from conversation import score_of, settings

given = settings()
random.seed(given["seed"])
np.random.seed(given["seed"])
torch.manual_seed(given["seed"])
choices = {name: neps.Categorical(tuple(values)) for name, values in given["choices"].items()}


def loss(**genes: object) -> float:
    return -score_of(genes)


neps.run(
    loss,
    type("Space", (neps.PipelineSpace,), choices)(),
    root_directory="neps",
    total_evaluations_to_spend=100 * given["evaluations"],
    optimizer=given["method"],
)
