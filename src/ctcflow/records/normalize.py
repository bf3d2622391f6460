"""`uns["normalize"]`."""

from __future__ import annotations

from typing import NotRequired, TypedDict


class Normalize(TypedDict):
    """What size factors and gene moments are based on."""

    n_cells: int
    cells_without_counts: int
    not_run: NotRequired[str]
    """Why there are no moments."""
