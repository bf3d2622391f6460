"""Interactive UMAP of the cohort (hover, colour, select), drawn by BokehJS in the page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, TypedDict, final

import numpy as np
import numpy.typing as npt
import pandas as pd
from markupsafe import Markup

from ctcflow import numbers
from ctcflow.render.marks import CLASS_MARKS, GREY, INK, level_colours, ramp
from ctcflow.render.page.environment import fill

MOST_CELLS: Final = 100_000
"""Largest number of cells that are drawn; called and uncertain cells are always included
(cells)."""
_CALLS: Final = ("uncertain", "CTC aggregate", "CTC")
_MARKERS: Final = {"^": "triangle", "D": "diamond", "o": "circle", "s": "square"}
_LEVELS: Final = {
    "class": "Class",
    "cell_type": "Cell type",
    "sample": "Sample",
    "patient": "Patient",
    "batch_used": "Batch",
    "cluster": "Cluster",
}
_AMOUNTS: Final = {
    "n_panel_genes": "Tumour panel genes seen",
    "evidence": "Evidence for a tumour cell (-log10)",
    "total_counts": "Counts",
}

Floats = npt.NDArray[np.float64]


@final
class _Levels(TypedDict):
    """A column of categories, as the scripts of the page read it."""

    title: str
    names: list[str]
    colours: list[str]
    counts: list[int]
    """Number of drawn cells of each name."""


@final
class _Amounts(TypedDict):
    """A column of numbers, as the scripts of the page read it."""

    title: str
    colours: list[str]
    """From `low` to `high`."""
    low: float
    high: float


About = Mapping[str, _Levels | _Amounts]
"""What the page says about each column that cells can be coloured by."""
Data = dict[str, npt.NDArray[Any] | list[str]]
"""Columns of the drawn cells: coordinates, barcodes, codes of categories, amounts."""


class Parts(NamedTuple):
    """What the page embeds."""

    markup: Markup
    library: tuple[str, ...]
    """JavaScript of BokehJS; empty where there is nothing to draw."""


def explorer(obs: pd.DataFrame, coordinates: Floats | None) -> Parts:
    """Make the interactive UMAP.

    Parameters
    ----------
    obs
        One row per cell: `class`, `sample`, `barcode` and any of the columns for colours.
    coordinates
        (n_cells, 2); rows with missing values are left out; None if there is no UMAP.

    Returns
    -------
    Parts
        The same cells give the same bytes.
    """
    usable = None if coordinates is None else np.isfinite(coordinates).all(axis=1)
    if coordinates is None or usable is None or not usable.any():
        return Parts(Markup(""), ())
    called = obs["class"].isin(_CALLS).to_numpy() if "class" in obs else np.zeros_like(usable)
    chosen = _chosen(usable, called)
    cells, places = obs.iloc[chosen], coordinates[chosen].astype(np.float32)
    levels = {name: title for name, title in _LEVELS.items() if name in obs}
    amounts = {name: title for name, title in _AMOUNTS.items() if name in obs}
    of_levels = {name: _about_level(cells, name, title) for name, title in levels.items()}
    of_amounts = {name: _about_amount(cells, name, title) for name, title in amounts.items()}
    about: About = {**of_levels, **of_amounts}
    classes = _texts(cells, "class") if "class" in cells else np.full(len(cells), "", dtype=object)
    item = _item(_data(cells, places, about), about, classes)
    all_drawn = len(chosen) == usable.sum()
    number = f"{len(chosen):,}" if all_drawn else f"{len(chosen):,} of {int(usable.sum()):,}"
    kept = "" if all_drawn else ", with all calls and uncertain cells among them"
    markup = fill(
        "sections/explorer",
        cells=f"{number} cells{kept}",
        about=about,
        samples=of_levels["sample"]["names"] if "sample" in of_levels else (),
        item=item,
    )
    return Parts(markup, library())


def _data(cells: pd.DataFrame, places: npt.NDArray[np.float32], about: About) -> Data:
    data: Data = {"x": places[:, 0], "y": places[:, 1], "barcode": _barcodes(cells)}
    for name, column in about.items():
        if "names" in column:
            codes = pd.Index(column["names"]).get_indexer(pd.Index(_texts(cells, name)))
            data[name] = codes.astype(np.uint8 if len(column["names"]) < 256 else np.uint16)
        else:
            data[name] = cells[name].to_numpy(np.float64, na_value=np.nan).astype(np.float32)
    first = next(iter(about), "x")
    return data | {"shown": np.asarray(data[first]).astype(np.float32)}


def _chosen(usable: npt.NDArray[np.bool_], kept: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
    """Cells to draw: all if they are few enough, else all calls and a random part of the others."""
    rows = np.flatnonzero(usable)
    if rows.size <= MOST_CELLS:
        return rows
    calls, others = rows[kept[rows]], rows[~kept[rows]]
    room = max(MOST_CELLS - calls.size, 0)
    drawn = np.random.default_rng(0).choice(others, size=min(room, others.size), replace=False)
    return np.sort(np.concatenate([calls, drawn]))


def _texts(obs: pd.DataFrame, name: str) -> npt.NDArray[np.object_]:
    return np.asarray(obs[name].astype(object).map(numbers.text).to_numpy(dtype=object))


def _barcodes(cells: pd.DataFrame) -> list[str]:
    if "barcode" in cells:
        return [str(name) for name in _texts(cells, "barcode")]
    return [str(name) for name in cells.index]


def _about_level(cells: pd.DataFrame, name: str, title: str) -> _Levels:
    names, sizes = np.unique(_texts(cells, name).astype(str), return_counts=True)
    if name == "class":
        order = [k for k in CLASS_MARKS if k in names] + [k for k in names if k not in CLASS_MARKS]
        colours = {k: CLASS_MARKS[k].colour if k in CLASS_MARKS else INK for k in order}
    else:
        colours = level_colours(names, sizes)
        # clusters are sorted as numbers: 2 comes before 10
        order = sorted(names.tolist(), key=_in_order)
    count = dict(zip(names.tolist(), sizes.tolist(), strict=True))
    return {
        "title": title,
        "names": [str(k) for k in order],
        "colours": [colours[k] for k in order],
        "counts": [count[k] for k in order],
    }


def _in_order(name: str) -> tuple[bool, int, str]:
    return (not name.isdecimal(), int(name) if name.isdecimal() else 0, name)


def _about_amount(cells: pd.DataFrame, name: str, title: str) -> _Amounts:
    values = cells[name].to_numpy(np.float64, na_value=np.nan)
    known = values[np.isfinite(values)]
    # a few extreme cells must not dominate the colour scale: it ends at the 99.9th percentile
    low, high = np.quantile(known, [0.0, 0.999]) if known.size else (0.0, 1.0)
    return {
        "title": title,
        "colours": ramp(),
        "low": float(low),
        "high": float(high) if high > low else float(low) + 1.0,
    }


def _item(
    data: Data,
    about: About,
    classes: npt.NDArray[np.object_],
) -> Mapping[str, Any]:
    """Draw with Bokeh: one group of coloured points, and one group per class of calls."""
    from bokeh.embed import json_item
    from bokeh.models import BooleanFilter, CDSView, ColumnDataSource
    from bokeh.models.renderers import DataRenderer

    plot = _empty_plot()
    drawn: list[DataRenderer] = []
    for name, look in _looks(len(classes)).items():
        rows = np.flatnonzero(~np.isin(classes, _CALLS) if name == "cells" else classes == name)
        columns = {key: _taken(values, rows) for key, values in data.items()}
        source = ColumnDataSource(data=columns, name=f"{name} source")
        view = CDSView(filter=BooleanFilter(name=f"{name} filter"))
        drawn.append(plot.scatter("x", "y", source=source, view=view, name=name, **look))
    ring = ColumnDataSource(data={"x": [], "y": []}, name="found")
    plot.scatter("x", "y", source=ring, size=20, fill_color=None, line_color=INK, line_width=2.5)
    plot.add_tools(_hover(about, drawn))
    item: Mapping[str, Any] = _renumbered(json.loads(json.dumps(json_item(plot))))
    return item


def _empty_plot() -> Any:
    from bokeh.plotting import figure

    plot = figure(
        sizing_mode="stretch_width",
        height=560,
        tools="pan,box_zoom,wheel_zoom,reset",
        output_backend="webgl",
        name="map",
    )
    plot.toolbar.logo = None
    plot.axis.visible = False
    plot.grid.visible = False
    return plot


def _looks(n: int) -> dict[str, dict[str, Any]]:
    """How the points of each group are drawn, for n points in total."""
    from bokeh.models import LinearColorMapper

    mapper = LinearColorMapper(palette=[GREY], low=0, high=1, nan_color=GREY, name="colours")
    small = 5 if n <= 2000 else 3 if n <= 20_000 else 2
    looks: dict[str, dict[str, Any]] = {
        "cells": {"size": small, "color": {"field": "shown", "transform": mapper}}
    }
    for name in _CALLS:
        mark = CLASS_MARKS[name]
        looks[name] = {
            "size": 10,
            "marker": _MARKERS[mark.shape],
            "fill_color": mark.colour,
            "line_color": INK,
        }
    return looks


def _hover(about: About, drawn: Sequence[Any]) -> Any:
    """Tooltip for the point under the pointer."""
    from bokeh.models import CustomJSHover, HoverTool

    lines = [("Barcode", "@barcode")]
    formatters: dict[str, Any] = {}
    for name, column in about.items():
        lines.append((column["title"], f"@{{{name}}}" + ("{custom}" if "names" in column else "")))
        if "names" in column:
            names = {"names": column["names"]}
            formatters[f"@{{{name}}}"] = CustomJSHover(args=names, code="return names[value]")
    return HoverTool(tooltips=lines, formatters=formatters, renderers=list(drawn))


def _taken(values: Any, rows: npt.NDArray[np.intp]) -> Any:
    return [values[row] for row in rows] if isinstance(values, list) else values[rows]


def _renumbered(item: Any) -> Any:
    """Renumber Bokeh's objects from one, because Bokeh's counter depends on earlier figures."""
    numbers_of: dict[str, str] = {}

    def walked(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {name: walked(part, name) for name, part in value.items()}
        if isinstance(value, list):
            return [walked(part) for part in value]
        if key in ("id", "root_id") and isinstance(value, str):
            return numbers_of.setdefault(value, f"m{len(numbers_of)}")
        return value

    return walked(item)


def library() -> tuple[str, ...]:
    """JavaScript of BokehJS that the interactive UMAP needs."""
    from bokeh.resources import Resources

    return tuple(Resources(mode="inline", components=["bokeh", "bokeh-gl"]).js_raw)
