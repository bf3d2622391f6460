"""Tables of a run, as they are written to TSV and shown on the page.

All of them come from the file of `call` (an AnnData without X) or of `cluster`. What `call` leaves:

obs
    One row per cell: `sample`, `barcode`, `class`, `p`, `q`, `lineage`, `partner`, `phenotype`,
    `p_panel`, `p_identity`, `evidence`, `n_panel_genes`, `panel_genes`, `other_type`, `reason`.
obsm `signatures`
    DataFrame (n_cells, n_signatures) of scores.
uns `call`
    JSON object; each list holds objects with these keys:

    `samples`
        `sample`, `patient`, `draw`, `day`, `role`, `batch`, `cells`, `n_CTC`, `n_aggregate`,
        `n_other`, `n_uncertain`, `rate_low`, `rate_high` (exact interval of the number of CTCs
        and aggregates), `median_umis`, `ambient`, `ambient_low`, `ambient_high` (fraction of
        counts), `flags` (list of sentences).
    `draws`
        `draw`, `patient`, `day`, `role`, `samples` (names, joined by `, `), `cells`, `count` (CTCs
        and aggregates), `count_low`, `count_high`, `volume_ml`, `per_ml`, `per_ml_low`,
        `per_ml_high`, `note`.
    `aggregates`
        `sample`, `partner` (neutrophil, monocyte, platelet, lymphocyte), `observed` (droplets
        called CTC aggregate with it), `expected` (by chance), `ratio`, `low`, `high` (null for no
        upper limit), `verdict` (a sentence).
    `ledger`
        `sample`, `stage`, `reason`, `cells`.
    `set_aside`
        `sample`, `barcode`, `reason`, `evidence`; droplets outside the given matrix too, which
        `reason` says.
    `calibration`
        Object: `n_null`, `tail` (objects with `sample`, `n_null`, `factor`), `observed` (rows of
        nominal, observed, low, high).
    `healthy`
        Object: `samples`, `cells`, `called`, `rate`, `rate_low`, `rate_high`.
    `qc`
        One object per sample: `sample`, `umis` (false for read counts: limits on counts are null),
        `doublet_rate`, and:

        `limits`
            Per coarse lineage `lineage`, `cells` (droplets that came in), `adaptive` (true:
            measured on them; false: too few, the floors and the ceiling of the parameters),
            `min_umis`, `min_genes` (set aside below), `max_pct_mt` (set aside above),
            `damaged_umis`, `damaged_pct_mt` (set aside below the first and above the second),
            `high_umis`, `high_genes` (a remark above, never set aside).
        `distributions`
            `lineage`, `metric` (`n_umis`, `n_genes`, `pct_mt`), `values`: up to 41 evenly spaced
            quantiles of all droplets that came in, ascending.
        `ambient`
            Object: `share`, `low`, `high` (fraction of counts), `genes` (number), `measured_on`
            (droplets, cells), `corrected`, `reason` (why not measured).
        `droplets`
            Null without unfiltered droplets, else an object: `barcodes` (number), `lower` (up to
            so many counts: the ambient sample), `retain` (from so many counts: cells without a
            test), `knee`, `inflection` (counts per barcode), `tested`, `outside` (droplets outside
            the given matrix that hold a cell), `curve` (rows of rank and counts of all barcodes,
            counts descending), `cells_curve` (of the given cells).
    `not_run`
        `sample`, `what`, `reason`.

Any key may be missing or null: it gives an empty table or a missing value.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from ctcflow import keys
from ctcflow.render.records import facts, records_table, significant

if TYPE_CHECKING:
    from anndata import AnnData

CALLED: Final = ("CTC", "CTC aggregate", "uncertain")
CELL_COLUMNS: Final = (
    keys.SAMPLE.key,
    keys.BARCODE.key,
    keys.CLASS.key,
    keys.P.key,
    keys.Q.key,
    keys.LINEAGE.key,
    keys.PARTNER.key,
    keys.P_PANEL.key,
    keys.P_IDENTITY.key,
    keys.N_PANEL_GENES.key,
    keys.PANEL_GENES.key,
    keys.REASON.key,
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
    "n_other",
    "n_uncertain",
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
    "volume_ml",
    "per_ml",
    "per_ml_low",
    "per_ml_high",
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
NOT_RUN_COLUMNS: Final = ("sample", "what", "reason")
MARKER_COLUMNS: Final = ("cluster", "rank", "gene")

_NUMBERS: Final = {keys.P.key, keys.Q.key, keys.P_PANEL.key, keys.P_IDENTITY.key}


def cells_table(call: AnnData) -> pd.DataFrame:
    """Every cell that entered `call`, in the order of the file.

    Parameters
    ----------
    call
        What `call` leaves (see the module).

    Returns
    -------
    pd.DataFrame
        One row per cell, the columns of `CELL_COLUMNS`; numbers with four significant digits.
    """
    return pd.DataFrame({name: _column(call.obs, name) for name in CELL_COLUMNS})


def ctc_table(call: AnnData) -> pd.DataFrame:
    """Cells called `CTC`, `CTC aggregate` or `uncertain`, by sample, then by `p`.

    Parameters
    ----------
    call
        What `call` leaves (see the module).

    Returns
    -------
    pd.DataFrame
        The columns of `cells_table`, then `phenotype`, then one column per signature.
    """
    called = _column(call.obs, keys.CLASS.key).isin(CALLED).to_numpy()
    obs = call.obs[called]
    columns = {name: _column(obs, name) for name in (*CELL_COLUMNS, keys.PHENOTYPE.key)}
    signatures = call.obsm.get(keys.SIGNATURES.key)
    if isinstance(signatures, pd.DataFrame):
        for name in signatures.columns:
            scores = signatures[name].to_numpy(dtype=np.float64)[called]
            columns[str(name)] = pd.Series(significant(scores))
    table = pd.DataFrame(columns)
    order = [keys.SAMPLE.key, keys.P.key, keys.BARCODE.key]
    return table.sort_values(order, kind="stable").reset_index(drop=True)


def samples_table(call: AnnData) -> pd.DataFrame:
    """One row per sample: cells per class, exact interval, flags joined by `; `."""
    return records_table(facts(call, keys.CALL).get("samples"), SAMPLE_COLUMNS)


def draws_table(call: AnnData) -> pd.DataFrame:
    """One row per blood draw: count and concentration with exact intervals."""
    return records_table(facts(call, keys.CALL).get("draws"), DRAW_COLUMNS)


def ledger_table(call: AnnData) -> pd.DataFrame:
    """How many cells of a sample met which fate, at which stage, for which reason."""
    return records_table(facts(call, keys.CALL).get("ledger"), LEDGER_COLUMNS)


def set_aside_table(call: AnnData) -> pd.DataFrame:
    """Cells that quality control set aside although they show tumour evidence."""
    return records_table(facts(call, keys.CALL).get("set_aside"), SET_ASIDE_COLUMNS)


def limits_table(call: AnnData) -> pd.DataFrame:
    """Limits of quality control, one row per sample and coarse lineage."""
    rows = [
        {"sample": sample.get("sample"), **limit}
        for sample in facts(call, keys.CALL).get("qc") or []
        for limit in sample.get("limits") or []
    ]
    return records_table(rows, LIMIT_COLUMNS)


def ambient_table(call: AnnData) -> pd.DataFrame:
    """Ambient RNA (fraction of counts), one row per sample that was looked at."""
    rows = [
        {"sample": sample.get("sample"), **sample["ambient"]}
        for sample in facts(call, keys.CALL).get("qc") or []
        if sample.get("ambient")
    ]
    return records_table(rows, AMBIENT_COLUMNS)


def aggregates_table(call: AnnData) -> pd.DataFrame:
    """Droplets of CTC and partner against random doublets, one row per sample and partner."""
    return records_table(facts(call, keys.CALL).get("aggregates"), AGGREGATE_COLUMNS)


def not_run_table(call: AnnData, adata: AnnData) -> pd.DataFrame:
    """List what could not be computed, and why: of samples, then of the cohort.

    In `uns` of `reduce`, `integrate` and `cluster` a sentence under `reason`, or `<what>_reason`,
    says what was not run; empty where it was.
    """
    found = list(facts(call, keys.CALL).get("not_run") or [])
    for slot in (keys.REDUCE, keys.INTEGRATE, keys.CLUSTERING):
        found += [
            {"sample": "", "what": f"{slot.key} {name[:-6].strip('_')}".strip(), "reason": why}
            for name, why in facts(adata, slot).items()
            if why and (name == "reason" or name.endswith("_reason"))
        ]
    return records_table(found, NOT_RUN_COLUMNS)


def markers_table(cluster_adata: AnnData) -> pd.DataFrame:
    """Marker genes, best first within a cluster.

    Parameters
    ----------
    cluster_adata
        What `cluster` leaves. uns `markers` is a JSON object: cluster -> list of genes, or of
        objects with `gene` and any statistics; or a list of objects with `cluster` and `gene`.

    Returns
    -------
    pd.DataFrame
        Columns `cluster`, `rank` (1 first), `gene`, then the statistics.
    """
    found = json.loads(str(cluster_adata.uns.get(keys.MARKERS.key) or "{}"))
    rows: list[dict[str, Any]] = []
    ranks: dict[str, int] = {}
    for cluster, gene in _marker_rows(found):
        ranks[cluster] = ranks.get(cluster, 0) + 1
        rows.append({"cluster": cluster, "rank": ranks[cluster], **gene})
    return records_table(rows, MARKER_COLUMNS)


def _column(obs: pd.DataFrame, name: str) -> pd.Series:
    if name not in obs:
        missing: Any = np.nan if name in _NUMBERS or name == keys.N_PANEL_GENES.key else ""
        return pd.Series([missing] * len(obs), dtype=None if len(obs) else object)
    values = obs[name]
    if name in _NUMBERS:
        return pd.Series(significant(values.to_numpy(dtype=np.float64)))
    if name == keys.N_PANEL_GENES.key:
        return pd.Series(values.to_numpy())
    filled = values.astype(object).where(values.notna().to_numpy(), "")
    return pd.Series(filled.to_numpy(dtype=object), dtype=object)


def _marker_rows(found: Any) -> list[tuple[str, dict[str, Any]]]:
    if isinstance(found, list):
        return [
            (
                str(row.get("cluster")),
                {k: v for k, v in row.items() if k not in ("cluster", "rank")},
            )
            for row in found
        ]
    return [
        (str(cluster), gene if isinstance(gene, dict) else {"gene": str(gene)})
        for cluster, genes in found.items()
        for gene in genes or []
    ]
