"""The networks like MobileNetV3: other widths, fewer blocks and other kernels are searched on a folder of images.

python examples/around_mobilenet.py    (or main("my photos"): a folder with one sub-folder for each class)
"""

from pathlib import Path

import torch
from PIL import Image
from sklearn.datasets import load_sample_images
from torch import nn
from torchvision.models import mobilenet_v3_small

from archsearch import platform
from archsearch.spaces import ModuleSpace

SIDE = 48


def tiles(folder):
    """Cut the two photographs of scikit-learn, a temple and a flower, into a folder of small images."""
    for name, pixels in zip(("temple", "flower"), load_sample_images().images, strict=True):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for top in range(0, pixels.shape[0] - SIDE, SIDE):
            for left in range(0, pixels.shape[1] - SIDE, SIDE):
                Image.fromarray(pixels[top : top + SIDE, left : left + SIDE]).save(folder / name / f"{top}-{left}.png")


def train(model, context):
    (images, labels), (held, truth) = (
        (part.images.to(context.device).float() / 255, part.labels.to(context.device))
        for part in (context.dataset.train, context.dataset.validation)
    )
    optimizer, accuracy = torch.optim.AdamW(model.parameters(), lr=2e-3), torch.zeros(())
    for epoch in range(context.keep(model, optimizer), context.steps):
        for batch in torch.randperm(len(labels)).split(32):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model.train()(images[batch]), labels[batch]).backward()
            optimizer.step()
        with torch.no_grad():
            accuracy = (model.eval()(held).argmax(1) == truth).float().mean()
        context.report(epoch + 1, accuracy)
    return accuracy


def main(folder="tiles", searcher="gates", candidates=30, steps=9, **settings):
    if not Path(folder).exists():
        tiles(Path(folder))
    model = mobilenet_v3_small(num_classes=sum(each.is_dir() for each in Path(folder).iterdir()))
    for layer in (each for each in model.modules() if isinstance(each, nn.BatchNorm2d)):
        layer.momentum = 0.3  # its own, 0.01, averages over more batches than a short training has
    space = ModuleSpace.around(model, torch.zeros(1, 3, SIDE, SIDE), part="features", widths=(0.5, 1.0), kernels=(3, 5))
    dataset = f"imagefolder:{Path(folder).absolute()}?size={SIDE}"
    options = {"steps": steps, "dataset": dataset, "score_name": "accuracy", "percent": True}
    result = platform.run_search(space, searcher, train, candidates, scheduler="asha", evaluator_options=options, **settings)
    print(result.best, f"accuracy {result.best.score:.4f}")


if __name__ == "__main__":
    main()
