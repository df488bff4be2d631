"""Pickles of plain data, read without running anything.

A pickle is a program for a small stack machine, which may name any function and call it: when the standard library loads a
file from elsewhere, the file can do anything. The machine here knows the operations that make numbers, texts and containers.
It makes a few more things for names of a short list (`pickled_names`), but looks no name up and calls nothing that a file says;
what it does not know, it refuses. Source of the operations: the module `pickletools` of the standard library, protocols 2 to 5.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from archsearch.errors import TableError
from archsearch.evaluators.tables.pickle_machine import PickleMachine

_STOP = ord(".")
_MALFORMED = (LookupError, TypeError, ValueError, AttributeError, OverflowError, RecursionError)

Operation = Callable[[PickleMachine], None]


class DataUnpickler(PickleMachine):
    """Reads pickles of plain data, one after another, from a stream.

    Args:
        stream: The bytes.
        name: Of the file, for messages.
        filled: Called with each dictionary after items were put into it, up to a thousand at a time. It may change the
            dictionary, and so thin out a file that is larger than the memory.
    """

    def load(self) -> Any:
        """Return the data of the next pickle.

        Raises:
            TableError: The stream ends too early, is damaged or no pickle, or asks for more than plain data.
        """
        self.start()
        operations = _OPERATIONS
        try:
            while True:
                if self.place + self.AHEAD > len(self.buffer):
                    self.fetch(1)
                code = self.buffer[self.place]
                self.place += 1
                if code == _STOP:
                    return self.stack.pop()
                operations[code](self)
        except struct.error:  # a number reaches beyond the end
            self.ended()
        except _MALFORMED as error:
            raise TableError(
                f"{self.name}: expected a pickle of plain data; it is damaged before byte {self.offset} ({error!r}). "
                "Fetch the file again."
            ) from error


def _number(form: str) -> Operation:
    """Return the operation that puts a number of a fixed size on the stack."""
    packed = struct.Struct(form)
    unpack, size = packed.unpack_from, packed.size

    def operation(machine: PickleMachine) -> None:
        machine.stack.append(unpack(machine.buffer, machine.place)[0])
        machine.place += size

    return operation


def _sized(form: str, take: Callable[[PickleMachine, bytes], Any]) -> Operation:
    """Return the operation that puts on the stack what is made of some bytes, whose number stands before them."""
    packed = struct.Struct(form)
    unpack, size = packed.unpack_from, packed.size

    def operation(machine: PickleMachine) -> None:
        begin = machine.place + size
        end = begin + unpack(machine.buffer, machine.place)[0]
        if end <= len(machine.buffer):
            content = machine.buffer[begin:end]
            machine.place = end
        else:
            machine.place = begin
            content = machine.take(end - begin)
        machine.stack.append(take(machine, content))

    return operation


def _indexed(form: str, use: Callable[[PickleMachine, int], None]) -> Operation:
    """Return the operation that does something with a number that follows it."""
    packed = struct.Struct(form)
    unpack, size = packed.unpack_from, packed.size

    def operation(machine: PickleMachine) -> None:
        machine.place += size
        use(machine, unpack(machine.buffer, machine.place - size)[0])

    return operation


def _new(make_value: Callable[[], Any]) -> Operation:
    return lambda machine: machine.stack.append(make_value())


def _collected(kind: Callable[[list[Any]], Any]) -> Operation:
    """Return the operation that puts on the stack what is made of all since the last mark."""

    def operation(machine: PickleMachine) -> None:
        items = machine.marked()
        machine.stack.append(kind(items))

    return operation


def _plain(machine: PickleMachine, content: bytes) -> bytes:
    return content


def _skip(machine: PickleMachine, value: int) -> None:
    """Do nothing: protocol and frames say what is known."""


def _integer(machine: PickleMachine, content: bytes) -> int:
    return int.from_bytes(content, "little", signed=True)


def _tuple_of(size: int) -> Operation:
    def operation(machine: PickleMachine) -> None:
        items = tuple(machine.stack[-size:])
        if len(items) < size:
            raise IndexError(f"a tuple of {size} from a stack of {len(items)}")
        machine.stack[-size:] = [items]

    return operation


_KNOWN: dict[bytes, Operation] = {
    b"\x80": _indexed("<B", _skip),  # protocol
    b"\x95": _indexed("<Q", _skip),  # frame
    b"(": PickleMachine.mark,
    b"0": PickleMachine.pop,
    b"1": PickleMachine.pop_mark,
    b"2": PickleMachine.duplicate,
    b"N": _new(lambda: None),
    b"\x88": _new(lambda: True),
    b"\x89": _new(lambda: False),
    b"K": _number("<B"),
    b"M": _number("<H"),
    b"J": _number("<i"),
    b"\x8a": _sized("<B", _integer),
    b"\x8b": _sized("<I", _integer),
    b"G": _number(">d"),
    b"\x8c": _sized("<B", PickleMachine.text),
    b"X": _sized("<I", PickleMachine.text),
    b"\x8d": _sized("<Q", PickleMachine.text),
    b"C": _sized("<B", _plain),
    b"B": _sized("<I", _plain),
    b"\x8e": _sized("<Q", _plain),
    b")": _new(tuple),
    b"\x85": _tuple_of(1),
    b"\x86": _tuple_of(2),
    b"\x87": _tuple_of(3),
    b"t": _collected(tuple),
    b"]": _new(list),
    b"a": PickleMachine.append,
    b"e": PickleMachine.appends,
    b"}": _new(dict),
    b"s": PickleMachine.set_item,
    b"u": PickleMachine.set_items,
    b"\x8f": _new(set),
    b"\x90": PickleMachine.add_items,
    b"\x91": _collected(frozenset),
    b"\x94": PickleMachine.memorize,
    b"q": _indexed("<B", PickleMachine.remember),
    b"r": _indexed("<I", PickleMachine.remember),
    b"h": _indexed("<B", PickleMachine.recall),
    b"j": _indexed("<I", PickleMachine.recall),
    b"c": PickleMachine.name_of_lines,
    b"\x93": PickleMachine.name_of_stack,
    b"R": PickleMachine.call,
    b"b": PickleMachine.build,
}
_OPERATIONS = [_KNOWN.get(bytes([code]), PickleMachine.refuse) for code in range(256)]
