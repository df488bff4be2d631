"""A 1-D convolutional network that forecasts an electroencephalogram: kernels, dilations and channels are searched.

python examples/time_series.py
"""

import numpy as np
import torch
from matplotlib import cbook
from torch import nn
from torch.nn import functional as F

from archsearch import platform
from archsearch.spaces import ModuleSpace

CHANNELS, PAST = 4, 48


def build(choose):
    """Maps the last 48 values of four channels, `[batch, 4, 48]`, to their next values, `[batch, 4]`."""
    width, act = choose.one("width", [8, 16, 32]), choose.one("act", {"relu": nn.ReLU, "elu": nn.ELU, "tanh": nn.Tanh})

    def layer(number):
        kernel, dilation = choose.one("kernel", [1, 3, 5, 7]), choose.one("dilation", [1, 2, 4])
        return nn.Sequential(nn.Conv1d(width, width, kernel, padding="same", dilation=dilation), act())

    layers = choose.repeat("depth", 1, 4, layer)
    kept = choose.one("kept", [1, 4, 12])  # of the 48 positions
    end = [nn.AdaptiveAvgPool1d(kept), nn.Flatten(), nn.Linear(kept * width, CHANNELS)]
    return nn.Sequential(nn.Conv1d(CHANNELS, width, 1), *layers, *end)


def train(model, context):
    with cbook.get_sample_data("eeg.dat") as file:
        series = torch.from_numpy(np.frombuffer(file.read(), dtype=float).reshape(-1, CHANNELS)).float().to(context.device)
    series = (series - series[:600].mean(0)) / series[:600].std(0)
    past, following = series.unfold(0, PAST, 1)[:-1], series[PAST:]  # [windows, 4, 48], [windows, 4]
    known, loss = 600 - PAST, torch.zeros(())
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for epoch in range(context.keep(model, optimizer), context.steps):
        for batch in torch.randperm(known).split(32):
            optimizer.zero_grad()
            F.mse_loss(model(past[batch]), following[batch]).backward()
            optimizer.step()
        with torch.no_grad():
            loss = F.mse_loss(model(past[known:]), following[known:])
        context.report(epoch + 1, loss)
    return loss


def main(searcher="gates", candidates=60, steps=27, **settings):
    space, options = ModuleSpace(build, torch.zeros(1, CHANNELS, PAST), name="time-series"), {"steps": steps, "mode": "min"}
    result = platform.run_search(space, searcher, train, candidates, scheduler="asha", evaluator_options=options, **settings)
    print(result.best, f"mean squared error {-result.best.score:.4f}")


if __name__ == "__main__":
    main()
