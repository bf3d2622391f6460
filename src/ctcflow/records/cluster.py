"""`uns["cluster"]`, `uns["markers"]` and `uns["conditions"]`."""

from __future__ import annotations

from typing import TypedDict

from ctcflow.records.run import NotRun


class Stability(TypedDict):
    """Stability of the clusters at one resolution; None where it cannot be measured."""

    resolution: float
    stability: float | None
    """Mean adjusted Rand index between clusterings of subsamples."""
    stability_sd: float | None
    stability_of_noise: float | None


class Resolution(Stability):
    """Clusters at one resolution."""

    n_clusters: int


class Sketch(TypedDict):
    """Number of cells that were clustered, and of all cells."""

    cells: int
    of: int


class ClusterType(TypedDict):
    """Type of a cluster by its markers."""

    cluster: str
    cells: int
    cell_type: str
    score: float | None
    margin: float | None
    second: str | None


class Clustering(TypedDict):
    """How clusters and cell types were found."""

    resolutions: list[Resolution]
    resolution: float
    sketch: Sketch
    reason: str
    cell_types: list[ClusterType]
    scored_types: list[str]
    not_run: list[NotRun]


class Marker(TypedDict):
    """A marker gene of a cluster."""

    gene: str
    auc: float
    difference: float
    mean: float


Markers = dict[str, list[Marker]]
"""Marker genes by cluster, best first."""


class Conditions(TypedDict):
    """Differential expression between conditions: one list per column of the table."""

    cell_type: list[str]
    condition: list[str]
    against: list[str]
    gene: list[str]
    mean: list[float]
    """Mean counts per patient."""
    log2_fold_change: list[float]
    standard_error: list[float]
    p: list[float]
    q: list[float]
    patients: list[int]
    patients_against: list[int]
