"""Data sets: tiny trees in every layout with hand-made truths, their damaged and hostile kin, and the shared photos."""

import json
import os
import pickle
import struct
import sys
import zlib
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import masks

from focalrt.errors import (
    ArgumentTypeError,
    ArgumentValueError,
    DatasetError,
    ImageFileError,
    MissingExtraError,
)
from focalrt.evaluation.datasets import LAYOUTS, LEAST_AREA, folders, open_dataset
from focalrt.evaluation.datasets.coco_shapes import read_shape
from focalrt.evaluation.datasets.found import sample_name
from focalrt.evaluation.datasets.maps import MOST_PIXELS, read_ids
from focalrt.evaluation.datasets.matfile import read_field

PIL = pytest.importorskip("PIL.Image", reason="Pillow, of the eval extra, reads masks")
matlab = pytest.importorskip("scipy.io", reason="SciPy, of the test extra, writes the MATLAB files")
pycocotools = pytest.importorskip("pycocotools.mask", reason="pycocotools, of the eval extra, draws polygons")

ROOT = Path(__file__).resolve().parent.parent
VAL = Path(os.environ.get("FOCALRT_SHARED", ROOT.parent / "shared")) / "data" / "val"
HEIGHT, WIDTH = 20, 24
LEFT, RIGHT = np.s_[2:18, 1:9], np.s_[4:16, 12:22]  # two objects of 128 and 120 pixels
RIM = np.s_[0:2, :]  # ignored, or background
CROWD = np.s_[10:20, 5:24]  # overlaps both objects


class Expected(NamedTuple):
    """A tree on disk, as it should be read."""

    root: Path
    truths: dict[str, np.ndarray]
    masks: dict[str, dict[str, np.ndarray]] | None = None


def truth(*objects, ignored=()):
    """Hand-made: 1 on the objects, -1 on what is ignored, elsewhere 0."""
    plane = np.zeros((HEIGHT, WIDTH), np.int8)
    for part in ignored:
        plane[part] = -1
    for part in objects:
        plane[part] = 1
    return plane


def ids(left=1, right=2, rim=0):
    plane = np.zeros((HEIGHT, WIDTH), np.uint8)
    plane[RIM], plane[LEFT], plane[RIGHT] = rim, left, right
    return plane


def write_photo(path, shape=(HEIGHT, WIDTH)):
    write(path, np.arange(shape[0] * shape[1] * 3, dtype=np.uint8).reshape(*shape, 3))


def write(path, pixels):
    """Grey values, or colours as BGR."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)


def write_palette(path, indices):
    """Colours that tell nothing of the index: 1 is black, 0 is white."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = PIL.fromarray(indices, "L")
    image.putpalette([255, 255, 255, 0, 0, 0] + [value for index in range(2, 256) for value in (index, 7, 9)])
    image.save(path)


def write_list(path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def write_mat(path, segmentation, compressed=True):
    path.parent.mkdir(parents=True, exist_ok=True)
    boundaries = np.empty((2, 1), object)
    boundaries[:] = [[np.eye(3)], [np.eye(4)]]
    content = {"other": np.eye(2), "GTinst": {"Boundaries": boundaries, "Segmentation": segmentation, "Categories": 5}}
    matlab.savemat(path, content, do_compression=compressed)


# ------------------------------------------------------------ a tree for each layout


def plain(root):
    write_photo(root / "b.jpg")
    write(root / "b.png", ids(7, 3, rim=255))
    write_photo(root / "a#1.JPEG")
    write_palette(root / "a#1.PNG", ids(1, 0))
    rim = [RIM]
    truths = {"b.7": truth(LEFT, ignored=rim), "b.3": truth(RIGHT, ignored=rim), "a_1.1": truth(LEFT)}
    return Expected(root, truths)


def blue(plane):
    """A mask in colours: the other channels tell something else."""
    return np.stack([plane, plane * 0, 255 - plane], 2)


def trimaps(root, photos, masks, ending):
    for name, grey in (("flower", 255), ("a b", 129)):
        write_photo(root / photos / f"{name}.jpg")
        plane = ids(grey, 127)
        plane[RIM] = 128
        write(root / masks / f"{name}{ending}", blue(plane) if grey == 129 else plane)
    return Expected(root, dict.fromkeys(("flower", "a_b"), truth(LEFT, ignored=[RIM])))


def grabcut(root):
    return trimaps(root, "data_GT", "boundary_GT", ".bmp")


def berkeley(root):
    return trimaps(root, "images", "masks", ".png")


def davis(root):
    for name, channel in (("00000", 0), ("00001", 2)):
        write_photo(root / "img" / f"{name}.jpg")
        colours = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        colours[LEFT] = 255
        colours[(*RIGHT, channel)] = 1
        write(root / "gt" / f"{name}.png", colours)
    return Expected(root, dict.fromkeys(("00000", "00001"), truth(LEFT, RIGHT)))


def davis_tree(root):
    photos, maps = root / "JPEGImages" / "480p", root / "Annotations" / "480p"
    for sequence, frame, plane in (
        ("bear", "00000", ids(1, 2)),
        ("bear", "00001", ids(0, 2, rim=255)),
        ("camel", "00000", ids(255, 0)),
        ("trained-on", "00000", ids(1, 2)),
    ):
        write_photo(photos / sequence / f"{frame}.jpg")
        write_palette(maps / sequence / f"{frame}.png", plane)
    write_list(root / "ImageSets" / "2017" / "val.txt", "camel", "bear", "")
    write_list(root / "ImageSets" / "2016" / "val.txt", "bear")
    truths = {
        "bear/00000.1": truth(LEFT),
        "bear/00000.2": truth(RIGHT),
        "bear/00001.2": truth(RIGHT, ignored=[RIM]),
        "camel/00000.255": truth(LEFT),
    }
    return Expected(root, truths)


def davis585(root):
    truths, to_correct = {}, {}
    for name, frame, part, defect in (
        ("bear/object1_00000", "00000", LEFT, RIGHT),
        ("bear/object12_00000", "00000", RIGHT, LEFT),
        ("camel/object1_00070", "00070", RIGHT, RIM),
    ):
        folder, mask = (root / name).parent, (root / name).name
        write_photo(folder / f"{frame}.jpg")
        plane = np.full((HEIGHT, WIDTH), 128, np.uint8)
        plane[part] = 129
        write(folder / f"{mask}.png", blue(plane))
        for kind, pixels in (("sp", plane.copy()), ("stm", np.zeros_like(plane))):
            pixels[defect] = 255
            write(folder / f"init_{kind}_{mask}.png", pixels)
        truths[name] = truth(part)
        to_correct[name] = {"sp": truth(part, defect) == 1, "stm": truth(defect) == 1}
    return Expected(root, truths, to_correct)


def sbd(root):
    for name, plane in (("2008_000002", ids(1, 2)), ("2008_000001", ids(0, 255).astype(np.float64))):
        write_photo(root / "img" / f"{name}.jpg")
        write_mat(root / "inst" / f"{name}.mat", plane)
    write_photo(root / "img" / "trained_on.jpg")
    write_list(root / "val.txt", "2008_000002", "2008_000001")
    truths = {"2008_000002.1": truth(LEFT), "2008_000002.2": truth(RIGHT), "2008_000001.255": truth(RIGHT)}
    return Expected(root, truths)


def voc(root):
    for name, plane in (("2007_000033", ids(1, 16, rim=255)), ("2007_000032", ids(0, 3, rim=255))):
        write_photo(root / "JPEGImages" / f"{name}.jpg")
        write_palette(root / "SegmentationObject" / f"{name}.png", plane)
    write_photo(root / "JPEGImages" / "trained_on.jpg")
    write_list(root / "ImageSets" / "Segmentation" / "val.txt", "2007_000033", "2007_000032")
    rim = [RIM]
    truths = {
        "2007_000033.1": truth(LEFT, ignored=rim),
        "2007_000033.16": truth(RIGHT, ignored=rim),
        "2007_000032.3": truth(RIGHT, ignored=rim),
    }
    return Expected(root, truths)


def lengths(mask):
    """Lengths of runs down the columns, one pixel after the other."""
    found, inside = [0], False
    for value in mask.T.ravel().tolist():
        if value != inside:
            found.append(0)
            inside = value
        found[-1] += 1
    return found


def run_lengths(part):
    return {"size": [HEIGHT, WIDTH], "counts": lengths(truth(part) == 1)}


def rectangle(part):
    """Its corners, x before y."""
    (top, bottom), (left, right) = ((side.start, side.stop) for side in part)
    return [left, top, right, top, right, bottom, left, bottom]


def instances():
    """The JSON of two photos: objects as polygon, list and text, and a crowd in each way that one can lie."""
    text = pycocotools.encode(np.asfortranarray(truth(RIGHT) == 1, np.uint8))["counts"].decode()
    sizes = {"height": HEIGHT, "width": WIDTH}
    shapes = [
        (70, 9, 4, 0, [rectangle(LEFT)]),
        (71, 9, 5, 0, {"size": [HEIGHT, WIDTH], "counts": text}),
        (72, 9, 4, 1, run_lengths(CROWD)),
        (73, 8, 5, 0, run_lengths(LEFT)),
        (74, 8, 5, 0, [rectangle(LEFT), rectangle(RIGHT)]),
    ]
    keys = ("id", "image_id", "category_id", "iscrowd", "segmentation")
    return {
        "images": [
            {"id": 9, "file_name": "000009.jpg", **sizes},
            {"id": 8, "file_name": "sub/000008.jpg", **sizes},
        ],
        "annotations": [dict(zip(keys, shape, strict=True)) for shape in shapes],
    }


def coco(root):
    write_photo(root / "val2017" / "000009.jpg")
    write_photo(root / "images" / "sub" / "000008.jpg")
    write_list(root / "annotations" / "instances_train2017.json", "not read")
    write_list(root / "annotations" / "captions_val2017.json", "not read")
    write_list(root / "annotations" / "instances_val2017.json", json.dumps(instances()))
    truths = {
        "000009.70": truth(LEFT, ignored=[CROWD]),
        "000009.71": truth(RIGHT),
        "sub/000008.73": truth(LEFT),
        "sub/000008.74": truth(LEFT, RIGHT),
    }
    return Expected(root, truths)


def imagenet_s(root):
    for folder, left, right in (("n02", 3, 919), ("n01", 256, 1000)):
        write_photo(root / "validation" / folder / "x.JPEG" if folder == "n02" else root / "validation/n01/x.jpg")
        plane = np.zeros((HEIGHT, WIDTH), int)
        plane[LEFT], plane[RIGHT] = left, right
        blue_green_red = np.stack([plane * 0, plane // 256, plane % 256], 2).astype(np.uint8)
        write(root / "validation-segmentation" / folder / "x.png", blue_green_red)
    truths = {"n02/x.3": truth(LEFT), "n02/x.919": truth(RIGHT), "n01/x.256": truth(LEFT, ignored=[RIGHT])}
    return Expected(root, truths)


TREES = {
    "plain": plain,
    "grabcut": grabcut,
    "berkeley": berkeley,
    "davis": davis,
    "davis-tree": davis_tree,
    "davis585": davis585,
    "sbd": sbd,
    "voc": voc,
    "coco": coco,
    "imagenet-s": imagenet_s,
}


@pytest.fixture(params=TREES)
def layout(request):
    return request.param


@pytest.fixture
def tree(layout, tmp_path):
    return TREES[layout](tmp_path / "The set")


def read_all(root, layout=None):
    dataset = open_dataset(root, layout)
    for sample in dataset.samples:
        sample.read()
        for mask in sample.masks.values():
            mask()
    return dataset


def read_or_refused(read, *told):
    """What ``read`` returns; None where it refuses, saying so."""
    try:
        return read()
    except DatasetError as error:
        message = str(error)
    assert all(each in message for each in told)
    return None


# ------------------------------------------------------------ what is read


def test_every_layout_has_its_tree_and_its_lines():
    assert list(LAYOUTS) == list(TREES)
    for layout in LAYOUTS.values():
        assert layout.tree and "\n" not in layout.tree
        assert "::" in layout.read.__doc__


def test_samples_have_their_names_truths_and_masks(tree, layout):
    dataset = open_dataset(tree.root)
    assert (dataset.name, dataset.layout, dataset.left_out) == ("The set", layout, 0)
    assert [sample.name for sample in dataset.samples] == sorted(tree.truths)
    for sample in dataset.samples:
        image, found = sample.read()
        assert image.shape == (HEIGHT, WIDTH, 3)
        assert found.dtype == np.int8
        np.testing.assert_array_equal(found, tree.truths[sample.name])
        expected = (tree.masks or {}).get(sample.name, {})
        assert list(sample.masks) == list(expected)
        for kind, mask in sample.masks.items():
            assert mask().dtype == np.bool_
            np.testing.assert_array_equal(mask(), expected[kind])


def test_the_layout_may_be_named_and_the_path_a_string(tree, layout):
    assert repr(open_dataset(str(tree.root), layout)) == repr(open_dataset(tree.root))


def test_order_does_not_depend_on_the_file_system(tree, monkeypatch):
    expected = repr(open_dataset(tree.root))
    monkeypatch.setattr(folders, "entries", lambda folder: list(os.scandir(folder))[::-1])
    assert repr(open_dataset(tree.root)) == expected


def test_samples_travel_to_other_processes(tree):
    dataset = open_dataset(tree.root)
    copied = pickle.loads(pickle.dumps(dataset))
    for sample, copy in zip(dataset.samples, copied.samples, strict=True):
        assert copy.name == sample.name
        for ours, theirs in zip(sample.read(), copy.read(), strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_hidden_and_other_files_are_passed_over(tree):
    for folder in {path.parent for path in tree.root.rglob("*.*")}:
        (folder / "._00000.png").write_bytes(b"left by a Mac")
        (folder / ".hidden.jpg").write_bytes(b"")
        (folder / "Thumbs.db").write_bytes(b"left by Windows")
    assert [sample.name for sample in open_dataset(tree.root).samples] == sorted(tree.truths)


def test_opening_reads_no_photo(tree, layout):
    photos = sorted({sample.photo for sample in open_dataset(tree.root).samples})
    for photo in photos:
        photo.write_bytes(b"no photo")
    for sample in open_dataset(tree.root, layout).samples:
        with pytest.raises(ImageFileError, match=sample.photo.name):
            sample.read()


# ------------------------------------------------------------ what is missing or damaged


def files_of_samples(tree, layout):
    """Photos and masks that samples come from; lists of them have tests of their own."""
    endings = {".jpg", ".jpeg", ".png", ".bmp", ".mat"}
    files = [path for path in tree.root.rglob("*.*") if path.suffix.lower() in endings]
    return sorted(path for path in files if not {"trained_on.jpg", "trained-on"} & set(path.parts))


def test_every_missing_file_is_named(tree, layout):
    for path in files_of_samples(tree, layout):
        content = path.read_bytes()
        path.unlink()
        with pytest.raises(DatasetError) as error:
            open_dataset(tree.root, layout)
        assert path.stem in str(error.value)
        path.write_bytes(content)


@pytest.mark.parametrize("damage", ["text", "empty", "cut"])
def test_every_damaged_file_is_named(tree, layout, damage):
    for path in files_of_samples(tree, layout):
        content = path.read_bytes()
        left = {"text": b"this is text", "empty": b"", "cut": content[: len(content) // 2]}[damage]
        if damage == "cut" and path.suffix.lower() in (".jpg", ".jpeg"):
            continue  # a photo cut short is one all the same, grey below
        path.write_bytes(left)
        with pytest.raises((DatasetError, ImageFileError)) as error:
            read_all(tree.root, layout)
        assert path.name in str(error.value)
        path.write_bytes(content)


def test_a_photo_of_another_size_is_an_error(tree):
    for photo in {sample.photo for sample in open_dataset(tree.root).samples}:
        write_photo(photo.with_suffix(".bmp"), (HEIGHT + 1, WIDTH))
        photo.with_suffix(".bmp").replace(photo)
    for sample in open_dataset(tree.root).samples:
        with pytest.raises(DatasetError, match=f"{sample.name}: the truth is 24 x 20 pixels.*24 x 21"):
            sample.read()


def test_a_file_that_is_gone_since_is_an_error_of_the_system(tree):
    sample = open_dataset(tree.root).samples[0]
    sample.photo.unlink()
    with pytest.raises(FileNotFoundError, match=sample.photo.name.replace("#", ".")):
        sample.read()


def test_an_empty_folder_of_each_kind_is_an_error(tree, layout):
    for path in files_of_samples(tree, layout):
        path.unlink()
    with pytest.raises(DatasetError):
        open_dataset(tree.root, layout)


# ------------------------------------------------------------ finding the layout


def test_nothing_that_fits_lists_what_was_looked_for(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing to see")
    with pytest.raises(DatasetError, match="fits no layout; say which it is, as in layout='plain'") as error:
        open_dataset(tmp_path)
    for name, layout in LAYOUTS.items():
        assert f"{name}: {layout.tree}" in str(error.value)


def test_two_that_fit_are_listed_and_either_can_be_named(tmp_path):
    berkeley(tmp_path)
    davis(tmp_path)
    with pytest.raises(DatasetError, match="fits several layouts; say which it is, as in layout='berkeley'") as error:
        open_dataset(tmp_path)
    assert LAYOUTS["davis"].tree in str(error.value)
    assert LAYOUTS["plain"].tree not in str(error.value)
    assert open_dataset(tmp_path, "berkeley").samples[0].name == "a_b"
    assert open_dataset(tmp_path, "davis").samples[0].name == "00000"


def test_a_layout_that_does_not_fit_says_what_is_missing(tmp_path):
    (tmp_path / "img").mkdir()
    with pytest.raises(DatasetError, match=r"has no inst, val.txt; the layout sbd is\n  img/name.jpg"):
        open_dataset(tmp_path, "sbd")


@pytest.mark.parametrize(
    ("path", "layout", "error", "told"),
    [
        (7, None, ArgumentTypeError, "path: expected a folder's path"),
        (b"photos", None, ArgumentTypeError, "path: expected a folder's path"),
        (".", 7, ArgumentTypeError, "layout: expected a layout's name, or None; got int 7"),
        (".", "Plain", ArgumentValueError, "layout: expected one of plain, grabcut, berkeley, .*; got str 'Plain'"),
        ("nowhere", None, DatasetError, "no folder 'nowhere'"),
        ("no\0where", None, DatasetError, "no folder"),
        (__file__, None, DatasetError, "fits no layout"),
        (__file__, "coco", DatasetError, "the layout coco is"),
    ],
)
def test_arguments_that_are_none(path, layout, error, told):
    with pytest.raises(error, match=told):
        open_dataset(path, layout)


# ------------------------------------------------------------ names


def test_samples_that_would_share_a_name_are_an_error(tmp_path):
    for name in ("a b", "a#b"):
        write_photo(tmp_path / "img" / f"{name}.jpg")
        write(tmp_path / "gt" / f"{name}.png", ids())
    with pytest.raises(DatasetError, match=r"two samples are called 'a_b': of .*a b.jpg' and of .*a#b.jpg'"):
        open_dataset(tmp_path)


def test_two_photos_for_one_mask_are_an_error(tmp_path):
    berkeley(tmp_path)
    write_photo(tmp_path / "images" / "flower.png")
    with pytest.raises(DatasetError, match=r"flower.jpg' and 'flower.png' share a name; expected one of them"):
        open_dataset(tmp_path)


def test_what_was_looked_for_is_told(tmp_path):
    write(tmp_path / "masks" / "x.png", ids())
    (tmp_path / "images").mkdir()
    with pytest.raises(DatasetError, match=r"no photo for .*x.png': expected x.jpg, x.jpeg, x.png or x.bmp in .*imag"):
        open_dataset(tmp_path)


@given(st.text(min_size=1, max_size=8))
def test_sample_names_are_made_of_letters_digits_and_four_signs(part):
    name = sample_name("folder", part)
    assert name.startswith("folder/") and len(name) == 7 + len(part)
    assert all(character.isalnum() or character in "_-." for character in name[7:])
    name.encode()


# ------------------------------------------------------------ id maps


def test_small_objects_are_left_out_and_counted(tmp_path):
    write_photo(tmp_path / "x.jpg")
    plane = np.zeros((HEIGHT, WIDTH), np.uint8)
    plane[0, :1], plane[5:14, 0:11], plane[15:20, 0:20] = 1, 2, 3
    write(tmp_path / "x.png", plane)
    assert (plane == 2).sum() == LEAST_AREA - 1 and (plane == 3).sum() == LEAST_AREA
    dataset = open_dataset(tmp_path)
    assert [sample.name for sample in dataset.samples] == ["x.3"]
    assert dataset.left_out == 2
    plane[plane == 3] = 0
    write(tmp_path / "x.png", plane)
    with pytest.raises(DatasetError, match="all 2 objects are smaller than 100 pixels"):
        open_dataset(tmp_path)


def test_a_mask_of_0_and_255_is_no_id_map(tmp_path):
    write_photo(tmp_path / "x.jpg")
    write(tmp_path / "x.png", ids(255, 0))
    with pytest.raises(DatasetError, match=r"x.png' holds nothing but 0 and 255, which is ignored.*'berkeley'"):
        open_dataset(tmp_path)


def test_a_photo_without_objects_is_no_sample(tmp_path):
    plain(tmp_path)
    write_photo(tmp_path / "empty.jpg")
    write(tmp_path / "empty.png", ids(0, 0))
    assert len(open_dataset(tmp_path).samples) == 3


def test_ids_of_sixteen_bits(tmp_path):
    write(tmp_path / "x.png", ids().astype(np.uint16) * 30000)
    np.testing.assert_array_equal(np.unique(read_ids(tmp_path / "x.png")), [0, 30000, 60000])


def test_ids_of_one_bit(tmp_path):
    PIL.fromarray(ids(1, 0) * 255).convert("1").save(tmp_path / "x.png")
    np.testing.assert_array_equal(read_ids(tmp_path / "x.png"), ids(1, 0))


def test_an_id_map_in_colours_is_an_error(tmp_path):
    write(tmp_path / "x.png", np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    with pytest.raises(DatasetError, match=r"x.png': expected 1-bit grey, grey, palette, 16-bit grey; got colours"):
        read_ids(tmp_path / "x.png")


def test_a_file_of_another_format_is_an_error(tmp_path):
    write_photo(tmp_path / "x.jpg")
    (tmp_path / "x.jpg").replace(tmp_path / "x.png")
    with pytest.raises(DatasetError, match=r"x.png' is not a whole PNG image"):
        read_ids(tmp_path / "x.png")


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


@pytest.mark.parametrize("side", [11_600, 2**31 - 1])
def test_a_png_that_claims_too_many_pixels_is_not_decoded(tmp_path, side):
    assert side**2 > MOST_PIXELS
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
    (tmp_path / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"") + chunk(b"IEND", b""))
    with pytest.raises(DatasetError, match=r"x.png'"), pytest.warns() if side < 2**20 else nullcontext():
        read_ids(tmp_path / "x.png")


@given(st.data())
def test_damaged_pngs_are_read_or_refused(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "damaged.png"
    content = bytearray(cv2.imencode(".png", ids())[1].tobytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    found = read_or_refused(lambda: read_ids(path), "damaged.png")
    assert found is None or found.ndim == 2


# ------------------------------------------------------------ DAVIS


@pytest.mark.parametrize(
    ("lists", "expected"),
    [
        ({"2017": ["camel"], "2016": ["bear"]}, {"camel"}),
        ({"2016": ["bear"], "480p": ["/JPEGImages/480p/camel/00000.jpg /x/camel/00000.png"]}, {"bear"}),
        ({"480p": ["/JPEGImages/480p/camel/00000.jpg /Annotations/480p/camel/00000.png"] * 2}, {"camel"}),
        ({}, {"bear", "camel", "trained-on"}),
    ],
)
def test_the_first_list_says_which_sequences_are_read(tmp_path, lists, expected):
    davis_tree(tmp_path)
    for year in ("2016", "2017"):
        (tmp_path / "ImageSets" / year / "val.txt").unlink()
    for year, lines in lists.items():
        write_list(tmp_path / "ImageSets" / year / "val.txt", *lines)
    assert {sample.name.split("/")[0] for sample in open_dataset(tmp_path).samples} == expected


def test_davis585_without_masks_to_correct(tmp_path):
    davis585(tmp_path)
    for path in tmp_path.rglob("init_*.png"):
        path.unlink()
    assert [dict(sample.masks) for sample in open_dataset(tmp_path).samples] == [{}, {}, {}]


def test_davis585_with_another_name_is_an_error(tmp_path):
    davis585(tmp_path)
    write(tmp_path / "bear" / "overlay.png", ids())
    with pytest.raises(
        DatasetError, match=r"overlay.png': expected a name like object1_00000 or init_sp_object1_00000"
    ):
        open_dataset(tmp_path)


# ------------------------------------------------------------ lists of names

LISTS = {"sbd": "val.txt", "voc": "ImageSets/Segmentation/val.txt", "davis-tree": "ImageSets/2017/val.txt"}


@pytest.mark.parametrize("layout", LISTS)
@pytest.mark.parametrize("name", ["missing", "../outside", "/etc/passwd", "C:\\windows", "a\\..\\..\\b", "."])
def test_names_that_are_not_there_or_lead_elsewhere(tmp_path, layout, name):
    TREES[layout](tmp_path / "set")
    write_list(tmp_path / "set" / LISTS[layout], name)
    with pytest.raises(DatasetError, match=r"val.txt' names (it|.*expected the name of a file below)"):
        open_dataset(tmp_path / "set")


@pytest.mark.parametrize("layout", LISTS)
def test_lists_that_are_none(tmp_path, layout):
    TREES[layout](tmp_path)
    (tmp_path / LISTS[layout]).write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(DatasetError, match=r"val.txt' is no list of names, one on a line"):
        open_dataset(tmp_path)
    (tmp_path / LISTS[layout]).write_bytes(b"\n\n")
    with pytest.raises(DatasetError, match="holds no object"):
        open_dataset(tmp_path)


# ------------------------------------------------------------ MATLAB files


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("kind", ["u1", "i2", "u4", "i8", "f4", "f8"])
def test_matlab_matrices_are_read_as_written(tmp_path, kind, compressed):
    plane = np.arange(6).reshape(2, 3).astype(kind)
    write_mat(tmp_path / "x.mat", plane, compressed)
    np.testing.assert_array_equal(read_field(tmp_path / "x.mat", "GTinst", "Segmentation"), plane)


def test_matlab_matrices_of_four_bytes_lie_in_their_tag(tmp_path):
    write_mat(tmp_path / "x.mat", np.array([[1, 2], [3, 4]], np.uint8), compressed=False)
    np.testing.assert_array_equal(read_field(tmp_path / "x.mat", "GTinst", "Segmentation"), [[1, 2], [3, 4]])


def element(kind, content, order="<"):
    padding = bytes(0 if kind == 15 else -len(content) % 8)
    return struct.pack(f"{order}II", kind, len(content)) + content + padding


def matrix(kind, shape, name, *contents, order="<"):
    head = element(6, struct.pack(f"{order}II", kind, 0), order) + element(5, struct.pack(f"{order}2i", *shape), order)
    return element(14, head + element(1, name, order) + b"".join(contents), order)


def mat_file(*elements, order="<"):
    mark = struct.pack(f"{order}H", 0x4D49)
    return b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack(f"{order}H", 0x100) + mark + b"".join(elements)


def ground_truth(field, names=b"Segmentation\0", width=13, order="<"):
    heads = element(5, struct.pack(f"{order}i", width), order), element(1, names, order)
    return matrix(2, (1, 1), b"GTinst", *heads, field, order=order)


@pytest.mark.parametrize("order", "<>")
def test_matlab_files_of_either_byte_order(tmp_path, order):
    field = matrix(11, (2, 3), b"", element(4, struct.pack(f"{order}6H", 1, 2, 3, 4, 5, 600), order), order=order)
    (tmp_path / "x.mat").write_bytes(mat_file(ground_truth(field, order=order), order=order))
    found = read_field(tmp_path / "x.mat", "GTinst", "Segmentation")
    np.testing.assert_array_equal(found, [[1, 3, 5], [2, 4, 600]])


NUMBERS = matrix(9, (2, 2), b"", element(2, bytes(4)))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is not a whole MATLAB 5 file"),
        (b"\x89HDF\r\n\x1a\n" * 100, "is not a whole MATLAB 5 file"),
        (mat_file(), "holds no struct GTinst"),
        (mat_file(matrix(9, (1, 1), b"GTinst", element(2, b"1"))), "holds no struct GTinst"),
        (mat_file(ground_truth(NUMBERS)[:-16]), "is not a whole"),
        (mat_file(ground_truth(NUMBERS, names=b"Boundaries\0\0\0")), "is not a whole"),
        (mat_file(ground_truth(NUMBERS, width=0)), "is not a whole"),
        (mat_file(ground_truth(NUMBERS, width=-1)), "is not a whole"),
        (mat_file(ground_truth(b"")), "is not a whole"),
        (mat_file(ground_truth(element(2, bytes(64)))), "is not a whole"),
        (mat_file(ground_truth(matrix(9, (2, 3), b"", element(2, bytes(4))))), "is not a whole"),
        (mat_file(ground_truth(matrix(9, (-1, 4), b"", element(2, bytes(4))))), "is not a whole"),
        (mat_file(ground_truth(matrix(9, (2**31 - 1, 2**31 - 1), b"", element(2, bytes(4))))), "is not a whole"),
        (mat_file(ground_truth(matrix(1, (2, 2), b"", NUMBERS * 4))), "is not a whole"),
        (mat_file(ground_truth(matrix(4, (2, 2), b"", element(2, b"text")))), "is not a whole"),
        (mat_file(ground_truth(matrix(9, (2, 2), b"", struct.pack("<II", 2, 100), bytes(4)))), "is not a whole"),
        (mat_file(ground_truth(matrix(9, (2, 2), b"", element(77, bytes(4))))), "is not a whole"),
        (mat_file(ground_truth(matrix(6, (1, 1), b"", element(9, bytes(7))))), "is not a whole"),
        (mat_file(element(15, b"not compressed")), "is not a whole"),
        (mat_file(element(15, zlib.compress(b""))), "is not a whole"),
        (mat_file(struct.pack("<II", 14, 2**32 - 1)), "is not a whole"),
    ],
)
def test_matlab_files_without_the_matrix_are_an_error(tmp_path, content, told):
    (tmp_path / "x.mat").write_bytes(content)
    with pytest.raises(DatasetError, match=f"x.mat' {told}"):
        read_field(tmp_path / "x.mat", "GTinst", "Segmentation")


def test_a_deeply_nested_matlab_file_ends_nothing(tmp_path):
    """SciPy 1.17 ends the process on it."""
    heads, size = [], 0
    for _ in range(100_000):
        head = matrix(1, (1, 1), b"GTinst")[8:]
        size += len(head)
        heads.append(struct.pack("<II", 14, size) + head)
        size += 8
    (tmp_path / "x.mat").write_bytes(mat_file(element(15, zlib.compress(b"".join(reversed(heads))))))
    with pytest.raises(DatasetError, match=r"x.mat' holds no struct GTinst"):
        read_field(tmp_path / "x.mat", "GTinst", "Segmentation")


@given(st.data())
def test_damaged_matlab_files_are_read_or_refused(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "damaged.mat"
    content = bytearray(mat_file(ground_truth(NUMBERS)))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(126, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    found = read_or_refused(lambda: read_field(path, "GTinst", "Segmentation"), "damaged.mat")
    assert found is None or found.ndim == 2


@pytest.mark.parametrize("value", [-1, 65536, 1.5, np.nan, np.inf])
def test_instances_that_are_no_ids_are_an_error(tmp_path, value):
    sbd(tmp_path)
    write_mat(tmp_path / "inst" / "2008_000001.mat", np.full((HEIGHT, WIDTH), value))
    with pytest.raises(DatasetError, match=r"2008_000001.mat': expected .* integers from 0 to 65535"):
        open_dataset(tmp_path)


# ------------------------------------------------------------ COCO


def write_instances(root, change):
    """COCO's tree, its JSON changed."""
    coco(root)
    content = instances()
    change(content)
    write_list(root / "annotations" / "instances_val2017.json", json.dumps(content))
    return root


@pytest.mark.parametrize("place", ["annotations/instances_val2017.json", "val2017/_annotations.coco.json"])
def test_a_json_file_is_a_data_set_by_itself(tmp_path, place):
    coco(tmp_path)
    target = tmp_path / place
    content = instances()
    content["images"], content["annotations"] = content["images"][:1], content["annotations"][:3]
    write_list(target, json.dumps(content))
    dataset = open_dataset(target)
    assert (dataset.name, dataset.layout) == (target.stem, "coco")
    assert [sample.name for sample in dataset.samples] == ["000009.70", "000009.71"]


def as_lvis(content):
    """LVIS v1 names no files, and takes photos of both splits of COCO."""
    for image, split in zip(content["images"], ("val2017", "train2017"), strict=True):
        image["coco_url"] = f"http://images.cocodataset.org/{split}/{Path(image.pop('file_name')).name}"


@pytest.mark.parametrize("folder", [".", "images"])
def test_lvis_names_photos_by_their_address(tmp_path, folder):
    content = instances()
    as_lvis(content)
    write_list(tmp_path / "annotations" / "lvis_v1_val.json", json.dumps(content))
    paths = [tmp_path / folder / "train2017" / "000008.jpg", tmp_path / folder / "val2017" / "000009.jpg"]
    for path in paths:
        write_photo(path)
    dataset = open_dataset(tmp_path / "annotations" / "lvis_v1_val.json")
    assert [sample.name for sample in dataset.samples] == [
        "train2017/000008.73", "train2017/000008.74", "val2017/000009.70", "val2017/000009.71"
    ]
    assert [sample.photo for sample in dataset.samples] == [paths[0], paths[0], paths[1], paths[1]]
    np.testing.assert_array_equal(dataset.samples[2].read().truth, truth(LEFT, ignored=[CROWD]))


@pytest.mark.parametrize("url", [5, None, "", "http://host", "http://host/../x.jpg", "http:/host/..", "a/\0"])
def test_addresses_that_name_no_photo(tmp_path, url):
    def change(content):
        del content["images"][0]["file_name"]
        content["images"][0]["coco_url"] = url

    with pytest.raises(DatasetError, match=r"instances_val2017\.json'"):
        open_dataset(write_instances(tmp_path, change))


@pytest.mark.parametrize("place", ["val2017", "images/val2017", "images", "."])
def test_photos_lie_where_people_put_them(tmp_path, place):
    coco(tmp_path)
    (tmp_path / "val2017" / "000009.jpg").unlink()
    write_photo(tmp_path / place / "000009.jpg")
    assert open_dataset(tmp_path).samples[0].photo == tmp_path / place / "000009.jpg"


@pytest.mark.parametrize("files", [[], ["instances_a.json", "instances_b.json"], ["instances_val.json"]])
def test_which_json_is_meant_has_to_be_clear(tmp_path, files):
    coco(tmp_path)
    if len(files) != 1:
        (tmp_path / "annotations" / "instances_val2017.json").unlink()
    if files:
        for name in files:
            write_list(tmp_path / "annotations" / name, "{}")
        with pytest.raises(DatasetError, match=r"expected one instances_\*.json; found instances_.*Give the path"):
            open_dataset(tmp_path)
    else:
        with pytest.raises(DatasetError, match=r"instances_train2017.json' is not JSON"):
            open_dataset(tmp_path)


def test_the_pixels_of_a_polygon(tmp_path):
    expected = np.zeros((5, 6), np.bool_)
    expected[1:3, 1:4] = True
    shape = read_shape([[1, 1, 4, 1, 4, 3, 1, 3]], 5, 6, "here")
    np.testing.assert_array_equal(shape.mask(), expected)
    assert shape.area == 6


@given(masks())
def test_run_lengths_as_list_and_as_text_are_the_mask(mask):
    height, width = mask.shape
    text = pycocotools.encode(np.asfortranarray(mask, np.uint8))["counts"].decode()
    for counts in (text, lengths(mask)):
        shape = read_shape({"size": [height, width], "counts": counts}, height, width, "here")
        assert shape.lengths.tolist() == lengths(mask)
        assert shape.area == mask.sum()
        np.testing.assert_array_equal(shape.mask(), mask)


@given(st.text(max_size=12) | st.text(st.characters(min_codepoint=48, max_codepoint=111), max_size=40))
def test_any_text_of_run_lengths_fills_the_plane_or_is_refused(text):
    segmentation = {"size": [3, 4], "counts": text}
    shape = read_or_refused(lambda: read_shape(segmentation, 3, 4, "here"), "here: ", "expected ")
    assert shape is None or shape.mask().shape == (3, 4)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(st.sampled_from(["size", "counts"]), inner),
    max_leaves=12,
)


@given(json_values | st.lists(st.lists(st.floats(-6, 9) | st.integers(-6, 9), min_size=5, max_size=9), max_size=3))
def test_any_segmentation_is_a_shape_or_is_refused(segmentation):
    shape = read_or_refused(lambda: read_shape(segmentation, 3, 4, "here"), "here: ", "expected ")
    assert shape is None or shape.mask().shape == (3, 4)


FIRST = "annotations[0]"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda c: c.pop("images"), "expected a list as 'images'; got NoneType None"),
        (lambda c: c.update(annotations={}), "expected a list as 'annotations'; got dict"),
        (lambda c: c["images"].insert(0, 7), "images[0]: expected an integer as 'id'"),
        (lambda c: c["images"].append(c["images"][0]), "images[2]: expected an id of its own; 9 is another's too"),
        (lambda c: c["images"][0].update(id="9"), "images[0]: expected an integer as 'id'; got str '9'"),
        (lambda c: c["images"][0].update(height=20.0), "images[0]: expected an integer as 'height'"),
        (lambda c: c["images"][0].update(width=True), "images[0]: expected an integer as 'width'"),
        (lambda c: c["images"][0].update(width=0), "images[0]: expected 1 to"),
        (lambda c: c["images"][0].update(width=10**4000), "images[0]: expected 1 to"),
        (lambda c: c["images"][0].update(file_name=None), "images[0]: expected text as 'file_name'"),
        (lambda c: c["images"][0].update(file_name="../../x.jpg"), "names '../../x.jpg'; expected the name of a file"),
        (lambda c: c["images"][0].update(file_name="a\\..\\..\\x.jpg"), "expected the name of a file below"),
        (lambda c: c["images"][0].update(file_name="/etc/x.jpg"), "expected the name of a file below"),
        (lambda c: c["images"][0].update(file_name="C:x.jpg"), "expected the name of a file below"),
        (lambda c: c["images"][0].update(file_name="x\0.jpg"), "expected the name of a file below"),
        (lambda c: c["images"][0].update(file_name=""), "expected the name of a file below"),
        (lambda c: c["images"][0].update(file_name="\ud800.jpg"), "it is in none of"),
        (lambda c: c["images"][0].update(file_name="elsewhere.jpg"), "names the photo 'elsewhere.jpg'; it is in none"),
        (lambda c: c["annotations"].insert(0, None), f"{FIRST}: expected an integer as 'image_id'"),
        (lambda c: c["annotations"][0].pop("id"), f"{FIRST}: expected an integer as 'id'"),
        (lambda c: c["annotations"][0].update(id=71), "two samples are called '000009.71'"),
        (lambda c: c["annotations"][0].update(image_id=5), f"{FIRST}: expected 'image_id' to be the id of an image"),
        (lambda c: c["annotations"][0].update(image_id=[9]), f"{FIRST}: expected an integer as 'image_id'"),
        (lambda c: c["annotations"][0].update(category_id="4"), f"{FIRST}: expected an integer as 'category_id'"),
        (lambda c: c["annotations"][0].update(iscrowd="no"), f"{FIRST}: expected 'iscrowd' to be 0 or 1; got str"),
        (lambda c: c["annotations"][0].update(iscrowd=[]), f"{FIRST}: expected 'iscrowd' to be 0 or 1; got list"),
        (lambda c: c["annotations"][0].pop("segmentation"), f"{FIRST}: expected polygons or run lengths"),
        (lambda c: c["annotations"][0].update(segmentation=[]), f"{FIRST}: expected polygons or run lengths"),
        (lambda c: c["annotations"][0].update(segmentation=[[1, 2, 3, 4]]), f"{FIRST}: expected polygons as numbers"),
        (lambda c: c["annotations"][0].update(segmentation=[[1] * 7]), f"{FIRST}: expected polygons as numbers"),
        (lambda c: c["annotations"][0].update(segmentation=[1] * 8), f"{FIRST}: expected polygons as numbers"),
        (lambda c: c["annotations"][0].update(segmentation=[[1, 2, 3, 4, 5, "6"]]), "expected polygons as numbers"),
        (lambda c: c["annotations"][0].update(segmentation=[[1, 2, 3, 4, 5, np.nan]]), "coordinates on 24 x 20"),
        (lambda c: c["annotations"][0].update(segmentation=[[1, 2, 3, 4, 5, 10**400]]), "coordinates on 24 x 20"),
        (lambda c: c["annotations"][0].update(segmentation=[[1, 2, 3, 4, 5e8, 6]]), "coordinates on 24 x 20"),
        (lambda c: c["annotations"][0].update(segmentation=[[0, 0, 48, 40] * 30_000]), "an outline of at most"),
        (lambda c: c["annotations"][2]["segmentation"].update(size=[24, 20]), "of size [20, 24]; got list [24, 20]"),
        (lambda c: c["annotations"][2]["segmentation"].pop("counts"), "expected run lengths as 'counts'"),
        (lambda c: c["annotations"][2]["segmentation"].update(counts=[1.0, 479]), "expected run lengths as 'counts'"),
        (lambda c: c["annotations"][2]["segmentation"].update(counts=[-1, 481]), "'counts'[0]: expected a whole"),
        (
            lambda c: c["annotations"][2]["segmentation"].update(counts=[479]),
            "'counts': expected counts that add up to 480 pixels; got 479",
        ),
        (
            lambda c: c["annotations"][2]["segmentation"].update(counts=[10**4000]),
            "'counts': expected a flat list of whole numbers; got list [",
        ),
        (lambda c: c["annotations"][1]["segmentation"].update(counts="\u00e9"), "'counts': expected ASCII characters"),
        (lambda c: c["annotations"][1]["segmentation"].update(counts="\ud800"), "'counts': expected ASCII characters"),
        (lambda c: c["annotations"][1]["segmentation"].update(counts="p"), "expected the characters '0' to 'o'"),
        (lambda c: c["annotations"][1]["segmentation"].update(counts=""), "'counts': expected at least one count"),
        (lambda c: c["annotations"][1]["segmentation"].update(counts="o"), "the string was cut off"),
        (lambda c: c["annotations"][1]["segmentation"].update(counts="o" * 99 + "0"), "at most 7 characters a count"),
        (lambda c: c["annotations"][1]["segmentation"].update(counts="O"), "'counts'[0]: expected a whole number"),
        (lambda c: c["annotations"][1]["segmentation"].update(counts="oooooo?"), "'counts'[0]: expected a whole"),
    ],
)
def test_json_that_is_not_coco_says_where(tmp_path, change, told):
    with pytest.raises(DatasetError) as error:
        open_dataset(write_instances(tmp_path, change))
    assert told in str(error.value)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"null", b"[]", b"[" * 200_000, b'{"images": 1e999}'])
def test_json_that_is_none(tmp_path, content):
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=r"x.json'"):
        open_dataset(path)


@pytest.mark.parametrize("depth", [100, 900, 950, 980, 5000])
def test_json_that_is_deep_where_it_should_not_be(tmp_path, depth):
    path = tmp_path / "x.json"
    path.write_text('{"images": [], "annotations": {"a": ' + "[" * depth + "]" * depth + "}}")
    with pytest.raises(DatasetError, match=r"x.json'"):
        open_dataset(path)


def test_annotations_need_not_say_that_they_are_no_crowd(tmp_path):
    root = write_instances(tmp_path, lambda content: content["annotations"][0].pop("iscrowd"))
    assert len(open_dataset(root).samples) == 4


def test_images_without_objects_need_no_photo(tmp_path):
    picture = {"id": 1, "file_name": "none.jpg", "height": 1, "width": 1}
    root = write_instances(tmp_path, lambda content: content["images"].append(picture))
    assert len(open_dataset(root).samples) == 4


# ------------------------------------------------------------ what is not installed


@pytest.mark.parametrize(("module", "build"), [("PIL.Image", plain), ("pycocotools.mask", coco)])
def test_without_the_extra_the_error_says_what_to_install(tmp_path, monkeypatch, module, build):
    tree = build(tmp_path)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=r"pip install 'focalrt\[eval\]'"):
        open_dataset(tree.root)


# ------------------------------------------------------------ real photos


@pytest.mark.parametrize(("name", "photos"), [("davis", 120), ("ecssd", 100)])
def test_the_shared_photos(name, photos):
    folder = VAL / name
    if not folder.is_dir():
        pytest.skip(f"no photos in {folder}")
    dataset = open_dataset(folder)
    assert (dataset.name, dataset.layout) == (name, "plain")
    assert len({sample.photo for sample in dataset.samples}) == photos
    assert len(dataset.samples) + dataset.left_out >= photos
    for sample in dataset.samples[:: photos // 5]:
        stem, ident = sample.name.rsplit(".", 1)
        pixels = cv2.imread(str(folder / f"{stem}.png"), cv2.IMREAD_UNCHANGED)
        image, found = sample.read()
        assert image.shape == (*pixels.shape, 3)
        np.testing.assert_array_equal(found == 1, pixels == int(ident))
        np.testing.assert_array_equal(found == -1, pixels == 255)
