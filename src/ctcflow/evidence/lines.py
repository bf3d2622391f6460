"""The list of all lines of evidence. To add one, write a module here and enter it below."""

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
"""The function that measures each line. It is no part of `LINES`, since the page and the tables
need only the text of a line: a change of how a line is measured must not re-run them by itself."""


def measure(of: Looked) -> Mapping[str, Found]:
    """Result of each line for a sample, by the name of the line."""
    return {line.name: measured(of) for line, measured in zip(LINES, _MEASURED, strict=True)}


def columns(*, listed: bool) -> tuple[Column, ...]:
    """Columns of all lines, or of those that tables list."""
    return tuple(c for line in LINES for c in line.columns if c.listed or not listed)


def slots() -> tuple[Slot, ...]:
    """All slots that the lines write."""
    return tuple(column.slot for column in columns(listed=False))


def listed_slots() -> tuple[Slot, ...]:
    """The slots that are also in the tables."""
    return tuple(column.slot for column in columns(listed=True))
