"""The lines of evidence that there are. A new one is a file of this folder and its rows here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from ctcflow.evidence import copy_number, identity, panels, partners, tissue
from ctcflow.evidence.line import Column, Found
from ctcflow.evidence.look import Looked
from ctcflow.keys import Slot

LINES: Final = (panels.LINE, identity.LINE, tissue.LINE, copy_number.LINE, partners.LINE)
"""In the order in which they are shown."""
_MEASURED: Final[tuple[Callable[[Looked], Found], ...]] = (
    panels.measured,
    identity.measured,
    tissue.measured,
    copy_number.measured,
    partners.measured,
)
"""What measures each of them. Apart, since the page and the tables want the words only: an edit of
how a line is measured runs nothing again that shows it."""


def measure(of: Looked) -> Mapping[str, Found]:
    """What each line says of a sample, by its name."""
    return {line.name: found(of) for line, found in zip(LINES, _MEASURED, strict=True)}


def columns(*, listed: bool) -> tuple[Column, ...]:
    """Columns of all lines, or of those that tables list."""
    return tuple(c for line in LINES for c in line.columns if c.listed or not listed)


def slots() -> tuple[Slot, ...]:
    """What the lines leave of each cell."""
    return tuple(column.slot for column in columns(listed=False))


def listed_slots() -> tuple[Slot, ...]:
    """What of that tables list."""
    return tuple(column.slot for column in columns(listed=True))
