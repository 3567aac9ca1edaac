"""Rows and columns of a mask exchanged, run by run."""

from __future__ import annotations

import numpy as np

from ..kernels.transpose import by_column
from ..runs import Runs
from .checks import check_run_count


def transposed(runs: Runs) -> Runs:
    """The mask mirrored at its main diagonal. Costs O(runs before and after + columns of their box).

    Raises ArgumentValueError where too many runs would come out.
    """
    box = runs.box
    if box is None:
        return runs
    edges = (runs ^ Runs(runs.spans + np.array([1, 0, 0], np.int32))).spans
    count = int((edges[:, 2] - edges[:, 1]).sum(dtype=np.int64)) // 2
    check_run_count(count)
    spans = np.empty((count, 3), np.int32)
    by_column(edges, box.x0, np.zeros(box.width + 1, np.int64), spans)
    return Runs(spans)
