"""Single records of NAS-Bench-101; the measurements are written byte by byte, as the guide "Encoding" says."""

from __future__ import annotations

import base64
import json
import math
import struct
from typing import Any

import pytest

from archsearch.evaluators.tables.nasbench101.record import training

CELL = ("1" * 32, 108, "010001000", "input,maxpool3x3,output")
PRINTED = {2: 1155.85302734375, 3: 1.0, 4: 0.9376001358032227, 5: 0.9311898946762085}
"""Seconds and accuracies by the numbers of their fields, as the benchmark's notebook prints them."""


def varint(number: int) -> bytes:
    return bytes([number | 0x80 for number in (number & 0x7F, number >> 7 & 0x7F)]) + bytes([number >> 14])


def evaluation(values: dict[int, float], path: bytes = b"model.ckpt-1") -> bytes:
    """Return an EvaluationData, with a field that is not read, as one field of ModelMetrics."""
    doubles = b"".join(bytes([number << 3 | 1]) + struct.pack("<d", value) for number, value in values.items())
    content = b"\x09" + struct.pack("<d", 54.0) + doubles + b"\x32" + bytes([len(path)]) + path
    return b"\x0a" + bytes([len(content)]) + content


def measured(end: dict[int, float], params: int | None = 2_694_282 % (1 << 21)) -> bytes:
    other = evaluation(dict.fromkeys(PRINTED, 0.05))
    return other + other + evaluation(end) + (b"" if params is None else b"\x10" + varint(params)) + b"\x19" + bytes(8)


def record(measurements: bytes, epochs: Any = 108) -> bytes:
    cell, _, matrix, labels = CELL
    return json.dumps([cell, epochs, matrix, labels, base64.b64encode(measurements).decode()]).encode()


def test_the_last_evaluation_is_read() -> None:
    found = training(record(measured(PRINTED, 597_130)))
    assert (found.cell, found.epochs, found.matrix, found.labels) == CELL
    assert (found.params, found.seconds) == (597_130, 1155.85302734375)
    assert (found.train_accuracy, found.valid_accuracy, found.test_accuracy) == (1.0, 0.9376001358032227, 0.9311898946762085)


def test_accuracy_a_little_above_one_is_one() -> None:
    assert training(record(measured(PRINTED | {3: 1.0000001}))).train_accuracy == 1.0


def test_invalid_utf8_in_an_unread_field_is_ignored() -> None:
    other = evaluation(dict.fromkeys(PRINTED, 0.05), path=b"\xff\xfe")
    assert training(record(other + other + evaluation(PRINTED) + b"\x10" + varint(1))).params == 1


GOOD = measured(PRINTED)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b"no JSON", "Expecting value"),
        (b"\xc3(", "decode"),
        (b'{"hash": 1}', "not a list of hash, epochs, matrix, labels and measurements"),
        (record(GOOD, epochs="108"), "not a list of hash"),
        (record(GOOD, epochs=True), "not a list of hash"),
        (record(GOOD).replace(b"=", b"*"), "base64"),
        (record(GOOD, epochs=0), "0 epochs"),
        (record(b""), "0 evaluations of 3"),
        (record(GOOD[:-1]), "not a protocol buffer"),
        (record(b"\x0b"), "not a protocol buffer"),
        (record(b"\x0a\x05abc"), "not a protocol buffer"),
        (record(measured(PRINTED, None)), "no number of parameters"),
        (record(measured({2: 1.0, 3: 0.5, 5: 0.5})), "lacks one of training_time, "),
        (record(measured(PRINTED | {4: 93.7})), "not fractions"),
        (record(measured(PRINTED | {5: math.nan})), "not fractions"),
        (record(measured(PRINTED | {2: -1.0})), "-1.0 seconds"),
        (record(measured(PRINTED | {2: math.inf})), "inf seconds"),
    ],
)
def test_a_record_of_another_form_is_refused(bad: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        training(bad)
