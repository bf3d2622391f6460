"""What a line of evidence is: the columns it adds for each cell, and its text about a cell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ctcflow.keys import Slot

Kind = Literal["p", "number", "count", "truth", "category", "text", "table"]
"""`p` and `number` are floats (NaN: not judged), `count` is an integer, `category` and `text` are
empty where there is nothing to say, `table` is a DataFrame in obsm."""
Cell = Mapping[str, Any]
"""One cell of `results/call/cells.tsv.gz`, by column."""
Measured = Mapping[Slot, Any]
"""Values of each slot, in the order of the cells of `Looked`."""


@dataclass(frozen=True)
class Column:
    """One value that a line of evidence writes for each cell."""

    slot: Slot
    kind: Kind
    listed: bool = False
    """Whether it is also in the tables of cells and calls; the others are used by the class rules
    only."""
    together: Literal["own", "group", "weaker", "either"] = "own"
    """Which value counts for a cell that is judged together with its group (`look.Together`): its
    own; that of the group's summed counts; the larger p of the two; or the smaller p, times two
    (Bonferroni)."""
    missing: Any = np.nan
    """For cells that are not judged."""

    def __post_init__(self) -> None:
        if self.listed and self.slot.container != "obs":
            raise ValueError(f"{self.slot} is listed: only columns of obs are")


class Found(NamedTuple):
    """Result of a line of evidence for a sample."""

    cells: Measured
    """(n,) values per cell, for every column."""
    groups: Measured = {}
    """(g,) values from the summed counts of each group, for every column whose `together` is not
    `own`."""
    record: Any = None
    """Record for uns `score`, stored under the name of the line; None for no record."""
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
        Name in the list of what was not run, and key in uns `score`: "copy number".
    label
        Heading of its text on a card: "Copy number".
    columns
        The values that it writes for each cell.
    says
        What a called cell shows, in words; empty for nothing.
    against
        What speaks against a tumour cell according to this line, in words; empty for nothing.
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
    """Spread the values of some cells over all cells; the others get `column.missing`.

    Parameters
    ----------
    values
        (r,) of the cells in `rows`.
    column
        Column that the values belong to.
    rows
        (r,) row indices of these cells.
    n
        Number of all cells.
    """
    text = column.kind in ("category", "text")
    whole = np.int64 if column.kind == "count" else np.float64
    every = np.full(n, column.missing, dtype=object if text else whole)
    every[rows] = values
    return pd.Categorical(every.astype(str)) if column.kind == "category" else every
