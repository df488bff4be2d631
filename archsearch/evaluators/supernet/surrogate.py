"""A supernet as the model that an actor of a pool holds: it is trained once, and then proposes architectures."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archsearch.errors import ConfigurationError, RunError
from archsearch.evaluators.cache import cache_folder
from archsearch.evaluators.saved_state import read_state
from archsearch.evaluators.supernet.controlled import ControlledSupernet
from archsearch.evaluators.supernet.differentiable import DifferentiableSupernet
from archsearch.evaluators.supernet.encoded import EncodedSupernet
from archsearch.evaluators.supernet.supernet import Supernet
from archsearch.spaces import Architecture, SearchSpace
from archsearch.spaces.listed import Listed

logger = logging.getLogger(__name__)
_SAVE_EVERY = 10.0  # seconds of training that the death of an actor may lose
_PATIENCE = 200  # draws without a new architecture before a proposal ends
_SCORED = 100  # paths that the shared weights score, at most

METHODS: Mapping[str, type[Supernet]] = {
    "darts": DifferentiableSupernet,
    "enas": ControlledSupernet,
    "nao-ws": EncodedSupernet,
}


class SupernetSurrogate:
    """A `Surrogate` whose fit trains a supernet, or continues the training that its file holds, and that proposes from it.

    Args:
        method: `darts`, `enas` or `nao-ws`.
        space: Space of the architectures.
        dataset: Name of a dataset for `datasets.load`, such as `digits`.
        cache: Folder of trained supernets; None takes `supernets` in the cache folder of this machine.
        **arguments: Further arguments of the supernet, without the seed.

    Raises:
        ConfigurationError: A setting is unknown or out of range, or the space has no places.
        DatasetError: The images cannot be loaded.
    """

    def __init__(self, method: str, space: SearchSpace, dataset: str, *, cache: str | None = None, **arguments: Any) -> None:
        self._make = METHODS[method]
        self._method, self.space = method, space
        # A list confines what is proposed, not the network that holds the operators.
        whole = space.whole if isinstance(space, Listed) else space
        self._arguments: dict[str, Any] = {"space": whole, "dataset": dataset, **arguments}
        self._folder = cache_folder() / "supernets" if cache is None else Path(cache)
        self._loaded: Supernet | None = None

    def supernet(self, seed: int = 0) -> Supernet:
        """Return a new supernet."""
        return self._make(**{**self._arguments, "seed": seed})

    def fit(self, rows: object = None, *, seed: int = 0, steps: int, **_: Any) -> dict[str, Any]:
        """Return the state of a supernet that was trained; its file is continued if there is one.

        Args:
            rows: Not used: shared weights are learned from images, not from scores.
            seed: Seed of the training.
            steps: Number of training steps.
        """
        supernet = self.supernet(seed)
        try:
            supernet.fit(steps, checkpoint=self._file(supernet, steps), checkpoint_seconds=_SAVE_EVERY)
        except RunError as error:  # such as a full disk; the weights so far are in memory
            logger.warning("%s: the training continues but is not saved: %s", self._method, error)
            supernet.fit(steps)
        return supernet.state()

    def load(self, state: Mapping[str, Any]) -> None:
        self._loaded = self.supernet(int(state["seed"])).load(state)

    def propose(
        self, n: int, *, seed: int = 0, exclude: Collection[str] = (), best: Sequence[str] = (), **_: Any
    ) -> dict[str, Any]:
        """Return up to `n` new architectures, their predictions, and details for figures.

        Args:
            n: Number of architectures.
            seed: Seed of what is drawn.
            exclude: Keys of structures not to propose.
            best: Not used.
        """
        if self._loaded is None:
            raise ConfigurationError(f"{self._method}: it has learned nothing yet; call fit or load first.")
        found, predictions, details = proposals(self._loaded, n, seed, exclude, self.space)
        return {"architectures": [str(each) for each in found], "predictions": predictions, "details": details}

    def score(self, batch: Sequence[str]) -> NDArray[np.float64]:
        """Return the validation accuracy of paths with the shared weights, `[batch]`; NaN for one that cannot be scored."""
        assert self._loaded is not None
        evaluations = self._loaded.evaluate([self.space.parse(text) for text in batch])
        return np.array([each.score if each.ok else np.nan for each in evaluations])

    def _file(self, supernet: Supernet, steps: int) -> Path | None:
        """Return the file of a training, after deleting a corrupt one; None if the folder cannot be written."""
        text = json.dumps({**supernet.identity(), "steps": steps}, sort_keys=True)
        path = self._folder / f"{hashlib.blake2b(text.encode(), digest_size=16).hexdigest()}.pt"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            if path.exists():
                read_state(path)
        except ConfigurationError as error:
            logger.warning("%s: training again, because of the file in the cache: %s", self._method, error)
            path.unlink(missing_ok=True)
        except OSError as error:
            remedy = "set ARCHSEARCH_CACHE to a folder that can be written"
            logger.warning("%s: the training is not saved (%s); %s", self._method, error, remedy)
            return None
        return path


Proposals = tuple[list[Architecture], list[float], dict[str, Any]]


def proposals(
    supernet: Supernet, n: int, seed: int, exclude: Collection[str] = (), space: SearchSpace | None = None
) -> Proposals:
    """Return up to `n` new architectures of a trained supernet, best first, what they are ordered by, and details for figures.

    Args:
        supernet: A trained `DifferentiableSupernet`, whose architectures come by the weights of their operators, or a
            `ControlledSupernet` or `EncodedSupernet`, whose paths come by their score with the shared weights.
        n: Number of architectures.
        seed: Seed of what is drawn.
        exclude: Keys of structures to leave out.
        space: Space of the architectures, a part of that of the supernet; None takes that one.

    Raises:
        ConfigurationError: The supernet is of another kind, which chooses no architectures.
    """
    if isinstance(supernet, DifferentiableSupernet):
        return _most_probable(supernet, n, seed, exclude, space or supernet.space)
    if isinstance(supernet, ControlledSupernet):
        return _highest_reward(supernet, n, seed, exclude, space or supernet.space)
    if isinstance(supernet, EncodedSupernet):
        return _best_of_population(supernet, n, seed, exclude, space or supernet.space)
    raise ConfigurationError(
        f"supernet: expected one with operator weights, a controller or a population; got a {type(supernet).__name__}."
    )


def _most_probable(
    supernet: DifferentiableSupernet, n: int, seed: int, exclude: Collection[str], space: SearchSpace
) -> Proposals:
    """Return the architecture of the largest operator weights, then others drawn from their softmax, most probable first."""
    probabilities = [each.double().numpy() for each in supernet.probabilities()]
    rng = np.random.default_rng(seed)

    def draw(attempt: int) -> list[int]:
        if attempt == 0:
            return [int(each.argmax()) for each in probabilities]
        # The more draws are known already, the more uniform the distribution becomes, so that it never runs dry.
        power = 1.0 / (1.0 + attempt / (4 * _PATIENCE))
        flatter = [each**power / (each**power).sum() for each in probabilities]
        return [int(rng.choice(len(each), p=each)) for each in flatter]

    drawn = _new(space, n, exclude, draw)
    places = [space.genotype(each) for each in drawn]
    logs = [float(sum(np.log(each[gene]) for each, gene in zip(probabilities, genes, strict=True))) for genes in places]
    # The first is that of the largest weights, also where another spelling of the same structure is less probable.
    order = sorted(range(len(drawn)), key=lambda at: (at > 0, -logs[at]))
    places_of = supernet.places
    details = {
        "operator_weights": {
            "steps": [step for step, _ in supernet.history],
            "weights": [row for _, row in supernet.history],
            "genes": list(places_of.names),
            "alternatives": [[str(value) for value in each] for each in supernet.space.choices.values()],
        }
    }
    return [drawn[at] for at in order], [logs[at] for at in order], details


def _highest_reward(supernet: ControlledSupernet, n: int, seed: int, exclude: Collection[str], space: SearchSpace) -> Proposals:
    """Return paths that the controller draws, best validation score with the shared weights first."""
    pool: list[Architecture] = []

    def draw(attempt: int) -> list[int]:
        if not pool:
            pool.extend(supernet.draw(_PATIENCE, seed + attempt))
        return list(supernet.space.genotype(pool.pop()))

    found, scores = _scored(supernet, n, _new(space, min(_SCORED, 2 * n), exclude, draw))
    history = [list(row) for row in supernet.history]
    details = {
        "path_controller": {
            name: [row[at] for row in history] for at, name in enumerate(("steps", "reward", "baseline", "entropy"))
        }
    }
    return found, scores, details


def _best_of_population(supernet: EncodedSupernet, n: int, seed: int, exclude: Collection[str], space: SearchSpace) -> Proposals:
    """Return the best of the population, then improved and random ones, best validation score with the shared weights first."""
    taken, wanted = set(exclude), min(_SCORED, 2 * n)
    best = [each for each in supernet.ranked() if supernet.space.key(each) not in taken]
    known = taken | set(map(supernet.space.key, best))
    offered = chain(best, supernet.further(max(0, wanted - len(best)), known, seed))

    def draw(attempt: int) -> list[int] | None:
        return None if (each := next(offered, None)) is None else list(supernet.space.genotype(each))

    found, scores = _scored(supernet, n, _new(space, wanted, exclude, draw))
    names = ("best", "mean", "kept", "improved", "random")
    details = {
        "scored_population": {
            "steps": [step for step, _ in supernet.history],
            **{name: [means.get(name) for _, means in supernet.history] for name in names},
        }
    }
    return found, scores, details


def _scored(supernet: Supernet, n: int, architectures: Sequence[Architecture]) -> tuple[list[Architecture], list[float]]:
    """Return the `n` architectures with the highest validation scores with the shared weights, and the scores, best first."""
    scored = [each for each in supernet.evaluate(architectures) if each.ok]
    scored.sort(key=lambda each: (each.score, -each.metrics.get("valid_loss", 0.0)), reverse=True)
    return [each.architecture for each in scored[:n]], [each.score for each in scored[:n]]


def _new(space: SearchSpace, n: int, exclude: Collection[str], draw: Callable[[int], Sequence[int] | None]) -> list[Architecture]:
    """Return up to `n` architectures that are not excluded, each structure once.

    `draw` gets the number of the attempt and returns a genotype, or None if there are no more.
    """
    known, attempt, stale = set(exclude), 0, 0
    found: list[Architecture] = []
    while len(found) < n and stale < _PATIENCE and (genotype := draw(attempt)) is not None:
        architecture = space.from_genotype(genotype)
        key, attempt, stale = space.key(architecture), attempt + 1, stale + 1
        if key not in known:
            known.add(key)
            found.append(architecture)
            stale = 0
    return found
