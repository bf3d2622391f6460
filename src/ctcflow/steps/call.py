"""Decide what each cell is, with an error rate, and count per draw. Reads no counts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ctcflow import keys
from ctcflow.params import CallParams
from ctcflow.stats import aggregates, counting, sharing, tail

if TYPE_CHECKING:
    from anndata import AnnData

Record = dict[str, Any]

CLASSES = ("CTC", "CTC aggregate", "non-blood other", "uncertain", "blood")
_WINDOW = (1.0, 3.5)  # nominal -log10 p of the null cells that the inflation is measured on
_LINE_P = 0.01  # a line of evidence speaks below this
_PANEL_ALONE_P = 1e-4  # panel evidence that stands against a kept blood identity
_LIKE_TUMOUR = ("Fibroblast/Mural", "Keratinocyte")  # programmes that carcinoma cells show too
_SHARED_ALPHA = 1e-3
_NOMINAL = (1e-1, 1e-2, 1e-3)
_MIXED = 0.1  # UCell score from which a programme is on in a call


def call(cohort: Iterable[AnnData], *, params: CallParams) -> AnnData:
    """Class, p and q of every cell; counts per sample and draw; the cohort's ledger.

    Parameters
    ----------
    cohort
        Per sample, the obs, obsm and uns of `qc` and `score`; counts are not read.
    params
        Error rate and confidence.

    Returns
    -------
    AnnData
        Without X; one row per cell that was kept, named `sample:barcode`. obs `sample`,
        `barcode`, `class`, `p`, `q`, the lines of evidence, `partner`, `phenotype`, `reason`;
        obsm `signatures`; uns `call`: `samples`, `draws`, `ledger`, `set_aside`, `aggregates`,
        `calibration`, `qc`, `not_run`.
    """
    import anndata

    tables, scores = [], []
    found: dict[str, list[Record]] = {
        key: [] for key in ("samples", "ledger", "set_aside", "qc", "not_run", "aggregates")
    }
    factors: list[Record] = []
    null_p: list[npt.NDArray[np.float64]] = []
    totals: dict[str, pd.Series] = {}
    rows: list[Record] = []
    for adata in cohort:
        row = json.loads(str(adata.uns[keys.CTCFLOW.key]))["sample"]
        name = str(row["sample"])
        rows.append(row)
        table, factor = _call_sample(adata, params)
        table.insert(0, keys.SAMPLE.key, name)
        tables.append(table)
        scores.append(adata.obsm[keys.SIGNATURES.key].set_axis(table.index, axis=0))
        totals[name] = adata.obs[keys.N_UMIS.key]
        null_p.append(table.loc[adata.obs[keys.IS_LEUKOCYTE.key].to_numpy(bool), keys.P.key])
        factors.append({"sample": name, "n_null": len(null_p[-1]), "factor": factor})
        _collect(found, name, adata, table, params)
        found["samples"].append(_sample_record(row, adata, table, params))
    _flag_shared(found["samples"], totals)
    obs = pd.concat(tables)
    obs.index = pd.Index(obs[keys.SAMPLE.key] + ":" + obs[keys.BARCODE.key], dtype=object)
    for key in (keys.SAMPLE.key, keys.CLASS.key, keys.LINEAGE.key, keys.OTHER_TYPE.key):
        obs[key] = pd.Categorical(obs[key].astype(str))
    result = anndata.AnnData(obs=obs)
    signatures = pd.concat(scores).set_axis(obs.index, axis=0)
    result.obsm[keys.SIGNATURES.key] = signatures
    draws = counting.per_draw(found["samples"], rows, confidence=params.confidence)
    calibration = {
        "n_null": sum(record["n_null"] for record in factors),
        "observed": _observed(np.concatenate(null_p)),
        "tail": factors,
    }
    healthy = counting.controls(found["samples"], confidence=params.confidence)
    result.uns[keys.CALL.key] = json.dumps(
        {**found, "draws": draws, "calibration": calibration, "healthy": healthy}, sort_keys=True
    )
    return result


def _call_sample(adata: AnnData, params: CallParams) -> tuple[pd.DataFrame, float]:
    obs = adata.obs
    evidence = obs[keys.EVIDENCE.key].to_numpy(np.float64)
    null = obs[keys.IS_LEUKOCYTE.key].to_numpy(dtype=bool)
    factor = tail.gamma_rate(evidence[null], low=_WINDOW[0], high=_WINDOW[1])
    p = tail.fisher_p(evidence * factor)
    q = tail.benjamini_hochberg(p)
    significant = (q <= params.fdr) & (p <= params.max_p)
    classes, reasons = _classes(obs, significant)
    table = pd.DataFrame(
        {
            keys.BARCODE.key: adata.obs_names.to_numpy(dtype=object),
            keys.CLASS.key: classes,
            keys.P.key: p,
            keys.Q.key: q,
        },
        index=pd.Index(adata.obs_names.to_numpy(dtype=object), dtype=object),
    )
    for slot in (
        keys.LINEAGE,
        keys.P_PANEL,
        keys.P_IDENTITY,
        keys.EVIDENCE,
        keys.N_PANEL_GENES,
        keys.PANEL_GENES,
        keys.OTHER_TYPE,
        keys.N_UMIS,
    ):
        table[slot.key] = obs[slot.key].to_numpy()
    for slot in (keys.LINEAGE, keys.PANEL_GENES, keys.OTHER_TYPE):
        table[slot.key] = table[slot.key].astype(str).astype(object)
    aggregate = classes == "CTC aggregate"
    table[keys.PARTNER.key] = np.where(aggregate, table[keys.LINEAGE.key], "")
    table[keys.PHENOTYPE.key] = _phenotypes(adata, np.isin(classes, CLASSES[:2]))
    table[keys.REASON.key] = reasons
    return table, factor


def _classes(
    obs: pd.DataFrame, significant: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.object_]]:
    p_panel = obs[keys.P_PANEL.key].to_numpy(np.float64)
    p_identity = obs[keys.P_IDENTITY.key].to_numpy(np.float64)
    other = obs[keys.OTHER_TYPE.key].astype(str).to_numpy(dtype=object)
    several = obs[keys.N_PANEL_GENES.key].to_numpy() >= 2
    p_other = obs[keys.P_OTHER.key].to_numpy(np.float64)
    vetoed = ~np.isin(other, ["", *_LIKE_TUMOUR]) & (p_other < p_panel)
    foreign, tumour = p_identity <= _LINE_P, (p_panel <= _LINE_P) & several
    strong = (p_panel <= _PANEL_ALONE_P) & several
    # in the order in which they are asked: the first that holds decides
    rules: Sequence[tuple[npt.NDArray[np.bool_], str, str]] = (
        (~significant, "blood", ""),
        (foreign & strong & ~vetoed, "CTC", "tumour panel seen and blood identity missing"),
        (
            foreign & (other != ""),
            "non-blood other",
            "blood identity missing; markers of another type",
        ),
        (foreign & tumour, "CTC", "tumour panel seen and blood identity missing"),
        (strong, "CTC aggregate", "tumour panel seen in a cell that keeps its blood identity"),
        (foreign, "uncertain", "blood identity missing, but hardly any tumour panel gene"),
        (significant, "uncertain", "both lines of evidence are weak"),
    )
    classes = np.full(p_panel.size, "", dtype=object)
    reasons = classes.copy()
    for holds, name, reason in rules:
        chosen = holds & (classes == "")
        classes[chosen], reasons[chosen] = name, reason
    return classes, reasons


def _phenotypes(adata: AnnData, called: npt.NDArray[np.bool_]) -> npt.NDArray[np.object_]:
    scores = adata.obsm[keys.SIGNATURES.key]
    epithelial = _programme(scores, "epithelial")
    mesenchymal = _programme(scores, "mesenchymal_blood_safe")
    names = np.select(
        [epithelial & mesenchymal, mesenchymal, epithelial],
        ["hybrid", "mesenchymal", "epithelial"],
        default="",
    )
    return np.where(called, names, "").astype(object)


def _programme(scores: pd.DataFrame, name: str) -> npt.NDArray[np.bool_]:
    if name not in scores:
        return np.zeros(len(scores), dtype=bool)
    return np.asarray(scores[name].to_numpy(np.float64) >= _MIXED)


def _observed(p: npt.NDArray[np.float64]) -> list[list[float]]:
    """Nominal level, observed share of null cells below it, and its exact binomial interval."""
    rows = []
    for level in _NOMINAL:
        below = int((p <= level).sum())
        low, high = tail.clopper_pearson(below, p.size, confidence=0.95)
        rows.append([level, below / p.size if p.size else 0.0, low, high])
    return rows


def _collect(
    found: Mapping[str, list[Record]],
    name: str,
    adata: AnnData,
    table: pd.DataFrame,
    params: CallParams,
) -> None:
    qc = json.loads(str(adata.uns[keys.QC.key]))
    score = json.loads(str(adata.uns[keys.SCORE.key]))
    found["ledger"].extend({"sample": name, **row} for row in qc["ledger"])
    for chosen in CLASSES:
        count = int((table[keys.CLASS.key] == chosen).sum())
        found["ledger"].append(
            {"sample": name, "stage": "call", "reason": f"class: {chosen}", "cells": count}
        )
    found["set_aside"].extend({"sample": name, **row} for row in qc["set_aside"])
    shown = ("umis", "limits", "distributions", "ambient", "droplets", "doublet_rate")
    found["qc"].append({"sample": name, **{key: qc[key] for key in shown}})
    aggregated = _aggregates(adata, table, qc["doublet_rate"], params)
    found["aggregates"].extend({"sample": name, **row} for row in aggregated)
    found["not_run"].extend({"sample": name, **row} for row in qc["not_run"] + score["not_run"])


def _aggregates(
    adata: AnnData, table: pd.DataFrame, rate: float | None, params: CallParams
) -> list[Record]:
    """Aggregates of a sample with tumour cells, against random co-loading."""
    classes = table[keys.CLASS.key]
    tumour, both = classes == "CTC", classes == "CTC aggregate"
    if rate is None or not (tumour | both).any():
        return []
    single = (classes == "blood") & ~adata.obs[keys.LIKELY_DOUBLET.key].to_numpy(bool)
    partner = table[keys.LINEAGE.key].map(aggregates.PARTNER_OF)
    return aggregates.against_chance(
        partner[both].value_counts().to_dict(),
        tumour=int(tumour.sum()),
        singles={name: int((partner[single] == name).sum()) for name in aggregates.PARTNERS},
        n_droplets=len(table),
        rate=rate,
        confidence=params.confidence,
    )


def _sample_record(
    row: Mapping[str, Any], adata: AnnData, table: pd.DataFrame, params: CallParams
) -> Record:
    counts = {name: int((table[keys.CLASS.key] == name).sum()) for name in CLASSES}
    low, high = tail.garwood(counts["CTC"] + counts["CTC aggregate"], confidence=params.confidence)
    flags = []
    if adata.n_obs == 0:
        flags.append("no cell was kept")
    leukocytes = int(adata.obs[keys.IS_LEUKOCYTE.key].sum())
    if 0 < leukocytes < params.few_leukocytes or (leukocytes == 0 and adata.n_obs):
        flags.append(f"only {leukocytes} leukocytes: p rests on shipped blood rates")
    umis = table[keys.N_UMIS.key]
    ambient = json.loads(str(adata.uns[keys.QC.key]))["ambient"]
    return {
        **{key: row.get(key) for key in ("sample", "patient", "draw", "day", "role", "batch")},
        "cells": int(adata.n_obs),
        "n_CTC": counts["CTC"],
        "n_aggregate": counts["CTC aggregate"],
        "n_other": counts["non-blood other"],
        "n_uncertain": counts["uncertain"],
        "rate_low": low,
        "rate_high": high,
        "median_umis": float(umis.median()) if len(umis) else None,
        "ambient": ambient["share"],
        "ambient_low": ambient["low"],
        "ambient_high": ambient["high"],
        "flags": flags,
    }


def _flag_shared(samples: list[Record], totals: Mapping[str, pd.Series]) -> None:
    by_name = {record["sample"]: record for record in samples}
    for pair in sharing.shared_barcodes(totals, alpha=_SHARED_ALPHA):
        cause = (
            "the same file twice?"
            if pair.same_counts > pair.barcodes / 2
            else "index hopping, or the same cells with other genes?"
        )
        for name, other in ((pair.first, pair.second), (pair.second, pair.first)):
            by_name[name]["flags"].append(
                f"shares {pair.barcodes} barcodes with {other} ({pair.expected:.1f} expected by"
                f" chance), {pair.same_counts} with the same counts: {cause}"
            )
