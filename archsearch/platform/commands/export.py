"""`archsearch export` and `archsearch train`: from an architecture to a usable model."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from archsearch.errors import ConfigurationError, RunError
from archsearch.platform.commands.ensemble import add_ensemble_options, export_ensemble

if TYPE_CHECKING:
    from archsearch.evaluators.datasets import Splits
    from archsearch.platform.training.search_training import SearchTraining
    from archsearch.platform.training.trained_model import TrainedModel
    from archsearch.spaces import Architecture, SearchSpace

_CHECKPOINT = "checkpoint.pt"
_OF_THE_SEARCH = "\0"  # no dataset has this name


class Store(NamedTuple):
    """The MLflow store in which a trained network is registered.

    Args:
        tracking: MLflow tracking URI, or `auto`.
        parent: Id of the MLflow run of the search.
        storage: Storage of the search, beside which `auto` finds the store.
    """

    tracking: str
    parent: str | None = None
    storage: str = "runs"

    @property
    def uri(self) -> str:
        """The tracking URI, `off` included."""
        from archsearch.platform.tracking.store import tracking_uri

        return self.tracking if self.tracking == "off" else tracking_uri(self.tracking, self.storage, self.parent is not None)


_EXPORT_EPILOG = """examples:
  archsearch export runs/NAME                                    the best architecture, untrained, to runs/NAME/export/rank-1
  archsearch export runs/NAME --rank 3 --output third
  archsearch export runs/NAME --retrain                          trained on the images and with the settings of the search
  archsearch export runs/NAME --retrain --epochs 100             the same, but longer
  archsearch export runs/NAME --retrain cifar10 --recipe cifar   the papers' final training, for a GPU
  archsearch export runs/NAME --retrain digits --register digits-classifier   and register it in MLflow's model registry
  archsearch export runs/NAME --ensemble 5                       the 10 best trained as in the search; up to 5 as one model

To continue a training that was stopped, give the same command again.
"""
_TRAIN_EPILOG = """examples:
  archsearch train '|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|nor_conv_3x3~2|' --dataset digits
  archsearch train winner/architecture.json --dataset cifar10 --recipe cifar --size channels=32
  archsearch train winner/architecture.json --dataset cifar10 --recipe cifar --workers 4    four GPUs of a Ray cluster
  archsearch train winner/architecture.json --dataset imagefolder:photos --macs-below 50e6
  archsearch train winner/architecture.json --dataset 'csv:ages.csv?image=file&label=age&task=regression'
  archsearch train winner/architecture.json --dataset 'imagefolder:photos?size=224' --recipe imagenet-mobile \\
      --size stem_halvings=3 --macs-below 600e6          the mobile setting: a stem reduces 224 pixels to 28

To continue a training that was stopped, give the same command again.
"""


_NO_SETTINGS = {"recipe", "seed", "scale", "checkpoint", "device", "origin", "progress", "root", "workers", "cpus_per_worker"}
_NO_SETTINGS |= {"memory_gb", "data_workers", "checkpoint_seconds", "with_validation", "initial_weights", "tracking", "parent"}
"""Arguments of a final training that the command has options for, or does not offer."""


def add_export(commands: Any) -> None:
    """Add the subcommands `export` and `train`."""
    form = argparse.RawDescriptionHelpFormatter
    export = commands.add_parser(
        "export",
        help="export an architecture that a run found: source, weights, ONNX, model card",
        description="Export an architecture that a run found as source, weights, torch.export, ONNX and model card.",
        epilog=_EXPORT_EPILOG,
        formatter_class=form,
    )
    export.add_argument("run", help="folder of the run, such as runs/NAME")
    export.add_argument("--rank", type=int, default=1, help="rank of the architecture; 1 is the best (default: 1)")
    export.add_argument("--space", metavar="python:MODULE:CLASS", help="search space of the run, if it is one of your own")
    export.add_argument(
        "--retrain",
        metavar="DATASET",
        nargs="?",
        const=_OF_THE_SEARCH,
        help="train it first, on the images and with the settings of the search, or on this dataset (default: random weights)",
    )
    add_ensemble_options(export)
    _add_training_options(export)
    export.set_defaults(action=lambda parsed: _resumable(_export, parsed))

    train = commands.add_parser(
        "train",
        help="train one architecture with a final recipe, and export it",
        description="Train one architecture from new weights, measure it on test images, and export it.",
        epilog=_TRAIN_EPILOG,
        formatter_class=form,
    )
    train.add_argument("architecture", help="string of an architecture, or an architecture.json that an export wrote")
    train.add_argument(
        "--space", help="search space, or python:MODULE:CLASS (default: that of architecture.json, else nasbench201)"
    )
    train.add_argument("--dataset", required=True, help="dataset, such as digits, cifar10, imagefolder:PATH or csv:PATH")
    _add_training_options(train)
    train.set_defaults(action=lambda parsed: _resumable(_train, parsed))


def _add_training_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--recipe", help="short, cifar or imagenet-mobile (default: the settings of the search, else short)")
    parser.add_argument("--epochs", type=int, help="number of epochs (default: that of the recipe)")
    parser.add_argument("--seed", type=int, default=0, help="seed of weights, order and augmentation (default: 0)")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="setting of the recipe; repeatable")
    parser.add_argument(
        "--size", action="append", default=[], metavar="NAME=VALUE", help="size of the network, such as channels=32; repeatable"
    )
    parser.add_argument(
        "--macs-below", type=float, metavar="N", help="take the largest number of channels with fewer MACs than N, such as 600e6"
    )
    parser.add_argument("--with-validation", action="store_true", help="train on the validation images too")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (default: auto)")
    parser.add_argument(
        "--workers",
        type=int,
        default=1,
        metavar="N",
        help="number of data-parallel processes on a Ray cluster, each with a GPU (default: 1)",
    )
    parser.add_argument(
        "--cpus-per-worker", type=float, default=1.0, metavar="N", help="CPU cores of each of several processes (default: 1)"
    )
    parser.add_argument(
        "--memory-gb",
        type=float,
        metavar="N",
        help="gigabytes that images may take in memory; larger datasets are streamed (default: a quarter of the memory)",
    )
    parser.add_argument(
        "--data-workers",
        type=int,
        metavar="N",
        help="processes that decode streamed images for each worker (default: one a core)",
    )
    parser.add_argument(
        "--address", help="address of the Ray cluster of the workers (default: RAY_ADDRESS, else Ray on this machine)"
    )
    parser.add_argument("--output", type=Path, metavar="DIR", help="folder to write to")
    parser.add_argument(
        "--register", metavar="NAME", help="register the trained network under this name in MLflow's model registry"
    )
    parser.add_argument(
        "--tracking",
        metavar="URI",
        help="MLflow store, or auto: follows the training, and has the registry (default: followed with --register alone, in the "
        "store of the run, else auto)",
    )
    parser.add_argument("--quiet", action="store_true", help="show no progress line")


def _resumable(action: Callable[[argparse.Namespace], int], parsed: argparse.Namespace) -> int:
    try:
        return action(parsed)
    except KeyboardInterrupt:
        print("archsearch: stopped; give the same command again to continue where it was saved last", file=sys.stderr)
        return 130


def _export(parsed: argparse.Namespace) -> int:
    from archsearch.cluster.storage_place import local_folder
    from archsearch.platform.result import finished_run

    result = finished_run(parsed.run, parsed.space)
    if parsed.ensemble is not None:
        return _report(export_ensemble(parsed, result, _dataset(parsed)))
    if parsed.from_best is not None:
        raise ConfigurationError(
            "from-best: it is the number of architectures that an ensemble is selected from; give --ensemble."
        )
    found = result.top(parsed.rank) if parsed.rank > 0 else []
    if len(found) < parsed.rank or parsed.rank < 1:
        scored = len(result.top(len(result.evaluations)))
        raise ConfigurationError(
            f"rank: expected 1 to {scored}, the candidates of {result.name} with a score; got {parsed.rank}."
        )
    chosen = found[-1]
    # Of a run in a bucket, the result is written to the working directory.
    beside = Path(f"{result.name}-export") if result.address != str(result.folder) else result.folder / "export"
    output = local_folder(parsed.output or beside / f"rank-{parsed.rank}", "output")
    if parsed.retrain is None:
        if others := _given(parsed):
            raise ConfigurationError(f"retrain: {', '.join(others)} needs a training; give --retrain too.")
        return _report(chosen.export(output))
    if " of " in (when := str(chosen.origin.get("scored_after", ""))) and not parsed.quiet:
        print(f"The search scored it after {when}; it is trained to the end now.", file=sys.stderr, flush=True)
    size = {name: value for name, value in chosen.cost_arguments.items() if name not in ("input_shape", "num_classes")}
    store = Store(parsed.tracking or result.summary.settings["tracking"], result.run_id, result.summary.settings["storage"])
    return _trained(
        parsed, _dataset(parsed), result.space, chosen.architecture, size, output, chosen.origin, store, chosen.training
    )


def _dataset(parsed: argparse.Namespace) -> str | None:
    """Return the dataset that `--retrain` names; None for that of the search."""
    return None if parsed.retrain == _OF_THE_SEARCH else parsed.retrain


def _given(parsed: argparse.Namespace) -> list[str]:
    """Return the names of the training options on the command line."""
    names = {"epochs": parsed.epochs, "set": parsed.set, "size": parsed.size, "macs-below": parsed.macs_below}
    names |= {"with-validation": parsed.with_validation, "recipe": parsed.recipe, "seed": parsed.seed != 0}
    names |= {"register": parsed.register, "tracking": parsed.tracking, "workers": parsed.workers != 1}
    return [f"--{name}" for name, value in names.items() if value not in (None, [], False)]


def _train(parsed: argparse.Namespace) -> int:
    from archsearch import spaces
    from archsearch.cluster.storage_place import local_folder
    from archsearch.platform.training.retraining import default_size

    content = _read(Path(parsed.architecture)) if parsed.architecture.endswith(".json") else {}
    name = parsed.space or content.get("space", "nasbench201")
    network = content.get("network", {})
    space = _with_stem(spaces.get(name), network)
    architecture = space.parse(content.get("architecture", parsed.architecture))
    origin = {**content.get("origin", {}), **{key: content[key] for key in ("run", "score", "metrics") if content.get(key)}}
    known = {key: value for key, value in network.items() if key in space.scale_defaults}
    size = known or default_size(space, parsed.dataset)
    output = local_folder(parsed.output or f"{space.name}-{space.key(architecture)[:8]}", "output")
    return _trained(parsed, parsed.dataset, space, architecture, size, output, origin, Store(parsed.tracking or "auto"))


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(content, dict) and isinstance(content.get("space"), str) and isinstance(content.get("architecture"), str):
            return content
    except OSError as error:
        raise ConfigurationError(
            f"architecture: cannot read {path} ({error.strerror}); give the string of an architecture, or a file."
        ) from error
    except ValueError:
        pass
    raise ConfigurationError(
        f"architecture: expected a file that an export wrote, with `space` and `architecture`; {path} is not one."
    )


def _trained(
    parsed: argparse.Namespace,
    dataset: str | None,
    space: SearchSpace,
    architecture: Architecture,
    size: Mapping[str, int],
    output: Path,
    origin: Mapping[str, Any],
    store: Store,
    search: SearchTraining | None = None,
) -> int:
    from archsearch.platform.configuration import parse_options
    from archsearch.platform.tracking.model_registry import check_registration
    from archsearch.platform.training.retraining import retrain
    from archsearch.platform.training.search_training import chosen_training

    if parsed.register is not None:
        check_registration(parsed.register, store.uri)
    followed = "off" if parsed.register is None and parsed.tracking is None else store.uri
    changes = parse_options(parsed.set) | ({"epochs": parsed.epochs} if parsed.epochs is not None else {})
    if taken := sorted(_NO_SETTINGS & set(changes)):
        raise ConfigurationError(f"set: {', '.join(taken)} is not a setting of a recipe; see the options of the command.")
    chosen = chosen_training(search, dataset, parsed.recipe, changes)
    if chosen.difference and not parsed.quiet:
        print(chosen.difference, file=sys.stderr, flush=True)
    scale = {**size, **parse_options(parsed.size)}
    space = _with_stem(space, scale)
    if parsed.macs_below is not None:
        scale["channels"] = _channels(space, architecture, chosen.dataset, parsed.macs_below, scale)
    if parsed.workers > 1:
        from archsearch import cluster

        cluster.connect(parsed.address)
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"output: cannot write to {output} ({error.strerror}); choose another folder.") from error
    model = retrain(
        space,
        architecture,
        chosen.dataset,
        recipe=chosen.recipe,
        seed=parsed.seed,
        scale=scale,
        checkpoint=output / _CHECKPOINT,
        with_validation=parsed.with_validation,
        device=parsed.device,
        progress=not parsed.quiet,
        origin=origin,
        workers=parsed.workers,
        cpus_per_worker=parsed.cpus_per_worker,
        memory_gb=parsed.memory_gb,
        data_workers=parsed.data_workers,
        tracking=followed,
        parent=store.parent,
        **changes,
    )
    model = chosen.named(model)
    print(_figures(model))
    _report(model.export(output))
    return _register(parsed.register, output, store) if parsed.register is not None else 0


def _register(name: str, folder: Path, store: Store) -> int:
    from archsearch.platform.tracking.model_registry import register_model
    from archsearch.platform.training.retraining import read_run_id, run_file

    run_id = read_run_id(run_file(folder / _CHECKPOINT))
    registered = register_model(folder, name, store.uri, store.parent, run_id)
    print(f"Registered: {registered.name}, version {registered.version}")
    print(f"Load it:   mlflow.pyfunc.load_model({registered.uri!r})")
    return 0


def _with_stem(space: SearchSpace, size: Mapping[str, int]) -> SearchSpace:
    """Return the space with a strided stem for large images if the size has `stem_halvings`, else the space itself."""
    from archsearch.spaces.strided_stem import SETTING, StridedStem

    return StridedStem(space, size[SETTING]) if SETTING in size and SETTING not in space.scale_defaults else space


def _channels(
    space: SearchSpace, architecture: Architecture, dataset: str | Splits, macs: float, scale: Mapping[str, int]
) -> int:
    """Return the largest number of channels with which the MACs for one image of a dataset stay below `macs`."""
    from archsearch.evaluators import datasets
    from archsearch.spaces.network_size import largest_channels

    part = (datasets.load(dataset) if isinstance(dataset, str) else dataset).train
    others = {name: value for name, value in scale.items() if name != "channels"}
    return largest_channels(space, architecture, macs, part.shape, part.num_classes, **others)


def _figures(model: TrainedModel) -> str:
    from archsearch.platform import units

    parts = list(map(str, units.qualities(model.metrics)))
    parts.append(f"{units.quantity(model.metrics['params'])} parameters, {units.quantity(model.metrics['macs'])} MACs")
    return ", ".join(parts)


def _report(folder: Path) -> int:
    content = json.loads((folder / "architecture.json").read_text(encoding="utf-8"))
    for name, reason in content["left_out"].items():
        print(f"Left out:  {name} ({reason})")
    if content["training"] is None:
        print("Weights:   not trained; give --retrain, or archsearch train")
    print(f"Model:     {folder}")
    print(f"Read:      {folder / 'README.md'}")
    return 0
