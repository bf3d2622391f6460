"""`uns["project"]`."""

from __future__ import annotations

from typing import NotRequired, TypedDict


class OfReference(TypedDict):
    """The reference that a sample was mapped onto."""

    ctcflow: str
    cells: int
    samples: int


class Project(TypedDict):
    """How a sample was mapped."""

    reference: OfReference
    genes: int
    missing_genes: int
    missing: list[str]
    """The first of them."""
    seen_share: float
    """Of the components that the sample's genes hold."""
    method: str
    reason: str
    novel: int
    novelty_reason: str
    not_mapped: NotRequired[str]
    """Why; empty where it was mapped."""
    missing_markers: NotRequired[int]
    types_by_markers: NotRequired[list[str]]
