"""Lineage, lines of evidence, copy number and signature scores, from the cell's own sample only."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ctcflow import keys
from ctcflow.errors import CtcflowError
from ctcflow.evidence.lines import Lines, Panels, Shipped, lines_of_evidence
from ctcflow.settings.sample_params import ScoreParams
from ctcflow.stats.copy_number.aneuploidy import NormalTissue
from ctcflow.stats.copy_number.gene_order import usable
from ctcflow.stats.copy_number.sample_copy_number import SampleCopyNumber, sample_copy_number
from ctcflow.stats.counts import signature
from ctcflow.stats.counts.gene_sets import columns_of_sets, genes_of_sets, handling, in_set
from ctcflow.stats.counts.reads import as_molecules
from ctcflow.stats.identity.normal_tissue import Tissue, against_blood
from ctcflow.stats.identity.profiles import NORMAL_GROUPS
from ctcflow.stats.panels import decoys, origin
from ctcflow.stats.panels.partners import lineage_genes, partners
from ctcflow.stats.threads import blas_threads

if TYPE_CHECKING:
    from anndata import AnnData

Floats = npt.NDArray[np.float64]

_DECOYS = 10


def score(
    adata: AnnData,
    panels: pd.DataFrame,
    programmes: pd.DataFrame,
    cell_types: pd.DataFrame,
    rates: pd.DataFrame,
    normal_profiles: pd.DataFrame,
    normal_types: pd.DataFrame,
    leak: pd.DataFrame,
    identity_null: pd.DataFrame,
    technical: pd.DataFrame,
    genes: pd.DataFrame,
    tissue_markers: pd.DataFrame,
    *,
    params: ScoreParams,
) -> AnnData:
    """Measure how little of a cell is blood and how much is tumour.

    Parameters
    ----------
    adata
        Raw counts of the kept cells of one sample.
    panels, programmes, cell_types
        Gene sets: tumour panels, signatures to score, markers of blood and other types.
    rates
        `symbol`, then counts per million in each of 12 normal types: genes of a partner.
    normal_profiles, normal_types
        `symbol`, then counts per million of each profile of normal cells; `profile`, `type` and
        `group` of each.
    leak
        `symbol`, `max_pct_blood`: largest share of a blood type that shows the gene (percent).
    identity_null
        `group`, `depth`, `centre`, `spread`: what leukocytes look like where the sample's own
        are too few.
    technical
        Gene sets by name: those of dissociation take no part in the profiles, those of
        immunoglobulins, T-cell receptors and HLA none in copy number.
    genes
        `symbol`, `chromosome`, `arm`, `start` of each gene.
    tissue_markers
        Marker genes of tissues of origin: see `stats.panels.origin.markers`.
    params
        Panel, how much the shipped rates weigh, and what a reference for copy number needs.

    Returns
    -------
    AnnData
        obs `lineage`, `p_identity`, `p_panel`, `evidence` (-log10), `tumour_panel`,
        `panel_genes`, `n_panel_genes`, `is_leukocyte`; for cells with a line of evidence at or
        below 0.01 (empty or NaN for all others) obs `other_type`, `other_group`, `p_stroma`,
        `p_stroma_panel`, `over_other_tissue`, `over_blood`, `aneuploidy`, `p_copy_number`, obsm
        `copy_number` (cells x arms, log2), and obs `p_partner` of `partner_lineage`; obs `n_alike`
        and obsm `alike` (the same lines of evidence, of the cells that a cell cannot be told from,
        together); obsm `tissue_counts` (cells x marker genes, and the rest); obsm `signatures`
        (cells x sets, 0 to 1, from the cell alone); uns `score`.

    Raises
    ------
    CtcflowError
        The panel is unknown.
    """
    chosen = _panels(adata, panels, params.panel)
    members = frozenset().union(*chosen.values())
    # thinning draws random numbers cell by cell: in the order of the barcodes, so that the order
    # of the cells in the file does not matter
    order = np.argsort(adata.obs_names.to_numpy(dtype=object).astype(str), kind="stable")
    working = _on_the_scale_of_molecules(adata, technical)
    ordered = working[order]
    shipped = Shipped(normal_profiles, normal_types, leak, identity_null, handling(technical))
    lines = _lines(ordered, chosen, shipped, params)
    back = np.empty_like(order)
    back[order] = np.arange(order.size)
    _write(adata, lines, list(chosen), back)
    copies = _copy_number(ordered, lines, genes, technical, members, params)
    _write_copy_number(adata, copies, back)
    _write_together(adata, lines, copies, list(chosen), back)
    names = adata.var_names.to_numpy(dtype=object)
    left_out = shipped.handling | members
    beside = partners(
        ordered.X.tocsr(),
        # not of reads: the model is one of molecules in droplets
        candidates=lines.roles.candidates & (working is adata),
        genes=lineage_genes(names, rates=rates, markers=cell_types, left_out=left_out),
        ambient=lines.ambient,
    )
    adata.obs[keys.PARTNER_LINEAGE.key] = pd.Categorical(beside.lineage[back])
    adata.obs[keys.P_PARTNER.key] = beside.p[back]
    tissue = origin.counts_in_markers(
        working.X.tocsr(),
        cells=lines.roles.candidates[back],
        genes=names,
        of=origin.markers(tissue_markers),
    )
    adata.obsm[keys.TISSUE_COUNTS.key] = tissue.counts
    scores, coverage = _signatures(adata, programmes)
    adata.obsm[keys.SIGNATURES.key] = scores
    adata.uns[keys.SCORE.key] = json.dumps(
        {
            "panels": list(chosen),
            "panel_genes_in_data": int(lines.panels.columns.size),
            "panel_genes": len(members),
            "leukocytes": int(lines.blood.is_leukocyte.sum()),
            "signature_genes_in_data": coverage,
            "tissue_genes_measured": tissue.measured.tolist(),
            "copy_number": copies.record,
            "decoys": _decoys(ordered, lines, technical, params),
            "not_run": _not_run(lines, copies, params),
        },
        sort_keys=True,
    )
    return adata


def _on_the_scale_of_molecules(adata: AnnData, technical: pd.DataFrame) -> AnnData:
    if json.loads(str(adata.uns[keys.QC.key]))["umis"]:
        return adata
    globins = in_set(adata.var_names.to_numpy(dtype=object), technical, "haemoglobin")
    working = adata.copy()
    working.X = as_molecules(adata.X.tocsr(), left_out=globins)
    return working


def _panels(adata: AnnData, panels: pd.DataFrame, wanted: str) -> dict[str, frozenset[str]]:
    """Genes of the panel that is asked for, or of that of the row's cancer type, or of all."""
    known = genes_of_sets(panels)
    if wanted == "auto":
        cancer = ""
        if adata.n_obs and "cancer_type" in adata.obs:
            cancer = str(adata.obs["cancer_type"].iloc[0])
        return {cancer: known[cancer]} if cancer in known else known
    if wanted not in known:
        raise CtcflowError(
            f"score.panel is `{wanted}`, which the panel table does not have"
            f" (it has {', '.join(known)}): choose one of these or `auto`"
        )
    return {wanted: known[wanted]}


def _lines(
    adata: AnnData, panels: dict[str, frozenset[str]], shipped: Shipped, params: ScoreParams
) -> Lines:
    soup, share = _ambient(adata)
    return lines_of_evidence(
        adata.X.tocsr(),
        genes=adata.var_names.to_numpy(dtype=object),
        panels=panels,
        shipped=shipped,
        soup=soup,
        ambient_share=share,
        fewest=params.min_leukocytes,
        weight=params.prior_umis,
        n_threads=blas_threads(),
    )


def _ambient(adata: AnnData) -> tuple[Floats | None, float]:
    """Ambient profile and share that `qc` measured; no profile and 0 where it could not."""
    share = json.loads(str(adata.uns[keys.QC.key]))["ambient"]["share"]
    if share is None:
        return None, 0.0
    return adata.var[keys.AMBIENT_PROFILE.key].to_numpy(np.float64), float(share)


def _write(adata: AnnData, lines: Lines, names: list[str], back: npt.NDArray[np.intp]) -> None:
    types, panels = np.array(lines.types, dtype=object), lines.panels
    genes = adata.var_names.to_numpy(dtype=object)
    evidence = np.abs(np.log10(lines.blood.p) + np.log10(panels.p))
    adata.obs[keys.LINEAGE.key] = pd.Categorical(types[lines.blood.lineage][back])
    adata.obs[keys.P_IDENTITY.key] = lines.blood.p[back]
    adata.obs[keys.EVIDENCE.key] = evidence[back]
    adata.obs[keys.IS_LEUKOCYTE.key] = lines.blood.is_leukocyte[back]
    all_rows, judged = np.arange(adata.n_obs), np.flatnonzero(lines.roles.candidates)
    shown = _of_panels(panels, genes, names, rows=all_rows, n=adata.n_obs)
    for key, column in (shown | _of_tissue(lines.tissue, rows=judged, n=adata.n_obs)).items():
        adata.obs[key] = column.take(back)


def _write_together(
    adata: AnnData,
    lines: Lines,
    copies: SampleCopyNumber,
    names: list[str],
    back: npt.NDArray[np.intp],
) -> None:
    """The same lines, of all counts of the cells that a cell is judged together with."""
    of, genes = lines.together, adata.var_names.to_numpy(dtype=object)
    p_identity, p_copy_number, umis = np.full((3, adata.n_obs), np.nan)
    size = np.ones(adata.n_obs, dtype=np.int64)
    size[of.rows] = np.diff(of.members.indptr)
    p_identity[of.rows], umis[of.rows] = of.p_identity, of.umis
    p_copy_number[of.rows] = copies.p_together
    columns = {
        keys.TOTAL_COUNTS.key: umis,
        keys.P_IDENTITY.key: p_identity,
        **_of_panels(of.panels, genes, names, rows=of.rows, n=adata.n_obs),
        **_of_tissue(of.tissue, rows=of.rows, n=adata.n_obs),
        keys.P_COPY_NUMBER.key: p_copy_number,
    }
    adata.obs[keys.N_ALIKE.key] = size[back]
    adata.obsm[keys.ALIKE.key] = pd.DataFrame(
        {key: column.take(back) for key, column in columns.items()}, index=adata.obs_names
    )


def _of_panels(
    panels: Panels,
    genes: npt.NDArray[np.object_],
    names: list[str],
    *,
    rows: npt.NDArray[np.intp],
    n: int,
) -> dict[str, Any]:
    """What the panels say of cells; 1, empty and 0 for those that are not in `rows`."""
    p, count = np.ones(n), np.zeros(n, dtype=np.int64)
    spoke, listed = np.full((2, n), "", dtype=object)
    p[rows], count[rows] = panels.p, panels.seen.sum(axis=1)
    names_of = np.array(names, dtype=object)[panels.panel]
    spoke[rows] = np.where(panels.seen.any(axis=1), names_of, "")
    listed[rows] = [",".join(genes[panels.columns][row]) for row in panels.seen]
    return {
        keys.P_PANEL.key: p,
        keys.TUMOUR_PANEL.key: pd.Categorical(spoke.astype(str)),
        keys.PANEL_GENES.key: listed,
        keys.N_PANEL_GENES.key: count,
    }


def _of_tissue(tissue: Tissue, *, rows: npt.NDArray[np.intp], n: int) -> dict[str, Any]:
    """What cells look like beside blood; empty and NaN for those that are not in `rows`."""
    nearest, group = np.full((2, n), "", dtype=object)
    nearest[rows] = tissue.nearest
    if rows.size:
        group[rows] = np.array(NORMAL_GROUPS, dtype=object)[tissue.margin.argmax(axis=1)]
    values = {
        keys.P_STROMA: tissue.p_stroma,
        keys.P_STROMA_PANEL: tissue.p_stroma_panel,
        keys.OVER_OTHER_TISSUE: tissue.margin.max(axis=1, initial=0.0) * tissue.depth,
        keys.OVER_BLOOD: tissue.over_blood,
    }
    columns = {slot.key: np.full(n, np.nan) for slot in values}
    for slot, found in values.items():
        columns[slot.key][rows] = found
    return {
        keys.OTHER_TYPE.key: pd.Categorical(nearest.astype(str)),
        keys.OTHER_GROUP.key: pd.Categorical(group.astype(str)),
        **columns,
    }


def _copy_number(
    adata: AnnData,
    lines: Lines,
    genes: pd.DataFrame,
    technical: pd.DataFrame,
    left_out: frozenset[str],
    params: ScoreParams,
) -> SampleCopyNumber:
    names = adata.var_names.to_numpy(dtype=object)
    like = np.append(lines.plainly, lines.together.plainly)
    used = np.unique(like[like >= 0])
    ratio = against_blood(lines.judge.reference, used, n_genes=names.size)
    places = np.where(like >= 0, np.searchsorted(used, like), -1)
    return sample_copy_number(
        adata.X.tocsr(),
        names=names,
        genes=genes,
        usable=usable(names, technical=technical, left_out=left_out),
        of=lines.roles,
        together=lines.together.members,
        normal=NormalTissue(ratio, places),
        fewest=params.min_reference,
        seed=params.seed,
    )


def _decoys(
    adata: AnnData, lines: Lines, technical: pd.DataFrame, params: ScoreParams
) -> list[dict[str, Any]]:
    names, null = adata.var_names.to_numpy(dtype=object), lines.blood.is_leukocyte
    shares = decoys.decoy_shares(
        adata.X.tocsr()[null],
        lineage=lines.blood.lineage[null],
        n_lineages=len(lines.types),
        members=lines.panels.first,
        candidates=decoys.candidates_of(names, technical=technical, members=lines.panels.columns),
        n_decoys=_DECOYS,
        weight=params.prior_umis,
        rng=np.random.default_rng(params.seed),
    )
    return decoys.summary(shares, n_cells=int(null.sum()))


def _write_copy_number(
    adata: AnnData, copies: SampleCopyNumber, back: npt.NDArray[np.intp]
) -> None:
    adata.obs[keys.ANEUPLOIDY.key] = copies.aneuploidy[back]
    adata.obs[keys.P_COPY_NUMBER.key] = copies.p[back]
    adata.obsm[keys.COPY_NUMBER.key] = pd.DataFrame(
        copies.arm_log2_ratio[back], index=adata.obs_names, columns=copies.arms
    )


def _not_run(lines: Lines, copies: SampleCopyNumber, params: ScoreParams) -> list[dict[str, str]]:
    found = []
    if not lines.blood.own_null:
        reason = (
            f"{lines.blood.n_blood_like} leukocytes, needs {params.min_leukocytes}:"
            " the shipped blood is used"
        )
        found.append({"what": "null from the sample's own leukocytes", "reason": reason})
    if lines.panels.columns.size == 0:
        found.append({"what": "tumour panel", "reason": "no panel gene is in the data"})
    if copies.record["reason"]:
        found.append({"what": "copy number", "reason": copies.record["reason"]})
    return found


def _signatures(adata: AnnData, programmes: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, str]]:
    columns = columns_of_sets(adata.var_names.to_numpy(dtype=object), programmes)
    scores = signature.ucell(signature.ranks(adata.X), list(columns.values()))
    frame = pd.DataFrame(scores.astype(np.float32), index=adata.obs_names, columns=list(columns))
    return frame, signature.coverage(columns, programmes)
