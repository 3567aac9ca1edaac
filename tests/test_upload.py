"""Uploaded photos and masks: what is decoded, and what is refused before it costs anything."""

import io
import os
import struct
import subprocess
import sys
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("PIL", reason="Pillow, of the serve extra, reads the headers")

from PIL import Image

from focalrt import upload
from focalrt.errors import ArgumentValueError, ImageFileError, ImageTooLargeError
from focalrt.imagefile import read_image, read_mask
from focalrt.upload import decode_mask, decode_photo, read_photo

HEIGHT, WIDTH = 40, 56
SHADES = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
IMAGE = cv2.resize(SHADES, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
MASK = np.zeros((HEIGHT, WIDTH), np.bool_)
MASK[10:30, 20:50] = True
ENDINGS = (".jpg", ".png", ".webp", ".tiff", ".bmp")


def encoded(ending, pixels, *options):
    """An image file's bytes; OpenCV takes BGR."""
    return cv2.imencode(ending, pixels[..., ::-1] if pixels.ndim == 3 else pixels, options)[1].tobytes()


FILES = {ending: encoded(ending, IMAGE) for ending in ENDINGS}
PROGRESSIVE = encoded(".jpg", IMAGE, cv2.IMWRITE_JPEG_PROGRESSIVE, 1)


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width, height, *more, end=b""):
    """A PNG of any size that has no pixels to speak of."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(more) + pixels + end + chunk(b"IEND", b"")


def tiff(width, height, more=(), content=bytes(3000)):
    """A grey, uncompressed TIFF; ``more``: further tags (tag, type, count, value)."""
    first = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)]
    count = len(first) + 4 + len(more)
    start = 8 + 2 + 12 * count + 4
    tags = [*first, (273, 4, 1, start), (277, 3, 1, 1), (278, 4, 1, height), (279, 4, 1, width * height), *more]
    directory = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return b"II*\0" + struct.pack("<IH", 8, count) + directory + bytes(4) + content


def jpeg_of(width, height):
    """The JPEG with another size in its header."""
    jpeg = FILES[".jpg"]
    at = jpeg.index(b"\xff\xc0") + 5
    return jpeg[:at] + struct.pack(">HH", height, width) + jpeg[at + 4 :]


def with_scans(jpeg, times):
    """The progressive JPEG with its last scan repeated."""
    last = jpeg.rindex(b"\xff\xda")
    return jpeg[:last] + jpeg[last:-2] * times + jpeg[-2:]


# ------------------------------------------------------------ what is decoded


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_photo_is_what_reading_the_file_gives(tmp_path, ending):
    path = tmp_path / f"photo{ending}"
    path.write_bytes(FILES[ending])
    photo = decode_photo(FILES[ending])
    np.testing.assert_array_equal(photo, read_image(path))
    assert photo.dtype == np.uint8 and photo.flags.c_contiguous
    assert np.abs(photo.astype(int) - IMAGE).mean() < (12 if ending in (".jpg", ".webp") else 1e-9)


@pytest.mark.parametrize(
    "pixels",
    [
        IMAGE[..., 0],
        IMAGE.astype(np.uint16) * 257,
        np.dstack([IMAGE[..., ::-1], IMAGE[..., 1]])[..., [2, 1, 0, 3]],
        IMAGE[:1, :1],
    ],
    ids=["grey", "16 bits", "alpha", "one pixel"],
)
def test_kinds_of_photos(tmp_path, pixels):
    content = encoded(".png", pixels) if pixels.shape[-1] != 4 else cv2.imencode(".png", pixels)[1].tobytes()
    (tmp_path / "photo.png").write_bytes(content)
    photo = decode_photo(content)
    assert photo.shape == (*pixels.shape[:2], 3)
    np.testing.assert_array_equal(photo, read_image(tmp_path / "photo.png"))


def test_a_photo_is_turned_upright():
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    Image.fromarray(IMAGE).save(file, "JPEG", exif=exif, quality=95)
    photo = decode_photo(file.getvalue())
    assert photo.shape == (WIDTH, HEIGHT, 3)
    assert np.abs(photo.astype(int) - np.rot90(IMAGE, -1)).mean() < 8


def test_progressive_photos_and_pictures_of_several_frames():
    assert decode_photo(PROGRESSIVE).shape == IMAGE.shape
    file = io.BytesIO()
    picture = Image.fromarray(IMAGE)
    picture.save(file, "MPO", save_all=True, append_images=[picture])
    assert decode_photo(file.getvalue()).shape == IMAGE.shape
    assert decode_photo(FILES[".jpg"] + b"a short film" * 100 + b"\xff\xda" * 200).shape == IMAGE.shape


@pytest.mark.parametrize("top", [1, 255])
@pytest.mark.parametrize("ending", [".png", ".webp", ".tiff", ".bmp"])
def test_a_mask_is_what_reading_the_file_gives(tmp_path, ending, top):
    lossless = (cv2.IMWRITE_WEBP_QUALITY, 101) if ending == ".webp" else ()
    content = encoded(ending, MASK * np.uint8(top), *lossless)
    (tmp_path / "mask").write_bytes(content)
    mask = decode_mask(content, HEIGHT, WIDTH)
    assert mask.dtype == np.bool_
    np.testing.assert_array_equal(mask, read_mask(tmp_path / "mask"))
    np.testing.assert_array_equal(mask, MASK)


@pytest.mark.parametrize("size", [(HEIGHT, WIDTH + 1), (HEIGHT - 1, WIDTH), (WIDTH, HEIGHT), (1, 1)])
def test_a_mask_of_another_size(size):
    told = f"mask: expected {size[1]} x {size[0]} pixels; got {WIDTH} x {HEIGHT}"
    with pytest.raises(ArgumentValueError, match=told):
        decode_mask(encoded(".png", MASK * np.uint8(255)), *size)


# ------------------------------------------------------------ what is not


@pytest.mark.parametrize(
    "content",
    [b"", b"\x89", b"\xff\xd8", b"\xff\xd8\xff\xd9", b"II", b"II*\0", b"MM\0*\0\0\0\x08\0\xff", b"BM", b"RIFF", b"?"],
)
def test_what_is_no_image(content):
    for decode in (decode_photo, lambda content: decode_mask(content, 5, 5)):
        with pytest.raises(ImageFileError, match="expected a"):
            decode(content)


def test_formats_that_are_not_taken():
    file = io.BytesIO()
    Image.fromarray(IMAGE).save(file, "GIF")
    for content in (file.getvalue(), encoded(".ppm", IMAGE), encoded(".jp2", IMAGE), b"<svg xmlns='...'/>"):
        with pytest.raises(ImageFileError, match="expected a whole JPEG, PNG, WEBP, TIFF, BMP file"):
            decode_photo(content)


@pytest.mark.parametrize("ending", ENDINGS)
@given(data=st.data())
def test_a_file_that_is_cut_short(ending, data):
    content = FILES[ending]
    end = data.draw(st.integers(0, len(content) - (2 if ending == ".bmp" else 1)))
    with pytest.raises(ImageFileError):
        decode_photo(content[:end])


def test_a_progressive_file_that_is_cut_short():
    for end in range(100, len(PROGRESSIVE) - 1, 97):
        with pytest.raises(ImageFileError):
            decode_photo(PROGRESSIVE[:end])


@pytest.mark.parametrize("ending", [*ENDINGS, "progressive"])
@given(data=st.data())
def test_a_file_with_wrong_bytes_is_an_image_or_a_plain_error(ending, data):
    content = bytearray(FILES.get(ending, PROGRESSIVE))
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, min(len(content), 200) - 1))] = data.draw(st.integers(0, 255))
    try:
        photo = decode_photo(bytes(content), most_pixels=10**6)
    except ImageFileError:
        return
    assert photo.dtype == np.uint8 and photo.ndim == 3 and photo.size <= 3 * 10**6


def test_too_many_pixels():
    assert decode_photo(FILES[".png"], most_pixels=HEIGHT * WIDTH).shape == IMAGE.shape
    with pytest.raises(ImageTooLargeError, match=f"at most {HEIGHT * WIDTH - 1} pixels; got {WIDTH} x {HEIGHT}"):
        decode_photo(FILES[".png"], most_pixels=HEIGHT * WIDTH - 1)


@pytest.mark.parametrize("size", [(10_000, 10_000), (20_000, 20_000), (1 << 31, 1), ((1 << 31) - 1, (1 << 31) - 1)])
def test_a_header_that_asks_for_too_much(size):
    with pytest.raises(ImageFileError) as caught:
        decode_photo(png(*size))
    if max(size) < 1 << 31:
        assert caught.type is ImageTooLargeError


@pytest.mark.parametrize("content", [jpeg_of(65_500, 65_500), tiff(60_000, 60_000)], ids=["jpeg", "tiff"])
def test_other_headers_that_ask_for_too_much(content):
    with pytest.raises(ImageTooLargeError):
        decode_photo(content)


def test_too_many_bytes(monkeypatch):
    monkeypatch.setattr(upload, "MOST_BYTES", len(FILES[".png"]))
    assert decode_photo(FILES[".png"]).shape == IMAGE.shape
    with pytest.raises(ImageTooLargeError, match="bytes"):
        decode_photo(FILES[".png"] + b"\0")


def test_a_file_of_too_many_bytes_is_not_read(tmp_path):
    path = tmp_path / "scan.jpg"
    path.write_bytes(FILES[".jpg"])
    assert read_photo(path) == FILES[".jpg"]
    os.truncate(path, upload.MOST_BYTES + 1)
    with pytest.raises(ImageTooLargeError, match=r"scan\.jpg: expected at most 67108864 bytes; got 67108865\. Save it"):
        read_photo(path)
    with pytest.raises(FileNotFoundError):
        read_photo(tmp_path / "missing.jpg")


BOMB = zlib.compress(bytes(7_900_000), 9)


@pytest.mark.parametrize(("kind", "begun"), [(b"zTXt", b"a\0\0"), (b"iTXt", b"a\0\1\0\0\0"), (b"iCCP", b"a\0\0")])
@pytest.mark.parametrize("place", ["before", "after"])
def test_texts_that_expand(kind, begun, place):
    """A thousand of them would keep libpng busy for a minute."""
    texts = chunk(kind, begun + BOMB) * (upload.MOST_TEXTS + 1)
    with pytest.raises(ImageFileError, match="compressed texts"):
        decode_photo(png(20, 20, texts) if place == "before" else png(20, 20, end=texts))


def test_a_few_texts_are_fine():
    content = FILES[".png"]
    text = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"by hand"))
    assert decode_photo(content[:33] + text * 5 + content[33:]).shape == IMAGE.shape


def test_tags_that_claim_more_than_there_is():
    """libtiff would copy the file for each of them."""
    assert decode_photo(tiff(40, 30)).shape == (30, 40, 3)
    with pytest.raises(ImageFileError, match=r"a TIFF whose tags claim 150\d{4} bytes"):
        decode_photo(tiff(40, 30, [(40_000 + k, 1, 30_000, 8) for k in range(50)], bytes(40_000)))


def test_scans_without_end():
    assert decode_photo(with_scans(PROGRESSIVE, 20)).shape == IMAGE.shape
    with pytest.raises(ImageFileError, match="more than 100 scans"):
        decode_photo(with_scans(PROGRESSIVE, 101))


def test_segments_without_end():
    jpeg = FILES[".jpg"]
    with pytest.raises(ImageFileError, match="10000 segments"):
        decode_photo(jpeg[:2] + b"\xff\xfe\0\2" * 10_001 + jpeg[2:])


def test_bombs_cost_no_memory(tmp_path):
    """All of them in a process of its own, which may use 400 MiB more than it does at the start."""
    texts = chunk(b"zTXt", b"a\0\0" + BOMB) * 900
    bombs = [
        png(30_000, 30_000),
        png(9_000, 9_900),
        png(20, 20, texts),
        png(20, 20, end=texts),
        jpeg_of(65_500, 65_500),
        tiff(60_000, 60_000),
        tiff(40, 30, [(40_000 + k, 1, 2_000_000, 8) for k in range(500)], bytes(2_000_000)),
        with_scans(PROGRESSIVE, 20_000),
    ]
    for number, bomb in enumerate(bombs):
        (tmp_path / str(number)).write_bytes(bomb)
    program = """
import resource, sys
from pathlib import Path
from focalrt.errors import ImageFileError
from focalrt.upload import decode_photo
files = [path.read_bytes() for path in Path(sys.argv[1]).iterdir()]
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for content in files:
    try:
        decode_photo(content)
    except ImageFileError:
        continue
    raise SystemExit("decoded")
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10)
"""
    done = subprocess.run([sys.executable, "-c", program, tmp_path], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-500:]
    assert int(done.stdout) < 400


