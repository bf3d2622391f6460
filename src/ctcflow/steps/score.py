"""Lineage, lines of evidence, copy number and signature scores, from the cell's own sample only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ctcflow import keys
from ctcflow.errors import CtcflowError
from ctcflow.evidence import decoys
from ctcflow.evidence.line import Column, Found, spread
from ctcflow.evidence.lines import columns, measure
from ctcflow.evidence.look import Looked, Sample, Settings, Shipped, look
from ctcflow.files import io
from ctcflow.records.qc import QC
from ctcflow.records.score import Score
from ctcflow.settings.sample_params import ScoreParams
from ctcflow.stats.counts import signature
from ctcflow.stats.counts.content import content_order
from ctcflow.stats.counts.gene_sets import columns_of_sets, genes_of_sets, in_set
from ctcflow.stats.counts.reads import as_molecules
from ctcflow.stats.panels import origin
from ctcflow.stats.panels.panel import evidence_in_data, panels_to_test
from ctcflow.stats.threads import blas_threads

if TYPE_CHECKING:
    from anndata import AnnData


def score(
    adata: AnnData,
    panels: pd.DataFrame,
    gene_programs: pd.DataFrame,
    cell_types: pd.DataFrame,
    rates: pd.DataFrame,
    normal_profiles: pd.DataFrame,
    normal_types: pd.DataFrame,
    background: pd.DataFrame,
    identity_null: pd.DataFrame,
    technical: pd.DataFrame,
    genes: pd.DataFrame,
    tissue_markers: pd.DataFrame,
    *,
    params: ScoreParams,
) -> AnnData:
    """Measure the lines of evidence: missing blood identity, tumour panels, copy number and others.

    Parameters
    ----------
    adata
        Raw counts of the kept cells of one sample.
    panels, gene_programs, cell_types
        Gene sets: tumour panels, signatures to score, markers of blood and other types.
    rates
        `symbol`, then counts per million in each of 12 normal types, to find partners.
    normal_profiles, normal_types
        `symbol`, then counts per million of each profile of normal cells; `profile`, `type` and
        `group` of each.
    background
        `symbol`, `max_pct_blood`: largest share of cells of a blood type that express the gene
        (percent).
    identity_null
        `group`, `depth`, `centre`, `spread`: null distribution of blood identity, used if the
        sample has too few leukocytes.
    technical
        Gene sets by name: dissociation genes are not used in the profiles; immunoglobulins, T-cell
        receptors and HLA are not used for copy number.
    genes
        `symbol`, `chromosome`, `arm`, `start` of each gene.
    tissue_markers
        Marker genes of tissues of origin: see `stats.panels.origin.markers`.
    params
        Panel, weight of the shipped rates, and size of a reference for copy number.

    Returns
    -------
    AnnData
        obs `lineage`, `p_identity`, `p_panel`, `evidence` (-log10), `tumour_panel`,
        `panel_genes`, `n_panel_genes`, `is_leukocyte`; for cells with a line of evidence at or
        below 0.01 (empty or NaN for all others) obs `other_type`, `other_group`, `p_stroma`,
        `p_stroma_panel`, `over_other_tissue`, `over_blood`, `aneuploidy`, `p_copy_number`, obsm
        `copy_number` (cells x arms, log2), and obs `p_partner` of `partner_lineage`; obs `n_alike`
        and obsm `alike` (the same lines of evidence for the summed counts of the cells that a cell
        cannot be told from); obsm `tissue_counts` (cells x marker genes, and the rest); obsm
        `signatures`
        (cells x sets, 0 to 1, from the cell alone); uns `score`.

    Raises
    ------
    CtcflowError
        The panel is unknown.
    """
    chosen = _panels(adata, panels, params.panel)
    shipped = Shipped(
        normal_profiles,
        normal_types,
        background,
        identity_null,
        technical,
        genes,
        rates,
        cell_types,
    )
    # thinning draws random numbers cell by cell: in the order of their content, so that neither
    # their order in the file nor their barcodes matter
    order = content_order(adata.X.tocsr(), names=adata.var_names.to_numpy(dtype=object))
    back = np.empty_like(order)
    back[order] = np.arange(order.size)
    working = _on_the_scale_of_molecules(adata, technical)
    of = look(
        _sample(working[order], are_molecules=working is adata),
        panels=chosen,
        shipped=shipped,
        settings=_settings(params),
    )
    lines = measure(of)
    _write(adata, of, lines, back)
    _write_together(adata, of, lines, back)
    tissue = origin.counts_in_markers(
        working.X.tocsr(),
        cells=of.roles.candidates[back],
        genes=adata.var_names.to_numpy(dtype=object),
        of=origin.markers(tissue_markers),
    )
    adata.obsm[keys.TISSUE_COUNTS.key] = tissue.counts
    scores, coverage = _signatures(adata, gene_programs)
    adata.obsm[keys.SIGNATURES.key] = scores
    record = _record(of, lines, coverage, tissue.measured.tolist(), background)
    io.write_record(adata, keys.SCORE, record | _of_lines(lines))
    return adata


def _record(
    of: Looked,
    lines: Mapping[str, Found],
    coverage: dict[str, str],
    measured: list[bool],
    background: pd.DataFrame,
) -> Score:
    return {
        "panels": list(of.panel_genes),
        "panel_genes_in_data": int(of.panels.columns.size),
        "panel_genes": len(of.members),
        "panel_evidence_in_data": evidence_in_data(of.members, of.sample.genes, background),
        "leukocytes": int(of.blood.is_leukocyte.sum()),
        "signature_genes_in_data": coverage,
        "tissue_genes_measured": measured,
        "decoys": decoys.measured(of),
        "not_run": [
            {"what": name, "reason": line.not_run} for name, line in lines.items() if line.not_run
        ],
    }


def _of_lines(lines: Mapping[str, Found]) -> dict[str, Any]:
    """Records of the lines of evidence that have one, by their names."""
    return {
        name.replace(" ", "_"): line.record
        for name, line in lines.items()
        if line.record is not None
    }


def _on_the_scale_of_molecules(adata: AnnData, technical: pd.DataFrame) -> AnnData:
    if io.record(adata, keys.QC, QC)["umis"]:
        return adata
    globins = in_set(adata.var_names.to_numpy(dtype=object), technical, "haemoglobin")
    working = adata.copy()
    working.X = as_molecules(adata.X.tocsr(), left_out=globins)
    return working


def _panels(adata: AnnData, panels: pd.DataFrame, wanted: str) -> dict[str, frozenset[str]]:
    """Genes of the requested panel, or of the panel of the sample's cancer type, or of all."""
    genes_of_panel = genes_of_sets(panels)
    cancer = ""
    if wanted == "auto":
        if adata.n_obs and "cancer_type" in adata.obs:
            cancer = str(adata.obs["cancer_type"].iloc[0])
    elif wanted not in genes_of_panel:
        raise CtcflowError(
            f"score.panel is `{wanted}`, which the panel table does not have"
            f" (it has {', '.join(genes_of_panel)}): choose one of these or `auto`"
        )
    return panels_to_test(genes_of_panel, wanted=wanted, cancer=cancer)


def _sample(adata: AnnData, *, are_molecules: bool) -> Sample:
    """The cells, with the ambient RNA that `qc` measured; None and 0 if it could not."""
    share = io.record(adata, keys.QC, QC)["ambient"]["share"]
    soup = None if share is None else adata.var[keys.AMBIENT_PROFILE.key].to_numpy(np.float64)
    return Sample(
        adata.X.tocsr(),
        adata.var_names.to_numpy(dtype=object),
        soup,
        float(share or 0.0),
        are_molecules,
        {name: table for name, table in adata.obsm.items() if isinstance(table, pd.DataFrame)},
    )


def _settings(params: ScoreParams) -> Settings:
    return Settings(
        fewest=params.min_leukocytes,
        weight=params.prior_umis,
        fewest_of_lineage=params.min_reference,
        seed=params.seed,
        n_threads=blas_threads(),
    )


def _write(
    adata: AnnData, of: Looked, lines: Mapping[str, Found], back: npt.NDArray[np.intp]
) -> None:
    """Write the lines of evidence of each cell, in the order of the file."""
    for line in lines.values():
        for slot, column in line.cells.items():
            if isinstance(column, pd.DataFrame):
                adata.obsm[slot.key] = column.iloc[back].set_axis(adata.obs_names, axis=0)
            else:
                adata.obs[slot.key] = column.take(back)
    both = np.abs(np.log10(of.blood.p) + np.log10(of.panels.p))
    adata.obs[keys.EVIDENCE.key] = both[back]


def _write_together(
    adata: AnnData, of: Looked, lines: Mapping[str, Found], back: npt.NDArray[np.intp]
) -> None:
    """Write the same lines for the summed counts of each cell's group."""
    groups, rows = of.together, of.together.rows
    size = np.ones(of.n, dtype=np.int64)
    size[rows] = np.diff(groups.members.indptr)
    umis = Column(keys.TOTAL_COUNTS, "number")
    shown = {keys.TOTAL_COUNTS.key: spread(groups.umis, umis, rows=rows, n=of.n)}
    kinds = {column.slot: column for column in columns(listed=False)}
    for line in lines.values():
        for slot, column in line.groups.items():
            shown[slot.key] = spread(np.asarray(column), kinds[slot], rows=rows, n=of.n)
    adata.obs[keys.N_ALIKE.key] = size[back]
    adata.obsm[keys.ALIKE.key] = pd.DataFrame(
        {key: column.take(back) for key, column in shown.items()}, index=adata.obs_names
    )


def _signatures(adata: AnnData, gene_programs: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, str]]:
    columns = columns_of_sets(adata.var_names.to_numpy(dtype=object), gene_programs)
    scores = signature.ucell(signature.ranks(adata.X), list(columns.values()))
    frame = pd.DataFrame(scores.astype(np.float32), index=adata.obs_names, columns=list(columns))
    return frame, signature.coverage(columns, gene_programs)
