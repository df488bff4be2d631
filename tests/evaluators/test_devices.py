from __future__ import annotations

import pytest
import torch

from archsearch.errors import ConfigurationError
from archsearch.evaluators.devices import cpu_threads, device_named, failure_text


def test_names() -> None:
    assert device_named("cpu") == torch.device("cpu")
    assert device_named("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert device_named("cuda:1") == torch.device("cuda", 1)


def test_an_unknown_name() -> None:
    with pytest.raises(ConfigurationError, match="device: expected auto, cpu, cuda or cuda:N; got 'gpu'"):
        device_named("gpu")
    for name in (None, 0, 1.5):
        with pytest.raises(ConfigurationError, match="device: expected auto, cpu, cuda or cuda:N; got"):
            device_named(name)  # type: ignore[arg-type]


def test_threads_are_restored_whatever_happens() -> None:
    before = torch.get_num_threads()
    with pytest.raises(KeyError), cpu_threads(before + 1):
        assert torch.get_num_threads() == before + 1
        raise KeyError
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("one line\nand another"), "ValueError: one line"),
        (MemoryError(), "out of memory: "),
        (RuntimeError("CUDA error: out of memory"), "out of memory: CUDA error: out of memory"),
        (torch.OutOfMemoryError("tried to allocate 2 GiB"), "out of memory: tried to allocate 2 GiB"),
    ],
)
def test_a_failure_is_one_line_and_memory_a_kind_of_its_own(error: Exception, text: str) -> None:
    assert failure_text(error) == text
