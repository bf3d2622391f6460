"""`uns["reduce"]`."""

from __future__ import annotations

from typing import NotRequired, TypedDict


class Reduce(TypedDict):
    """What the principal components were made of."""

    n_samples: int
    n_samples_ranked: int
    """Large enough for moments."""
    n_cells: int
    n_genes: int
    n_used: int
    n_excluded: int
    variance: list[float]
    """Of each component."""
    variance_explained: list[float]
    """Fraction of all variance."""
    reason: NotRequired[str]
    """Why there are fewer components than were asked for."""
