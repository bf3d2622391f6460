"""Barcode rank plot: which barcodes are cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from ctcflow.numbers import count, number_or_none, short, text
from ctcflow.records.call import SampleQuality
from ctcflow.records.qc import Droplets
from ctcflow.render.figures.points import Floats
from ctcflow.render.marks import (
    BLUE,
    GREEN,
    INK,
    ORANGE,
    SKY,
    VERMILLION,
    blank,
    plain,
    shown,
)

MOST_PANELS: Final = 12
_COLUMNS: Final = 3


def droplets(records: Sequence[SampleQuality]) -> Figure:
    """Draw counts against rank of all barcodes, one panel per sample with unfiltered droplets.

    Parameters
    ----------
    records
        One per sample: see `qc` in `render.tables.of_run`; those without `droplets` are left out.
    """
    samples = with_droplets(records)
    if not samples:
        return blank("no unfiltered droplets were given")
    drawn = samples[:MOST_PANELS]
    columns = min(len(drawn), _COLUMNS)
    rows = -(-len(drawn) // columns)
    note = not_shown(len(samples))
    size = (max(3.7 * columns, 5.0), 3.1 * rows + (0.3 if note else 0.0))
    figure = Figure(figsize=size, layout="constrained")
    axes = np.atleast_1d(figure.subplots(rows, columns)).ravel()
    for axis, (name, of_sample) in zip(axes, drawn, strict=False):
        _panel(axis, of_sample)
        axis.set_title(shown(name, 34))
    for axis in axes[len(drawn) :]:
        axis.set_axis_off()
    if note:
        figure.supxlabel(note, fontsize=8.5)
    return figure


def with_droplets(records: Sequence[SampleQuality]) -> list[tuple[str, Droplets]]:
    """Name and droplets of the samples whose unfiltered droplets were given."""
    samples: list[tuple[str, Droplets]] = []
    for record in records:
        of_sample = record.get("droplets")
        if of_sample:
            samples.append((text(record.get("sample")), of_sample))
    return samples


def not_shown(samples: int) -> str:
    """Say how many of so many samples have no panel; empty where all have one."""
    more = samples - MOST_PANELS
    if more <= 0:
        return ""
    what = "1 more sample is" if more == 1 else f"{more} more samples are"
    return f"The first {MOST_PANELS} samples; {what} not shown."


def _panel(axis: Axes, of_sample: Droplets) -> None:
    curve, cells = _points(of_sample.get("curve")), _points(of_sample.get("cells_curve"))
    axis.set(xscale="log", yscale="log", xlabel="rank of the barcode", ylabel="counts")
    for line in (axis.xaxis, axis.yaxis):
        line.set_major_formatter(plain)
        line.set_minor_locator(NullLocator())
    # label every second decade, since more labels do not fit
    axis.xaxis.set_major_locator(LogLocator(base=100.0))
    if len(cells):
        axis.plot(cells[:, 0], cells[:, 1], color=SKY, linewidth=4.5, label="given as cells")
    number = count(of_sample.get("barcodes"))
    if len(curve):
        axis.plot(
            curve[:, 0], curve[:, 1], color=INK, linewidth=1.3, label=f"all {number} barcodes"
        )
    for counts, words, colour, style in (
        (of_sample.get("retain"), "cells without a test from", GREEN, "-."),
        (of_sample.get("lower"), "ambient sample up to", BLUE, "--"),
    ):
        limit = number_or_none(counts)
        if limit is not None and limit > 0:
            label = f"{words} {short(limit)}"
            axis.axhline(limit, color=colour, linestyle=style, linewidth=1.3, label=label)
    _on_curve(axis, curve, of_sample.get("knee"), "knee", "D", ORANGE)
    _on_curve(axis, curve, of_sample.get("inflection"), "inflection", "v", VERMILLION)
    if axis.lines:
        axis.legend(loc="lower left", fontsize=6.8, framealpha=0.9, frameon=True, edgecolor="none")
    tested, outside = count(of_sample.get("tested")), count(of_sample.get("outside"))
    words = f"{tested} tested\n{outside} cells outside"
    axis.text(0.98, 0.98, words, ha="right", va="top", fontsize=7.5, transform=axis.transAxes)


def _points(rows: Sequence[Sequence[int]] | None) -> Floats:
    """Rank and counts, without zeros, which a logarithmic axis cannot show."""
    pairs = [[number_or_none(value) for value in row[:2]] for row in rows or []]
    known = [pair for pair in pairs if len(pair) == 2 and all(value for value in pair)]
    return np.array(known, dtype=np.float64).reshape(-1, 2)


def _on_curve(
    axis: Axes, curve: Floats, counts: float | None, name: str, shape: str, colour: str
) -> None:
    height = number_or_none(counts)
    if height is None or height <= 0 or not len(curve):
        return
    # reversed, because counts fall with rank and np.interp needs ascending values
    rank = 10 ** np.interp(np.log(height), np.log(curve[::-1, 1]), np.log10(curve[::-1, 0]))
    axis.plot(
        rank,
        height,
        marker=shape,
        linestyle="",
        color=colour,
        markeredgecolor=INK,
        markersize=6.5,
        zorder=4,
        label=f"{name} {short(height)}",
    )
