"""UMAP of the cohort, drawn once per column of obs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ctcflow.render.figures import points
from ctcflow.render.figures.points import Floats
from ctcflow.render.marks import (
    CLASS_MARKS,
    GREY,
    LEVELS,
    Mark,
    blank,
    level_colours,
    shown,
)


def umap(
    obs: pd.DataFrame, coordinates: Floats | None, panels: Mapping[str, str], reason: str
) -> Figure:
    """Draw the UMAP of the cohort once per column.

    Parameters
    ----------
    obs
        One row per cell; a column named `class` is drawn with calls last and large.
    coordinates
        (n_cells, 2); rows with missing values are left out; None if there is no UMAP.
    panels
        Title by column of `obs`.
    reason
        Why there is no UMAP, if there is none.
    """
    usable = None if coordinates is None else np.isfinite(coordinates).all(axis=1)
    if coordinates is None or usable is None or not usable.any():
        return blank(reason)
    places, cells = coordinates[usable], obs[usable]
    figure = Figure(figsize=(11.0, 4.1 * ((len(panels) + 1) // 2)), layout="constrained")
    axes = np.atleast_1d(figure.subplots((len(panels) + 1) // 2, 2)).ravel()
    for axis, (column, title) in zip(axes, panels.items(), strict=False):
        axis.set(xticks=[], yticks=[], xlabel="UMAP 1", ylabel="UMAP 2", title=title)
        values = cells[column].astype(object).fillna("").astype(str).to_numpy(dtype=object)
        if column == "class":
            _by_class(axis, places, values)
        else:
            _by_level(axis, places, values, label=column == "cell_type")
    for axis in axes[len(panels) :]:
        axis.set_axis_off()
    return figure


def _by_class(axis: Axes, places: Floats, values: npt.NDArray[np.object_]) -> None:
    small = points.point_size(len(places))
    for name, mark in CLASS_MARKS.items():
        chosen = places[values == name]
        if len(chosen):
            points.draw(axis, chosen, mark, small)
    handles = [
        points.handle(mark, f"{name} ({np.count_nonzero(values == name):,})")
        for name, mark in CLASS_MARKS.items()
    ]
    axis.legend(handles=handles[::-1], loc="upper left", bbox_to_anchor=(1.0, 1.0))


def _by_level(axis: Axes, places: Floats, values: npt.NDArray[np.object_], *, label: bool) -> None:
    names, sizes = np.unique(values.astype(str), return_counts=True)
    colours = level_colours(names, sizes)
    # in random order, so that no sample is drawn on top of the others because of its name
    order = np.random.default_rng(0).permutation(len(places))
    paint = np.array([colours[name] for name in values[order]], dtype=object)
    axis.scatter(
        places[order, 0],
        places[order, 1],
        s=points.point_size(len(places)),
        c=paint.tolist(),
        linewidths=0.0,
        rasterized=True,
    )
    if len(names) > LEVELS and not label:
        axis.set_xlabel(f"UMAP 1    ({len(names)} names in their order, dark to bright)")
        return
    ranked = names[np.argsort(-sizes, kind="stable")] if label else names
    named = [name for name in ranked if colours[name] != GREY]
    handles = [
        points.handle(Mark(colours[n], "o", 0.0), shown(n) if n else "no name") for n in named
    ]
    if len(named) < len(names):
        handles.append(points.handle(Mark(GREY, "o", 0.0), f"{len(names) - len(named)} others"))
    axis.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    if label:
        _name_on_map(axis, places, values, named)


def _name_on_map(
    axis: Axes, places: Floats, values: npt.NDArray[np.object_], names: Sequence[str]
) -> None:
    outline: list[patheffects.AbstractPathEffect] = [
        patheffects.withStroke(linewidth=2.2, foreground="white")
    ]
    for name in names:
        group = places[values == name]
        if name and len(group) >= 0.01 * len(places):
            x, y = np.median(group, axis=0)
            text = axis.text(x, y, shown(name), fontsize=7.5, ha="center", va="center")
            text.set_path_effects(outline)
