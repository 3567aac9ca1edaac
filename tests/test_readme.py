"""Every claim of README that can be executed is."""

import re
import shlex
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from stub import stub_model

import focalrt
from focalrt.cli import parser
from focalrt.imagefile import read_image, read_mask

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_ten_lines_run():
    (code,) = blocks("python")
    names = {"image": read_image(ROOT / "docs" / "photos" / "coffee.jpg")}
    exec(code, names)
    session = names["session"]
    assert session.mask.shape == names["image"].shape[:2]
    assert 0 < session.mask.mean() < 1


def test_the_first_command_writes_mask_and_overlay(tmp_path):
    command = next(block for block in blocks("sh") if "focalrt segment" in block)
    words = shlex.split(command.rpartition("&&")[2])
    assert words[0] == ".venv/bin/focalrt"
    words = [str(ROOT / word) if word.startswith("docs/") else word for word in words[1:]]
    subprocess.run([sys.executable, "-m", "focalrt.cli", *words], cwd=tmp_path, check=True, timeout=300)
    mask, seen = read_mask(tmp_path / "mask.png"), read_image(tmp_path / "seen.png")
    assert mask.shape == seen.shape[:2]
    assert 0 < mask.mean() < 1


def test_the_second_command_is_the_one_that_decides():
    command = next(block for block in blocks("sh") if "pytest" in block)
    steps = [step.strip() for step in command.split("&&")]
    assert steps == [
        "python3 -m venv .venv",
        '.venv/bin/pip install -e ".[test]"',
        ".venv/bin/python -m pytest",
    ]
    gate = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert 'pip" install -q -e ".[test]"' in gate
    assert 'python" -m pytest' in gate


@pytest.mark.parametrize("page", ["README.md", "docs/evaluation.md", "weights/README.md"])
def test_commands_are_ones_that_focalrt_takes(page):
    """Every line that begins with the program's name, in a block or between backticks."""
    text = (ROOT / page).read_text(encoding="utf-8")
    commands = re.findall(r"^focalrt .*$", text, re.MULTILINE) + re.findall(r"`(focalrt [^`]*)`", text)
    assert commands
    for command in commands:
        words = shlex.split(command)[1:]
        if len(words) > 1:
            parser().parse_args(words)
        else:
            assert parser().format_help().count(f"\n    {words[0]} ") == 1, command


def test_files_and_links_exist():
    paths = re.findall(r"`((?:focalrt|bench|weights|docs)/[\w./]*)`", README)
    paths += re.findall(r"\]\((?!http)([^)#]+)", README)
    assert len(paths) > 8
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_documented_calls_exist():
    calls = re.findall(r"`session\.(\w+)", README)
    assert {"click", "undo", "mask", "withheld"} <= set(calls)
    assert [name for name in calls if not hasattr(focalrt.Session, name)] == []


@pytest.mark.parametrize("given", [False, True], ids=["from scratch", "from a mask"])
def test_a_click_allocates_the_same_in_a_larger_image(given):
    """O(crop): what a click takes depends on the object, not on the image (4 and 36 megapixels)."""
    peaks = []
    for side in (2000, 6000):
        image = np.zeros((side, side, 3), np.uint8)
        mask = np.zeros((side, side), np.bool_)
        mask[700:1200, 800:1300] = given
        session = stub_model().session(image, mask)
        session.mask  # noqa: B018  painted once; from then on only changes are
        view = (700, 600, 1400, 1300)
        session.click(1000, 900, view=view)
        session.click(1350, 950, view=view)
        tracemalloc.start()
        session.click(1320, 1000)
        session.click(900, 720, False)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]
    assert peaks[1] < 8e6


@pytest.mark.parametrize(("name", "page"), [("SPEC", "docs/spec.md"), ("REFERENCE", "docs/reference.md")])
def test_sections_that_code_names_exist(name, page):
    sections = set(re.findall(r"^## (\d+)\.", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE))
    named = set()
    for folder in ("focalrt", "tests", "bench", "weights/train"):
        for path in (ROOT / folder).rglob("*.py"):
            text = re.sub(r"\s+", " ", path.read_text(encoding="utf-8"))
            for first in re.findall(rf"{name} sections? ([\d, and to]+)", text):
                named |= set(re.findall(r"\d+", first))
    assert named
    assert named <= sections
