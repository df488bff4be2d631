"""A supernet whose paths are drawn by a controller that learns from their accuracy (ENAS).

H. Pham et al., "Efficient Neural Architecture Search via Parameter Sharing", ICML 2018, arXiv 1802.03268, section 2.2.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any

import torch

from archsearch.declarations import AtLeast, Between
from archsearch.evaluators.controller.path_policy import PathPolicy
from archsearch.evaluators.datasets import Splits
from archsearch.evaluators.datasets.resident import Resident
from archsearch.evaluators.saved_state import taking_over
from archsearch.evaluators.supernet.places import Places
from archsearch.evaluators.supernet.shared_weights import SharedWeights
from archsearch.evaluators.supernet.supernet import Supernet
from archsearch.spaces import Architecture, SearchSpace

_CLIP = 5.0
_POINTS = 50


class ControlledSupernet(Supernet):
    """A supernet of which a controller draws one path for each batch of training images.

    Every `policy_every` steps the controller draws `paths` further ones. The accuracy R of each with the shared weights, on one
    batch of the other half of the training images, is its reward:

        theta <- theta + adam(d/d theta mean over paths of (R - b) * log p(path; theta) + entropy_weight * H(path; theta))

    b is the moving mean of R (`b <- decay * b + (1 - decay) * R`), H the entropy of the distributions that the genes were drawn
    from, which is never 0, see `PathPolicy`. The norm of the gradient is cut to 5. For other tasks than classification R is the
    usual figure of the task.

    Args:
        space: Space of the candidates; its genes must be independent.
        dataset: Name for `datasets.load`, such as `digits`, or splits that are loaded already.
        seed: Seed of weights, images and paths.
        policy_every: Steps of the weights for one of the controller.
        paths: Paths in a step of the controller.
        policy_learning_rate: Learning rate of Adam for the controller. The paper's is 3.5e-4.
        entropy_weight: Weight of the entropy, per nat (ENAS: 1e-4).
        baseline_decay: Decay of the moving mean of the rewards (ENAS: 0.99).
        warmup: Share of the steps before which the controller does not learn; its paths are nearly uniform.
        **options: As for `Supernet`.

    Raises:
        ConfigurationError: A setting is unknown or out of range, or the space has no places.
        DatasetError: The dataset is unknown.

    Example:
        >>> from archsearch import spaces
        >>> from archsearch.evaluators.supernet.controlled import ControlledSupernet
        >>> space, scale = spaces.get("nasbench201"), {"channels": 4, "cells_per_stage": 1}
        >>> supernet = ControlledSupernet(space, "digits", scale=scale, batch_size=8, paths=2).fit(steps=6)
        >>> len(supernet.draw(3, seed=0))
        3
    """

    title = "enas"

    def __init__(
        self,
        space: SearchSpace,
        dataset: str | Splits,
        seed: int = 0,
        *,
        policy_every: Annotated[int, AtLeast(1)] = 5,
        paths: Annotated[int, AtLeast(1)] = 8,
        policy_learning_rate: Annotated[float, Between(0.0, 10.0)] = 1e-3,
        entropy_weight: Annotated[float, AtLeast(0.0)] = 3e-3,
        baseline_decay: Annotated[float, Between(0.0, 1.0)] = 0.9,
        warmup: Annotated[float, Between(0.0, 1.0)] = 0.1,
        **options: Any,
    ) -> None:
        self.places = Places.of(space)
        super().__init__(space, dataset, seed, **options)
        self._method: dict[str, Any] = {
            "policy_every": policy_every,
            "paths": paths,
            "policy_learning_rate": policy_learning_rate,
            "entropy_weight": entropy_weight,
            "baseline_decay": baseline_decay,
            "warmup": warmup,
        }
        self.policy, self._optimizer = self._fresh()
        self._baseline: float | None = None
        self.history: list[tuple[float, ...]] = []
        """Steps done, mean reward, moving mean of the rewards, and entropy in nats, at up to 50 points of the training."""

    def draw(self, number: int, seed: int) -> list[Architecture]:
        """Return paths that the controller draws, which may repeat."""
        with torch.no_grad():
            drawn = self.policy.draw(number, torch.Generator().manual_seed(seed)).genotypes
        return [self.space.from_genotype(row) for row in drawn.tolist()]

    def state(self) -> dict[str, Any]:
        moments = self._optimizer.state_dict()["state"]
        return {
            **super().state(),
            "policy": {name: value.detach().clone() for name, value in self.policy.state_dict().items()},
            "moments": {number: {name: value.clone() for name, value in each.items()} for number, each in moments.items()},
            "baseline": self._baseline,
            "history": [list(row) for row in self.history],
        }

    def load(self, state: Mapping[str, Any]) -> ControlledSupernet:
        super().load(state)
        with taking_over("enas evaluator"):
            policy, optimizer = self._fresh()
            policy.load_state_dict(state["policy"])
            groups = optimizer.state_dict()["param_groups"]
            moments = {number: {name: value.clone() for name, value in each.items()} for number, each in state["moments"].items()}
            optimizer.load_state_dict({"state": moments, "param_groups": groups})
            history = [tuple(row) for row in state["history"]]
        self.policy, self._optimizer, self.history, self._baseline = policy, optimizer, history, state["baseline"]
        return self

    def _identity(self) -> dict[str, Any]:
        return {**super()._identity(), "method": self._method}

    def _fresh(self) -> tuple[PathPolicy, torch.optim.Adam]:
        policy = PathPolicy(self.places.sizes, torch.Generator().manual_seed(self.seed))
        # Gradients are some .01 in norm: with an epsilon of 1e-3, as in the authors' program, hundreds of steps learn nothing.
        rate = self._method["policy_learning_rate"]
        return policy, torch.optim.Adam(policy.parameters(), lr=rate, betas=(0.0, 0.999))

    @cached_property
    def _parts(self) -> tuple[Resident, Resident]:
        return self.halves()

    def _step(self, weights: SharedWeights, number: int, steps: int) -> float:
        for_weights, for_policy = self._parts
        generator = self.generator(number)
        with torch.no_grad():
            [genotype] = self.policy.draw(1, generator).genotypes.tolist()
        plan = self.path(self.space.from_genotype(genotype))
        value = self.train_path(weights, plan, self.batch(for_weights, generator), self.learning_rate(number, steps))
        if (number + 1) % self._method["policy_every"] == 0 and number >= self._method["warmup"] * steps:
            self._reinforce(weights, self.batch(for_policy, generator), generator, number, steps)
        return value

    def _reinforce(self, weights: SharedWeights, batch: Resident, generator: torch.Generator, number: int, steps: int) -> None:
        """Take a step of the controller."""
        drawn = self.policy.draw(self._method["paths"], generator)
        rewards = torch.tensor([self._reward(weights, row, batch) for row in drawn.genotypes.tolist()])
        mean = float(rewards.mean())
        baseline = mean if self._baseline is None else self._baseline
        gain = (rewards - baseline) * drawn.log_probabilities + self._method["entropy_weight"] * drawn.entropies
        self._optimizer.zero_grad()
        (-gain.mean()).backward()
        norm = float(torch.nn.utils.clip_grad_norm_(self.policy.parameters(), _CLIP))
        if math.isfinite(norm):
            self._optimizer.step()
        decay = self._method["baseline_decay"]
        self._baseline = decay * baseline + (1.0 - decay) * mean
        every = max(1, steps // (_POINTS * self._method["policy_every"])) * self._method["policy_every"]
        if (number + 1) % every == 0:
            self.history.append((number + 1, mean, self._baseline, float(drawn.entropies.mean().detach())))

    def _reward(self, weights: SharedWeights, genotype: list[int], batch: Resident) -> float:
        """Return the figure of a path on a batch: of the last exit; 0 where the loss is not finite."""
        reward, loss = self.path_figures(weights, self.path(self.space.from_genotype(genotype)), batch)
        return reward if math.isfinite(loss) else 0.0

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_parts"}
