"""Average precision and time of the doublet score beside scanpy's scrublet.

    python -m benchmarks.qc.doublets [OUT.tsv]

Truth: hashtags of the scds cell lines (author labels; droplets without a hashtag are scored but not
judged), hashtags of the ECCITE PBMC (two or more of four above the cut that splits the log counts
of that hashtag best in two, Otsu 1979), and the simulator with ambient RNA, one sample per batch
(pairs that met by chance; attached pairs are scored but not judged). Times are of one run,
after a first small run of each method that compiles what is compiled.
"""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.metrics import average_precision_score

from ctcflow.stats.droplets.doublets import doublet_scores

REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "real"
SEEDS = range(5)
DEFAULT_SEEDS = range(3)
"""Approximate neighbours are slow and give the same precision."""
RATE = 0.05
ROUNDS = 3
"""Methods take turns and the fastest turn counts: other work on the machine only slows down."""
COHORT = {
    "n_patients": 2,
    "n_healthy": 2,
    "cells_per_sample": 2000,
    "n_batches": 4,
    "doublet_rate": RATE,
    "ambient": 0.05,
    "formats": ["h5ad"],
    "seed": 7,
}
TIMED = {**COHORT, "n_patients": 1, "n_healthy": 0, "cells_per_sample": 5000, "n_genes": 12_000}

Scorer = Callable[[sparse.csr_matrix, int], np.ndarray]


class Case(NamedTuple):
    name: str
    counts: sparse.csr_matrix
    is_doublet: np.ndarray
    judged: np.ndarray


def otsu(values: np.ndarray) -> float:
    """The cut with the largest variance between the two sides."""
    ordered = np.sort(values)
    below = np.arange(1, ordered.size)
    above = ordered.size - below
    sums = np.cumsum(ordered)
    gap = sums[:-1] / below - (sums[-1] - sums[:-1]) / above
    between = np.where(ordered[1:] > ordered[:-1], below * above * gap**2, -1.0)
    best = int(between.argmax())
    return float((ordered[best] + ordered[best + 1]) / 2)


def cell_lines() -> Case:
    adata = ad.read_h5ad(REAL / "doublets_scds_cellhashing_cell_lines_2000genes.h5ad")
    label = adata.obs["doublet_true_labels"].to_numpy(dtype=object)
    return Case("scds cell lines", adata.X.tocsr(), label == "Doublet", label != "Negative")


def eccite() -> Case:
    adata = ad.read_h5ad(REAL / "cite_eccite_pbmc_control_RNA_ADT_HTO.h5ad")
    tags = np.log1p(adata.obsm["HTO"].to_numpy(dtype=np.float64))
    n_tags = np.column_stack([tag > otsu(tag) for tag in tags.T]).sum(axis=1)
    return Case("ECCITE PBMC", adata.X.tocsr(), n_tags > 1, n_tags > 0)


def simulated(folder: Path, params: dict[str, object]) -> Iterator[Case]:
    command = [sys.executable, "-m", "ctcflow", "simulate", str(folder)]
    subprocess.run([*command, "--params", json.dumps(params)], check=True)
    truth = pd.read_csv(folder / "truth.tsv", sep="\t")
    for sample, rows in truth.groupby("sample"):
        adata = ad.read_h5ad(folder / "data" / str(sample) / "counts.h5ad")
        kind = rows.set_index("barcode")["kind"].reindex(adata.obs_names).to_numpy(dtype=object)
        counts = sparse.csr_matrix(adata.X)
        yield Case(f"simulated {sample}", counts, kind == "doublet", kind != "aggregate")


def cases(folder: Path) -> Iterator[Case]:
    for real in (cell_lines, eccite):
        try:
            yield real()
        except FileNotFoundError as error:
            print(f"skipped: {error}")
    yield from simulated(folder / "cohort", COHORT)


def ours(n_threads: int) -> Scorer:
    def score(counts: sparse.csr_matrix, seed: int) -> np.ndarray:
        return doublet_scores(counts, rate=RATE, seed=seed, n_threads=n_threads).score

    return score


def scrublet(*, approximate: bool) -> Scorer:
    import scanpy as sc

    def score(counts: sparse.csr_matrix, seed: int) -> np.ndarray:
        adata = ad.AnnData(counts.astype(np.float32))
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            # A given threshold spares the automatic one; scores do not depend on it.
            sc.pp.scrublet(
                adata,
                expected_doublet_rate=RATE,
                use_approx_neighbors=approximate,
                threshold=0.25,
                random_state=seed,
            )
        return adata.obs["doublet_score"].to_numpy()

    return score


def precision(case: Case, scorer: Scorer, seeds: range) -> list[float]:
    judged = case.judged
    return [
        average_precision_score(case.is_doublet[judged], scorer(case.counts, seed)[judged])
        for seed in seeds
    ]


def compare(case: Case) -> dict[str, object]:
    row: dict[str, object] = {
        "data": case.name,
        "n_cells": case.counts.shape[0],
        "n_doublets": int(case.is_doublet[case.judged].sum()),
    }
    for name, scorer, seeds in (
        ("ctcflow", ours(2), SEEDS),
        ("scrublet_exact", scrublet(approximate=False), SEEDS),
        ("scrublet_default", scrublet(approximate=True), DEFAULT_SEEDS),
    ):
        precisions = precision(case, scorer, seeds)
        row |= {f"{name}_median": np.median(precisions), f"{name}_low": min(precisions)}
        row |= {f"{name}_high": max(precisions)}
    row["at_least_scrublet"] = row["ctcflow_median"] >= max(  # type: ignore[operator]
        row["scrublet_exact_median"],  # type: ignore[type-var]
        row["scrublet_default_median"],
    )
    return row


def times(case: Case) -> pd.DataFrame:
    scorers = {
        "ctcflow, 1 thread": ours(1),
        "ctcflow, 2 threads": ours(2),
        "scrublet exact": scrublet(approximate=False),
        "scrublet default": scrublet(approximate=True),
    }
    for scorer in scorers.values():
        scorer(case.counts[:600], 0)
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in scorers}
    for _ in range(ROUNDS):
        for name, scorer in scorers.items():
            wall, work = time.perf_counter(), time.process_time()
            scorer(case.counts, 0)
            seconds[name].append((time.perf_counter() - wall, time.process_time() - work))
    rows = [
        {
            "method": name,
            "n_cells": case.counts.shape[0],
            "wall_s": min(wall for wall, _ in taken),
            "cpu_s": min(work for _, work in taken),
        }
        for name, taken in seconds.items()
    ]
    table = pd.DataFrame(rows)
    for kind in ("wall", "cpu"):
        table[f"{kind}_times_ctcflow_1_thread"] = table[f"{kind}_s"] / table[f"{kind}_s"].iloc[0]
    return table


def table() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Times, and average precision per data set."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        speed = times(next(simulated(folder / "timed", TIMED))).round(2)
        return speed, pd.DataFrame([compare(case) for case in cases(folder)]).round(3)


def main() -> None:
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_suffix(".tsv")
    speed, precisions = table()
    print(speed.to_string(index=False))
    print(precisions.to_string(index=False))
    speed.to_csv(out.with_name(f"{out.stem}_times.tsv"), sep="\t", index=False)
    precisions.to_csv(out, sep="\t", index=False)


if __name__ == "__main__":
    main()
