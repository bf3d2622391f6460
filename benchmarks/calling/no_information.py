"""What carries no information changes no byte of the calls; and how much p owes to random draws.

Three blood files with tumour cells spiked in, each as it is, with its genes, cells and barcodes
mixed, with names of genes that nobody knows and that no cell shows, and with other seeds.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple
from unittest import mock

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp
from benchmarks.calling.draws import Claim, each
from benchmarks.samples import BLOOD, over, read, thinned, tumour_cells

import ctcflow as cf
from ctcflow.stats.identity import likelihood
from ctcflow.stats.thresholds import RANDOM_ERROR

FILES = ("pbmc1k_v2", "pbmc3k", "pbmc4k")
SPIKED, DEPTH = 25, 2000
CHANGES = ("genes", "cells", "barcodes", "unknown genes", "all of these")
TIMES = 2
"""Permutations of each kind: ten in all."""
SEEDS = 8
NEAR_LIMIT = (10**-3.3, 10**-2.3)
"""Cells whose p, in the middle of the seeds, is here: `call.max_p` is 1e-3."""
MOST_DECADES = 0.1
ABOUT = {"patient": "P1", "role": "patient", "chemistry": "10x_3p_v2", "cancer_type": "breast"}


class Task(NamedTuple):
    """One file, changed in one way, with the random numbers of one seed."""

    blood: str
    change: str
    seed: int


def table(*, processes: int, seed: int) -> dict[str, pd.DataFrame]:
    """One row per permutation, and one row per cell near the limit."""
    tasks = [Task(blood, "", 0) for blood in FILES]
    tasks += [
        Task(blood, change, seed + time)
        for blood in FILES
        for change in CHANGES
        for time in range(TIMES)
    ]
    tasks += [Task(blood, "seed", number + 1) for blood in FILES for number in range(SEEDS)]
    found = dict(zip(tasks, each(called, tasks, processes=processes), strict=True))
    rows = [
        {
            **task._asdict(),
            "cells": len(calls),
            "equal": calls.equals(found[Task(task.blood, "", 0)]),
        }
        for task, calls in found.items()
        if task.change in CHANGES
    ]
    return {
        "permutations": pd.DataFrame(rows),
        "random_error": pd.concat([spread(found, blood) for blood in FILES], ignore_index=True),
    }


def claims(tables: dict[str, pd.DataFrame]) -> Iterator[Claim]:
    """Byte-equal calls, and a random error of p below a tenth of a decade at the limit."""
    equal = tables["permutations"].groupby("blood", sort=False)["equal"]
    for blood, same in equal:
        yield f"{blood}: calls of the same bytes", f"{same.sum()} of {same.size}", same.all()
    for blood, cells in tables["random_error"].groupby("blood", sort=False):
        near = cells["p"].between(*NEAR_LIMIT)
        largest = cells.loc[near, "decades"].max() if near.any() else np.nan
        yield (
            f"{blood}: sd of log10 p over seeds, largest of {near.sum()} cells near 1e-3",
            f"{largest:.3f}",
            bool(largest < MOST_DECADES) if near.any() else None,
        )
        yield f"{blood}: classes that differ over seeds", str(int(cells["differs"].sum())), None
    yield "stated as two standard deviations (decades)", f"{RANDOM_ERROR}", None


def called(task: Task) -> pd.DataFrame:
    """Calls by the barcodes of the file as it is."""
    adata = spiked(task.blood)
    changed, barcodes = mixed(adata, task.change, np.random.default_rng(task.seed))
    original = likelihood.null_grid

    def seeded(*args: object, rng: np.random.Generator, **others: object) -> object:
        own = np.random.default_rng(task.seed) if task.change == "seed" else rng
        return original(*args, rng=own, **others)  # type: ignore[arg-type]

    with mock.patch.object(likelihood, "null_grid", seeded):
        checked = cf.pp.qc(cf.pp.ingest(changed, about=ABOUT))
        scored = cf.tl.score(cf.pp.normalize(checked), seed=task.seed * (task.change == "seed"))
    obs = cf.tl.call(scored).obs
    obs.index = pd.Index(barcodes.loc[obs["barcode"].astype(str)].to_numpy(), dtype=object)
    return obs.drop(columns="barcode").loc[[name for name in adata.obs_names if name in obs.index]]


def spiked(blood: str) -> ad.AnnData:
    """Blood with tumour cells of the depth of a leukocyte, over the genes of both."""
    rng = np.random.default_rng(0)
    cells = read(BLOOD[blood])
    tumour = tumour_cells()
    names = cells.var_names.union(tumour.var_names, sort=False)
    thin = thinned(over(tumour, names)[rng.permutation(tumour.n_obs)[:SPIKED]], DEPTH, rng)
    obs = pd.DataFrame(index=[*cells.obs_names, *(f"tumour{n}" for n in range(SPIKED))])
    return ad.AnnData(
        sp.vstack([over(cells, names), thin]).tocsr().astype(np.int32),
        obs=obs,
        var=pd.DataFrame(index=names),
    )


def mixed(adata: ad.AnnData, change: str, rng: np.random.Generator) -> tuple[ad.AnnData, pd.Series]:
    """The same sample in other words, and the barcode in the file by that of the result."""
    every = change == CHANGES[-1]
    x, names, cells = adata.X, np.array(adata.var_names), np.array(adata.obs_names)
    barcodes = cells
    if every or change == "unknown genes":
        more = [f"{letter}Q{n}ZZ" for n in range(1000) for letter in "AMZ"]
        x = sp.hstack([x, sp.csr_matrix((adata.n_obs, len(more)), dtype=np.int32)]).tocsr()
        names = np.append(names, more)
    if every or change in ("genes", "unknown genes"):
        order = rng.permutation(names.size)
        x, names = x[:, order], names[order]
    if every or change == "cells":
        order = rng.permutation(cells.size)
        x, cells, barcodes = x[order], cells[order], barcodes[order]
    if every or change == "barcodes":
        cells = np.array([f"{n:08d}" for n in rng.permutation(cells.size)])
    found = ad.AnnData(x, obs=pd.DataFrame(index=cells), var=pd.DataFrame(index=names))
    return found, pd.Series(barcodes, index=cells)


def spread(found: dict[Task, pd.DataFrame], blood: str) -> pd.DataFrame:
    """Median p of each cell over seeds, and the standard deviation of its logarithm."""
    runs = [calls for task, calls in found.items() if task[:2] == (blood, "seed")]
    common = runs[0].index
    for calls in runs[1:]:
        common = common.intersection(calls.index)
    logs = np.log10(np.array([calls.loc[common, "p"].to_numpy(np.float64) for calls in runs]))
    copies = np.log10(
        np.array([calls.loc[common, "p_copy_number"].to_numpy(np.float64) for calls in runs])
    )
    named = np.array([calls.loc[common, "class"].astype(str) for calls in runs])
    return pd.DataFrame(
        {
            "blood": blood,
            "barcode": common,
            "p": 10 ** np.median(logs, axis=0),
            "decades": logs.std(axis=0, ddof=1),
            "p_copy_number": 10 ** np.median(copies, axis=0),
            "decades_copy_number": copies.std(axis=0, ddof=1),
            "differs": (named != named[0]).any(axis=0),
        }
    )
