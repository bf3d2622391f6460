"""`uns["score"]`: what the lines of evidence of one sample are based on."""

from __future__ import annotations

from typing import NotRequired, TypedDict

from ctcflow.records.run import NotRun


class CopyNumber(TypedDict):
    """What copy number was judged against."""

    candidates: int
    judged: int
    null_cells: int
    reference_cells: dict[str, int]
    """Number of reference cells by lineage."""
    arms: list[str]
    reason: str
    """Why it did not run; empty where it did."""


class Decoys(TypedDict):
    """Share of blood cells with p at or below a level, over decoy panels."""

    decoys: int
    cells: int
    level: float
    share: float
    low: float
    high: float


class Score(TypedDict):
    """The whole record of `score`.

    It also holds the record of each line of evidence that has one, under the line's name.
    """

    panels: list[str]
    panel_genes_in_data: int
    panel_genes: int
    panel_evidence_in_data: NotRequired[float]
    """Share of the weights of the panel genes that the file has (fraction)."""
    leukocytes: int
    signature_genes_in_data: dict[str, str]
    tissue_genes_measured: list[bool]
    copy_number: NotRequired[CopyNumber]
    decoys: list[Decoys]
    not_run: list[NotRun]
