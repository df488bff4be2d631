"""How well predictors find the best architectures: N@5, N@10 and Precision@K, beside the published figures.

    ARCHSEARCH_DATA=FOLDER python benchmarks/gates_kendall.py     # makes the figures, hours on one core
    python benchmarks/gates_topk.py                               # prints what is there so far

N@K is the best true rank among the K test architectures that are ranked highest; Precision@K the share of the true best K among
the predicted best K, with K as a share of the test set. Medians of N@K and means of Precision@K over random subsets. The subset
decides much at the small sizes.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from gates_kendall import FIRST, PRECISIONS, SIZES
from rows import read

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


def line(rows: list[dict[str, Any]], published: str) -> str:
    """Return a row of the table for the random subsets of one setting."""
    n_at_k = ", ".join(f"{np.median([row[name] for row in rows]):.0f}" for name in ("n_at_5", "n_at_10"))
    low, high = np.quantile([row["n_at_5"] for row in rows], [0.25, 0.75])
    shares = []
    for share in PRECISIONS:
        found = [row["precision"][str(share)] for row in rows if str(share) in row["precision"]]
        shares.append(f"{np.mean(found):.2f}"[1:] if found else "")
    first = rows[0]
    who = f"{first['encoder']}, {first['loss']}, `{first['preset']}`"
    return f"| {first['size']:,} | {who} | {published} | {n_at_k} ({low:.0f} to {high:.0f}; {len(rows)}) | {' | '.join(shares)} |"


def report(rows: list[dict[str, Any]]) -> None:
    """Print the tables as Markdown."""
    columns = ("space", "size", "encoder", "loss", "preset", "members", "epochs")
    for name in SIZES:
        print(f"\n### {name}\n")
        print("| cells | predictor | published N@5, N@10 | here (quartiles of N@5; subsets) | " + _shares() + " |")
        print("| --- | --- | --- | --- |" + " --- |" * len(PRECISIONS))
        random = [row for row in rows if row["space"] == name and (row["subset"] != FIRST or name == "nasbench201")]
        for group in sorted({tuple(row[column] for column in columns) for row in random}):
            found = [row for row in random if tuple(row[column] for column in columns) == group]
            print(line(found, PUBLISHED.get((name, group[2], group[3]), "")))


def _shares() -> str:
    return " | ".join(f"P@{100 * share:g} %" for share in PRECISIONS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "results", nargs="*", type=Path, default=[Path("runs/gates_kendall.jsonl")], help="files of gates_kendall.py"
    )
    report([row for path in parser.parse_args().results for row in read(path)])


if __name__ == "__main__":
    main()
