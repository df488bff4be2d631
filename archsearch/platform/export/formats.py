"""Conversion of a network to the exchange formats of torch.export and ONNX."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import logging
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from archsearch.errors import first_line
from archsearch.platform.export.inputs import BATCH, arguments_of, dynamic_shapes, first_row, tensors_of

PT2, ONNX = "model.pt2", "model.onnx"
_ONNX_TOLERANCE = 1e-4
_ONNX_NEEDS = ("onnx", "onnxscript", "onnxruntime")
_EXPORT_ERRORS = (
    *(RuntimeError, ValueError, TypeError, NotImplementedError),
    *(torch._dynamo.exc.TorchDynamoException, torch.onnx.errors.OnnxExporterError),
)


def write_formats(module: nn.Module, inputs: Any, folder: Path) -> dict[str, str]:
    """Write `model.pt2` and `model.onnx`, both for batches of any size, and return the reasons for missing files, by name.

    `model.onnx` needs the extra `onnx`. What it gives in ONNX Runtime is compared with what the module gives.

    Args:
        module: The network, in evaluation mode.
        inputs: Example batch of at least 2 inputs: a tensor, such as images `[batch, channels, height, width]`, a tuple of
            positional arguments, or a dict of arguments by name.
        folder: Folder to write to.

    Raises:
        OSError: The folder cannot be written.
    """
    missing: dict[str, str] = {}
    for name in (PT2, ONNX):
        (folder / name).unlink(missing_ok=True)
    try:
        with _quiet():
            program = torch.export.export(module, *arguments_of(inputs), dynamic_shapes=dynamic_shapes(inputs))
            torch.export.save(program, folder / PT2)
    except _EXPORT_ERRORS as error:
        return dict.fromkeys((PT2, ONNX), f"torch.export cannot convert the network: {first_line(error)}")
    try:
        _write_onnx(program, folder / ONNX)
        _check_onnx(module, inputs, folder / ONNX)
    except _Missing as error:
        (folder / ONNX).unlink(missing_ok=True)
        missing[ONNX] = str(error)
    return missing


class _Missing(Exception):
    """A format could not be written; the message says why, and what to do."""


def _write_onnx(program: torch.export.ExportedProgram, path: Path) -> None:
    if absent := [name for name in _ONNX_NEEDS if importlib.util.find_spec(name) is None]:
        raise _Missing(f"{' and '.join(absent)} not installed; get it with: pip install 'archsearch[onnx]', then export again")
    try:
        with _quiet():
            onnx = torch.onnx.export(
                program, (), dynamo=True, verbose=False, optimize=False
            )  # ONNX Runtime optimizes when it loads, in less time
            if onnx is None:
                raise _Missing("torch.onnx returned no program")
            path.write_bytes(_with_named_batch(onnx.model_proto).SerializeToString())
    except _EXPORT_ERRORS as error:
        raise _Missing(f"torch.onnx cannot convert the network: {first_line(error)}") from error


def _with_named_batch(model: Any) -> Any:
    """Return an ONNX model whose axis of any size is called `batch`; torch calls it by a number, such as `s34`."""
    axes = [value.type.tensor_type.shape.dim for value in model.graph.input]
    old = next((dim[0].dim_param for dim in axes if len(dim) and dim[0].dim_param), BATCH)
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        for axis in value.type.tensor_type.shape.dim:
            if axis.dim_param:
                axis.dim_param = re.sub(rf"\b{re.escape(old)}\b", BATCH, axis.dim_param)
    return model


def _check_onnx(module: nn.Module, inputs: Any, path: Path) -> None:
    import onnxruntime

    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        names = [each.name for each in session.get_inputs()]
        for batch in (inputs, first_row(inputs)):  # the batch size must not be fixed
            args, named = arguments_of(batch)
            with torch.inference_mode():
                expected = tensors_of(module(*args, **named))
            given = dict(zip(names, (tensor.numpy() for tensor in tensors_of(batch)), strict=True))
            for left, right in zip(session.run(None, given), expected, strict=True):
                difference = float((torch.from_numpy(left) - right).abs().max()) / max(1.0, float(right.abs().max()))
                if not difference <= _ONNX_TOLERANCE:
                    raise _Missing(f"the outputs of ONNX Runtime differ by {difference:.2g}")
    except _Missing:
        raise
    except Exception as error:  # its errors are RuntimeErrors without a base class of their own
        raise _Missing(f"ONNX Runtime cannot run it: {first_line(error)}") from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence the log messages, warnings and prints of the exporters."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
