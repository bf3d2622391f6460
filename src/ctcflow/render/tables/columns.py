"""Columns of the tables of a run, in their order: those of records are their fields."""

from __future__ import annotations

from typing import Final

from ctcflow import keys
from ctcflow.evidence.lines import columns
from ctcflow.records.call import Aggregate, Draw, OriginLine, SampleCounts
from ctcflow.records.cluster import Conditions
from ctcflow.records.ingest import SampleIngest
from ctcflow.records.qc import Ambient, LedgerLine, Limit, SetAside
from ctcflow.records.run import NotRun

LISTED: Final = columns(listed=True)
"""Columns of the lines of evidence that are in the tables."""
CELL_COLUMNS: Final = (
    keys.SAMPLE.key,
    keys.BARCODE.key,
    keys.CLASS.key,
    keys.P.key,
    keys.Q.key,
    keys.LINEAGE.key,
    keys.PARTNER.key,
    *(column.slot.key for column in LISTED if column.kind == "p"),
    keys.MALIGNANCY.key,
    *(column.slot.key for column in LISTED if column.kind != "p"),
    keys.N_ALIKE.key,
    keys.REASON.key,
    keys.CLASS_BEFORE_REVIEW.key,
    keys.VERDICT.key,
    keys.REVIEWER.key,
)
PROJECTED_COLUMNS: Final = (
    keys.SAMPLE.key,
    keys.BARCODE.key,
    keys.CLASS.key,
    keys.CELL_TYPE.key,
    keys.CONFIDENCE.key,
    keys.NOVELTY.key,
    keys.CLUSTER.key,
)
SAMPLE_COLUMNS: Final = tuple(SampleCounts.__annotations__)
DRAW_COLUMNS: Final = tuple(Draw.__annotations__)
LEDGER_COLUMNS: Final = ("sample", *LedgerLine.__annotations__)
INGEST_COLUMNS: Final = tuple(SampleIngest.__annotations__)
SET_ASIDE_COLUMNS: Final = ("sample", *SetAside.__annotations__)
LIMIT_COLUMNS: Final = ("sample", *Limit.__annotations__)
AMBIENT_COLUMNS: Final = ("sample", *Ambient.__annotations__)
AGGREGATE_COLUMNS: Final = ("sample", *Aggregate.__annotations__)
ORIGIN_COLUMNS: Final = tuple(OriginLine.__annotations__)
NOT_RUN_COLUMNS: Final = ("sample", *NotRun.__annotations__)
MARKER_COLUMNS: Final = ("cluster", "rank", "gene")
CONDITION_COLUMNS: Final = tuple(Conditions.__annotations__)
