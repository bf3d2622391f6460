"""Lineage, lines of evidence and signature scores of each cell, from its own sample only."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from ctcflow import keys
from ctcflow.errors import CtcflowError
from ctcflow.params import ScoreParams
from ctcflow.stats import panel, signature
from ctcflow.stats.gene_sets import dissociation
from ctcflow.stats.leukocytes import Leukocytes, leukocytes
from ctcflow.stats.profiles import AMBIENT_SHARE, Profiles, profiles

if TYPE_CHECKING:
    from anndata import AnnData

Floats = npt.NDArray[np.float64]

_OTHER_P = 1e-4  # marker genes of another non-blood type, seen beyond what leukocytes show


class Blood(NamedTuple):
    """The shipped facts about blood that a sample is compared with."""

    rates: pd.DataFrame
    leak: pd.DataFrame
    identity_null: pd.DataFrame
    handling: frozenset[str]
    """Genes that tell how cells were handled."""


class _Lines(NamedTuple):
    """The two lines of evidence and what they were made from."""

    blood: Leukocytes
    types: tuple[str, ...]
    p_panel: Floats
    seen: npt.NDArray[np.bool_]
    genes: npt.NDArray[np.object_]
    not_run: list[dict[str, str]]


def score(
    adata: AnnData,
    panels: pd.DataFrame,
    programmes: pd.DataFrame,
    cell_types: pd.DataFrame,
    rates: pd.DataFrame,
    leak: pd.DataFrame,
    identity_null: pd.DataFrame,
    technical: pd.DataFrame,
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
        Atlas: `symbol`, then counts per million in each of 12 normal types.
    leak
        `symbol`, `max_pct_blood`: largest share of a blood type that shows the gene (percent).
    identity_null
        `group`, `depth`, `centre`, `spread`: what leukocytes look like where the sample's own
        are too few.
    technical
        Gene sets by name: those of dissociation take no part in the profiles.
    params
        Panel, and how much the shipped rates weigh.

    Returns
    -------
    AnnData
        obs `lineage`, `p_identity`, `p_panel`, `evidence` (-log10), `panel_genes`,
        `n_panel_genes`, `other_type`, `p_other`, `is_leukocyte`; obsm `signatures` (cells x sets,
        0 to 1, from the cell alone); uns `score`.

    Raises
    ------
    CtcflowError
        The panel is unknown.
    """
    chosen = _panel_name(adata, panels, params.panel)
    members = panels.loc[(panels["set"] == chosen) & (panels["direction"] == 1), "gene"]
    # thinning draws random numbers cell by cell: in the order of the barcodes, so that the order
    # of the cells in the file does not matter
    order = np.argsort(adata.obs_names.to_numpy(dtype=object).astype(str), kind="stable")
    lines = _lines(
        adata[order],
        members,
        cell_types,
        Blood(rates, leak, identity_null, dissociation(technical)),
        params,
    )
    back = np.empty_like(order)
    back[order] = np.arange(order.size)
    _write(adata, lines, back)
    other, other_p = _other_types(adata, cell_types, members)
    adata.obs[keys.OTHER_TYPE.key] = pd.Categorical(np.where(other_p < _OTHER_P, other, ""))
    adata.obs[keys.P_OTHER.key] = other_p
    scores, coverage = _signatures(adata, programmes)
    adata.obsm[keys.SIGNATURES.key] = scores
    adata.uns[keys.SCORE.key] = json.dumps(
        {
            "panel": chosen,
            "panel_genes_in_data": int(lines.genes.size),
            "panel_genes": len(members),
            "leukocytes": int(lines.blood.is_leukocyte.sum()),
            "signature_genes_in_data": coverage,
            "not_run": lines.not_run,
        },
        sort_keys=True,
    )
    return adata


def _panel_name(adata: AnnData, panels: pd.DataFrame, wanted: str) -> str:
    known = list(dict.fromkeys(panels["set"]))
    if wanted != "auto":
        if wanted not in known:
            raise CtcflowError(
                f"score.panel is `{wanted}`, which the panel table does not have"
                f" (it has {', '.join(known)}): choose one of these or `auto`"
            )
        return wanted
    cancer = ""
    if adata.n_obs and "cancer_type" in adata.obs:
        cancer = str(adata.obs["cancer_type"].iloc[0])
    for name in (cancer, "pan_epithelial"):
        if name in known:
            return name
    return str(known[0])


def _lines(
    adata: AnnData,
    members: pd.Series,
    cell_types: pd.DataFrame,
    blood: Blood,
    params: ScoreParams,
) -> _Lines:
    names = adata.var_names.to_numpy(dtype=object)
    counts = adata.X.astype(np.float64).tocsr()
    soup, share = _ambient(adata)
    reference = profiles(
        names,
        rates=blood.rates,
        markers=cell_types,
        left_out=frozenset(members) | blood.handling,
        ambient=np.asarray(counts.sum(axis=0), dtype=np.float64).ravel() if soup is None else soup,
        ambient_share=max(share, AMBIENT_SHARE),
    )
    found = leukocytes(
        counts,
        reference=reference,
        shipped_null=blood.identity_null,
        fewest=params.min_leukocytes,
    )
    not_run = []
    if not found.own_null:
        not_run.append(
            {
                "what": "null from the sample's own leukocytes",
                "reason": f"{found.n_blood_like} leukocytes, needs {params.min_leukocytes}:"
                " the shipped blood is used",
            }
        )
    columns = np.flatnonzero(pd.Index(names).isin(members))
    if columns.size == 0:
        not_run.append({"what": "tumour panel", "reason": "no panel gene is in the data"})
    prior = panel.prior_rates(names[columns], blood.leak)
    if soup is not None:
        prior = prior + share * soup[columns]
    p_panel, seen = _panel_evidence(counts, columns, prior, found, reference, params)
    return _Lines(found, reference.types, p_panel, seen, names[columns], not_run)


def _ambient(adata: AnnData) -> tuple[Floats | None, float]:
    """Ambient profile and share that `qc` measured; no profile and 0 where it could not."""
    share = json.loads(str(adata.uns[keys.QC.key]))["ambient"]["share"]
    if share is None:
        return None, 0.0
    return adata.var[keys.AMBIENT_PROFILE.key].to_numpy(np.float64), float(share)


def _panel_evidence(
    counts: sp.csr_matrix,
    columns: npt.NDArray[np.intp],
    prior: Floats,
    blood: Leukocytes,
    reference: Profiles,
    params: ScoreParams,
) -> tuple[Floats, npt.NDArray[np.bool_]]:
    umis = np.asarray(counts.sum(axis=1), dtype=np.float64).ravel()
    found = counts.tocsc()[:, columns].toarray()
    null = blood.is_leukocyte if blood.own_null else np.zeros(umis.size, dtype=bool)
    rates = panel.leak_rates(
        found[null],
        depth=umis[null],
        lineage=blood.lineage[null],
        n_lineages=len(reference.types),
        prior=prior,
        weight=params.prior_umis,
    )
    seen = found > 0
    p = panel.panel_p(
        seen, expected=umis[:, None] * rates[blood.lineage], weight=panel.weights(rates[-1])
    )
    return p, seen


def _write(adata: AnnData, lines: _Lines, back: npt.NDArray[np.intp]) -> None:
    types = np.array(lines.types, dtype=object)
    listed = [",".join(lines.genes[row]) for row in lines.seen]
    evidence = np.abs(np.log10(lines.blood.p) + np.log10(lines.p_panel))
    adata.obs[keys.LINEAGE.key] = pd.Categorical(types[lines.blood.lineage][back])
    adata.obs[keys.P_IDENTITY.key] = lines.blood.p[back]
    adata.obs[keys.P_PANEL.key] = lines.p_panel[back]
    adata.obs[keys.EVIDENCE.key] = evidence[back]
    adata.obs[keys.PANEL_GENES.key] = np.array(listed, dtype=object)[back]
    adata.obs[keys.N_PANEL_GENES.key] = lines.seen.sum(1)[back]
    adata.obs[keys.IS_LEUKOCYTE.key] = lines.blood.is_leukocyte[back]


def _other_types(
    adata: AnnData, cell_types: pd.DataFrame, members: pd.Series
) -> tuple[npt.NDArray[np.object_], Floats]:
    """Non-blood type that is not a tumour whose markers are most surprising, and its p."""
    table = cell_types[(cell_types["group"] == "non_blood") & (cell_types["direction"] == 1)]
    table = table[~table["gene"].isin(members)]
    names = adata.var_names.to_numpy(dtype=object)
    umis = np.asarray(adata.X.sum(axis=1), dtype=np.float64).ravel()
    best, best_p = np.full(umis.size, "", dtype=object), np.ones(umis.size)
    null = adata.obs[keys.IS_LEUKOCYTE.key].to_numpy(dtype=bool)
    for name, genes in table.groupby("set", sort=True)["gene"]:
        columns = np.flatnonzero(pd.Index(names).isin(genes))
        found = adata.X.tocsc()[:, columns].toarray().astype(np.float64)
        rate = panel.leak_rates(
            found[null],
            depth=umis[null],
            lineage=np.zeros(int(null.sum()), dtype=np.intp),
            n_lineages=0,
            prior=np.full(columns.size, 2e-6),
            weight=panel.PRIOR_UMIS,
        )[-1]
        p = panel.panel_p(found > 0, expected=umis[:, None] * rate, weight=panel.weights(rate))
        better = p < best_p
        best[better], best_p[better] = name, p[better]
    return best, best_p


def _signatures(adata: AnnData, programmes: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, str]]:
    names = pd.Index(adata.var_names.to_numpy(dtype=object))
    columns, coverage = {}, {}
    positive = programmes[programmes["direction"] == 1]
    for name, genes in positive.groupby("set", sort=True)["gene"]:
        place = names.get_indexer(pd.Index(genes.unique()))
        columns[str(name)] = place[place >= 0].astype(np.intp)
        coverage[str(name)] = f"{int((place >= 0).sum())}/{place.size}"
    scores = signature.ucell(signature.ranks(adata.X), list(columns.values()))
    frame = pd.DataFrame(scores.astype(np.float32), index=adata.obs_names, columns=list(columns))
    return frame, coverage
