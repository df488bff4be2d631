"""Messages of protocol buffers, against the library itself, which comes with ray."""

from __future__ import annotations

import struct

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from hypothesis import given
from hypothesis import strategies as st

from archsearch.evaluators.tables.wire_format import fields

KINDS = descriptor_pb2.FieldDescriptorProto


def message_class() -> type:
    file = descriptor_pb2.FileDescriptorProto(name="numbers.proto", package="wire_format_test", syntax="proto2")
    message = file.message_type.add(name="Numbers")
    for number, (name, kind) in enumerate(
        [("whole", KINDS.TYPE_UINT64), ("text", KINDS.TYPE_BYTES), ("wide", KINDS.TYPE_DOUBLE), ("narrow", KINDS.TYPE_FLOAT)]
    ):
        message.field.add(name=name, number=1 + 2000 * number, type=kind, label=KINDS.LABEL_REPEATED)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("wire_format_test.Numbers"))


NUMBERS = message_class()
finite = st.floats(allow_nan=False)


@given(
    st.lists(st.integers(0, (1 << 64) - 1), max_size=4),
    st.lists(st.binary(max_size=300), max_size=3),
    st.lists(finite, max_size=3),
    st.lists(st.floats(allow_nan=False, width=32), max_size=3),
)
def test_fields_are_those_that_the_library_wrote(
    whole: list[int], text: list[bytes], wide: list[float], narrow: list[float]
) -> None:
    content = NUMBERS(whole=whole, text=text, wide=wide, narrow=narrow).SerializeToString()
    expected = [
        (number, value) for number, values in ((1, whole), (2001, text), (4001, wide), (6001, narrow)) for value in values
    ]
    assert list(fields(content)) == expected


def test_a_message_of_the_guide() -> None:
    # The first example of the guide "Encoding": field 1 is 150.
    assert list(fields(bytes.fromhex("089601"))) == [(1, 150)]


@pytest.mark.parametrize("content", ["0896", "08ffffffffffffffffffff01", "0a05616263", "0b", "0a"])
def test_broken_messages_are_refused(content: str) -> None:
    with pytest.raises(ValueError):
        list(fields(bytes.fromhex(content)))


def test_cut_numbers_are_refused() -> None:
    for content in ("090000", "0d0000"):
        with pytest.raises(struct.error):
            list(fields(bytes.fromhex(content)))
