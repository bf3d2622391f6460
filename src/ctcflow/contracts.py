"""What each step reads and writes: one row per step, checked by `pipeline.run` and by tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ctcflow import keys
from ctcflow.keys import Slot


@dataclass(frozen=True)
class Step:
    """What a step reads and writes.

    Attributes
    ----------
    scope
        `sample` steps see one sample, `cohort` steps all of them.
    layers
        Steps whose files are laid over each other to make the step's AnnData, or each AnnData of
        its cohort; the first is the base.
    finished
        Cohort steps whose files are laid over each other to make the step's AnnData.
    requires
        Slots that must be there.
    writes
        Slots that the step writes.
    optional
        Slots that it writes where the data have them.
    tables
        Gene sets and reference tables, in the order of the function's arguments.
    exports
        Tables written beside the file: name of the output, function in `render.tables`.
    kept
        The step sees only the cells that `qc` kept.
    unfiltered
        The step sees all droplets of the library too, where the sheet names them: after the
        AnnData, before the tables.
    verdicts
        The step sees a reviewer's verdicts on cells too, where the run has them: after the cohort.
    reference
        The step sees a frozen reference too: after the AnnData.
    controls
        The step sees what a frozen reference knows of controls too, where the run has one: after
        the verdicts.
    apart
        The files of `finished` are handed over one by one, X left on disk, and the step gives back
        files.
    corrected
        The step sees counts without the ambient ones, where `qc` was asked for them. `score` does
        not: ambient RNA is a part of its null.
    lognorm
        The step sees log-normalised values instead of counts.
    whole
        The file holds all that the step returns, not only the slots that it writes.
    delivered
        The file is for other tools too: gzipped, and uns holds what they look for and, in
        `ctcflow`, all else.
    permutes
        Permuting the cells permutes the result; held by the contract test.
    """

    scope: Literal["sample", "cohort"]
    layers: tuple[str, ...] = ()
    finished: tuple[str, ...] = ()
    requires: tuple[Slot, ...] = ()
    writes: tuple[Slot, ...] = ()
    optional: tuple[Slot, ...] = ()
    tables: tuple[str, ...] = ()
    exports: Mapping[str, str] = field(default_factory=dict)
    kept: bool = True
    unfiltered: bool = False
    verdicts: bool = False
    reference: bool = False
    controls: bool = False
    apart: bool = False
    corrected: bool = False
    lognorm: bool = False
    whole: bool = False
    delivered: bool = False
    permutes: bool = False


STEPS: dict[str, Step] = {
    "ingest": Step(
        scope="sample",
        tables=("genes",),
        writes=(keys.COUNTS, keys.GENE_ID, keys.INGEST),
        optional=(keys.SAMPLE, keys.OTHER_FEATURES, keys.OTHER_FEATURE_NAMES),
        whole=True,
        permutes=True,
    ),
    "qc": Step(
        scope="sample",
        layers=("ingest",),
        kept=False,
        unfiltered=True,
        tables=(
            "panels",
            "leak",
            "technical",
            "normal_profiles",
            "normal_types",
            "identity_null",
        ),
        requires=(keys.COUNTS,),
        writes=(
            keys.TOTAL_COUNTS,
            keys.N_GENES_BY_COUNTS,
            keys.PCT_COUNTS_MT,
            keys.PCT_COUNTS_RIBO,
            keys.PCT_COUNTS_HB,
            keys.PCT_COUNTS_PLATELET,
            keys.PCT_OTHER_SPECIES,
            keys.COARSE_LINEAGE,
            keys.TUMOUR_EVIDENCE,
            keys.DOUBLET_SCORE,
            keys.PREDICTED_DOUBLET,
            keys.AGGREGATE_CANDIDATE,
            keys.QC_FLAG,
            keys.QC_REMARK,
            keys.KEEP,
            keys.AMBIENT_PROFILE,
            keys.QC,
        ),
        optional=(keys.CORRECTED,),
        permutes=True,
    ),
    "normalize": Step(
        scope="sample",
        layers=("ingest", "qc"),
        corrected=True,
        requires=(keys.COUNTS, keys.KEEP),
        writes=(
            keys.SIZE_FACTOR,
            keys.MEAN,
            keys.VARIANCE,
            keys.CLIPPED_VARIANCE,
            keys.VARIABLE_RANK,
            keys.NORMALIZE,
        ),
        permutes=True,
    ),
    "score": Step(
        scope="sample",
        layers=("ingest", "qc"),
        tables=(
            "panels",
            "programmes",
            "cell_types",
            "rates",
            "normal_profiles",
            "normal_types",
            "leak",
            "identity_null",
            "technical",
            "genes",
            "tissue_markers",
        ),
        requires=(keys.COUNTS, keys.KEEP, keys.AMBIENT_PROFILE, keys.QC),
        writes=(
            keys.LINEAGE,
            keys.P_IDENTITY,
            keys.P_PANEL,
            keys.EVIDENCE,
            keys.TUMOUR_PANEL,
            keys.PANEL_GENES,
            keys.N_PANEL_GENES,
            keys.OTHER_TYPE,
            keys.OTHER_GROUP,
            keys.P_STROMA,
            keys.P_STROMA_PANEL,
            keys.OVER_OTHER_TISSUE,
            keys.OVER_BLOOD,
            keys.IS_LEUKOCYTE,
            keys.ANEUPLOIDY,
            keys.P_COPY_NUMBER,
            keys.COPY_NUMBER,
            keys.N_ALIKE,
            keys.ALIKE,
            keys.PARTNER_LINEAGE,
            keys.P_PARTNER,
            keys.TISSUE_COUNTS,
            keys.SIGNATURES,
            keys.SCORE,
        ),
        permutes=True,
    ),
    "call": Step(
        scope="cohort",
        verdicts=True,
        controls=True,
        layers=("qc", "score"),
        tables=("tissue_markers",),
        requires=(
            keys.EVIDENCE,
            keys.IS_LEUKOCYTE,
            keys.P_COPY_NUMBER,
            keys.P_STROMA,
            keys.N_ALIKE,
            keys.ALIKE,
            keys.P_PARTNER,
            keys.TISSUE_COUNTS,
        ),
        writes=(
            keys.SAMPLE,
            keys.BARCODE,
            keys.CLASS,
            keys.P,
            keys.Q,
            keys.LINEAGE,
            keys.P_PANEL,
            keys.P_IDENTITY,
            keys.P_COPY_NUMBER,
            keys.EVIDENCE,
            keys.TUMOUR_PANEL,
            keys.N_PANEL_GENES,
            keys.PANEL_GENES,
            keys.OTHER_TYPE,
            keys.P_STROMA,
            keys.TOTAL_COUNTS,
            keys.N_ALIKE,
            keys.PARTNER,
            keys.MALIGNANCY,
            keys.PHENOTYPE,
            keys.REASON,
            keys.CLASS_BEFORE_REVIEW,
            keys.VERDICT,
            keys.REVIEWER,
            keys.SIGNATURES,
            keys.SIGNATURES_Z,
            keys.COPY_NUMBER,
            keys.CALL,
        ),
        whole=True,
        exports={
            "cells": "cells_table",
            "ctc": "ctc_table",
            "samples": "samples_table",
            "draws": "draws_table",
            "ledger": "ledger_table",
            "set_aside": "set_aside_table",
            "limits": "limits_table",
            "aggregates": "aggregates_table",
            "origin": "origin_table",
        },
    ),
    "reduce": Step(
        scope="cohort",
        layers=("ingest", "qc", "normalize"),
        lognorm=True,
        corrected=True,
        tables=("panels", "technical"),
        requires=(keys.COUNTS, keys.SIZE_FACTOR, keys.VARIABLE_RANK),
        writes=(
            keys.SAMPLE,
            keys.BARCODE,
            keys.HIGHLY_VARIABLE,
            keys.HIGHLY_VARIABLE_NBATCHES,
            keys.MEANS,
            keys.VARIANCES,
            keys.VARIANCES_NORM,
            keys.X_PCA,
            keys.LOADINGS,
            keys.REDUCE,
        ),
        whole=True,
    ),
    "integrate": Step(
        scope="cohort",
        finished=("reduce", "call"),
        requires=(keys.X_PCA, keys.CLASS, keys.LINEAGE),
        writes=(keys.X_INTEGRATED, keys.BATCH, keys.INTEGRATE, keys.CORRECTION),
    ),
    "cluster": Step(
        scope="cohort",
        finished=("reduce", "call", "integrate"),
        layers=("ingest", "qc", "normalize"),
        lognorm=True,
        corrected=True,
        tables=("cell_types",),
        requires=(keys.X_INTEGRATED, keys.REDUCE, keys.N_GENES_BY_COUNTS),
        writes=(
            keys.CLUSTER,
            keys.CELL_TYPE,
            keys.TYPE_MARKER,
            keys.TYPE_LOADINGS,
            keys.TYPE_SCORES,
            keys.X_UMAP,
            keys.CONNECTIVITIES,
            keys.DISTANCES,
            keys.NEIGHBORS,
            keys.PCA,
            keys.HVG,
            keys.LOG1P,
            keys.CLASS_COLOURS,
            keys.TYPE_COLOURS,
            keys.CLUSTER_COLOURS,
            keys.MARKERS,
            keys.CONDITIONS,
            keys.CLUSTERING,
        ),
        optional=(keys.COUNTS_LAYER, keys.RANKED),
        exports={"markers": "markers_table", "conditions": "conditions_table"},
        whole=True,
        delivered=True,
    ),
    "report": Step(scope="cohort", finished=("cluster", "call"), apart=True),
    "freeze": Step(scope="cohort", finished=("cluster", "call"), apart=True),
    "project": Step(
        scope="sample",
        layers=("ingest", "qc", "normalize", "score"),
        reference=True,
        lognorm=True,
        corrected=True,
        requires=(keys.COUNTS, keys.SIZE_FACTOR, keys.IS_LEUKOCYTE),
        writes=(
            keys.X_PCA,
            keys.X_INTEGRATED,
            keys.X_UMAP,
            keys.CLUSTER,
            keys.CELL_TYPE,
            keys.CONFIDENCE,
            keys.NOVELTY,
            keys.PROJECT,
        ),
    ),
    "gather": Step(
        scope="cohort",
        finished=("call",),
        layers=("project",),
        requires=(keys.CLASS,),
        writes=(
            keys.X_PCA,
            keys.X_INTEGRATED,
            keys.X_UMAP,
            keys.CLUSTER,
            keys.CELL_TYPE,
            keys.CONFIDENCE,
            keys.NOVELTY,
            keys.CLASS_COLOURS,
            keys.TYPE_COLOURS,
            keys.CLUSTER_COLOURS,
            keys.INTEGRATE,
        ),
        exports={"cells": "projected_table"},
        whole=True,
        delivered=True,
    ),
}
"""One row per step, in the order in which they run."""


def tables_of(step: str, *, droplets: bool = True) -> tuple[str, ...]:
    """Tables that a step reads.

    Parameters
    ----------
    step
        Name of the step; one that has no row reads none.
    droplets
        The sample has unfiltered droplets, which are named by the table that `ingest` names cells
        by.
    """
    row = STEPS.get(step)
    if row is None:
        return ()
    return (*row.tables, *(("genes",) if row.unfiltered and droplets else ()))
