"""Tumour cells drawn into real blood, through `qc`, `score` and `call`, with baselines beside them.

One task is one tumour source in one blood file at one depth, rate and ambient share. Every droplet
of its draws gets a verdict (called or not) from each method and operating point. What `qc` sets
aside counts as not called, so recall is from spiked in to called.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from multiprocessing import get_context
from typing import NamedTuple

import anndata as ad
import numpy as np
import numpy.typing as npt
import pandas as pd
from benchmarks.calling import methods
from benchmarks.qc.ambient import mixed
from benchmarks.samples import (
    BLOOD,
    LINES,
    cell_lines,
    measured,
    over,
    read,
    sample,
    tables,
    thinned,
    tumour_cells,
)
from threadpoolctl import threadpool_limits

from ctcflow.settings.params import CallParams
from ctcflow.settings.sample_params import ScoreParams
from ctcflow.stats.calls.p_values import clopper_pearson
from ctcflow.steps.call import call
from ctcflow.steps.score import score

Bools = npt.NDArray[np.bool_]
Claim = tuple[str, str, bool | None]
"""What is claimed, what was seen, and whether that is enough; None where nothing was promised."""

PANEL = "pan_epithelial"
TNBC = "TNBC"
CONFOUNDED = tuple(f"lung cancer lines, {platform}" for platform in LINES)
"""Tumour sources of another platform than the blood: easier to tell, for the wrong reason."""
POINTS = {
    "CTC": ("CTC",),
    "CTC, aggregate": ("CTC", "CTC aggregate"),
    "CTC, aggregate, uncertain": ("CTC", "CTC aggregate", "uncertain"),
}
"""Operating points: the classes that count as called."""
WITHOUT = " without copy number"
_ROW = {"sample": "s", "patient": "s", "draw": "s", "role": "patient"}


class Task(NamedTuple):
    """One cell of a grid."""

    tumour: str
    blood: str
    umis: int
    rate: float
    ambient: float
    panels: tuple[str, ...]
    most_draws: int
    seed: np.random.SeedSequence


class Found(NamedTuple):
    """What came of tasks; every frame has `tumour`, `blood`, `umis`, `rate`, `ambient`."""

    tumour: pd.DataFrame
    """`panel`, `method`, `cell`, `found`: one row per tumour cell and method."""
    false: pd.DataFrame
    """`panel`, `method`, `cell`, `times`: blood cells that were called, and in how many draws."""
    draws: pd.DataFrame
    """`panel`, `method`, `n_blood`, `draws`, `seconds` (of all draws), `p_copy_number` (cells)."""


def scored(checked: ad.AnnData, *, panel: str, shipped: list[pd.DataFrame]) -> ad.AnnData:
    """`score` of the cells that `qc` kept."""
    kept = checked[checked.obs["keep"].to_numpy(dtype=bool)].copy()
    found = score(kept, *shipped, params=ScoreParams(panel=panel))
    found.uns["ctcflow"] = json.dumps({"sample": _ROW, "steps": {}})
    return found


def called(adata: ad.AnnData, *, copy_number: bool) -> pd.DataFrame:
    """`call` of one scored sample, without its counts; p of copy number hidden if asked."""
    obs = adata.obs.copy()
    if not copy_number and "p_copy_number" in obs:
        obs["p_copy_number"] = np.nan
    bare = ad.AnnData(obs=obs, var=adata.var, obsm=dict(adata.obsm), uns=dict(adata.uns))
    return call([bare], None, None, *tables("call"), params=CallParams()).obs.set_index("barcode")


def classes(
    adata: ad.AnnData,
    *,
    panel: str = PANEL,
    copy_number: tuple[bool, ...] = (True,),
    instead: Mapping[str, pd.DataFrame] | None = None,
) -> list[pd.DataFrame]:
    """Class and p of every droplet, with and without copy number as asked; scored once.

    Droplets that `qc` set aside have the class `set aside`. Tables that are given `instead`, by
    name, replace the shipped ones of `qc` and `score`.
    """
    checked = measured(adata, instead=instead)
    judged = scored(checked, panel=panel, shipped=tables("score", instead))
    return [
        everyone(called(judged, copy_number=with_copy_number), checked)
        for with_copy_number in copy_number
    ]


def everyone(cells: pd.DataFrame, checked: ad.AnnData) -> pd.DataFrame:
    result = cells.reindex(checked.obs_names)
    named = cells["class"].astype(str).reindex(checked.obs_names).fillna("set aside")
    return result.assign(**{"class": named})


@lru_cache
def tumour_source(name: str) -> ad.AnnData:
    return tumour_cells() if name == TNBC else cell_lines(name.rsplit(", ", 1)[1])


@lru_cache
def blood_source(name: str) -> ad.AnnData:
    return read(BLOOD[name])


@lru_cache
def trained(tumour: str, blood: str, umis: int) -> methods.Trained:
    """The classifier for this tumour and blood: another tumour, and blood of another file."""
    other = CONFOUNDED if tumour == TNBC else (TNBC,)
    other_blood = "pbmc4k" if blood == "pbmc3k" else "pbmc3k"
    return methods.train(
        [tumour_source(name) for name in other],
        blood_source(other_blood),
        seen=blood_source(blood).var_names.intersection(tumour_source(tumour).var_names),
        umis=umis,
    )


def _ours(adata: ad.AnnData, panels: tuple[str, ...]) -> Iterator[tuple]:
    """Panel, method, verdicts, seconds, cells that have a p of copy number."""
    start = time.perf_counter()
    checked = measured(adata)
    for_qc = time.perf_counter() - start
    for panel in panels:
        start = time.perf_counter()
        judged = scored(checked, panel=panel, shipped=tables("score"))
        with_p = judged.obs["p_copy_number"].notna().sum() if "p_copy_number" in judged.obs else 0
        for with_copy_number, tail in ((True, ""), (False, WITHOUT)):
            names = everyone(called(judged, copy_number=with_copy_number), checked)["class"]
            spent = for_qc + time.perf_counter() - start
            for point, counted in POINTS.items():
                yield panel, point + tail, names.isin(counted).to_numpy(), spent, int(with_p)


def _verdicts(adata: ad.AnnData, task: Task) -> Iterator[tuple]:
    yield from _ours(adata, task.panels)
    is_blood = (adata.obs["part"] == "blood").to_numpy()
    methods.compiled()
    classifier = trained(task.tumour, task.blood, task.umis)
    for row in methods.baselines(adata, task.panels, is_blood, classifier):
        yield *row, 0


def _mixtures(task: Task) -> Iterator[tuple[npt.NDArray[np.intp], ad.AnnData]]:
    """Each tumour cell once: which of them are in a draw, and the draw."""
    rng = np.random.default_rng(task.seed)
    tumour, blood = tumour_source(task.tumour), blood_source(task.blood)
    names = blood.var_names.union(tumour.var_names)
    blood_counts, cells = over(blood, names), over(tumour, names)
    lysate = np.asarray(cells.sum(axis=0), dtype=np.float64).ravel()
    thin = thinned(cells, task.umis, rng)
    order = rng.permutation(thin.shape[0])
    at_once = max(1, round(blood_counts.shape[0] * task.rate))
    for start in range(0, order.size, at_once)[: task.most_draws]:
        chosen = order[start : start + at_once]
        adata = sample({"blood": blood_counts, "tumour": thin[chosen]}, names)
        if task.ambient > 0:
            share = lysate / lysate.sum()
            soiled = mixed(adata.X, fraction=task.ambient, share=share, rng=rng)
            adata.X = soiled.astype(np.int32)
        yield chosen, adata


def run(task: Task) -> Found:
    """All draws of one task."""
    hits: list[pd.DataFrame] = []
    times: dict[tuple[str, str], npt.NDArray[np.intp]] = {}
    spent: dict[tuple[str, str], list[float]] = {}
    with_p: dict[tuple[str, str], int] = {}
    for chosen, adata in _mixtures(task):
        is_blood = (adata.obs["part"] == "blood").to_numpy()
        for panel, method, verdicts, seconds, n in _verdicts(adata, task):
            key = (panel, method)
            rows = {"panel": panel, "method": method, "cell": chosen, "found": verdicts[~is_blood]}
            hits.append(pd.DataFrame(rows))
            times[key] = times.get(key, 0) + verdicts[is_blood].astype(np.intp)
            spent.setdefault(key, []).append(seconds)
            with_p[key] = with_p.get(key, 0) + n
    false, draws = [], []
    for (panel, method), called_times in times.items():
        cells = np.flatnonzero(called_times)
        named = {"panel": panel, "method": method}
        false.append(pd.DataFrame({**named, "cell": cells, "times": called_times[cells]}))
        seconds = spent[panel, method]
        counted = {"n_blood": called_times.size, "draws": len(seconds), "seconds": sum(seconds)}
        draws.append({**named, **counted, "p_copy_number": with_p[panel, method]})
    where = {key: getattr(task, key) for key in ("tumour", "blood", "umis", "rate", "ambient")}
    frames = (pd.concat(hits), pd.concat(false), pd.DataFrame(draws))
    return Found(*(frame.assign(**where) for frame in frames))


def each(function: Callable, tasks: Iterable, *, processes: int) -> list:
    """Results in the order of the tasks; the same for any number of processes."""
    tasks = list(tasks)
    if processes == 1:
        with threadpool_limits(1):
            return [function(task) for task in tasks]
    with ProcessPoolExecutor(
        processes, mp_context=get_context("spawn"), initializer=threadpool_limits, initargs=(1,)
    ) as pool:
        return list(pool.map(function, tasks))


def together(parts: list[Found]) -> Found:
    return Found(*(pd.concat(frames, ignore_index=True) for frames in zip(*parts, strict=True)))


def interval(share: float, n: int) -> tuple[float, float]:
    """Exact binomial limits (95 %) of a share of `n` distinct things."""
    return clopper_pearson(share * n, n, confidence=0.95) if n else (0.0, 1.0)


def summary(found: Found, by: list[str]) -> pd.DataFrame:
    """Recall, false calls and realised false-discovery rate per group.

    A tumour cell that was drawn into several blood files or at several depths is one distinct cell:
    recall is over all its draws, the interval as of so many distinct cells. A blood cell counts
    once, with the worst that it ever got; the false-discovery rate counts calls in all draws.
    """
    keys = [*by, "panel", "method"]
    false = dict(iter(found.false.groupby(keys)))
    draws = dict(iter(found.draws.groupby(keys)))
    rows = []
    for key, hits in found.tumour.groupby(keys, sort=False):
        wrong = false.get(key, found.false.iloc[:0])
        spent = draws[key]
        distinct = hits[["tumour", "cell"]].drop_duplicates().shape[0]
        recall = float(hits["found"].mean())
        n_blood = int(spent.drop_duplicates("blood")["n_blood"].sum())
        false_cells = wrong[["blood", "cell"]].drop_duplicates().shape[0]
        right, errors = int(hits["found"].sum()), int(wrong["times"].sum())
        fdr = errors / max(right + errors, 1)
        limits = interval(false_cells / n_blood, n_blood)
        rows.append(
            dict(zip(keys, key, strict=True))
            | {"n_tumour": len(hits), "distinct_tumour": distinct, "recall": recall}
            | dict(zip(("low", "high"), interval(recall, distinct), strict=True))
            | {"n_blood": n_blood, "false_cells": false_cells}
            | {"per_10000": 1e4 * false_cells / n_blood}
            | {"per_10000_low": 1e4 * limits[0], "per_10000_high": 1e4 * limits[1]}
            | {"true_calls": right, "false_calls": errors, "fdr": fdr}
            | dict(zip(("fdr_low", "fdr_high"), interval(fdr, right + errors), strict=True))
            | {"draws": int(spent["draws"].sum())}
            | {"seconds_per_draw": spent["seconds"].sum() / spent["draws"].sum()}
            | {"p_copy_number": int(spent["p_copy_number"].sum())}
        )
    return pd.DataFrame(rows)
