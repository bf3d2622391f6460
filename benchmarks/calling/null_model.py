"""Null cells by the million: blood cells that never were, through `score` and `call`.

A sample is 20,000 cells of the lineages of one real blood file. A cell has the mean profile of its
lineage, gamma noise per gene and cell (of a coefficient of variation of 0.3 to 0.5, one per
sample), log-normal depth (median 1,500 counts), and 0 to 5 % tumour lysate; 5 % are doublets of two
such cells. Drawn are the genes that blood identity, panel and other types are judged by; all
others are one column, so that the depth is right.

Poisson counts with gamma noise are negative binomial, and these are a Poisson number of groups,
each of a logarithmic number of counts (Quenouille 1949, doi:10.2307/3001917). So only what is
seen is drawn: no cell x gene matrix of rates is made.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import NamedTuple

import anndata as ad
import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp
from benchmarks.calling.draws import PANEL, TNBC, blood_source, scored, tumour_source
from benchmarks.samples import measured, over, tables

from ctcflow.contracts import tables_of

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]

OTHERS = "all other genes"
_FEWEST = 10  # leukocytes of a lineage that has a profile
_MEDIAN, _DEPTH_SD, _LEAST_DEPTH = 1500.0, 0.6, 150.0
_NOISE = (0.3, 0.5)
_MOST_LYSATE = 0.05
_DOUBLETS = 0.05
_SEVERAL = 1e-4  # expected counts over the shape below which a group is one count


class Alias(NamedTuple):
    """Draws of genes in constant time each (Walker 1977, doi:10.1145/355744.355749)."""

    keep: Floats
    other: Ints
    rate: Floats
    """Share of a cell's counts, per gene; what is missing to 1 are all other genes."""


class Blood(NamedTuple):
    """Lineages of one blood file, and tumour lysate, over the genes that matter."""

    genes: pd.Index
    """The last is `OTHERS`."""
    lineages: tuple[Alias, ...]
    share: Floats
    """Share of the cells, per lineage."""
    lysate: Alias
    qc: str
    obs: pd.DataFrame
    """One row of `qc`: what it writes for a kept cell without remarks."""


class Simulated(NamedTuple):
    """One sample."""

    adata: ad.AnnData
    is_doublet: npt.NDArray[np.bool_]
    lysate: float


def alias(rate: Floats) -> Alias:
    scaled = rate / rate.sum() * rate.size
    keep, other = np.ones(rate.size), np.arange(rate.size, dtype=np.int32)
    small, large = list(np.flatnonzero(scaled < 1)), list(np.flatnonzero(scaled >= 1))
    while small and large:
        low, high = small.pop(), large[-1]
        keep[low], other[low] = scaled[low], high
        scaled[high] -= 1 - scaled[low]
        if scaled[high] < 1:
            small.append(large.pop())
    return Alias(keep, other, rate)


@lru_cache
def blood(name: str) -> Blood:
    """Mean profiles of the leukocytes of each lineage, as `score` finds them."""
    table_of = dict(zip(tables_of("score"), tables("score"), strict=True))
    genes = {*table_of["normal_profiles"]["symbol"], *table_of["rates"]["symbol"]}
    genes |= {*table_of["cell_types"]["gene"], "HBB", "HBA1", "HBA2"}
    genes |= set(table_of["panels"].loc[table_of["panels"]["set"] == PANEL, "gene"])
    source = blood_source(name)
    checked = measured(source.copy())
    judged = scored(checked, panel=PANEL, shipped=tables("score"))
    named = source.var_names
    kept = named.isin(list(genes))
    lineage = judged.obs["lineage"].astype(str).where(judged.obs["is_leukocyte"], "")
    sizes = lineage[lineage != ""].value_counts()
    sizes = sizes[sizes >= _FEWEST]
    profiles = [
        _profile(judged.X[(lineage == kind).to_numpy()].sum(axis=0), kept) for kind in sizes.index
    ]
    lysate = over(tumour_source(TNBC), named).sum(axis=0)
    typical = (checked.obs["keep"] & (checked.obs["qc_remark"] == "")).to_numpy()
    return Blood(
        named[kept].append(pd.Index([OTHERS])),
        tuple(alias(rate) for rate in profiles),
        sizes.to_numpy(np.float64) / sizes.sum(),
        alias(_profile(lysate, kept)),
        _without_ambient(str(checked.uns["qc"])),
        checked.obs[typical].iloc[:1],
    )


def _profile(total: npt.ArrayLike, kept: npt.NDArray[np.bool_]) -> Floats:
    shares = np.asarray(total, dtype=np.float64).ravel()
    return (shares / shares.sum())[kept]


def _without_ambient(qc: str) -> str:
    """As where `qc` could not measure ambient RNA: the lysate is not announced."""
    record = json.loads(qc)
    record["ambient"] |= {"share": None, "low": None, "high": None}
    return json.dumps(record)


def simulated(name: str, n_cells: int, rng: np.random.Generator) -> Simulated:
    """One sample of null cells, as `score` wants it."""
    source = blood(name)
    # no two samples have the same composition
    share = rng.dirichlet(50 * source.share)
    is_doublet = rng.random(n_cells) < _DOUBLETS
    cell = np.append(np.arange(n_cells), np.flatnonzero(is_doublet))
    lineage = rng.choice(share.size, size=cell.size, p=share)
    depth = np.maximum(_MEDIAN * rng.lognormal(0.0, _DEPTH_SD, cell.size), _LEAST_DEPTH)
    lysate = float(rng.uniform(0.0, _MOST_LYSATE))
    shape = rng.uniform(*_NOISE) ** -2.0
    drawn = [
        _events(cell[rows], depth[rows] * (1 - lysate), profile, shape, rng)
        for profile, rows in (
            (profile, np.flatnonzero(lineage == row)) for row, profile in enumerate(source.lineages)
        )
    ]
    drawn.append(_events(cell, depth * lysate, source.lysate, np.inf, rng))
    seen = _matrix(np.concatenate([keys for keys, _ in drawn]), n_cells, source.genes.size - 1)
    others = np.concatenate([others for _, others in drawn])
    order = np.concatenate([*(cell[lineage == row] for row in range(len(source.lineages))), cell])
    column = np.bincount(order, weights=others, minlength=n_cells).astype(np.int32)
    matrix = sp.hstack([seen, sp.csr_matrix(column[:, None])]).tocsr()
    barcodes = pd.Index([f"cell_{i:06d}" for i in range(n_cells)])
    obs = source.obs.iloc[np.zeros(n_cells, dtype=np.intp)].set_axis(barcodes)
    obs["total_counts"] = np.asarray(matrix.sum(axis=1)).ravel()
    var = pd.DataFrame({"ambient_profile": np.nan}, index=source.genes)
    adata = ad.AnnData(matrix, obs=obs, var=var)
    adata.uns["qc"] = source.qc
    return Simulated(adata, is_doublet, lysate)


def _events(
    cell: Ints, depth: Floats, profile: Alias, shape: float, rng: np.random.Generator
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """One number per count, cell x number of genes + gene; and counts of all other genes."""
    n_genes, total = profile.rate.size, profile.rate.sum()
    n = rng.poisson(depth * total)
    gene = rng.integers(n_genes, size=int(n.sum()), dtype=np.int32)
    moved = rng.random(gene.size, dtype=np.float32) >= profile.keep[gene]
    gene[moved] = profile.other[gene[moved]]
    keys = np.repeat(cell.astype(np.int64) * n_genes, n) + gene
    # expected counts over the shape: groups are fewer than counts by log1p(x) / x
    x = np.repeat(depth / shape, n) * profile.rate[gene]
    several = np.flatnonzero(x > _SEVERAL)
    x = x[several]
    stays = rng.random(several.size) < np.log1p(x) / x
    sizes = np.ones(keys.size, dtype=np.intp)
    sizes[several] = np.where(stays, rng.logseries(x / (1 + x)), 0)
    return np.repeat(keys, sizes), rng.poisson(depth * max(0.0, 1.0 - total))


def _matrix(keys: npt.NDArray[np.int64], n_cells: int, n_genes: int) -> sp.csr_matrix:
    keys.sort()
    first = np.flatnonzero(np.append(True, keys[1:] != keys[:-1]))
    counts = np.diff(np.append(first, keys.size)).astype(np.int32)
    row, column = np.divmod(keys[first], n_genes)
    start = np.searchsorted(row, np.arange(n_cells + 1))
    return sp.csr_matrix((counts, column, start), shape=(n_cells, n_genes))
