"""A small U-Net that finds the pixels of handwritten digits in noise: levels, kernels and widths are searched.

python examples/segmentation.py
"""

import torch
from sklearn.datasets import load_digits
from torch import nn

from archsearch import platform
from archsearch.spaces import ModuleSpace


class Beside(nn.Module):  # the channels of its input, and those that a module makes of it
    def __init__(self, inside):
        super().__init__()
        self.inside = inside

    def forward(self, x):
        return torch.cat([x, self.inside(x)], 1)


def build(choose):
    """Maps images, `[batch, 1, 24, 24]`, to a logit for each pixel, `[batch, 1, 24, 24]`."""
    width, act = choose.one("width", [4, 8]), choose.one("act", {"relu": nn.ReLU, "gelu": nn.GELU})

    def block(name, size):
        return nn.Sequential(nn.Conv2d(size, width, choose.one(name, [1, 3, 5]), padding="same"), nn.BatchNorm2d(width), act())

    net = block("middle", width)
    for level in range(choose.one("levels", [1, 2, 3])):
        smaller = nn.Sequential(nn.MaxPool2d(2), net, nn.Upsample(scale_factor=2.0))
        net = nn.Sequential(block(f"before{level}", width), Beside(smaller), block(f"after{level}", 2 * width))
    return nn.Sequential(nn.Conv2d(1, width, 3, padding="same"), net, nn.Conv2d(width, 1, 1))


def train(model, context):
    """Return intersection over union of true and found pixels on 49 of 199 noisy images, each with three rows of digits."""
    clean = torch.as_tensor(load_digits().images[:1791]).view(199, 3, 3, 8, 8).transpose(2, 3).reshape(199, 1, 24, 24) / 16
    noise = 0.6 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    images, masks, score = (clean + noise).float().to(context.device), clean.to(context.device) > 0.4, 0.0
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for epoch in range(context.keep(model, optimizer), context.steps):
        for batch in torch.randperm(150).split(15):
            optimizer.zero_grad()
            nn.functional.binary_cross_entropy_with_logits(model.train()(images[batch]), masks[batch].float()).backward()
            optimizer.step()
        found, true = model.eval()(images[150:]) > 0, masks[150:]
        context.report(epoch + 1, score := (found & true).sum() / (found | true).sum())
    return score


def main(searcher="gates", candidates=60, steps=9, **settings):
    space, options = ModuleSpace(build, torch.zeros(1, 1, 24, 24), "u-net"), {"steps": steps, "score_name": "overlap"}
    result = platform.run_search(space, searcher, train, candidates, scheduler="asha", evaluator_options=options, **settings)
    print(result.best, f"intersection over union {result.best.score:.4f}")


if __name__ == "__main__":
    main()
