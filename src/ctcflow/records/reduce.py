"""`uns["reduce"]`."""

from __future__ import annotations

from typing import NotRequired, TypedDict


class Reduce(TypedDict):
    """What the principal components were computed from."""

    n_samples: int
    n_samples_ranked: int
    """Samples with enough cells to rank their genes."""
    n_cells: int
    n_genes: int
    n_used: int
    n_excluded: int
    variance: list[float]
    """Variance of each component."""
    variance_explained: list[float]
    """Fraction of the total variance, per component."""
    reason: NotRequired[str]
    """Why there are fewer components than were asked for."""
