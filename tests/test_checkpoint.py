"""Reading checkpoints: right values from good files, and nothing but CheckpointError, and nothing run, from others.

The files are written here, by an assembler of pickles and the zip module; PyTorch, where it is installed, is one more
witness.
"""

import io
import json
import os
import pickle
import re
import struct
import subprocess
import sys
import tracemalloc
import warnings
import zipfile
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import focalrt
from focalrt.checkpoint import MOST_BYTES, Checkpoint, parse, read_checkpoint
from focalrt.checkpoint.archive import MOST_RECORDS
from focalrt.checkpoint.arrays import MOST_DESCRIBED
from focalrt.checkpoint.torchfile import MOST_NESTED, MOST_VALUES
from focalrt.errors import CheckpointError, FocalrtError

ROOT = Path(__file__).resolve().parents[1]
TINY = Path(os.environ.get("FOCALRT_SHARED", ROOT.parent / "shared")) / "reference" / "tiny.pth"

DTYPES = {"FloatStorage": "f4", "DoubleStorage": "f8", "HalfStorage": "f2", "BFloat16Storage": "u2"}


# ------------------------------------------------------------ an assembler of pickles


class Raw(bytes):
    """Instructions as they are."""


def code(value):
    """The instructions that put a value on the stack."""
    if isinstance(value, Raw):
        return bytes(value)
    if value is None or isinstance(value, bool):
        return {None: b"N", True: b"\x88", False: b"\x89"}[value]
    if isinstance(value, int):
        if -(1 << 31) <= value < 1 << 31:
            return b"J" + struct.pack("<i", value)
        digits = pickle.encode_long(value)
        return b"\x8a" + bytes([len(digits)]) + digits
    if isinstance(value, float):
        return b"G" + struct.pack(">d", value)
    if isinstance(value, str):
        text = value.encode()
        return b"X" + struct.pack("<I", len(text)) + text
    if isinstance(value, tuple):
        return b"(" + b"".join(map(code, value)) + b"t"
    if isinstance(value, list):
        return b"](" + b"".join(map(code, value)) + b"e"
    assert isinstance(value, dict)
    return b"}(" + b"".join(code(key) + code(item) for key, item in value.items()) + b"u"


def program(value):
    return b"\x80\x02" + code(value) + b"."


def name(module, attribute):
    return Raw(b"c" + module.encode() + b"\n" + attribute.encode() + b"\n")


def call(function, *arguments):
    return Raw(function + code(arguments) + b"R")


ORDERED = call(name("collections", "OrderedDict"))
REBUILD = name("torch._utils", "_rebuild_tensor_v2")


def storage(kind, key, size, device="cpu"):
    return Raw(code(("storage", name("torch", kind), key, device, size)) + b"Q")


STORAGE = storage("FloatStorage", "0", 6)


def tensor(kind="FloatStorage", key="0", size=6, offset=0, shape=(2, 3), strides=(3, 1), whole=None):
    return call(REBUILD, whole or storage(kind, key, size), offset, shape, strides, False, ORDERED)


def zipped(records, folder="some", method=zipfile.ZIP_STORED):
    """A zip file of one folder."""
    file = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w", method) as archive:
        warnings.simplefilter("ignore")  # of names that are there twice
        for key, content in records:
            archive.writestr(zipfile.ZipInfo(f"{folder}/{key}"), content, method)
    return file.getvalue()


def packed(root, storages=(), byteorder=b"little"):
    """A file as torch.save lays it out; root is a value, or the program."""
    return zipped(
        [
            ("data.pkl", root if type(root) is bytes else program(root)),
            *([("byteorder", byteorder)] if byteorder else []),
            *((f"data/{key}", content) for key, content in dict(storages).items()),
            ("version", b"3\n"),
        ]
    )


SIX = np.arange(6, dtype="<f4")


def one(weight, content=None, **others):
    """A file of one parameter, w; six numbers are there for it."""
    return packed({"state_dict": {"w": weight}, "config": {}}, {"0": content or SIX.tobytes()}, **others)


def tensors_of(header, data=b""):
    """A .safetensors file."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(dtype="F32", shape=(2, 3), offsets=(0, 24)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


@pytest.fixture
def read(tmp_path):
    """Reads a content."""

    def write_and_read(content) -> Checkpoint:
        path = tmp_path / "file"
        path.write_bytes(content)
        return read_checkpoint(path)

    return write_and_read


@pytest.fixture
def refused(read, tmp_path):
    """Expects a content to be refused; the message, past the file's name."""

    def message(content) -> str:
        with pytest.raises(CheckpointError) as caught:
            read(content)
        start = f"{str(tmp_path / 'file')!r}: "
        assert str(caught.value).startswith(start)
        assert len(str(caught.value)) < len(start) + 1000
        return str(caught.value)[len(start) :]

    return message


# ------------------------------------------------------------ good files of torch.save


def test_the_published_structure(read):
    config = {
        "class": "isegm.model.is_hrnet_model.HRNetModel",
        "params": {"pipeline_version": {"type": "builtin", "value": "s2", "specified": True}},
        "numbers": ([0.485, -1], (), None, 1 << 40, {"": []}),
    }
    state = {"a": tensor(key="0"), "b": tensor(key="1", shape=(6,), strides=(1,))}
    content = packed({"state_dict": state, "config": config}, {"0": SIX.tobytes(), "1": (-SIX).tobytes()})
    checkpoint = read(content)
    assert checkpoint.config == config
    assert list(checkpoint.parameters) == ["a", "b"]
    np.testing.assert_array_equal(checkpoint.parameters["a"], [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(checkpoint.parameters["b"], -SIX)


def test_a_bare_state_dict(read):
    checkpoint = read(packed({"w": tensor()}, {"0": SIX.tobytes()}))
    assert list(checkpoint.parameters) == ["w"]
    assert checkpoint.config is None


def test_what_else_was_saved_is_left_out(read):
    root = {"epoch": 3, "state_dict": {"w": tensor()}, "best": [tensor(key="9")]}
    checkpoint = read(packed(root, {"0": SIX.tobytes()}))
    assert list(checkpoint.parameters) == ["w"]
    assert checkpoint.config is None


def test_the_dict_that_a_module_gives(read):
    """An OrderedDict; the versions of the layers are its attributes."""
    items = b"(" + code("w") + code(call(name("torch._utils", "_rebuild_parameter"), tensor(), True, ORDERED)) + b"u"
    state = Raw(ORDERED + items + code({"_metadata": {"": {"version": 1}}}) + b"b")
    np.testing.assert_array_equal(read(packed(state, {"0": SIX.tobytes()})).parameters["w"].ravel(), SIX)


def test_values_that_are_used_again(read):
    """As picklers write them: each kept under the next number."""
    first = Raw(tensor() + b"q\x00")
    state = {"a": first, "b": Raw(b"h\x00"), Raw(code("c") + b"r\x01\x00\x00\x00"): Raw(b"j\x00\x00\x00\x00")}
    parameters = read(packed(state, {"0": SIX.tobytes()})).parameters
    assert list(parameters) == ["a", "b", "c"]
    assert not np.shares_memory(parameters["a"], parameters["b"])
    for array in parameters.values():
        np.testing.assert_array_equal(array.ravel(), SIX)


@pytest.mark.parametrize("kind", ["FloatStorage", "DoubleStorage", "HalfStorage"])
@pytest.mark.parametrize("order", ["little", "big"])
def test_kinds_and_byte_orders(read, kind, order):
    values = np.array([[0.5, -2, 65504], [6e-8, 0, -0.0]], {"little": "<", "big": ">"}[order] + DTYPES[kind])
    array = read(one(tensor(kind), values.tobytes(), byteorder=order.encode())).parameters["w"]
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, values.astype(np.float32))
    np.testing.assert_array_equal(np.signbit(array), np.signbit(values))


@pytest.mark.parametrize("order", ["little", "big"])
def test_every_half_and_every_bfloat16_is_exact(read, order):
    every = np.arange(1 << 16, dtype=np.uint16).astype({"little": "<u2", "big": ">u2"}[order])
    for kind in ("HalfStorage", "BFloat16Storage"):
        weight = tensor(kind, size=1 << 16, shape=(1 << 16,), strides=(1,))
        array = read(one(weight, every.tobytes(), byteorder=order.encode())).parameters["w"]
        if kind == "HalfStorage":
            expected = [struct.unpack("<e", struct.pack("<H", bits))[0] for bits in range(1 << 16)]
        else:
            expected = [struct.unpack("<f", struct.pack("<HH", 0, bits))[0] for bits in range(1 << 16)]
        np.testing.assert_array_equal(array, np.array(expected, np.float64))


@pytest.mark.parametrize("kind", ["FloatStorage", "DoubleStorage", "HalfStorage", "BFloat16Storage"])
def test_a_transposed_array_is_put_in_order(read, kind):
    content = np.arange(6).astype(DTYPES[kind]).tobytes()
    array = read(one(tensor(kind, shape=(3, 2), strides=(1, 3)), content)).parameters["w"]
    assert array.shape == (3, 2)
    assert array.flags.c_contiguous


def test_a_file_without_byte_order_is_little(read):
    np.testing.assert_array_equal(read(one(tensor(), byteorder=None)).parameters["w"].ravel(), SIX)


def test_float64_is_rounded_and_overflows_without_a_word(read):
    values = np.array([1 + 2**-30, 1e300, -1e300, 1e-60, np.nan, 0.1], "<f8")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        array = read(one(tensor("DoubleStorage"), values.tobytes())).parameters["w"].ravel()
    np.testing.assert_array_equal(array, np.array([1, np.inf, -np.inf, 0, np.nan, np.float32(0.1)], np.float32))


def test_a_counter_stays_an_integer(read):
    value = (1 << 53) + 1
    content = one(tensor("LongStorage", size=1, shape=(), strides=()), struct.pack("<q", value))
    array = read(content).parameters["w"]
    assert array.dtype == np.int64
    assert array.shape == ()
    assert int(array) == value


@st.composite
def windows(draw):
    """(storage, window on it): transposed, sliced forwards as PyTorch does, with sides of 1 and of 0."""
    base = draw(hnp.arrays(np.float32, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))).copy()
    view = base.transpose(draw(st.permutations(range(base.ndim))))
    forwards = [st.slices(side).filter(lambda part: (part.step or 1) > 0) for side in view.shape]
    view = view[(*draw(st.tuples(*forwards)), ...)]
    return base.ravel(), view[None] if draw(st.booleans()) else view


@given(windows())
def test_any_window_on_a_storage(case):
    """The storage begins before the array and ends behind it; what the stride of a side of 1 says does not matter."""
    base, view = case
    offset = (view.__array_interface__["data"][0] - base.__array_interface__["data"][0]) // 4 if view.size else 0
    strides = tuple(stride // 4 if side > 1 else 17 for stride, side in zip(view.strides, view.shape))
    content = np.concatenate([[9], base, [9]]).astype("<f4").tobytes()
    weight = tensor(size=base.size + 2, offset=offset + 1, shape=view.shape, strides=strides)
    array = parse(one(weight, content))[0]["w"]
    assert array.shape == view.shape
    np.testing.assert_array_equal(array, view)
    assert array.flags.c_contiguous and array.flags.writeable and array.dtype == np.float32


def test_what_is_read_is_nobody_elses(read):
    state = {"a": tensor(), "b": tensor(), "c": tensor(shape=(3, 2), strides=(1, 3))}
    parameters = read(packed(state, {"0": SIX.tobytes()})).parameters
    parameters["a"][...] = -1
    np.testing.assert_array_equal(parameters["b"], [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(parameters["c"], [[0, 3], [1, 4], [2, 5]])


def test_a_tail_on_the_file_does_no_harm(read):
    """Zip files may end in a remark."""
    content = one(tensor())
    content = content[:-2] + struct.pack("<H", 5) + b"hello"
    np.testing.assert_array_equal(read(content).parameters["w"].ravel(), SIX)


@pytest.mark.skipif(not TINY.exists(), reason="no shared reference files here")
def test_the_published_example():
    """Values by REFERENCE section 9: windows on 0, 1, 2... of every kind."""
    checkpoint = read_checkpoint(TINY)
    ramp = np.arange(24, dtype=np.float32).reshape(4, 6)
    expected = {
        "a.weight": ramp,
        "b.transposed": ramp.T,
        "c.half": ramp,
        "d.bfloat": ramp,
        "e.count": np.int64(12345),
        "f.shared": ramp[1:3],
        "g.shared": ramp[2:4, ::2],
        "h.empty": np.empty((0, 3), np.float32),
    }
    assert list(checkpoint.parameters) == list(expected)
    for key, array in checkpoint.parameters.items():
        assert array.dtype == expected[key].dtype, key
        np.testing.assert_array_equal(array, expected[key], err_msg=key, strict=True)
    assert checkpoint.config["class"] == "isegm.model.is_segformer_model.SegFormerModel"
    assert checkpoint.config["params"]["pipeline_version"]["value"] == "s1"
    assert checkpoint.config["params"]["norm_mean_std"]["value"] == ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


# ------------------------------------------------------------ PyTorch as a witness


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="PyTorch is not installed")


def same_as_torch(torch, saved, ours):
    """Whether parameters are those that torch.load gives, in its order."""
    saved.seek(0)
    theirs = torch.load(saved, map_location="cpu", weights_only=True)
    assert list(ours) == list(theirs)
    for key, expected in theirs.items():
        expected = expected.detach() if expected.dtype == torch.int64 else expected.detach().float()
        np.testing.assert_array_equal(ours[key], expected.numpy(), err_msg=key, strict=True)


def test_a_module_that_torch_saved(torch, read):
    torch.manual_seed(0)
    norm = torch.nn.BatchNorm2d(5)
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 5, 3), norm, torch.nn.Sequential(torch.nn.Linear(4, 2), norm))
    file = io.BytesIO()
    torch.save(net.state_dict(), file)
    same_as_torch(torch, file, read(file.getvalue()).parameters)


def test_tensors_that_torch_saved(torch, read):
    generator = torch.Generator().manual_seed(1)
    base = torch.randn(4, 5, 6, generator=generator)
    state = {
        "parameter": torch.nn.Parameter(base[1]),
        "steps": base[1::2, :, ::3],
        "permuted": base.permute(2, 0, 1),
        "channels last": torch.randn(2, 3, 4, 5, generator=generator).to(memory_format=torch.channels_last),
        "half": base.half(),
        "bfloat16": base.bfloat16().transpose(0, 2),
        "double": base.double(),
        "empty": torch.empty(3, 0, 2),
        "scalar": torch.tensor(2.5),
        "counter": torch.tensor(7),
        "again": base,
    }
    file = io.BytesIO()
    torch.save(state, file)
    same_as_torch(torch, file, read(file.getvalue()).parameters)


def test_torch_reads_what_the_assembler_writes(torch, read):
    """So the hostile files below differ from good ones in what they are there for, and in nothing else."""
    state = {"a": tensor(), "b": tensor("HalfStorage", "1", shape=(3, 2), strides=(1, 3))}
    file = io.BytesIO(packed(state, {"0": SIX.tobytes(), "1": SIX.astype("<f2").tobytes()}))
    same_as_torch(torch, file, read(file.getvalue()).parameters)


def test_files_from_before_1_6(torch, refused):
    file = io.BytesIO()
    torch.save({"w": torch.ones(3)}, file, _use_new_zipfile_serialization=False)
    assert "before 1.6" in refused(file.getvalue())


@pytest.mark.parametrize("kind", ["sparse", "quantised", "whole module", "float8", "conjugate"])
def test_what_torch_saves_beside_parameters(torch, refused, kind):
    weight = torch.ones(2, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # quantised tensors are on their way out
        thing = {
            "sparse": lambda: weight.to_sparse(),
            "quantised": lambda: torch.quantize_per_tensor(weight, 0.1, 0, torch.qint8),
            "whole module": lambda: torch.nn.Linear(2, 3),
            "float8": lambda: weight.to(torch.float8_e4m3fn),
            "conjugate": lambda: weight.to(torch.complex64).conj(),
        }[kind]()
        file = io.BytesIO()
        torch.save({"the.weight": thing}, file)
    message = refused(file.getvalue())
    assert "'the.weight'" in message or kind == "conjugate"
    assert "torch.save({k: c[k] for k in ('state_dict', 'config') if k in c}, path)" in message


# ------------------------------------------------------------ good files of safetensors


def test_safetensors_of_every_kind(read):
    values = np.array([[1.5, -2], [0, 1024]])
    sixteen = (values.astype("<f4").view("<u4") >> 16).astype("<u2")
    arrays = {"F64": values, "F32": values.astype("<f4"), "F16": values.astype("<f2"), "BF16": sixteen}
    header, data = {"__metadata__": {"variant": "hrnet18s-s1"}}, b""
    for dtype, array in arrays.items():
        header[dtype] = entry(dtype, (2, 2), (len(data), len(data) + array.nbytes))
        data += array.tobytes()
    header["I64"] = entry("I64", (), (len(data), len(data) + 8))
    header["empty"] = entry("F32", (3, 0), (len(data), len(data)))
    checkpoint = read(tensors_of(json.dumps(header).encode() + b"   ", data + struct.pack("<q", -5)))
    assert checkpoint.config == {"variant": "hrnet18s-s1"}
    assert list(checkpoint.parameters) == [*arrays, "I64", "empty"]
    for dtype in arrays:
        np.testing.assert_array_equal(checkpoint.parameters[dtype], values.astype(np.float32), strict=True)
        assert checkpoint.parameters[dtype].flags.writeable
    np.testing.assert_array_equal(checkpoint.parameters["I64"], np.array(-5), strict=True)
    np.testing.assert_array_equal(checkpoint.parameters["empty"], np.empty((3, 0), np.float32), strict=True)


def test_safetensors_in_any_order(read):
    header = {"b": entry(offsets=(24, 48)), "a": entry(offsets=(0, 24))}
    checkpoint = read(tensors_of(header, SIX.tobytes() + (-SIX).tobytes()))
    assert checkpoint.config is None
    assert list(checkpoint.parameters) == ["b", "a"]
    np.testing.assert_array_equal(checkpoint.parameters["b"].ravel(), -SIX)


# ------------------------------------------------------------ damage

# by the inner function: a file would be written and read thousands of times

SMALL = {
    "torch": one(tensor()),
    "safetensors": tensors_of({"w": entry()}, SIX.tobytes()),
}


@pytest.mark.parametrize("form", SMALL)
def test_a_file_cut_short_anywhere(form):
    whole = SMALL[form]
    assert list(parse(whole)[0]) == ["w"]
    for length in range(len(whole)):
        with pytest.raises(CheckpointError):
            parse(whole[:length])


def test_a_byte_too_many_in_safetensors():
    with pytest.raises(CheckpointError, match="have 24 bytes"):
        parse(SMALL["safetensors"] + b"x")


def flipped(content, position):
    """With one of its bits inverted."""
    changed = bytearray(content)
    changed[position // 8] ^= 1 << position % 8
    return bytes(changed)


def test_any_bit_of_a_torch_file_flipped():
    """Checksums cover what matters: the parameters are the same, or the file is refused."""
    whole, taken = SMALL["torch"], 0
    for position in range(8 * len(whole)):
        changed = flipped(whole, position)
        try:
            parameters = parse(changed)[0]
        except CheckpointError:
            continue
        taken += 1
        assert list(parameters) == ["w"]
        np.testing.assert_array_equal(parameters["w"].ravel(), SIX)
    assert 0 < taken < 4 * len(whole)


def test_any_bit_of_a_safetensors_file_flipped():
    """There are no checksums: names and values may change, sizes do not."""
    whole = SMALL["safetensors"]
    for position in range(8 * len(whole)):
        changed = flipped(whole, position)
        try:
            (array,) = parse(changed)[0].values()
        except CheckpointError:
            continue
        assert array.dtype == np.float32
        assert array.size == 6


PROGRAM = program({"state_dict": {"w": tensor()}, "config": {"a": [1, 2.5, None, True]}})


def test_any_bit_of_the_pickle_flipped():
    """With a checksum that fits again: whatever is read is made of the storage's elements."""
    for position in range(8 * len(PROGRAM)):
        changed = flipped(PROGRAM, position)
        try:
            parameters = parse(packed(changed, {"0": SIX.tobytes()}))[0]
        except CheckpointError:
            continue
        for array in parameters.values():
            assert array.dtype == np.float32
            assert set(array.ravel().tolist()) <= set(SIX.tolist())


def test_the_pickle_cut_short_anywhere():
    for length in range(len(PROGRAM)):
        with pytest.raises(CheckpointError):
            parse(packed(PROGRAM[:length], {"0": SIX.tobytes()}))


@given(st.lists(st.tuples(st.integers(0, len(PROGRAM) - 1), st.integers(0, 3), st.binary(max_size=4)), max_size=6))
@settings(max_examples=300)
def test_the_pickle_patched_anywhere(patches):
    changed = PROGRAM
    for start, length, patch in patches:
        changed = changed[:start] + patch + changed[start + length :]
    try:
        parameters = parse(packed(changed, {"0": SIX.tobytes()}))[0]
    except CheckpointError:
        return
    for array in parameters.values():
        assert array.dtype == np.float32


@given(st.binary(max_size=200), st.sampled_from([b"", b"PK\x03\x04", b"\x20\0\0\0\0\0\0\0{", b"\x80\x02"]))
@settings(max_examples=200)
def test_noise(noise, start):
    with pytest.raises(CheckpointError):
        parse(start + noise)


# ------------------------------------------------------------ pickles that would rather run


class Reducible:
    """Pickles to a call."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def hostile_programs(canary):
    """Pickles that would create a file, by what they try."""
    make = f"open({str(canary)!r}, 'w').close()"
    touch = f"touch {canary}"
    system, evaluate = name("os", "system"), name("builtins", "eval")
    made = call(evaluate, make)
    programs = {
        f"{module}.{function}": call(name(module, function), argument)
        for module, function, argument in [
            ("os", "system", touch),
            ("posix", "system", touch),
            ("nt", "system", touch),
            ("subprocess", "getoutput", touch),
            ("builtins", "exec", make),
            ("builtins", "eval", make),
            ("__builtin__", "eval", make),
            ("builtins", "__import__", "os"),
            ("importlib", "import_module", "os"),
            ("pickle", "loads", "x"),
            ("_pickle", "loads", "x"),
            ("torch", "load", "x"),
            ("torch.serialization", "load", "x"),
            ("torch.storage", "_load_from_bytes", "x"),
            ("operator", "attrgetter", "system"),
            ("pkgutil", "resolve_name", "os:system"),
            ("collections", "OrderedDict.__class__", "x"),
            ("torch", "FloatStorage.__class__", "x"),
            ("torch._utils", "_rebuild_tensor_v2.__globals__", "x"),
            ("collections ", "OrderedDict", "x"),
            ("", "collections OrderedDict", "x"),
            ("torch._utils", "_rebuild_tensor_v2\0", "x"),
        ]
    }
    programs |= {
        "getattr": call(name("builtins", "getattr"), name("os", "path"), "os"),
        "attribute of a known name": call(name("builtins", "getattr"), REBUILD, "__globals__"),
        "stack global": Raw(code("os") + code("system") + b"\x93" + code((touch,)) + b"R"),
        "inst": Raw(b"(" + code(touch) + b"ios\nsystem\n"),
        "obj": Raw(b"(" + system + code(touch) + b"o"),
        "newobj": Raw(system + code((touch,)) + b"\x81"),
        "newobj of a known name": Raw(ORDERED[:-2] + code(()) + b"\x81"),
        "newobj ex": Raw(system + code((touch,)) + code({}) + b"\x92"),
        "extension 1": Raw(b"\x82\x01"),
        "extension 2": Raw(b"\x83\x01\x00"),
        "extension 4": Raw(b"\x84\x01\x00\x00\x00"),
        "persistent id as text": Raw(b"Pstorage\n"),
        "python 2 text": Raw(b"U\x01x"),
        "text in lines": Raw(b"Vx\n"),
        "buffer": Raw(b"\x97"),
        "call of a storage": call(name("torch", "FloatStorage"), 3),
        "call of a list": Raw(code([1]) + code(()) + b"R"),
        "call of a tensor": Raw(tensor() + code(()) + b"R"),
        "call without a tuple": Raw(ORDERED[:-3] + code([]) + b"R"),
        "dict of pairs": call(name("collections", "OrderedDict"), [("a", tensor())]),
        "hooks": Raw(tensor()[: -len(ORDERED) - 2] + code({"hook": made}) + b"tR"),
        "state of a function": Raw(REBUILD + code((None, {"__defaults__": (1,)})) + b"b"),
        "state of a tensor": Raw(tensor() + code({"shape": (9,)}) + b"b"),
        "state of a dict, slots": Raw(code({}) + code((None, {"x": 1})) + b"b"),
        "key": {"fine": tensor(), made: 1},
        "in a config": {"state_dict": {"w": tensor()}, "config": {"class": made}},
        "in what is left out": {"state_dict": {"w": tensor()}, "optimizer": made},
        "in a shape": call(REBUILD, STORAGE, 0, made, (3, 1), False, ORDERED),
        "as a storage": call(REBUILD, made, 0, (2, 3), (3, 1), False, ORDERED),
        "in a persistent id": Raw(code(("storage", made, "0", "cpu", 6)) + b"Q"),
    }
    encoded = {key: program(value if isinstance(value, dict) else {"w": value}) for key, value in programs.items()}
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        encoded[f"protocol {protocol}"] = pickle.dumps({"w": Reducible(os.system, touch)}, protocol)
        nested = pickle.dumps(Reducible(os.system, touch), protocol)
        encoded[f"nested, protocol {protocol}"] = pickle.dumps({"w": Reducible(pickle.loads, nested)}, protocol)
    return encoded


NAMES = list(hostile_programs("canary"))


@pytest.mark.parametrize("attempt", NAMES)
def test_nothing_in_a_pickle_is_run(refused, tmp_path, attempt):
    canary = tmp_path / "canary"
    refused(packed(hostile_programs(canary)[attempt], {"0": SIX.tobytes()}))
    assert not canary.exists()


@pytest.mark.skipif(os.name != "posix", reason="the hostile pickles call a shell")
def test_the_hostile_pickles_are_armed(tmp_path):
    """Python's unpickler falls for them: the canary would have sung."""
    for attempt in ("os.system", "builtins.eval", "stack global", "inst", "protocol 2", "nested, protocol 5"):
        canary = tmp_path / attempt.replace(" ", "-")
        pickle.loads(hostile_programs(canary)[attempt])
        assert canary.exists(), attempt


def test_python_is_told_of_no_import_and_no_call(tmp_path):
    """Its audit hooks hear of every name that a pickle looks up, and of all that is executed."""
    (tmp_path / "0.pth").write_bytes(one(tensor()))
    for number, content in enumerate(hostile_programs(tmp_path / "canary").values(), 1):
        (tmp_path / f"{number}.pth").write_bytes(packed(content, {"0": SIX.tobytes()}))
    script = """
import json, sys
from pathlib import Path
from focalrt.checkpoint import read_checkpoint
from focalrt.errors import CheckpointError
good, *paths = sorted(Path(sys.argv[1]).glob("*.pth"), key=lambda path: int(path.stem))
read_checkpoint(good)  # Python fetches code pages when it first needs them
told = set()
sys.addaudithook(lambda event, arguments: told.add(event))
refused = 0
for path in paths:
    try:
        read_checkpoint(path)
    except CheckpointError:
        refused += 1
print(json.dumps([len(paths), refused, sorted(told)]))
"""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-c", script, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=True)
    count, refused_count, told = json.loads(done.stdout)
    assert count == refused_count == len(NAMES)
    assert told == ["open"]


def test_the_message_names_what_was_asked_for(refused):
    message = refused(one(call(name("os", "system"), "x")))
    assert "'os system' for 'w'" in message
    assert "torch.save({k: c[k] for k in ('state_dict', 'config') if k in c}, path)" in message


def test_the_advice_on_a_training_checkpoint_keeps_parameters_and_config(torch, refused, read):
    """An optimizer's state has numbers for keys."""
    model = torch.nn.Linear(2, 3)
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(2)).sum().backward()
    optimizer.step()
    c = {"state_dict": model.state_dict(), "config": {"width": 18}, "optimizer": optimizer.state_dict(), "epoch": 3}
    file, path = io.BytesIO(), io.BytesIO()
    torch.save(c, file)
    code = re.search(r"torch\.save\(.*?, path\)", refused(file.getvalue()))[0]
    eval(code, {"torch": torch, "c": torch.load(io.BytesIO(file.getvalue()), weights_only=True), "path": path})
    checkpoint = read(path.getvalue())
    np.testing.assert_array_equal(checkpoint.parameters["weight"], model.weight.detach().numpy())
    assert checkpoint.config == {"width": 18}


# ------------------------------------------------------------ pickles that would rather crash


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"}(" + b")" + b"\x85" * 200_000 + b"K\x01u.", id="a key nested without end"),
        pytest.param(b"}" + b")" + b"\x85" * 200_000 + b"K\x01s.", id="an item's key nested without end"),
        pytest.param(code({1: 2}) + b".", id="a key that is a number"),
        pytest.param(b"](" * 100_000 + b".", id="lists without end"),
        pytest.param(b"(" * 200_000 + b".", id="marks without end"),
        pytest.param(b")" + b"\x85" * 200_000 + b".", id="tuples without end"),
        pytest.param(b"}" * 200_000 + b".", id="dicts without end"),
        pytest.param(b"}r\xff\xff\xff\x7f.", id="a large number of a value to keep"),
        pytest.param(b"}q\x01.", id="a number out of turn"),
        pytest.param(b"}q\x00]q\x00.", id="a number that is taken"),
        pytest.param(b"q\x00.", id="nothing to keep"),
        pytest.param(b"h\x00.", id="nothing kept"),
        pytest.param(b"j\xff\xff\xff\xff.", id="nothing kept by a large number"),
        pytest.param(b"X\xff\xff\xff\xffx.", id="a text that ends early"),
        pytest.param(b"X\x01\x00\x00\x00\xff.", id="a text not in UTF-8"),
        pytest.param(b"\x8d" + b"\xff" * 8 + b".", id="a text of 8 length bytes"),
        pytest.param(b"\x8e" + b"\xff" * 8 + b".", id="bytes of 8 length bytes"),
        pytest.param(b"\x8b\xff\xff\xff\x7f.", id="an integer of 2 GB"),
        pytest.param(b"L" + b"9" * 200_000 + b"L\n.", id="an integer of many digits"),
        pytest.param(b"\x95" + b"\xff" * 8 + b".", id="a frame"),
        pytest.param(b"c\xff\xff\n\xff\n.", id="a name not in UTF-8"),
        pytest.param(b"c" + b"x" * 200_000 + b"\nx\n.", id="a long name"),
        pytest.param(b"cos\\x\nsystem\n.", id="a name with an escape"),
        pytest.param(b"cos", id="a name that ends early"),
        pytest.param(b"K", id="a number that ends early"),
        pytest.param(b"", id="nothing"),
        pytest.param(b".", id="an end without a value"),
        pytest.param(b"}", id="no end"),
        pytest.param(b"t.", id="a tuple without a mark"),
        pytest.param(b"\x87.", id="a tuple of too few"),
        pytest.param(b"e.", id="items without a mark"),
        pytest.param(b"](a.", id="a mark for an item"),
        pytest.param(b"}(K\x01e.", id="a dict that is appended to"),
        pytest.param(b"](" + code("a") + b"K\x01u.", id="a list whose items are set"),
        pytest.param(b"}(" + code("a") + b"u.", id="half an item"),
        pytest.param(b"}s.", id="no item"),
        pytest.param(b"}Q.", id="an id that is a dict"),
        pytest.param(b"Q.", id="no id"),
        pytest.param(b"R.", id="no function"),
        pytest.param(b"b.", id="no state"),
        pytest.param(b"]h\x00a.", id="a value before it is kept"),
        pytest.param(b"0.", id="a value thrown away"),
        pytest.param(b"N2.", id="a value doubled"),
        pytest.param(code([tensor()]) + b".", id="a list"),
        pytest.param(code({}) + b".", id="no parameters"),
        pytest.param(code({"state_dict": {}}) + b".", id="no parameters in the state dict"),
        pytest.param(code({"state_dict": [tensor()]}) + b".", id="a state dict that is a list"),
        pytest.param(code({"w": None}) + b".", id="a parameter that is None"),
        pytest.param(code({"w": (1, 2)}) + b".", id="a parameter that is a tuple"),
        pytest.param(code({"w": REBUILD}) + b".", id="a parameter that is a name"),
        pytest.param(code({"w": STORAGE}) + b".", id="a parameter that is a storage"),
        pytest.param(code({"w": {"v": tensor()}}) + b".", id="parameters in parameters"),
    ],
)
def test_pickles_of_another_making(refused, content):
    refused(packed(b"\x80\x02" + content, {"0": SIX.tobytes()}))


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ({"w": Raw(tensor() + b"q\x01")}, "number its values"),
        ({"w": Raw(tensor() + b"q\x00q\x00")}, "number its values"),
        ({"w": Raw(tensor() + b"r\xff\xff\xff\xff")}, "number its values"),
        (Raw(b"}(" + code("w") + tensor() + code("v") + b"u"), "halves of items"),
        (Raw(code({"w": tensor()}) + code((None, {"x": 1})) + b"b"), "sets attributes"),
        ({"w": Raw(tensor() + code({"x": 1}) + b"b")}, "sets attributes"),
        ({"state_dict": {"w": tensor()}, "optimizer": {0: 1}}, "keys that are no text"),
        ({"state_dict": {"w": tensor()}, "more": Raw(b"NN0")}, "instruction b'0'"),
    ],
)
def test_pickles_that_would_be_good_but_for_one_thing(refused, weights, expected):
    assert expected in refused(packed(weights, {"0": SIX.tobytes()}))


def test_a_long_pickle(refused):
    assert str(MOST_DESCRIBED) in refused(packed(program({"w" * MOST_DESCRIBED: tensor()})))


# ------------------------------------------------------------ configs


def with_config(config):
    return packed({"state_dict": {"w": tensor()}, "config": config}, {"0": SIX.tobytes()})


def laughs(levels):
    """Nested lists, each twice in the next: few bytes, 4 * 2 ** levels - 1 values."""
    inner = b"](K\x01K\x02eq\x00"
    for level in range(levels):
        inner = b"](" + inner + b"h" + bytes([level]) + b"eq" + bytes([level + 1])
    return Raw(inner)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (["list"], "config is a list"),
        ("text", "config is a str"),
        ({"a": {"b": [1, tensor()]}}, "config['a']['b'][1] is a Tensor"),
        ({"a": (REBUILD,)}, "config['a'][0] is a Name"),
        ({"a": STORAGE}, "config['a'] is a Storage"),
        ({"a": laughs(12)}, "more than"),
        ({"a": list(range(MOST_VALUES))}, "more than"),
        ({"a": Raw(b"]q\x00h\x00a")}, "more than"),
        ({"a": Raw(b"}q\x00" + code("b") + b"h\x00s")}, "more than"),
        ({"a": Raw(b"]" * (MOST_NESTED + 1) + b"a" * MOST_NESTED)}, "more than"),
        ({"a": Raw(b")" + b"\x85" * 200_000)}, "more than"),
        ({"k" * 100_000: tensor()}, "...'] is a Tensor"),
    ],
)
def test_configs_that_are_none(refused, config, expected):
    assert expected in refused(with_config(config))


def test_configs_at_the_limits(read):
    config = {
        "deep": Raw(b"]" * MOST_NESTED + b"a" * (MOST_NESTED - 1)),
        "shared": laughs(10),
        "many": list(range(4000)),
    }
    found = read(with_config(config)).config
    assert found["many"] == list(range(4000))
    assert found["shared"][0] == found["shared"][1] and found["shared"][0] is not found["shared"][1]
    assert str(found["deep"]).count("[") == MOST_NESTED


def test_no_config(read):
    assert read(with_config(None)).config is None
    assert read(with_config({})).config == {}


# ------------------------------------------------------------ tensors that are none


@pytest.mark.parametrize(
    ("weight", "expected"),
    [
        (tensor(offset=1), "leaves its storage"),
        (tensor(offset=1 << 62), "leaves its storage"),
        (tensor(offset=1 << 2000), "leaves its storage"),
        (tensor(offset=-1), "offset or strides"),
        (tensor(offset=True), "offset or strides"),
        (tensor(strides=(4, 1)), "leaves its storage"),
        (tensor(strides=(1 << 61, 1)), "leaves its storage"),
        (tensor(strides=(-3, 1), offset=3), "offset or strides"),
        (tensor(strides=(3.0, 1)), "offset or strides"),
        (tensor(strides=(3,)), "offset or strides"),
        (tensor(strides=(3, 1, 1)), "offset or strides"),
        (tensor(strides=[3, 1]), "calls something"),
        (tensor(strides=(0, 1)), "more than once"),
        (tensor(strides=(1, 1)), "more than once"),
        (tensor(strides=(2, 1)), "more than once"),
        (tensor(strides=(1, 0)), "more than once"),
        (tensor(shape=(2, -3)), "no shape"),
        (tensor(shape=(2, 3.0)), "no shape"),
        (tensor(shape=(2, float("nan"))), "no shape"),
        (tensor(shape=(2, None)), "no shape"),
        (tensor(shape=(2, True)), "no shape"),
        (tensor(shape=[2, 3]), "calls something"),
        (tensor(shape="23"), "calls something"),
        (tensor(shape=(1,) * 9, strides=(1,) * 9), "no shape"),
        (tensor(shape=(1 << 20, 1 << 20), strides=(0, 0)), "more elements"),
        (tensor(shape=(1 << 2000, 2)), "more elements"),
        (tensor(shape=(0, 1 << 62), strides=(0, 0)), "more elements"),
        (tensor(size=5), "does not hold"),
        (tensor(size=7), "does not hold"),
        (tensor(size=1 << 62), "does not hold"),
        (tensor(size=-6), "does not describe"),
        (tensor(size=6.0), "does not describe"),
        (tensor(key="1"), "does not hold"),
        (tensor(key="../data.pkl"), "does not hold"),
        (tensor(key=0), "does not describe"),
        (tensor("DoubleStorage"), "does not hold"),
        (tensor("UntypedStorage"), "asks for"),
        (tensor(whole=Raw(code(("storage", "FloatStorage", "0", "cpu", 6)) + b"Q")), "does not describe"),
        (tensor(whole=Raw(code(("module", name("torch", "FloatStorage"), "0", "cpu", 6)) + b"Q")), "does not describe"),
        (tensor(whole=Raw(code(("storage", REBUILD, "0", "cpu", 6)) + b"Q")), "does not describe"),
        (tensor(whole=Raw(code(()) + b"Q")), "does not describe"),
        (tensor(whole=Raw(b"N")), "calls something"),
        (tensor(whole=Raw(tensor())), "calls something"),
        (call(REBUILD), "calls something"),
        (call(REBUILD, STORAGE, 0, (2, 3), (3, 1)), "calls something"),
        (call(REBUILD, STORAGE, 0, (2, 3), (3, 1), False, None), "calls something"),
        (call(REBUILD, STORAGE, 0, (2, 3), (3, 1), False, ORDERED, {"neg": True}), "calls something"),
        (call(name("torch._utils", "_rebuild_parameter"), None, True, ORDERED), "calls something"),
        (call(name("torch._utils", "_rebuild_sparse_tensor"), 1), "'torch._utils _rebuild_sparse_tensor' for 'w'"),
        (call(name("torch._utils", "_rebuild_qtensor"), 1), "'torch._utils _rebuild_qtensor' for 'w'"),
    ],
)
def test_tensors_that_are_none(refused, weight, expected):
    assert expected in refused(one(weight))


@pytest.mark.parametrize(
    ("kind", "dtype", "told"),
    [
        ("IntStorage", "i4", "int32"),
        ("ShortStorage", "i2", "int16"),
        ("CharStorage", "i1", "int8"),
        ("ByteStorage", "u1", "uint8"),
        ("BoolStorage", "?", "bool"),
        ("ComplexFloatStorage", "c8", "complex64"),
        ("ComplexDoubleStorage", "c16", "complex128"),
        ("LongStorage", "i8", "int64"),
    ],
)
def test_kinds_that_are_no_parameters(refused, kind, dtype, told):
    assert f"'w' is of {told}, shape (2, 3)" in refused(one(tensor(kind), SIX.astype(dtype).tobytes()))


def test_byte_orders_that_are_none(refused):
    assert "byte order b'middle'" in refused(one(tensor(), byteorder=b"middle"))
    assert len(refused(one(tensor(), byteorder=b"big" * 1000))) < 200


# ------------------------------------------------------------ zip files of another making


def test_compressed_records(refused):
    bomb = zipped([("data.pkl", program({"w": tensor()})), ("data/0", bytes(50_000_000))], method=zipfile.ZIP_DEFLATED)
    assert "compressed" in refused(bomb)


GOOD = [("data.pkl", program({"w": tensor()})), ("data/0", SIX.tobytes())]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(zipped([*GOOD, ("data/0", SIX.tobytes())]), "same name", id="a name twice"),
        pytest.param(zipped([*GOOD, ("data/0\0x", SIX.tobytes())]), "same name", id="a name cut at a zero"),
        pytest.param(zipped([*GOOD, ("../../x", b"")]), "'some/../../x'", id="a path upwards"),
        pytest.param(zipped([*GOOD, ("a//b", b"")]), "'some/a//b'", id="an empty folder name"),
        pytest.param(zipped([*GOOD, ("a/./b", b"")]), "'some/a/./b'", id="a folder of no name"),
        pytest.param(zipped([*GOOD, ("a\\b", b"")]), "none of torch.save", id="a path of Windows"),
        pytest.param(zipped(GOOD, folder=".."), "'../data.pkl'", id="an outer folder"),
        pytest.param(zipped(GOOD, folder=""), "'/data.pkl'", id="an absolute path"),
        pytest.param(zipped(GOOD, folder="a/b"), "no data.pkl", id="a folder in a folder"),
        pytest.param(zipped([*GOOD, ("constants.pkl", b"")]), "TorchScript", id="a program"),
        pytest.param(zipped([("weight.npy", b"")]), "no data.pkl", id="arrays of NumPy"),
        pytest.param(b"PK\x05\x06" + bytes(18), "neither", id="no records"),
        pytest.param(b"PK\x03\x04" + bytes(200), "cut short", id="no list of records"),
        pytest.param(zipped([(str(k), b"") for k in range(3)]), "no data.pkl", id="other records"),
    ],
)
def test_zip_files_of_another_making(refused, content, expected):
    assert expected in refused(content)


def test_more_than_one_folder(refused):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for key, content in GOOD:
            archive.writestr(f"some/{key}", content)
        archive.writestr("other/version", b"3")
    assert "more than one folder" in refused(file.getvalue())


def test_encrypted_records(refused):
    content = zipped(GOOD).replace(b"PK\x01\x02\x14\x03\x14\x00\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01\x00")
    assert "encrypted" in refused(content)


def patched_entry(content, key, **changes):
    """With other numbers in what the list at the end tells of a record."""
    at = content.index(b"PK\x01\x02")
    while not content[at + 46 :].startswith(b"some/" + key):
        at = content.index(b"PK\x01\x02", at + 1)
    fields = {"crc": (16, "<I"), "packed": (20, "<I"), "size": (24, "<I"), "start": (42, "<I")}
    changed = bytearray(content)
    for field, value in changes.items():
        struct.pack_into(fields[field][1], changed, at + fields[field][0], value)
    return bytes(changed)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"size": 23}, "compressed"),
        ({"size": 25, "packed": 25}, "checksum"),
        ({"size": 1 << 31, "packed": 1 << 31}, "larger in all"),
        ({"size": 100, "packed": 100}, "checksum"),
        ({"crc": 0}, "checksum"),
        ({"start": 0}, "not where it should be"),
        ({"start": 1 << 31}, "not in the file"),
        ({"start": 20}, "not where it should be"),
    ],
)
def test_records_that_are_not_where_the_file_says(refused, changes, expected):
    assert expected in refused(patched_entry(zipped(GOOD), b"data/0", **changes))


def test_records_that_overlap(refused):
    """Many names for one large record, as in the zip bombs that are not compressed."""
    large = bytes(100_000)
    content = zipped([*GOOD, ("a", large), *((f"b{k}", b"") for k in range(9))])
    start = content.index(b"some/a") - 30
    for k in range(9):
        content = patched_entry(content, b"b%d" % k, size=len(large), packed=len(large), crc=crc32(large), start=start)
    assert "larger in all" in refused(content)


def test_many_records(refused):
    assert str(MOST_RECORDS) in refused(b"PK\x03\x04" + b"PK\x01\x02" * (MOST_RECORDS + 1))


# ------------------------------------------------------------ files of safetensors of another making


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        pytest.param(b"{" * 10, "no JSON", id="no JSON"),
        pytest.param(b'{"w":' * 100_000, "no JSON", id="deep JSON"),
        pytest.param(b'{"w":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "no JSON", id="deep lists"),
        pytest.param(b'{"w": ' + b"9" * 100_000 + b"}", "", id="a number of many digits"),
        pytest.param(b'{"\xff": 1}', "no JSON", id="no UTF-8"),
        pytest.param('{"w": 1}'.encode("utf-16-le"), "no JSON", id="UTF-16"),
        pytest.param(b"{}", "no parameters", id="nothing"),
        pytest.param(b'{"__metadata__": {"a": "b"}}', "no parameters", id="metadata alone"),
        pytest.param(b'{"w": 1, "w": 2}', "same name", id="a name twice"),
        pytest.param({"__metadata__": {"a": 1}, "w": entry()}, "__metadata__", id="numbers in metadata"),
        pytest.param({"__metadata__": ["a"], "w": entry()}, "__metadata__", id="metadata in a list"),
        pytest.param({"w": 1}, "does not describe 'w'", id="a number"),
        pytest.param({"w": None}, "does not describe 'w'", id="null"),
        pytest.param({"w": [entry()]}, "does not describe 'w'", id="a list"),
        pytest.param({"w": {}}, "does not describe 'w'", id="no description"),
        pytest.param({"w": entry() | {"more": 1}}, "does not describe 'w'", id="more than a description"),
        pytest.param({"w": entry() | {"dtype": 32}}, "does not describe 'w'", id="a kind that is a number"),
        pytest.param({"w": entry() | {"shape": "23"}}, "does not describe 'w'", id="a shape that is a text"),
        pytest.param({"w": entry() | {"shape": {}}}, "does not describe 'w'", id="a shape that is an object"),
        pytest.param({"w": entry(offsets=(0,))}, "does not describe 'w'", id="one offset"),
        pytest.param({"w": entry(offsets=(0, 24, 48))}, "does not describe 'w'", id="three offsets"),
        pytest.param({"w": entry(offsets=(0, 24.0))}, "does not describe 'w'", id="an offset that is a float"),
        pytest.param({"w": entry(offsets=(False, 24))}, "does not describe 'w'", id="an offset that is a bool"),
        pytest.param({"w": entry(offsets=(-24, 0))}, "does not describe 'w'", id="an offset before the start"),
        pytest.param({"w": entry(offsets=(24, 0))}, "overlap or leave gaps", id="an end before the beginning"),
        pytest.param({"w": entry(offsets=(1, 24))}, "overlap or leave gaps", id="a gap at the start"),
        pytest.param({"w": entry(offsets=(0, 23))}, "23 bytes", id="a gap at the end"),
        pytest.param({"w": entry(offsets=(0, 25))}, "25 bytes", id="a file too short"),
        pytest.param({"w": entry(offsets=(0, 1 << 70))}, f"{1 << 70} bytes", id="a large offset"),
        pytest.param({"w": entry(), "v": entry()}, "overlap or leave gaps", id="two at one place"),
        pytest.param({"w": entry("F32", (3,), (0, 12)), "v": entry("F32", (4,), (8, 24))}, "overlap", id="an overlap"),
        pytest.param({"w": entry("F32", (2,), (0, 8)), "v": entry("F32", (2,), (16, 24))}, "gaps", id="a gap"),
        pytest.param({"w": entry(shape=(2, 4))}, "for the shape (2, 4)", id="a shape too large"),
        pytest.param({"w": entry(shape=(2, -3))}, "no shape", id="a negative side"),
        pytest.param({"w": entry(shape=(2, 3.0))}, "no shape", id="a side that is a float"),
        pytest.param({"w": entry(shape=(2, float("nan")))}, "no shape", id="a side that is no number"),
        pytest.param({"w": entry(shape=(2, float("inf")))}, "no shape", id="an endless side"),
        pytest.param({"w": entry(shape=(2, "3"))}, "no shape", id="a side that is a text"),
        pytest.param({"w": entry(shape=(1,) * 9)}, "no shape", id="nine sides"),
        pytest.param({"w": entry(shape=(1 << 40, 1 << 40))}, "more elements", id="a large shape"),
        pytest.param({"w": entry(shape=(0, 1 << 62), offsets=(0, 0))}, "more elements", id="an empty shape, large"),
        pytest.param({"w": entry("I64", (3,))}, "'w' is of int64", id="integers"),
        pytest.param({"w": entry("BOOL", (24,))}, "BOOL", id="bool"),
        pytest.param({"w": entry("F8_E4M3", (24,))}, "F8_E4M3", id="eight bits"),
        pytest.param({"w": entry("float32")}, "float32", id="a kind by another name"),
        pytest.param({"w" * 100_000: entry("U8")}, "...'", id="a long name"),
    ],
)
def test_safetensors_of_another_making(refused, header, expected):
    assert expected in refused(tensors_of(header, SIX.tobytes()))


def test_an_array_that_ends_before_it_begins(refused):
    """And so brings the end of the others to that of the file."""
    header = {"a": entry("F16", (5,), (0, 24)), "b": entry("F32", (0,), (24, 10))}
    assert "overlap or leave gaps" in refused(tensors_of(header, bytes(10)))


@pytest.mark.parametrize("length", [0, 1, 1000, MOST_DESCRIBED + 1, 1 << 40, (1 << 64) - 1])
def test_header_lengths_that_are_wrong(refused, length):
    refused(struct.pack("<Q", length) + SMALL["safetensors"][8:])


def test_a_long_header(refused):
    header = json.dumps({"w": entry()}).encode() + b" " * MOST_DESCRIBED
    assert str(MOST_DESCRIBED) in refused(tensors_of(header, SIX.tobytes()))


# ------------------------------------------------------------ other files


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is empty"),
        (b"PK", "neither"),
        (b"hello, world", "begins with b'hello, world'"),
        (b"\n<!DOCTYPE html><html><body>404</body></html>", "a web page"),
        (b"<HTML><HEAD>", "a web page"),
        (b'<?xml version="1.0"?><Error>AccessDenied</Error>', "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", "git lfs pull"),
        (pickle.dumps(0x1950A86A20F9469CFC6C, 2) + b"more", "before 1.6"),
        (pickle.dumps({"w": [1, 2]}, 4), "a pickle that torch.save did not write"),
        (b"\x1f\x8b\x08\x00" + bytes(20), "gzip"),
        (b"\x93NUMPY\x01\x00" + bytes(20), "neither"),
        (b"{" * 8, "neither"),
    ],
)
def test_what_other_files_are(refused, content, expected):
    assert expected in refused(content)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_checkpoint(tmp_path / "none.pth")
    with pytest.raises(OSError, match=r"directory|denied"):
        read_checkpoint(tmp_path)


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no endless file here")
def test_a_file_without_end():
    with pytest.raises(CheckpointError, match="is empty"):
        read_checkpoint("/dev/zero")


def test_a_large_file(tmp_path):
    """Sparse: it takes no room, and is not read."""
    path = tmp_path / "file"
    path.write_bytes(SMALL["torch"])
    os.truncate(path, MOST_BYTES + 1)
    with pytest.raises(CheckpointError, match=f"at most {MOST_BYTES} are read"):
        read_checkpoint(path)


def test_the_error_is_the_packages_and_a_value_error(tmp_path):
    path = tmp_path / "it is here.pth"
    path.write_bytes(b"")
    for kind in (focalrt.CheckpointError, FocalrtError, ValueError):
        with pytest.raises(kind, match=r"it is here\.pth"):
            read_checkpoint(str(path))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files are counted by Linux's list")
def test_no_file_stays_open(read, refused):
    before = len(os.listdir("/proc/self/fd"))
    kept = [read(SMALL["torch"]), read(SMALL["safetensors"])]
    refused(b"<html>")
    refused(SMALL["torch"][:-30])
    assert len(os.listdir("/proc/self/fd")) == before
    assert kept


# ------------------------------------------------------------ memory

MEGABYTE = 1 << 20


def peak_of(path):
    """Bytes that reading takes at most, whether it succeeds or not."""
    tracemalloc.start()
    try:
        read_checkpoint(path)
    except CheckpointError:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return peak


@pytest.mark.parametrize("kind", ["FloatStorage", "DoubleStorage", "HalfStorage", "BFloat16Storage"])
def test_good_files_take_their_size_and_their_arrays(tmp_path, kind):
    size, path = MEGABYTE, tmp_path / "file"
    content = bytes(size * {"F": 4, "D": 8, "H": 2, "B": 2}[kind[0]])
    path.write_bytes(one(tensor(kind, size=size, shape=(1024, 1024), strides=(1, 1024)), content))
    assert peak_of(path) < len(content) + 4 * size + MEGABYTE


def bombs():
    """Files of one or two MB that ask for more."""
    megabyte = bytes(MEGABYTE)
    large = tensor(size=MEGABYTE // 4, shape=(MEGABYTE // 4,), strides=(1,))
    again = {"a": Raw(large + b"q\x00"), **{f"b{k}": Raw(b"h\x00") for k in range(5000)}}
    expanded = {f"b{k}": tensor(size=MEGABYTE // 4, shape=(1 << 18, 8), strides=(1, 0)) for k in range(9)}
    yield "one tensor under many names", packed(again, {"0": megabyte})
    yield "expanded tensors", packed(expanded, {"0": megabyte})
    yield "one expanded tensor", packed({"w": tensor(shape=(1 << 40,), strides=(0,))}, {"0": SIX.tobytes()})
    yield "dicts", packed(b"\x80\x02" + b"}" * (MOST_DESCRIBED - 3) + b".")
    yield "marks", packed(b"\x80\x02" + b"(" * 200_000 + b".")
    yield "nested tuples", packed(b"\x80\x02)" + b"\x85" * 50_000 + b".")
    yield "a large number to keep", packed(b"\x80\x02}r\xff\xff\xff\xff.")
    yield "wide text", packed(b"\x80\x02" + code("a" * (MOST_DESCRIBED - 20) + "\U0001f600") + b".")
    yield "a header of small objects", tensors_of(b'{"w":[' + b"{}," * 340_000 + b"{}]}")
    yield "many records", b"PK\x03\x04" + zipped([(str(k), b"") for k in range(MOST_RECORDS)])[4:]
    yield "compressed zeros", zipped([*GOOD, ("x", bytes(50 * MEGABYTE))], method=zipfile.ZIP_DEFLATED)


@pytest.mark.parametrize(("kind", "content"), [pytest.param(*bomb, id=bomb[0]) for bomb in bombs()])
def test_no_file_takes_more_than_five_times_its_size_and_100_megabytes(tmp_path, kind, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    assert len(content) < 4 * MEGABYTE
    assert peak_of(path) < 5 * len(content) + 100 * MEGABYTE
