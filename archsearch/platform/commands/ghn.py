"""`archsearch ghn train`: a hypernetwork that is trained once, in a folder, for any number of searches."""

from __future__ import annotations

from typing import Any

_EPILOG = """examples:
  archsearch ghn train nasbench201 digits --hours 0.1
  archsearch ghn train cells cifar10 --hours 2 --image-size 16 --workers 4
  archsearch run --space nasbench201 --dataset digits --searcher ghn --set hypernetwork=ghn/nasbench201-digits

The same command goes on with a training that was stopped. The folder gets the weights, the recipe and a card that says what the
hypernetwork learned, how it ranks a table, and what it must not be used for."""


def add_ghn(commands: Any) -> None:
    """Add the subcommand."""
    from argparse import RawDescriptionHelpFormatter

    ghn = commands.add_parser("ghn", help="train a graph hypernetwork for later searches", description="Graph hypernetworks.")
    actions = ghn.add_subparsers(title="commands", required=True, metavar="COMMAND")
    train = actions.add_parser(
        "train",
        help="train one in a folder, or go on with its training",
        description="Train a graph hypernetwork in a folder, or go on with its training.",
        epilog=_EPILOG,
        formatter_class=RawDescriptionHelpFormatter,
    )
    train.add_argument("space", help="search space, such as nasbench201; see archsearch spaces")
    train.add_argument("dataset", help="images, such as digits, cifar10 or imagefolder:PATH")
    train.add_argument("--hours", type=float, metavar="H", help="duration, from which a trial finds the number of steps")
    train.add_argument("--steps", type=int, metavar="N", help="number of steps, in place of --hours")
    train.add_argument("--folder", help="where it is kept (default: ghn/SPACE-DATASET)")
    train.add_argument("--seed", type=int, metavar="N", default=0, help="seed of the training (default: 0)")
    train.add_argument("--preset", default="default", help="default or paper (default: default)")
    train.add_argument("--scale", action="append", default=[], metavar="NAME=N", help="size of the networks; repeatable")
    train.add_argument("--image-size", type=int, metavar="N", help="side in pixels to which images are reduced")
    train.add_argument("--workers", type=int, metavar="N", default=1, help="processes that train it by Ray Train (default: 1)")
    train.add_argument("--threads", type=int, metavar="N", help="CPU threads of a single process (default: all cores)")
    train.add_argument("--address", help="address of a Ray cluster for --workers (default: RAY_ADDRESS, or this machine)")
    train.add_argument("--table", metavar="PATH#COLUMN", help="trained scores that the card compares the ranking with")
    train.set_defaults(action=_train)


def _train(parsed: Any) -> int:
    import re

    from archsearch import spaces
    from archsearch.errors import ConfigurationError
    from archsearch.searchers.ghn_pretraining import pretrain
    from archsearch.searchers.pretrained_ghn import CARD

    if (parsed.hours is None) == (parsed.steps is None):
        raise ConfigurationError("hours: expected either --hours or --steps, such as --hours 2.")
    scale: dict[str, int] = {}
    for pair in parsed.scale:
        name, _, value = pair.partition("=")
        if not value.isdecimal():
            raise ConfigurationError(f"scale: expected NAME=N, such as channels=8; got {pair!r}.")
        scale[name] = int(value)
    space, table = spaces.get(parsed.space), None
    folder = parsed.folder or f"ghn/{space.name}-{re.sub(r'[^A-Za-z0-9]+', '-', parsed.dataset).strip('-')}"
    if parsed.table:
        from archsearch.evaluators.tabular import TabularEvaluator

        path, _, column = parsed.table.partition("#")
        table = TabularEvaluator.from_parquet(space, path, column or None)
    recipe = None
    try:
        if parsed.workers > 1:
            from archsearch.cluster.connection import connect

            connect(parsed.address)
        recipe = pretrain(
            folder,
            space,
            parsed.dataset,
            hours=parsed.hours,
            steps=parsed.steps,
            seed=parsed.seed,
            workers=parsed.workers,
            preset=parsed.preset,
            scale=scale or None,
            image_size=parsed.image_size,
            threads=parsed.threads,
            table=table,
        )
    except KeyboardInterrupt:
        print(f"\nStopped; the same command goes on from {folder}.")
        return 130
    print(f"A hypernetwork of {recipe.steps:,} steps is in {folder}; {folder}/{CARD} says what it is good for.")
    options = f"--space {space.name} --dataset {parsed.dataset} --searcher ghn --set hypernetwork={folder}"
    print(f"Use it:    archsearch run {options}")
    return 0
