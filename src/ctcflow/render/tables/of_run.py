"""Tables of a run, as they are written to TSV and shown on the page.

All of them come from the file of `call` (an AnnData without X) or of `cluster`. What `call` leaves:

obs
    One row per cell: `sample`, `barcode`, `class`, `p`, `q`, `lineage`, `partner`, `phenotype`,
    `p_panel`, `p_identity`, `p_copy_number` (NaN: not judged), `evidence`, `n_panel_genes`,
    `panel_genes`, `other_type`, `reason`;
    `class_before_review`, `verdict`, `reviewer`, empty for cells without a verdict.
obsm `signatures`
    DataFrame (n_cells, n_signatures) of scores.
obsm `signatures_z`
    The same in standard deviations from the mean of all calls; NaN for other cells.
obsm `copy_number`
    DataFrame (n_cells, n_arms) of log2 ratios; NaN for cells that were not judged.
uns `call`
    JSON object; each list holds objects with these keys:

    `samples`
        `sample`, `patient`, `draw`, `day`, `role`, `batch`, `cells`, `n_CTC`, `n_aggregate`,
        `n_aneuploid`, `n_diploid` (of both), `n_other`, `n_uncertain`, `n_before_review` (CTCs
        and aggregates, as the machine called them), `rate_low`, `rate_high` (exact interval of the
        number of CTCs and aggregates), `median_umis`, `ambient`, `ambient_low`, `ambient_high`
        (fraction of counts), `flags` (list of sentences).
    `draws`
        See `stats.calls.counting.Counted`.
    `origin`
        `draw`, `cells`, `counts` (of the cells called `CTC`), then `stats.panels.origin.Answer`;
        in `draws` the same as a sentence, `tissue_of_origin`.
    `dispersion`
        Object: `ratio` (variance over mean of replicate counts), `source` (a sentence).
    `blanks`
        Object: `draws`, `limit` (calls per draw; null for none), `reason`.
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
        nominal, observed, low, high), `decoys` (objects with `sample`, `decoys`, `cells`, `level`,
        `share`, `low`, `high`: share of blood cells at or below the level, over decoy panels).
    `healthy`
        Object: `samples`, `cells`, `called`, `rate`, `rate_low`, `rate_high`, `claimed` (per cell),
        `flag` (a sentence where the interval excludes the claim).
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
            `lineage`, `metric` (`total_counts`, `n_genes_by_counts`, `pct_counts_mt`), `values`: up
            to 41 evenly spaced quantiles of all droplets that came in, ascending.
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
from ctcflow.render.tables.columns import (
    AGGREGATE_COLUMNS,
    AMBIENT_COLUMNS,
    CELL_COLUMNS,
    CONDITION_COLUMNS,
    DRAW_COLUMNS,
    LEDGER_COLUMNS,
    LIMIT_COLUMNS,
    LISTED,
    MARKER_COLUMNS,
    NOT_RUN_COLUMNS,
    ORIGIN_COLUMNS,
    PROJECTED_COLUMNS,
    SAMPLE_COLUMNS,
    SET_ASIDE_COLUMNS,
)
from ctcflow.render.tables.records import facts, records_table, significant

if TYPE_CHECKING:
    from anndata import AnnData

CALLED: Final = ("CTC", "CTC aggregate", "uncertain")
_NUMBERS: Final = {
    *(slot.key for slot in (keys.P, keys.Q, keys.CONFIDENCE, keys.NOVELTY)),
    *(column.slot.key for column in LISTED if column.kind in ("p", "number")),
}
_WHOLE: Final = {
    keys.N_ALIKE.key,
    *(column.slot.key for column in LISTED if column.kind == "count"),
}


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


def projected_table(gathered: AnnData) -> pd.DataFrame:
    """Every cell that was mapped onto a frozen reference: class, label, confidence, novelty.

    Parameters
    ----------
    gathered
        What `gather` leaves.
    """
    return pd.DataFrame({name: _column(gathered.obs, name) for name in PROJECTED_COLUMNS})


def ctc_table(call: AnnData) -> pd.DataFrame:
    """Cells called `CTC`, `CTC aggregate` or `uncertain`, or reviewed, by sample, then by `p`.

    Parameters
    ----------
    call
        What `call` leaves (see the module).

    Returns
    -------
    pd.DataFrame
        The columns of `cells_table`, then `phenotype`, then one column per signature, then the
        same in standard deviations from the mean of all calls (ending `_z`).
    """
    # a vetoed cell stays listed, so that nothing vanishes
    reviewed = _column(call.obs, keys.VERDICT.key) != ""
    called = (_column(call.obs, keys.CLASS.key).isin(CALLED) | reviewed).to_numpy()
    obs = call.obs[called]
    columns = {name: _column(obs, name) for name in (*CELL_COLUMNS, keys.PHENOTYPE.key)}
    for slot, ending in ((keys.SIGNATURES, ""), (keys.SIGNATURES_Z, "_z")):
        scores = call.obsm.get(slot.key)
        if isinstance(scores, pd.DataFrame):
            for name in scores.columns:
                values = scores[name].to_numpy(dtype=np.float64)[called]
                columns[f"{name}{ending}"] = pd.Series(significant(values))
    table = pd.DataFrame(columns)
    order = [keys.SAMPLE.key, keys.P.key, keys.BARCODE.key]
    return table.sort_values(order, kind="stable").reset_index(drop=True)


def samples_table(call: AnnData) -> pd.DataFrame:
    """One row per sample: cells per class, exact interval, flags joined by `; `."""
    return records_table(facts(call, keys.CALL).get("samples"), SAMPLE_COLUMNS)


def draws_table(call: AnnData) -> pd.DataFrame:
    """One row per blood draw: count and concentration with exact intervals, blanks, cut-off."""
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


def origin_table(call: AnnData) -> pd.DataFrame:
    """Classes and tissues that the CTCs of a draw may come from, three of each, likeliest first."""
    return records_table(facts(call, keys.CALL).get("origin"), ORIGIN_COLUMNS)


def not_run_table(call: AnnData, adata: AnnData) -> pd.DataFrame:
    """List what could not be computed, and why: of samples, then of the cohort.

    In `uns` of `reduce`, `integrate` and `cluster` a sentence under `reason`, or `<what>_reason`,
    says what was not run; empty where it was. `not_run` is a list of `what` and `reason`.
    """
    found = list(facts(call, keys.CALL).get("not_run") or [])
    for slot in (keys.REDUCE, keys.INTEGRATE, keys.CLUSTERING):
        found += [
            {"sample": "", "what": f"{slot.key} {name[:-6].strip('_')}".strip(), "reason": why}
            for name, why in facts(adata, slot).items()
            if why and (name == "reason" or name.endswith("_reason"))
        ]
        for row in facts(adata, slot).get("not_run") or []:
            found.append(
                {"sample": "", "what": f"{slot.key} {row['what']}", "reason": row["reason"]}
            )
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


def conditions_table(cluster_adata: AnnData) -> pd.DataFrame:
    """Genes between conditions in each cell type, over patients; smallest p first."""
    found = facts(cluster_adata, keys.CONDITIONS)
    rows = zip(*found.values(), strict=True)
    return records_table([dict(zip(found, row, strict=True)) for row in rows], CONDITION_COLUMNS)


def _column(obs: pd.DataFrame, name: str) -> pd.Series:
    if name not in obs:
        missing: Any = np.nan if name in _NUMBERS or name in _WHOLE else ""
        return pd.Series([missing] * len(obs), dtype=None if len(obs) else object)
    values = obs[name]
    if name in _NUMBERS:
        return pd.Series(significant(values.to_numpy(dtype=np.float64)))
    if name in _WHOLE:
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
