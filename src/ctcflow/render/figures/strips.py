"""Figure of quality control for many samples: one strip per sample over all its lineages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ctcflow.numbers import number_or_none
from ctcflow.render.figures.lineages import METRICS, Metric, Row, scale
from ctcflow.render.figures.points import Floats
from ctcflow.render.marks import BLUE, GREY, INK, VERMILLION, shown

_LABELS: Final = 40
_BANDS: Final = (0.05, 0.25, 0.5, 0.75, 0.95)


def strips(rows: list[list[Row]], samples: Sequence[str]) -> Figure:
    """Draw bands of quantiles over all lineages of each sample; used for many samples."""
    figure = Figure(figsize=(11.0, 8.4), layout="constrained")
    axes = figure.subplots(3, 1, sharex=True)
    place = np.arange(len(samples), dtype=np.float64)
    for axis, metric in zip(axes, METRICS, strict=True):
        scale(axis, "y", [row for lineages in rows for row in lineages], metric)
        axis.set(title=metric.title, xlim=(-1, len(samples)))
        bands = np.array([_bands(lineages, metric) for lineages in rows])
        axis.vlines(place, bands[:, 0], bands[:, 4], color=GREY, linewidth=1.4)
        axis.vlines(place, bands[:, 1], bands[:, 3], color=BLUE, linewidth=2.6)
        axis.scatter(place, bands[:, 2], s=9.0, c=INK, zorder=3)
        ends = np.array([_range(lineages, metric) for lineages in rows])
        cap = min(0.2, len(samples) / 120)
        beside = place + 0.1 + cap
        axis.vlines(beside, ends[:, 0], ends[:, 1], color=VERMILLION, linewidth=1.0)
        for end in ends.T:
            axis.hlines(end, beside - cap, beside + cap, color=VERMILLION, linewidth=1.6)
    _name_columns(axes[-1], samples)
    handles = [
        Line2D([], [], color=GREY, linewidth=1.4, label="5 to 95 % of all droplets that came in"),
        Line2D([], [], color=BLUE, linewidth=2.6, label="25 to 75 %"),
        Line2D([], [], color=INK, linestyle="", marker="o", markersize=3.5, label="median"),
        Line2D([], [], color=VERMILLION, marker="_", label="range of the limits of the lineages"),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=4)
    return figure


def _bands(lineages: list[Row], metric: Metric) -> Floats:
    """Quantiles over all lineages, each weighted by its number of droplets."""
    parts = [(row.values[metric.key], row) for row in lineages if metric.key in row.values]
    if not parts:
        return np.full(len(_BANDS), np.nan)
    values = np.concatenate([part for part, _ in parts])
    cells = [row.cells or part.size for part, row in parts]
    weight = np.concatenate(
        [np.full(part.size, n / part.size) for (part, _), n in zip(parts, cells, strict=True)]
    )
    order = np.argsort(values, kind="stable")
    reached = (np.cumsum(weight[order]) - weight[order] / 2.0) / weight.sum()
    quantiles: Floats = np.interp(_BANDS, reached, values[order])
    return np.asarray(np.maximum(quantiles, 1.0) if metric.log else quantiles)


def _range(lineages: list[Row], metric: Metric) -> tuple[float, float]:
    limits = [number_or_none(row.limit_of(metric.aside)) for row in lineages]
    known = [max(limit, 1.0) if metric.log else limit for limit in limits if limit is not None]
    return (min(known), max(known)) if known else (np.nan, np.nan)


def _name_columns(axis: Axes, samples: Sequence[str]) -> None:
    step = max(1, -(-len(samples) // _LABELS))
    places = range(0, len(samples), step)
    axis.set_xticks(places, [shown(samples[p], 16) for p in places], rotation=90, fontsize=7.0)
    axis.set_xlabel("sample" if step == 1 else f"sample (one name in {step} is shown)")
