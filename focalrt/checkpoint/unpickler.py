"""The pickle in a file of ``torch.save``, which tells the names, shapes and places of the arrays.

A pickle is a program. Those of its instructions that ``torch.save`` writes, and no others, are carried out here one by
one on plain values. A name in it is compared with the few that describe tensors and is never looked up, so there is
nothing that could be called. :mod:`pickle` gives the instructions' codes, and explains them.

Python's own unpickler would not do, even with its ``find_class`` confined: it hashes any key, and a tuple nested a
million deep, one byte a level, then crashes the process; it reserves memory for whatever number a program gives to a
value that it keeps; and it sets attributes.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from struct import Struct
from typing import Any

from ..errors import CheckpointError
from .arrays import Shape, quoted

STORAGES = {
    "torch FloatStorage": "float32",
    "torch DoubleStorage": "float64",
    "torch HalfStorage": "float16",
    "torch BFloat16Storage": "bfloat16",
    "torch LongStorage": "int64",
    "torch IntStorage": "int32",
    "torch ShortStorage": "int16",
    "torch CharStorage": "int8",
    "torch ByteStorage": "uint8",
    "torch BoolStorage": "bool",
    "torch ComplexFloatStorage": "complex64",
    "torch ComplexDoubleStorage": "complex128",
}
FUNCTIONS = {"collections OrderedDict", "torch._utils _rebuild_parameter", "torch._utils _rebuild_tensor_v2"}
NUMBERS = {
    pickle.PROTO: Struct("<B"),
    pickle.BININT: Struct("<i"),
    pickle.BININT1: Struct("<B"),
    pickle.BININT2: Struct("<H"),
    pickle.BINFLOAT: Struct(">d"),
    pickle.BINPUT: Struct("<B"),
    pickle.LONG_BINPUT: Struct("<I"),
    pickle.BINGET: Struct("<B"),
    pickle.LONG_BINGET: Struct("<I"),
}
"""The arguments of a fixed size."""

RESAVE = (
    "save the parameters, and the config where there is one, alone: with what torch.load gives as c, "
    "torch.save({k: c[k] for k in ('state_dict', 'config') if k in c}, path); of a whole module, "
    "torch.save({'state_dict': c.state_dict()}, path)"
)


@dataclass(frozen=True)
class Name:
    """A module and a name in it, with a space between: one of :data:`STORAGES` or :data:`FUNCTIONS`."""

    text: str


@dataclass(frozen=True)
class Storage:
    """A row of that many elements of a kind, in the record ``data/<key>``."""

    kind: str
    key: str
    size: int


@dataclass(frozen=True)
class Tensor:
    """A window on a storage; offset and strides count elements. What the program says, unchecked but for the types."""

    storage: Storage
    offset: int
    shape: Shape
    strides: Shape


def unpickle(program: bytes) -> Any:
    """The value that a program makes. Raises CheckpointError where ``torch.save`` would not have written it.

    Made of None, bool, int, float, str, tuple, list, dict with str keys, :class:`Tensor`, and the parts of one.
    """
    unpickler = Unpickler()
    try:
        for instruction, argument in instructions(program):
            unpickler.step(instruction, argument)
        return unpickler.stack.pop()
    except IndexError:
        raise CheckpointError("is damaged: its pickle takes values that it did not make") from None


def instructions(program: bytes) -> Iterator[tuple[bytes, Any]]:
    """The instructions with their arguments, up to the one that ends the program."""
    stream = BytesIO(program)
    while instruction := stream.read(1):
        yield instruction, argument(instruction, stream)
        if instruction == pickle.STOP:
            return
    raise CheckpointError("is damaged: its pickle does not end")


def argument(instruction: bytes, stream: BytesIO) -> Any:
    """What follows an instruction in the program; None after those that take nothing, and those that are unknown."""
    if instruction in NUMBERS:
        number = NUMBERS[instruction]
        return number.unpack(taken(stream, number.size))[0]
    if instruction == pickle.LONG1:
        return int.from_bytes(taken(stream, taken(stream, 1)[0]), "little", signed=True)
    if instruction == pickle.BINUNICODE:
        return text(taken(stream, int.from_bytes(taken(stream, 4), "little")))
    if instruction == pickle.GLOBAL:
        return text(stream.readline().rstrip(b"\n") + b" " + stream.readline().rstrip(b"\n"))
    return None


def taken(stream: BytesIO, size: int) -> bytes:
    """That many bytes."""
    found = stream.read(size)
    if len(found) < size:
        raise CheckpointError("is damaged: its pickle ends within an argument")
    return found


def text(encoded: bytes) -> str:
    """A text in UTF-8."""
    try:
        return encoded.decode("utf-8")
    except UnicodeDecodeError:
        raise CheckpointError("is damaged: its pickle holds a text that is not in UTF-8") from None


class Unpickler:
    """A stack of values, what lies below each open mark, and the values to be used again."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []
        self.memo: list[Any] = []

    def step(self, instruction: bytes, argument: Any) -> None:
        """Carries out one instruction. No instruction makes more than one value."""
        match instruction:
            case pickle.PROTO | pickle.STOP:
                pass
            case pickle.BININT | pickle.BININT1 | pickle.BININT2 | pickle.LONG1 | pickle.BINFLOAT | pickle.BINUNICODE:
                self.push(argument)
            case pickle.NONE:
                self.push(None)
            case pickle.NEWTRUE:
                self.push(True)
            case pickle.NEWFALSE:
                self.push(False)
            case pickle.EMPTY_TUPLE:
                self.push(())
            case pickle.EMPTY_LIST:
                self.push([])
            case pickle.EMPTY_DICT:
                self.push({})
            case pickle.MARK:
                self.below.append(self.stack)
                self.stack = []
            case pickle.TUPLE:
                self.push(tuple(self.marked()))
            case pickle.TUPLE1:
                self.push(tuple(self.top(1)))
            case pickle.TUPLE2:
                self.push(tuple(self.top(2)))
            case pickle.TUPLE3:
                self.push(tuple(self.top(3)))
            case pickle.APPEND:
                self.extend(self.top(1))
            case pickle.APPENDS:
                self.extend(self.marked())
            case pickle.SETITEM:
                self.update(self.top(2))
            case pickle.SETITEMS:
                self.update(self.marked())
            case pickle.BINPUT | pickle.LONG_BINPUT:
                self.keep(argument)
            case pickle.BINGET | pickle.LONG_BINGET:
                self.push(self.memo[argument])
            case pickle.GLOBAL:
                self.name(argument)
            case pickle.BINPERSID:
                self.push(storage(*self.top(1)))
            case pickle.REDUCE:
                self.push(rebuilt(*self.top(2)))
            case pickle.BUILD:
                self.build(*self.top(1))
            case _:
                raise CheckpointError(f"has the instruction {instruction!r} in its pickle, which is refused; {RESAVE}")

    def push(self, value: Any) -> None:
        """Puts a value on top."""
        self.stack.append(value)

    def top(self, count: int) -> list[Any]:
        """Takes that many values, in the order in which they were put there."""
        return [self.stack.pop() for _ in range(count)][::-1]

    def marked(self) -> list[Any]:
        """Takes the values above the last mark, and the mark."""
        values, self.stack = self.stack, self.below.pop()
        return values

    def extend(self, values: list[Any]) -> None:
        """Adds to the list on top."""
        if type(self.stack[-1]) is not list:
            raise CheckpointError("is damaged: its pickle appends to what is no list")
        self.stack[-1].extend(values)

    def update(self, values: list[Any]) -> None:
        """Adds keys and values, which take turns, to the dict on top."""
        keys, values = values[::2], values[1::2]
        if type(self.stack[-1]) is not dict or len(keys) != len(values):
            raise CheckpointError("is damaged: its pickle sets items of what is no dict, or halves of items")
        if not all(type(key) is str for key in keys):
            raise CheckpointError(f"has keys that are no text in a dict; {RESAVE}")
        self.stack[-1].update(zip(keys, values))

    def keep(self, index: int) -> None:
        """Keeps the value on top to be used again; picklers number these from 0 on."""
        if index != len(self.memo):
            raise CheckpointError("is damaged: its pickle does not number its values in order")
        self.memo.append(self.stack[-1])

    def name(self, text: str) -> None:
        """Puts a name on top, if it is known; below it is the key of what it would make."""
        if text not in STORAGES and text not in FUNCTIONS:
            place = f" for {quoted(self.stack[-1])}" if self.stack and type(self.stack[-1]) is str else ""
            raise CheckpointError(f"asks for {quoted(text)}{place}, which is refused, and was not looked up; {RESAVE}")
        self.push(Name(text))

    def build(self, state: Any) -> None:
        """Leaves out the attributes of a dict; those of a state dict are the versions of PyTorch's layers."""
        if type(self.stack[-1]) is not dict or type(state) is not dict:
            raise CheckpointError(f"sets attributes of what is no dict; {RESAVE}")


def storage(described: Any) -> Storage:
    """What a persistent id describes: a storage on a device, which does not matter here."""
    match described:
        case ("storage", Name(text), str(key), str(), int(size)) if text in STORAGES and size >= 0:
            return Storage(STORAGES[text], key, size)
    raise CheckpointError("is damaged: its pickle does not describe a storage as torch.save does")


def rebuilt(function: Any, arguments: Any) -> Any:
    """What a call of one of the known functions stands for."""
    match function, arguments:
        case Name("collections OrderedDict"), ():
            return {}
        case Name("torch._utils _rebuild_parameter"), (Tensor() as tensor, bool(), dict()):
            return tensor
        case Name("torch._utils _rebuild_tensor_v2"), (Storage() as whole, int(offset), shape, strides, bool(), dict()):
            if type(shape) is tuple and type(strides) is tuple:
                return Tensor(whole, offset, shape, strides)
    raise CheckpointError(f"calls something in its pickle as torch.save does not; {RESAVE}")
