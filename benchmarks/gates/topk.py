"""The best architectures that predictors find: N@5, N@10 and Precision@K, beside the published figures.

    ARCHSEARCH_DATA=FOLDER python -m benchmarks.gates.kendall     # makes the figures, hours on one core
    python -m benchmarks.gates.topk                               # prints those that are there so far

N@K is the best true rank among the K test architectures that are ranked highest; Precision@K the share of the true best K among
the predicted best K, with K as a share of the test set. Medians of N@K and means of Precision@K over random subsets. The subset
decides much at the small sizes.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.frame import Row, Rows, Script, quartiles, table
from benchmarks.gates.kendall import FIRST, PRECISIONS, SIZES

# N@5 and N@10, X. Ning et al., ECCV 2020, the authors' slides; the number of training cells is not stated but for 190.
PUBLISHED = {
    ("nasbench101", "mlp", "hinge"): "57, 58",
    ("nasbench101", "mlp", "mse"): "1397, 552",
    ("nasbench101", "lstm", "hinge"): "1715, 1715",
    ("nasbench101", "lstm", "mse"): "1080, 312",
    ("nasbench101", "gates", "hinge"): "22, 22 (190 cells)",
    ("nasbench101", "gates", "mse"): "27, 27",
    ("nasbench201", "mlp", "hinge"): "7, 7",
    ("nasbench201", "mlp", "mse"): "1538, 224",
    ("nasbench201", "gates", "hinge"): "1, 1",
    ("nasbench201", "gates", "mse"): "1, 1",
}


def line(rows: list[Row], published: str) -> list[str]:
    """Return a line of the table for the random subsets of one setting."""
    at_5, at_10 = (quartiles(row[name] for row in rows) for name in ("n_at_5", "n_at_10"))
    shares = []
    for share in PRECISIONS:
        found = [row["precision"][str(share)] for row in rows if str(share) in row["precision"]]
        shares.append(f"{np.mean(found):.2f}" if found else "")
    first = rows[0]
    who = f"{first['encoder']}, {first['loss']}, `{first['preset']}`"
    return [f"{first['size']:,}", who, published, str(len(rows)), at_5, at_10, *shares]


def report(files: list[Path]) -> None:
    """Print the tables."""
    rows = [row for path in files for row in Rows(path).all()]
    fields = ("space", "size", "encoder", "loss", "preset", "members", "epochs")
    precisions = [f"P@{100 * share:g} %" for share in PRECISIONS]
    columns = ["cells", "predictor", "published N@5, N@10", "subsets", "N@5 (quartiles)", "N@10 (quartiles)", *precisions]
    for name in SIZES:
        random = [row for row in rows if row["space"] == name and (row["subset"] != FIRST or name == "nasbench201")]
        groups = sorted({tuple(row[field] for field in fields) for row in random})
        of_group = {group: [row for row in random if tuple(row[field] for field in fields) == group] for group in groups}
        table(columns, (line(of_group[group], PUBLISHED.get((name, group[2], group[3]), "")) for group in groups), title=name)


def main() -> None:
    script = Script(__file__, __doc__)
    kendall = Path("runs/gates_kendall.jsonl")
    script.argument("files", nargs="*", type=Path, default=[kendall], help=f"rows of gates/kendall.py (default: {kendall})")
    report(script.parse().files)


if __name__ == "__main__":
    main()
