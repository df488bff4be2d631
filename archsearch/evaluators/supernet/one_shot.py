"""The one-shot evaluator: candidates are paths through one network, of which random ones are trained."""

from __future__ import annotations

import numpy as np
import torch

from archsearch.evaluators.supernet.shared_weights import SharedWeights
from archsearch.evaluators.supernet.supernet import Supernet


class OneShot(Supernet):
    """Scores architectures by the validation accuracy of paths through one network that holds them all.

    The baseline of the GHN paper (C. Zhang, M. Ren, R. Urtasun, ICLR 2019, section 5.3): each node keeps weights for each
    operator, and a random path is trained on each batch of images, as in ENAS (H. Pham et al., ICML 2018, arXiv 1802.03268).

    Args:
        space: Space of the candidates.
        dataset: Name for `datasets.load`, such as `digits`, or splits that are loaded already.
        seed: Seed of weights, paths and images.
        recipe: Training recipe without its epochs; None takes the one for the dataset, with batches of 64 images. The learning
            rate falls to zero along half a cosine.
        spec: Validation images that score a candidate, and their batches; None takes all images.
        device: `auto`, `cpu`, `cuda`, ...
        threads: CPU threads of a call.
        root: Folder of downloaded datasets.
        scale: Size of the networks; None takes the one for the dataset.
        objective: Figure that is the score: the usual one of the task, which None takes, or `anytime`; see `ScoreObjective`.
        max_budget: End of the area for `anytime`, in MACs of one input; None takes that of an MSDNet of the same width.
        **changes: Changes to the recipe, such as `learning_rate=0.05`.

    Raises:
        ConfigurationError: A setting is unknown or out of range, or the space is a `ModuleSpace`.
        DatasetError: The dataset is unknown.

    Example:
        >>> import numpy as np
        >>> from archsearch import spaces
        >>> from archsearch.evaluators import OneShot
        >>> space = spaces.get("nasbench201")
        >>> supernet = OneShot(space, "digits", scale={"channels": 4, "cells_per_stage": 1}).fit(steps=3)
        >>> [evaluation] = supernet.evaluate([space.sample(np.random.default_rng(0))])
        >>> 0.0 <= evaluation.score <= 1.0
        True
    """

    title = "one-shot"

    def _step(self, weights: SharedWeights, number: int, steps: int) -> float:
        """Train one random path on one batch."""
        rng = np.random.default_rng([self.seed, number])
        plan = self.path(self.space.sample(rng))
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        batch = self.batch(self.training_images(), generator)
        return self.train_path(weights, plan, batch, self.learning_rate(number, steps))
