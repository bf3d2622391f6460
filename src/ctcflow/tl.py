"""Evidence, calls and mapping in memory: the workflow's steps from `score` on.

Each function returns a new object and leaves its argument unchanged. Slots and values are the same
as those that the workflow writes (`docs/slots.md`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anndata

from ctcflow import in_memory, keys
from ctcflow.errors import CtcflowError
from ctcflow.files import bundle, io, sample_files
from ctcflow.in_memory import Tables
from ctcflow.settings.keyword_params import takes
from ctcflow.settings.params import CallParams, ProjectParams
from ctcflow.settings.sample_params import ScoreParams
from ctcflow.steps import call as call_step
from ctcflow.steps import project as project_step
from ctcflow.steps import score as score_step

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

__all__ = ["call", "project", "score"]


@takes(ScoreParams)
def score(adata: AnnData, *, tables: Tables = None, params: ScoreParams) -> AnnData:
    """Measure the lines of evidence for each kept cell.

    Parameters
    ----------
    adata
        Result of `pp.qc` or `pp.normalize`.
    tables
        Your own tables by name (`panels`, `gene_programs`, ...), instead of the shipped ones.

    Returns
    -------
    AnnData
        The kept cells with the slots of `score`: obs `lineage`, `p_identity`, `p_panel`, ...; obsm
        `copy_number`, `signatures`; uns `score`.

    Raises
    ------
    CtcflowError
        `qc` was not called, the panel is unknown, or a parameter or a table is not one of `score`.
    """
    in_memory.needs(adata, "score", "cf.pp.qc")
    step_tables = in_memory.tables_of("score", tables)
    scored = score_step.score(in_memory.kept(adata), *step_tables, params=params)
    return in_memory.recorded(scored, "score", params)


@takes(CallParams)
def call(
    adatas: AnnData | Iterable[AnnData] | Mapping[str, AnnData],
    *,
    verdicts: pd.DataFrame | None = None,
    params: CallParams,
) -> AnnData:
    """Decide what each cell is, with an error rate, and count per draw.

    Parameters
    ----------
    adatas
        Result of `score`: one sample, or all samples of a cohort with unique names (of a
        dictionary, the values are used).
    verdicts
        A reviewer's verdicts: columns `sample`, `barcode`, `verdict`, `reviewer`, `reason`.

    Returns
    -------
    AnnData
        One row per cell, named `sample:barcode`, without X: the slots of `call`. obs `class`, `p`,
        `q`, `reason`, ...; uns `call` (JSON) with counts per draw.

    Raises
    ------
    CtcflowError
        `score` was not called, two samples have one name, or a parameter is not one of `call`.
    """
    samples = _samples(adatas)
    names: list[str] = []
    for adata in samples:
        in_memory.needs(adata, "call", "cf.tl.score")
        names.append(str(io.sheet_row(adata)["sample"]))
    repeated = [name for name in names if names.count(name) > 1]
    if repeated or not samples:
        raise CtcflowError(
            f"two samples are named `{repeated[0]}`: name them in cf.pp.ingest(adata, sample=...)"
            if repeated
            else "there is no sample: give one AnnData of cf.tl.score, or several"
        )
    markers = in_memory.shipped_table("tissue_markers")
    called = call_step.call(samples, verdicts, None, markers, params=params)
    io.write_record(called, keys.CTCFLOW, {"sample": None, "steps": {}})
    return in_memory.recorded(called, "call", params)


def _samples(adatas: Any) -> list[AnnData]:
    if isinstance(adatas, anndata.AnnData) or not isinstance(adatas, Iterable):
        return [adatas]
    return list(adatas.values() if isinstance(adatas, Mapping) else adatas)


@takes(ProjectParams)
def project(adata: AnnData, reference: str | Path, *, params: ProjectParams) -> AnnData:
    """Map the cells of one sample onto a frozen reference.

    Parameters
    ----------
    adata
        Result of `pp.normalize`, then `score`.
    reference
        The file that `ctcflow run RUN -- freeze` made (`results/freeze/reference.zip`).

    Returns
    -------
    AnnData
        `adata` with obsm `X_pca`, `X_integrated`, `X_umap`, obs `cell_type`, `cluster`,
        `cell_type_confidence`, `novelty`; uns `project` says which genes were missing, or why the
        sample was not mapped.

    Raises
    ------
    CtcflowError
        The file is not a reference, or `normalize` or `score` were not called.
    """
    in_memory.needs(adata, "project", "cf.pp.normalize and cf.tl.score")
    original = adata.copy()
    corrected = original.layers.get(keys.CORRECTED.key)
    values = original.copy()
    if corrected is not None:
        values.X = corrected
    sample_files.log_normalise(values)
    projected = project_step.project(values, bundle.read(Path(reference)), params=params)
    projected.X = original.X
    return in_memory.recorded(projected, "project", params)
