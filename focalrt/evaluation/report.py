"""One HTML file that tells what a run found and how to repeat it; it loads nothing, from nowhere."""

from __future__ import annotations

import os
import platform
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from .. import __version__
from ..checks import check_image, check_mask
from ..extras import imported
from ..geometry import Click
from ..imagefile import write_whole
from ..overlay import draw
from .figures import pictures, style
from .record import Move, Record, Row
from .sample import Mask, Truth
from .table import GOOD, lines, noc, score_table, time_table

TEMPLATE = "report.html"
SIDE = 640  # longest side of a picture, pixels
QUALITY = 85  # of its JPEG
OUTLINE = (255, 196, 0)  # RGB, of the truth
IGNORED = 110  # grey that ignored pixels are half of
FONT, FONT_SCALE = cv2.FONT_HERSHEY_SIMPLEX, 0.6  # of a click's number, beside its dot
INKS = ((0, 0, 0), 5), ((255, 255, 255), 2)  # RGB and width, one over the other: legible on any ground


class Worst(NamedTuple):
    """A sample to be shown.

    record: what was seen; it names the sample. image: RGB, uint8 (H, W, 3). truth: int8 (H, W): 1 object,
    0 background, -1 ignored. mask: bool (H, W), after the last click.
    """

    record: Record
    image: NDArray[np.uint8]
    truth: Truth
    mask: Mask


def worst_records(records: Iterable[Record], row: Row, count: int = 10) -> list[Record]:
    """The samples of a row that ended with the lowest IoU, worst first; then those of the most clicks, then by name."""
    candidates = [record for record in records if record.row == row and record.error is None and record.moves]
    return sorted(candidates, key=lambda record: (record.moves[-1].iou, -noc(record, GOOD), record.sample))[:count]


def write_report(
    path: str | os.PathLike[str],
    records: Iterable[Record],
    rows: Sequence[Row],
    facts: Mapping[str, str],
    worst: Sequence[Worst] = (),
) -> None:
    """Writes the page, whole or not at all.

    records, rows: as for :func:`.table.scores`. facts: by name, what the reader needs to repeat the run: the command,
    the data set, the SHA-256 of the models; versions and the machine are added. worst: what :func:`worst_records`
    chose, played again for its masks.
    Raises EvaluationError, MissingExtraError, OSError; ArgumentTypeError and ArgumentValueError for odd pictures.
    """
    page = report(list(records), rows, facts, worst)
    write_whole(Path(path), page.encode("utf-8", "backslashreplace"))  # a file's name may hold bytes that are no text


def check_extras() -> None:
    """Raises MissingExtraError where a report could not be made: better told before a long run than after it."""
    for module in ("jinja2", "matplotlib.figure"):
        imported(module, "a report", "eval")


def report(records: Sequence[Record], rows: Sequence[Row], facts: Mapping[str, str], worst: Sequence[Worst]) -> str:
    """The page as text; arguments and errors as for :func:`write_report`."""
    seen = [(one.record, *truth_and_mask(one)) for one in worst]
    check_extras()
    from jinja2 import Environment, StrictUndefined

    compared = lines(records, rows)
    shown = [record for line in compared for record in line.records]
    source = resources.files(__package__).joinpath(TEMPLATE).read_text(encoding="utf-8")
    template = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return template.from_string(source).render(
        version=__version__,
        samples=len({record.sample for record in shown}),
        key=[(line, style(number)) for number, line in enumerate(compared)],
        scores=score_table(compared),
        times=time_table(compared),
        figures=pictures(compared),
        worst=seen,
        failed=sorted(
            (record for record in shown if record.error is not None),
            key=lambda record: (rows.index(record.row), record.sample),
        ),
        facts=facts,
        environment=environment(),
    )


# ------------------------------------------------------------ pictures of samples


def truth_and_mask(worst: Worst) -> tuple[str, str]:
    """The photo with its truth; with the last mask, the truth's outline and the clicks. Both as data URIs of JPEG."""
    image = check_image(worst.image)
    height, width = image.shape[:2]
    mask = check_mask(worst.mask, height, width, "worst.mask")
    truth = check_mask(worst.truth == 1, height, width, "worst.truth")
    scale = SIDE / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    photo: NDArray[np.uint8] = np.asarray(cv2.resize(image, size, interpolation=way), np.uint8)
    ignored, truth = resized(worst.truth < 0, size), resized(truth, size)
    photo[ignored] = photo[ignored] // 2 + IGNORED
    seen = outlined(draw(photo, resized(mask, size)), truth)
    return as_jpeg(draw(photo, truth)), as_jpeg(numbered(seen, worst.record.moves, scale))


def resized(mask: Mask, size: tuple[int, int]) -> Mask:
    """A mask of another (width, height); a pixel is set where most of what it covers is."""
    soft = cv2.resize(mask.astype(np.uint8) * 255, size, interpolation=cv2.INTER_AREA)
    return np.asarray(soft > 127)


def outlined(photo: NDArray[np.uint8], truth: Mask) -> NDArray[np.uint8]:
    """The photo, drawn into, with the truth's outline."""
    outlines, _ = cv2.findContours(truth.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(photo, outlines, -1, OUTLINE, 2, cv2.LINE_AA)
    return photo


def numbered(photo: NDArray[np.uint8], moves: Sequence[Move], scale: float) -> NDArray[np.uint8]:
    """The photo with a numbered dot for every click, later ones over earlier; the clicks are of the unscaled photo."""
    nothing = np.zeros(photo.shape[:2], np.bool_)
    for number, move in enumerate(moves, 1):
        x, y = ((place + 0.5) * scale - 0.5 for place in (move.x, move.y))
        photo = draw(photo, nothing, [Click(x, y, move.positive)])
        for ink, width in INKS:
            cv2.putText(photo, str(number), (round(x) + 11, round(y) + 6), FONT, FONT_SCALE, ink, width, cv2.LINE_AA)
    return photo


def as_jpeg(photo: NDArray[np.uint8]) -> str:
    """A data URI."""
    _, content = cv2.imencode(".jpg", photo[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return f"data:image/jpeg;base64,{b64encode(content.tobytes()).decode()}"


# ------------------------------------------------------------ where it ran


def environment() -> dict[str, str]:
    """Versions and the machine, by name."""
    return {
        "focalrt": __version__,
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "NumPy": np.__version__,
        "Numba": installed("numba"),
        "OpenCV": cv2.__version__,
        "ONNX Runtime": installed("onnxruntime"),
        "Platform": platform.platform(),
        "Processor": f"{processor()}, {os.cpu_count()} logical cores",
    }


def installed(package: str) -> str:
    """The version of a package that need not be imported for it."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def processor() -> str:
    """Its name as Linux tells it, or else what Python knows."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text(encoding="utf-8", errors="replace").splitlines() if told.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
