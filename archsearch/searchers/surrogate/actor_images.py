"""The images that a model in an actor learns from or scores with: found by name, in whatever folder the actor runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from archsearch.errors import ConfigurationError, check_kind
from archsearch.evaluators.evaluator import Evaluator


def actor_images(dataset: object, root: str | None, scale: Mapping[str, int] | None) -> dict[str, Any]:
    """Return dataset, root and scale as an actor is given them.

    Args:
        dataset: Name of the dataset, for `datasets.load`.
        root: Folder of downloaded datasets; None takes the folder of this process for names that hold a path, such as
            `parquet:PATH`, because actors run in other folders.
        scale: Size of the networks; None takes the one for the dataset.

    Raises:
        ConfigurationError: The dataset has no name.
    """
    check_kind("dataset", dataset, str, "the name of a dataset, such as 'digits', which actors can load")
    return {"dataset": dataset, "root": root or (str(Path.cwd()) if ":" in str(dataset) else None), "scale": scale}


def images_of(evaluator: Evaluator, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return dataset, root and scale of an evaluator with named images, as a searcher's options.

    The evaluator trains, or it is a function that is given a dataset. Nothing is returned for others, nor if the options name a
    dataset.

    Raises:
        ConfigurationError: The images are in memory, where actors cannot find them.
    """
    from archsearch.evaluators.function.evaluator import FunctionEvaluator
    from archsearch.evaluators.training.evaluator import TrainingEvaluator  # they need torch, other searchers do not

    if "dataset" in options or not isinstance(evaluator, FunctionEvaluator | TrainingEvaluator) or evaluator.images is None:
        return {}
    if not isinstance(evaluator.images.dataset, str):
        raise ConfigurationError(
            "dataset: expected a dataset with a name, which actors can load; the evaluator has images in memory. Set the "
            "searcher's option dataset, such as parquet:PATH."
        )
    return {"dataset": evaluator.images.dataset, "root": evaluator.images.root, "scale": evaluator.scale}
