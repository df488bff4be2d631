"""One record of NAS-Bench-101: one training of one cell.

A record is a JSON list: hash of the cell, epochs, matrix of edges as a text of 0 and 1 row by row, labels of the vertices
joined by commas, and the measurements, a protocol buffer in base64. The measurements are

    ModelMetrics:   1 evaluation_data (repeated EvaluationData), 2 trainable_parameters (int32), 3 total_time (double)
    EvaluationData: 1 current_epoch, 2 training_time (seconds, without evaluation), 3 train_accuracy, 4 validation_accuracy,
                    5 test_accuracy (doubles), 6 checkpoint_path (string)

of which the benchmark itself reads the evaluations at the begin, half-way and at the end. Source: google-research/nasbench,
`nasbench/api.py` (class NASBench) and `nasbench/lib/model_metrics.proto`.
"""

from __future__ import annotations

import base64
import json
import math
from typing import NamedTuple, cast

from archsearch.evaluators.tables.wire_format import fields

_EVALUATIONS, _PARAMETERS = 1, 2
_MEASURED = {2: "training_time", 3: "train_accuracy", 4: "validation_accuracy", 5: "test_accuracy"}
_NUMBERS = [float] * len(_MEASURED)
_END = 2
_ROUNDING = 1e-3
"""Accuracies were summed in single precision, and may lie a little above 1."""


class Training(NamedTuple):
    """One training of one cell.

    Attributes:
        cell: The benchmark's hash of the cell.
        epochs: How long it was trained.
        matrix: Edges, `vertices * vertices` digits 0 and 1 row by row.
        labels: Of the vertices, joined by commas.
        params: Trainable parameters.
        seconds: Training time.
        train_accuracy: On 10,000 of the images trained on, a fraction, as the further ones.
        valid_accuracy: On 10,000 images held out of the training set.
        test_accuracy: On the test set.
    """

    cell: str
    epochs: int
    matrix: str
    labels: str
    params: int
    seconds: float
    train_accuracy: float
    valid_accuracy: float
    test_accuracy: float


def training(content: bytes) -> Training:
    """Return what a record says of the end of a training.

    Raises:
        ValueError, struct.error: The content has another form, or its numbers make no sense.
    """
    row = json.loads(content)
    if not isinstance(row, list) or [type(part) for part in row] != [str, int, str, str, str]:
        raise ValueError("it is no list of hash, epochs, matrix, labels and measurements")
    cell, epochs, matrix, labels, measurements = row
    if epochs < 1:
        raise ValueError(f"it says {epochs} epochs")
    evaluations, params = [], None
    for number, value in fields(base64.b64decode(measurements, validate=True)):
        if number == _EVALUATIONS and isinstance(value, bytes):
            evaluations.append(value)
        elif number == _PARAMETERS and isinstance(value, int):
            params = value
    if params is None or len(evaluations) <= _END:
        raise ValueError(f"its measurements hold {len(evaluations)} evaluations of 3, {params} parameters")
    end = dict(fields(evaluations[_END]))
    measured = [end.get(number) for number in _MEASURED]
    if [type(value) for value in measured] != _NUMBERS:
        raise ValueError(f"its last evaluation lacks one of {', '.join(_MEASURED.values())}")
    seconds, *accuracies = cast("list[float]", measured)
    # Comparisons with NaN are false.
    if not (0 <= seconds < math.inf and all(0 <= accuracy <= 1 + _ROUNDING for accuracy in accuracies)):
        raise ValueError(f"it says {seconds} seconds and the accuracies {accuracies}, which are no fractions")
    train, valid, test = (min(accuracy, 1.0) for accuracy in accuracies)
    return Training(cell, epochs, matrix, labels, params, seconds, train, valid, test)
