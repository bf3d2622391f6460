"""What each step reads and writes: one row per step, checked by `pipeline.run` and by tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ctcflow import keys
from ctcflow.inputs import (
    Controls,
    Counts,
    Droplets,
    Finished,
    Input,
    Layers,
    OnDisk,
    Reference,
    Samples,
    Table,
    Verdicts,
)
from ctcflow.keys import Slot

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData


@dataclass(frozen=True)
class Step:
    """What a step reads and writes.

    Attributes
    ----------
    does
        What the step is for, as shown by the command line.
    scope
        `sample` steps see one sample, `cohort` steps all of them.
    function
        Returns the step's function and imports it only then: a job imports one step, Snakemake
        none.
    reads
        The step's inputs, in the order of the function's arguments.
    requires
        Slots that the first input must have.
    writes
        Slots that the step always writes, apart from those of the lines of evidence.
    evidence
        Returns the slots of the lines of evidence that the step writes; imports them only then.
    optional
        Slots that it writes where the data have them.
    exports
        Returns the functions that make the tables beside the step's file from its result, by name
        of the output; imports them only then.
    gives_files
        The step returns files by name instead of an AnnData.
    whole
        The file holds all that the step returns, not only the slots named above.
    delivered
        The file is meant for other tools too: it is gzipped, `uns` has the keys that they look for,
        and everything else of `uns` is below the key `ctcflow`.
    permutes
        Permuting the input cells permutes the result in the same way; the contract test checks it.
    """

    does: str
    scope: Literal["sample", "cohort"]
    function: Callable[[], Callable[..., Any]]
    reads: tuple[Input, ...]
    requires: tuple[Slot, ...] = ()
    writes: tuple[Slot, ...] = ()
    evidence: Callable[[], tuple[Slot, ...]] = tuple
    optional: tuple[Slot, ...] = ()
    exports: Callable[[], dict[str, Callable[[AnnData], pd.DataFrame]]] = dict
    gives_files: bool = False
    whole: bool = False
    delivered: bool = False
    permutes: bool = False

    @property
    def slots(self) -> tuple[Slot, ...]:
        """All slots that the step always writes."""
        return (*self.writes, *self.evidence())

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the inputs on the command line."""
        names = (name for kind in self.reads for name in (*kind.names, *kind.tables))
        return tuple(dict.fromkeys(names))

    def reads_a(self, kind: type[Input]) -> bool:
        """Whether it reads an input of this kind."""
        return any(isinstance(read_input, kind) for read_input in self.reads)


def _ingest() -> Callable[..., Any]:
    from ctcflow.steps.ingest import ingest

    return ingest


def _qc() -> Callable[..., Any]:
    from ctcflow.steps.qc import qc

    return qc


def _normalize() -> Callable[..., Any]:
    from ctcflow.steps.normalize import normalize

    return normalize


def _score() -> Callable[..., Any]:
    from ctcflow.steps.score import score

    return score


def _call() -> Callable[..., Any]:
    from ctcflow.steps.call import call

    return call


def _reduce() -> Callable[..., Any]:
    from ctcflow.steps.reduce import reduce

    return reduce


def _integrate() -> Callable[..., Any]:
    from ctcflow.steps.integrate import integrate

    return integrate


def _cluster() -> Callable[..., Any]:
    from ctcflow.steps.cluster import cluster

    return cluster


def _report() -> Callable[..., Any]:
    from ctcflow.steps.report import report

    return report


def _freeze() -> Callable[..., Any]:
    from ctcflow.steps.freeze import freeze

    return freeze


def _project() -> Callable[..., Any]:
    from ctcflow.steps.project import project

    return project


def _gather() -> Callable[..., Any]:
    from ctcflow.steps.gather import gather

    return gather


def _lines() -> tuple[Slot, ...]:
    from ctcflow.evidence.lines import slots

    return slots()


def _listed_lines() -> tuple[Slot, ...]:
    from ctcflow.evidence.lines import listed_slots

    return listed_slots()


def _tables_of_call() -> dict[str, Callable[[AnnData], pd.DataFrame]]:
    from ctcflow.render.tables import of_run

    return {
        "cells": of_run.cells_table,
        "ctc": of_run.ctc_table,
        "samples": of_run.samples_table,
        "draws": of_run.draws_table,
        "ledger": of_run.ledger_table,
        "set_aside": of_run.set_aside_table,
        "limits": of_run.limits_table,
        "ingest": of_run.ingest_table,
        "aggregates": of_run.aggregates_table,
        "origin": of_run.origin_table,
    }


def _tables_of_cluster() -> dict[str, Callable[[AnnData], pd.DataFrame]]:
    from ctcflow.render.tables import of_run

    return {
        "markers": of_run.markers_table,
        "conditions": of_run.conditions_table,
    }


def _tables_of_gather() -> dict[str, Callable[[AnnData], pd.DataFrame]]:
    from ctcflow.render.tables import of_run

    return {
        "cells": of_run.projected_table,
    }


STEPS: dict[str, Step] = {
    "ingest": Step(
        does="read one library of any format into one validated count matrix",
        scope="sample",
        function=_ingest,
        reads=(
            Counts(),
            Table("genes"),
        ),
        writes=(keys.COUNTS, keys.GENE_ID, keys.INGEST),
        optional=(
            keys.SAMPLE,
            keys.PROTEIN,
            keys.PROTEIN_FEATURES,
            keys.HASHTAG,
            keys.HASHTAG_FEATURES,
            keys.OTHER_FEATURES,
            keys.OTHER_FEATURE_NAMES,
        ),
        whole=True,
        permutes=True,
    ),
    "qc": Step(
        does="measure cells and flag those to set aside",
        scope="sample",
        function=_qc,
        reads=(
            Layers(("ingest",), kept=False),
            Droplets(),
            Table("panels"),
            Table("background"),
            Table("technical"),
            Table("normal_profiles"),
            Table("normal_types"),
            Table("identity_null"),
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
        does="size factors and moments per gene",
        scope="sample",
        function=_normalize,
        reads=(Layers(("ingest", "qc"), corrected=True),),
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
        does="lineage, lines of evidence, copy number and signature scores of each cell",
        scope="sample",
        function=_score,
        reads=(
            Layers(("ingest", "qc")),
            Table("panels"),
            Table("gene_programs"),
            Table("cell_types"),
            Table("rates"),
            Table("normal_profiles"),
            Table("normal_types"),
            Table("background"),
            Table("identity_null"),
            Table("technical"),
            Table("genes"),
            Table("tissue_markers"),
        ),
        requires=(keys.COUNTS, keys.KEEP, keys.AMBIENT_PROFILE, keys.QC),
        writes=(
            keys.EVIDENCE,
            keys.N_ALIKE,
            keys.ALIKE,
            keys.TISSUE_COUNTS,
            keys.SIGNATURES,
            keys.SCORE,
        ),
        evidence=_lines,
        permutes=True,
    ),
    "call": Step(
        does="decide what each cell is, with an error rate; count per draw",
        scope="cohort",
        function=_call,
        reads=(
            Samples(("qc", "score")),
            Verdicts(),
            Controls(),
            Table("tissue_markers"),
        ),
        requires=(keys.EVIDENCE, keys.IS_LEUKOCYTE, keys.N_ALIKE, keys.ALIKE, keys.TISSUE_COUNTS),
        writes=(
            keys.SAMPLE,
            keys.BARCODE,
            keys.CLASS,
            keys.P,
            keys.Q,
            keys.LINEAGE,
            keys.EVIDENCE,
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
        evidence=_listed_lines,
        whole=True,
        exports=_tables_of_call,
    ),
    "reduce": Step(
        does="variable genes and principal components of the cohort",
        scope="cohort",
        function=_reduce,
        reads=(
            Samples(("ingest", "qc", "normalize"), lognorm=True, corrected=True),
            Table("panels"),
            Table("technical"),
        ),
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
        does="remove differences between batches from the embedding",
        scope="cohort",
        function=_integrate,
        reads=(Finished(("reduce", "call")),),
        requires=(keys.X_PCA, keys.CLASS, keys.LINEAGE),
        writes=(keys.X_INTEGRATED, keys.BATCH, keys.INTEGRATE, keys.CORRECTION),
    ),
    "cluster": Step(
        does="neighbours, communities, map, cell types and markers",
        scope="cohort",
        function=_cluster,
        reads=(
            Finished(("reduce", "call", "integrate")),
            Samples(("ingest", "qc", "normalize"), lognorm=True, corrected=True),
            Table("cell_types"),
        ),
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
        exports=_tables_of_cluster,
        whole=True,
        delivered=True,
    ),
    "report": Step(
        does="the page that people read",
        scope="cohort",
        function=_report,
        reads=(
            OnDisk("cluster", of_a_mapped_run="gather"),
            OnDisk("call"),
        ),
        gives_files=True,
    ),
    "freeze": Step(
        does="freeze a finished run as a reference for new samples",
        scope="cohort",
        function=_freeze,
        reads=(
            OnDisk("cluster"),
            OnDisk("call"),
        ),
        gives_files=True,
    ),
    "project": Step(
        does="map one sample onto a frozen reference",
        scope="sample",
        function=_project,
        reads=(
            Layers(("ingest", "qc", "normalize", "score"), lognorm=True, corrected=True),
            Reference(),
        ),
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
        does="the mapped samples in one file",
        scope="cohort",
        function=_gather,
        reads=(
            Finished(("call",)),
            Samples(("project",)),
        ),
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
        exports=_tables_of_gather,
        whole=True,
        delivered=True,
    ),
}
"""One row per step, in the order in which they run."""

READS: dict[str, tuple[Input, ...]] = {name: step.reads for name, step in STEPS.items()} | {
    "export": (Finished(("cluster", "reduce")), Samples(("ingest", "qc")))
}
"""Inputs of the rule of each step, and of the rule of `export`, which is not a step."""


def tables_of(step: str) -> tuple[str, ...]:
    """Tables that the function of a step takes, in the order of its arguments."""
    return tuple(kind.name for kind in STEPS[step].reads if isinstance(kind, Table))
