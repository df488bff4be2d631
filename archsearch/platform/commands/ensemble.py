"""`archsearch export RUN --ensemble N`: an ensemble of the architectures of a run, trained, selected and exported."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from archsearch.errors import ConfigurationError

if TYPE_CHECKING:
    from archsearch.platform.result import SearchResult


def add_ensemble_options(parser: argparse.ArgumentParser) -> None:
    """Add the options `--ensemble` and `--from-best`."""
    parser.add_argument(
        "--ensemble",
        type=int,
        metavar="N",
        help="train the best architectures, select an ensemble of N of them by validation accuracy, and export it as one network",
    )
    parser.add_argument(
        "--from-best", type=int, metavar="M", help="architectures to train for an ensemble, the best M (default: 2 N)"
    )


def export_ensemble(parsed: argparse.Namespace, result: SearchResult, dataset: str | None) -> Path:
    """Train, select and export an ensemble as the options say, print its figures, and return the folder.

    Args:
        parsed: The options.
        result: The search.
        dataset: Images to train on; None takes those of the search.

    Raises:
        ConfigurationError: An option does not fit an ensemble.
    """
    from archsearch.platform.configuration import parse_options

    others = {"--rank": parsed.rank != 1, "--register": parsed.register, "--workers": parsed.workers != 1}
    others |= {"--macs-below": parsed.macs_below, "--with-validation": parsed.with_validation}
    if given := [name for name, value in others.items() if value]:
        raise ConfigurationError(f"ensemble: {', '.join(given)} cannot be combined with --ensemble; leave it out.")
    changes = parse_options(parsed.set) | ({"epochs": parsed.epochs} if parsed.epochs is not None else {})
    ensemble = result.ensemble(
        parsed.ensemble,
        dataset,
        candidates=parsed.from_best,
        recipe=parsed.recipe,
        scale=parse_options(parsed.size),
        seed=parsed.seed,
        device=parsed.device,
        progress=not parsed.quiet,
        **changes,
    )
    print(ensemble)
    return ensemble.export(parsed.output or result.folder / "export" / f"ensemble-{parsed.ensemble}")
