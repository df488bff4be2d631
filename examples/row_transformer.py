"""A transformer that reads a handwritten digit row by row: its depth, its width and its attention are searched.

python examples/row_transformer.py
"""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F

from archsearch import platform
from archsearch.spaces import ModuleSpace


class RowTransformer(nn.Module):
    """Classifies sequences of eight rows of eight pixels, `[batch, 8, 8]`."""

    def __init__(self, choose):
        super().__init__()
        width, ratio = choose.one("width", [16, 32, 48]), choose.one("ratio", [1, 2, 4])
        self.embed = nn.Linear(8, width)
        self.places = nn.Parameter(torch.zeros(8, width))

        def layer(number):
            heads, act = choose.one("heads", [1, 2, 4]), choose.one("act", ["relu", "gelu"])
            return nn.TransformerEncoderLayer(width, heads, ratio * width, dropout=0.0, activation=act, batch_first=True)

        self.layers = nn.Sequential(*choose.repeat("depth", 1, 3, layer))
        self.pool = choose.one("pool", ["mean", "last"])
        self.head = nn.Linear(width, 10)

    def forward(self, rows):
        x = self.layers(self.embed(rows) + self.places)
        return self.head(x.mean(1) if self.pool == "mean" else x[:, -1])


def train(model, context):
    pixels, digits = (torch.as_tensor(each, device=context.device) for each in load_digits(return_X_y=True))
    rows, known, accuracy = pixels.float().view(-1, 8, 8) / 16, 1200, 0.0
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for epoch in range(context.keep(model, optimizer), context.steps):
        for batch in torch.randperm(known).split(64):
            optimizer.zero_grad()
            F.cross_entropy(model.train()(rows[batch]), digits[batch]).backward()
            optimizer.step()
        with torch.no_grad():
            accuracy = (model.eval()(rows[known:]).argmax(1) == digits[known:]).float().mean()
        context.report(epoch + 1, accuracy)
    return accuracy


def main(searcher="gates", candidates=60, steps=9, **settings):
    space = ModuleSpace(RowTransformer, torch.zeros(1, 8, 8))
    options = {"steps": steps, "score_name": "accuracy", "percent": True}
    result = platform.run_search(space, searcher, train, candidates, scheduler="asha", evaluator_options=options, **settings)
    print(result.best, f"accuracy {result.best.score:.4f}")


if __name__ == "__main__":
    main()
