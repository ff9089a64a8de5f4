"""Reading a pickle without running it.

A pickle is a program for a small stack machine, and two of its instructions name and call whatever they like. This
machine follows the same program, but the only things it can call are the functions of a table it is given; every other
name becomes a `Placeholder`, which is not imported and does nothing. Python's own ``pickle`` is not used.
"""

from __future__ import annotations

import mmap
import pickletools
import struct
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import IO, Any, cast

from limpid.bounded import quoted

MAX_INSTRUCTIONS = 6_000_000
"""Checkpoints of large networks have some 50 000; training states a few million."""
MAX_WORK = 32_000_000
"""Values, characters and bytes that are copied by calls: a short program can ask for the same long list many times."""
MAX_INTEGER_BITS = 128
"""Those of a checkpoint are sizes; the mark at the beginning of the older format has 80 bits."""
MAX_KEY_PARTS = 16
MAX_NESTING = 64
MAX_VALUES = 6_000_000
"""Values in the result, at most, each counted as often as it is reached: what reads it walks all of it."""

PickledCall = Callable[..., Any]


class Placeholder:
    """Stands for an object of a class, or a function, that is not known here; takes everything and does nothing."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"<{self.name}, not loaded>"


class Allowed:
    """A function of the table. It is data like all else on the stack, so no instruction can change it."""

    __slots__ = ("call", "name")

    def __init__(self, name: str, call: PickledCall) -> None:
        self.name, self.call = name, call


class _Mark:
    """Where a group of values begins on the stack."""


MARK = _Mark()
CONSTANTS: dict[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
EMPTY: dict[str, PickledCall] = {"EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_TUPLE": tuple, "EMPTY_SET": set}
IGNORED = frozenset({"PROTO", "FRAME"})
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


def run_pickle(source: IO[bytes] | mmap.mmap, table: Mapping[str, Any], persistent: PickledCall) -> Any:
    """The value of the pickle at the position of ``source``, which is left behind its end.

    ``table``: "module name" -> a function that may be called, or a plain value. ``persistent``: what stands for an
    object stored outside the pickle. Raises ValueError for everything that is not a whole, sound pickle.
    """
    machine = _Machine(table, persistent)
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(cast(IO[bytes], source))):
            if count >= MAX_INSTRUCTIONS:
                raise ValueError("it has more instructions than any checkpoint")
            machine.step(opcode.name, argument)
        value = machine.pop()
    except (IndexError, KeyError, TypeError, AttributeError, EOFError, OverflowError, struct.error) as error:
        raise ValueError(f"{type(error).__name__}: {quoted(str(error))}") from error
    check_shape(value)
    return value


def check_shape(value: Any) -> None:
    """Raises ValueError for a value that contains itself, or is nested deeper or holds more than any checkpoint."""
    count, level = 0, [value]
    for _ in range(MAX_NESTING):
        inner: list[Any] = []
        for each in level:
            parts = _parts(each)
            count += len(parts)
            if count > MAX_VALUES:
                raise ValueError("it holds more values than any checkpoint, or contains itself")
            inner.extend(part for part in parts if isinstance(part, NESTED))
        if not inner:
            return
        level = inner
    raise ValueError("it is nested more deeply than any checkpoint, or contains itself")


def _parts(value: Any) -> Collection[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, _CONTAINERS) else ()


class _Machine:
    def __init__(self, table: Mapping[str, Any], persistent: PickledCall) -> None:
        self.table, self.persistent = table, persistent
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.work = 0

    def step(self, name: str, argument: Any) -> None:
        """One instruction."""
        if name in IGNORED or name == "STOP":
            return
        if name in CONSTANTS:
            self.stack.append(CONSTANTS[name])
        elif name in EMPTY:
            self.stack.append(EMPTY[name]())
        elif name in TUPLES:
            self.tuple_of(TUPLES[name])
        elif name in LITERALS:
            if isinstance(argument, int) and argument.bit_length() > MAX_INTEGER_BITS:
                raise ValueError(f"it has a number of {argument.bit_length()} bits")
            self.stack.append(argument)
        else:
            action = ACTIONS.get(name)
            if action is None:
                raise ValueError(f"instruction {name} has no place in a checkpoint")
            action(self, argument)

    def pop(self) -> Any:
        value = self.stack.pop()
        if value is MARK:
            raise ValueError("a group of values is never closed")
        return value

    def group(self) -> list[Any]:
        """The values above the last mark, which goes too."""
        values: list[Any] = []
        while (value := self.stack.pop()) is not MARK:
            values.append(value)
        return values[::-1]

    def tuple_of(self, length: int) -> None:
        self.stack.append(tuple(self.pop() for _ in range(length))[::-1])

    # memo

    def put(self, index: int) -> None:
        self.memo[index] = self.stack[-1]

    def memoize(self, _: Any) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def get(self, index: int) -> None:
        self.stack.append(self.memo[index])

    # names and calls

    def find(self, name: str) -> Any:
        """What a name stands for: never the thing itself."""
        if name not in self.table:
            return Placeholder(name.replace(" ", "."))
        value = self.table[name]
        return Allowed(name, value) if callable(value) else value

    def name(self, argument: str) -> None:
        self.stack.append(self.find(argument))

    def name_from_stack(self, _: Any) -> None:
        attribute, module = self.pop(), self.pop()
        if not (isinstance(module, str) and isinstance(attribute, str)):
            raise ValueError("a name that is not text")
        self.stack.append(self.find(f"{module} {attribute}"))

    def extension(self, code: int) -> None:
        self.stack.append(Placeholder(f"extension {code}"))

    def call(self, function: Any, arguments: Any) -> None:
        if isinstance(function, Allowed) and isinstance(arguments, tuple):
            self.spend(arguments)
            self.stack.append(function.call(*arguments))
        else:
            self.stack.append(Placeholder(getattr(function, "name", type(function).__name__)))

    def spend(self, arguments: tuple[Any, ...]) -> None:
        """Count what a call is given: it may copy it."""
        self.work += 1 + sum(len(value) for value in arguments if isinstance(value, SIZED))
        if self.work > MAX_WORK:
            raise ValueError("it copies more than any checkpoint")

    def reduce(self, _: Any) -> None:
        arguments, function = self.pop(), self.pop()
        self.call(function, arguments)

    def new_with_keywords(self, _: Any) -> None:
        keywords, arguments, function = self.pop(), self.pop(), self.pop()
        self.call(function, None if keywords else arguments)

    def instance(self, argument: str) -> None:
        values = self.group()
        self.call(self.find(argument), tuple(values))

    def object(self, _: Any) -> None:
        function, *values = self.group()
        self.call(function, tuple(values))

    def persistent_from_stack(self, _: Any) -> None:
        self.stack.append(self.persistent(self.pop()))

    def persistent_text(self, argument: str) -> None:
        self.stack.append(self.persistent(argument))

    def build(self, _: Any) -> None:
        """The state of an object: only placeholders and ordered dicts (their ``_metadata``) have one; it is dropped."""
        self.pop()
        _ = self.stack[-1]  # there has to be an object

    # containers

    def append(self, _: Any) -> None:
        value = self.pop()
        self.extend([value])

    def appends(self, _: Any) -> None:
        self.extend(self.group())

    def extend(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, list):
            target.extend(values)
        elif not isinstance(target, Placeholder):
            raise ValueError(f"{type(target).__name__} is no list")

    def set_item(self, _: Any) -> None:
        value, key = self.pop(), self.pop()
        self.update([key, value])

    def set_items(self, _: Any) -> None:
        self.update(self.group())

    def update(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, dict):
            target.update(_pairs(values))
        elif not isinstance(target, Placeholder):
            raise ValueError(f"{type(target).__name__} is no dictionary")

    def add_items(self, _: Any) -> None:
        values = self.group()
        target = self.stack[-1]
        if isinstance(target, set):
            target.update(map(_key, values))
        elif not isinstance(target, Placeholder):
            raise ValueError(f"{type(target).__name__} is no set")

    def dict_of_group(self, _: Any) -> None:
        values = self.group()
        self.stack.append(dict(_pairs(values)))


def _pairs(values: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    """Keys and values by turns."""
    return zip(map(_key, values[::2]), values[1::2], strict=True)


def _key(value: Any) -> Any:
    """A value that may be a key. Deeply nested tuples are refused: Python overflows its stack when it hashes them."""
    parts = value if isinstance(value, tuple) else (value,)
    if len(parts) > MAX_KEY_PARTS or not all(isinstance(part, KEYS) for part in parts):
        raise ValueError(f"a {type(value).__name__} is used as a key")
    return value


KEYS = (str, bytes, int, float, type(None), Placeholder)
_LITERALS = (
    "INT BININT BININT1 BININT2 LONG LONG1 LONG4 STRING BINSTRING SHORT_BINSTRING BINBYTES SHORT_BINBYTES BINBYTES8 "
    "BYTEARRAY8 UNICODE SHORT_BINUNICODE BINUNICODE BINUNICODE8 FLOAT BINFLOAT"
)
LITERALS = frozenset(_LITERALS.split())
ACTIONS: dict[str, Callable[[_Machine, Any], None]] = {
    "MARK": lambda machine, _: machine.stack.append(MARK),
    "POP": lambda machine, _: machine.stack.__delitem__(-1),
    "POP_MARK": lambda machine, _: machine.group().clear(),
    "DUP": lambda machine, _: machine.stack.append(machine.stack[-1]),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), _Machine.put),
    "MEMOIZE": _Machine.memoize,
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _Machine.get),
    "GLOBAL": _Machine.name,
    "STACK_GLOBAL": _Machine.name_from_stack,
    **dict.fromkeys(("EXT1", "EXT2", "EXT4"), _Machine.extension),
    "REDUCE": _Machine.reduce,
    "NEWOBJ": _Machine.reduce,
    "NEWOBJ_EX": _Machine.new_with_keywords,
    "INST": _Machine.instance,
    "OBJ": _Machine.object,
    "PERSID": _Machine.persistent_text,
    "BINPERSID": _Machine.persistent_from_stack,
    "BUILD": _Machine.build,
    "APPEND": _Machine.append,
    "APPENDS": _Machine.appends,
    "SETITEM": _Machine.set_item,
    "SETITEMS": _Machine.set_items,
    "ADDITEMS": _Machine.add_items,
    "LIST": lambda machine, _: machine.stack.append(machine.group()),
    "TUPLE": lambda machine, _: machine.stack.append(tuple(machine.group())),
    "DICT": _Machine.dict_of_group,
    "FROZENSET": lambda machine, _: machine.stack.append(frozenset(map(_key, machine.group()))),
}


def ordered_dict(items: Any = ()) -> OrderedDict[Any, Any]:
    """``collections.OrderedDict`` as a pickle calls it: of nothing or of a list of pairs."""
    return OrderedDict((_key(key), value) for key, value in items)


def sequence(make: PickledCall) -> PickledCall:
    """``list`` and ``tuple`` as a pickle calls them: of nothing or of another container, never of a number."""
    return lambda items=(): make(items) if isinstance(items, _CONTAINERS) else Placeholder(make.__name__)


def unordered(make: PickledCall) -> PickledCall:
    """``set`` and ``frozenset``."""
    return lambda items=(): make(map(_key, items)) if isinstance(items, _CONTAINERS) else Placeholder(make.__name__)


def latin_bytes(text: Any = "", encoding: Any = "latin1") -> bytes:
    """``_codecs.encode`` as protocol 2 writes bytes."""
    if not (isinstance(text, str) and encoding in ("latin1", "latin-1")):
        raise ValueError("bytes in an unknown encoding")
    return text.encode("latin1")


_CONTAINERS = (list, tuple, set, frozenset)
NESTED = (*_CONTAINERS, dict)
SIZED = (*NESTED, str, bytes, bytearray)
PLAIN: dict[str, Any] = {"collections OrderedDict": ordered_dict, "_codecs encode": latin_bytes}
"""What a pickle may call besides the functions that rebuild tensors."""
for _module in ("builtins", "__builtin__"):
    PLAIN |= {f"{_module} {make.__name__}": unordered(make) for make in (set, frozenset)}
    PLAIN |= {f"{_module} {make.__name__}": sequence(make) for make in (list, tuple)}
    PLAIN[f"{_module} dict"] = ordered_dict
