"""Data behind the figures of quality control: metrics of each coarse lineage of a sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from ctcflow.numbers import number_or_none, text
from ctcflow.records.call import SampleQuality
from ctcflow.records.qc import Limit
from ctcflow.render.figures.points import Floats
from ctcflow.render.marks import plain

_PERCENT: Final = (0, 2, 5, 10, 20, 50, 100)


LimitName = Literal[
    "min_umis",
    "min_genes",
    "max_pct_mt",
    "damaged_umis",
    "damaged_pct_mt",
    "high_umis",
    "high_genes",
]
"""Fields of `records.qc.Limit`."""


class Metric(NamedTuple):
    """One metric: its title, whether its axis is logarithmic, and the names of its limits."""

    key: str
    title: str
    log: bool
    aside: LimitName
    """Limit beyond which cells are set aside: below it on a logarithmic axis, else above it."""
    damaged: LimitName | None
    remark: LimitName | None


class Row(NamedTuple):
    """One line of the figure: a lineage of a sample, or its heading."""

    sample: int
    label: str
    values: Mapping[str, Floats]
    limit: Limit | None
    """None for a heading, and where no limits are recorded."""

    def limit_of(self, name: LimitName | None) -> float | None:
        """One of the limits as recorded; None if there is no such limit."""
        return self.limit.get(name) if self.limit and name else None

    @property
    def cells(self) -> float | None:
        """Number of droplets, as recorded with the limits."""
        return number_or_none(self.limit.get("cells")) if self.limit else None

    @property
    def adaptive(self) -> bool:
        """Whether the limits were measured on the lineage."""
        adaptive: bool | None = self.limit.get("adaptive") if self.limit else None
        return bool(adaptive)


METRICS: Final = (
    Metric("total_counts", "counts", True, "min_umis", "damaged_umis", "high_umis"),
    Metric("n_genes_by_counts", "genes", True, "min_genes", None, "high_genes"),
    Metric(
        "pct_counts_mt", "mitochondrial counts (%)", False, "max_pct_mt", "damaged_pct_mt", None
    ),
)


def are_umis(record: SampleQuality) -> bool:
    """Whether the counts of a sample are UMIs, not reads."""
    umis: bool | None = record.get("umis")
    return umis is not False


def lineages(sample: int, record: SampleQuality) -> list[Row]:
    """Lineages with at least one droplet, in the order of the limits."""
    limits = {text(limit.get("lineage")): _in_pairs(limit) for limit in record.get("limits") or []}
    values: dict[str, dict[str, Floats]] = {name: {} for name in limits}
    for metric in record.get("distributions") or []:
        numbers = [number_or_none(value) for value in metric.get("values") or []]
        known = np.array([n for n in numbers if n is not None], dtype=np.float64)
        if known.size:
            values.setdefault(text(metric.get("lineage")), {})[text(metric.get("metric"))] = known
    return [
        Row(sample, name, by_metric, limits.get(name))
        for name, by_metric in values.items()
        if by_metric
    ]


def _in_pairs(limit: Limit) -> Limit:
    """Drop the limits for damaged droplets unless both exist, since they only apply together."""
    pair = limit.get("damaged_umis"), limit.get("damaged_pct_mt")
    if any(number_or_none(value) is None for value in pair):
        return {**limit, "damaged_umis": None, "damaged_pct_mt": None}
    return limit


def scale(axis: Axes, which: str, rows: Sequence[Row], metric: Metric) -> None:
    """Choose scale and ticks of an axis (`x` or `y`) so that all rows fit."""
    line = axis.xaxis if which == "x" else axis.yaxis
    drawn = np.concatenate(
        [row.values.get(metric.key, np.zeros(0)) for row in rows] or [np.zeros(0)]
    )
    limits = [number_or_none(row.limit_of(metric.aside)) for row in rows]
    top = max([1.0, *drawn.tolist(), *(limit for limit in limits if limit is not None)])
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
