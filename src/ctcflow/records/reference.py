"""`manifest.json` of a frozen reference: how it was made, and what mapping needs beside arrays."""

from __future__ import annotations

from typing import NotRequired, TypedDict

from ctcflow.records.call import Controls
from ctcflow.records.run import Params


class FrozenStep(TypedDict):
    """How a step of the frozen run was run: `StepRecord` without names of samples."""

    version: str
    params: Params
    inputs: NotRequired[dict[str, str]]


class NoveltyLimit(TypedDict):
    """See `stats.embedding.novelty.Limit`."""

    intercept: float
    slope: float
    above: float


class NoveltyLimits(TypedDict):
    """Limits of both measures of novelty; None where there were too few leukocytes."""

    null_cells: int
    distance: NoveltyLimit | None
    unexpected: NoveltyLimit | None


class Manifest(TypedDict):
    """The whole manifest."""

    format: int
    """Version of the format of the bundle."""
    ctcflow: str
    """Version of ctcflow."""
    cells: int
    samples: int
    method: str
    """Method of `integrate`."""
    target_umis: float
    n_neighbors: int
    clusters: list[str]
    cell_types: list[str]
    """Names by code."""
    scored_types: list[str]
    limits: NoveltyLimits
    controls: Controls
    steps: dict[str, FrozenStep]
