"""Preprocessing of images in `model.py`: their size, the normalisation, the classes."""

from __future__ import annotations

from collections.abc import Sequence

from archsearch.evaluators.score_names import CLASSIFICATION, MULTILABEL, REGRESSION
from archsearch.platform.export.facts import TrainingData

_WIDTH = 118


def preprocessing_source(data: TrainingData) -> str:
    """Return the end of `model.py`: constants and the function `prepare`, which turns pixels into the network's input.

    Args:
        data: The training images.
    """
    channels, height, width = data.shape
    size = f"IMAGE_SHAPE = ({channels}, {height}, {width})  # channels, height, width"
    mean, std = (_tuple([f"{value:.9g}" for value in values]) for values in (data.mean, data.std))
    parts = [
        size,
        f"MEAN, STD = {mean}, {std}  # of each channel",
        _assigned(NAMES[data.task], [repr(name) for name in data.classes]),
    ]
    return "\n".join(parts) + _PREPARE.replace("MEANING", _MEANINGS[data.task])


NAMES = {CLASSIFICATION: "CLASSES", MULTILABEL: "LABELS", REGRESSION: "TARGETS"}
"""Constant with the names of the outputs."""
_MEANINGS = {
    CLASSIFICATION: "The class of image `i` is `CLASSES[network(prepare(pixels))[i].argmax()]`.",
    MULTILABEL: "`network(prepare(pixels)).sigmoid()[i, k]` is the probability that image `i` has the label `LABELS[k]`.",
    REGRESSION: "`network(prepare(pixels))[i, k]` is `TARGETS[k]` of image `i`, in the units of the training data.",
}


_PREPARE = '''


def prepare(pixels: Tensor) -> Tensor:
    """Return the input of the network for images `[batch, channels, height, width]` of IMAGE_SHAPE, uint8 from 0 to 255.

    MEANING
    """
    if pixels.dtype != torch.uint8 or tuple(pixels.shape[1:]) != IMAGE_SHAPE:
        raise ValueError(f"pixels: expected uint8 [batch, *{IMAGE_SHAPE}]; got {pixels.dtype} {tuple(pixels.shape)}")
    mean, std = (torch.tensor(each, device=pixels.device).reshape(1, -1, 1, 1) for each in (MEAN, STD))
    return (pixels.float() / 255 - mean) / std
'''


def _tuple(values: Sequence[str]) -> str:
    return f"({', '.join(values)}{',' if len(values) == 1 else ''})"


def _assigned(name: str, values: Sequence[str]) -> str:
    """Return an assignment of a tuple, on several lines if it is long."""
    line = f"{name} = {_tuple(values)}"
    if len(line) <= _WIDTH:
        return line
    lines, indent = [""], " " * 4
    for value in values:  # a literal is never broken
        if lines[-1] and len(indent) + len(lines[-1]) + len(value) + 2 > _WIDTH:
            lines.append("")
        lines[-1] += f"{' ' if lines[-1] else ''}{value},"
    return "\n".join([f"{name} = (", *(indent + each for each in lines), ")"])
