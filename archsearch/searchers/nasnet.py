"""Search by a controller that is rewarded for real evaluations, as for NASNet."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from archsearch.errors import check_kind
from archsearch.evaluators.evaluation import Evaluation
from archsearch.evaluators.metrics import even_ranks
from archsearch.searchers.fitness import fitness
from archsearch.searchers.observation import Observation
from archsearch.searchers.presets import NASNET, preset_named
from archsearch.searchers.searcher import ArchitectureSearcher
from archsearch.searchers.unique_candidates import Patience
from archsearch.spaces import Architecture, SearchSpace
from archsearch.spaces.gene_sequence import GeneSequences

if TYPE_CHECKING:
    from archsearch.evaluators.controller.controller import Controller

logger = logging.getLogger(__name__)

_DRAWN = 32  # sequences at once: a policy that has learned writes mostly what was evaluated before


class ControllerSearch(ArchitectureSearcher):
    """An LSTM controller proposes architectures gene by gene and is rewarded for their scores; no weights are shared.

    B. Zoph et al., "Learning Transferable Architectures for Scalable Image Recognition", CVPR 2018, arXiv 1707.07012, with PPO;
    B. Zoph, Q. Le, ICLR 2017, arXiv 1611.01578, with REINFORCE. The reward of a candidate is by default its rank among all so
    far; a moving mean is the baseline. Failed candidates have the lowest reward. With several objectives ranks are those of
    NSGA-II.

    Each structure is evaluated once, so the controller draws 32 sequences at a time and proposes new ones among them. When it
    writes nothing new any more, candidates are drawn at random. PPO compares the policy before an update with that after it;
    outcomes that arrive late count as if the policy of their update had proposed them.

    The policy lives in the process of the search, which loads PyTorch: an update takes some ten milliseconds.

    Args:
        space: Space to search.
        seed: Seed of weights and draws.
        preset: Settings by name: see `archsearch.searchers.presets.NASNET`. The options below replace what it says.
        method: `reinforce` or `ppo`; None takes the preset's.
        rewards: `ranks`, `standardised` or `scores`; None takes the preset's.
        update_size: Number of outcomes in an update; None takes the preset's.
        learning_rate: Learning rate; None takes the preset's.
        entropy_weight: Weight of the entropy; None takes the preset's.
        model: Further changes to the settings of the controller, such as `{"hidden": 100}`; see
            `archsearch.evaluators.controller.settings`.
        **settings: As for `ArchitectureSearcher`.

    Raises:
        ConfigurationError: A setting is out of range, or the space leaves nothing to choose.

    Example:
        >>> from archsearch import searchers, spaces
        >>> searcher = searchers.ControllerSearch(spaces.get("nasbench201"), seed=0, batch_size=4)
        >>> len(searcher.suggest("t0")["candidates"])
        4
    """

    patience = Patience(duplicates=30)

    def __init__(
        self,
        space: SearchSpace,
        seed: int = 0,
        *,
        preset: str = "default",
        method: str | None = None,
        rewards: str | None = None,
        update_size: int | None = None,
        learning_rate: float | None = None,
        entropy_weight: float | None = None,
        model: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        check_kind("space", space, SearchSpace, "a search space, such as spaces.get('nasbench201')")
        check_kind("model", model, (Mapping, type(None)), "changes to settings of the controller, such as {'hidden': 100}")
        chosen = preset_named(preset, NASNET)
        options, self.notes = chosen.options(space.name, settings, settings.get("num_candidates"))
        given = {
            "method": method,
            "rewards": rewards,
            "update_size": update_size,
            "learning_rate": learning_rate,
            "entropy_weight": entropy_weight,
        }
        explicit = {name: value for name, value in given.items() if value is not None}
        self.model: dict[str, Any] = {**chosen.model, **(model or {}), **explicit}
        from archsearch.evaluators.controller.settings import settings_of

        wanted = settings_of(self.model.get("preset", "default")).with_changes(
            **{name: value for name, value in self.model.items() if name != "preset"}
        )
        GeneSequences(space)  # it refuses a space with nothing to choose
        self.largest_batch = wanted.update_size
        super().__init__(space, seed, **options)
        self._wanted = wanted
        self._controller: Controller | None = None
        self._seen_so_far: list[Evaluation] = []
        self._updated = 0
        self._course: dict[str, list[float]] = {"candidates": [], "reward": [], "entropy": []}
        self._collapsed = False

    def propose(self, count: int, rng: np.random.Generator) -> list[Architecture]:
        drawn = self.controller.sample(max(_DRAWN, 2 * count), int(rng.integers(2**31)))
        found: dict[str, Architecture] = {}
        for architecture in drawn:
            if not self.was_proposed(architecture):
                found.setdefault(self.space.key(architecture), architecture)
        new = list(found.values())
        feasible = [each for each in new if self.goals.counted_excess(each) == 0.0] if self.goals.constraints else new
        if not new and not self._collapsed:
            self._collapsed = True
            logger.warning(
                "controller: of %s sequences none was new; its entropy is %.2g nats a gene. Candidates are drawn at random where "
                "that goes on; a larger entropy_weight keeps it exploring",
                len(drawn),
                self.controller.entropy,
            )
        return (feasible or new)[:count]

    def observe(self, observations: Sequence[Observation]) -> None:
        self._seen_so_far += [observation.evaluation for observation in observations]
        size = self._wanted.update_size
        while len(self._seen_so_far) - self._updated >= size:
            known = self._seen_so_far[: self._updated + size]
            rewards = self._rewards(known)[self._updated :]
            self.controller.learn([each.architecture for each in known[self._updated :]], rewards)
            self._updated += size
            self._course["candidates"].append(float(self._updated))
            self._course["reward"].append(float(rewards.mean()))
            self._course["entropy"].append(self.controller.entropy)
        self.details = {"updates": {name: np.array(values) for name, values in self._course.items()}} if self._updated else {}

    def learned(self, observations: Sequence[Observation]) -> int:
        # They come worst first: in their order each would be the best so far.
        order = np.random.default_rng([self.seed, len(observations)]).permutation(len(observations))
        self.observe([observations[place] for place in order.tolist()])
        return len(observations)

    def _rewards(self, known: Sequence[Evaluation]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Return the reward of each outcome, `[outcomes]`; a failed one has the lowest."""
        fine = [place for place, each in enumerate(known) if each.ok]
        rewards = np.zeros(len(known))
        if not fine:
            return rewards
        values = [self.goals.values(known[place]) for place in fine]
        fidelities = [known[place].fidelity for place in fine]
        if self._wanted.rewards != "ranks" and self.goals.single and not any(fidelities):
            scores = np.array(values)[:, 0]
            spread = float(scores.std())
            found = (scores - scores.mean()) / spread if self._wanted.rewards == "standardised" and spread else scores
            rewards[:] = found.min()
        else:
            found = even_ranks(fitness(values, fidelities, self.goals.measured))
        rewards[fine] = found
        return rewards

    @property
    def controller(self) -> Controller:
        """The controller; made when it is first needed."""
        if self._controller is None:
            from archsearch.evaluators.controller.controller import Controller  # importing torch takes seconds

            self._controller = Controller(self.space, self.seed, **self.model)
        return self._controller

    @property
    def figures(self) -> dict[str, float]:
        """Mean reward of the last update, and the entropy (nats a gene) of the policy."""
        if not self._updated:
            return {}
        return {"controller/reward": self._course["reward"][-1], "controller/entropy": self._course["entropy"][-1]}
