"""Time and memory of `score`, copy number included, for a sample of 5,000 cells.

pbmc3k, pbmc4k and as many tumour cells as are missing, on the genes of all, in a fresh process with
two threads.
"""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pandas as pd
from benchmarks.calling.draws import PANEL, TNBC, Claim, blood_source, scored, tumour_source
from benchmarks.samples import measured, over, sample, tables
from threadpoolctl import threadpool_limits

N_CELLS = 5000
MOST_SECONDS, MOST_GB = 20.0, 2.0


def run() -> dict[str, float]:
    threadpool_limits(2)
    files = [blood_source("pbmc3k"), blood_source("pbmc4k"), tumour_source(TNBC)]
    names = files[0].var_names.union(files[1].var_names).union(files[2].var_names)
    parts = {str(number): over(adata, names) for number, adata in enumerate(files)}
    parts["2"] = parts["2"][: N_CELLS - files[0].n_obs - files[1].n_obs]
    checked = measured(sample(parts, names))
    shipped = tables("score")
    start = time.perf_counter()
    scored_cells = scored(checked, panel=PANEL, shipped=shipped)
    seconds = time.perf_counter() - start
    # the peak of the whole process: files and `qc` are in it
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    not_run = json.dumps(json.loads(scored_cells.uns["score"])["not_run"])
    return {"cells": scored_cells.n_obs, "seconds": seconds, "peak_gb": peak, "not_run": not_run}


def table(*, processes: int, seed: int) -> dict[str, pd.DataFrame]:
    """`cost`: one row."""
    del processes, seed
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return {"cost": pd.DataFrame([pool.submit(run).result()])}


def claims(found: dict[str, pd.DataFrame]) -> Iterator[Claim]:
    row = found["cost"].iloc[0]
    name = f"score of {row['cells']} cells (not run: {row['not_run']})"
    for column, most, unit in (("seconds", MOST_SECONDS, "s"), ("peak_gb", MOST_GB, "GB")):
        yield f"{name} < {most:g} {unit}", f"{row[column]:.2f} {unit}", bool(row[column] < most)
