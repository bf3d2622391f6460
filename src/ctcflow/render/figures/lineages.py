"""Data behind the figures of quality control: metrics of each coarse lineage of a sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from ctcflow.numbers import number_or_none, text
from ctcflow.render.figures.points import Floats
from ctcflow.render.marks import plain

_PERCENT: Final = (0, 2, 5, 10, 20, 50, 100)


class Metric(NamedTuple):
    """One metric: its title, whether its axis is logarithmic, and the keys of its limits."""

    key: str
    title: str
    log: bool
    aside: str
    """Limit beyond which cells are set aside: below it on a logarithmic axis, else above it."""
    damaged: str
    remark: str


class Row(NamedTuple):
    """One line of the figure: a lineage of a sample, or its heading."""

    sample: int
    label: str
    values: Mapping[str, Floats]
    limit: Mapping[str, Any]


METRICS: Final = (
    Metric("total_counts", "counts", True, "min_umis", "damaged_umis", "high_umis"),
    Metric("n_genes_by_counts", "genes", True, "min_genes", "", "high_genes"),
    Metric("pct_counts_mt", "mitochondrial counts (%)", False, "max_pct_mt", "damaged_pct_mt", ""),
)


def lineages(sample: int, record: Mapping[str, Any]) -> list[Row]:
    """Lineages with at least one droplet, in the order of the limits."""
    limits = {text(row.get("lineage")): _in_pairs(row) for row in record.get("limits") or []}
    values: dict[str, dict[str, Floats]] = {name: {} for name in limits}
    for found in record.get("distributions") or []:
        numbers = [number_or_none(value) for value in found.get("values") or []]
        known = np.array([n for n in numbers if n is not None], dtype=np.float64)
        if known.size:
            values.setdefault(text(found.get("lineage")), {})[text(found.get("metric"))] = known
    return [Row(sample, name, own, limits.get(name, {})) for name, own in values.items() if own]


def _in_pairs(limit: Mapping[str, Any]) -> Mapping[str, Any]:
    """Drop the limits for damaged droplets unless both exist, since they only apply together."""
    pair = [metric.damaged for metric in METRICS if metric.damaged]
    if any(number_or_none(limit.get(key)) is None for key in pair):
        return {key: value for key, value in limit.items() if key not in pair}
    return limit


def scale(axis: Axes, which: str, rows: Sequence[Row], metric: Metric) -> None:
    """Choose scale and ticks of an axis (`x` or `y`) so that all rows fit."""
    line = axis.xaxis if which == "x" else axis.yaxis
    drawn = np.concatenate(
        [row.values.get(metric.key, np.zeros(0)) for row in rows] or [np.zeros(0)]
    )
    found = [number_or_none(row.limit.get(metric.aside)) for row in rows]
    top = max([1.0, *drawn.tolist(), *(limit for limit in found if limit is not None)])
    if metric.log:
        getattr(axis, f"set_{which}scale")("log")
        line.set_major_formatter(plain)
        line.set_minor_formatter("")
        if (drawn < 1).any():
            line.set_label_text("0 is drawn at 1")
    else:
        # symmetric log, to show living cells at 3 % and dying cells at 90 % in one figure
        getattr(axis, f"set_{which}scale")("symlog", linthresh=5.0)
        getattr(axis, f"set_{which}ticks")([t for t in _PERCENT if t <= 1.1 * top], minor=False)
        line.set_major_formatter("{x:g}")
        line.set_minor_locator(NullLocator())
        getattr(axis, f"set_{which}lim")(-0.4, 1.15 * max(top, 5.0))
