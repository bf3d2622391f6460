"""What laboratories call tumour cells by, each in a form that favours it.

* EPCAM seen and PTPRC not; two or more of twelve epithelial genes.
* `scanpy.tl.score_genes` of the same panel that ctcflow has, above the 99.9th percentile of the
  blood cells of the same draw: a limit that needs the truth, which no laboratory has.
* Leiden clusters after the steps of the scanpy tutorial (Wolf 2018, doi:10.1186/s13059-017-1382-0:
  10,000 counts, log1p, 2,000 variable genes, 30 components, 15 neighbours, resolution 1); a cluster
  is tumour where more than half of its cells show two of the twelve genes.
* Logistic regression on log-normalised genes that all files have, trained on the other tumour
  source, thinned to the depth that is judged, and on blood of another file, both weighing alike;
  called above one half.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import anndata as ad
import numpy as np
import numpy.typing as npt
import pandas as pd
import scanpy as sc
import scipy.sparse as sp
from benchmarks.samples import REPOSITORY, over, thinned
from sklearn.linear_model import LogisticRegression

from ctcflow.files import io
from ctcflow.files.tables import SHIPPED

Bools = npt.NDArray[np.bool_]

TWELVE = (
    *("EPCAM", "KRT7", "KRT8", "KRT18", "KRT19", "CLDN4"),
    *("ELF3", "CLDN7", "KRT5", "KRT14", "KRT17", "CDH1"),
)
EPCAM_GATE, TWELVE_GATE = "EPCAM+ PTPRC-", "two of twelve"
SCORE_GENES, LEIDEN, LOGISTIC = "scanpy score_genes", "Leiden majority", "logistic regression"
BASELINES = (EPCAM_GATE, TWELVE_GATE, SCORE_GENES, LEIDEN, LOGISTIC)
_PERCENTILE = 0.999
_TARGET = 1e4


class Trained(NamedTuple):
    """A fitted classifier and the genes that it reads."""

    genes: pd.Index
    model: LogisticRegression


@lru_cache
def members(panel: str) -> tuple[str, ...]:
    """Genes of a shipped panel."""
    table = io.read_table(REPOSITORY / "resources" / SHIPPED["panels"])
    return tuple(table.loc[(table["set"] == panel) & (table["direction"] == 1), "gene"])


def log_normalised(counts: sp.csr_matrix) -> sp.csr_matrix:
    total = np.maximum(np.asarray(counts.sum(axis=1), dtype=np.float64).ravel(), 1.0)
    scaled = (sp.diags(_TARGET / total) @ counts).tocsr().astype(np.float32)
    return scaled.log1p()


def gates(adata: ad.AnnData) -> dict[str, Bools]:
    """Verdicts of both gates; a gene that the data lack is not seen."""
    wanted = [name for name in {*TWELVE, "PTPRC"} if name in adata.var_names]
    seen = {name: adata[:, name].X.toarray().ravel() > 0 for name in wanted}
    none = np.zeros(adata.n_obs, dtype=bool)
    several = sum((seen.get(name, none).astype(int) for name in TWELVE), none.astype(int))
    return {
        EPCAM_GATE: seen.get("EPCAM", none) & ~seen.get("PTPRC", none),
        TWELVE_GATE: several >= 2,
    }


def score_genes(lognorm: ad.AnnData, panel: tuple[str, ...], is_blood: Bools) -> Bools:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of scanpy, about pandas
        sc.tl.score_genes(lognorm, [g for g in panel if g in lognorm.var_names], random_state=0)
    value = lognorm.obs["score"].to_numpy()
    return np.asarray(value > np.quantile(value[is_blood], _PERCENTILE))


def leiden(lognorm: ad.AnnData, passed: Bools) -> Bools:
    """Clusters in which most cells pass."""
    sc.pp.highly_variable_genes(lognorm, n_top_genes=2000)
    chosen = lognorm[:, lognorm.var["highly_variable"].to_numpy()].copy()
    sc.pp.pca(chosen, n_comps=30, random_state=0)
    sc.pp.neighbors(chosen, n_neighbors=15, random_state=0)
    options = {"flavor": "igraph", "n_iterations": 2, "directed": False}
    sc.tl.leiden(chosen, resolution=1.0, random_state=0, **options)
    share = pd.Series(passed).groupby(chosen.obs["leiden"].to_numpy()).transform("mean")
    return np.asarray(share > 0.5)


@lru_cache
def compiled() -> None:
    """Run once what is compiled at its first call, so that no draw is charged for it."""
    rng = np.random.default_rng(0)
    genes = pd.Index([f"g{i}" for i in range(2500)])
    counts = sp.csr_matrix(rng.poisson(0.5, (200, genes.size)).astype(np.float32))
    adata = ad.AnnData(log_normalised(counts), var=pd.DataFrame(index=genes))
    score_genes(adata, tuple(genes[:50]), np.ones(200, dtype=bool))
    leiden(adata, np.ones(200, dtype=bool))


def train(tumours: list[ad.AnnData], blood: ad.AnnData, *, seen: pd.Index, umis: int) -> Trained:
    """Fit on the genes that all files have, those of the data to be judged included."""
    genes = seen.intersection(blood.var_names)
    for tumour in tumours:
        genes = genes.intersection(tumour.var_names)
    # of the genes that all have, so that depth is of the same genes everywhere
    rng = np.random.default_rng(0)
    thin = [thinned(over(adata, genes), umis, rng) for adata in tumours]
    counts = sp.vstack([*thin, over(blood, genes)]).tocsr()
    is_tumour = np.zeros(counts.shape[0], dtype=bool)
    is_tumour[: -blood.n_obs] = True
    model = LogisticRegression(class_weight="balanced", max_iter=1000)
    return Trained(genes, model.fit(log_normalised(counts), is_tumour))


def baselines(
    adata: ad.AnnData, panels: tuple[str, ...], is_blood: Bools, classifier: Trained
) -> Iterator[tuple[str, str, Bools, float]]:
    """Panel, baseline, verdict on every droplet, seconds; most do not depend on the panel."""
    start = time.perf_counter()
    gated = gates(adata)
    of_gates = time.perf_counter() - start
    start = time.perf_counter()
    lognorm = ad.AnnData(
        log_normalised(adata.X), obs=adata.obs[[]].copy(), var=adata.var[[]].copy()
    )
    to_prepare = time.perf_counter() - start
    shared = {LEIDEN: lambda: leiden(lognorm, gated[TWELVE_GATE])}
    shared[LOGISTIC] = lambda: _logistic(adata, classifier)
    judged = {name: (passed, of_gates) for name, passed in gated.items()}
    for name, judge in shared.items():
        start = time.perf_counter()
        judged[name] = (judge(), time.perf_counter() - start + to_prepare)
    for panel in panels:
        for name, (passed, seconds) in judged.items():
            yield panel, name, passed, seconds
        start = time.perf_counter()
        passed = score_genes(lognorm, members(panel), is_blood)
        yield panel, SCORE_GENES, passed, time.perf_counter() - start + to_prepare


def _logistic(adata: ad.AnnData, classifier: Trained) -> Bools:
    values = log_normalised(over(adata, classifier.genes))
    return np.asarray(classifier.model.predict(values), dtype=bool)
