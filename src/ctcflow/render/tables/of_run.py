"""Tables of a run, as they are written to TSV and shown on the page.

All of them are made from the file of `call` (an AnnData without X) or of `cluster`. In that of
`call`:

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
    See `ctcflow.records.call`.

Any key may be missing or null: the result is then an empty table or a missing value.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from ctcflow import keys
from ctcflow.files import io
from ctcflow.records.call import Call, SampleNotRun
from ctcflow.records.cluster import Clustering, Conditions, Markers
from ctcflow.records.qc import Ambient, Limit
from ctcflow.render.tables.columns import (
    AGGREGATE_COLUMNS,
    AMBIENT_COLUMNS,
    CELL_COLUMNS,
    CONDITION_COLUMNS,
    DRAW_COLUMNS,
    INGEST_COLUMNS,
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
from ctcflow.render.tables.records import records_table, significant

if TYPE_CHECKING:
    from anndata import AnnData


class LimitRow(Limit):
    """One row of `limits_table`."""

    sample: str


class AmbientRow(Ambient):
    """One row of `ambient_table`."""

    sample: str


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
        Result of `call` (see the module docstring).

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
        Result of `gather`.
    """
    return pd.DataFrame({name: _column(gathered.obs, name) for name in PROJECTED_COLUMNS})


def ctc_table(call: AnnData) -> pd.DataFrame:
    """Cells called `CTC`, `CTC aggregate` or `uncertain`, or reviewed, by sample, then by `p`.

    Parameters
    ----------
    call
        Result of `call` (see the module docstring).

    Returns
    -------
    pd.DataFrame
        The columns of `cells_table`, then `phenotype`, then one column per signature, then the
        same in standard deviations from the mean of all calls (ending `_z`).
    """
    # a vetoed cell stays in the list, so that no cell disappears
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
    return records_table(io.record(call, keys.CALL, Call).get("samples"), SAMPLE_COLUMNS)


def draws_table(call: AnnData) -> pd.DataFrame:
    """One row per blood draw: count and concentration with exact intervals, blanks, cut-off."""
    return records_table(io.record(call, keys.CALL, Call).get("draws"), DRAW_COLUMNS)


def ledger_table(call: AnnData) -> pd.DataFrame:
    """Number of cells per sample that were kept or set aside, by stage and reason."""
    return records_table(io.record(call, keys.CALL, Call).get("ledger"), LEDGER_COLUMNS)


def ingest_table(call: AnnData) -> pd.DataFrame:
    """What was read of each sample, one row each: format, genes, and what had to be mended."""
    return records_table(io.record(call, keys.CALL, Call).get("ingest"), INGEST_COLUMNS)


def set_aside_table(call: AnnData) -> pd.DataFrame:
    """Cells that quality control set aside although they show tumour evidence."""
    return records_table(io.record(call, keys.CALL, Call).get("set_aside"), SET_ASIDE_COLUMNS)


def limits_table(call: AnnData) -> pd.DataFrame:
    """Limits of quality control, one row per sample and coarse lineage."""
    rows: list[LimitRow] = [
        {"sample": sample.get("sample"), **limit}
        for sample in io.record(call, keys.CALL, Call).get("qc") or []
        for limit in sample.get("limits") or []
    ]
    return records_table(rows, LIMIT_COLUMNS)


def ambient_table(call: AnnData) -> pd.DataFrame:
    """Ambient RNA (fraction of counts), one row per sample that was examined."""
    rows: list[AmbientRow] = [
        {"sample": sample.get("sample"), **sample["ambient"]}
        for sample in io.record(call, keys.CALL, Call).get("qc") or []
        if sample.get("ambient")
    ]
    return records_table(rows, AMBIENT_COLUMNS)


def aggregates_table(call: AnnData) -> pd.DataFrame:
    """Droplets with CTC and partner, observed and by chance, one row per sample and partner."""
    return records_table(io.record(call, keys.CALL, Call).get("aggregates"), AGGREGATE_COLUMNS)


def origin_table(call: AnnData) -> pd.DataFrame:
    """The three most likely classes and tissues of origin of the CTCs of each draw."""
    return records_table(io.record(call, keys.CALL, Call).get("origin"), ORIGIN_COLUMNS)


def not_run_table(call: AnnData, adata: AnnData) -> pd.DataFrame:
    """List what could not be computed, and why: of samples, then of the cohort.

    In the records of `reduce`, `integrate` and `cluster`, `reason` or `<what>_reason` says why
    something was not run; it is empty if it was run. `not_run` is a list of `what` and `reason`.
    """
    rows: list[SampleNotRun] = list(io.record(call, keys.CALL, Call).get("not_run") or [])
    for slot in (keys.REDUCE, keys.INTEGRATE, keys.CLUSTERING):
        rows += [
            {"sample": "", "what": f"{slot.key} {name[:-6].strip('_')}".strip(), "reason": why}
            for name, why in io.record(adata, slot, dict).items()
            if why and (name == "reason" or name.endswith("_reason"))
        ]
        for row in io.record(adata, slot, Clustering).get("not_run") or []:
            rows.append(
                {"sample": "", "what": f"{slot.key} {row['what']}", "reason": row["reason"]}
            )
    return records_table(rows, NOT_RUN_COLUMNS)


def markers_table(cluster_adata: AnnData) -> pd.DataFrame:
    """Marker genes, best first within a cluster.

    Parameters
    ----------
    cluster_adata
        Result of `cluster`. uns `markers` is a JSON object: cluster -> list of genes, or of
        objects with `gene` and any statistics; or a list of objects with `cluster` and `gene`.

    Returns
    -------
    pd.DataFrame
        Columns `cluster`, `rank` (1 first), `gene`, then the statistics.
    """
    by_cluster = io.record(cluster_adata, keys.MARKERS, Markers)
    rows: list[Mapping[str, object]] = []
    ranks: dict[str, int] = {}
    for cluster, gene in _marker_rows(by_cluster):
        ranks[cluster] = ranks.get(cluster, 0) + 1
        rows.append({"cluster": cluster, "rank": ranks[cluster], **gene})
    return records_table(rows, MARKER_COLUMNS)


def conditions_table(cluster_adata: AnnData) -> pd.DataFrame:
    """Differential expression between conditions in each cell type, smallest p first."""
    columns = io.record(cluster_adata, keys.CONDITIONS, Conditions)
    rows = zip(*columns.values(), strict=True)
    return records_table([dict(zip(columns, row, strict=True)) for row in rows], CONDITION_COLUMNS)


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


def _marker_rows(markers: Any) -> list[tuple[str, Mapping[str, object]]]:
    if isinstance(markers, list):
        return [
            (
                str(row.get("cluster")),
                {k: v for k, v in row.items() if k not in ("cluster", "rank")},
            )
            for row in markers
        ]
    return [
        (str(cluster), gene if isinstance(gene, dict) else {"gene": str(gene)})
        for cluster, genes in markers.items()
        for gene in genes or []
    ]
