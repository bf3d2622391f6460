"""Figure of quality control: distributions per sample and lineage, with their limits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.markers import CARETLEFTBASE, CARETRIGHTBASE

from ctcflow.numbers import number_or_none, text
from ctcflow.records.call import SampleQuality
from ctcflow.render.figures.lineages import (
    METRICS,
    LimitName,
    Metric,
    Row,
    are_umis,
    lineages,
    scale,
)
from ctcflow.render.figures.points import Floats
from ctcflow.render.figures.strips import strips
from ctcflow.render.marks import BLUE, INK, PURPLE, SKY, VERMILLION, blank, shown

MANY_SAMPLES: Final = 8
Style = Literal["-", "--", ":", ""]
_FILL: Final = "#F1F3F5"


def quality(records: Sequence[SampleQuality], samples: Sequence[str]) -> Figure:
    """Draw counts, genes and mitochondrial share per sample and coarse lineage, with their limits.

    Parameters
    ----------
    records
        One per sample, with `limits` and `distributions`: see `qc` in `render.tables.of_run`.
    samples
        Names in drawing order, including samples without cells.
    """
    if not samples:
        return blank("no sample")
    by_name = {text(record.get("sample")): record for record in records}
    named = [by_name.get(name) for name in samples]
    rows = [lineages(place, record) if record else [] for place, record in enumerate(named)]
    if not any(rows):
        return blank("no sample has a cell")
    if len(samples) > MANY_SAMPLES:
        return strips(rows, samples)
    headings = [
        _heading(name, record if of_sample else None)
        for name, record, of_sample in zip(samples, named, rows, strict=True)
    ]
    return _sub_rows(rows, headings)


def _sub_rows(rows: list[list[Row]], headings: Sequence[str]) -> Figure:
    """Draw a sub-row per lineage below the heading of its sample; used for few samples."""
    lines: list[Row] = []
    for place, of_sample in enumerate(rows):
        lines += [Row(place, headings[place], {}, None), *of_sample]
    height = float(np.clip(11.5 / len(lines), 0.18, 0.25)) * len(lines)
    figure = Figure(figsize=(11.0, 1.5 + height), layout="constrained")
    axes = figure.subplots(1, 3, sharey=True)
    for axis, metric in zip(axes, METRICS, strict=True):
        scale(axis, "x", [row for of_sample in rows for row in of_sample], metric)
        axis.set(title=metric.title)
        axis.tick_params(axis="y", length=0)
        for sample, of_sample in enumerate(rows):
            if sample % 2 == 0:
                top = next(place for place, row in enumerate(lines) if row.sample == sample) - 0.5
                axis.axhspan(top, top + 1 + len(of_sample), color=_FILL, linewidth=0.0, zorder=0)
        _distributions(axis, lines, metric)
        _limits(axis, lines, metric)
    axes[0].set_ylim(len(lines) - 0.5, -0.5)
    axes[0].set_yticks(range(len(lines)), [_label(row) for row in lines])
    for label, row in zip(axes[0].get_yticklabels(), lines, strict=True):
        label.set_fontweight("normal" if row.values else "bold")
        label.set_fontsize(8.0)
    figure.legend(handles=_legend(lines), loc="outside lower center", ncols=3)
    return figure


def _heading(name: str, record: SampleQuality | None) -> str:
    """Name of a sample, with a remark; `record` is None where there is no cell."""
    if record is None:
        return f"{shown(name)}: no cell"
    return shown(name) + ("" if are_umis(record) else ": read counts")


def _label(row: Row) -> str:
    return shown(row.label, 40) + ("" if row.cells is None else f"  {row.cells:,.0f}")


def _distributions(axis: Axes, lines: Sequence[Row], metric: Metric) -> None:
    points, medians = [np.zeros((0, 2))], []
    for place, row in enumerate(lines):
        values = row.values.get(metric.key)
        if values is None:
            continue
        drawn = np.maximum(values, 1.0) if metric.log else values
        # spread over the height of the row, so that close points can be distinguished
        height = place + 0.44 * (np.arange(drawn.size) * 0.6180339887 % 1.0 - 0.5)
        points.append(np.column_stack([drawn, height]))
        medians.append((float(np.median(drawn)), place))
    every = np.concatenate(points)
    axis.scatter(every[:, 0], every[:, 1], s=9.0, c=SKY, linewidths=0.0, rasterized=True)
    middle = np.array(medians, dtype=np.float64).reshape(-1, 2)
    axis.plot(middle[:, 0], middle[:, 1], "o", color=INK, markersize=4.6, zorder=4)


def _limits(axis: Axes, lines: Sequence[Row], metric: Metric) -> None:
    """Draw limits, with arrows to the side that is set aside; open arrows if not measured."""
    for name, style, colour in (
        (metric.remark, ":", BLUE),
        (metric.damaged, "--", PURPLE),
        (metric.aside, "-", VERMILLION),
    ):
        place = _places(lines, name, metric)
        ends = place[:, 1] - 0.45, place[:, 1] + 0.45
        axis.vlines(place[:, 0], *ends, color=colour, linestyle=style, linewidth=1.7, zorder=3)
    for measured, face in ((True, VERMILLION), (False, "white")):
        place = _places(lines, metric.aside, metric)
        like = np.array([lines[int(y)].adaptive is measured for y in place[:, 1]], dtype=bool)
        axis.plot(
            place[like, 0],
            place[like, 1],
            linestyle="",
            marker=CARETLEFTBASE if metric.log else CARETRIGHTBASE,
            color=VERMILLION,
            markerfacecolor=face,
            markersize=5.2,
            zorder=5,
        )


def _places(lines: Sequence[Row], name: LimitName | None, metric: Metric) -> Floats:
    """Limits with their rows, without limits of zero, which limit nothing and have no log."""
    limits = [(number_or_none(row.limit_of(name)), place) for place, row in enumerate(lines)]
    known = [(x, y) for x, y in limits if x is not None and (x > 0 or not metric.log)]
    return np.array(known, dtype=np.float64).reshape(-1, 2)


def _legend(lines: Sequence[Row]) -> list[Line2D]:
    """Legend entries for the marks that occur in the figure."""

    def line(style: Style, colour: str, label: str, **marker: Any) -> Line2D:
        return Line2D([], [], linestyle=style, color=colour, linewidth=1.7, label=label, **marker)

    drawn = [row for row in lines if row.values]
    entries = [
        line("", SKY, "quantiles of all droplets that came in", marker="o", markersize=3.5),
        line("", INK, "median", marker="o", markersize=4.6),
    ]
    for measured, basis, face in (
        (True, "limit measured on the lineage", VERMILLION),
        (False, "limit of the parameters", "white"),
    ):
        if any(row.adaptive is measured for row in drawn):
            arrow = {"marker": CARETLEFTBASE, "markersize": 5.2, "markerfacecolor": face}
            entries.append(line("-", VERMILLION, f"{basis}: set aside beyond", **arrow))
    if any(row.limit_of("damaged_umis") is not None for row in drawn):
        entries.append(line("--", PURPLE, "damaged: set aside where beyond both"))
    remarks = [row.limit_of(metric.remark) for row in drawn for metric in METRICS[:2]]
    if any(remark is not None for remark in remarks):
        entries.append(line(":", BLUE, "a remark beyond, never set aside"))
    return entries
