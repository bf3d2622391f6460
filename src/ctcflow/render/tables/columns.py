"""Columns of the tables of a run, in their order."""

from __future__ import annotations

from typing import Final

from ctcflow import keys
from ctcflow.evidence.lines import columns
from ctcflow.records.cluster import Conditions

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
SAMPLE_COLUMNS: Final = (
    "sample",
    "patient",
    "draw",
    "day",
    "role",
    "batch",
    "cells",
    "n_CTC",
    "n_aggregate",
    "n_aneuploid",
    "n_diploid",
    "n_other",
    "n_uncertain",
    "n_before_review",
    "rate_low",
    "rate_high",
    "median_umis",
    "ambient",
    "ambient_low",
    "ambient_high",
    "flags",
)
DRAW_COLUMNS: Final = (
    "draw",
    "patient",
    "day",
    "role",
    "samples",
    "cells",
    "count",
    "count_low",
    "count_high",
    "interval",
    "count_without_diploid",
    "volume_ml",
    "per_ml",
    "per_ml_low",
    "per_ml_high",
    "recovery",
    "per_ml_corrected",
    "per_ml_corrected_low",
    "per_ml_corrected_high",
    "limit_of_blank",
    "above_blank",
    "cutoff",
    "tissue_of_origin",
    "note",
)
LEDGER_COLUMNS: Final = ("sample", "stage", "reason", "cells")
SET_ASIDE_COLUMNS: Final = ("sample", "barcode", "reason", "evidence")
LIMIT_COLUMNS: Final = (
    "sample",
    "lineage",
    "cells",
    "adaptive",
    "min_umis",
    "min_genes",
    "max_pct_mt",
    "damaged_umis",
    "damaged_pct_mt",
    "high_umis",
    "high_genes",
)
AMBIENT_COLUMNS: Final = (
    "sample",
    "share",
    "low",
    "high",
    "genes",
    "measured_on",
    "corrected",
    "reason",
)
AGGREGATE_COLUMNS: Final = (
    "sample",
    "partner",
    "observed",
    "expected",
    "ratio",
    "low",
    "high",
    "verdict",
)
ORIGIN_COLUMNS: Final = (
    "draw",
    "cells",
    "counts",
    "level",
    "rank",
    "name",
    "weight",
    "lower",
    "upper",
    "told",
)
NOT_RUN_COLUMNS: Final = ("sample", "what", "reason")
MARKER_COLUMNS: Final = ("cluster", "rank", "gene")
CONDITION_COLUMNS: Final = tuple(Conditions.__annotations__)
