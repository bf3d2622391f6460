"""`uns["integrate"]`."""

from __future__ import annotations

from typing import NotRequired, TypedDict


class BeforeAfter[T](TypedDict):
    """A measure before and after the correction."""

    before: T
    after: T


class Batch(TypedDict):
    """One batch."""

    cells: int
    leukocytes: int
    reason: str
    """Why the batch was not corrected; empty where it was."""


class Association(TypedDict):
    """Association of the batch with another property of the samples."""

    column: str
    """Column of the sample sheet."""
    samples: int
    cramers_v: float | None
    """None where it is not defined."""
    p: float
    words: str


class Separability(TypedDict):
    """Share of the neighbours of tumour cells that are tumour cells."""

    before: float
    after: float
    cells: int
    neighbors: int
    measured: int


class Integrate(TypedDict):
    """How the embedding was corrected, and the effect."""

    method: str
    batch: NotRequired[str]
    reason: NotRequired[str]
    batches: NotRequired[dict[str, Batch]]
    confounding: NotRequired[list[Association]]
    mixing: NotRequired[BeforeAfter[dict[str, float]] | None]
    mixing_reason: NotRequired[str]
    mixing_neighbors: NotRequired[int]
    iLISI_of_random: NotRequired[float]
    conservation: NotRequired[BeforeAfter[dict[str, float]] | None]
    conservation_reason: NotRequired[str]
    separability: NotRequired[Separability | None]
    separability_reason: NotRequired[str]
