"""A reader of pickles of plain data that runs no code.

A pickle is a program for a small stack machine, which may name any function and call it: when the standard library loads a
file from elsewhere, the file can do anything. The machine here has the operations that make numbers, strings and containers.
It makes a few more things for names of a short list (`pickled_names`), but it looks up no name and calls no function that a file
names; it refuses all other operations. Source: the module `pickletools` of the standard library, protocols 2 to 5.
"""

from __future__ import annotations

import itertools
import re
import struct
import zlib
from collections.abc import Callable
from typing import Any, NoReturn, Protocol
from zipfile import BadZipFile

import numpy as np

from archsearch.errors import TableError
from archsearch.evaluators.tables.nasbench201.pickled_names import Name, is_known, make, set_state

_STOP = ord(".")
_MALFORMED = (LookupError, TypeError, ValueError, AttributeError, OverflowError, RecursionError)
_BLOCK = 1 << 20
_LONGEST_LINE = 256
_GAP = object()  # marks memo entries that were never stored
_WIDEST_GAP = 1 << 16
# Floats keyed by small integers, as in curves: a run of such operations is executed at once, for speed.
_CURVE = re.compile(rb"(?:K.G.{8})+", re.DOTALL)
_POINT = np.dtype([("K", "u1"), ("key", "u1"), ("G", "u1"), ("value", ">f8")])


class Readable(Protocol):
    """A stream of bytes."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes; none at the end."""


class DataUnpickler:
    """Reads pickles of plain data, one after another, from a stream.

    It is a stack machine: a stack, a memo of values that are used again, and the operations on both that the module
    `pickletools` describes.

    Args:
        stream: The bytes.
        name: Name of the file, for messages.
        filled: Called with each dictionary after items were put into it, up to a thousand at a time. It may change the
            dictionary, and so thin out a file that is larger than the memory.

    Attributes:
        buffer: Bytes read from the stream.
        place: Index of the next byte of the buffer.
        stack: Values since the last mark.
        memo: Values that were stored under a number.
    """

    AHEAD = 16
    """Bytes that are in the buffer after `fetch`, unless the stream ends before."""

    def __init__(self, stream: Readable, name: str, filled: Callable[[dict[Any, Any]], None] | None = None) -> None:
        self._stream, self.name, self._filled = stream, name, filled
        self.buffer, self.place, self._before = b"", 0, 0
        self.stack: list[Any] = []
        self._below: list[list[Any]] = []  # the stack below each mark
        self.memo: list[Any] = []
        self._strings: dict[bytes, str] = {}  # equal strings are one object

    def load(self) -> Any:
        """Return the data of the next pickle.

        Raises:
            TableError: The stream ends too early, is corrupt or not a pickle, or asks for more than plain data.
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
                f"{self.name}: expected a pickle of plain data; it is corrupt before byte {self.offset} ({error!r}). "
                "Fetch the file again."
            ) from error

    @property
    def offset(self) -> int:
        """Bytes of the stream that were used."""
        return self._before + self.place

    def fetch(self, wanted: int) -> None:
        """Read until `wanted` bytes are in the buffer, and `AHEAD` if the stream has as many.

        Raises:
            TableError: The stream ends before, or is corrupt.
        """
        parts, size = [self.buffer[self.place :]], len(self.buffer) - self.place
        self._before, self.place = self.offset, 0
        while size < max(wanted, self.AHEAD) and (block := self._read()):
            parts.append(block)
            size += len(block)
        self.buffer = b"".join(parts)
        if size < wanted:
            self.ended()

    def _read(self) -> bytes:
        try:
            return self._stream.read(_BLOCK)
        except EOFError:  # compressed data end too early
            return b""
        except (OSError, zlib.error, BadZipFile) as error:
            raise TableError(
                f"{self.name}: the file is corrupt behind byte {self.offset} of its content ({error}). Fetch it again."
            ) from error

    def ended(self) -> NoReturn:
        raise TableError(
            f"{self.name}: the file ends in the middle, behind byte {self.offset} of its content. The download is not complete: "
            "fetch the file again."
        )

    def take(self, size: int) -> bytes:
        """Return the next bytes."""
        end = self.place + size
        if end > len(self.buffer):
            self.fetch(size)
            end = size
        content = self.buffer[self.place : end]
        self.place = end
        return content

    def line(self) -> str:
        """Return the string up to the next end of a line, which is left out."""
        line = bytearray()
        while (byte := self.take(1)) != b"\n":
            line += byte
            if len(line) > _LONGEST_LINE:
                raise ValueError(f"a name of more than {_LONGEST_LINE} bytes")
        return line.decode()

    def start(self) -> None:
        """Clear stack and memo."""
        self.stack, self._below, self.memo = [], [], []

    def refuse(self) -> None:
        code = self.buffer[self.place - 1 : self.place]
        raise TableError(
            f"{self.name}: expected a pickle of plain data, protocol 2 to 5; got the operation {code!r} at byte "
            f"{self.offset - 1}. Nothing in the file was run. Give the path of an official file."
        )

    def mark(self) -> None:
        self._below.append(self.stack)
        self.stack = []
        if curve := _CURVE.match(self.buffer, self.place):
            points = np.frombuffer(self.buffer, _POINT, len(curve.group()) // _POINT.itemsize, self.place)
            pairs = zip(points["key"].tolist(), points["value"].tolist(), strict=True)
            self.stack = list(itertools.chain.from_iterable(pairs))
            self.place = curve.end()

    def marked(self) -> list[Any]:
        """Pop and return the items since the last mark."""
        items, self.stack = self.stack, self._below.pop()
        return items

    def top(self, kind: type) -> Any:
        """Return the container on top of the stack."""
        if type(top := self.stack[-1]) is not kind:
            raise TypeError(f"items for a {type(top).__name__}")
        return top

    def pop(self) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self.stack = self._below.pop()

    def pop_mark(self) -> None:
        self.marked()

    def duplicate(self) -> None:
        self.stack.append(self.stack[-1])

    def append(self) -> None:
        value = self.stack.pop()
        self.top(list).append(value)

    def appends(self) -> None:
        items = self.marked()
        self.top(list).extend(items)

    def add_items(self) -> None:
        items = self.marked()
        self.top(set).update(items)

    def set_item(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self.put({key: value})

    def set_items(self) -> None:
        items = self.marked()
        self.put(dict(zip(items[::2], items[1::2], strict=True)))

    def put(self, items: dict[Any, Any]) -> None:
        """Put items into the dictionary on top of the stack."""
        dictionary = self.top(dict)
        dictionary.update(items)
        if self._filled is not None:
            self._filled(dictionary)

    def text(self, content: bytes) -> str:
        text = self._strings.get(content)
        if text is None:
            text = self._strings[content] = content.decode("utf-8", "surrogatepass")
        return text

    def remember(self, place: int) -> None:
        """Keep the top of the stack under a number; the numbers count up, but some may be left out."""
        memo = self.memo
        if place == len(memo):
            memo.append(self.stack[-1])
            return
        gap = place - len(memo)
        if gap > _WIDEST_GAP:
            raise ValueError(f"{gap} values left out")
        memo.extend([_GAP] * (gap + 1))
        memo[place] = self.stack[-1]

    def memorize(self) -> None:
        self.memo.append(self.stack[-1])

    def recall(self, place: int) -> None:
        value = self.memo[place]
        if value is _GAP:
            raise LookupError(f"value {place}, which was not kept")
        self.stack.append(value)

    def name_of_lines(self) -> None:
        module = self.line()
        self.push_name(Name(module, self.line()))

    def name_of_stack(self) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self.push_name(Name(module, name))

    def push_name(self, name: Name) -> None:
        if not is_known(name):
            raise TableError(
                f"{self.name}: expected plain data; the file asks for {name}, before byte {self.offset}. Nothing in it was run. "
                "Give the path of an official file without weights."
            )
        self.stack.append(name)

    def call(self) -> None:
        arguments, name = self.stack.pop(), self.stack.pop()
        if not isinstance(name, Name) or type(arguments) is not tuple:
            raise TypeError("a call of an object that is no function")
        self.stack.append(make(name, arguments))

    def build(self) -> None:
        state = self.stack.pop()
        set_state(self.stack[-1], state)


Operation = Callable[[DataUnpickler], None]


def _number(form: str) -> Operation:
    """Return the operation that pushes a number of a fixed size."""
    packed = struct.Struct(form)
    unpack, size = packed.unpack_from, packed.size

    def operation(machine: DataUnpickler) -> None:
        machine.stack.append(unpack(machine.buffer, machine.place)[0])
        machine.place += size

    return operation


def _sized(form: str, take: Callable[[DataUnpickler, bytes], Any]) -> Operation:
    """Return the operation that pushes a value made of the next bytes, whose number comes first."""
    packed = struct.Struct(form)
    unpack, size = packed.unpack_from, packed.size

    def operation(machine: DataUnpickler) -> None:
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


def _indexed(form: str, use: Callable[[DataUnpickler, int], None]) -> Operation:
    """Return the operation whose argument is the number that follows it."""
    packed = struct.Struct(form)
    unpack, size = packed.unpack_from, packed.size

    def operation(machine: DataUnpickler) -> None:
        machine.place += size
        use(machine, unpack(machine.buffer, machine.place - size)[0])

    return operation


def _new(make_value: Callable[[], Any]) -> Operation:
    return lambda machine: machine.stack.append(make_value())


def _collected(kind: Callable[[list[Any]], Any]) -> Operation:
    """Return the operation that replaces all items since the last mark by one object made of them."""

    def operation(machine: DataUnpickler) -> None:
        items = machine.marked()
        machine.stack.append(kind(items))

    return operation


def _plain(machine: DataUnpickler, content: bytes) -> bytes:
    return content


def _skip(machine: DataUnpickler, value: int) -> None:
    """Skip the protocol and the frames, which are not needed."""


def _integer(machine: DataUnpickler, content: bytes) -> int:
    return int.from_bytes(content, "little", signed=True)


def _tuple_of(size: int) -> Operation:
    def operation(machine: DataUnpickler) -> None:
        items = tuple(machine.stack[-size:])
        if len(items) < size:
            raise IndexError(f"a tuple of {size} from a stack of {len(items)}")
        machine.stack[-size:] = [items]

    return operation


_KNOWN: dict[bytes, Operation] = {
    b"\x80": _indexed("<B", _skip),  # protocol
    b"\x95": _indexed("<Q", _skip),  # frame
    b"(": DataUnpickler.mark,
    b"0": DataUnpickler.pop,
    b"1": DataUnpickler.pop_mark,
    b"2": DataUnpickler.duplicate,
    b"N": _new(lambda: None),
    b"\x88": _new(lambda: True),
    b"\x89": _new(lambda: False),
    b"K": _number("<B"),
    b"M": _number("<H"),
    b"J": _number("<i"),
    b"\x8a": _sized("<B", _integer),
    b"\x8b": _sized("<I", _integer),
    b"G": _number(">d"),
    b"\x8c": _sized("<B", DataUnpickler.text),
    b"X": _sized("<I", DataUnpickler.text),
    b"\x8d": _sized("<Q", DataUnpickler.text),
    b"C": _sized("<B", _plain),
    b"B": _sized("<I", _plain),
    b"\x8e": _sized("<Q", _plain),
    b")": _new(tuple),
    b"\x85": _tuple_of(1),
    b"\x86": _tuple_of(2),
    b"\x87": _tuple_of(3),
    b"t": _collected(tuple),
    b"]": _new(list),
    b"a": DataUnpickler.append,
    b"e": DataUnpickler.appends,
    b"}": _new(dict),
    b"s": DataUnpickler.set_item,
    b"u": DataUnpickler.set_items,
    b"\x8f": _new(set),
    b"\x90": DataUnpickler.add_items,
    b"\x91": _collected(frozenset),
    b"\x94": DataUnpickler.memorize,
    b"q": _indexed("<B", DataUnpickler.remember),
    b"r": _indexed("<I", DataUnpickler.remember),
    b"h": _indexed("<B", DataUnpickler.recall),
    b"j": _indexed("<I", DataUnpickler.recall),
    b"c": DataUnpickler.name_of_lines,
    b"\x93": DataUnpickler.name_of_stack,
    b"R": DataUnpickler.call,
    b"b": DataUnpickler.build,
}
_OPERATIONS = [_KNOWN.get(bytes([code]), DataUnpickler.refuse) for code in range(256)]
