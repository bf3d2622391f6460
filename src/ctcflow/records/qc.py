"""`uns["qc"]`: quality control of one sample."""

from __future__ import annotations

from typing import TypedDict

from ctcflow.records.run import NotRun


class Limit(TypedDict):
    """Limits of a coarse lineage; those on counts are None where these are reads."""

    lineage: str
    cells: int
    """Droplets that came in."""
    adaptive: bool
    """Measured on them; else the floors and the ceiling of the parameters."""
    min_umis: float | None
    min_genes: float | None
    """Set aside below."""
    max_pct_mt: float | None
    """Set aside above (percent)."""
    damaged_umis: float | None
    damaged_pct_mt: float | None
    """Set aside below the first and above the second."""
    high_umis: float | None
    high_genes: float | None
    """A remark above, never set aside."""


class Distribution(TypedDict):
    """A metric in a coarse lineage."""

    lineage: str
    metric: str
    """`total_counts`, `n_genes_by_counts`, `pct_counts_mt`."""
    values: list[float | None]
    """Up to 41 evenly spaced quantiles of all droplets that came in, ascending."""


class Ambient(TypedDict):
    """Ambient RNA (fraction of counts)."""

    share: float | None
    low: float | None
    high: float | None
    genes: int
    measured_on: str | None
    """`droplets` or `cells`."""
    corrected: bool
    reason: str
    """Why it was not measured."""


class Droplets(TypedDict):
    """Unfiltered droplets beside the given ones."""

    barcodes: int
    lower: int
    """Up to so many counts: the ambient sample."""
    retain: float | None
    """From so many counts: cells without a test."""
    knee: float | None
    inflection: float | None
    """Counts per barcode."""
    tested: int
    outside: int
    """Droplets outside the given matrix that hold a cell."""
    curve: list[list[int]]
    """Rank and counts of all barcodes, counts descending."""
    cells_curve: list[list[int]]
    """Of the given cells."""


class LedgerLine(TypedDict):
    """How many cells met which fate."""

    stage: str
    reason: str
    cells: int


class SetAside(TypedDict):
    """A droplet that was set aside with tumour evidence."""

    barcode: str
    reason: str
    evidence: str


class Decided(TypedDict):
    """What was decided on the droplets."""

    umis: bool
    """False for read counts."""
    limits: list[Limit]
    distributions: list[Distribution]
    droplets: Droplets | None
    """None without unfiltered droplets."""
    ledger: list[LedgerLine]
    set_aside: list[SetAside]


class QC(Decided):
    """All that quality control found and did."""

    ambient: Ambient
    doublet_rate: float | None
    not_run: list[NotRun]
