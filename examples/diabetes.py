"""A multilayer perceptron on scikit-learn's diabetes data, a regression: widths, depth and regularisation are searched.

python examples/diabetes.py
"""

import torch
from sklearn.datasets import load_diabetes
from torch import nn
from torch.nn import functional as F

from archsearch import platform
from archsearch.spaces import ModuleSpace

ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU, "tanh": nn.Tanh}


def build(choose):
    """Maps ten measurements of a patient, `[batch, 10]`, to the progression of the disease, `[batch, 1]`."""
    sizes, layers = [10], []

    def layer(number):
        sizes.append(choose.one("width", [8, 16, 32, 64]))
        rest = [ACTIVATIONS[choose.one("act", list(ACTIVATIONS))](), nn.Dropout(choose.one("dropout", [0.0, 0.2, 0.4]))]
        layers.extend([nn.Linear(sizes[-2], sizes[-1]), *rest])
        return layers[-3]

    choose.repeat("depth", 1, 3, layer)
    return nn.Sequential(*layers, nn.Linear(sizes[-1], 1))


def train(model, context):
    """Return R2, the share of the variance that is explained, on every fourth patient."""
    inputs, targets = (torch.as_tensor(each, device=context.device).float() for each in load_diabetes(return_X_y=True))
    held = torch.arange(len(targets)) % 4 == 0
    inputs, targets = inputs / inputs[~held].std(0), (targets - targets[~held].mean()) / targets[~held].std()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.1)
    explained = torch.zeros(())
    for epoch in range(context.keep(model, optimizer), context.steps):
        for batch in torch.randperm(int((~held).sum())).split(32):
            optimizer.zero_grad()
            F.mse_loss(model.train()(inputs[~held][batch])[:, 0], targets[~held][batch]).backward()
            optimizer.step()
        with torch.no_grad():
            error = F.mse_loss(model.eval()(inputs[held])[:, 0], targets[held])
        explained = 1 - error / targets[held].var(correction=0)
        context.report(epoch + 1, explained)
    return explained


def main(searcher="gates", candidates=60, steps=27, **settings):
    space, options = ModuleSpace(build, torch.zeros(1, 10), name="diabetes"), {"steps": steps, "score_name": "r2"}
    result = platform.run_search(space, searcher, train, candidates, scheduler="asha", evaluator_options=options, **settings)
    print(result.best, f"R2 {result.best.score:.4f}")


if __name__ == "__main__":
    main()
