"""Heat map of copy number; call its functions and `marks.written` within `marks.drawing()`."""

from __future__ import annotations

from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from ctcflow.render.copy_number import Judged
from ctcflow.render.marks import (
    BLUE,
    CLASS_MARKS,
    DARK,
    GREY,
    INK,
    ORANGE,
    VERMILLION,
    blank,
    shown,
)

_RANGE: Final = 1.0  # log2 ratio at the ends of the colours: loss of one of two copies
_GAIN: Final = 0.25  # smallest log2 ratio marked by a dot, to show gains in grey-scale prints
_CAP: Final = 10.0
_LABEL: Final = 0.14  # height of a label (inches)
_COLOURS: Final = LinearSegmentedColormap.from_list(
    "dosage", [DARK[0], BLUE, "#FFFFFF", ORANGE, VERMILLION]
).with_extremes(bad=GREY)


def heat_map(copies: Judged) -> Figure:
    """Draw cells x arms, grouped by sample and class, with p of each cell beside it."""
    rows = len(copies.sample)
    if not rows:
        return blank("the copy number of no called or uncertain cell was judged")
    height = float(np.clip(9.0 / rows, 0.055, 0.25)) * rows
    figure = Figure(figsize=(11.0, 1.7 + height), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[12, 1])
    drawn = _dosage(left, copies, height / rows)
    _probability(right, copies)
    _groups(left, right, copies, height)
    bar = figure.colorbar(
        drawn,
        ax=left,
        location="bottom",
        fraction=0.1 / (1.7 + height),
        pad=0.1 / (1.7 + height),
        shrink=0.6,
        aspect=45.0,
        extend="both",
    )
    bar.set_label("log2 of dosage against leukocytes (one copy of two lost: −1; a third: +0.58)")
    bar.set_ticks([-1.0, -0.5, 0.0, 0.58, 1.0], labels=["−1", "−0.5", "0", "+0.58", "+1"])
    return figure


def _dosage(axis: Axes, copies: Judged, row: float) -> AxesImage:
    drawn = axis.imshow(
        np.ma.masked_invalid(copies.log2_ratio),
        cmap=_COLOURS,
        vmin=-_RANGE,
        vmax=_RANGE,
        aspect="auto",
        interpolation="nearest",
    )
    gained = np.argwhere(np.nan_to_num(copies.log2_ratio) >= _GAIN)
    axis.scatter(gained[:, 1], gained[:, 0], s=min(28.0 * row, 3.5) ** 2, c=INK, linewidths=0.0)
    axis.set_xticks(range(len(copies.arms)), copies.arms, fontsize=6.5)
    axis.tick_params(axis="both", length=0, labeltop=len(copies.sample) > 40)
    chromosome = [arm[:-1] for arm in copies.arms]
    ends = [at for at in range(1, len(chromosome)) if chromosome[at] != chromosome[at - 1]]
    axis.vlines(np.array(ends) - 0.5, -0.5, len(copies.sample) - 0.5, color=GREY, linewidth=0.8)
    axis.set_xlabel("chromosome arm")
    return drawn


def _probability(axis: Axes, copies: Judged) -> None:
    strength = np.abs(-np.log10(np.clip(copies.p, 10.0**-_CAP, 1.0)))
    for name, mark in CLASS_MARKS.items():
        of_class = np.flatnonzero(np.array(copies.kind, dtype=object) == name)
        axis.scatter(
            strength[of_class],
            of_class,
            s=16.0,
            c=mark.colour,
            marker=mark.shape,
            linewidths=0.4,
            edgecolors=INK,
        )
    axis.axvline(2.0, color=INK, linewidth=0.8)
    capped = "\n(drawn at 10\nwhere more)" if strength.max() >= _CAP else ""
    axis.set(xlim=(-0.4, max(4.0, float(strength.max()) * 1.1)), xlabel=f"−log10 p{capped}")
    axis.tick_params(axis="y", length=0, labelleft=False)


def _groups(left: Axes, right: Axes, copies: Judged, height: float) -> None:
    """Name each group of cells of one sample and class, and draw a line below it."""
    named = list(zip(copies.sample, copies.kind, strict=True))
    rows = len(named)
    starts = [at for at in range(rows) if at == 0 or named[at] != named[at - 1]]
    ends = [*starts[1:], rows]
    step = max(1, int(np.ceil(len(starts) * _LABEL / height)))
    width = 0.6 if step == 1 else 0.25
    for axis in (left, right):
        axis.hlines(np.array(ends[:-1]) - 0.5, *axis.get_xlim(), color=INK, linewidth=width)
    groups = list(zip(starts, ends, strict=True))[::step]
    left.set_yticks(
        [(first + end - 1) / 2 for first, end in groups],
        [f"{shown(named[a][0], 18)}: {named[a][1]}, {b - a}" for a, b in groups],
        fontsize=7.0,
    )
    left.set_ylim(rows - 0.5, -0.5)
    if step > 1:
        left.set_ylabel(f"one group in {step} is named")
