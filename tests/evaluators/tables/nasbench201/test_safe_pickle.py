"""Pickles of plain data, against the standard library, and pickles that ask for more than data."""

from __future__ import annotations

import io
import os
import pickle
import subprocess
from collections import OrderedDict, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from archsearch.errors import TableError
from archsearch.evaluators.tables.nasbench201.safe_pickle import DataUnpickler

PROTOCOLS = (2, 3, 4, 5)


def load(content: bytes) -> Any:
    return DataUnpickler(io.BytesIO(content), "file").load()


keys = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
hashable = st.recursive(keys, lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3), max_leaves=4)
plain = st.recursive(
    keys,
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.lists(inner, max_size=5).map(tuple)
        | st.dictionaries(hashable, inner, max_size=5)
        | st.sets(hashable, max_size=3)
        | st.frozensets(hashable, max_size=3)
    ),
    max_leaves=20,
)


@settings(max_examples=60)
@given(plain, st.sampled_from(PROTOCOLS))
def test_plain_data_come_back(value: object, protocol: int) -> None:
    content = pickle.dumps(value, protocol)
    found = load(content)
    assert found == value
    assert pickle.dumps(found, protocol) == pickle.dumps(pickle.loads(content), protocol)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_large_values_and_many_items_come_back(protocol: int) -> None:
    value = {
        "text": "é" * 40_000 + "\udc80",
        "bytes": bytes(70_000),
        "numbers": [0, 255, 256, 65_535, 65_536, -1, 2**31 - 1, -(2**31), 2**31, -(2**2000), 2**3000],
        "items": {f"x-valid@{number}": number / 7 for number in range(2500)},
        "curve": {epoch: 0.1 * epoch for epoch in range(300)},
        "curves": [(1, 2.5, 3, 4.5), {0: -0.0, 255: 1e300, 256: 1.0}, {7: 1}, {"a": 1.5, 1: 2.5}],
        "list": list(range(2500)),
        "set": set(range(2500)),
    }
    assert load(pickle.dumps(value, protocol)) == value


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_shared_and_circular_values_stay_so(protocol: int) -> None:
    shared: list[Any] = [1]
    shared.append(shared)
    found = load(pickle.dumps({"a": shared, "b": (shared, "text", "text")}, protocol))
    assert found["a"] is found["b"][0]
    assert found["a"][1] is found["a"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_ordered_and_default_dictionaries_become_plain_ones(protocol: int) -> None:
    value = {"ordered": OrderedDict([("b", 1), ("a", 2)]), "default": defaultdict(list, {1: [2]}), "none": defaultdict(None)}
    found = load(pickle.dumps(value, protocol))
    assert found == {"ordered": {"b": 1, "a": 2}, "default": {1: [2]}, "none": {}}
    assert list(found["ordered"]) == ["b", "a"]
    assert all(type(inner) is dict for inner in found.values())


@pytest.mark.parametrize("protocol", (2, 3, 4))
def test_numbers_of_numpy_become_those_of_python(protocol: int) -> None:
    value = [np.float64(0.1), np.float32(0.25), np.int64(-7), np.uint8(255), np.bool_(True), np.float64(0.2)]
    found = load(pickle.dumps(value, protocol))
    assert found == [0.1, 0.25, -7, 255, True, 0.2]
    assert [type(number) for number in found] == [float, float, int, int, bool, float]


@pytest.mark.parametrize("protocol", (2, 3, 4))
@pytest.mark.parametrize("kind", ["<f8", ">f4", "<i8", ">u2", "?"])
def test_arrays_come_back(protocol: int, kind: str) -> None:
    value = (np.arange(12) % 5).astype(kind).reshape(3, 4)
    for array in (value, np.asfortranarray(value), value[::2], np.empty((0, 3), kind)):
        found = load(pickle.dumps(array, protocol))
        assert found.shape == array.shape
        assert (found == array).all()


def test_numpy_before_version_2_wrote_other_names() -> None:
    content = pickle.dumps([np.float64(0.1), np.arange(3)], 2).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    number, array = load(content)
    assert (number, array.tolist()) == (0.1, [0, 1, 2])


def test_pickles_follow_each_other() -> None:
    content = pickle.dumps([1, 2], 2) + pickle.dumps("text", 4) + pickle.dumps({3: 4}, 5)
    unpickler = DataUnpickler(io.BytesIO(content), "file")
    assert [unpickler.load() for _ in range(3)] == [[1, 2], "text", {3: 4}]
    assert unpickler.offset == len(content)
    with pytest.raises(TableError, match="ends in the middle"):
        unpickler.load()


class Dripping:
    """A stream that gives three bytes at a time."""

    def __init__(self, content: bytes) -> None:
        self._stream = io.BytesIO(content)

    def read(self, size: int, /) -> bytes:
        return self._stream.read(min(size, 3))


def test_stream_may_give_less_than_asked_for() -> None:
    value = {"text": ["a" * 100, 1.5, 2**80], "again": {1: (2, 3, None)}}
    assert DataUnpickler(Dripping(pickle.dumps(value, 4)), "file").load() == value


def test_dictionaries_can_be_thinned_out_as_they_are_filled() -> None:
    def forget(dictionary: dict[Any, Any]) -> None:
        dictionary.pop("curve", None)

    curve = {1: 0.5}
    value = [{"name": "a", "curve": curve}, {"name": "b", "curve": curve, "more": {"curve": 1, "x": 2}}]
    found = DataUnpickler(io.BytesIO(pickle.dumps(value, 4)), "file", forget).load()
    assert found == [{"name": "a"}, {"name": "b", "more": {"x": 2}}]


class Calls:
    """Calls a function when the standard library loads it."""

    def __init__(self, function: object, *arguments: object) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


class Plain:
    """An object with a state."""

    def __init__(self) -> None:
        self.value = 1


@pytest.mark.parametrize("protocol", range(6))
def test_code_is_refused_and_named_and_not_run(tmp_path: Path, protocol: int) -> None:
    witness = tmp_path / "witness"
    attacks = {
        "system": Calls(os.system, f"touch {witness}"),
        "call": Calls(subprocess.call, ["touch", str(witness)]),
        "eval": Calls(eval, f"open({str(witness)!r}, 'w')"),
        "exec": Calls(exec, f"open({str(witness)!r}, 'w')"),
        "Plain": Plain(),
        "PosixPath": witness,
        "_rebuild_tensor_v2": torch.ones(2),
        "load": Calls(torch.load, str(witness)),
    }
    for name, attack in attacks.items():
        with pytest.raises(TableError) as caught:
            load(pickle.dumps({"weights": [attack]}, protocol))
        message = str(caught.value)
        assert message.startswith("file: expected ")
        assert "Nothing in" in message
        if protocol >= 2:
            assert f".{name}, before byte" in message
    assert not witness.exists()
    pickle.loads(pickle.dumps(attacks["system"], protocol))
    assert witness.exists()  # so the attack is one


@pytest.mark.parametrize(
    "program",
    [
        b"cbuiltins\nset\n(]tR.",  # a name of the list that is called is no more than a container
        b"\x8c\x0bcollections\x8c\x14OrderedDict.fromkeys\x93)R.",
        b"\x8c\x08builtins\x8c\x0cset.__init__\x93)R.",
        b"cnumpy\nndarray\n)R.",
        b"cnumpy\ndtype\n\x8c\x01O\x85R.",
        b"cnumpy\ndtype\n\x8c\x06f8, O8\x85R.",
        b"cnumpy\nload\n\x8c\x04file\x85R.",
        b"c_codecs\nencode\n\x8c\x01a\x8c\x04file\x86R.",
        b"ccollections\nOrderedDict\n)\x81.",
        b"(icollections\nOrderedDict\n.",
        b"(ccollections\nOrderedDict\no.",
        b"ccollections\nOrderedDict\n)R}\x8c\x01a\x8c\x01bsb.",
        b"\x82\x01.",
        b"Pid\n.",
        b"\x8c\x02idQ.",
        b"]\x8c\x05class\x8c\x03dirsb.",
    ],
)
def test_allowed_names_and_operations_cannot_be_misused(program: bytes) -> None:
    content = b"\x80\x04" + program
    if program.startswith(b"cbuiltins"):
        assert load(content) == set()
        return
    with pytest.raises(TableError, match="file: expected (a pickle of )?plain data"):
        load(content)


def test_other_bytes_are_refused() -> None:
    for content in (
        b"architecture,accuracy\n1,2\n",
        b"\x80\x04" + b"u.",
        b"\x80\x04h\x05.",
        b"\x80\x04}]K\x01s.",
        b"\x80\x04r\xff\xff\xff\xff.",
    ):
        with pytest.raises(TableError, match="file: expected a pickle of plain data"):
            load(content)


def test_sizes_in_the_file_are_not_trusted() -> None:
    for code in (b"\x8d", b"\x8e"):
        with pytest.raises(TableError, match="ends in the middle"):
            load(b"\x80\x04" + code + (1 << 62).to_bytes(8, "little") + b"abc")


VALUE = {"a": [1, 2.5, "text", None, (True, b"bytes")], "b": OrderedDict([(1, np.float64(0.5))]), "c": {1, 2}, 3: 2**100}


@pytest.mark.parametrize("protocol", (2, 4))
def test_every_cut_is_found(protocol: int) -> None:
    content = pickle.dumps(VALUE, protocol)
    for size in range(len(content)):
        with pytest.raises(TableError, match="file: the file ends in the middle, behind byte"):
            load(content[:size])


@given(st.binary(max_size=40))
def test_random_bytes_are_read_or_refused(content: bytes) -> None:
    for begin in (b"", b"\x80\x04", b"\x80\x02}q\x00(", pickle.dumps(VALUE, 2)[:60]):
        try:
            load(begin + content)
        except TableError as error:
            assert str(error).startswith("file: ")


@given(st.integers(0, 10_000), st.integers(1, 255), st.sampled_from((2, 4)))
def test_changed_bytes_are_read_or_refused(place: int, change: int, protocol: int) -> None:
    content = bytearray(pickle.dumps(VALUE, protocol))
    content[place % len(content)] ^= change
    try:
        load(bytes(content))
    except TableError as error:
        assert str(error).startswith("file: ")
