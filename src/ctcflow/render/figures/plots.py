"""Figures of a run; each function takes tables or arrays and returns a matplotlib `Figure`.

Call them, and `marks.written`, within `marks.drawing()`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ctcflow.render.figures import points
from ctcflow.render.figures.points import Floats
from ctcflow.render.marks import (
    BLUE,
    CLASS_MARKS,
    GREY,
    INK,
    ORANGE,
    VERMILLION,
    blank,
    plain,
    shown,
)

MANY_DRAWS: Final = 40
_CAP: Final = 30.0


def evidence(cells: pd.DataFrame, draws: pd.DataFrame) -> Figure:
    """Draw counts per draw with exact intervals, and each cell by its two lines of evidence.

    Parameters
    ----------
    cells
        Columns `class`, `p_identity`, `p_panel`, one row per cell.
    draws
        Columns `name`, `count`, `count_low`, `count_high`, one row per draw.
    """
    rows = len(draws)
    many = rows > MANY_DRAWS
    height = 4.4 if many else float(np.clip(1.6 + 0.27 * rows, 4.2, 12.5))
    figure = Figure(figsize=(11.0, 8.4 if many else height), layout="constrained")
    left, right = figure.subplots(2, 1) if many else figure.subplots(1, 2)
    _draw_counts(left, draws, upright=many)
    _lines_of_evidence(right, cells)
    return figure


def lines_of_evidence(cells: pd.DataFrame) -> Figure:
    """Draw each cell by its two lines of evidence; `cells` as in `evidence`."""
    figure = Figure(figsize=(5.6, 4.2), layout="constrained")
    _lines_of_evidence(figure.subplots(), cells)
    return figure


def draw_counts(draws: pd.DataFrame) -> Figure:
    """Draw counts per draw with exact intervals; `draws` as in `evidence`."""
    many = len(draws) > MANY_DRAWS
    height = 4.2 if many else float(np.clip(1.6 + 0.27 * len(draws), 2.4, 12.5))
    figure = Figure(figsize=(11.0 if many else 5.6, height), layout="constrained")
    _draw_counts(figure.subplots(), draws, upright=many)
    return figure


def _draw_counts(axis: Axes, draws: pd.DataFrame, *, upright: bool) -> None:
    axis.set_title("CTCs and aggregates per draw, exact interval")
    if draws.empty:
        _say(axis, "no draw")
        return
    count, low, high = (
        draws[name].to_numpy(dtype=np.float64, na_value=np.nan)
        for name in ("count", "count_low", "count_high")
    )
    place = np.arange(len(draws), dtype=np.float64)
    reach = np.nan_to_num(np.maximum(np.stack([count - low, high - count]), 0.0))
    colours = np.where(count > 0, VERMILLION, BLUE)
    if upright:
        axis.errorbar(place, count, yerr=reach, fmt="none", ecolor=GREY, elinewidth=1.0)
        axis.scatter(place, count, c=colours.tolist(), s=10.0, zorder=3)
        axis.set(xlabel="draw, in the order of the table", ylabel="cells called")
        _count_scale(axis, "y", high, count)
        return
    axis.errorbar(count, place, xerr=reach, fmt="none", ecolor=INK, elinewidth=1.2, capsize=3.0)
    axis.scatter(count, place, c=colours.tolist(), s=34.0, zorder=3)
    axis.set_yticks(place, [shown(name, 30) for name in draws["name"]])
    axis.set(xlabel="cells called", ylim=(len(draws) - 0.5, -0.5))
    _count_scale(axis, "x", high, count)


def _count_scale(axis: Axes, which: str, high: Floats, count: Floats) -> None:
    top = np.nanmax(np.concatenate([high, count, [4.0]]))
    getattr(axis, f"set_{which}lim")(-0.04 * top if top <= 60 else -0.4, top * 1.08)
    if top > 60:
        # symmetric log, to show 0 and 1,000 in one figure
        getattr(axis, f"set_{which}scale")("symlog", linthresh=5.0)
        ticks = [t for t in (0, 1, 2, 5, 10, 20, 50, 100, 1000, 10_000, 100_000) if t <= top]
        getattr(axis, f"set_{which}ticks")(ticks, [f"{t:,}" for t in ticks])
        axis.minorticks_off()
    else:
        line = axis.xaxis if which == "x" else axis.yaxis
        line.set_major_locator(MaxNLocator(integer=True))


def _lines_of_evidence(axis: Axes, cells: pd.DataFrame) -> None:
    axis.set_title("Each cell by its two lines of evidence")
    x, y = (_minus_log(cells[name]) for name in ("p_identity", "p_panel"))
    usable = np.isfinite(x) & np.isfinite(y)
    if not usable.any():
        _say(axis, "no cell has both lines of evidence")
        return
    places = np.column_stack([x, y])[usable]
    classes = cells["class"].astype(object).to_numpy(dtype=object)[usable]
    small = max(points.point_size(len(places)), 4.0)
    for name, mark in CLASS_MARKS.items():
        if (classes == name).any():
            points.draw(axis, places[classes == name], mark, small)
    axis.legend(
        handles=[points.handle(mark, name) for name, mark in CLASS_MARKS.items()][::-1],
        loc="best",
    )
    capped = f" (drawn at {_CAP:g} where more)" if places.max() >= _CAP else ""
    axis.set_xlabel(f"lacks blood identity, −log10 p{capped}")
    axis.set_ylabel(f"shows the tumour panel, −log10 p{capped}")
    axis.margins(0.04)


def _minus_log(p: pd.Series) -> Floats:
    values = p.to_numpy(dtype=np.float64, na_value=np.nan)
    strength: Floats = np.abs(-np.log10(np.clip(values, 10.0**-_CAP, 1.0)))
    return strength


def mixing(metrics: Sequence[tuple[str, float, float]]) -> Figure:
    """Draw each metric of batch mixing before and after integration, on its own scale.

    Parameters
    ----------
    metrics
        Name, value before, value after.
    """
    if not metrics:
        return blank("no metric of batch mixing")
    rows = (len(metrics) + 1) // 2
    figure = Figure(figsize=(9.0, 0.4 + 1.15 * rows), layout="constrained")
    axes = np.atleast_1d(figure.subplots(rows, 2)).ravel()
    for axis, (name, before, after) in zip(axes, metrics, strict=False):
        values = np.array([before, after], dtype=np.float64)
        lengths = np.nan_to_num(values)
        axis.barh([0, 1], lengths, color=[GREY, BLUE], height=0.62)
        low, high = min(0.0, lengths.min()), max(0.0, lengths.max())
        span = (high - low) or 1.0
        axis.set_xlim(low - (0.22 * span if low < 0 else 0.0), high + 0.22 * span)
        for place, value in enumerate(values):
            text = f"{value:.3g}" if np.isfinite(value) else "not run"
            edge = lengths[place] - 0.2 * span if lengths[place] < 0 else lengths[place]
            axis.text(edge + 0.02 * span, place, text, va="center", fontsize=8.5)
        axis.set(ylim=(1.5, -0.5), title=shown(name, 48), xticks=[])
        axis.set_yticks([0, 1], ["before", "after"])
        axis.spines["bottom"].set_visible(False)
    for axis in axes[len(metrics) :]:
        axis.set_axis_off()
    return figure


def calibration(observed: Sequence[Sequence[Any]], reason: str) -> Figure:
    """Draw observed against nominal p among null cells, with intervals.

    Parameters
    ----------
    observed
        Rows of nominal, observed, low, high (fractions).
    reason
        Why there is nothing to draw, if so.
    """
    table = _known(observed)
    if not len(table):
        return blank(reason)
    nominal, seen, low, high = table.T
    floor = float(np.nanmin(np.where(table > 0, table, np.nan))) / 3.0
    centre = np.maximum(seen, floor)
    low = np.fmin(np.maximum(np.nan_to_num(low), floor), centre)
    high = np.fmax(np.nan_to_num(high), centre)
    figure = Figure(figsize=(6.2, 4.6), layout="constrained")
    axis = figure.subplots()
    ends = np.array([min(nominal.min(), floor), 1.0])
    axis.plot(ends, ends, color=GREY, linewidth=1.5, label="as many as promised")
    limits = [centre - low, high - centre]
    axis.errorbar(nominal, centre, yerr=limits, fmt="none", ecolor=INK, elinewidth=1.0, capsize=3.0)
    none = seen <= 0
    axis.scatter(nominal[~none], centre[~none], c=BLUE, s=40.0, zorder=3, label="observed")
    if none.any():
        axis.scatter(
            nominal[none],
            centre[none],
            c=ORANGE,
            s=46.0,
            marker="v",
            zorder=3,
            label="none observed (drawn at the bottom)",
        )
    axis.set(xscale="log", yscale="log", xlabel="p that is promised")
    axis.set_ylabel("fraction of null cells at or below it")
    for line in (axis.xaxis, axis.yaxis):
        line.set_major_formatter(plain)
        line.set_minor_formatter("")
    axis.legend(loc="upper left")
    return figure


def _known(observed: Sequence[Sequence[Any]]) -> npt.NDArray[np.float64]:
    """Rows of nominal, observed, low, high whose nominal and observed values are known."""
    rows = [[np.nan if v is None else v for v in row[:4]] for row in observed]
    table = np.array(rows, dtype=np.float64).reshape(-1, 4)
    return table[np.isfinite(table[:, :2]).all(axis=1) & (table[:, 0] > 0)]


def _say(axis: Axes, words: str) -> None:
    axis.set(xticks=[], yticks=[])
    axis.text(0.5, 0.5, words, ha="center", va="center", transform=axis.transAxes)
