"""HTML tables: how values are shown, and by which number they are sorted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, Literal, NamedTuple

from markupsafe import Markup

from ctcflow import numbers
from ctcflow.render.page.environment import fill

Kind = Literal["text", "code", "count", "number", "p"]

_SHOWN: Final = {
    "text": numbers.text,
    "code": numbers.text,
    "count": numbers.count,
    "number": numbers.short,
    "p": numbers.probability,
}
# Number of columns at which a table is always wider than the page, and scrolls.
_WIDE: Final = 9
# Largest number of rows of a table that is shown completely; longer tables scroll.
_TALL: Final = 25
# Text up to this length is not wrapped.
_WORD: Final = 18


class Column(NamedTuple):
    """One column of a table: its heading, and how its values are shown."""

    label: str
    kind: Kind = "text"

    @property
    def is_number(self) -> bool:
        """Whether its values are aligned to the right."""
        return self.kind in ("count", "number", "p")


class Valued(NamedTuple):
    """A cell that shows text but is sorted by a number."""

    shown: str
    value: float


Content = numbers.Value | Valued
"""What a cell of a table may hold; text may be `Markup`."""


class _Cell(NamedTuple):
    shown: str
    style: str
    """CSS class of its element; may be empty."""
    sorts_by: str
    """Number to sort by, as text; empty if the cell is sorted by its text."""
    is_code: bool


def table(
    caption: str,
    columns: Sequence[Column],
    rows: Sequence[Sequence[Content]],
    *,
    search: bool = False,
    empty: str = "none",
) -> Markup:
    """Write a table that scrolls in its own box.

    Parameters
    ----------
    caption
        What the table shows.
    columns
        Columns; values of the first column are headings of their rows.
    rows
        Values, one per column; `Markup` is inserted unchanged, a `Valued` is sorted by its number.
    search
        Whether the table can be sorted and searched (if scripts run).
    empty
        Text to show if there are no rows.
    """
    return fill(
        "table",
        caption=caption,
        columns=columns,
        rows=[list(_cells(columns, row)) for row in rows],
        search=search,
        wide=len(columns) > _WIDE,
        tall=len(rows) > _TALL,
        empty=empty,
    )


def _cells(columns: Sequence[Column], row: Sequence[Content]) -> Iterator[_Cell]:
    for column, value in zip(columns, row, strict=True):
        number = value.value if isinstance(value, Valued) else numbers.number_or_none(value)
        shown, is_code = _shown(column, value)
        if column.is_number:
            style = "number"
        else:
            style = "word" if column.kind == "code" or len(shown) <= _WORD else ""
        yield _Cell(shown, style, "" if number is None else repr(float(number)), is_code)


def _shown(column: Column, value: Content) -> tuple[str, bool]:
    """Text of a cell, and whether it is shown as code."""
    if isinstance(value, Markup):
        return value, False
    if isinstance(value, Valued):
        return value.shown, False
    shown = value if isinstance(value, str) else _SHOWN[column.kind](value)
    return shown or numbers.MISSING, column.kind == "code" and shown != ""
