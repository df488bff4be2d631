"""A searcher of archsearch in your own `tune.Tuner`: train what `config["architecture"]` says, and report its score.

python examples/plain_tune.py
"""

from typing import Any

import torch
from ray import tune
from ray.tune.schedulers import ASHAScheduler
from sklearn.datasets import load_digits

from archsearch import searchers, spaces


def train(config: dict[str, Any]) -> None:
    space = spaces.get("nasbench201")
    model = space.build(space.parse(config["architecture"]), num_classes=10, in_channels=1, channels=4, cells_per_stage=1)
    optimizer = torch.optim.SGD(model.parameters(), lr=config["lr"], momentum=0.9)
    pixels, labels = map(torch.tensor, load_digits(return_X_y=True))
    images = pixels.float().reshape(-1, 1, 8, 8) / 16
    for _ in range(config["epochs"]):
        for batch in torch.randperm(1200).split(64):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model.train()(images[batch]), labels[batch]).backward()
            optimizer.step()
        tune.report({"accuracy": (model.eval()(images[1200:]).argmax(dim=1) == labels[1200:]).float().mean().item()})


def main(storage: str | None = None, samples: int = 20, epochs: int = 8) -> None:
    searcher = searchers.GATESEvolution(spaces.get("nasbench201"), seed=0)
    asha = ASHAScheduler(max_t=epochs, grace_period=2)  # stops poor candidates early
    config = tune.TuneConfig(metric="accuracy", mode="max", search_alg=searcher, scheduler=asha, num_samples=samples)
    run, constants = tune.RunConfig(storage_path=storage), {"lr": 0.05, "epochs": epochs}
    best = tune.Tuner(train, param_space=constants, tune_config=config, run_config=run).fit().get_best_result()
    print(best.config["architecture"], f"accuracy {best.metrics['accuracy']:.4f}")


if __name__ == "__main__":
    main()
