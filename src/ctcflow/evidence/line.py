"""What a line of evidence is: what it leaves of each cell, and its words for that."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ctcflow.keys import Slot

Kind = Literal["p", "number", "count", "truth", "category", "text", "table"]
"""`p` and `number` are floats (NaN: not judged), `count` is a whole number, `category` and `text`
are empty where there is nothing to say, `table` is a DataFrame in obsm."""
Cell = Mapping[str, Any]
"""One cell of `results/call/cells.tsv.gz`, by column."""
Measured = Mapping[Slot, Any]
"""Values of each slot, in the order of the cells that were looked at."""


@dataclass(frozen=True)
class Column:
    """Something that a line leaves of each cell."""

    slot: Slot
    kind: Kind
    listed: bool = False
    """Also in the tables of cells and calls; what is not listed is for the rules of the classes."""
    together: Literal["own", "group", "weaker", "either"] = "own"
    """What holds for a cell that is judged together with others (`together`): its own value, that
    of all their counts, the larger p of both, or the smaller at the price of two looks."""
    missing: Any = np.nan
    """For cells that are not judged."""


class Found(NamedTuple):
    """What a line says of the cells of a sample."""

    cells: Measured
    """(n,) per cell, of every column."""
    groups: Measured = {}
    """(g,) of all counts of the cells that are judged together, of every column that is not
    `own`."""
    record: Any = None
    """For uns `score`, below the name of the line; None for nothing."""
    not_run: str = ""
    """Why the line was not judged; empty where it was."""


def _nothing(cell: Cell) -> str:
    return ""


@dataclass(frozen=True)
class Line:
    """A line of evidence.

    Attributes
    ----------
    name
        As in the list of what was not run, and as a key of uns `score`: "copy number".
    label
        Before its words on a card: "Copy number".
    columns
        What it leaves of each cell.
    says
        What a called cell shows, in words; empty for nothing.
    against
        What would make the cell no tumour cell, as far as this line knows; empty for nothing.
    """

    name: str
    label: str
    columns: tuple[Column, ...]
    says: Callable[[Cell], str] = field(default=_nothing)
    against: Callable[[Cell], str] = field(default=_nothing)

    def column(self, slot: Slot) -> Column:
        """The column of a slot of this line."""
        return next(column for column in self.columns if column.slot == slot)


def spread(
    values: npt.NDArray[Any], column: Column, *, rows: npt.NDArray[np.intp], n: int
) -> npt.NDArray[Any] | pd.Categorical:
    """Values of some cells as those of all; the others have what stands for missing.

    Parameters
    ----------
    values
        (r,) of the cells in `rows`.
    column
        Whose they are.
    rows
        (r,) places of these cells.
    n
        Number of all cells.
    """
    text = column.kind in ("category", "text")
    whole = np.int64 if column.kind == "count" else np.float64
    every = np.full(n, column.missing, dtype=object if text else whole)
    every[rows] = values
    return pd.Categorical(every.astype(str)) if column.kind == "category" else every
