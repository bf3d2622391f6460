"""Real blood of several runs, real tumour cells in one of them, through the steps to `reduce`."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import NamedTuple

import anndata as ad
import numpy as np
import numpy.typing as npt
import pandas as pd
from benchmarks.samples import BLOOD, measured, over, read, sample, tables, thinned, tumour_cells
from scipy import sparse

from ctcflow.settings.params import CallParams, IntegrateParams, ReduceParams
from ctcflow.settings.sample_params import NormalizeParams, ScoreParams
from ctcflow.stats.clusters.communities import agreement, leiden
from ctcflow.stats.clusters.neighbors import fuzzy_graph, nearest
from ctcflow.stats.counts.moments import log_normalised
from ctcflow.stats.embedding.conservation import neighbor_purity
from ctcflow.stats.embedding.embedding_metrics import measure
from ctcflow.stats.embedding.harmony import harmony
from ctcflow.stats.threads import blas_threads
from ctcflow.steps.call import call
from ctcflow.steps.integrate import integrate
from ctcflow.steps.normalize import normalize
from ctcflow.steps.reduce import reduce
from ctcflow.steps.score import score

Points = npt.NDArray[np.float64]

DEPTH = 2000  # counts per tumour cell: about that of the blood
PLAIN = "plain Harmony on all cells"
# as scib judges clusters against labels: at the best of a range of resolutions
RESOLUTIONS = (0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0)
_ONE_FOR_ALL = 1.0
LEIDEN_SEEDS = 5
"""Agreement with authors is their mean: the seed alone moves it by 0.02."""
_NEIGHBORS = 15
_AUTHORS = {"pbmc3k": "cell_type", "pbmc4k": "Annotation"}


class Judged(NamedTuple):
    """One library after `score`: its cells for `call`, and log-normalised for `reduce`."""

    bare: ad.AnnData
    values: ad.AnnData


def library(name: str, n_tumour: int, seed: int) -> ad.AnnData:
    """Blood of one file with tumour cells of `DEPTH` counts; obs `part` and the author's type."""
    blood = read(BLOOD[name])
    parts = {"blood": blood.X}
    names = blood.var_names
    if n_tumour:
        tumour = tumour_cells()
        rng = np.random.default_rng(seed)
        names = blood.var_names.union(tumour.var_names)
        chosen = rng.permutation(tumour.n_obs)[:n_tumour]
        parts = {
            "blood": over(blood, names),
            "tumour": thinned(over(tumour, names)[chosen], DEPTH, rng),
        }
    adata = sample(parts, names)
    author = np.full(adata.n_obs, "", dtype=object)
    if name in _AUTHORS:
        author_types = blood.obs[_AUTHORS[name]].astype(object)
        author[: blood.n_obs] = author_types.where(author_types.notna(), "").astype(str)
    adata.obs["author"] = author
    adata.obs["sample"] = adata.obs["batch"] = name
    return adata


@lru_cache
def judged(name: str, n_tumour: int, seed: int) -> Judged:
    """`qc`, `score` and `normalize` with the shipped tables."""
    checked = measured(library(name, n_tumour, seed))
    kept = checked[checked.obs["keep"].to_numpy(dtype=bool)].copy()
    evidence = score(kept.copy(), *tables("score"), params=ScoreParams())
    row = {"sample": name, "patient": name, "draw": name, "role": "patient"}
    bare = ad.AnnData(
        obs=evidence.obs, var=evidence.var, obsm=dict(evidence.obsm), uns=dict(evidence.uns)
    )
    bare.uns["ctcflow"] = json.dumps({"sample": row, "steps": {}})
    values = normalize(kept, params=NormalizeParams())
    factors = values.obs["size_factor"].to_numpy()
    values.X = log_normalised(sparse.csr_matrix(values.X), size_factors=factors).astype(np.float32)
    values.obs = values.obs[["part", "author", "sample", "batch", "size_factor"]]
    return Judged(bare, values)


def embedded(names: tuple[str, ...], *, spiked: str, n_tumour: int, seed: int) -> ad.AnnData:
    """`reduce` of all libraries, with class and lineage of `call`."""
    libraries = [
        judged(name, n_tumour, seed) if name == spiked else judged(name, 0, 0) for name in names
    ]
    adata = reduce(
        [judged_library.values for judged_library in libraries],
        *tables("reduce"),
        params=ReduceParams(),
    )
    calls = call(
        [judged_library.bare for judged_library in libraries],
        None,
        None,
        *tables("call"),
        params=CallParams(),
    ).obs
    for column in ("class", "lineage"):
        adata.obs[column] = calls[column].astype(str).reindex(adata.obs_names).astype(object)
    return adata


def corrections(adata: ad.AnnData, *, seed: int) -> dict[str, Points]:
    """Points before, after both methods, and after Harmony of all cells alike."""
    before = np.asarray(adata.obsm["X_pca"], dtype=np.float64)
    found = {"before": before}
    for method in ("harmony", "linear"):
        params = IntegrateParams.model_validate({"method": {"method": method}})
        found[method] = np.asarray(
            integrate(adata.copy(), params=params).obsm["X_integrated"], dtype=np.float64
        )
    batches = pd.factorize(adata.obs["batch"], sort=True)[0]
    found[PLAIN] = harmony(before, batches=batches, theta=2.0, max_iterations=10, seed=seed).points
    return found


def row(adata: ad.AnnData, points: Points) -> dict[str, float]:
    """Everything that is measured of one embedding."""
    obs = adata.obs
    blood = (obs["part"] == "blood").to_numpy()
    metrics = measure(
        points[blood],
        batches=pd.factorize(obs["batch"][blood], sort=True)[0],
        labels=pd.factorize(obs["lineage"][blood], sort=True)[0],
        n_threads=blas_threads(),
    )
    tumour = np.flatnonzero(~blood)
    purity = np.nan
    if tumour.size > 1:
        k = min(_NEIGHBORS, tumour.size - 1)
        purity = neighbor_purity(points, members=~blood, rows=tumour, k=k)
    graph = fuzzy_graph(*nearest(points, k=_NEIGHBORS, n_threads=blas_threads()))
    by_seed = []
    for seed in range(LEIDEN_SEEDS):
        codes = leiden(graph, method="modularity", resolutions=RESOLUTIONS, seed=seed)
        by_seed.append(dict(zip(RESOLUTIONS, codes, strict=True)))
    ari = {}
    for name in _AUTHORS:
        has_type = ((obs["batch"] == name) & (obs["author"] != "")).to_numpy()
        if has_type.any():
            types = pd.factorize(obs["author"][has_type])[0]
            scores = [
                {
                    at: agreement(cluster_codes[has_type], types)
                    for at, cluster_codes in clusters.items()
                }
                for clusters in by_seed
            ]
            ari[f"ARI {name}, best"] = float(
                np.mean([max(by_resolution.values()) for by_resolution in scores])
            )
            ari[f"ARI {name}, at {_ONE_FOR_ALL:g}"] = float(
                np.mean([by_resolution[_ONE_FOR_ALL] for by_resolution in scores])
            )
    return {**metrics.mixing, **metrics.conservation, "TNBC neighbours": purity, **ari}
