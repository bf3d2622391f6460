"""Figure of the memory and time that jobs took and would have requested, per step."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ctcflow.render.marks import BLUE, VERMILLION


def picture(jobs: pd.DataFrame) -> Figure:
    """One small plot per step: MiB against stored counts, and what the line gives."""
    steps = list(dict.fromkeys(jobs["step"]))
    n_columns = 5
    n_rows = -(-len(steps) // n_columns)
    figure = Figure(figsize=(12, 2.4 * n_rows), layout="constrained")
    grid = np.atleast_2d(figure.subplots(n_rows, n_columns)).ravel()
    for axes, step in zip(grid, steps, strict=False):
        part = jobs[jobs["step"] == step]
        axes.loglog(part["values"], part["line_MiB"], ".", color=BLUE, label="line")
        axes.loglog(part["values"], part["MiB"], ".", color=VERMILLION, label="taken")
        axes.set_title(f"{step}: MiB", loc="left")
    for axes in grid[len(steps) :]:
        axes.set_axis_off()
    grid[0].legend(frameon=False)
    figure.supxlabel("stored counts of the input (millions)")
    return figure
