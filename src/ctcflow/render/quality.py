"""The figure of quality control: distributions per sample with the thresholds drawn."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ctcflow.render.marks import BLUE, GREY, INK, SKY, VERMILLION, blank, plain, shown
from ctcflow.render.points import Floats

MANY_SAMPLES: Final = 24
_POINTS: Final = 300
_LABELS: Final = 40


class Metric(NamedTuple):
    """One column of quality: its name, its title, its threshold, and whether it is drawn as log."""

    column: str
    title: str
    threshold: str
    log: bool


METRICS: Final = (
    Metric("n_umis", "counts per cell", "min_umis", True),
    Metric("n_genes", "genes per cell", "min_genes", True),
    Metric("pct_mt", "mitochondrial counts (%)", "mt_limit", False),
)


def quality(obs: pd.DataFrame, thresholds: pd.DataFrame, samples: tuple[str, ...]) -> Figure:
    """Draw counts, genes and mitochondrial share per sample.

    Parameters
    ----------
    obs
        One row per kept cell: `sample`, `n_umis`, `n_genes`, `pct_mt`; any may be missing.
    thresholds
        One row per sample: `sample`, `min_umis`, `min_genes`, `mt_limit`.
    samples
        Names in the order they are drawn in, those without cells too.
    """
    if not samples:
        return blank("no sample")
    limits = thresholds.drop_duplicates("sample").set_index("sample").reindex(list(samples))
    groups = _groups(obs, samples)
    many = len(samples) > MANY_SAMPLES
    if many:
        figure = Figure(figsize=(11.0, 8.0), layout="constrained")
        axes = figure.subplots(3, 1, sharex=True)
    else:
        figure = Figure(figsize=(11.0, 1.5 + 0.34 * len(samples)), layout="constrained")
        axes = figure.subplots(1, 3, sharey=True)
    for axis, metric in zip(axes, METRICS, strict=True):
        values = [_values(obs, metric, rows) for rows in groups]
        limit = limits[metric.threshold].to_numpy(dtype=np.float64, na_value=np.nan)
        draw = _strip if many else _rows
        draw(axis, values, limit, metric)
    if many:
        _name_columns(axes[-1], samples)
    else:
        axes[0].set_yticks(range(len(samples)), [shown(name) for name in samples])
        axes[0].set_ylim(len(samples) - 0.4, -0.6)
    return figure


def _groups(obs: pd.DataFrame, samples: tuple[str, ...]) -> list[npt.NDArray[np.int64]]:
    codes = pd.Index(samples).get_indexer(obs["sample"].astype(object).to_numpy(dtype=object))
    return [np.flatnonzero(codes == position) for position in range(len(samples))]


def _values(obs: pd.DataFrame, metric: Metric, rows: npt.NDArray[np.int64]) -> Floats:
    if metric.column not in obs:
        return np.zeros(0)
    found = obs[metric.column].to_numpy(dtype=np.float64, na_value=np.nan)[rows]
    return np.sort(found[np.isfinite(found) & ((found > 0) | (not metric.log))])


def _rows(axis: Axes, values: list[Floats], limit: Floats, metric: Metric) -> None:
    """Draw a row of points, quartiles and median per sample; few samples."""
    _scale(axis, "x", values, limit, metric)
    axis.set(title=metric.title)
    axis.tick_params(axis="y", length=0)
    for place, sample in enumerate(values):
        if len(sample):
            # Evenly spaced ranks show the distribution whatever the number of cells.
            chosen = sample[np.linspace(0, len(sample) - 1, min(len(sample), _POINTS)).astype(int)]
            height = place + 0.5 * (np.arange(len(chosen)) * 0.6180339887 % 1.0 - 0.5)
            axis.scatter(
                chosen,
                height,
                s=float(np.clip(600 / len(chosen), 3.0, 16.0)),
                c=SKY,
                linewidths=0.0,
                rasterized=True,
            )
            first, middle, third = np.quantile(sample, [0.25, 0.5, 0.75])
            axis.plot([first, third], [place, place], color=INK, linewidth=1.6)
            axis.plot(middle, place, marker="o", color=INK, markersize=4.5)
    known = np.isfinite(limit)
    places = np.flatnonzero(known)
    axis.vlines(limit[known], places - 0.38, places + 0.38, color=VERMILLION, linewidth=2.0)


def _strip(axis: Axes, values: list[Floats], limit: Floats, metric: Metric) -> None:
    """Draw bands of quantiles over the samples; many samples."""
    missing = np.full(5, np.nan)
    bands: Any = np.array(
        [np.quantile(v, [0.05, 0.25, 0.5, 0.75, 0.95]) if len(v) else missing for v in values]
    )
    place = np.arange(len(values), dtype=np.float64)
    _scale(axis, "y", values, limit, metric)
    axis.set(title=metric.title, xlim=(-1, len(values)))
    axis.vlines(place, bands[:, 0], bands[:, 4], color=GREY, linewidth=1.4)
    axis.vlines(place, bands[:, 1], bands[:, 3], color=BLUE, linewidth=2.4)
    axis.scatter(place, bands[:, 2], s=7.0, c=INK, zorder=3)
    axis.hlines(limit, place - 0.5, place + 0.5, color=VERMILLION, linewidth=1.6)


def _scale(axis: Axes, which: str, values: list[Floats], limit: Floats, metric: Metric) -> None:
    drawn = np.concatenate([*values, limit[np.isfinite(limit)]])
    if metric.log and (drawn > 0).any():
        getattr(axis, f"set_{which}scale")("log")
        line = axis.xaxis if which == "x" else axis.yaxis
        line.set_major_formatter(plain)
        line.set_minor_formatter("")
    elif not metric.log:
        top = float(drawn.max()) if len(drawn) else 1.0
        getattr(axis, f"set_{which}lim")(-0.02 * top, 1.05 * max(top, 1.0))


def _name_columns(axis: Axes, samples: tuple[str, ...]) -> None:
    step = max(1, -(-len(samples) // _LABELS))
    places = range(0, len(samples), step)
    axis.set_xticks(places, [shown(samples[p], 16) for p in places], rotation=90, fontsize=7.0)
    axis.set_xlabel("sample" if step == 1 else f"sample (one name in {step} is shown)")
