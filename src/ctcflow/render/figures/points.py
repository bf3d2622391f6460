"""Drawing cells as points: shared by the figures with one point per cell."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from ctcflow.render.marks import INK, Mark

Floats = npt.NDArray[np.float64]

# Points of a class get smaller if the class has more cells than this.
_FULL_SIZE: Final = 60


def draw(axis: Axes, points: Floats, mark: Mark, small: float) -> None:
    """Draw the cells of one class; `small` is the point size of cells that are not called."""
    axis.scatter(
        points[:, 0],
        points[:, 1],
        s=max(mark.size * min(1.0, (_FULL_SIZE / len(points)) ** 0.5), 8.0, small)
        if mark.size
        else small,
        c=mark.colour,
        marker=mark.shape,
        linewidths=0.6 if mark.size > 20 else 0.0,
        edgecolors=INK,
        rasterized=not mark.size > 20,
    )


def handle(mark: Mark, label: str) -> Line2D:
    """Make an entry of a legend."""
    edge = INK if mark.size > 20 else mark.colour
    return Line2D(
        [],
        [],
        linestyle="",
        marker=mark.shape,
        markersize=6.0,
        color=mark.colour,
        markeredgecolor=edge,
        markeredgewidth=0.6,
        label=label,
    )


def point_size(n_cells: int) -> float:
    """Area of a point (points squared) at which this many cells are visible."""
    return float(np.clip(30_000.0 / max(n_cells, 1), 1.0, 14.0))
