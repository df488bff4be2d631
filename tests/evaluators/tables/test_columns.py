"""Costs, accuracies and percent by the names of columns."""

from __future__ import annotations

import numpy as np
import pytest

from archsearch.evaluators.tables.columns import failure_mark, in_percent, is_accuracy, is_cost


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ("params", True),
        ("flops_cifar100", True),
        ("MACs", True),
        ("hwnb_edgegpu_energy_mj", True),
        ("help_1080ti_32_latency_ms", True),
        ("valid_accuracy", False),
        ("energy_accuracy", False),
        ("latency_loss", False),
        ("seconds", False),
        ("macs_seconds", False),
        ("hyperparams", False),
        ("epochs", False),
    ],
)
def test_costs_are_distinguished_from_results(column: str, expected: bool) -> None:
    assert is_cost(column) == expected


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ("valid_accuracy", True),
        ("cifar10_test", True),
        ("valid_acc_run_e12", True),
        ("Top1", True),
        ("train_accuracy", True),
        ("valid_loss", False),
        ("valid_error", False),
        ("test_seconds", False),
        ("valid_accuracy_std", False),
        ("train_s_per_epoch_cifar10", False),
        ("params_valid", False),
        ("score", False),
        ("accelerator", False),
    ],
)
def test_accuracies_are_recognised_by_name(column: str, expected: bool) -> None:
    assert is_accuracy(column) == expected


@pytest.mark.parametrize(
    ("column", "values", "expected"),
    [
        ("valid_accuracy", [10.0, 94.3], True),
        ("valid_accuracy", [0.0, np.nan, 100.0], True),
        ("valid_accuracy", [10, 94], True),
        ("valid_accuracy", [0.1, 1.0], False),
        ("valid_accuracy", [-1.0, 94.3], False),
        ("valid_accuracy", [10.0, 100.01], True),
        ("valid_accuracy", [0.93, 1.0001], False),
        ("valid_accuracy", [10.0, 100.5], False),
        ("valid_accuracy", [np.nan, np.nan], False),
        ("valid_loss", [0.3, 2.3], False),
        ("score", [10.0, 94.3], False),
    ],
)
def test_percent_is_recognised_by_name_and_range(column: str, values: list[float], expected: bool) -> None:
    assert in_percent(column, np.array(values)) == expected


@pytest.mark.parametrize(
    ("column", "values", "expected"),
    [
        ("valid_acc", [93.1, -1.0, 92.2, -1.0], -1.0),
        ("valid_acc", [0.931, -1.0, np.nan], -1.0),
        ("valid_acc", [93, -999], -999.0),
        ("valid_acc", [93.1, -1.0, -2.0], None),
        ("valid_acc", [93.1, -0.5], None),
        ("valid_acc", [931.0, -1.0], None),
        ("valid_acc", [-1.0, -1.0], None),
        ("valid_loss", [0.3, -1.0], None),
    ],
)
def test_marks_of_failed_trainings(column: str, values: list[float], expected: float | None) -> None:
    assert failure_mark(column, np.array(values)) == expected
