"""The controller: a policy over the architectures of a space that learns from rewards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from archsearch.declarations import AtLeast
from archsearch.errors import ConfigurationError, check_kind
from archsearch.evaluators.controller.policy_gradient import proximal, reinforce
from archsearch.evaluators.controller.sequence_policy import SequencePolicy
from archsearch.evaluators.controller.settings import Settings, settings_of
from archsearch.fixed_options import FixedOptions
from archsearch.spaces import Architecture, SearchSpace
from archsearch.spaces.gene_sequence import GeneSequences

_LEAST_ENTROPY = 1e-3  # mean nats of a gene at which a new policy would always write the same architecture


class Controller(FixedOptions):
    """Writes architectures gene by gene, and shifts its probabilities to those with high rewards.

    B. Zoph, Q. Le, ICLR 2017, arXiv 1611.01578, equation 2 (REINFORCE with a moving baseline), or B. Zoph et al., CVPR 2018,
    arXiv 1707.07012 (PPO). A gene that an architecture has not, as in spaces with conditional choices, does not count. An
    architecture that several genotypes give is learned as the one that `space.genotype` returns.

    The policy depends on the arguments and on the calls of `learn` alone.

    Args:
        space: Space of the architectures.
        seed: Seed of the weights.
        preset: `default`, `paper` or `reinforce`; see `settings`.
        **changes: Changes to the preset, such as `hidden=100`; see `Settings`.

    Raises:
        ConfigurationError: A setting is out of range, the space leaves nothing to choose, or the entropy is 0 from the start.

    Example:
        >>> from archsearch import spaces
        >>> from archsearch.evaluators.controller.controller import Controller
        >>> controller = Controller(spaces.get("nasbench201"), hidden=16)
        >>> architectures = controller.sample(20, seed=1)
        >>> controller.learn(architectures, range(20))
        >>> 0.0 < controller.entropy < 1.7
        True
    """

    entropy: float
    """Mean entropy (nats) of a gene at the last update, or of the new policy."""
    baseline: float | None
    """Moving mean of the rewards; None before the first update."""

    def __init__(
        self, space: SearchSpace, seed: Annotated[int, AtLeast(0)] = 0, *, preset: str = "default", **changes: Any
    ) -> None:
        check_kind("space", space, SearchSpace, "a search space, such as spaces.get('nasbench201')")
        self.space, self.seed = space, seed
        self.settings: Settings = settings_of(preset).with_changes(**changes)
        self.sequences = GeneSequences(space)
        generator = torch.Generator().manual_seed(seed)
        wanted = self.settings
        self.policy = SequencePolicy(self.sequences.sizes, wanted.hidden, wanted.layers, wanted.initial, generator)
        self.optimizer = torch.optim.Adam(self.policy.parameters(), lr=wanted.learning_rate)
        self.baseline = None
        with torch.no_grad():
            self.entropy = float(self.policy(self.policy.sample(32, generator))[1].mean())
        if not self.entropy > _LEAST_ENTROPY:
            raise ConfigurationError(
                f"initial: the new policy has an entropy of {self.entropy:.2g} nats a gene, so it would always write the same "
                f"architecture and learn nothing; got initial={wanted.initial:g}. Give a smaller one, such as 0.1."
            )

    def sample(self, count: int, seed: int | Sequence[int]) -> list[Architecture]:
        """Return architectures drawn from the policy, without sequences that are no architecture of the space.

        Args:
            count: Number of sequences.
            seed: Seed of the draws.
        """
        drawn = np.random.SeedSequence(seed).generate_state(1, np.uint64)[0] >> np.uint64(1)
        rows = self.policy.sample(count, torch.Generator().manual_seed(int(drawn))).tolist()
        return [found for found in map(self.sequences.architecture, rows) if found is not None]

    def learn(self, architectures: Sequence[Architecture], rewards: ArrayLike) -> None:
        """Update the policy once.

        Args:
            architectures: Those that were evaluated.
            rewards: `[architectures]`, larger is better.

        Raises:
            ConfigurationError: A reward, or a probability after the update, is not finite.
        """
        given = torch.as_tensor(np.asarray(rewards, dtype=np.float32))
        if not torch.isfinite(given).all():
            raise ConfigurationError(f"rewards: expected finite numbers; got {given.tolist()}. Leave out what has no score.")
        rows = torch.from_numpy(self.sequences.rows(architectures))
        counts = torch.from_numpy(self.sequences.active(architectures)).float()
        advantages = given - self._moved_baseline(given)
        with torch.no_grad():
            before = (self.policy(rows)[0] * counts).sum(1)
        steps = self.settings.epochs if self.settings.method == "ppo" else 1
        for _ in range(steps):
            self._step(rows, counts, before, advantages)

    def _moved_baseline(self, rewards: Tensor) -> Tensor:
        """Return the baseline of each reward, the moving mean of those before it, and move it."""
        held, found = self.baseline, []
        decay = self.settings.baseline_decay
        for reward in rewards.tolist():
            held = float(rewards.mean()) if held is None else held
            found.append(held)
            held = decay * held + (1.0 - decay) * reward
        self.baseline = held
        return torch.tensor(found)

    def _step(self, rows: Tensor, counts: Tensor, before: Tensor, advantages: Tensor) -> None:
        wanted = self.settings
        logs, entropies = self.policy(rows)
        whole, entropy = (logs * counts).sum(1), (entropies * counts).sum() / counts.sum()
        gain = proximal(whole, before, advantages, wanted.clip) if wanted.method == "ppo" else reinforce(whole, advantages)
        loss = -gain - wanted.entropy_weight * entropy
        if not torch.isfinite(loss):
            raise ConfigurationError(
                f"learning_rate: expected one with which the controller stays finite; it diverged with {wanted.learning_rate:g}. "
                "Lower it."
            )
        self.entropy = float(entropy.detach())
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.policy.parameters(), wanted.gradient_norm)
        self.optimizer.step()
