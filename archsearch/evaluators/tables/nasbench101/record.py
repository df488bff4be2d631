"""Parser of a record of NAS-Bench-101: one training of one cell.

A record is a JSON list: hash of the cell, epochs, matrix of edges as a string of 0 and 1 row by row, labels of the vertices
joined by commas, and the measurements, a protocol buffer in base64. The measurements are

    ModelMetrics:   1 evaluation_data (repeated EvaluationData), 2 trainable_parameters (int32), 3 total_time (double)
    EvaluationData: 1 current_epoch, 2 training_time (seconds, without evaluation), 3 train_accuracy, 4 validation_accuracy,
                    5 test_accuracy (doubles), 6 checkpoint_path (string)

of which the benchmark itself reads the evaluations at the beginning, half-way and at the end. The two messages are described to
the library of protocol buffers when this module is imported, so that no code is generated. `checkpoint_path` is left out: unknown
fields are skipped. Source: google-research/nasbench, `nasbench/api.py` (class NASBench) and `nasbench/lib/model_metrics.proto`.
"""

from __future__ import annotations

import base64
import json
import math
from typing import Any, NamedTuple

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

_MEASURED = ("training_time", "train_accuracy", "validation_accuracy", "test_accuracy")
_END = 2
_ROUNDING = 1e-3
"""Accuracies were summed in single precision, and may lie a little above 1."""


class Training(NamedTuple):
    """One training of one cell.

    Attributes:
        cell: The benchmark's hash of the cell.
        epochs: Epochs of the training.
        matrix: Edges, `vertices * vertices` digits 0 and 1 row by row.
        labels: Labels of the vertices, joined by commas.
        params: Trainable parameters.
        seconds: Training time in seconds.
        train_accuracy: Accuracy on 10,000 of the training images, a fraction, like the other two.
        valid_accuracy: Accuracy on 10,000 images held out of the training set.
        test_accuracy: Accuracy on the test set.
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
    """Return the figures of a record at the end of its training.

    Raises:
        ValueError: The content has another form, or its numbers make no sense.
    """
    row = json.loads(content)
    if not isinstance(row, list) or [type(part) for part in row] != [str, int, str, str, str]:
        raise ValueError("it is not a list of hash, epochs, matrix, labels and measurements")
    cell, epochs, matrix, labels, measurements = row
    if epochs < 1:
        raise ValueError(f"it says {epochs} epochs")
    try:
        metrics = _METRICS.FromString(base64.b64decode(measurements, validate=True))
    except DecodeError as error:
        raise ValueError(f"its measurements are not a protocol buffer ({error})") from error
    evaluations = metrics.evaluation_data
    if not metrics.HasField("trainable_parameters") or len(evaluations) <= _END:
        params = metrics.trainable_parameters if metrics.HasField("trainable_parameters") else "no number of"
        raise ValueError(f"its measurements hold {len(evaluations)} evaluations of 3, {params} parameters")
    end = evaluations[_END]
    if not all(map(end.HasField, _MEASURED)):
        raise ValueError(f"its last evaluation lacks one of {', '.join(_MEASURED)}")
    seconds = end.training_time
    accuracies = end.train_accuracy, end.validation_accuracy, end.test_accuracy
    # Comparisons with NaN are false.
    if not (0 <= seconds < math.inf and all(0 <= accuracy <= 1 + _ROUNDING for accuracy in accuracies)):
        raise ValueError(f"it says {seconds} seconds and the accuracies {accuracies}, which are not fractions")
    train, valid, test = (min(accuracy, 1.0) for accuracy in accuracies)
    return Training(
        cell=cell,
        epochs=epochs,
        matrix=matrix,
        labels=labels,
        params=metrics.trainable_parameters,
        seconds=seconds,
        train_accuracy=train,
        valid_accuracy=valid,
        test_accuracy=test,
    )


def _metrics_class() -> Any:
    """Return the class of the message ModelMetrics, with the fields that are read."""
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="archsearch/model_metrics.proto", package="nasbench", syntax="proto2")
    metrics, evaluation = file.message_type.add(name="ModelMetrics"), file.message_type.add(name="EvaluationData")
    metrics.field.add(
        name="evaluation_data",
        number=1,
        type=kinds.TYPE_MESSAGE,
        type_name=".nasbench.EvaluationData",
        label=kinds.LABEL_REPEATED,
    )
    metrics.field.add(name="trainable_parameters", number=2, type=kinds.TYPE_INT32, label=kinds.LABEL_OPTIONAL)
    for number, name in enumerate(_MEASURED, start=2):
        evaluation.field.add(name=name, number=number, type=kinds.TYPE_DOUBLE, label=kinds.LABEL_OPTIONAL)
    pool = descriptor_pool.DescriptorPool()  # a new one, so that nasbench's generated code may be imported too
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("nasbench.ModelMetrics"))


_METRICS = _metrics_class()
