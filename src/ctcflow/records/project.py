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
    """Names of the first missing genes."""
    seen_share: float
    """Share of the reference's components that the sample's genes cover (fraction)."""
    method: str
    reason: str
    novel: int
    novelty_reason: str
    not_mapped: NotRequired[str]
    """Why the sample was not mapped; empty where it was."""
    missing_markers: NotRequired[int]
    types_by_markers: NotRequired[list[str]]
