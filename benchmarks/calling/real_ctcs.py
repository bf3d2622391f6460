"""Real samples as they are: blood alone, one breast tumour, cell lines, two sets of picked CTCs.

Everything goes through `ingest`. The lines are added to pbmc4k, 1:100, uncut. GSE51827 (Aceto 2014,
doi:10.1016/j.cell.2014.07.013) holds reads of pools and clusters of CTCs, without mitochondrial
genes; the labels of the Polaris set (Poonia 2022) are noisy: what is found there is reported, and
nothing was tuned to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import anndata as ad
import numpy as np
import pandas as pd
from benchmarks.calling.draws import Claim, classes, each, interval
from benchmarks.samples import (
    BLOOD,
    LINES,
    REAL,
    REPOSITORY,
    TUMOUR,
    cell_lines,
    over,
    read,
    sample,
)

from ctcflow.errors import CtcflowError
from ctcflow.files import io
from ctcflow.files.tables import SHIPPED
from ctcflow.settings.sample_params import IngestParams
from ctcflow.steps.ingest import ingest

ECCITE = "cite_eccite_pbmc_control_RNA_ADT_HTO.h5ad"
PICKED = {
    "GSE51827": ("ctc_GSE51827_aceto2014_clusters_vs_single.h5ad", "sample_type"),
    "Polaris": ("ctc_poonia2022_breast_clearcell_polaris.h5ad", "Cell_type"),
}
CALLED = ("CTC", "CTC aggregate")
LEAST_LINES = 0.98
LEAST_ANEUPLOID, MOST_DIPLOID = 0.98, 0.03
MOST_FALSE = 1
_RATE = 0.01


class Task(NamedTuple):
    """One sample or set of draws."""

    what: str
    name: str


def ingested(name: str) -> tuple[ad.AnnData, str]:
    """A file through `ingest`, and whether its values had to be rounded."""
    genes = io.read_table(REPOSITORY / "resources" / SHIPPED["genes"])
    read_in = ad.read_h5ad(REAL / name)
    counts = ad.AnnData(read_in.X, obs=read_in.obs[[]], var=read_in.var[[]])
    try:
        return ingest(counts.copy(), genes, params=IngestParams()), ""
    except CtcflowError:
        rounded = ingest(counts, genes, params=IngestParams(counts="expected"))
        return rounded, "refused as counts; read as expected counts, rounded"


def run(task: Task) -> pd.DataFrame:
    """Rows `group`, `class`, `note`: one per cell that is asked about."""
    cells = {
        "blood alone": _blood,
        "TNBC alone": _tumour,
        "TNBC in blood": _tumour_in_blood,
        "lines in pbmc4k": _lines,
        "picked CTCs": _picked,
    }[task.what](task.name)
    return cells.assign(what=task.what, sample=task.name)


def _blood(name: str) -> pd.DataFrame:
    (verdicts,) = classes(_whole(ingested(BLOOD.get(name, name))[0], "blood"))
    return pd.DataFrame({"group": "blood", "class": verdicts["class"], "note": ""})


def _whole(adata: ad.AnnData, part: str) -> ad.AnnData:
    adata.obs["part"] = part
    return adata


def _labels(name: str, column: str) -> pd.Series:
    return ad.read_h5ad(REAL / name).obs[column].astype(str)


def _tumour(name: str) -> pd.DataFrame:
    (verdicts,) = classes(_whole(ingested(name)[0], "tumour"))
    group = _labels(name, "copykat_pred").reindex(verdicts.index)
    return pd.DataFrame({"group": group, "class": verdicts["class"], "note": ""})


def _tumour_in_blood(blood: str) -> pd.DataFrame:
    cells, blood_cells = read(TUMOUR), read(BLOOD[blood])
    names = blood_cells.var_names.union(cells.var_names)
    parts = {"blood": over(blood_cells, names), "tumour": over(cells, names)}
    (verdicts,) = classes(sample(parts, names))
    is_tumour = verdicts.index.str.startswith("tumour_")
    group = cells.obs["copykat_pred"].astype(str).to_numpy(dtype=object)
    return pd.DataFrame(
        {"group": group, "class": verdicts.loc[is_tumour, "class"].to_numpy(), "note": ""}
    )


def _lines(platform: str) -> pd.DataFrame:
    cells, blood_cells = cell_lines(platform), ingested(BLOOD["pbmc4k"])[0]
    names = blood_cells.var_names.union(cells.var_names)
    blood, counts = over(blood_cells, names), over(cells, names)
    at_once = round(blood.shape[0] * _RATE)
    rows = []
    for line in sorted(cells.obs["line"].unique()):
        rows_of_line = np.flatnonzero((cells.obs["line"] == line).to_numpy())
        for start in range(0, rows_of_line.size, at_once):
            drawn = counts[rows_of_line[start : start + at_once]]
            (verdicts,) = classes(sample({"blood": blood, "line": drawn}, names))
            named = verdicts.loc[verdicts.index.str.startswith("line_"), "class"]
            rows.append(pd.DataFrame({"group": line, "class": named, "note": ""}))
    return pd.concat(rows)


def _picked(name: str) -> pd.DataFrame:
    file, column = PICKED[name]
    adata, note = ingested(file)
    (verdicts,) = classes(_whole(adata, "picked"))
    group = _labels(file, column).reindex(verdicts.index)
    return pd.DataFrame({"group": group, "class": verdicts["class"], "note": note})


def table(*, processes: int, seed: int) -> dict[str, pd.DataFrame]:
    """`real_ctcs`: per sample and group, cells of each class. Nothing here is drawn at random."""
    del seed
    tasks = [
        *(Task("blood alone", name) for name in (*BLOOD, ECCITE)),
        Task("TNBC alone", TUMOUR),
        *(Task("TNBC in blood", name) for name in ("pbmc4k", "pbmc3k")),
        *(Task("lines in pbmc4k", platform) for platform in LINES),
        *(Task("picked CTCs", name) for name in PICKED),
    ]
    cells = pd.concat(each(run, tasks, processes=processes), ignore_index=True)
    axes = ["what", "sample", "group", "note"]
    counted = cells.assign(cells=1).pivot_table(
        index=axes, columns="class", values="cells", aggfunc="sum", fill_value=0, sort=False
    )
    return {"real_ctcs": counted.assign(n=counted.sum(axis=1)).reset_index()}


def claims(found: dict[str, pd.DataFrame]) -> Iterator[Claim]:
    rows = found["real_ctcs"]
    named = [c for c in rows if c not in ("what", "sample", "group", "note", "n")]
    blood = rows[rows["what"] == "blood alone"]
    false = int(blood.get("CTC", pd.Series(0)).sum())
    seen = f"{false} of {blood['n'].sum()} distinct cells in {len(blood)} files"
    yield f"blood alone: called CTC <= {MOST_FALSE}", seen, false <= MOST_FALSE
    for row in rows[rows["what"] != "blood alone"].to_dict("records"):
        ctc, both = row.get("CTC", 0) / row["n"], sum(row.get(c, 0) for c in CALLED) / row["n"]
        low, high = interval(ctc, row["n"])
        rest = ", ".join(f"{row[name]} {name}" for name in named if row[name])
        seen = f"CTC {ctc:.4f} ({low:.4f} to {high:.4f}) of {row['n']}: {rest}"
        aim, reached = "", None
        if row["group"] == "diploid":
            aim, reached = f" <= {MOST_DIPLOID}", ctc <= MOST_DIPLOID
        elif row["group"] == "aneuploid":
            aim, reached = f" >= {LEAST_ANEUPLOID}", ctc >= LEAST_ANEUPLOID
        elif row["what"] == "lines in pbmc4k":
            aim, reached = f" >= {LEAST_LINES}", ctc >= LEAST_LINES
        elif row["sample"] == "GSE51827":
            aim, reached = f", aggregates included >= {LEAST_LINES}", both >= LEAST_LINES
        yield f"{row['what']}, {row['sample']}, {row['group']}{aim}", seen, reached
