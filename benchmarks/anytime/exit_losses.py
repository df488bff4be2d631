"""What distillation and a backbone that learns first do to networks with several exits.

    python -m benchmarks.anytime.exit_losses                      # digits; some ten minutes on one core
    python -m benchmarks.anytime.exit_losses --dataset parquet:FOLDER/cifar10_train.parquet --side 16 --channels 4 --epochs 4

Each network is trained with the same seeds by the sum of the losses of its exits, with half of the losses of earlier exits from
the last one (`distillation`), with the last exit alone in the first half of the epochs (`backbone_first`), and with both. The
networks are the first random ones of the space `anytime`, a multi-scale dense network, and a residual network with exits, as in
anytime/comparison.py. Shown are differences to the sum in pairs: the area on test images up to the same budget, and the accuracy
of the last exit. No setting was chosen on these images.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

from benchmarks.anytime.comparison import Comparison
from benchmarks.frame import Rows, Script, average, table

NETWORKS = 3  # random ones of the space
DESIGNED = {"msdnet": "base 1, step 2", "resnet": "2 blocks a stage"}
LOSSES: Mapping[str, Mapping[str, float]] = {
    "sum": {},
    "distillation": {"distillation": 0.5},
    "backbone first": {"backbone_first": 0.5},
    "both": {"distillation": 0.5, "backbone_first": 0.5},
}


def measure(script: Script, rows: Rows) -> None:
    """Train what is not in the file yet."""
    comparison = Comparison(script)
    plain = comparison.recipe
    names = [("random", str(cell)) for cell in comparison.drawn(0, NETWORKS)] + list(DESIGNED.items())
    for seed in script.seeds:
        for number, (kind, name) in enumerate(names):
            for loss, changes in LOSSES.items():
                comparison.recipe = plain.with_changes(**changes)
                rows.get(
                    lambda kind=kind, name=name, seed=seed: comparison.trained(kind, name, seed),
                    network=f"random {number + 1}" if kind == "random" else kind,
                    loss=loss,
                    seed=seed,
                    **identity(script),
                )


def identity(script: Script) -> dict[str, object]:
    """Return what tells the rows of these images and trainings from others."""
    arguments = script.arguments
    images = arguments.dataset.rpartition("/")[2]
    return {"dataset": images, "side": arguments.side, "channels": arguments.channels, "epochs": arguments.epochs}


def report(script: Script, rows: Rows) -> None:
    """Print areas and last accuracies by the sum, and the differences of the others in pairs."""
    found = rows.select(**identity(script))
    before = {(row["network"], row["seed"]): row for row in found if row["loss"] == "sum"}
    networks = list(dict.fromkeys(row["network"] for row in found))
    lines = list[list[object]]()
    for network in [*networks, "all"]:
        own = [row for key, row in before.items() if network in (key[0], "all")]
        cells: list[object] = [network, len(own), average(100 * row["test"] for row in own), average(map(last, own))]
        for loss in list(LOSSES)[1:]:
            pairs = [
                (row, before[row["network"], row["seed"]])
                for row in found
                if row["loss"] == loss and network in (row["network"], "all") and (row["network"], row["seed"]) in before
            ]
            area = average((100 * (row["test"] - other["test"]) for row, other in pairs), signed=True)
            accuracy = average((last(row) - last(other) for row, other in pairs), signed=True)
            cells.append(f"{area}; {accuracy}")
        lines.append(cells)
    table(
        ["network", "trainings", "sum: area %", "last exit %", *(f"{loss}: area; last exit" for loss in list(LOSSES)[1:])], lines
    )


def last(row: Mapping[str, object]) -> float:
    """Return the accuracy (%) of the last exit on test images."""
    accuracies: list[float] = row["test_exits"][1]  # type: ignore[index]
    return 100.0 * accuracies[-1]


def main() -> None:
    script = Script(__file__, __doc__, seeds=3)
    script.argument("--dataset", default="digits", help="as datasets.load takes it (default: digits)")
    script.argument("--side", type=int, help="pixels a side to which images are averaged (default: as they are)")
    script.argument("--channels", type=int, default=8, help="of the candidates (default: 8)")
    script.argument("--epochs", type=int, help="of each training (default: those of the dataset's recipe)")
    script.argument("--device", default="auto")
    arguments = script.parse()
    arguments.steps = arguments.rank = 0  # there is no hypernetwork
    arguments.distillation = arguments.backbone_first = 0.0
    torch.set_num_threads(1)
    script.run(lambda rows: measure(script, rows), lambda rows: report(script, rows))


if __name__ == "__main__":
    main()
