"""Measure cells and flag those to set aside; nothing is removed here."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ctcflow import keys
from ctcflow.params import QCParams
from ctcflow.stats import doublets, droplets, panel
from ctcflow.stats.neighbors import blas_threads

if TYPE_CHECKING:
    from anndata import AnnData

_WEAK_P = 0.01  # set-aside cells with a panel p below this, or two panel genes, are listed
_MOST_OF_REFERENCE = 0.1  # the limit on genes is at most this share of the reference
_STRONG_P = 1e-3  # with two panel genes or more: kept whatever else is wrong with the cell


def qc(
    adata: AnnData,
    panels: pd.DataFrame,
    leak: pd.DataFrame,
    technical: pd.DataFrame,
    *,
    params: QCParams,
) -> AnnData:
    """Measure, decide, flag.

    Parameters
    ----------
    adata
        Raw counts of one sample.
    panels
        Tumour panels; a gene of any panel is evidence here.
    leak
        Largest share of a blood type in which each gene is seen (`symbol`, `max_pct_blood`).
    technical
        Gene sets by name or pattern: mitochondrial, ribosomal, haemoglobin, platelet.
    params
        Thresholds.

    Returns
    -------
    AnnData
        obs `n_umis`, `n_genes` (per cell); `pct_mt`, `pct_ribo`, `pct_hb`, `pct_platelet`
        (percent, NaN where the reference has no such gene); `tumour_evidence`; `doublet_score`,
        `likely_doublet`, `aggregate_candidate` (flags only); `qc_flag` (reasons);
        `keep`. uns `qc`: thresholds, ledger, set-aside cells with tumour evidence, not run.
    """
    names = adata.var_names.to_numpy(dtype=object)
    depth = droplets.depth(adata.X)
    percent = {
        name: droplets.percent(adata.X, genes=in_set(names, technical, name), umis=depth.umis)
        for name in ("mitochondrial", "ribosomal", "haemoglobin", "platelet")
    }
    p, n_seen = _panel(adata, names, panels, leak)
    limit = droplets.upper_limit(
        percent["mitochondrial"][depth.umis >= params.min_umis],
        mads=params.mt_mads,
        floor=params.min_mt_limit,
        ceiling=params.max_mt_limit,
    )
    # a targeted panel cannot show as many genes as a transcriptome
    min_genes = min(params.min_genes, round(_MOST_OF_REFERENCE * names.size))
    reasons = {
        "few counts": depth.umis < max(params.min_umis, 1),
        "few genes": depth.genes < min_genes,
        "high mitochondrial share": percent["mitochondrial"] > limit,
    }
    evidence = (n_seen >= 2) & (p < _STRONG_P)
    flagged = np.logical_or.reduce(list(reasons.values()))
    keep = ~flagged | evidence
    rate, doublet = _doublets(adata, keep, params)
    _write_obs(adata, depth, percent, evidence, reasons, keep)
    adata.obs[keys.DOUBLET_SCORE.key] = doublet.score
    adata.obs[keys.LIKELY_DOUBLET.key] = doublet.called
    adata.obs[keys.AGGREGATE_CANDIDATE.key] = doublet.called & evidence
    adata.uns[keys.QC.key] = json.dumps(
        {
            "thresholds": {
                "min_umis": params.min_umis,
                "min_genes": min_genes,
                "doublet_rate": rate,
                "mt_limit": None if np.isnan(percent["mitochondrial"]).all() else limit,
            },
            "ledger": [
                *_ledger(reasons, flagged, keep),
                {
                    "stage": "qc",
                    "reason": "of these, likely doublets",
                    "cells": int(doublet.called.sum()),
                },
            ],
            "set_aside": _listed(adata, keep, p, n_seen),
            "not_run": _not_run(percent, rate, doublet.score),
        },
        sort_keys=True,
    )
    return adata


def in_set(
    names: npt.NDArray[np.object_], technical: pd.DataFrame, chosen: str
) -> npt.NDArray[np.bool_]:
    """Which genes belong to a technical set, by name or by pattern."""
    rows = technical[technical["set"] == chosen]
    member = pd.Index(names).isin(rows["gene"].dropna())
    for pattern in rows["pattern"].dropna():
        expression = re.compile(str(pattern))
        member |= np.array([expression.search(str(name)) is not None for name in names], dtype=bool)
    return np.asarray(member, dtype=bool)


def _panel(
    adata: AnnData, names: npt.NDArray[np.object_], panels: pd.DataFrame, leak: pd.DataFrame
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.intp]]:
    columns = np.flatnonzero(pd.Index(names).isin(panels.loc[panels["direction"] == 1, "gene"]))
    umis = np.asarray(adata.X.sum(axis=1), dtype=np.float64).ravel()
    counts = adata.X.tocsc()[:, columns].toarray().astype(np.float64)
    prior = panel.prior_rates(names[columns], leak)
    seen = counts > 0
    # a tumour cell must not set the rate that it is compared with
    ordinary = seen.sum(1) < 2
    rate = panel.leak_rates(
        counts[ordinary],
        depth=umis[ordinary],
        lineage=np.zeros(int(ordinary.sum()), dtype=np.intp),
        n_lineages=0,
        prior=prior,
        weight=panel.PRIOR_UMIS,
    )[-1]
    p = panel.panel_p(seen, expected=umis[:, None] * rate, weight=panel.weights(rate))
    return p, seen.sum(1)


def _write_obs(
    adata: AnnData,
    depth: droplets.Depth,
    percent: dict[str, npt.NDArray[np.float64]],
    evidence: npt.NDArray[np.bool_],
    reasons: dict[str, npt.NDArray[np.bool_]],
    keep: npt.NDArray[np.bool_],
) -> None:
    adata.obs[keys.N_UMIS.key] = depth.umis
    adata.obs[keys.N_GENES.key] = depth.genes
    adata.obs[keys.PCT_MT.key] = percent["mitochondrial"]
    adata.obs[keys.PCT_RIBO.key] = percent["ribosomal"]
    adata.obs[keys.PCT_HB.key] = percent["haemoglobin"]
    adata.obs[keys.PCT_PLATELET.key] = percent["platelet"]
    adata.obs[keys.TUMOUR_EVIDENCE.key] = evidence
    flags = np.full(keep.size, "", dtype=object)
    for reason, cells in reasons.items():
        flags[cells] = [f"{flag};{reason}" if flag else reason for flag in flags[cells]]
    adata.obs[keys.QC_FLAG.key] = pd.Categorical(flags)
    adata.obs[keys.KEEP.key] = keep


def _ledger(
    reasons: dict[str, npt.NDArray[np.bool_]],
    flagged: npt.NDArray[np.bool_],
    keep: npt.NDArray[np.bool_],
) -> list[dict[str, Any]]:
    """Every cell in one line: by its first reason, so that the lines add up to the total."""
    rows = [{"stage": "qc", "reason": "cells in", "cells": int(keep.size)}]
    open_cells = ~keep
    for reason, cells in reasons.items():
        rows.append(
            {
                "stage": "qc",
                "reason": f"set aside: {reason}",
                "cells": int((open_cells & cells).sum()),
            }
        )
        open_cells = open_cells & ~cells
    rescued = int((flagged & keep).sum())
    rows.append({"stage": "qc", "reason": "rescued: tumour evidence", "cells": rescued})
    rows.append({"stage": "qc", "reason": "kept", "cells": int(keep.sum())})
    return rows


def _listed(
    adata: AnnData,
    keep: npt.NDArray[np.bool_],
    p: npt.NDArray[np.float64],
    n_seen: npt.NDArray[np.intp],
) -> list[dict[str, str]]:
    listed = np.flatnonzero(~keep & ((p < _WEAK_P) | (n_seen >= 2)))
    flags = adata.obs[keys.QC_FLAG.key].astype(str).to_numpy(dtype=object)
    return [
        {
            "barcode": str(adata.obs_names[cell]),
            "reason": str(flags[cell]),
            "evidence": f"{n_seen[cell]} panel gene(s), p {p[cell]:.1e}",
        }
        for cell in listed
    ]


def _doublets(
    adata: AnnData, keep: npt.NDArray[np.bool_], params: QCParams
) -> tuple[float | None, doublets.Doublets]:
    """Rate of the loading, and the scores of the kept cells."""
    score, called = np.full(keep.size, np.nan), np.zeros(keep.size, dtype=bool)
    rate = params.doublet_rate
    if rate is None and keep.any() and "chemistry" in adata.obs:
        cells = int(adata.obs["expected_cells"].iloc[0]) if "expected_cells" in adata.obs else None
        rate = doublets.expected_rate(
            cells or int(keep.sum()), chemistry=str(adata.obs["chemistry"].iloc[0])
        )
    if rate is None:
        return None, doublets.Doublets(score, called)
    found = doublets.doublet_scores(
        adata.X[keep], rate=rate, seed=params.seed, n_threads=blas_threads()
    )
    score[keep], called[keep] = found.score, found.called
    return rate, doublets.Doublets(score, called)


def _not_run(
    percent: dict[str, npt.NDArray[np.float64]],
    rate: float | None,
    scores: npt.NDArray[np.float64],
) -> list[dict[str, str]]:
    if scores.size == 0:
        return [{"what": "quality control", "reason": "the sample has no cell"}]
    doublet = []
    if rate is None:
        reason = "the loading of its chemistry is not known: give chemistry or qc.doublet_rate"
        doublet = [{"what": "doublet score", "reason": reason}]
    elif np.isnan(scores).all():
        reason = f"fewer than {doublets.FEWEST_CELLS} kept cells, or no gene that varies"
        doublet = [{"what": "doublet score", "reason": reason}]
    return doublet + [
        {"what": f"{name} share", "reason": "the reference has no such gene"}
        for name, values in percent.items()
        if np.isnan(values).all()
    ]
