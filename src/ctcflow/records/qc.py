"""`uns["qc"]`: quality control of one sample."""

from __future__ import annotations

from typing import TypedDict

from ctcflow.records.ingest import Ingest
from ctcflow.records.run import NotRun


class Limit(TypedDict):
    """Limits of a coarse lineage; limits on counts are None if the counts are reads."""

    lineage: str
    cells: int
    """Droplets of this lineage in the input."""
    adaptive: bool
    """True if the limits were measured on them; else the floors and ceilings of the parameters
    are used."""
    min_umis: float | None
    min_genes: float | None
    """Cells below this or below the limit on counts are set aside."""
    max_pct_mt: float | None
    """Cells above this are set aside (percent)."""
    damaged_umis: float | None
    damaged_pct_mt: float | None
    """Cells below the damage limit on counts and above this are set aside as damaged."""
    high_umis: float | None
    high_genes: float | None
    """Cells above these limits get a remark and are kept."""


class Distribution(TypedDict):
    """A metric in a coarse lineage."""

    lineage: str
    metric: str
    """`total_counts`, `n_genes_by_counts`, `pct_counts_mt`."""
    values: list[float | None]
    """Up to 41 evenly spaced quantiles over all droplets of the input, ascending."""


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
    """Unfiltered droplets, in addition to the called ones."""

    barcodes: int
    lower: int
    """Barcodes with up to this many counts serve as sample of the ambient RNA."""
    retain: float | None
    """Barcodes with at least this many counts are cells without a test."""
    knee: float | None
    inflection: float | None
    """Counts per barcode."""
    tested: int
    outside: int
    """Droplets with a cell that are not in the given matrix of cells."""
    curve: list[list[int]]
    """Rank and counts of all barcodes, counts descending."""
    cells_curve: list[list[int]]
    """The same for the given cells."""


class LedgerLine(TypedDict):
    """Number of cells that were kept or set aside, at one stage and for one reason."""

    stage: str
    reason: str
    cells: int


class SetAside(TypedDict):
    """A droplet that was set aside with tumour evidence."""

    barcode: str
    reason: str
    evidence: str


class Decided(TypedDict):
    """Decisions about the droplets of a sample."""

    umis: bool
    """False for read counts."""
    limits: list[Limit]
    distributions: list[Distribution]
    droplets: Droplets | None
    """None without unfiltered droplets."""
    ledger: list[LedgerLine]
    set_aside: list[SetAside]


class QC(Decided):
    """The whole record of quality control."""

    ambient: Ambient
    doublet_rate: float | None
    not_run: list[NotRun]
    ingest: Ingest
    """What `ingest` recorded, for the steps that do not read its file."""
