"""What importing and running the package brings in, touches and leaves alone; each question in a process of its own."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Literal, get_origin

import pytest

import focalrt
from focalrt.extras import imported

PACKAGE = Path(focalrt.__file__).parent
LAYERS = [  # a module imports from the lines above its own only
    {"errors"},
    {"checkpoint", "extras"},
    {"geometry"},
    {"checks", "description"},
    {"graphs"},
    {"kernels"},
    {"taps"},
    {"runs"},
    {"merge"},
    {"stopwatch"},
    {"networks"},
    {"pipeline"},
    {"zoom_in"},
    {"session"},
    {"zoo"},
    {"model"},
    {"imagefile", "overlay", "masks"},
    {"upload"},
    {"conversion", "evaluation"},
    {"serve"},
    {"adapters"},
    {"cli"},
]
LAYER = {name: number for number, names in enumerate(LAYERS) for name in names}


def answer(program, *arguments, cwd):
    """Runs a program; what it prints, as JSON."""
    path = os.pathsep.join([str(PACKAGE.parent), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-c", program, *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": path}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A model folder, written here: the processes have to do without onnx."""
    pytest.importorskip("onnx", reason="the tiny model is written with onnx, of the test extra")
    from tiny_model import write_tiny_model

    return write_tiny_model(tmp_path_factory.mktemp("models") / "tiny")


# ------------------------------------------------------------ importing


def test_importing_the_package_brings_in_nothing_heavy(tmp_path):
    program = "import focalrt, sys, json; dir(focalrt); print(json.dumps(sorted(sys.modules)))"
    loaded = {name.split(".")[0] for name in answer(program, cwd=tmp_path)}
    assert not loaded & {"numpy", "numba", "llvmlite", "onnxruntime", "cv2", "scipy", "torch", "onnx"}


def test_asking_for_a_version_brings_in_nothing_heavy(tmp_path):
    program = """
import contextlib, io, json, sys
from focalrt.cli import main
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    main(["--version"])
print(json.dumps(sorted(sys.modules)))
"""
    loaded = {name.split(".")[0] for name in answer(program, cwd=tmp_path)}
    assert not loaded & {"numpy", "numba", "onnxruntime", "cv2", "scipy"}


@pytest.mark.parametrize("name", focalrt.__all__)
def test_every_public_name_is_there(name):
    value = getattr(focalrt, name)
    assert value.__name__ == name or get_origin(value) is Literal  # a choice of texts has no name of its own
    assert name in dir(focalrt)


def test_the_public_names_are_those_that_can_be_imported():
    assert sorted(focalrt._HOME) == sorted(focalrt.__all__)
    scope = {}
    exec("from focalrt import *", scope)
    assert set(focalrt.__all__) <= set(scope)


def test_the_masks_formats_are_there_without_another_import(tmp_path):
    program = """
import json, focalrt
print(json.dumps(["masks" in dir(focalrt), "__version__" in dir(focalrt), focalrt.masks.__name__]))
"""
    assert answer(program, cwd=tmp_path) == [True, True, "focalrt.masks"]


@pytest.mark.parametrize("name", ["masks", "zoo", "overlay", "imagefile", "upload", "runs", "merge", "description"])
def test_what_runs_no_network_brings_in_no_onnxruntime(tmp_path, name):
    program = f"import json, sys, focalrt.{name}; print(json.dumps(sorted(sys.modules)))"
    assert "onnxruntime" not in answer(program, cwd=tmp_path)


def test_listing_the_models_brings_in_no_onnxruntime(tmp_path):
    program = """
import contextlib, io, json, sys
from focalrt.cli import main
with contextlib.redirect_stdout(io.StringIO()):
    main(["models"])
print(json.dumps(sorted(sys.modules)))
"""
    assert not {"onnxruntime", "numba"} & set(answer(program, cwd=tmp_path))


def test_an_extra_that_is_missing_and_one_that_is_broken(tmp_path, monkeypatch):
    """What is installed and cannot be imported is not cured by installing it; what is wrong with it is told."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "broken_extra.py").write_text("import no_such_library")
    (tmp_path / "broken_package").mkdir()
    (tmp_path / "broken_package" / "__init__.py").write_text("from math import no_such_name")
    for module in ("no_such_extra", "no_such_extra.part", "json.no_such_part"):
        with pytest.raises(focalrt.MissingExtraError, match=r"^work needs the 'some' extra: .*'focalrt\[some\]'$"):
            imported(module, "work", "some")
    for module, told in (("broken_extra", "no_such_library"), ("broken_package.part", "no_such_name")):
        with pytest.raises(focalrt.MissingExtraError, match=rf"{module} is there, but cannot .*{told}"):
            imported(module, "work", "some")


def test_a_name_that_is_not_there():
    with pytest.raises(AttributeError, match="no attribute 'Sesion'"):
        focalrt.Sesion  # noqa: B018


# ------------------------------------------------------------ running

CLICK = """
def click(folder):
    import numpy, focalrt, focalrt.cli, focalrt.imagefile, focalrt.overlay
    image = numpy.random.default_rng(0).integers(0, 256, (40, 60, 3), numpy.uint8)
    session = focalrt.load(folder).session(image, merge="always")
    session.click(30, 20)
    session.click(10, 10, False)
    session.accept_all()
    session.probability()
    session.paint(numpy.ones((3, 3), bool), (1, 1, 4, 4))
    session.undo()
    focalrt.overlay.draw(image, session.mask, session.clicks)
    return int(session.mask.sum())
"""


def test_a_click_needs_neither_a_framework_nor_onnx(tmp_path, tiny):
    program = f"""
import json, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "torchvision", "tensorflow", "jax", "onnx"):
            raise ImportError(name + " is blocked")

sys.meta_path.insert(0, Blocker())
{CLICK}
print(json.dumps(click(sys.argv[1])))
"""
    assert answer(program, tiny, cwd=tmp_path) > 0


def test_a_click_opens_no_socket_and_starts_no_process(tmp_path, tiny):
    """Python tells its audit hooks of either, whoever asks."""
    program = f"""
import json, sys
told = []
sys.addaudithook(lambda event, arguments: told.append(event))
{CLICK}
click(sys.argv[1])
kinds = ("socket.", "subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn", "urllib.", "http.")
print(json.dumps([event for event in told if event.startswith(kinds)]))
"""
    assert answer(program, tiny, cwd=tmp_path) == []


def test_a_click_without_sockets(tmp_path, tiny):
    program = f"""
import json, socket, sys

class NoSocket:
    def __init__(self, *_, **__):
        raise OSError("no network here")

socket.socket = NoSocket
{CLICK}
print(json.dumps(click(sys.argv[1])))
"""
    assert answer(program, tiny, cwd=tmp_path) > 0


def test_a_click_changes_nothing_global(tmp_path, tiny):
    """The libraries are imported first: what they do to a process is theirs."""
    program = f"""
import hashlib, json, locale, logging, os, random, signal, sys, threading, warnings
import cv2, numba, numpy, onnxruntime, scipy.special

def world():
    umask = os.umask(0)
    os.umask(umask)
    return dict(
        environment=dict(os.environ),
        numpy_errors=numpy.geterr(),
        numpy_print=repr(numpy.get_printoptions()),
        numpy_random=hashlib.sha256(repr(numpy.random.get_state()).encode()).hexdigest(),
        python_random=hashlib.sha256(repr(random.getstate()).encode()).hexdigest(),
        cv2_threads=cv2.getNumThreads(),
        cv2_optimized=cv2.useOptimized(),
        numba_threads=numba.get_num_threads(),
        signals=[repr(signal.getsignal(number)) for number in sorted(signal.valid_signals())],
        umask=umask,
        folder=os.getcwd(),
        path=sys.path[:],
        locale=locale.setlocale(locale.LC_ALL),
        recursion=sys.getrecursionlimit(),
        hooks=[repr(sys.excepthook), repr(threading.excepthook), repr(sys.gettrace())],
        logging=[repr(logging.getLogger().handlers), logging.getLogger().level],
        warnings=repr(warnings.filters),
        affinity=sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        threads=threading.active_count(),
    )
{CLICK}
before = world()
click(sys.argv[1])
after = world()
print(json.dumps([name for name in before if before[name] != after[name]]))
"""
    assert answer(program, tiny, cwd=tmp_path) == []


def test_a_click_writes_nothing_where_it_is_run(tmp_path, tiny):
    assert answer(f"import json, sys\n{CLICK}\nprint(json.dumps(click(sys.argv[1])))", tiny, cwd=tmp_path) > 0
    assert not list(tmp_path.iterdir())
    assert sorted(path.name for path in tiny.iterdir()) == ["model.json", "refiner.onnx", "segmentor.onnx"]


# ------------------------------------------------------------ who imports whom


def part(path):
    """The part of the package that a file belongs to: its module, or its folder in the package."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_parts(path):
    """The parts of the package that a file imports, inside functions and for type checkers too."""
    home = ["focalrt", *path.relative_to(PACKAGE).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = home[: len(home) - node.level + 1] if node.level else []
            base = [*base, *node.module.split(".")] if node.module else base
            names = [[*base, alias.name] for alias in node.names]
        else:
            continue
        yield from (name[1] for name in names if name[0] == "focalrt" and name[1:] != ["__version__"])


# __init__.py is the face of the package: it names what all the others hold
FILES = [path for path in sorted(PACKAGE.rglob("*.py")) if path != PACKAGE / "__init__.py" and part(path) != "weights"]


@pytest.mark.parametrize("path", [pytest.param(path, id=str(path.relative_to(PACKAGE))) for path in FILES])
def test_imports_lead_downwards_only(path):
    own = part(path)
    others = set(imported_parts(path)) - {own}
    assert own in LAYER, "which layer is it?"
    assert others <= set(LAYER)
    assert all(LAYER[other] < LAYER[own] for other in others), (own, others)


def test_the_layers_name_no_module_that_is_gone():
    assert {part(path) for path in FILES} == set(LAYER)
