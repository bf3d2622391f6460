"""`uns["call"]`: counts per sample and draw, the ledger, and how far the calls can be trusted.

A file of an older version may lack a key: readers then use an empty table or a missing value.
"""

from __future__ import annotations

from typing import NotRequired, TypedDict

from ctcflow.records.ingest import SampleIngest
from ctcflow.records.qc import Ambient, Distribution, Droplets, LedgerLine, Limit, SetAside
from ctcflow.records.run import NotRun
from ctcflow.records.score import Decoys


class SampleCounts(TypedDict):
    """Counts and flags of one sample."""

    sample: str
    patient: str | None
    draw: str
    day: int | None
    role: str
    batch: str | None
    cells: int
    n_CTC: int
    n_aggregate: int
    n_aneuploid: int
    n_diploid: int
    """Number of CTCs and aggregates that are diploid as far as seen; `n_aneuploid` likewise."""
    n_other: int
    n_uncertain: int
    n_before_review: int
    """CTCs and aggregates as called, before reviewers' verdicts."""
    rate_low: NotRequired[float]
    rate_high: NotRequired[float]
    """Exact interval of the number of CTCs and aggregates."""
    median_umis: float | None
    ambient: float | None
    ambient_low: float | None
    ambient_high: float | None
    judged: NotRequired[str]
    """Why a count of zero says nothing: `cannot be judged: 12 of 61 panel genes in the data`."""
    """Share of ambient counts (fraction): estimate, and lower and upper end of its interval."""
    flags: list[str]
    """Sentences."""


class Draw(TypedDict):
    """One blood draw, summed over its lanes."""

    draw: str
    patient: str | None
    day: int | None
    role: str
    samples: str
    cells: int
    count: int
    """CTCs and aggregates."""
    judged: str
    """Why a count of zero says nothing; empty where it does, or where something was called."""
    count_low: float
    count_high: float
    interval: str
    """Kind of the interval."""
    count_without_diploid: int
    """`count` without the calls that are diploid as far as seen, which may be normal epithelium."""
    volume_ml: float | None
    per_ml: float | None
    per_ml_low: float | None
    per_ml_high: float | None
    recovery: float | None
    per_ml_corrected: float | None
    per_ml_corrected_low: float | None
    per_ml_corrected_high: float | None
    limit_of_blank: float | None
    """Calls per draw."""
    above_blank: str
    """`yes`, `no`, or why it is not known; empty for controls."""
    cutoff: str
    tissue_of_origin: NotRequired[str]
    """A sentence."""
    note: str


class OriginLine(TypedDict):
    """One line of the ranked list of a draw: see `stats.panels.origin.Answer`."""

    draw: str
    cells: int
    counts: int
    level: str
    rank: int
    name: str
    weight: float
    lower: float
    upper: float
    told: bool


class Dispersion(TypedDict):
    """Variance over mean of replicate counts."""

    ratio: float
    source: str
    """A sentence."""


class Blanks(TypedDict):
    """Limit of blank of the run."""

    draws: int
    limit: float | None
    """Calls per draw."""
    reason: str
    """Why there is no limit."""


class Healthy(TypedDict):
    """Observed call rate of healthy and blank samples, and the claimed rate."""

    samples: int
    cells: int
    called: int
    rate: float | None
    rate_low: float | None
    rate_high: float | None
    claimed: float | None
    """Per cell."""
    flag: str
    """A sentence where the interval excludes the claim."""


class Tail(TypedDict):
    """How the p of a sample was calibrated."""

    sample: str
    n_null: int
    factor: float


class SampleDecoys(Decoys):
    """Decoys of a sample."""

    sample: str


class Calibration(TypedDict):
    """Whether p-values are calibrated: as small as stated, and no smaller."""

    n_null: int
    observed: list[list[float]]
    """Rows of nominal p, observed share of null cells, and its interval (low, high)."""
    tail: list[Tail]
    decoys: list[SampleDecoys]


class Aggregate(TypedDict):
    """Droplets called `CTC aggregate` with one partner, against random co-loading."""

    partner: str
    """`neutrophil`, `monocyte`, `platelet` or `lymphocyte`."""
    observed: int
    expected: float | None
    ratio: float | None
    low: float | None
    high: float | None
    """None for no upper limit."""
    verdict: str
    """A sentence."""


class SampleAggregate(Aggregate):
    """`Aggregate` with the name of its sample."""

    sample: str


class SampleLedgerLine(LedgerLine):
    """`LedgerLine` with the name of its sample."""

    sample: str


class SampleSetAside(SetAside):
    """`SetAside` with its sample; `reason` tells if the droplet is not in the given matrix."""

    sample: str


class SampleNotRun(NotRun):
    """`NotRun` with the name of its sample, empty for the cohort."""

    sample: str


class SampleQuality(TypedDict):
    """Quality control of a sample: see `records.qc.QC`."""

    sample: str
    umis: bool
    limits: list[Limit]
    distributions: list[Distribution]
    ambient: Ambient
    droplets: Droplets | None
    doublet_rate: float | None


class Call(TypedDict):
    """The whole record of `call`."""

    samples: list[SampleCounts]
    draws: list[Draw]
    origin: list[OriginLine]
    dispersion: Dispersion
    blanks: Blanks
    healthy: Healthy
    calibration: Calibration
    aggregates: list[SampleAggregate]
    ledger: list[SampleLedgerLine]
    set_aside: list[SampleSetAside]
    qc: list[SampleQuality]
    ingest: list[SampleIngest]
    not_run: list[SampleNotRun]


class Controls(TypedDict):
    """Results from controls that a frozen reference keeps, for runs without controls."""

    dispersion: Dispersion
    blanks: Blanks
    healthy: Healthy
