"""Search on custom images: a folder with one sub-folder per class, images of any size.

python examples/own_images.py PATH
"""

import sys

from archsearch import platform


def main(folder: str, storage: str = "runs", candidates: int = 10, epochs: int = 5) -> None:
    result = platform.run_search(
        space="nasbench201",
        searcher="evolution",
        evaluator=f"train:imagefolder:{folder}?size=16",
        num_candidates=candidates,
        storage=storage,
        evaluator_options={"epochs": epochs, "scale": {"channels": 8, "cells_per_stage": 1}},
    )
    for found in result.top(3):
        print(f"{found.score:.4f}  {found.cost.params:,} parameters  {found}")


if __name__ == "__main__":
    main(sys.argv[1])
