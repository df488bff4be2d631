"""The stack machine of pickles, as far as plain data need it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from archsearch.errors import TableError
from archsearch.evaluators.tables.nasbench201.pickled_names import Name, is_known, make, set_state
from archsearch.evaluators.tables.pickle_stream import PickleStream, Readable

_GAP = object()  # stands in the memo for what was never put there
_WIDEST_GAP = 1 << 16
# Numbers by small whole numbers, as curves have them: many operations in a row that are done at once, for speed.
_CURVE = re.compile(rb"(?:K.G.{8})+", re.DOTALL)
_POINT = np.dtype([("K", "u1"), ("key", "u1"), ("G", "u1"), ("value", ">f8")])


class PickleMachine(PickleStream):
    """A stack, a memo of values that may come again, and the operations on both, which the module `pickletools` describes.

    Args:
        stream: The bytes.
        name: Of the file, for messages.
        filled: Called with each dictionary after items were put into it.
    """

    def __init__(self, stream: Readable, name: str, filled: Callable[[dict[Any, Any]], None] | None = None) -> None:
        super().__init__(stream, name)
        self._filled = filled
        self.stack: list[Any] = []
        self._below: list[list[Any]] = []  # the stack below each mark
        self.memo: list[Any] = []
        self._texts: dict[bytes, str] = {}  # equal texts are one object

    def start(self) -> None:
        """Forget the pickle before."""
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
        """Take off and return what was put on the stack since the last mark."""
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
        text = self._texts.get(content)
        if text is None:
            text = self._texts[content] = content.decode("utf-8", "surrogatepass")
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
            raise TypeError("a call of what is no function")
        self.stack.append(make(name, arguments))

    def build(self) -> None:
        state = self.stack.pop()
        set_state(self.stack[-1], state)
